"""Amend: cancelling and replacing what is open."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from decimal import Decimal
from typing import Any

from gpi.tools.venue.accounts import Account
from gpi.tools.venue.entry import TIFS
from gpi.tools.venue.ledgers import Ledgers
from gpi.tools.venue.margin import afford, closable
from gpi.tools.venue.money import ZERO, given, places
from gpi.tools.venue.orders import Order, wire
from gpi.tools.venue.refusals import malformed, missing, unprocessable
from gpi.tools.venue.rules import increment
from gpi.tools.venue.tickets import LONGEST_ID


def found(account: Account, order_id: str) -> Order:
    """The order of this id. Raises Refusal 404."""
    order = account.orders.get(order_id.lower())
    if order is None:
        raise missing(f"order not found for {order_id}")
    return order


def cancel(ledgers: Ledgers, account: Account, order: Order) -> None:
    """Ask for the end of an order; what becomes of it is told on the stream. Raises Refusal 422."""
    if not order.open:
        raise unprocessable("order is not cancelable")
    if order.parent is not None and order.parent.instrument is None:
        raise unprocessable("a leg of a multi-leg order cannot be canceled alone")
    now = ledgers.world.clock.now()
    if ledgers.world.faults.hit("orders.cancel", symbol=order.symbol) is not None and order.exchange_id:
        _fill_instead(ledgers, order, now)
        return
    if order.status in ("new", "partially_filled", "accepted"):
        order.status, order.updated_at = "pending_cancel", now
        ledgers.updates.tell(order, "pending_cancel", now)
    for each in (order, *_siblings(order)):
        if not (each.exchange_id and ledgers.world.exchange.cancel(each.exchange_id)):
            ledgers.end(each, now, "canceled")
    ledgers.settle(ledgers.world.exchange.events())


def _siblings(order: Order) -> list[Order]:
    """The other exit of the same entry: one does not outlive the other's cancellation."""
    parent = order.parent or (order if order.order_class == "oco" else None)
    if parent is None or parent.instrument is None:
        return []
    group = [*parent.legs, parent] if parent.order_class == "oco" else parent.legs
    return [each for each in group if each is not order and each.open]


def _fill_instead(ledgers: Ledgers, order: Order, now: int) -> None:
    """The fault: the cancel comes too late, the order had been filled."""
    ledgers.by_exchange.pop(order.exchange_id, None)
    ledgers.world.exchange.cancel(order.exchange_id)
    ledgers.settle(ledgers.world.exchange.events())
    assert order.instrument is not None
    price = order.limit_price or ledgers.prices.now(order.instrument) or Decimal(1)
    ledgers.filled(order, now, float(order.leaves), float(price), whole=True)


def replace(ledgers: Ledgers, account: Account, order: Order, body: Any) -> dict[str, Any]:
    """Another order in the place of this one; the new one's JSON. Raises Refusal.

    As in FIX, `qty` counts what has been filled already: the new order's own quantity is the rest.
    """
    if not isinstance(body, Mapping):
        raise malformed("request body format is invalid")
    if not order.open or order.status == "pending_cancel":
        raise malformed("only open orders can be replaced")
    if order.notional is not None or order.instrument is None:
        raise unprocessable("notional and multi-leg orders cannot be replaced")
    now = ledgers.moment()
    new = _changed(ledgers, account, order, body, now)
    shortable = ledgers.assets.terms(order.instrument).shortable
    closable(account, new, shortable, without=[order, *_siblings(order)])
    afford(account, ledgers.prices, new, instead_of=order)
    account.add(new)
    if ledgers.world.faults.hit("orders.replace", symbol=order.symbol) is not None:
        answered = wire(new)
        ledgers.end(new, now, "rejected")
        ledgers.updates.tell(order, "order_replace_rejected", now)
        return answered
    answered = wire(new)
    order.replaced_by = new.id
    if order.exchange_id:
        _at_the_exchange(ledgers, order, new)
    else:
        if order in ledgers.waiting:
            ledgers.waiting[ledgers.waiting.index(order)] = new
        new.status = order.status
        ledgers.end(order, now, "replaced")
    return answered


def _at_the_exchange(ledgers: Ledgers, order: Order, new: Order) -> None:
    exchange = ledgers.world.exchange
    total = float(new.size + order.filled_qty)
    trail = new.trail_price if new.trail_price is not None else new.trail_percent
    new_id = exchange.replace(
        order.exchange_id,
        qty=None if new.size == order.leaves else total,
        px=_new(new.limit_price, order.limit_price),
        stop_px=_new(new.stop_price, order.stop_price),
        trail=_trail(new, trail) if trail not in (order.trail_price, order.trail_percent) else None,
        tif=None if new.tif == order.tif else TIFS[new.tif],
    )
    if new_id is None:
        order.replaced_by = None
        ledgers.end(new, ledgers.world.clock.now(), "rejected")
    else:
        new.exchange_id = new_id
        ledgers.by_exchange[new_id] = new
        for leg in order.legs:
            leg.parent = new
        new.legs, order.legs = order.legs, []
    ledgers.settle(exchange.events())


def _new(value: Decimal | None, old: Decimal | None) -> float | None:
    return None if value is None or value == old else float(value)


def _trail(order: Order, trail: Decimal | None) -> float | None:
    if trail is None:
        return None
    return float(trail / 100) if order.trail_percent is not None else float(trail)


def _changed(ledgers: Ledgers, account: Account, order: Order, body: Mapping[str, Any], now: int) -> Order:
    """A copy with the changes, as a new order that waits for the old one's end."""
    assert order.instrument is not None
    new = copy(order)
    new.id, new.replaces, new.replaced_by = ledgers.uuid(), order.id, None
    new.client_order_id = body.get("client_order_id") or ledgers.uuid()
    if (
        not isinstance(new.client_order_id, str)
        or len(new.client_order_id) > LONGEST_ID
        or new.client_order_id in account.by_client
    ):
        raise malformed("client_order_id must be unique")
    qty, limit = given(body.get("qty"), "qty"), given(body.get("limit_price"), "limit_price")
    stop, trail = given(body.get("stop_price"), "stop_price"), given(body.get("trail"), "trail")
    tif = body.get("time_in_force")
    if tif is not None and (not isinstance(tif, str) or tif not in TIFS):
        raise malformed(f"invalid time_in_force: {tif}")
    if (limit is not None and order.limit_price is None) or (stop is not None and order.stop_price is None):
        raise unprocessable(f"{order.type} orders have no such price")
    if any(number is not None and number <= 0 for number in (qty, limit, stop, trail)):
        raise malformed("qty and prices must be > 0")
    if qty is not None and places(qty) > 0:
        raise unprocessable("qty must be a whole number")
    if qty is not None and qty <= order.filled_qty:
        raise unprocessable("qty must be greater than filled qty")
    increment(order.instrument, "limit", limit)
    increment(order.instrument, "stop", stop)
    new.qty = (qty if qty is not None else order.size) - order.filled_qty
    new.limit_price, new.stop_price = limit or order.limit_price, stop or order.stop_price
    if trail is not None and order.trail_price is None and order.trail_percent is None:
        raise unprocessable(f"{order.type} orders have no trail")
    if trail is not None:
        new.trail_price, new.trail_percent = (trail, None) if order.trail_price is not None else (None, trail)
    new.tif = tif or order.tif
    words = ("limit_price", "stop_price", "trail_price", "trail_percent", "tif")
    if new.qty == order.leaves and all(getattr(new, word) == getattr(order, word) for word in words):
        raise unprocessable("order parameters are not changed")
    new.filled_qty = new.cost = ZERO
    new.submitted_at, new.updated_at, new.exchange_id, new.legs = now, None, 0, []
    new.filled_at = new.canceled_at = new.expired_at = new.failed_at = new.replaced_at = None
    new.status = "pending_new"
    return new
