"""Wash trades: an order that could meet the account's own open order on the other side is refused, in paper too."""

from __future__ import annotations

from typing import Final

from gpi.tools.venue.accounts.account import Account
from gpi.tools.venue.accounts.orders import Order
from gpi.tools.venue.refusals import forbidden

EXEMPT: Final = {"bracket", "oco", "oto", "mleg"}


def wash(account: Account, order: Order) -> None:
    """Raise Refusal 403 with the id of the order it could meet.

    A market or stop order meets anything on the other side; two limits meet when the buy is at or above the sell.
    Complex orders and trailing stops are exempt.
    """
    if order.order_class in EXEMPT or order.type == "trailing_stop":
        return
    for other in account.working.values():
        if other.instrument is None or order.instrument is None or other.instrument.id != order.instrument.id:
            continue
        if other.side != -order.side or other.order_class in EXEMPT or other.type == "trailing_stop":
            continue
        if _could_meet(order, other):
            raise forbidden(
                "potential wash trade detected. use complex orders",
                existing_order_id=other.id,
                reject_reason="opposite side market/stop order exists"
                if other.type in ("market", "stop")
                else "opposite side limit order exists",
            )


def _could_meet(one: Order, other: Order) -> bool:
    buy, sell = (one, other) if one.side > 0 else (other, one)
    if buy.limit_price is None or sell.limit_price is None:
        return True
    return buy.limit_price >= sell.limit_price
