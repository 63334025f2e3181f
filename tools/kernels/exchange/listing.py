"""The open orders of an instrument: two lists of slots, best price first, then oldest; and what works in them."""

from gpi.formats.words import BUY
from gpi.tools.kernels.jit import borrowing
from gpi.tools.kernels.orders import Engine
from gpi.tools.kernels.trader.exposure import touch, weigh


@borrowing
def link(e: Engine, slot: int) -> None:
    """Put an order into its instrument's list: best price first, then oldest."""
    o = e.pool[slot]
    it = e.instruments[o.instrument_id]
    before = -1
    here = it.buys if o.side == BUY else it.sells
    while here >= 0 and e.pool[here].rank >= o.rank:
        before = here
        here = e.pool[here].next
    o.prev = before
    o.next = here
    if here >= 0:
        e.pool[here].prev = slot
    if before >= 0:
        e.pool[before].next = slot
    elif o.side == BUY:
        it.buys = slot
    else:
        it.sells = slot


@borrowing
def unlink(e: Engine, slot: int) -> None:
    """Take an order out of its instrument's list."""
    o = e.pool[slot]
    it = e.instruments[o.instrument_id]
    if o.next >= 0:
        e.pool[o.next].prev = o.prev
    if o.prev >= 0:
        e.pool[o.prev].next = o.next
    elif o.side == BUY:
        it.buys = o.next
    else:
        it.sells = o.next


@borrowing
def working(e: Engine, slot: int, qty: float, orders: int) -> None:
    """Change what works for an instrument by `qty` and `orders`; exactly zero when nothing works.

    A leg that can only undo its parent works for nothing until the parent has filled.
    """
    o = e.pool[slot]
    if o.uncounted:
        return
    it = e.instruments[o.instrument_id]
    if o.side == BUY:
        it.n_buys += orders
        e.account.open_buys += orders
        it.buying = it.buying + qty if it.n_buys > 0 else 0.0
        e.account.buy_cost = e.account.buy_cost + qty * o.unit_cost if e.account.open_buys > 0 else 0.0
    else:
        it.n_sells += orders
        it.selling = it.selling + qty if it.n_sells > 0 else 0.0
        if o.special and o.covered:
            it.spread_selling = it.spread_selling + qty if it.n_sells > 0 else 0.0
    touch(e, o.instrument_id)
    weigh(e, o.instrument_id)
