"""What the participants of a simulated market do to a book: post, cancel, take.

`m` is symbol i's record (gpi.tools.kernels.market.arrivals.SYMBOL), `p` the scenario; its bids are row 2 i and its
asks row 2 i + 1 of the ladders (gpi.tools.kernels.data.ladder). A function that gives False changed nothing.
"""

import math
from typing import Any

from gpi.tools.kernels.chance import bits, uniform
from gpi.tools.kernels.data.ladder import best, put, take
from gpi.tools.kernels.jit import inlined, jit
from gpi.tools.kernels.market.arrivals import NS, floor_of
from gpi.tools.kernels.shared import Array, Record

DEPTH_KEPT = 64  # levels remembered per side; the worse half is forgotten when they are full
DEPTH_LEAST = 12  # levels a side never goes below, more than can be shown
PARENTS = 8  # parent orders per symbol, a power of two
CROWD = 6  # levels that are counted when a side is called crowded or sparse
TABLE = 1024  # entries of every table of quantiles, a power of two
BEHIND, SIZES, LENGTHS, RANKS = (
    0,
    1,
    2,
    3,
)  # the tables: ticks behind the best, lots, trades of a parent, levels


@jit
def sown(m: Record, p: Record, keys: Array, sizes: Array, held: Array, i: int, tables: Array) -> None:
    """A fresh book around the value: every level one order, the first half a usual spread away."""
    half = max(1, int(0.5 * p.width * m.gap))
    for row in range(2):
        r = 2 * i + row
        held[r] = 0
        key = (1 - 2 * row) * int(m.value) - half
        for _ in range(2 * DEPTH_LEAST):
            put(keys, sizes, held, r, key, int(m.lot * tables[SIZES, bits(m) & (TABLE - 1)]))
            key -= 1 + int(m.gap * uniform(m))


@jit
def banded(m: Record, p: Record, row: int, key: int) -> Any:
    """The key clipped to the price band: no bid above it, no offer below it."""
    if p.band > 0.0:
        if row == 0:
            return min(key, int(math.floor(m.reference * (1.0 + p.band))))
        return min(key, -int(math.ceil(m.reference * (1.0 - p.band))))
    return key


@jit
def trade(m: Record, p: Record, keys: Array, sizes: Array, held: Array, r: int, size: float, ts: int) -> Any:
    """Execute `size` against the best level of ladder `r`; False when the band or the floor forbids it.

    What the level cannot fill is left for the next event of the symbol, at the same time.
    """
    row = r & 1
    key = best(keys, held, r)
    if row == 0 and key < floor_of(m):
        return False
    if p.band > 0.0:
        low, high = m.reference * (1.0 - p.band), m.reference * (1.0 + p.band)
        if not low <= abs(key) <= high:
            return False
        fade = math.exp((m.mean_ts - ts) * NS / p.reference_s)
        m.mean_px, m.mean_n, m.mean_ts = m.mean_px * fade + abs(key), m.mean_n * fade + 1.0, ts
        price = m.mean_px / m.mean_n
        moved = abs(price / m.reference - 1.0) >= 0.01
        if moved and m.limit_since == 0 and (ts - m.adopted) * NS >= 30.0:
            m.reference, m.adopted = price, ts
    done = min(size, sizes[r, held[r] - 1])
    m.left, m.left_row = size - done, row
    m.key, m.row = key, row
    m.trade_key, m.trade_sz, m.trade_side = key, done, 2 * row - 1
    take(keys, sizes, held, r, held[r] - 1, done)
    return True


@inlined
def taker(m: Record, p: Record, parents: Array, i: int, tables: Array, lean: float) -> Any:
    """Which ladder the next market order takes: 1 buys from the asks, 0 sells to the bids."""
    if uniform(m) < p.informed * abs(lean) * m.alarm:
        return 1 if lean > 0.0 else 0
    x = bits(m)
    if (x & 255) * (1.0 / 256.0) >= p.persist:
        m.parent = (x >> 8) & (PARENTS - 1)
    left = parents[i, m.parent]
    if left == 0:
        length = int(tables[LENGTHS, (x >> 16) & (TABLE - 1)])
        left = length if (x >> 40) & 1 else -length
    parents[i, m.parent] = left - 1 if left > 0 else left + 1
    return 1 if left > 0 else 0


@inlined
def market_order(m: Record, p: Record, keys: Array, sizes: Array, held: Array, r: int, tables: Array, ts: int) -> Any:
    """One market order on ladder `r`: mostly no larger than the best level, sometimes sweeping on."""
    size = int(m.lot * tables[SIZES, bits(m) & (TABLE - 1)])
    if uniform(m) > p.sweep:
        size = min(size, sizes[r, held[r] - 1])
    return trade(m, p, keys, sizes, held, r, size, ts)


@inlined
def limit_order(
    m: Record, p: Record, keys: Array, sizes: Array, held: Array, r: int, tables: Array, lean: float
) -> Any:
    """One limit order on ladder `r`: inside the spread, at a level that stands, or behind the best."""
    top, facing = best(keys, held, r), -best(keys, held, r ^ 1)
    spread = facing - top
    x = bits(m)
    u = uniform(m)
    inside = p.inside * spread / (spread + p.width * m.gap) * (1.0 + p.tilt * lean)
    if spread > 1 and u < inside:
        v = u / inside
        key = top + 1 + int(v * v * v * (spread - 1) * 0.999)
    elif (x & 255) * (1.0 / 256.0) < p.join:
        key = keys[r, held[r] - 1 - min(int(tables[RANKS, (x >> 8) & (TABLE - 1)]), held[r] - 1)]
    else:
        key = top - int(tables[BEHIND, (x >> 8) & (TABLE - 1)] * m.gap)
    key = banded(m, p, r & 1, key)
    if (r & 1) == 0 and key < 1 or key >= facing:
        return False
    put(keys, sizes, held, r, key, int(m.lot * tables[SIZES, (x >> 24) & (TABLE - 1)]))
    m.key, m.row = key, r & 1
    return True


@inlined
def cancel(m: Record, p: Record, keys: Array, sizes: Array, held: Array, r: int, tables: Array) -> Any:
    """One order's worth less at a level of ladder `r`, more often near the touch."""
    x = bits(m)
    k = held[r] - 1 - min(int(tables[RANKS, x & (TABLE - 1)]), held[r] - 1)
    if (r & 1) == 0 and keys[r, k] < floor_of(m):
        return False
    m.key, m.row = keys[r, k], r & 1
    size = max(int(m.lot * tables[SIZES, (x >> 24) & (TABLE - 1)]), int(p.fade * sizes[r, k]))
    if sizes[r, k] - size < p.crumb * m.lot:
        size = sizes[r, k]
    take(keys, sizes, held, r, k, size)
    return True


@inlined
def act(
    m: Record, p: Record, keys: Array, sizes: Array, held: Array, i: int, parents: Array, tables: Array, ts: int
) -> Any:
    """Draw and apply one event; False when nothing came of it."""
    if m.left > 0:
        return trade(m, p, keys, sizes, held, 2 * i + m.left_row, m.left, ts)
    mid = 0.5 * (best(keys, held, 2 * i) - best(keys, held, 2 * i + 1))
    pull = (m.value - mid) / (p.grip * m.gap)
    lean = max(-1.0, min(1.0, pull))
    m.alarm = max(1.0, min(p.alarm, abs(pull)))
    if m.shock == 1 and uniform(m) < p.programme_share:
        row = 0 if p.programme < 0.0 else 1
        return trade(m, p, keys, sizes, held, 2 * i + row, int(m.lot * p.programme_size), ts)
    traded = uniform(m) < p.market * (1.0 - p.contagion) + p.contagion * m.heat
    m.heat += 0.1 * ((1.0 if traded else 0.0) - m.heat)
    m.echo *= 0.8
    if traded:
        row = taker(m, p, parents, i, tables, lean)
        done = market_order(m, p, keys, sizes, held, 2 * i + row, tables, ts)
        if done:
            m.echo += 0.2 * m.trade_side
        return done
    row = bits(m) & 1
    r, side = 2 * i + row, 1.0 - 2.0 * row
    top = held[r] - 1
    stretch = (keys[r, top] - keys[r, top - CROWD] + 1.0) / (CROWD * m.gap)
    odds = p.fickle * (1.0 - side * p.tilt * lean) * (1.0 + side * p.resilience * m.echo)
    if uniform(m) * (odds + stretch * stretch) < odds:
        return cancel(m, p, keys, sizes, held, r, tables)
    if m.shock == 1 and side * p.programme < 0.0 and uniform(m) < p.withdrawal:
        return cancel(m, p, keys, sizes, held, r, tables)
    return limit_order(m, p, keys, sizes, held, r, tables, side * lean)
