"""Screens and corporate actions of Alpaca's market data: made of the day's bars, and honestly empty."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from aiohttp import web

from gpi.tools.venue.alpaca.history import closes
from gpi.tools.venue.data.messages import plain, rfc3339
from gpi.tools.venue.data.names import alpaca
from gpi.tools.venue.data.series import number, refused
from gpi.tools.venue.data.tape import Tape
from gpi.tools.venue.refusals import answer, missing
from gpi.tools.venue.world import World

MARKETS: Final = {"stocks": "equity", "crypto": "crypto"}
MOST: Final = 100
USUAL: Final = 10


def routes(world: World) -> Iterable[web.AbstractRouteDef]:
    """Most actives, movers; corporate actions and announcements, of which there are none here."""
    tape = world.tape
    assert isinstance(tape, Tape)

    async def actives(request: web.Request) -> web.Response:
        by = request.query.get("by") or "volume"
        if by not in ("volume", "trades"):
            raise refused("invalid by: volume or trades")
        days = {each.symbol: tape.store.day(each) for each in world.instruments if each.asset_class == "equity"}
        found = [
            {"symbol": symbol, "volume": plain(float(day[5])), "trade_count": int(day[7])}
            for symbol, day in days.items()
            if day is not None
        ]
        found.sort(key=lambda row: -row["volume" if by == "volume" else "trade_count"])  # type: ignore[operator]
        return answer({"most_actives": found[: _top(request)], "last_updated": rfc3339(world.clock.now())})

    async def movers(request: web.Request) -> web.Response:
        market = request.match_info["market"]
        if market not in MARKETS:
            raise missing("endpoint not found")
        found: list[dict[str, Any]] = []
        for each in world.instruments:
            prices = closes(tape, each) if each.asset_class == MARKETS[market] else None
            if prices is not None:
                price, before = prices
                percent = round(100 * (price - before) / before, 2)
                change = round(price - before, 9)
                found.append({"symbol": alpaca(each), "percent_change": percent, "change": change, "price": price})
        found.sort(key=lambda row: -row["percent_change"])
        top = _top(request)
        return answer({
            "gainers": [row for row in found if row["change"] > 0][:top],
            "losers": [row for row in reversed(found) if row["change"] < 0][:top],
            "market_type": market, "last_updated": rfc3339(world.clock.now()),
        })  # fmt: skip

    async def actions(_: web.Request) -> web.Response:
        return answer({"corporate_actions": {}, "next_page_token": None})

    async def announcements(_: web.Request) -> web.Response:
        return answer([])

    async def announcement(request: web.Request) -> web.Response:
        raise missing(f"announcement not found for {request.match_info['id'][:40]}")

    return [
        web.get("/v1beta1/screener/stocks/most-actives", actives),
        web.get("/v1beta1/screener/{market}/movers", movers),
        web.get("/v1/corporate-actions", actions),
        web.get("/v1beta1/corporate-actions", actions),
        web.get("/v2/corporate_actions/announcements", announcements),
        web.get("/v2/corporate_actions/announcements/{id}", announcement),
    ]


def _top(request: web.Request) -> int:
    return number(request.query.get("top"), "top", 1, MOST, USUAL)
