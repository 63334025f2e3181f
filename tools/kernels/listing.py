"""The open orders of an instrument: two lists of slots, best price first, then oldest; and what works in them."""

from gpi.tools.kernels.jit import borrowing
from gpi.tools.kernels.orders import BUY, Array


@borrowing
def link(instruments: Array, pool: Array, slot: int) -> None:
    """Put an order into its instrument's list: best price first, then oldest."""
    o = pool[slot]
    it = instruments[o.instrument_id]
    before = -1
    here = it.buys if o.side == BUY else it.sells
    while here >= 0 and pool[here].rank >= o.rank:
        before = here
        here = pool[here].next
    o.prev = before
    o.next = here
    if here >= 0:
        pool[here].prev = slot
    if before >= 0:
        pool[before].next = slot
    elif o.side == BUY:
        it.buys = slot
    else:
        it.sells = slot


@borrowing
def unlink(instruments: Array, pool: Array, slot: int) -> None:
    """Take an order out of its instrument's list."""
    o = pool[slot]
    it = instruments[o.instrument_id]
    if o.next >= 0:
        pool[o.next].prev = o.prev
    if o.prev >= 0:
        pool[o.prev].next = o.next
    elif o.side == BUY:
        it.buys = o.next
    else:
        it.sells = o.next


@borrowing
def working(desk: Array, instruments: Array, pool: Array, slot: int, qty: float, orders: int) -> None:
    """Change what works for an instrument by `qty` and `orders`; exactly zero when nothing works.

    A leg that can only undo its parent works for nothing until the parent has filled.
    """
    d, o = desk[0], pool[slot]
    if o.uncounted:
        return
    it = instruments[o.instrument_id]
    if o.side == BUY:
        it.n_buys += orders
        d.open_buys += orders
        it.buying = it.buying + qty if it.n_buys > 0 else 0.0
        d.buy_cost = d.buy_cost + qty * o.unit_cost if d.open_buys > 0 else 0.0
    else:
        it.n_sells += orders
        it.selling = it.selling + qty if it.n_sells > 0 else 0.0
        if o.special and o.covered:
            it.spread_selling = it.spread_selling + qty if it.n_sells > 0 else 0.0
