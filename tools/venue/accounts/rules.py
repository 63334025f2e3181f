"""The market's rules for a well-formed ticket: increments, fractions, times in force, hours, exits of a bracket."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, time
from decimal import Decimal
from typing import Any, Final

from gpi.formats.instruments import Instrument
from gpi.formats.market.calendar import NEW_YORK, state
from gpi.formats.words import SECOND
from gpi.tools.venue.accounts.tickets import Ticket
from gpi.tools.venue.alpaca.assets import Assets, wire_symbol
from gpi.tools.venue.money import ZERO, floored, places, text
from gpi.tools.venue.refusals import forbidden, unprocessable

DOLLAR: Final = Decimal(1)
CENT: Final = Decimal("0.01")
FINEST: Final = 9  # places of a quantity
OPG_SHUT: Final = (time(9, 28), time(19))  # New York hours in which the order type is refused
CLS_SHUT: Final = (time(15, 50), time(19))


def check(ticket: Ticket, assets: Assets, now: int, price: Decimal | None, by_calendar: bool) -> None:
    """Raise Refusal 422 where a rule forbids the ticket. `price` is the market's, None without one."""
    if ticket.instrument is None:
        _multi_leg(ticket)
        return
    instrument = ticket.instrument
    if not assets.terms(instrument).tradable:
        raise unprocessable(f'asset "{wire_symbol(instrument)}" is not tradable')
    for name in ("limit", "stop", "take_profit", "stop_loss", "stop_loss_limit", "trail_price"):
        increment(instrument, name, getattr(ticket, name))
    {"equity": _equity, "option": _option, "crypto": _crypto, "index": _equity}[instrument.asset_class](ticket, assets)
    if ticket.extended and (ticket.type != "limit" or ticket.tif not in ("day", "gtc")):
        raise unprocessable("extended hours order must be DAY or GTC limit orders")
    if by_calendar and ticket.tif in ("opg", "cls"):
        _auction(ticket.tif, now)
    _stops(ticket, price)
    if ticket.order_class:
        _exits(ticket, price)


def permitted(ticket: Ticket, config: Mapping[str, Any]) -> None:
    """Raise Refusal where the account's own configuration forbids the ticket: options by level, fractions."""
    options = ticket.instrument is None or ticket.instrument.asset_class == "option"
    level = config["max_options_trading_level"]
    if options and (level < 1 or (ticket.instrument is None and level < 3)):
        raise forbidden("account not eligible to trade options at this level")
    if options and level < 2 and ticket.side > 0 and ticket.intent != "buy_to_close":
        raise forbidden("account not eligible to buy options at this level")
    share = ticket.instrument is not None and ticket.instrument.asset_class == "equity"
    fraction = ticket.notional is not None or (ticket.qty is not None and places(ticket.qty) > 0)
    if share and fraction and not config["fractional_trading"]:
        raise forbidden("fractional trading is disabled for this account")


def increment(instrument: Instrument, name: str, price: Decimal | None) -> None:
    """Two places from a dollar on, four below it; coins by their tick. Raises Refusal."""
    if price is None:
        return
    called = {"limit": "limit_price", "stop": "stop_price"}.get(name, name)
    if instrument.asset_class == "crypto":
        tick = Decimal(repr(instrument.tick_size))
        if floored(price, tick) != price:
            raise unprocessable(f"invalid {called} {text(price)}. it must be a multiple of {text(tick)}")
    elif places(price) > (2 if abs(price) >= DOLLAR or instrument.asset_class == "option" else 4):
        words = "sub-penny increment does not fulfill minimum pricing criteria"
        raise unprocessable(f"invalid {called} {text(price)}. {words}")


def regular(now: int, asset_class: str, by_calendar: bool) -> bool:
    """Whether an order works at once; otherwise it waits for the open."""
    return not by_calendar or asset_class == "crypto" or state(now) == "regular"


def _equity(ticket: Ticket, assets: Assets) -> None:
    if ticket.qty is not None and places(ticket.qty) > FINEST:
        raise unprocessable("qty can have no more than 9 decimal places")
    if ticket.tif not in ("day", "gtc"):
        if ticket.type not in ("market", "limit"):
            raise unprocessable(f"time_in_force must be day or gtc for {ticket.type} orders")
        if ticket.order_class:
            raise unprocessable(f"time_in_force must be day or gtc for {ticket.order_class} orders")
    fraction = ticket.notional is not None or (ticket.qty is not None and places(ticket.qty) > 0)
    if not fraction:
        return
    assert ticket.instrument is not None
    if not assets.terms(ticket.instrument).fractionable:
        raise unprocessable(f'asset "{wire_symbol(ticket.instrument)}" is not fractionable')
    if ticket.tif != "day":
        raise unprocessable("fractional orders must be DAY orders")
    if ticket.order_class:
        raise unprocessable("fractional orders must be simple orders")


def _option(ticket: Ticket, assets: Assets) -> None:
    if ticket.notional is not None or ticket.qty is None or places(ticket.qty) > 0:
        raise unprocessable("options orders must have a whole qty")
    if ticket.tif not in ("day", "gtc"):
        raise unprocessable("invalid time_in_force for options orders: day or gtc")
    if ticket.type == "trailing_stop":
        raise unprocessable("invalid order type for options trading")
    if ticket.extended:
        raise unprocessable("options orders cannot be extended hours")
    if ticket.order_class:
        raise unprocessable("order class must be simple or mleg for options orders")


def _crypto(ticket: Ticket, assets: Assets) -> None:
    if ticket.tif not in ("gtc", "ioc"):
        raise unprocessable("invalid crypto time_in_force")
    if ticket.type not in ("market", "limit", "stop_limit"):
        raise unprocessable("invalid order type for crypto order")
    if ticket.order_class:
        raise unprocessable("crypto orders must be simple orders")
    if ticket.qty is not None and places(ticket.qty) > FINEST:
        raise unprocessable("qty can have no more than 9 decimal places")


def _multi_leg(ticket: Ticket) -> None:
    if any(leg.instrument.asset_class != "option" for leg in ticket.legs):
        raise unprocessable("mleg orders are for options")
    if ticket.qty is None or places(ticket.qty) > 0:
        raise unprocessable("mleg orders must have a whole qty")
    if ticket.tif != "day":
        raise unprocessable("mleg orders must be DAY orders")
    if ticket.limit is not None and places(ticket.limit) > 2:
        raise unprocessable("limit_price can have no more than 2 decimal places")


def _auction(tif: str, now: int) -> None:
    first, last = OPG_SHUT if tif == "opg" else CLS_SHUT
    hour = datetime.fromtimestamp(now // SECOND, UTC).astimezone(NEW_YORK).time()
    if first <= hour < last:
        words = {"opg": "opg orders are rejected between 9:28am and 7:00pm ET",
                 "cls": "cls orders are rejected between 3:50pm and 7:00pm ET"}  # fmt: skip
        raise unprocessable(words[tif])


def _stops(ticket: Ticket, price: Decimal | None) -> None:
    """A stop on the wrong side of the market is refused, as recorded from the real one."""
    if ticket.stop is None or price is None:
        return
    seen = {"market_price": text(price), "stop_price": text(ticket.stop)}
    if ticket.side > 0 and ticket.stop <= price:
        raise unprocessable("stop price must be greater than current price", **seen)
    if ticket.side < 0 and ticket.stop >= price:
        raise unprocessable("stop price must be less than current price", **seen)


def _exits(ticket: Ticket, price: Decimal | None) -> None:
    """Take-profit on one side of the base price, stop-loss on the other, at least a cent away."""
    base = ticket.limit if ticket.limit is not None and ticket.order_class != "oco" else price
    if ticket.order_class == "oco":
        if ticket.type != "limit":
            raise unprocessable("oco orders must be limit orders")
        apart = -ticket.side * ((ticket.limit or ZERO) - (ticket.stop_loss or ZERO))
        if apart < CENT:
            raise unprocessable("take_profit.limit_price and stop_loss.stop_price are on the wrong sides")
        return
    if base is None:
        return
    above, below = (">=", "<=") if ticket.side > 0 else ("<=", ">=")
    sign = "+" if ticket.side > 0 else "-"
    other = "-" if ticket.side > 0 else "+"
    if ticket.take_profit is not None and ticket.side * (ticket.take_profit - base) < CENT:
        words = f"take_profit.limit_price must be {above} base_price {sign} 0.01"
        raise unprocessable(words, base_price=text(base))
    if ticket.stop_loss is not None and ticket.side * (base - ticket.stop_loss) < CENT:
        words = f"stop_loss.stop_price must be {below} base_price {other} 0.01"
        raise unprocessable(words, base_price=text(base))
