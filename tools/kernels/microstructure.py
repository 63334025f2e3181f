"""Who is pushing the price, folded one event at a time (defined in docs/features.md).

A window in event time is a ring of timed vectors and their running sum: an event adds to the
entry of its instant, time takes entries away. Sums start again from zero whenever a window runs
empty, so rounding cannot pile up over a session.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from gpi.tools.kernels.jit import jit
from gpi.tools.kernels.rings import RING, room, slot
from gpi.tools.kernels.vpin import VPIN, pour

QUOTE, TRADE, DEPTH = 1, 2, 8  # the bits of `kind`, as in formats/ticks.py
DISCONTINUED = 16 | 32  # GAP, SNAPSHOT of `flags`: the change of the book is not order flow
BPS = 1e4
SECOND = 1e9  # ns
SIGNED, VOLUME, VARIANCE, BIPOWER, LIFE, LIVES, FLOW = range(7)  # the window's sums; FLOW.. by level
IMPACT_DECAY = 0.995  # weight of one sweep's impact at the next sweep: a memory of 200 sweeps
IMPACTS_NEEDED = 20

INSTRUMENT = np.dtype(
    (
        np.record,
        [
            *RING,
            *VPIN,
            ("started", np.int64),
            ("born", np.int64),  # ns, the first row
            ("now", np.int64),  # ns, the last row
            ("mid", np.float64),  # of the last quote with two sides
            ("log_mid", np.float64),
            ("move", np.float64),  # bps, the last change of the mid
            ("microprice", np.float64),
            ("offset", np.float64),  # bps, of the microprice from the mid
            ("best_bid", np.float64),  # -inf: no bid
            ("best_ask", np.float64),  # inf: no ask
            ("best_since", np.int64),  # ns
            ("quotes", np.int64),
            ("books", np.int64),
            ("trade_px", np.float64),
            ("uptick", np.int64),  # direction of the last change of the trade price
            ("sweep_time", np.int64),  # trades of one instant are one sweep
            ("sweep_mid", np.float64),  # the mid before it
            ("sweep_size", np.float64),  # signed
            ("sweeps", np.int64),
            ("impacts", np.int64),  # pairs in the regression, and its decayed moments
            ("weight", np.float64),
            ("size_mean", np.float64),
            ("move_mean", np.float64),
            ("size_scatter", np.float64),
            ("covariation", np.float64),
        ],
    )
)


def fresh(instruments: int, bucket: float) -> npt.NDArray[np.void]:
    """Memory (instruments,) of instruments that have not been seen."""
    memory = np.zeros(instruments, INSTRUMENT)
    memory["bucket"] = bucket
    for unknown in ("mid", "log_mid", "move", "microprice", "offset", "trade_px", "close", "vpin"):
        memory[unknown] = np.nan
    return memory


@jit
def pass_time(m: Any, stamps: Any, values: Any, sums: Any, ts: int, window: int) -> None:
    """Move on to `ts` and let go of what is `window` ns old. Time never goes back."""
    if m.started == 0:
        m.started = 1
        m.born = m.now = ts
    m.now = max(m.now, ts)
    if m.tail == m.head:
        return
    while m.tail < m.head and stamps[slot(m, m.tail)] <= m.now - window:
        old = slot(m, m.tail)
        for column in range(sums.size):
            sums[column] -= values[old, column]
        m.tail += 1
    if m.tail == m.head:
        sums[:] = 0.0


@jit
def add(m: Any, stamps: Any, values: Any, sums: Any, column: int, amount: float) -> None:
    """Add to the window's sum, in the entry of this instant."""
    if m.head == m.tail or stamps[slot(m, m.head - 1)] != m.now:
        stamps[slot(m, m.head)] = m.now
        values[slot(m, m.head)] = 0.0
        m.head += 1
    values[slot(m, m.head - 1), column] += amount
    sums[column] += amount


@jit
def aggressor(m: Any, side: int, price: float) -> int:
    """The side that took liquidity: as reported, else by Lee & Ready (1991).

    Above the mid before the trade it bought, below it sold; at the mid (or without one) the last
    change of the trade price decides; 0 when there has been none.
    """
    if price > m.trade_px:
        m.uptick = 1
    elif price < m.trade_px:
        m.uptick = -1
    m.trade_px = price
    if side != 0:
        return side
    if price > m.mid:
        return 1
    if price < m.mid:
        return -1
    return int(m.uptick)


@jit
def see_impact(m: Any) -> None:
    """Regress the mid's move since the last sweep on that sweep's signed size (Kyle 1985)."""
    move = m.mid - m.sweep_mid
    if m.sweeps == 0 or not math.isfinite(move):
        return
    m.impacts += 1
    m.weight = IMPACT_DECAY * m.weight + 1.0
    deviation = m.sweep_size - m.size_mean
    m.size_mean += deviation / m.weight
    m.move_mean += (move - m.move_mean) / m.weight
    m.size_scatter = IMPACT_DECAY * m.size_scatter + deviation * (m.sweep_size - m.size_mean)
    m.covariation = IMPACT_DECAY * m.covariation + deviation * (move - m.move_mean)


@jit
def see_trade(m: Any, side: int, price: float, size: float) -> float:
    """Sign a trade, add it to its sweep; returns its signed size."""
    signed = size * aggressor(m, side, price)
    if m.sweeps == 0 or m.sweep_time != m.now:
        see_impact(m)
        m.sweeps += 1
        m.sweep_time = m.now
        m.sweep_mid = m.mid
        m.sweep_size = 0.0
    m.sweep_size += signed
    return float(signed)


@jit
def see_quote(
    m: Any, stamps: Any, values: Any, sums: Any,
    bid_px: float, bid_sz: float, ask_px: float, ask_sz: float,
) -> None:  # fmt: skip
    """The best quotes after an event: their mid, microprice, and how long the last ones lived."""
    best_bid = bid_px if bid_px == bid_px else -math.inf
    best_ask = ask_px if ask_px == ask_px else math.inf
    if m.quotes == 0 or best_bid != m.best_bid or best_ask != m.best_ask:
        if m.quotes > 0:
            add(m, stamps, values, sums, LIFE, (m.now - m.best_since) / SECOND)
            add(m, stamps, values, sums, LIVES, 1.0)
        m.best_bid = best_bid
        m.best_ask = best_ask
        m.best_since = m.now
    m.quotes += 1
    mid = 0.5 * (bid_px + ask_px)
    if not 0.0 < mid < math.inf:
        return
    size = bid_sz + ask_sz
    m.microprice = (ask_px * bid_sz + bid_px * ask_sz) / size if size > 0.0 else math.nan
    m.offset = BPS * (m.microprice / mid - 1.0)
    if mid == m.mid:
        return
    log_mid = math.log(mid)
    if m.mid == m.mid:
        move = BPS * (log_mid - m.log_mid)
        add(m, stamps, values, sums, VARIANCE, move * move)
        if m.move == m.move:
            add(m, stamps, values, sums, BIPOWER, 0.5 * math.pi * abs(move) * abs(m.move))
        m.move = move
    m.mid = mid
    m.log_mid = log_mid


@jit
def level_flow(
    book: Any, level: int, bid_px: float, bid_sz: float, ask_px: float, ask_sz: float
) -> float:
    """Order flow e_n of one book level (Cont, Kukanov & Stoikov 2014, eq. 4), and remember it.

    A side that is absent has no size at an infinitely bad price, which the formula then handles.
    """
    if not bid_px == bid_px:
        bid_px, bid_sz = -math.inf, 0.0
    if not ask_px == ask_px:
        ask_px, ask_sz = math.inf, 0.0
    flow = 0.0
    if bid_px >= book[0, level]:
        flow += bid_sz
    if bid_px <= book[0, level]:
        flow -= book[1, level]
    if ask_px <= book[2, level]:
        flow -= ask_sz
    if ask_px >= book[2, level]:
        flow += book[3, level]
    book[0, level] = bid_px
    book[1, level] = bid_sz
    book[2, level] = ask_px
    book[3, level] = ask_sz
    return float(flow)


@jit
def write(m: Any, sums: Any, window: int, out: Any) -> None:
    """The features (9 + levels,) float32; sums over a window are NaN until one has been lived."""
    lived = m.started == 1 and m.now - m.born >= window
    out[0] = m.microprice
    out[1] = m.offset
    out[2] = sums[SIGNED] / sums[VOLUME] if sums[VOLUME] > 0.0 else math.nan
    known = m.impacts >= IMPACTS_NEEDED and m.size_scatter > 0.0
    out[3] = m.covariation / m.size_scatter if known else math.nan
    out[4] = m.vpin
    out[5] = max(sums[VARIANCE], 0.0) if lived else math.nan
    out[6] = max(sums[BIPOWER], 0.0) if lived else math.nan
    out[7] = sums[LIFE] / sums[LIVES] if sums[LIVES] > 0.0 else math.nan
    out[8] = (m.now - m.best_since) / SECOND if m.quotes > 0 else math.nan
    for level in range(sums.size - FLOW):
        out[9 + level] = sums[FLOW + level] if lived else math.nan


@jit
def run(
    memory: Any, stamps: Any, values: Any, sums: Any, books: Any, moves: Any,
    ts: Any, instrument: Any, kind: Any, side: Any, flags: Any,
    bid_px: Any, bid_sz: Any, ask_px: Any, ask_sz: Any, trade_px: Any, trade_sz: Any,
    bids_px: Any, bids_sz: Any, asks_px: Any, asks_sz: Any,
    window: int, freedom: float, first: int, out: Any,
) -> int:  # fmt: skip
    """Fold rows first.. of a batch; returns how many rows are done, fewer when memory must grow."""
    ...
    return 0
