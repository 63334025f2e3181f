"""Ticket: an order request read from JSON and found well formed; what the market's rules say comes after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, NamedTuple

from gpi.formats.instruments import Instrument
from gpi.tools.venue.alpaca.assets import Assets
from gpi.tools.venue.money import given
from gpi.tools.venue.refusals import malformed, unprocessable

TYPES: Final = ("market", "limit", "stop", "stop_limit", "trailing_stop")
TIFS: Final = ("day", "gtc", "opg", "cls", "ioc", "fok")
CLASSES: Final = ("", "simple", "bracket", "oco", "oto", "mleg")
INTENTS: Final = {"buy_to_open": 1, "buy_to_close": 1, "sell_to_open": -1, "sell_to_close": -1}
PRICES: Final = {  # type -> limit, stop, trail wanted
    "market": (False, False, False, "market orders require no stop or limit price"),
    "limit": (True, False, False, "limit orders require only limit price"),
    "stop": (False, True, False, "stop orders require only stop price"),
    "stop_limit": (True, True, False, "stop limit orders require both stop and limit price"),
    "trailing_stop": (False, False, True, "trailing stop orders must specify one of trail_price or trail_percent"),
}
LONGEST_ID: Final = 128


class Leg(NamedTuple):
    """One leg of a multi-leg order: `ratio` contracts for each unit."""

    instrument: Instrument
    ratio: Decimal
    side: int
    intent: str | None


@dataclass(frozen=True, slots=True)
class Ticket:
    """Numbers are decimals; `instrument` is None and `side` 0 for a multi-leg order."""

    instrument: Instrument | None
    side: int
    type: str
    tif: str
    qty: Decimal | None = None
    notional: Decimal | None = None
    limit: Decimal | None = None
    stop: Decimal | None = None
    trail_price: Decimal | None = None
    trail_percent: Decimal | None = None
    extended: bool = False
    client_order_id: str = ""
    order_class: str = ""
    take_profit: Decimal | None = None
    stop_loss: Decimal | None = None
    stop_loss_limit: Decimal | None = None
    legs: tuple[Leg, ...] = ()
    intent: str | None = None


def read(body: Any, assets: Assets) -> Ticket:
    """The ticket of a POST body. Raises Refusal 422 with Alpaca's words."""
    if not isinstance(body, Mapping):
        raise malformed("request body format is invalid")
    order_class = _word(body, "order_class", CLASSES, "").replace("simple", "")
    kind = _word(body, "type", TYPES, None)
    tif = _word(body, "time_in_force", TIFS, None)
    client_order_id = body.get("client_order_id") or ""
    if not isinstance(client_order_id, str):
        raise malformed("client_order_id must be a string")
    if len(client_order_id) > LONGEST_ID:
        raise malformed(f"client_order_id must be no more than {LONGEST_ID} characters")
    qty, notional = _size(body)
    limit, stop = given(body.get("limit_price"), "limit_price"), given(body.get("stop_price"), "stop_price")
    trail = given(body.get("trail_price"), "trail_price")
    percent = given(body.get("trail_percent"), "trail_percent")
    profit, loss, loss_limit = _exits(body, order_class)
    if order_class == "oco" and limit is None:
        limit = profit  # an OCO's own price is its take-profit
    _priced(kind, limit, stop, trail, percent, any_sign=order_class == "mleg")
    common = {"qty": qty, "notional": notional, "limit": limit, "client_order_id": client_order_id}
    if order_class == "mleg":
        legs = _legs(body, kind, assets)
        return Ticket(None, 0, kind, tif, order_class=order_class, legs=legs, **common)  # type: ignore[arg-type]
    if not body.get("symbol"):
        raise malformed("symbol is required")
    if not isinstance(body.get("extended_hours", False), (bool, type(None))):
        raise malformed("extended_hours must be true or false")
    intent = body.get("position_intent")
    return Ticket(
        assets.named(str(body["symbol"])),
        _side(body, intent),
        kind,
        tif,
        stop=stop,
        trail_price=trail,
        trail_percent=percent,
        extended=bool(body.get("extended_hours")),
        order_class=order_class,
        take_profit=profit,
        stop_loss=loss,
        stop_loss_limit=loss_limit,
        intent=intent,
        **common,  # type: ignore[arg-type]
    )


def _word(body: Mapping[str, Any], key: str, known: tuple[str, ...], default: str | None) -> str:
    value = body.get(key)
    if value is None and default is not None:
        return default
    if value is None:
        raise malformed(f"{key} is required")
    if value not in known:
        raise malformed(f"invalid {key}: {value}")
    return str(value)


def _side(body: Mapping[str, Any], intent: Any) -> int:
    if not isinstance(intent, (str, type(None))) or (intent is not None and intent not in INTENTS):
        raise malformed(f"invalid position_intent: {intent}")
    side = body.get("side")
    if side is None and intent is None:
        raise malformed("side is required")
    if side not in (None, "buy", "sell"):
        raise malformed(f"invalid side: {side}")
    told = {"buy": 1, "sell": -1}.get(str(side), 0)
    meant = told if intent is None else INTENTS[intent]
    if told not in (0, meant):
        raise unprocessable("position_intent does not match side")
    return meant


def _size(body: Mapping[str, Any]) -> tuple[Decimal | None, Decimal | None]:
    qty, notional = given(body.get("qty"), "qty"), given(body.get("notional"), "notional")
    if qty is not None and notional is not None:
        raise malformed("only one of qty or notional is accepted")
    if qty is None and notional is None:
        raise malformed("qty or notional is required")
    if qty is not None and qty <= 0:
        raise malformed("qty must be > 0")
    if notional is not None and notional < 1:
        raise malformed("notional must be >= 1.00")
    return qty, notional


def _priced(
    kind: str,
    limit: Decimal | None,
    stop: Decimal | None,
    trail: Decimal | None,
    percent: Decimal | None,
    any_sign: bool,
) -> None:
    """The prices that this type wants, and no others."""
    wants_limit, wants_stop, wants_trail, words = PRICES[kind]
    one_trail = (trail is None) != (percent is None)
    no_trail = trail is None and percent is None
    if (limit is not None) != wants_limit or (stop is not None) != wants_stop:
        raise malformed(words)
    if (wants_trail and not one_trail) or (not wants_trail and not no_trail):
        raise malformed(PRICES["trailing_stop"][3])
    for name, price in (
        ("limit_price", limit),
        ("stop_price", stop),
        ("trail_price", trail),
        ("trail_percent", percent),
    ):
        if price is not None and price <= 0 and not (any_sign and name == "limit_price"):
            raise malformed(f"{name} must be > 0")


def _exits(body: Mapping[str, Any], order_class: str) -> tuple[Decimal | None, Decimal | None, Decimal | None]:
    """take_profit.limit_price, stop_loss.stop_price and stop_loss.limit_price, as the class wants them."""
    taken, lost = body.get("take_profit") or {}, body.get("stop_loss") or {}
    if not isinstance(taken, Mapping) or not isinstance(lost, Mapping):
        raise malformed("take_profit and stop_loss must be objects")
    profit = given(taken.get("limit_price"), "take_profit.limit_price")
    loss = given(lost.get("stop_price"), "stop_loss.stop_price")
    loss_limit = given(lost.get("limit_price"), "stop_loss.limit_price")
    if order_class in ("bracket", "oco"):
        if profit is None and not (order_class == "oco" and body.get("limit_price") is not None):
            raise malformed(f"{order_class} orders require take_profit.limit_price")
        if loss is None:
            raise malformed(f"{order_class} orders require stop_loss.stop_price")
    elif order_class == "oto":
        if (profit is None) == (loss is None):
            raise malformed("oto orders require either take_profit or stop_loss")
    elif taken or lost:
        raise malformed("take_profit and stop_loss are for bracket, oco and oto orders")
    return profit, loss, loss_limit


def _legs(body: Mapping[str, Any], kind: str, assets: Assets) -> tuple[Leg, ...]:
    if kind not in ("market", "limit"):
        raise unprocessable("mleg orders must be market or limit orders")
    if body.get("symbol") or body.get("side"):
        raise malformed("mleg orders have no symbol and no side of their own")
    legs = body.get("legs")
    if not isinstance(legs, list) or not 2 <= len(legs) <= 4:
        raise malformed("mleg orders require 2 to 4 legs")
    made = []
    for leg in legs:
        if not isinstance(leg, Mapping) or not leg.get("symbol"):
            raise malformed("each leg requires a symbol")
        ratio = given(leg.get("ratio_qty"), "ratio_qty")
        if ratio is None or ratio <= 0 or ratio != ratio.to_integral_value():
            raise malformed("ratio_qty must be a whole number above 0")
        intent = leg.get("position_intent")
        made.append(Leg(assets.named(str(leg["symbol"])), ratio, _side(leg, intent), intent))
    if len({leg.instrument.id for leg in made}) < len(made):
        raise unprocessable("each leg must be another contract")
    return tuple(made)
