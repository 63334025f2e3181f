"""Reference REST: the clock, the calendar, assets and option contracts."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from aiohttp import web

from gpi.formats.instruments import Instrument
from gpi.formats.market.calendar import NEW_YORK, day_of, holiday, next_close, next_open, sessions, state
from gpi.formats.market.settlement import settlement
from gpi.formats.words import SECOND
from gpi.tools.venue.alpaca.assets import asset_id, wire_symbol
from gpi.tools.venue.alpaca.history import days_of, open_interest
from gpi.tools.venue.data.tape import Tape
from gpi.tools.venue.money import dated, eastern, exact, text, whole
from gpi.tools.venue.reading import listed
from gpi.tools.venue.refusals import answer, malformed, missing
from gpi.tools.venue.world import World

LONGEST: Final = 366 * 10  # days of a calendar
CONTRACTS: Final = 10_000  # of a page
PAGE: Final = 100
TWO_DAYS, ONE_DAY = date(2017, 9, 5), date(2024, 5, 28)  # the first days with these cycles of settlement
FIRST, LAST = date(1900, 1, 1), date(2099, 12, 31)  # of the calendar


def routes(world: World) -> Iterable[web.AbstractRouteDef]:
    """Everything that is looked up."""
    pages = _Pages(world)
    return [
        web.get("/v2/clock", pages.clock),
        web.get("/v2/calendar", pages.calendar),
        web.get("/v2/assets", pages.assets),
        web.get("/v2/assets/{name:.+}", pages.asset),
        web.get("/v2/options/contracts", pages.contracts),
        web.get("/v2/options/contracts/{name}", pages.contract),
    ]


def contract_json(world: World, instrument: Instrument) -> dict[str, Any]:
    """An option contract as Alpaca writes it."""
    assert instrument.expiry is not None
    symbol = wire_symbol(instrument)
    kind = "call" if instrument.right == "C" else "put"
    active = instrument.expiry >= day_of(world.clock.now())
    return {
        "id": asset_id(symbol),
        "symbol": symbol,
        "name": f"{instrument.underlying} {instrument.expiry:%b %d %Y} {instrument.strike:g} {kind.title()}",
        "status": "active" if active else "inactive",
        "tradable": active and world.accounts.assets.terms(instrument).tradable,
        "expiration_date": instrument.expiry.isoformat(),
        "root_symbol": instrument.underlying,
        "underlying_symbol": instrument.underlying,
        "underlying_asset_id": asset_id(instrument.underlying),
        "type": kind,
        "style": _style(instrument),
        "strike_price": f"{instrument.strike:g}",
        "multiplier": f"{instrument.multiplier:g}",
        "size": f"{instrument.multiplier:g}",
        **interest(world, instrument),
        "ppind": True,
    }


def interest(world: World, option: Instrument) -> dict[str, str | None]:
    """The open interest and the last close of a contract.

    The close is that of the last day before today with a trade, else the last price of today; without any trade there
    is none.
    """
    assert isinstance(world.tape, Tape)
    day, before = days_of(world.tape.store, option)
    today = day_of(world.clock.now()).isoformat()
    close = before[-1] if len(before) else day
    return {
        "open_interest": text(exact(open_interest(world.tape.store, option))),
        "open_interest_date": today,
        "close_price": None if close is None else text(exact(float(close[4]))),
        "close_price_date": None if close is None else day_of(int(close[0])).isoformat(),
    }


class _Pages:
    def __init__(self, world: World) -> None:
        self.world = world

    async def clock(self, request: web.Request) -> web.Response:
        now = self.world.clock.told()
        told = answer(
            {
                "timestamp": eastern(now),
                "is_open": state(now) == "regular",
                "next_open": eastern(next_open(now)),
                "next_close": eastern(next_close(now)),
            }
        )
        told.headers["X-Gpi-Feed"] = self.world.feed  # gpi capture tells a quiet market from the end of the day by it
        return told

    async def calendar(self, request: web.Request) -> web.Response:
        today = day_of(self.world.clock.now())
        first = dated(request.query.get("start"), today - timedelta(365))
        last = dated(request.query.get("end"), today + timedelta(365))
        if not FIRST <= min(first, last) <= max(first, last) <= LAST:
            raise malformed(f"the calendar goes from {FIRST} to {LAST}")
        if not -LONGEST <= (last - first).days <= LONGEST:
            raise malformed(f"a calendar spans at most {LONGEST} days")
        told = []
        for each in sessions(first, last):
            times = {"open": each.open, "close": each.close}
            shown = {name: _hour(ts) for name, ts in times.items()}
            outer = {
                "session_open": _hour(each.early_open).replace(":", ""),
                "session_close": _hour(each.late_close).replace(":", ""),
            }
            told.append(
                {"date": each.day.isoformat(), **shown, **outer, "settlement_date": _settled(each.day).isoformat()}
            )
        return answer(told)

    async def assets(self, request: web.Request) -> web.Response:
        query = request.query
        if query.get("status") not in (None, "", "active"):
            return answer([])
        found = self.world.accounts.assets.listed(query.get("asset_class") or None)
        exchanges, attributes = listed(request, "exchange"), listed(request, "attributes")
        return answer([
            each for each in found
            if (not exchanges or each["exchange"] in exchanges)
            and attributes <= {str(word).upper() for word in each["attributes"]}
        ])  # fmt: skip

    async def asset(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        found = self.world.accounts.assets.find(name)
        if found is None:
            raise missing(f"asset not found for {name}")
        return answer(self.world.accounts.assets.wire(found))

    async def contracts(self, request: web.Request) -> web.Response:
        query = request.query
        size = whole(query.get("limit"), "limit", 1, CONTRACTS, PAGE)
        at = whole(query.get("page_token"), "page_token", 0, 1 << 40, 0)
        names = listed(request, "underlying_symbols")
        today, active = day_of(self.world.clock.now()), query.get("status") or "active"
        chosen = [
            each
            for each in self.world.accounts.assets.contracts()
            if (not names or each.underlying in names)
            and each.expiry is not None
            and active == ("active" if each.expiry >= today else "inactive")
            and _wanted(each, query)
        ]
        chosen.sort(key=lambda each: each.symbol)
        stop = at + size
        more = str(stop) if stop < len(chosen) else None
        told = [contract_json(self.world, each) for each in chosen[at:stop]]
        return answer({"option_contracts": told, "next_page_token": more, "page_token": more})

    async def contract(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        found = self.world.accounts.assets.find(name)
        if found is None or found.asset_class != "option":
            raise missing(f"option contract not found for {name}")
        return answer(contract_json(self.world, found))


def _settled(day: date) -> date:
    """When what is traded on this day is settled: one business day later, three before 2017, two before May 2024."""
    left = 1 + (day < ONE_DAY) + (day < TWO_DAYS)
    while left:
        day += timedelta(days=1)
        left -= day.weekday() < 5 and holiday(day) is None and not _bank_holiday(day)
    return day


def _bank_holiday(day: date) -> bool:
    """A day on which the exchange is open and banks are not: Columbus Day and Veterans Day."""
    columbus = day.month == 10 and day.weekday() == 0 and 8 <= day.day <= 14
    return columbus or (day.month == 11 and (day.day == 11 or (day.day == 12 and day.weekday() == 0)))


def _style(instrument: Instrument) -> str:
    return "american" if settlement(instrument.underlying).american else "european"


def _wanted(instrument: Instrument, query: Any) -> bool:
    """Whether a contract meets every filter of the query."""
    expiry, kind = instrument.expiry, "call" if instrument.right == "C" else "put"
    assert expiry is not None
    roots = {each for each in query.get("root_symbol", "").upper().split(",") if each}
    strike = instrument.strike
    return (
        (not roots or instrument.underlying in roots)
        and (query.get("type") or kind) == kind
        and expiry == dated(query.get("expiration_date"), expiry)
        and expiry >= dated(query.get("expiration_date_gte"), expiry)
        and expiry <= dated(query.get("expiration_date_lte"), expiry)
        and strike >= _number(query.get("strike_price_gte"), float("-inf"))
        and strike <= _number(query.get("strike_price_lte"), float("inf"))
        and (query.get("style") or _style(instrument)) == _style(instrument)
    )


def _number(value: str | None, default: float) -> float:
    try:
        return default if value is None else float(value)
    except ValueError:
        raise malformed(f"invalid strike price: {value}") from None


def _hour(ts: int) -> str:
    return f"{datetime.fromtimestamp(ts // SECOND, UTC).astimezone(NEW_YORK):%H:%M}"
