"""Ten features of every tick, folded one event at a time (defined in docs/features.md).

Every instrument has one record of memory and one ring of (time, log mid), written only when the
mid changes. Rates decay exponentially in event time; a single decay per row serves them all,
because 60 s is twelve times 5 s.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from gpi.formats.words import DEPTH, QUOTE, SECOND, TRADE
from gpi.tools.kernels.features.rings import RING, asof, room, slot
from gpi.tools.kernels.jit import jit
from gpi.tools.kernels.shared import Array, Record
from gpi.tools.kernels.ticks import Ticks, ticks_at

BPS = 1e4
SLOW = 60.0 * SECOND  # ns, the slow rate's time constant
FASTER = 12  # the fast rate's time constant is SLOW / FASTER = 5 s
BRIEF = 1_000_000  # ns, below it a decay is its Taylor series: exact to 1e-10, and no exp
FEATURES = 10
PAIRS = 20  # pairs of consecutive mid moves that persistence looks at
SIZE_DECAY = 0.99  # weight of one trade's size at the next trade: a memory of 100 trades
SIZES_NEEDED = 10  # trades before a surprise is defined
LEAST_DEVIATION = 0.1  # of log size: after a run of round lots no odd lot is an infinite surprise

INSTRUMENT = np.dtype(
    (
        np.record,
        [
            *RING,
            ("started", np.int64),
            ("now", np.int64),  # ns, event time of the last row
            ("ago_1", np.int64),  # ring cursors: the entry as of now - 1 s, ... (-1: none)
            ("ago_2", np.int64),
            ("ago_5", np.int64),
            ("ago_15", np.int64),
            ("mid", np.float64),  # of the last quote with two sides
            ("log_mid", np.float64),
            ("spread", np.float64),  # bps
            ("seen_fast", np.float64),  # 1 - exp(-age / tau): the share of the window lived
            ("seen_slow", np.float64),
            ("volume_fast", np.float64),  # decayed sums
            ("volume_slow", np.float64),
            ("quotes_fast", np.float64),
            ("quotes_slow", np.float64),
            ("quotes", np.int64),  # quotes so far
            ("direction", np.int64),  # of the last mid move
            ("pairs", np.int64),  # pairs of moves so far
            ("same", np.int64),  # bit k: did the pair k pairs ago have one direction
            ("same_count", np.int64),
            ("trades", np.int64),  # trades so far, of a size above 0
            ("size_weight", np.float64),  # decayed count, mean and squared deviation of log size
            ("size_mean", np.float64),
            ("size_scatter", np.float64),
            ("surprise", np.float64),
            ("deep", np.int64),  # whether book levels have been seen
            ("imbalance", np.float64),
        ],
    )
)


def fresh(instruments: int) -> npt.NDArray[np.void]:
    """Memory (instruments,) of instruments that have not been seen."""
    memory = np.zeros(instruments, INSTRUMENT)
    for cursor in ("ago_1", "ago_2", "ago_5", "ago_15"):
        memory[cursor] = -1
    for unknown in ("mid", "log_mid", "spread", "surprise", "imbalance"):
        memory[unknown] = np.nan
    return memory


@jit
def faded(elapsed: int) -> tuple[float, float]:
    """What a decayed sum loses in `elapsed` ns: 1 - exp(-elapsed / tau), fast and slow."""
    slow = elapsed / SLOW
    if elapsed < BRIEF:
        fast = FASTER * slow
        return fast - fast * fast * (0.5 - fast / 6.0), slow - slow * slow * 0.5
    left = math.exp(-slow)
    squared = left * left
    fourth = squared * squared
    return 1.0 - fourth * fourth * fourth, 1.0 - left


@jit
def pass_time(m: Record, ts: int) -> None:
    """Decay the rates to `ts`. Time never goes back: a late row counts as happening now."""
    if m.started == 0:
        m.started = 1
        m.now = ts
    elapsed = ts - m.now
    if elapsed <= 0:
        return
    m.now = ts
    fast, slow = faded(elapsed)
    m.seen_fast += (1.0 - m.seen_fast) * fast
    m.seen_slow += (1.0 - m.seen_slow) * slow
    m.volume_fast -= m.volume_fast * fast
    m.volume_slow -= m.volume_slow * slow
    m.quotes_fast -= m.quotes_fast * fast
    m.quotes_slow -= m.quotes_slow * slow


@jit
def see_mid(m: Record, stamps: Array, values: Array, mid: float) -> None:
    """Remember a mid that differs from the last, and whether it kept the last direction."""
    if m.mid == m.mid:
        direction = 1 if mid > m.mid else -1
        if m.direction != 0:
            same = 1 if direction == m.direction else 0
            m.same_count += same - ((m.same >> (PAIRS - 1)) & 1)
            m.same = ((m.same << 1) | same) & ((1 << PAIRS) - 1)
            m.pairs += 1
        m.direction = direction
    m.mid = mid
    m.log_mid = math.log(mid)
    place = slot(m, m.head)
    stamps[place] = m.now
    values[place, 0] = m.log_mid
    m.head += 1


@jit
def see_trade(m: Record, size: float) -> None:
    """Judge a size by the trades before it, then learn from it (West 1979, decaying weights)."""
    m.volume_fast += size
    m.volume_slow += size
    log_size = math.log(size)
    deviation = log_size - m.size_mean
    if m.trades >= SIZES_NEEDED:
        spread = math.sqrt(m.size_scatter / m.size_weight)
        m.surprise = deviation / max(spread, LEAST_DEVIATION)
    m.trades += 1
    m.size_weight = SIZE_DECAY * m.size_weight + 1.0
    m.size_mean += deviation / m.size_weight
    m.size_scatter = SIZE_DECAY * m.size_scatter + deviation * (log_size - m.size_mean)


@jit
def intensity(m: Record, fast: float, slow: float) -> float:
    """Fast rate over slow rate, each per second lived; NaN before any time has passed."""
    if m.seen_fast == 0.0:
        return math.nan
    if slow == 0.0:  # hours of silence
        return 0.0
    return float(FASTER * fast * m.seen_slow / (slow * m.seen_fast))


@jit
def log_mid_at(m: Record, values: Array, cursor: int) -> float:
    """The log mid of a ring entry, NaN before the first."""
    if cursor < 0:
        return math.nan
    return float(values[slot(m, cursor), 0])


@jit
def step(
    m: Record, stamps: Array, values: Array, ticks: Ticks, row: int, deep: bool, bids: float, asks: float, out: Array
) -> None:
    """Fold one row into an instrument's memory and write its ten features (10,) float32.

    `bids`, `asks` are the sizes resting on each side, over the book's levels when `deep`. The
    instrument's ring must have room.
    """
    kind, trade_sz = ticks.kind[row], ticks.trade_sz[row]
    bid_px, ask_px = ticks.bid_px[row], ticks.ask_px[row]
    pass_time(m, ticks.ts_event[row])
    if kind & TRADE and 0.0 < trade_sz < math.inf:
        see_trade(m, trade_sz)
    if kind & QUOTE:
        m.quotes += 1
        m.quotes_fast += 1.0
        m.quotes_slow += 1.0
        mid = 0.5 * (bid_px + ask_px)
        if 0.0 < mid < math.inf:
            m.spread = (ask_px - bid_px) / mid * BPS
            if mid != m.mid:
                see_mid(m, stamps, values, mid)
    if deep:
        m.deep = 1
    if deep or (kind & QUOTE and m.deep == 0):
        m.imbalance = (bids - asks) / (bids + asks) if bids + asks > 0.0 else math.nan
    m.ago_1 = asof(m, stamps, m.ago_1, m.now - SECOND)
    m.ago_2 = asof(m, stamps, m.ago_2, m.now - 2 * SECOND)
    m.ago_5 = asof(m, stamps, m.ago_5, m.now - 5 * SECOND)
    m.ago_15 = asof(m, stamps, m.ago_15, m.now - 15 * SECOND)
    m.tail = max(m.ago_15, 0)
    ago_1 = log_mid_at(m, values, m.ago_1)
    ago_2 = log_mid_at(m, values, m.ago_2)
    out[0] = BPS * (m.log_mid - ago_1)
    out[1] = BPS * (m.log_mid - log_mid_at(m, values, m.ago_5))
    out[2] = BPS * (m.log_mid - log_mid_at(m, values, m.ago_15))
    out[3] = m.spread
    out[4] = intensity(m, m.volume_fast, m.volume_slow) if m.trades > 0 else math.nan
    out[5] = BPS * (m.log_mid - 2.0 * ago_1 + ago_2)
    out[6] = (2 * m.same_count - PAIRS) / PAIRS if m.pairs >= PAIRS else math.nan
    out[7] = intensity(m, m.quotes_fast, m.quotes_slow) if m.quotes > 0 else math.nan
    out[8] = m.surprise
    out[9] = m.imbalance


@jit
def total(sizes: Any) -> float:
    """The sum of the sizes that are there."""
    found = 0.0
    for size in sizes:
        if size > 0.0:
            found += size
    return found


@jit
def run(memory: Array, stamps: Array, values: Array, columns: int, body: Array, first: int, appended: Array) -> int:
    """Fold rows first.. of a batch; returns how many rows are done, fewer when memory must grow.

    `columns`: the address of the batch's `Ticks`, `body` its bytes; `appended`: the bytes of (rows, 10) float32. It
    stops before the first row whose instrument or ring has no room.
    """
    ticks = ticks_at(columns, body)
    ladder = ticks.bids_sz.shape[1] > 0
    rows = ticks.ts_event.shape[0]
    out = appended.view(np.float32)[: rows * FEATURES].reshape(rows, FEATURES)
    for row in range(first, rows):
        number = ticks.instrument_id[row]
        if number < 0 or number >= memory.size:
            return row
        m = memory[number]
        if not room(m, stamps, values):
            return row
        deep = ladder and ticks.kind[row] & DEPTH != 0
        bids, asks = ticks.bid_sz[row], ticks.ask_sz[row]
        if deep:
            bids, asks = total(ticks.bids_sz[row]), total(ticks.asks_sz[row])
        step(m, stamps, values, ticks, row, deep, bids, asks, out[row])
    return int(rows)
