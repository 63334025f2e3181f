"""Alpaca's wire: a body from an OrderRequest, facts from whatever JSON comes back. Odd replies raise nothing here."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import Any, Final, NamedTuple

from gpi.formats.execution import OrderRequest
from gpi.formats.instruments import Instrument
from gpi.formats.words import (
    CANCELED,
    CLS,
    DAY,
    EXPIRED,
    FILLED,
    FOK,
    GTC,
    IOC,
    LIMIT,
    MARKET,
    OPG,
    REJECTED,
    STOP,
    STOP_LIMIT,
    TRAILING,
)
from gpi.tools.brokers.executions import ACTIVITY, STREAM, ZERO, Execution

TYPES: Final = {LIMIT: "limit", MARKET: "market", STOP: "stop", STOP_LIMIT: "stop_limit", TRAILING: "trailing_stop"}
TIFS: Final = {GTC: "gtc", IOC: "ioc", DAY: "day", FOK: "fok", OPG: "opg", CLS: "cls"}
ENDS: Final = {
    "filled": FILLED, "canceled": CANCELED, "expired": EXPIRED, "rejected": REJECTED, "replaced": CANCELED,
}  # fmt: skip
STATUSES: Final = frozenset(ENDS) | {
    "new", "partially_filled", "done_for_day", "pending_cancel", "pending_replace", "pending_review", "accepted",
    "pending_new", "accepted_for_bidding", "stopped", "suspended", "calculated", "held",
}  # fmt: skip
MOST: Final = Decimal(10) ** 18
NOISE: Final = Decimal("0.000001")  # of a step: what floating point adds, and no one's intention
LATEST_NS: Final = 2**63
DOLLAR: Final = Decimal(1)
SUB_DOLLAR: Final = Decimal("0.0001")


class Unsendable(Exception):
    """An ask that cannot be put on the wire; the text says why."""


class Told(NamedTuple):
    """One order as the broker tells it."""

    broker_id: str
    client_id: str
    symbol: str
    status: str
    side: int
    qty: Decimal
    filled: Decimal
    ts: int  # ns, when it last changed
    type: str = ""
    legs: tuple[Told, ...] = ()

    @property
    def end(self) -> int:
        """The action that ended it, 0 while it works."""
        return ENDS.get(self.status, 0)


def key(symbol: str) -> str:
    """A symbol without what spellings differ in: `BTC/USD` and `BTCUSD`, padded OCC names and bare ones."""
    return symbol.replace("/", "").replace(" ", "").upper()


def _spelled(instrument: Instrument) -> str:
    if instrument.asset_class == "option":
        return instrument.symbol.replace(" ", "")
    return instrument.symbol


def order_body(request: OrderRequest, instrument: Instrument, client_id: str) -> dict[str, Any]:
    """The JSON of a new order; numbers are strings on the instrument's grid. Raises Unsendable."""
    if request.order_type not in TYPES or request.tif not in TIFS or request.side not in (1, -1):
        raise Unsendable("an order type, time in force or side that Alpaca does not know")
    if request.parent or request.sibling:
        raise Unsendable("a leg goes to Alpaca together with the order that it depends on, not later")
    qty = quantity(request.qty, instrument)
    body: dict[str, Any] = {
        "symbol": _spelled(instrument),
        "qty": _plain(qty),
        "side": "buy" if request.side > 0 else "sell",
        "type": TYPES[request.order_type],
        "time_in_force": _tif(request, instrument, qty),
        "client_order_id": client_id,
    }
    if request.order_type in (LIMIT, STOP_LIMIT):
        body["limit_price"] = _plain(_price(request.px, request.side, instrument))
    if request.order_type in (STOP, STOP_LIMIT):
        body["stop_price"] = _plain(_price(request.stop_px, -request.side, instrument))
    if request.order_type == TRAILING:
        name = "trail_percent" if request.trail_fraction else "trail_price"
        trail = request.trail * 100 if request.trail_fraction else request.trail
        body[name] = _plain(_on_grid(trail, Decimal("0.01"), ROUND_CEILING, "trail"))
    if request.extended:
        body["extended_hours"] = True
    return body


def quantity(qty: float, instrument: Instrument) -> Decimal:
    """On the instrument's grid. Raises Unsendable."""
    return _on_grid(qty, _decimal(instrument.lot_size), ROUND_FLOOR, "quantity")


def price(px: float, side: int, instrument: Instrument) -> str:
    """As it is sent: on the grid, rounded away from the market for that side. Raises Unsendable."""
    return _plain(_price(px, side, instrument))


def replacement(
    request: OrderRequest, was: OrderRequest, instrument: Instrument, before: Decimal
) -> tuple[dict[str, Any], Decimal | None]:
    """(JSON of a replacement but for its id, the size of the order that works now, if it changes). Raises Unsendable.

    `before`: what was filled of the orders that it has replaced; the broker counts only the present one's.
    """
    body: dict[str, Any] = {}
    qty = None
    if not math.isnan(request.qty) and request.qty != was.qty:
        qty = quantity(request.qty, instrument) - before
        if qty != qty.to_integral_value():
            raise Unsendable("Alpaca replaces whole shares only")
        body["qty"] = _plain(qty)
    if not math.isnan(request.px) and request.order_type in (LIMIT, STOP_LIMIT):
        body["limit_price"] = _plain(_price(request.px, request.side, instrument))
    if not math.isnan(request.stop_px) and request.order_type in (STOP, STOP_LIMIT):
        body["stop_price"] = _plain(_price(request.stop_px, -request.side, instrument))
    if not math.isnan(request.trail) and request.order_type == TRAILING:
        trail = request.trail * 100 if was.trail_fraction else request.trail
        body["trail"] = _plain(_on_grid(trail, Decimal("0.01"), ROUND_CEILING, "trail"))
    return body, qty


def _tif(request: OrderRequest, instrument: Instrument, qty: Decimal) -> str:
    """Alpaca's name for it. What must not rest is never sent as what rests: that raises Unsendable."""
    rests = request.tif in (GTC, DAY)
    if instrument.asset_class == "crypto":
        if not rests and request.tif != IOC:
            raise Unsendable("in crypto Alpaca knows GTC and IOC only")
        return "gtc" if rests else "ioc"
    if instrument.asset_class == "option" or qty != qty.to_integral_value():
        if not rests:
            raise Unsendable("Alpaca takes options and fractions of a share for the day only")
        return "day"
    return TIFS[request.tif]


def _price(px: float, side: int, instrument: Instrument) -> Decimal:
    """On the price grid, never more aggressive than asked: buys are rounded down, sells up."""
    step = _decimal(instrument.tick_size)
    listed = instrument.asset_class == "equity" and step.is_finite() and step > SUB_DOLLAR
    if listed and math.isfinite(px) and _decimal(px) < DOLLAR:
        step = SUB_DOLLAR
    return _on_grid(px, step, ROUND_FLOOR if side > 0 else ROUND_CEILING, "price")


def _on_grid(value: float, step: Decimal, rounding: str, what: str) -> Decimal:
    if not math.isfinite(value) or not value > 0:
        raise Unsendable(f"the {what} {value} is not a number above 0")
    if not (step.is_finite() and step > 0):
        raise Unsendable(f"the instrument's step of {what}, {step}, is not a number above 0")
    steps = _decimal(value) / step
    whole = steps.to_integral_value(ROUND_HALF_EVEN)
    if abs(steps - whole) > NOISE:
        whole = steps.to_integral_value(rounding)
    if whole <= 0:
        raise Unsendable(f"the {what} {value} is below one step of {step}")
    return whole * step


def _decimal(value: float) -> Decimal:
    return Decimal(repr(float(value)))


def _plain(value: Decimal) -> str:
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def order(data: Any, legs: bool = True) -> Told | None:
    """An order object, with its legs if they are told; None where it is none."""
    if not isinstance(data, dict) or not isinstance(data.get("id"), str) or not data["id"]:
        return None
    told = data.get("legs") if legs else None
    when = data.get("updated_at") or data.get("submitted_at") or data.get("created_at")
    return Told(
        data["id"],
        str(data.get("client_order_id") or ""),
        str(data.get("symbol") or ""),
        str(data.get("status") or ""),
        {"buy": 1, "sell": -1}.get(str(data.get("side")), 0),
        number(data.get("qty")) or ZERO,
        number(data.get("filled_qty")) or ZERO,
        nanoseconds(when),
        str(data.get("type") or data.get("order_type") or ""),
        tuple(leg for leg in (order(each, False) for each in told) if leg) if isinstance(told, list) else (),
    )


def execution(data: dict[str, Any]) -> Execution | None:
    """The execution in a fill or partial_fill update; None where there is none."""
    told = data.get("order") if isinstance(data.get("order"), dict) else {}
    qty, px = number(data.get("qty")), number(data.get("price"))
    if not data.get("execution_id") or qty is None or px is None:
        return None
    cumulative = number((told or {}).get("filled_qty")) or ZERO
    return Execution(str(data["execution_id"]), nanoseconds(data.get("timestamp")), qty, px, cumulative, STREAM)


def activity(data: Any) -> tuple[str, Execution] | None:
    """(broker's order id, execution) of one row of /account/activities/FILL; None where it is none.

    Its id is a time, `::`, and a uuid; where that is the execution's own, the two are the same by it.
    """
    if not isinstance(data, dict) or not data.get("id") or not data.get("order_id"):
        return None
    qty, px = number(data.get("qty")), number(data.get("price"))
    if qty is None or px is None:
        return None
    own = str(data["id"]).rpartition("::")[2]
    when, cumulative = nanoseconds(data.get("transaction_time")), number(data.get("cum_qty")) or ZERO
    return str(data["order_id"]), Execution(own, when, qty, px, cumulative, ACTIVITY)


def number(value: Any) -> Decimal | None:
    """A number as the wire has it (a string, mostly); None for anything that no price, quantity or sum can be."""
    if value is None or isinstance(value, bool):
        return None
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        return None
    return found if found.is_finite() and abs(found) < MOST else None


def nanoseconds(text: Any) -> int:
    """An RFC 3339 time as ns UTC, with all its digits; 0 for anything else, and for what 64 bits cannot tell."""
    if not isinstance(text, str) or len(text) < 20:
        return 0
    head, rest = text[:19], text[19:]
    at = min((rest.find(c) for c in "Zz+-" if c in rest), default=-1)
    if at < 0:
        return 0
    digits, zone = rest[:at].lstrip("."), rest[at:].upper()
    if digits and not (digits.isascii() and digits.isdigit()):
        return 0
    try:
        moment = datetime.fromisoformat(head + ("+00:00" if zone == "Z" else zone))
        seconds = (moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return 0
    found = int(seconds) * 1_000_000_000 + int((digits or "0")[:9].ljust(9, "0"))
    return found if 0 < found < LATEST_NS else 0  # Go writes the year 1 where it has no time
