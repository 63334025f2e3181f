"""Polygon's market status: which markets are open now, and the holidays to come."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

from aiohttp import web

from gpi.formats.market import calendar
from gpi.tools.venue.data.bars import NEW_YORK
from gpi.tools.venue.refusals import answer
from gpi.tools.venue.world import World

UPCOMING_DAYS: Final = 370


def routes(world: World) -> Iterable[web.AbstractRouteDef]:
    """The two pages."""

    async def now(_: web.Request) -> web.Response:
        """Which markets are open."""
        ts = world.clock.told()
        state = calendar.state(ts)
        word = {"regular": "open", "closed": "closed"}.get(state, "extended-hours")
        local = datetime.fromtimestamp(ts // 10**9, NEW_YORK)
        return answer({
            "market": word, "earlyHours": state == "pre", "afterHours": state == "post",
            "serverTime": local.isoformat(), "exchanges": {"nyse": word, "nasdaq": word, "otc": "closed"},
            "currencies": {"fx": "closed", "crypto": "open"},
        })  # fmt: skip

    async def upcoming(_: web.Request) -> web.Response:
        """Holidays and short days of the next year."""
        today = calendar.day_of(world.clock.told())
        found: list[dict[str, str]] = []
        for n in range(UPCOMING_DAYS):
            day = today + timedelta(days=n)
            name, session = calendar.holiday(day), calendar.session(day)
            for exchange in ("NYSE", "NASDAQ"):
                if name is not None and session is None:
                    found.append({"exchange": exchange, "name": name, "date": day.isoformat(), "status": "closed"})
                elif session is not None and session.early:
                    times = {key: datetime.fromtimestamp(ts // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
                             for key, ts in (("open", session.open), ("close", session.close))}  # fmt: skip
                    found.append({"exchange": exchange, "name": name or "Early close", "date": day.isoformat(),
                                  "status": "early-close", **times})  # fmt: skip
        return answer(found)

    return [web.get("/v1/marketstatus/now", now), web.get("/v1/marketstatus/upcoming", upcoming)]
