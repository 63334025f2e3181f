"""A market made of order flow: who trades, posts or cancels next, at which price, and what the book looks like then.

Every symbol is one self-exciting stream of events on a price grid: limit orders, cancels and market orders around the
touch, after Cont, Stoikov, Talreja, "A stochastic model for order book dynamics", Operations Research 58(3), 2010.

- arrivals: Hawkes with two exponential kernels on a base rate that follows a slow log-volatility and the hour of the
  day (gpi.tools.kernels.arrivals);
- trade signs: a handful of parent orders of Pareto length take turns (Lillo, Mike, Farmer, "Theory for long memory in
  supply and demand", Physical Review E 71, 2005), which gives a slowly decaying sign correlation;
- a fundamental value, a random walk with a common factor, towards which informed traders lean: it sets the
  volatility, the correlation between symbols, and what a crash overshoots and news moves;
- price bands and pauses after the Limit Up-Limit Down plan (luldplan.com).

The path of a symbol does not depend on who else is simulated, on how many levels are shown, nor on how the stream is
cut. Ladders are rows of (2, DEPTH_KEPT) arrays: 0 the bids, 1 the asks with negative keys.
"""

import math
from typing import Any

from gpi.tools.kernels.arrivals import NS, excited, revalue, tomorrow, wait
from gpi.tools.kernels.chance import uniform
from gpi.tools.kernels.jit import jit
from gpi.tools.kernels.ladder import extend, show
from gpi.tools.kernels.participants import DEPTH_LEAST, act, sown

OPEN, PAUSED, REOPENS = 0, 1, 2  # phase
QUOTE, TRADE, STATUS, DEPTH = 1, 2, 4, 8  # as in gpi.formats.ticks
HALTED_PAUSED, SNAPSHOT = 3, 32


@jit
def shocked(m: Any, p: Any, mid: Any, ts: Any) -> None:
    """Begin or end the scenario's shock: news moves the value at once, a programme trades until it has moved the mid."""
    if m.shock == 0 and ts >= p.start + p.shock_s * 1e9:
        m.anchor, m.shock, m.until = mid, 1 if p.programme != 0.0 else 2, ts + int(p.programme_s * 1e9)
        m.value *= 1.0 + p.news
    elif m.shock == 1:
        moved = mid / m.anchor - 1.0
        if abs(moved) >= abs(p.programme) and moved * p.programme > 0.0 or ts >= m.until:
            m.shock, m.left = 2, 0


@jit
def limited(m: Any, p: Any, bid: Any, ask: Any, ts: Any) -> Any:
    """Whether the best offer has stood at the lower band, or the best bid at the upper, for long enough to pause."""
    low, high = math.ceil(m.reference * (1.0 - p.band)), math.floor(m.reference * (1.0 + p.band))
    if ask > low and bid < high:
        m.limit_since = 0
    elif m.limit_since == 0:
        m.limit_since = ts
    return m.limit_since != 0 and (ts - m.limit_since) * NS >= p.limit_s


@jit
def happened(m: Any, market: Any, p: Any, keys: Any, sizes: Any, held: Any, parents: Any, tables: Any, ts: Any) -> Any:
    """Let one event of a symbol happen at `ts` (ns): the kind of row that tells of it, 0 when nothing is to tell."""
    cell = (ts - p.start) // p.cell_ns
    tomorrow(market, p, cell)
    if cell > m.cell:
        revalue(m, market, p, cell)
    if m.phase == PAUSED:
        m.phase = REOPENS
        return STATUS
    if m.phase == REOPENS:
        sown(m, p, keys, sizes, held, tables, m.value)
        m.phase, m.limit_since, m.left = OPEN, 0, 0
        m.reference, m.adopted = float(int(m.value)), ts
        m.mean_px, m.mean_n, m.mean_ts = m.reference, 1.0, ts
        m.key, m.touched = keys[0, held[0] - 1], 0
        return QUOTE | DEPTH
    bid, ask = keys[0, held[0] - 1], -keys[1, held[1] - 1]
    if m.hit == 1:
        shocked(m, p, 0.5 * (bid + ask), ts)
    if p.band > 0.0 and limited(m, p, bid, ask, ts):
        m.phase, m.left = PAUSED, 0
        return STATUS
    bid_sz, ask_sz = sizes[0, held[0] - 1], sizes[1, held[1] - 1]
    m.trade_sz = 0
    if not act(m, p, keys, sizes, held, parents, tables, ts):
        m.left = 0
        return 0
    row = m.touched
    if held[row] < DEPTH_LEAST:
        step = 1 + int(m.gap * 2.0 * uniform(m))
        held[row] = extend(keys[row], sizes[row], held[row], step, m.lot)
    same = keys[0, held[0] - 1] == bid and -keys[1, held[1] - 1] == ask
    same = same and sizes[0, held[0] - 1] == bid_sz and sizes[1, held[1] - 1] == ask_sz
    return DEPTH | (TRADE if m.trade_sz > 0 else 0) | (0 if same else QUOTE)


@jit
def due_next(m: Any, p: Any, ts: Any) -> Any:
    """When the symbol's next event happens, after one at `ts` (ns)."""
    if m.phase == PAUSED:
        return ts + int(p.pause_s * 1e9)
    if m.phase == REOPENS or m.left > 0:
        return ts
    excited(m, p, ts)
    return ts + wait(m, p)


@jit
def replay(tree: Any, due: Any, i: Any) -> None:
    """Play symbol `i`'s matches again in the tournament whose winner, `tree[1]`, is the next to move.

    tree: (2 P,) with P a power of two, leaves at P + i; equal times: the smaller number wins.
    """
    node = (len(tree) // 2 + i) // 2
    while node > 0:
        a, b = tree[2 * node], tree[2 * node + 1]
        tree[node] = b if due[b] < due[a] else a
        node //= 2


@jit
def told(m: Any, kind: Any, keys: Any, sizes: Any, held: Any, n: Any, ladders: Any, prices: Any) -> Any:
    """Write the book of row `n`; False when the event lies deeper than the row shows.

    ladders: bids_px, bids_sz, asks_px, asks_sz; prices: bid_px, bid_sz, ask_px, ask_sz, trade_px, trade_sz.
    """
    bids_px, bids_sz, asks_px, asks_sz = ladders
    bid_px, bid_sz, ask_px, ask_sz, trade_px, trade_sz = prices
    bid_px[n], ask_px[n], trade_px[n] = math.nan, math.nan, math.nan
    bid_sz[n], ask_sz[n], trade_sz[n] = 0.0, 0.0, 0.0
    if kind & STATUS:
        bids_px[n, :], asks_px[n, :], bids_sz[n, :], asks_sz[n, :] = math.nan, math.nan, 0.0, 0.0
        return True
    last_bid = show(keys[0], sizes[0], held[0], m.per_unit, bids_px[n], bids_sz[n])
    last_ask = show(keys[1], sizes[1], held[1], -m.per_unit, asks_px[n], asks_sz[n])
    if kind & QUOTE:
        bid_px[n], bid_sz[n] = keys[0, held[0] - 1] / m.per_unit, sizes[0, held[0] - 1]
        ask_px[n], ask_sz[n] = -keys[1, held[1] - 1] / m.per_unit, sizes[1, held[1] - 1]
    if kind & TRADE:
        trade_px[n], trade_sz[n] = abs(m.trade_key) / m.per_unit, m.trade_sz
    return kind & QUOTE != 0 or m.key >= (last_ask if m.touched else last_bid)


@jit
def run(
    symbols: Any,
    market: Any,
    params: Any,
    books: Any,
    due: Any,
    tree: Any,
    parents: Any,
    tables: Any,
    rows: Any,
    codes: Any,
    prices: Any,
    ladders: Any,
) -> Any:
    """Fill up to `rows` rows of a frame, next event first; fewer only when the market's time is over.

    symbols: SYMBOL (S,); market: MARKET (1,); params: the scenario (1,); books: keys, sizes (S, 2, DEPTH_KEPT) and
    held (S, 2); due: int64 ns (P,), never for leaves without a symbol; tree: (2 P,); parents: (S, PARENTS); tables:
    float64 (4, TABLE); codes: ts_event, ts_recv, instrument_id, kind, side, flags, seq; prices and ladders as in
    `told`. Gives the rows written.
    """
    ts_event, ts_recv, instrument_id, kinds, side, flags, seq = codes
    keys, sizes, held = books
    w, p = market[0], params[0]
    shown = DEPTH if ladders[0].shape[1] > 0 else 0
    n = 0
    while n < rows:
        i = tree[1]
        ts, m = due[i], symbols[i]
        if ts >= p.end:
            break
        reopens = m.phase == REOPENS
        kind = happened(m, w, p, keys[i], sizes[i], held[i], parents[i], tables, ts)
        due[i] = due_next(m, p, ts)
        replay(tree, due, i)
        kind &= QUOTE | TRADE | STATUS | shown
        if kind == 0 or not told(m, kind, keys[i], sizes[i], held[i], n, ladders, prices):
            continue
        ts_event[n], ts_recv[n], instrument_id[n], kinds[n] = ts, ts, i, kind
        side[n] = m.trade_side if kind & TRADE else 0
        flags[n] = (HALTED_PAUSED if kind & STATUS and m.phase == PAUSED else 0) | (SNAPSHOT if reopens else 0)
        seq[n] = w.seq
        w.seq += 1
        n += 1
    return n
