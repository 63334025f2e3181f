"""Multi-leg orders: the venue itself works them, all legs at once or none.

The exchange has no book of combinations. So a combination trades when every leg's other side is displayed and the
net price of taking all of them is within its limit: debit positive, credit negative, per unit.
"""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal
from typing import TYPE_CHECKING

from gpi.formats import orders as words
from gpi.tools.venue.exchange import Request
from gpi.tools.venue.money import ZERO, exact
from gpi.tools.venue.orders import Order

if TYPE_CHECKING:
    from gpi.tools.venue.ledgers import Ledgers


def work(ledgers: Ledgers, order: Order) -> None:
    """Trade as many units as the displayed sizes and the limit allow."""
    units, net, taken = order.leaves, ZERO, []
    for leg in order.legs:
        assert leg.instrument is not None and leg.ratio_qty is not None
        quote = ledgers.world.exchange.quote(leg.instrument.id)
        px, size = (quote.ask_px, quote.ask_sz) if leg.side > 0 else (quote.bid_px, quote.bid_sz)
        if not (px > 0.0 and size > 0.0 and quote.phase == 1):
            return
        units = min(units, (exact(size) / leg.ratio_qty).to_integral_value(ROUND_DOWN))
        net += leg.side * leg.ratio_qty * exact(px)
        taken.append((leg, px))
    if units <= 0 or (order.limit_price is not None and net > order.limit_price):
        return
    for leg, px in taken:
        _take(ledgers, leg, px, units)


def _take(ledgers: Ledgers, leg: Order, px: float, units: Decimal) -> None:
    """One leg, at the price that was looked at."""
    assert leg.instrument is not None and leg.ratio_qty is not None
    qty = float(units * leg.ratio_qty)
    exchange = ledgers.world.exchange
    found = exchange.submit(Request(leg.instrument.id, leg.side, words.LIMIT, words.IOC, qty, px))
    got = ZERO
    for event in exchange.events():
        if event.order_id == found and event.action == words.FILLED:
            got += exact(event.qty)
            ledgers.filled(leg, event.ts, event.qty, event.px, leg.filled_qty + exact(event.qty) >= leg.size)
        elif event.order_id != found:
            ledgers.settle([event])
    missing = units * leg.ratio_qty - got
    if missing > 0:  # our own earlier takes may have used the level up: a combination is never half done
        ledgers.filled(leg, exchange.now, float(missing), px, leg.filled_qty + missing >= leg.size)


def worked(ledgers: Ledgers) -> None:
    """After every frame: all open combinations."""
    for order in list(ledgers.combos):
        if order.open:
            work(ledgers, order)
        if not order.open:
            ledgers.combos.remove(order)
