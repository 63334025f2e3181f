"""Exercises: a long option becomes shares before its end, or is told never to."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from aiohttp import web

from gpi.formats.market.calendar import day_of, session
from gpi.formats.market.settlement import settlement, underlying
from gpi.tools.venue.accounts.account import Account, Moved, Position
from gpi.tools.venue.accounts.margin import available, worth
from gpi.tools.venue.alpaca.assets import wire_symbol
from gpi.tools.venue.door import key_id_of
from gpi.tools.venue.money import ZERO, exact, text
from gpi.tools.venue.refusals import answer, forbidden, missing, unprocessable
from gpi.tools.venue.world import World


def routes(world: World) -> Iterable[web.AbstractRouteDef]:
    """Both instructions."""

    def held(request: web.Request) -> tuple[Account, Position]:
        account, name = world.accounts[key_id_of(world, request)], request.match_info["name"]
        option = world.accounts.assets.find(name)
        position = None if option is None else account.positions.get(option.id)
        if position is None:
            raise missing("position does not exist")
        if position.instrument.asset_class != "option" or position.qty < 0:
            raise unprocessable("only long option positions can be exercised")
        return account, position

    async def exercise(request: web.Request) -> web.Response:
        exercised(world, *held(request))
        return answer({})

    async def lapse(request: web.Request) -> web.Response:
        account, position = held(request)
        account.lapsing.add(position.instrument.id)
        return answer({})

    path = "/v2/positions/{name}"
    return [web.post(f"{path}/exercise", exercise), web.post(f"{path}/do-not-exercise", lapse)]


def exercised(world: World, account: Account, position: Position) -> None:
    """What no order holds of a long option becomes shares at the strike, now. Raises Refusal."""
    ledgers, option, now = world.accounts, position.instrument, world.clock.now()
    if ledgers.by_calendar and _after_hours(now):
        raise unprocessable("exercise requests are rejected between market close and midnight")
    terms, shares = settlement(option.underlying), ledgers.assets.find(underlying(option.underlying))
    if not (terms.american and terms.physical) or shares is None or shares.asset_class != "equity":
        raise unprocessable("this contract cannot be exercised before it ends")
    free, related = available(account, option, -1)
    if free <= 0:
        orders = [order.id for order in related]
        raise forbidden("insufficient qty available for exercise", available="0", related_orders=orders)
    side, strike, size = (1 if option.right == "C" else -1), exact(option.strike), position.multiplier
    _payable(world, account, position, free, side)
    moved = side * free * size
    symbol, why = wire_symbol(option), f"exercise of {text(free)} {wire_symbol(option)} at {text(strike)}"
    account.transfer(option, -free, ZERO)
    account.transfer(shares, moved, strike)
    account.adjust(now, -moved * strike, why, Moved(now, "OPEXC", -moved * strike, symbol, -free, strike, why))


def _payable(world: World, account: Account, position: Position, qty: Decimal, side: int) -> None:
    """Raise Refusal 403 when the shares cannot be paid for, or are not there to be delivered."""
    option, now = position.instrument, worth(account, world.accounts.prices)
    shares = world.accounts.assets.named(underlying(option.underlying))
    amount = qty * position.multiplier
    if side < 0 and account.held(shares) < amount:
        raise forbidden("insufficient shares available for exercise", available=text(max(ZERO, account.held(shares))))
    price = world.accounts.prices.mark(option, position.average)
    wanted, released = amount * exact(option.strike) / now.multiplier, amount * price
    if side > 0 and wanted > now.free + released:
        raise forbidden("insufficient buying power", buying_power=text(now.buying_power), symbol=wire_symbol(option))


def _after_hours(now: int) -> bool:
    """Whether today's session is over."""
    today = session(day_of(now))
    return today is not None and now >= today.close
