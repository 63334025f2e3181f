"""Replacing: another order in the place of an open one, as PATCH asks for it.

As in FIX, `qty` counts what has been filled already: the new order's own quantity is the rest. Of a bracket, an OCO or
an OTO the prices can be replaced, not the quantity: its orders belong together. A multi-leg order is replaced as a
whole, with new legs for the rest; one of its legs cannot be.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from decimal import Decimal
from typing import Any, Final

from gpi.formats.words import ACCEPTED
from gpi.tools.venue.accounts.account import Account
from gpi.tools.venue.accounts.amend import siblings
from gpi.tools.venue.accounts.entry import TIFS, enter
from gpi.tools.venue.accounts.ledgers import Ledgers
from gpi.tools.venue.accounts.margin import afford, closable
from gpi.tools.venue.accounts.orders import Order, wire
from gpi.tools.venue.accounts.rules import increment
from gpi.tools.venue.accounts.tickets import LONGEST_ID
from gpi.tools.venue.money import ZERO, given, places
from gpi.tools.venue.refusals import malformed, unprocessable

LASTING: Final = ("day", "gtc")  # times in force an order that works can get
PARAMETERS: Final = ("limit_price", "stop_price", "trail_price", "trail_percent", "tif")


def replace(ledgers: Ledgers, account: Account, order: Order, body: Any) -> dict[str, Any]:
    """Another order in the place of this one; the new one's JSON. Raises Refusal."""
    if not isinstance(body, Mapping):
        raise malformed("request body format is invalid")
    if not order.open or order.status == "pending_cancel":
        raise malformed("only open orders can be replaced")
    if order.of_several:
        raise unprocessable("a leg of a multi-leg order cannot be replaced alone")
    if order.notional is not None:
        raise unprocessable("notional orders cannot be replaced")
    new = _changed(ledgers, account, order, body)
    now = new.submitted_at
    if order.instrument is not None:
        shortable = ledgers.assets.terms(order.instrument).shortable
        closable(account, new, shortable, without=[order, *siblings(order)])
    afford(account, ledgers.prices, new, instead_of=order)
    for each in (new, *new.legs):
        account.add(each)
    answered = wire(new)
    if ledgers.world.faults.hit("orders.replace", symbol=order.symbol) is not None:
        ledgers.end(new, now, "rejected")
        ledgers.updates.tell(order, "order_replace_rejected", order.at(now))
        return answered
    if order.instrument is None:
        _several_at_the_exchange(ledgers, order, new)
    elif order.exchange_id:
        _at_the_exchange(ledgers, order, new)
    else:
        if order in ledgers.waiting:
            ledgers.waiting[ledgers.waiting.index(order)] = new
        new.status = order.status
        _takes_the_place(ledgers, order, new)
        ledgers.end(order, now, "replaced")
    return answered


def _takes_the_place(ledgers: Ledgers, order: Order, new: Order) -> None:
    """The new order's family is the old one's, and its time in force begins."""
    order.replaced_by = new.id
    for leg in order.legs:
        leg.parent = new
    new.legs, order.legs = order.legs, []
    if order.parent is not None:
        order.parent.legs[order.parent.legs.index(order)] = new
    elif new.tif != order.tif:
        new.expires_at = None
        ledgers.expires(new, new.submitted_at)


def _at_the_exchange(ledgers: Ledgers, order: Order, new: Order) -> None:
    """Ask the exchange; where there is nothing left to replace the new order is rejected."""
    exchange = ledgers.world.exchange
    trail = new.trail_price if new.trail_price is not None else new.trail_percent
    new_id = exchange.replace(
        order.exchange_id,
        qty=None if new.size == order.leaves else float(new.size + order.filled_qty),
        px=_new(new.limit_price, order.limit_price),
        stop_px=_new(new.stop_price, order.stop_price),
        trail=_trail(new, trail) if trail not in (order.trail_price, order.trail_percent) else None,
        tif=None if new.tif == order.tif else TIFS[new.tif],
    )
    told = exchange.events()
    if new_id is None:
        ledgers.end(new, new.submitted_at, "rejected")
    else:
        new.exchange_id = new_id
        ledgers.by_exchange[new_id] = new
        _takes_the_place(ledgers, order, new)
        if order.status == "held":  # its entry has not filled: it goes on waiting under its new name
            new.status = "held"
            told = [each for each in told if (each.order_id, each.action) != (new_id, ACCEPTED)]
    ledgers.settle(told)


def _several_at_the_exchange(ledgers: Ledgers, order: Order, new: Order) -> None:
    """The old legs leave the exchange together, and the new ones enter for what is left; the old ones keep their fills.

    A combination has no place in a queue that it could lose.
    """
    exchange, now = ledgers.world.exchange, new.submitted_at
    for leg in order.legs:
        ledgers.by_exchange.pop(leg.exchange_id, None)  # what it says of their end is ours to say
    if not exchange.cancel(order.legs[0].exchange_id):
        ledgers.end(new, now, "rejected")
        return
    ledgers.settle(exchange.events())
    for old, instead in zip((order, *order.legs), (new, *new.legs), strict=True):
        old.replaced_by = instead.id
        ledgers.end(old, now, "replaced")
    enter(ledgers, new)


def _new(value: Decimal | None, old: Decimal | None) -> float | None:
    return None if value is None or value == old else float(value)


def _trail(order: Order, trail: Decimal | None) -> float | None:
    if trail is None:
        return None
    return float(trail / 100) if order.trail_percent is not None else float(trail)


def _changed(ledgers: Ledgers, account: Account, order: Order, body: Mapping[str, Any]) -> Order:
    """A copy with the changes, as a new order that waits for the old one's end. Raises Refusal."""
    new = copy(order)
    new.client_order_id = _named(ledgers, account, body)
    new.qty = _rest(order, given(body.get("qty"), "qty"))
    new.tif = _lasting(order, body.get("time_in_force"))
    _priced(order, new, body)
    if new.qty == order.leaves and all(getattr(new, word) == getattr(order, word) for word in PARAMETERS):
        raise unprocessable("order parameters are not changed")
    new.submitted_at = ledgers.moment()
    _fresh(ledgers, order, new)
    new.legs = []
    for leg in order.legs if order.instrument is None else ():
        again = copy(leg)
        _fresh(ledgers, leg, again)
        again.client_order_id, again.parent, again.submitted_at = ledgers.uuid(), new, new.submitted_at
        again.qty, again.limit_price = (leg.ratio_qty or ZERO) * new.size, leg.limit_price
        new.legs.append(again)
    return new


def _fresh(ledgers: Ledgers, order: Order, new: Order) -> None:
    """Nothing has happened to it yet."""
    new.id, new.replaces, new.replaced_by = ledgers.uuid(), order.id, None
    new.filled_qty = new.cost = ZERO
    new.updated_at, new.exchange_id, new.status = None, 0, "pending_new"
    new.filled_at = new.canceled_at = new.expired_at = new.failed_at = new.replaced_at = None


def _named(ledgers: Ledgers, account: Account, body: Mapping[str, Any]) -> str:
    named = body.get("client_order_id") or ledgers.uuid()
    if not isinstance(named, str) or len(named) > LONGEST_ID or named in account.by_client:
        raise malformed("client_order_id must be unique")
    return named


def _rest(order: Order, qty: Decimal | None) -> Decimal:
    """The new order's own quantity: of what is asked for, what has not been filled."""
    if qty is None:
        return order.leaves
    if qty <= 0:
        raise malformed("qty and prices must be > 0")
    if qty != order.size and places(qty) > 0:
        raise unprocessable("qty must be a whole number")
    if qty <= order.filled_qty:
        raise unprocessable("qty must be greater than filled qty")
    if qty != order.size and order.instrument is not None and order.order_class:
        raise unprocessable(f"qty of {order.order_class} orders cannot be changed, only their prices")
    return qty - order.filled_qty


def _lasting(order: Order, tif: Any) -> str:
    """The new time in force: an order that works already can neither meet an auction nor go at once."""
    if tif is None or tif == order.tif:
        return order.tif
    if not isinstance(tif, str) or tif not in TIFS:
        raise malformed(f"invalid time_in_force: {tif}")
    coin = order.instrument is not None and order.instrument.asset_class == "crypto"
    fraction = order.qty is not None and places(order.qty) > 0
    if tif not in LASTING or order.tif not in LASTING or coin or order.instrument is None or fraction:
        raise unprocessable(f"time_in_force cannot be changed from {order.tif} to {tif}")
    if order.order_class:
        raise unprocessable(f"time_in_force of {order.order_class} orders cannot be changed, only their prices")
    return tif


def _priced(order: Order, new: Order, body: Mapping[str, Any]) -> None:
    """The new prices. Raises Refusal for those that an order of this type does not have."""
    limit, stop = given(body.get("limit_price"), "limit_price"), given(body.get("stop_price"), "stop_price")
    trail, credit = given(body.get("trail"), "trail"), order.instrument is None
    if (limit is not None and order.limit_price is None) or (stop is not None and order.stop_price is None):
        raise unprocessable(f"{order.type} orders have no such price")
    if trail is not None and order.trail_price is None and order.trail_percent is None:
        raise unprocessable(f"{order.type} orders have no trail")
    if any(number is not None and number <= 0 for number in (None if credit else limit, stop, trail)):
        raise malformed("qty and prices must be > 0")
    if order.instrument is not None:
        increment(order.instrument, "limit", limit)
        increment(order.instrument, "stop", stop)
        if order.trail_price is not None:
            increment(order.instrument, "trail_price", trail)
    elif limit is not None and places(limit) > 2:
        raise unprocessable("limit_price can have no more than 2 decimal places")
    new.limit_price = order.limit_price if limit is None else limit
    new.stop_price = order.stop_price if stop is None else stop
    if trail is not None:
        new.trail_price, new.trail_percent = (trail, None) if order.trail_price is not None else (None, trail)
