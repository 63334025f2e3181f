"""Amend: finding and cancelling what is open; `replacing` puts another order in its place."""

from __future__ import annotations

from decimal import Decimal

from gpi.tools.venue.accounts.account import Account
from gpi.tools.venue.accounts.ledgers import Ledgers
from gpi.tools.venue.accounts.orders import Order
from gpi.tools.venue.refusals import missing, unprocessable


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
    if order.of_several:
        raise unprocessable("a leg of a multi-leg order cannot be canceled alone")
    now = order.at(ledgers.world.clock.now())
    if ledgers.world.faults.hit("orders.cancel", symbol=order.symbol) is not None and order.exchange_id:
        _fill_instead(ledgers, order, now)
        return
    if order.status in ("new", "partially_filled", "accepted"):
        order.status, order.updated_at = "pending_cancel", now
        ledgers.updates.tell(order, "pending_cancel", now)
    for each in (order, *siblings(order)):
        if not (each.exchange_id and ledgers.world.exchange.cancel(each.exchange_id)):
            ledgers.end(each, now, "canceled")
    ledgers.settle(ledgers.world.exchange.events())


def siblings(order: Order) -> list[Order]:
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
