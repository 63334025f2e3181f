"""Order: one order as the venue knows it, and as Alpaca writes it."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from gpi.formats.instruments import Instrument
from gpi.tools.venue.alpaca.assets import CLASSES, asset_id, wire_symbol
from gpi.tools.venue.money import NANO, ZERO, maybe, stamped, text

SIDES: Final = {1: "buy", -1: "sell", 0: ""}
CLOSED: Final = {"filled", "canceled", "expired", "replaced", "rejected", "done_for_day"}  # no longer working


@dataclass(slots=True, eq=False)
class Order:
    """Mutable; quantities and prices are decimals, times ns UTC. `exchange_id` is 0 while the book has not seen it."""

    id: str
    key_id: str
    client_order_id: str
    instrument: Instrument | None  # None: the top of a multi-leg order
    side: int
    type: str
    tif: str
    qty: Decimal | None
    submitted_at: int
    notional: Decimal | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_price: Decimal | None = None
    trail_percent: Decimal | None = None
    extended: bool = False
    order_class: str = ""
    intent: str | None = None
    ratio_qty: Decimal | None = None
    status: str = "pending_new"
    filled_qty: Decimal = ZERO
    cost: Decimal = ZERO  # sum of quantity times price of all fills
    hwm: Decimal | None = None
    legs: list[Order] = field(default_factory=list)
    parent: Order | None = None
    replaced_by: str | None = None
    replaces: str | None = None
    updated_at: int | None = None
    filled_at: int | None = None
    expired_at: int | None = None
    expires_at: int | None = None
    canceled_at: int | None = None
    failed_at: int | None = None
    replaced_at: int | None = None
    exchange_id: int = 0
    source: str = "api"  # or: external, the venue's own
    reject_reason: str = ""

    @property
    def open(self) -> bool:
        """Whether it may still fill."""
        return self.status not in CLOSED

    def at(self, ts: int) -> int:
        """When something happens to it: `ts` ns, never before its beginning or what has been told of it already."""
        return max(ts, self.updated_at or self.submitted_at)

    @property
    def of_several(self) -> bool:
        """Whether it is a leg of a multi-leg order: it lives and dies with the others, not alone."""
        return self.parent is not None and self.parent.instrument is None

    @property
    def size(self) -> Decimal:
        """What was asked for, in units; zero while a notional order has not been sized."""
        return self.qty if self.qty is not None else ZERO

    @property
    def leaves(self) -> Decimal:
        """What is still unfilled."""
        return self.size - self.filled_qty if self.open else ZERO

    @property
    def average(self) -> Decimal | None:
        """The average fill price, to nine places; None before the first fill."""
        return (self.cost / self.filled_qty).quantize(NANO) if self.filled_qty else None

    @property
    def symbol(self) -> str:
        """As on the wire; "" at the top of a multi-leg order."""
        return wire_symbol(self.instrument) if self.instrument else ""


def wire(order: Order, nested: bool = True) -> dict[str, Any]:
    """The order as JSON; its legs inside it if `nested`."""
    there, symbol = order.instrument, order.symbol
    return {
        "id": order.id,
        "client_order_id": order.client_order_id,
        "created_at": stamped(order.submitted_at),
        "updated_at": stamped(order.updated_at or order.submitted_at),
        "submitted_at": stamped(order.submitted_at),
        "filled_at": stamped(order.filled_at),
        "expired_at": stamped(order.expired_at),
        "expires_at": stamped(order.expires_at),
        "canceled_at": stamped(order.canceled_at),
        "failed_at": stamped(order.failed_at),
        "replaced_at": stamped(order.replaced_at),
        "replaced_by": order.replaced_by,
        "replaces": order.replaces,
        "asset_id": asset_id(symbol) if there else "",
        "symbol": symbol,
        "asset_class": CLASSES[there.asset_class] if there else "",
        "notional": maybe(order.notional),
        "qty": None if order.notional is not None else maybe(order.qty),
        "filled_qty": text(order.filled_qty),
        "filled_avg_price": maybe(order.average),
        "order_class": order.order_class,
        "order_type": order.type,
        "type": order.type,
        "side": SIDES[order.side],
        "position_intent": order.intent or ("" if there is None else None),
        "time_in_force": order.tif,
        "limit_price": maybe(order.limit_price),
        "stop_price": maybe(order.stop_price),
        "status": order.status,
        "extended_hours": order.extended,
        "legs": [wire(leg) for leg in order.legs] if nested and order.legs else None,
        "trail_percent": maybe(order.trail_percent),
        "trail_price": maybe(order.trail_price),
        "hwm": maybe(order.hwm),
        "ratio_qty": maybe(order.ratio_qty),
        "subtag": None,
        "source": None if order.source == "api" else order.source,
    }
