"""Families: an entry with its exits, or two exits of which one ends the other, asked for together, sent as one order.

Alpaca knows brackets, one-triggers-other and one-cancels-other as one request; it gives the legs ids of its own, and
all of them the time in force and the size of the first.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from decimal import ROUND_FLOOR, Decimal
from typing import Any, Final

from gpi.formats.execution import NEW, OrderRequest
from gpi.formats.instruments import Instrument
from gpi.formats.words import DAY, GTC, LIMIT, MARKET, STOP, STOP_LIMIT
from gpi.tools.brokers.alpaca import wire
from gpi.tools.brokers.alpaca.wire import Unsendable

MOST_LEGS: Final = 4
CENT: Final = Decimal("0.01")
NOISE: Final = Decimal("0.00000001")  # what floating point takes away, and no one's intention


def grouped(requests: Sequence[OrderRequest]) -> list[list[OrderRequest]]:
    """The asks in their order, a new order together with its legs: first the one that the others depend on."""
    found: list[list[OrderRequest]] = []
    members: dict[int, list[OrderRequest]] = {}
    for request in requests:
        family = members.get(request.parent or request.sibling) if request.what == NEW else None
        if family is None:
            family = []
            found.append(family)
        family.append(request)
        if request.what == NEW:
            members[request.order_id] = family
    return found


def split(request: OrderRequest) -> list[OrderRequest]:
    """The legs of a multi-leg order as requests of their own, with ids and sizes of their own."""
    return [
        OrderRequest(
            NEW, request.ts_event, leg.order_id, leg.instrument_id, leg.symbol, leg.side,
            request.order_type, request.tif, request.qty * leg.ratio,
        )
        for leg in request.legs
    ]  # fmt: skip


def combination(request: OrderRequest, client_id: str, positions: Mapping[str, Decimal]) -> dict[str, Any]:
    """The JSON of a multi-leg option order: all legs or none, at the net of a unit (a debit above zero).

    `positions`: what is held, by symbol key; a leg against it closes. Raises Unsendable.
    """
    if request.order_type not in (LIMIT, MARKET) or not 2 <= len(request.legs) <= MOST_LEGS:
        raise Unsendable("two to four legs, at a net limit or at the market")
    if not (math.isfinite(request.qty) and request.qty >= 1 and request.qty == int(request.qty)):
        raise Unsendable(f"{request.qty} units: a whole number, one at least")
    legs = []
    for leg in request.legs:
        side, held = ("buy" if leg.side > 0 else "sell"), positions.get(wire.key(leg.symbol), Decimal(0))
        intent = f"{side}_to_{'close' if held * leg.side < 0 else 'open'}"
        symbol, ratio = leg.symbol.replace(" ", ""), str(int(leg.ratio))
        legs.append({"symbol": symbol, "ratio_qty": ratio, "side": side, "position_intent": intent})
    body: dict[str, Any] = {
        "qty": str(int(request.qty)), "order_class": "mleg", "type": wire.TYPES[request.order_type],
        "time_in_force": "day", "client_order_id": client_id, "legs": legs,
    }  # fmt: skip
    return body if request.order_type == MARKET else body | {"limit_price": _net(request.px)}


def _net(px: float) -> str:
    """In cents, never more aggressive than asked: a debit is rounded down, a credit up."""
    if not math.isfinite(px):
        raise Unsendable(f"the net price {px} is not a number")
    return format(((Decimal(repr(float(px))) + NOISE) / CENT).to_integral_value(ROUND_FLOOR) * CENT, "f")


def order_body(family: Sequence[OrderRequest], instrument: Instrument, client_id: str) -> dict[str, Any]:
    """The JSON of an order with its legs. Raises Unsendable where Alpaca has no such thing."""
    first, *legs = family
    body: dict[str, Any] = wire.order_body(first, instrument, client_id)
    if not legs:
        return body
    if first.tif not in (DAY, GTC) or first.extended or instrument.asset_class != "equity":
        raise Unsendable("brackets are for shares, good for the day or until cancelled, in the regular session")
    for leg in legs:
        if wire.quantity(leg.qty, instrument) != Decimal(body["qty"]):
            raise Unsendable("at Alpaca the legs have the size of the order that they depend on")
    if all(leg.parent for leg in legs):
        return body | _exits(first, legs, instrument)
    return _one_of_two(body, first, legs, instrument)


def _exits(first: OrderRequest, legs: Sequence[OrderRequest], instrument: Instrument) -> dict[str, Any]:
    kinds = sorted(leg.order_type == LIMIT for leg in legs)
    both = len(legs) == 2 and kinds == [False, True] and legs[1].sibling == legs[0].order_id
    if first.order_type not in (LIMIT, MARKET) or any(leg.side != -first.side for leg in legs):
        raise Unsendable("an entry at a limit or at the market, and exits on the other side")
    if not both and len(legs) != 1:
        raise Unsendable("one exit, or a limit and a stop of which one ends the other")
    made: dict[str, Any] = {"order_class": "bracket" if both else "oto"}
    for leg in legs:
        made |= _exit(leg, instrument)
    return made


def _exit(leg: OrderRequest, instrument: Instrument) -> dict[str, Any]:
    if leg.order_type == LIMIT:
        return {"take_profit": {"limit_price": wire.price(leg.px, leg.side, instrument)}}
    if leg.order_type not in (STOP, STOP_LIMIT):
        raise Unsendable("a leg is a limit, a stop or a stop-limit order")
    told = {"stop_price": wire.price(leg.stop_px, -leg.side, instrument)}
    if leg.order_type == STOP_LIMIT:
        told["limit_price"] = wire.price(leg.px, leg.side, instrument)
    return {"stop_loss": told}


def _one_of_two(
    body: dict[str, Any], first: OrderRequest, legs: Sequence[OrderRequest], instrument: Instrument
) -> dict[str, Any]:
    if len(legs) != 1 or first.order_type != LIMIT or legs[0].order_type == LIMIT or legs[0].side != first.side:
        raise Unsendable("one-cancels-other is a limit and then a stop on the same side")
    limit = {"take_profit": {"limit_price": body.pop("limit_price")}}
    return body | {"order_class": "oco"} | limit | _exit(legs[0], instrument)
