"""Alpaca's lesser pages: the clock and calendar of many markets, auctions, currencies, news, logos, wallets.

The clock of /v3 tells of New York's exchanges and of coins. Of auctions, currencies and news the feed says nothing:
the lists are there, and empty. Coins do not leave the venue: there are no wallets, and a transfer is refused.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from aiohttp import web

from gpi.formats.market.calendar import NEW_YORK, day_of, next_close, next_open, session, sessions, state
from gpi.formats.words import SECOND
from gpi.tools.venue.alpaca import codes as alpaca_codes
from gpi.tools.venue.money import dated
from gpi.tools.venue.refusals import answer, forbidden, malformed, missing
from gpi.tools.venue.world import World

LONGEST: Final = 366  # days of a calendar
PHASES: Final = {"pre": "pre", "regular": "core", "post": "post", "closed": "closed"}
CHUNKS: Final = ((b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)), (b"IDAT", zlib.compress(b"\0\x80")),
                 (b"IEND", b""))  # fmt: skip
LOGO: Final = b"\x89PNG\r\n\x1a\n" + b"".join(
    struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in CHUNKS
)  # a grey dot: nobody's logo
OPTION_CONDITIONS: Final = {"trade": {"I": "Automatic Execution"}, "quote": {" ": "Regular"}}
Handle = Callable[[web.Request], Any]


class Market(NamedTuple):
    """A market as /v3 names it."""

    acronym: str
    mic: str | None
    name: str


MARKETS: Final = {
    each.acronym: each
    for each in (
        Market("NYSE", "XNYS", "New York Stock Exchange"), Market("NASDAQ", "XNAS", "NASDAQ"),
        Market("CRYPTO", None, "Crypto"),
    )
}  # fmt: skip


def routes(world: World) -> Iterable[web.AbstractRouteDef]:
    """Each of them."""
    pages = _Pages(world)
    found = [
        web.get("/v3/clock", pages.clock),
        web.get("/v3/calendar/{market}", pages.calendar),
        web.get("/v2/stocks/auctions", constant({"auctions": {}, "next_page_token": None})),
        web.get("/v2/stocks/{symbol}/auctions", pages.auctions),
        web.get("/v1beta1/forex/latest/rates", constant({"rates": {}})),
        web.get("/v1beta1/forex/rates", constant({"rates": {}, "next_page_token": None})),
        web.get("/v1beta1/logos/{symbol}", pages.logo),
        web.get("/v2/stocks/meta/exchanges", constant(alpaca_codes.EXCHANGES)),
        web.get("/v2/stocks/meta/conditions/{kind:trade|quote}", pages.conditions),
        web.get("/v1beta1/options/meta/conditions/{kind:trade|quote}", pages.option_conditions),
        web.get("/v2/wallets/fees/estimate", pages.refused),
        web.get("/v2/wallets/transfers/{id}", pages.transfer),
    ]
    found += [web.get(f"/v2/wallets{end}", constant([])) for end in ("", "/transfers", "/whitelists")]
    for path in ("/v2/wallets/transfers", "/v2/wallets/whitelists"):
        found.append(web.post(path, pages.refused))
    return found


def constant(body: Any) -> Handle:
    """A page that always says the same."""

    async def handle(_: web.Request) -> web.Response:
        return answer(body)

    return handle


class _Pages:
    def __init__(self, world: World) -> None:
        self.world = world

    async def clock(self, request: web.Request) -> web.Response:
        """Each market's phase, at the venue's time or at `time`."""
        now = self.world.clock.told()
        if request.query.get("time"):
            now = _moment(request.query["time"])
        names = [each for each in request.query.get("markets", "").split(",") if each] or ["NYSE", "NASDAQ"]
        return answer({"clocks": [_clock(_market(name), now) for name in dict.fromkeys(names)]})

    async def calendar(self, request: web.Request) -> web.Response:
        """The days of a market: its core session, and what comes before and after."""
        market, today = _market(request.match_info["market"]), day_of(self.world.clock.now())
        first = dated(request.query.get("start"), today)
        last = dated(request.query.get("end"), first + timedelta(7))
        if not 0 <= (last - first).days <= LONGEST or not 1900 <= first.year <= last.year <= 2099:
            raise malformed(f"a calendar spans at most {LONGEST} days, from 1900 to 2099, start first")
        zone = UTC if request.query.get("timezone") == "UTC" else NEW_YORK
        rows: list[dict[str, Any]] = []
        if market.mic is None:
            for n in range((last - first).days + 1):
                day = first + timedelta(n)
                rows.append({"date": day.isoformat(), "core_start": f"{day}T00:00:00Z",
                             "core_end": f"{day + timedelta(1)}T00:00:00Z"})  # fmt: skip
        else:
            for each in sessions(first, last):
                times = {"pre_start": each.early_open, "pre_end": each.open, "core_start": each.open,
                         "core_end": each.close, "post_start": each.close, "post_end": each.late_close}  # fmt: skip
                rows.append({"date": each.day.isoformat(), **{k: _told(ts, zone) for k, ts in times.items()}})
        return answer({"market": _shown(market), "calendar": rows})

    async def auctions(self, request: web.Request) -> web.Response:
        """None: the feed has none."""
        return answer({"auctions": [], "symbol": request.match_info["symbol"], "next_page_token": None})

    async def logo(self, request: web.Request) -> web.Response:
        """A placeholder, or 404 for who wants none."""
        symbol = request.match_info["symbol"]
        if self.world.accounts.assets.find(symbol) is None or request.query.get("placeholder", "").lower() == "false":
            raise missing(f"logo not found for {symbol[:40]}")
        return web.Response(body=LOGO, content_type="image/png")

    async def conditions(self, request: web.Request) -> web.Response:
        """The codes of a tape."""
        tape = request.query.get("tape") or "A"
        if tape not in ("A", "B", "C"):
            raise malformed("invalid tape: A, B or C")
        return answer(alpaca_codes.CONDITIONS[request.match_info["kind"], "UTP" if tape == "C" else "CTA"])

    async def option_conditions(self, request: web.Request) -> web.Response:
        """The codes the venue's options trade with."""
        return answer(OPTION_CONDITIONS[request.match_info["kind"]])

    async def refused(self, _: web.Request) -> web.Response:
        """Nothing leaves."""
        raise forbidden("crypto transfers are not enabled for this account")

    async def transfer(self, request: web.Request) -> web.Response:
        """There was none."""
        raise missing(f"transfer not found for {request.match_info['id'][:40]}")


def _market(name: str) -> Market:
    found = next((m for m in MARKETS.values() if name.upper() in (m.acronym, m.mic)), None)
    if found is None:
        raise malformed(f"invalid market: {name[:40]}; here are {', '.join(MARKETS)}")
    return found


def _shown(market: Market) -> dict[str, Any]:
    zone = "UTC" if market.mic is None else "America/New_York"
    code = {} if market.mic is None else {"mic": market.mic}
    return {**code, "acronym": market.acronym, "name": market.name, "timezone": zone}


def _clock(market: Market, now: int) -> dict[str, Any]:
    if market.mic is None:
        midnight = _told((now // (86_400 * SECOND) + 1) * 86_400 * SECOND, UTC)
        return {"market": _shown(market), "timestamp": _told(now, UTC), "is_market_day": True, "phase": "core",
                "phase_until": midnight, "next_market_open": midnight, "next_market_close": midnight}  # fmt: skip
    opens, closes, today = next_open(now), next_close(now), session(day_of(now))
    edges = () if today is None else (today.early_open, today.open, today.close, today.late_close)
    until = next((ts for ts in edges if ts > now), None)
    if until is None:
        until = next(each.early_open for each in sessions(day_of(now) + timedelta(1), day_of(now) + timedelta(14)))
    return {"market": _shown(market), "timestamp": _told(now, NEW_YORK), "is_market_day": today is not None,
            "phase": PHASES[state(now)], "phase_until": _told(until, NEW_YORK),
            "next_market_open": _told(opens, NEW_YORK), "next_market_close": _told(closes, NEW_YORK)}  # fmt: skip


def _told(ts: int, zone: Any) -> str:
    said = datetime.fromtimestamp(ts // SECOND, ZoneInfo("UTC")).astimezone(zone).isoformat()
    return said.replace("+00:00", "Z")


def _moment(text: str) -> int:
    try:
        found = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError:
        raise malformed(f"invalid time: {text[:40]}") from None
    if not 1900 <= found.year <= 2098:
        raise malformed(f"invalid time: {text[:40]}")
    return int(found.replace(tzinfo=found.tzinfo or UTC).timestamp()) * SECOND
