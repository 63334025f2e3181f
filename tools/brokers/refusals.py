"""What a broker's refusal means: the reason a session is told, and whether a change of state may mend it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from gpi.tools.brokers.alpaca import wire
from gpi.tools.brokers.alpaca.rest import Reply

UNIQUE: Final = "client_order_id must be unique"
WORDS: Final = (  # the first that stands in the message decides
    ("wash trade", "SELF_TRADE"),
    ("buying power", "BUYING_POWER"),
    ("insufficient qty", "INSUFFICIENT_QTY"),
    ("insufficient balance", "BUYING_POWER"),
    ("short", "SHORT_LOCATE"),
    ("not tradable", "MARKET_STATE"),
    ("halted", "MARKET_STATE"),
    ("market is closed", "MARKET_STATE"),
    ("not authorized", "NOT_AUTHORISED"),
    ("forbidden", "NOT_AUTHORISED"),
)


def reason(reply: Reply) -> str:
    """The name of the reason for a refused order."""
    words = reply.message.lower()
    for part, name in WORDS:
        if part in words:
            return name
    if reply.status == 401:
        return "NOT_AUTHORISED"
    return "MALFORMED" if reply.status in (400, 422) else "BROKER_REFUSED"


def taken(reply: Reply) -> bool:
    """Whether the broker has an order of this client_order_id already: not a refusal but the echo of an accept."""
    return reply.status in (400, 409, 422) and UNIQUE in reply.message.lower()


def uncertain(reply: Reply) -> bool:
    """Whether the request may have been carried out all the same."""
    return reply.status < 400 or reply.status >= 500 or reply.status == 408


def in_the_way(reply: Reply) -> list[str]:
    """The broker ids of the orders that a refusal names: when they are gone, it may be tried once more."""
    body: Any = reply.body if isinstance(reply.body, dict) else {}
    named = body.get("related_orders")
    found = [*named] if isinstance(named, list) else []
    return [str(each) for each in (*found, body.get("existing_order_id")) if each]


def too_late(reply: Reply) -> bool:
    """Whether a replacement was refused for what has become of its order, and not for what it asks."""
    words = reply.message.lower()
    return reply.status in (404, 422) and any(
        each in words for each in ("open order", "replaced", "not found", "filled")
    )


def unheard(reply: Reply, position: Decimal) -> bool:
    """Whether an order was refused for a position that is not the one we knew of: a fill was on its way to us."""
    body: Any = reply.body if isinstance(reply.body, dict) else {}
    held = wire.number(body.get("existing_qty"))
    return reason(reply) == "INSUFFICIENT_QTY" and held is not None and abs(held) != abs(position)
