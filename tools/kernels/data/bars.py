"""Bars from trades: one span (a second, a minute) for all instruments, and the day's so far beside it."""

import numpy as np

from gpi.tools.kernels.data.writing import I_CHANNEL, I_INSTRUMENT, I_TS, N_PX, N_SZ, TRADE
from gpi.tools.kernels.jit import jit
from gpi.tools.kernels.orders import Array

START, OPEN, HIGH, LOW, CLOSE, VOLUME, MONEY, TRADES, BAR_FIELDS = 0, 1, 2, 3, 4, 5, 6, 7, 8
IDLE = -1.0  # START of an instrument without a bar


@jit
def _close(i: int, bars: Array, days: Array, closed: Array, n: int) -> int:
    """Write the bar of an instrument, and its day as it stood, as a row of `closed`."""
    closed[n, 0] = i
    closed[n, 1 : 1 + BAR_FIELDS] = bars[i]
    closed[n, 1 + BAR_FIELDS :] = days[i]
    bars[i, START] = IDLE
    return n + 1


@jit
def _fold(bar: Array, start: float, px: float, sz: float) -> None:
    if bar[START] != start:
        bar[START], bar[OPEN], bar[HIGH], bar[LOW] = start, px, px, px
        bar[VOLUME], bar[MONEY], bar[TRADES] = 0.0, 0.0, 0.0
    bar[HIGH], bar[LOW], bar[CLOSE] = max(bar[HIGH], px), min(bar[LOW], px), px
    bar[VOLUME] += sz
    bar[MONEY] += px * sz
    bar[TRADES] += 1.0


@jit
def folded(
    ints: Array, nums: Array, count: int, span: int, day: Array, bars: Array, days: Array, active: Array,
    closed: Array, late: Array, until: int,
) -> int:  # fmt: skip
    """Fold the trades among `count` items; returns how many bars closed (rows of `closed`: id, bar, day).

    span in ns; day (instruments,): start of each instrument's trading day, in spans like all starts (doubles hold them
    exactly); bars and days (instruments, BAR_FIELDS); active (instruments + 1,): ids with an open bar, their number
    last. A trade before its instrument's open bar is only marked in `late` (count,). Bars that end by `until`
    (ns) are closed; `closed` needs a row per trade and per instrument.
    """
    n = 0
    size = active.shape[0] - 1
    for item in range(count):
        late[item] = 0
        if ints[item, I_CHANNEL] != TRADE:
            continue
        i, px, sz = ints[item, I_INSTRUMENT], nums[item, N_PX], nums[item, N_SZ]
        start = np.float64(ints[item, I_TS] // span)
        if bars[i, START] != IDLE and start < bars[i, START]:
            late[item] = 1
            continue
        if bars[i, START] != IDLE and start > bars[i, START]:
            n = _close(i, bars, days, closed, n)
            _fold(bars[i], start, px, sz)
        else:
            if bars[i, START] == IDLE:
                active[active[size]] = i
                active[size] += 1
            _fold(bars[i], start, px, sz)
        _fold(days[i], day[i], px, sz)
    k = 0
    while k < active[size]:
        i = active[k]
        if (np.int64(bars[i, START]) + 1) * span <= until:
            n = _close(i, bars, days, closed, n)
            active[size] -= 1
            active[k] = active[active[size]]
        else:
            k += 1
    return n
