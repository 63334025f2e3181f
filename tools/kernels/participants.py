"""What the participants of a simulated market do to a book: post, cancel, take.

Ladders are rows of (2, DEPTH_KEPT) arrays, 0 the bids and 1 the asks with negative keys (gpi.tools.kernels.ladder);
`m` is one record of gpi.tools.kernels.arrivals.SYMBOL, `p` the scenario. A function that gives False changed nothing.
"""

import math
from typing import Any

from gpi.tools.kernels.arrivals import NS, floor_of
from gpi.tools.kernels.chance import bits, uniform
from gpi.tools.kernels.jit import jit
from gpi.tools.kernels.ladder import forget, put, take

DEPTH_KEPT = 64  # levels remembered per side; the worse half is forgotten when they are full
DEPTH_LEAST = 12  # levels a side never goes below, more than can be shown
PARENTS = 8  # parent orders per symbol, a power of two
TABLE = 1024  # entries of every table of quantiles, a power of two
BEHIND, SIZES, LENGTHS, RANKS = 0, 1, 2, 3  # the tables: ticks behind the best, lots, trades of a parent, levels


@jit
def sown(m: Any, p: Any, keys: Any, sizes: Any, held: Any, tables: Any, mid: Any) -> None:
    """A fresh book around `mid` (ticks): every level one order, first levels half a usual spread away."""
    half = max(1, int(0.5 * p.width * m.gap))
    for row in range(2):
        held[row] = 0
        side = 1 - 2 * row
        key = side * int(mid) - half
        for _ in range(2 * DEPTH_LEAST):
            size = m.lot * tables[SIZES, bits(m) & (TABLE - 1)]
            held[row] = put(keys[row], sizes[row], held[row], key, int(size))
            key -= 1 + int(2.0 * m.gap * uniform(m) * 0.5)


@jit
def banded(m: Any, p: Any, row: Any, key: Any) -> Any:
    """The key clipped to the price band: no bid above it, no offer below it."""
    if p.band > 0.0:
        if row == 0:
            return min(key, int(math.floor(m.reference * (1.0 + p.band))))
        return min(key, -int(math.ceil(m.reference * (1.0 - p.band))))
    return key


@jit
def trade(m: Any, p: Any, keys: Any, sizes: Any, held: Any, row: Any, size: Any, ts: Any) -> Any:
    """Execute `size` against the best level of ladder `row`; False when the band or the floor forbids it.

    What the level cannot fill is left for the next event of the symbol, at the same time.
    """
    best = held[row] - 1
    key = keys[row, best]
    if row == 0 and key < floor_of(m):
        return False
    if p.band > 0.0:
        low, high = m.reference * (1.0 - p.band), m.reference * (1.0 + p.band)
        if not low <= abs(key) <= high:
            return False
        fade = math.exp((m.mean_ts - ts) * NS / p.reference_s)
        m.mean_px, m.mean_n, m.mean_ts = m.mean_px * fade + abs(key), m.mean_n * fade + 1.0, ts
        price = m.mean_px / m.mean_n
        if abs(price / m.reference - 1.0) >= 0.01 and (ts - m.adopted) * NS >= 30.0:
            m.reference, m.adopted = price, ts
    done = min(size, sizes[row, best])
    m.left, m.left_side = size - done, row
    m.key, m.touched = key, row
    m.trade_key, m.trade_sz, m.trade_side = key, done, 2 * row - 1
    held[row] = take(keys[row], sizes[row], held[row], best, done)
    return True


@jit
def taker(m: Any, p: Any, parents: Any, tables: Any, lean: Any) -> Any:
    """Which ladder the next market order takes: 1 buys from the asks, 0 sells to the bids."""
    if m.shock == 1:
        return 0 if p.programme < 0.0 else 1
    if uniform(m) < p.informed * abs(lean):
        return 1 if lean > 0.0 else 0
    x = bits(m)
    if (x & 255) * (1.0 / 256.0) >= p.persist:
        m.parent = (x >> 8) & (PARENTS - 1)
    left = parents[m.parent]
    if left == 0:
        length = int(tables[LENGTHS, (x >> 16) & (TABLE - 1)])
        left = length if (x >> 40) & 1 else -length
    parents[m.parent] = left - 1 if left > 0 else left + 1
    return 1 if left > 0 else 0


@jit
def market_order(
    m: Any, p: Any, keys: Any, sizes: Any, held: Any, parents: Any, tables: Any, lean: Any, ts: Any
) -> Any:
    """One market order: mostly no larger than the best level, sometimes sweeping on. False: it was refused."""
    row = taker(m, p, parents, tables, lean)
    size = int(m.lot * tables[SIZES, bits(m) & (TABLE - 1)])
    if m.shock == 1:
        size = int(size * p.programme_size)
    elif uniform(m) > p.sweep:
        size = min(size, sizes[row, held[row] - 1])
    return trade(m, p, keys, sizes, held, row, size, ts)


@jit
def limit_order(m: Any, p: Any, keys: Any, sizes: Any, held: Any, tables: Any, row: Any) -> Any:
    """One limit order on ladder `row`: inside the spread, at a level that stands, or somewhere behind the best."""
    best = keys[row, held[row] - 1]
    spread = -best - keys[1 - row, held[1 - row] - 1]
    x = bits(m)
    u = uniform(m)
    inside = p.inside * spread / (spread + p.width * m.gap)
    if spread > 1 and u < inside:
        v = u / inside
        key = best + 1 + int(v * v * v * (spread - 1) * 0.999)
    elif (x & 255) * (1.0 / 256.0) < p.join:
        key = keys[row, held[row] - 1 - min(int(tables[RANKS, (x >> 8) & (TABLE - 1)]), held[row] - 1)]
    else:
        key = best - int(tables[BEHIND, (x >> 8) & (TABLE - 1)] * m.gap)
    key = banded(m, p, row, key)
    if row == 0 and key < 1 or key >= -keys[1 - row, held[1 - row] - 1]:
        return False
    if held[row] == DEPTH_KEPT:
        held[row] = forget(keys[row], sizes[row], held[row])
    held[row] = put(keys[row], sizes[row], held[row], key, int(m.lot * tables[SIZES, (x >> 24) & (TABLE - 1)]))
    m.key, m.touched = key, row
    return True


@jit
def cancel(m: Any, p: Any, keys: Any, sizes: Any, held: Any, tables: Any, row: Any) -> Any:
    """One order's worth less at a level of ladder `row`, more often near the touch."""
    x = bits(m)
    k = held[row] - 1 - min(int(tables[RANKS, x & (TABLE - 1)]), held[row] - 1)
    if row == 0 and keys[row, k] < floor_of(m):
        return False
    m.key, m.touched = keys[row, k], row
    size = min(int(m.lot * tables[SIZES, (x >> 24) & (TABLE - 1)]), sizes[row, k])
    if sizes[row, k] - size < m.lot * p.crumb:
        size = sizes[row, k]
    held[row] = take(keys[row], sizes[row], held[row], k, size)
    return True


@jit
def act(m: Any, p: Any, keys: Any, sizes: Any, held: Any, parents: Any, tables: Any, ts: Any) -> Any:
    """Draw and apply one event; False when nothing came of it."""
    bid, ask = keys[0, held[0] - 1], -keys[1, held[1] - 1]
    mid = 0.5 * (bid + ask)
    if m.left > 0:
        return trade(m, p, keys, sizes, held, m.left_side, m.left, ts)
    lean = max(-1.0, min(1.0, (m.value - mid) / (p.grip * m.gap)))
    wants = p.market * (1.0 - p.contagion) + p.contagion * m.heat
    if m.shock == 1:
        wants = p.programme_share
    traded = uniform(m) < wants
    m.heat += 0.1 * ((1.0 if traded else 0.0) - m.heat)
    m.echo *= 0.8
    if traded:
        done = market_order(m, p, keys, sizes, held, parents, tables, lean, ts)
        if done:
            m.echo += 0.2 * m.trade_side
        return done
    bids, asks = float(held[0]), float(held[1])
    u = uniform(m)
    if u * (bids + asks + 2.0 * p.levels) < bids + asks:
        row = 0 if uniform(m) * (bids + asks) < bids * (1.0 - p.tilt * lean) else 1
        return cancel(m, p, keys, sizes, held, tables, row)
    row = 0 if uniform(m) < 0.5 + 0.5 * p.tilt * lean - p.resilience * m.echo else 1
    if m.shock == 1 and (row == 0) == (p.programme < 0.0) and uniform(m) < p.withdrawal:
        return cancel(m, p, keys, sizes, held, tables, row)
    return limit_order(m, p, keys, sizes, held, tables, row)
