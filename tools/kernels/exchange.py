"""The venue's half of a tick: what reaches it, what the book does to the orders there. No trader, no account.

The trading engine (`gpi.tools.kernels.engine`) puts a trader behind it; the local exchange
(`gpi.tools.venue.exchange`) a wire. Both fill orders by these very functions.
"""

from gpi.tools.kernels import paper
from gpi.tools.kernels.jit import inlined, jit
from gpi.tools.kernels.matching import arrive, clear, keep_taken, on_quote, on_trade, show_best, withdraw
from gpi.tools.kernels.orders import (
    CANCELED,
    DEPTH,
    FOREIGN,
    GAP,
    INSTRUMENTS,
    NEW,
    OPEN,
    PAPER,
    QUOTE,
    REQUESTS,
    STATUS,
    TRADE,
    WAITING,
    WIRE,
    Array,
)
from gpi.tools.kernels.quotes import observe, show_depth, status


@jit
def enter(desk: Array, instruments: Array, ladders: Array, pool: Array, wire: Array, slot: int, ts: int) -> None:
    """A new order reaches the venue."""
    ladder = ladders[pool[slot].instrument_id]
    if desk[0].policy == PAPER:
        paper.arrive(desk, instruments, pool, wire, ladder, slot, ts)
    else:
        arrive(desk, instruments, pool, wire, ladder, slot, ts)


@jit
def arrivals(desk: Array, instruments: Array, ladders: Array, pool: Array, wire: Array, until: int) -> None:
    """Requests due by `until` reach the venue, each at its own time."""
    d = desk[0]
    while d.requests > 0 and wire[REQUESTS, d.request_at].due <= until:
        m = wire[REQUESTS, d.request_at]
        d.request_at = d.request_at + 1 if d.request_at + 1 < wire.shape[1] else 0
        d.requests -= 1
        if pool[m.slot].order_id != m.order_id:
            continue
        if m.kind == NEW:
            enter(desk, instruments, ladders, pool, wire, m.slot, m.due)
        else:
            withdraw(desk, pool, wire, m.slot, m.due, CANCELED)


@inlined
def tick(
    desk: Array, instruments: Array, ladders: Array, pool: Array, wire: Array,
    ts: int, i: int, kind: int, side: int, flags: int,
    bid_px: float, bid_sz: float, ask_px: float, ask_sz: float, trade_px: float, trade_sz: float,
    bids_px: Array, bids_sz: Array, asks_px: Array, asks_sz: Array, row: int,
) -> None:  # fmt: skip
    """One tick changes the book of its instrument and fills the orders that wait there."""
    d, it, ladder = desk[0], instruments[i], ladders[i]
    if flags & GAP:
        clear(ladder)
        if it.phase == OPEN:
            it.phase = WAITING
    if kind & STATUS:
        status(desk, instruments, ladders, pool, wire, i, ts, flags)
    if kind & TRADE and d.policy != PAPER and (it.buys >= 0 or it.sells >= 0):
        on_trade(desk, instruments, pool, wire, i, ts, side, flags, trade_px, trade_sz)
    if kind & (QUOTE | DEPTH):
        if kind & DEPTH and bids_px.shape[1] == ladder.shape[1] and row < bids_px.shape[0]:
            show_depth(ladder, bids_px[row], bids_sz[row], asks_px[row], asks_sz[row])
        else:
            show_best(ladder, 0, 1, bid_px, bid_sz, it.near)
            show_best(ladder, 2, -1, ask_px, ask_sz, it.near)
        if ladder[5, 0] > 0.0 or ladder[7, 0] > 0.0:
            keep_taken(ladder, it.near)
        observe(instruments, ladder, i, ts)
        if it.buys >= 0 or it.sells >= 0:
            if d.policy == PAPER:
                paper.on_quote(desk, instruments, pool, wire, ladder, i, ts)
            else:
                on_quote(desk, instruments, pool, wire, ladder, i, ts)


@jit
def fold(
    desk: Array, instruments: Array, ladders: Array, pool: Array, wire: Array,
    ts: Array, instrument_id: Array, kind: Array, side: Array, flags: Array,
    bid_px: Array, bid_sz: Array, ask_px: Array, ask_sz: Array, trade_px: Array, trade_sz: Array,
    bids_px: Array, bids_sz: Array, asks_px: Array, asks_sz: Array, start: int,
) -> int:  # fmt: skip
    """Rows start.. of a batch, without a trader; returns the first row not done, and why in `desk.stop`."""
    d = desk[0]
    for row in range(start, ts.shape[0]):
        i = instrument_id[row]
        d.stop = FOREIGN if i < 0 else INSTRUMENTS if i >= ladders.shape[0] else 0
        if d.responses + (d.open_orders + 1) * (2 * ladders.shape[2] + 3) >= wire.shape[1]:
            d.stop = WIRE
        if d.stop:
            return row
        d.now = max(ts[row], d.now)
        tick(
            desk, instruments, ladders, pool, wire, d.now, i, kind[row], side[row], flags[row],
            bid_px[row], bid_sz[row], ask_px[row], ask_sz[row], trade_px[row], trade_sz[row],
            bids_px, bids_sz, asks_px, asks_sz, row,
        )  # fmt: skip
    return int(ts.shape[0])
