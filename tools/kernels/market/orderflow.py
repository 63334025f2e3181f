"""A market made of order flow: who trades, posts or cancels next, and what the book looks like then.

Every symbol is one self-exciting stream of events on a price grid: limit orders, cancels and market orders
around the touch, after Cont, Stoikov, Talreja, "A stochastic model for order book dynamics", Operations
Research 58(3), 2010.

- arrivals: Hawkes with two exponential kernels on a base rate that follows a slow log-volatility and the hour
  of the day (gpi.tools.kernels.market.arrivals);
- trade signs: a handful of parent orders of Pareto length take turns (Lillo, Mike, Farmer, "Theory for long
  memory in supply and demand", Physical Review E 71, 2005), which gives a slowly decaying sign correlation;
- a fundamental value, a random walk with a common factor, towards which informed traders lean: it sets the
  volatility, the correlation between symbols, and what a crash overshoots and news moves;
- price bands and pauses after the Limit Up-Limit Down plan (luldplan.com).

The path of a symbol does not depend on who else is simulated, on how many levels are shown, nor on how the
stream is cut. Symbol i has its bids in row 2 i and its asks in row 2 i + 1 of the ladders.
"""

import math
from typing import Any

from gpi.formats.words import DEPTH, QUOTE, STATUS, TRADE
from gpi.tools.kernels.chance import uniform
from gpi.tools.kernels.data.ladder import best, extend, show
from gpi.tools.kernels.jit import inlined, jit
from gpi.tools.kernels.market.arrivals import NS, excited, revalue, tomorrow, wait
from gpi.tools.kernels.market.participants import DEPTH_LEAST, act, sown
from gpi.tools.kernels.shared import Array, Record

OPEN, PAUSED, REOPENS = 0, 1, 2  # phase
HALTED_PAUSED, SNAPSHOT = 3, 32


@jit
def shocked(m: Record, p: Record, mid: float, ts: int) -> None:
    """Begin or end the shock: news moves the value at once, a programme trades until it moved the mid."""
    if m.shock == 0 and ts >= p.start + p.shock_s * 1e9:
        m.anchor, m.shock, m.until = mid, 1 if p.programme != 0.0 else 2, ts + int(p.programme_s * 1e9)
        m.value *= 1.0 + p.news
    elif m.shock == 1:
        moved = mid / m.anchor - 1.0
        if abs(moved) >= abs(p.programme) and moved * p.programme > 0.0 or ts >= m.until:
            m.shock, m.left = 2, 0


@jit
def limited(m: Record, p: Record, bid: float, ask: float, ts: int) -> Any:
    """Whether a symbol has stood at a price band for long enough to pause.

    At the lower band: the best offer is there, or no bid is left above it (limit and straddle states of the
    plan).
    """
    low, high = math.ceil(m.reference * (1.0 - p.band)), math.floor(m.reference * (1.0 + p.band))
    if ask <= low or bid < low or bid >= high or ask > high:
        m.limit_last = ts
        if m.limit_since == 0:
            m.limit_since = ts
    elif (ts - m.limit_last) * NS >= p.clear_s:
        m.limit_since = 0
    return m.limit_since != 0 and (m.limit_last - m.limit_since) * NS >= p.limit_s


@jit
def reopened(m: Record, p: Record, keys: Array, sizes: Array, held: Array, i: int, tables: Array, ts: int) -> None:
    """The book after an auction at the value."""
    sown(m, p, keys, sizes, held, i, tables)
    m.phase, m.limit_since, m.left, m.trade_sz = OPEN, 0, 0, 0
    m.reference, m.adopted = float(int(m.value)), ts
    m.mean_px, m.mean_n, m.mean_ts = m.reference, 1.0, ts


@inlined
def happened(
    m: Record,
    market: Record,
    p: Record,
    keys: Array,
    sizes: Array,
    held: Array,
    i: int,
    parents: Array,
    tables: Array,
    ts: int,
) -> Any:
    """Let one event of symbol `i` happen at `ts` (ns): the kind of row that tells of it, or 0."""
    if ts >= m.cell_end:
        cell = (ts - p.start) // p.cell_ns
        tomorrow(market, p, cell)
        revalue(m, market, p, cell)
    if m.phase == PAUSED:
        m.phase = REOPENS
        return STATUS
    if m.phase == REOPENS:
        reopened(m, p, keys, sizes, held, i, tables, ts)
        return QUOTE | DEPTH
    b, a = 2 * i, 2 * i + 1
    bid, ask = best(keys, held, b), best(keys, held, a)
    if m.hit == 1:
        shocked(m, p, 0.5 * (bid - ask), ts)
    if p.band > 0.0 and limited(m, p, bid, -ask, ts):
        m.phase, m.left = PAUSED, 0
        return STATUS
    bid_sz, ask_sz = sizes[b, held[b] - 1], sizes[a, held[a] - 1]
    m.trade_sz = 0
    if not act(m, p, keys, sizes, held, i, parents, tables, ts):
        m.left = 0
        return 0
    r = b + m.row
    if held[r] < DEPTH_LEAST:
        extend(keys, sizes, held, r, 1 + int(2.0 * m.gap * uniform(m)), m.lot)
    same = best(keys, held, b) == bid and best(keys, held, a) == ask
    same = same and sizes[b, held[b] - 1] == bid_sz and sizes[a, held[a] - 1] == ask_sz
    return DEPTH | (TRADE if m.trade_sz > 0 else 0) | (0 if same else QUOTE)


@inlined
def due_next(m: Record, p: Record, ts: int) -> Any:
    """When the symbol's next event happens, after one at `ts` (ns)."""
    if m.phase == PAUSED:
        return ts + int(p.pause_s * 1e9)
    if m.phase == REOPENS or m.left > 0:
        return ts
    excited(m, p, ts)
    return ts + wait(m, p)


@jit
def replay(tree: Array, due: Array, i: int) -> None:
    """Play symbol `i`'s matches again in the tournament whose winner, `tree[1]`, is the next to move.

    tree: (2 P,) with P a power of two, leaves at P + i; equal times: the smaller number wins.
    """
    node = (len(tree) // 2 + i) // 2
    while node > 0:
        a, b = tree[2 * node], tree[2 * node + 1]
        tree[node] = b if due[b] < due[a] else a
        node //= 2


@inlined
def told(
    m: Record, kind: int, keys: Array, sizes: Array, held: Array, i: int, n: int, prices: Any, ladders: Any
) -> Any:
    """Write the book of symbol `i` to row `n`; False when its event lies deeper than a row shows.

    prices: bid_px, bid_sz, ask_px, ask_sz, trade_px, trade_sz; ladders: bids_px, bids_sz, asks_px, asks_sz.
    """
    bid_px, bid_sz, ask_px, ask_sz, trade_px, trade_sz = prices
    bids_px, bids_sz, asks_px, asks_sz = ladders
    b, a = 2 * i, 2 * i + 1
    if kind & STATUS:
        for k in range(bids_px.shape[1]):
            bids_px[n, k], asks_px[n, k], bids_sz[n, k], asks_sz[n, k] = math.nan, math.nan, 0.0, 0.0
    else:
        last_bid = show(keys, sizes, held, b, m.per_unit, n, bids_px, bids_sz)
        last_ask = show(keys, sizes, held, a, -m.per_unit, n, asks_px, asks_sz)
        if kind & QUOTE == 0 and m.key < (last_ask if m.row else last_bid):
            return False
    bid_px[n], ask_px[n], trade_px[n] = math.nan, math.nan, math.nan
    bid_sz[n], ask_sz[n], trade_sz[n] = 0.0, 0.0, 0.0
    if kind & QUOTE:
        bid_px[n], bid_sz[n] = best(keys, held, b) / m.per_unit, sizes[b, held[b] - 1]
        ask_px[n], ask_sz[n] = -best(keys, held, a) / m.per_unit, sizes[a, held[a] - 1]
    if kind & TRADE:
        trade_px[n], trade_sz[n] = abs(m.trade_key) / m.per_unit, m.trade_sz
    return True


@jit
def run(
    symbols: Array,
    market: Array,
    params: Array,
    books: Any,
    due: Array,
    tree: Array,
    parents: Array,
    tables: Array,
    rows: int,
    codes: Any,
    prices: Any,
    ladders: Any,
) -> int:
    """Fill up to `rows` rows of a frame, next event first; fewer only when the market's time is over.

    symbols: SYMBOL (S,); market: MARKET (1,); params: the scenario (1,); books: keys, sizes (2 S, DEPTH_KEPT)
    and held (2 S,); due: int64 ns (P,), never for leaves without a symbol; tree: (2 P,); parents: (S,
    PARENTS); tables: float64 (4, TABLE); codes: ts_event, ts_recv, instrument_id, kind, side, flags, seq;
    prices and ladders as in `told`. Gives the rows written.
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
        kind = happened(m, w, p, keys, sizes, held, i, parents, tables, ts)
        due[i] = due_next(m, p, ts)
        replay(tree, due, i)
        kind &= QUOTE | TRADE | STATUS | shown
        if kind == 0 or not told(m, kind, keys, sizes, held, i, n, prices, ladders):
            continue
        ts_event[n], ts_recv[n], instrument_id[n], kinds[n] = ts, ts, i, kind
        side[n] = m.trade_side if kind & TRADE else 0
        flags[n] = (HALTED_PAUSED if kind & STATUS and m.phase == PAUSED else 0) | (SNAPSHOT if reopens else 0)
        seq[n] = w.seq
        w.seq += 1
        n += 1
    return n
