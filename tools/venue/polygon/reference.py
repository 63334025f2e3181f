"""Polygon's reference pages: tickers, option contracts, conditions, exchanges; and lists that are honestly empty.

Tickers and contracts are those the venue lists. What the feed does not say of them (companies, figis, the kind of a
share) is left out, not made up. Dividends, splits and news there are none of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from aiohttp import web

from gpi.formats.instruments import Instrument
from gpi.formats.market.calendar import day_of
from gpi.formats.market.settlement import settlement
from gpi.tools.venue.alpaca import assets
from gpi.tools.venue.data import series
from gpi.tools.venue.data.messages import plain
from gpi.tools.venue.data.names import pair, polygon_ticker
from gpi.tools.venue.data.tape import Tape
from gpi.tools.venue.polygon import codes
from gpi.tools.venue.polygon.rest import whole
from gpi.tools.venue.refusals import Refusal, failed
from gpi.tools.venue.world import World

MICS: Final = {"NASDAQ": "XNAS", "NYSE": "XNYS", "ARCA": "ARCX", "AMEX": "XASE", "BATS": "BATS", "OTC": "OTCM"}
MARKETS: Final = {"equity": "stocks", "crypto": "crypto", "index": "indices"}
LISTS: Final = {"stocks": (codes.TRADES, codes.QUOTES), "options": (codes.OPTIONS, ()), "crypto": (codes.COINS, ())}
CLASSES: Final = {"stocks", "options", "crypto", "fx", "futures"}
EMPTY: Final = ("/v3/reference/dividends", "/v3/reference/splits", "/v2/reference/news", "/stocks/v1/dividends",
                "/stocks/v1/splits")  # fmt: skip
BOUNDS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "": lambda a, b: a == b, ".gt": lambda a, b: a > b, ".gte": lambda a, b: a >= b, ".lt": lambda a, b: a < b,
    ".lte": lambda a, b: a <= b,
}  # fmt: skip
Shown = dict[str, Any]


def routes(world: World) -> Iterable[web.AbstractRouteDef]:
    """/v3/reference and its kin."""
    pages = _Pages(world)
    return [
        web.get("/v3/reference/tickers", pages.said(pages.tickers)),
        web.get("/v3/reference/tickers/types", pages.said(pages.types)),
        web.get("/v3/reference/tickers/{ticker}", pages.said(pages.ticker)),
        web.get("/v3/reference/options/contracts", pages.said(pages.contracts)),
        web.get("/v3/reference/options/contracts/{ticker}", pages.said(pages.contract)),
        web.get("/v3/reference/conditions", pages.said(pages.conditions)),
        web.get("/v3/reference/exchanges", pages.said(pages.exchanges)),
        *(web.get(path, pages.said(pages.nothing)) for path in EMPTY),
    ]


class _Pages:
    def __init__(self, world: World) -> None:
        self.world = world

    def said(self, page: Callable[[web.Request], web.Response]) -> Callable[[web.Request], Any]:
        """A page as a handler: what it refuses is said in Polygon's words."""

        async def handle(request: web.Request) -> web.Response:
            try:
                return page(request)
            except Refusal as wrong:
                return failed(wrong.status, str(wrong))

        return handle

    def tickers(self, request: web.Request) -> web.Response:
        query, words = request.query, request.query.get("search", "").lower()
        listed = [each for each in self.world.instruments if each.asset_class in MARKETS]
        found = [
            shown for each in listed
            if (shown := self._ticker(each)) and (query.get("market") or shown["market"]) == shown["market"]
            and within(query, "ticker", shown["ticker"]) and words in f"{shown['ticker']} {shown['name']}".lower()
            and (query.get("exchange") or shown.get("primary_exchange")) == shown.get("primary_exchange")
            and query.get("active", "true").lower() != "false" and not query.get("type")
        ]  # fmt: skip
        return self._paged(request, found, "ticker", 100, counted=True)

    def _ticker(self, each: Instrument) -> Shown:
        market, name = MARKETS[each.asset_class], polygon_ticker(each)
        local = "global" if market == "crypto" else "us"
        shown: Shown = {"active": True, "locale": local, "market": market, "name": each.symbol, "ticker": name}
        if market == "stocks":
            shown |= {"currency_name": "usd", "primary_exchange": MICS.get(assets.exchange(each), "XNAS")}
        elif market == "crypto":
            base, _, money = pair(each.symbol, "/").partition("/")
            shown |= {"base_currency_symbol": base, "currency_symbol": money, "currency_name": money}
        return shown

    def ticker(self, request: web.Request) -> web.Response:
        each = self._find(request)
        if each is None or each.asset_class not in MARKETS:
            return failed(404, "Ticker not found.")
        shown = self._ticker(each)
        more = {"ticker_root": each.symbol, "round_lot": 100} if each.asset_class == "equity" else {}
        return whole({"results": {**shown, **more}})

    def types(self, request: web.Request) -> web.Response:
        rows = [{"asset_class": "stocks", "code": code, "description": words, "locale": "us"}
                for code, words in codes.TYPES.items()]  # fmt: skip
        found = rows if _of(request, "stocks") and request.query.get("locale", "us") == "us" else []
        return whole({"results": found, "count": len(found)})

    def contracts(self, request: web.Request) -> web.Response:
        query, today = request.query, day_of(self.world.clock.now())
        expired = query.get("expired", "").lower() == "true"
        found = [
            _contract(each) for each in self.world.instruments
            if each.asset_class == "option" and each.expiry is not None and (each.expiry < today) == expired
            and within(query, "underlying_ticker", each.underlying)
            and within(query, "expiration_date", each.expiry.isoformat())
            and within(query, "strike_price", each.strike, float) and within(query, "ticker", polygon_ticker(each))
            and query.get("contract_type", "")[:1].upper() in ("", each.right)
        ]  # fmt: skip
        return self._paged(request, found, "ticker", 10)

    def contract(self, request: web.Request) -> web.Response:
        each = self._find(request)
        if each is None or each.asset_class != "option":
            return failed(404, "Options contract not found.")
        return whole({"results": _contract(each)})

    def conditions(self, request: web.Request) -> web.Response:
        query, data = request.query, request.query.get("data_type")
        found = [
            _condition(each, market, kind)
            for market, (trades, quotes) in LISTS.items() if _of(request, market)
            for kind, listed in (("trade", trades), ("bbo", quotes)) if data in (None, "", kind)
            for each in listed if within(query, "id", each.id, int)
            and (not query.get("sip") or f"{query['sip']}:" in each.sip)
        ]  # fmt: skip
        return self._paged(request, found, "id", 10, counted=True)

    def exchanges(self, request: web.Request) -> web.Response:
        names = ("id", "type", "name", "acronym", "mic", "operating_mic", "participant_id", "url")
        rows = [{"asset_class": "stocks", "locale": "us"} | {k: v for k, v in zip(names, row, strict=True) if v != ""}
                for row in codes.EXCHANGES]  # fmt: skip
        found = rows if _of(request, "stocks") and request.query.get("locale", "us") == "us" else []
        return whole({"results": found, "count": len(found)})

    def nothing(self, request: web.Request) -> web.Response:
        return whole({"results": [], **({"count": 0} if request.path.endswith("/news") else {})})

    def _find(self, request: web.Request) -> Instrument | None:
        tape = self.world.tape
        assert isinstance(tape, Tape)
        return tape.directory.find(request.match_info["ticker"])

    def _paged(
        self, request: web.Request, rows: list[Shown], key: str, usual: int, counted: bool = False
    ) -> web.Response:
        query = request.query
        by = query.get("sort") or key
        if rows and not all(by in row for row in rows):
            raise series.refused(f"invalid sort: {by[:40]}")
        rows = sorted(rows, key=lambda row: (row[by], row[key]), reverse=series.descending(query, "order", "asc"))
        after = series.after(query.get("cursor"))
        start = 0 if after is None else after[1]
        limit = series.number(query.get("limit"), "limit", 1, 1000, usual)
        if not 0 <= start <= len(rows):
            raise series.refused("invalid cursor")
        page = rows[start : start + limit]
        body: Shown = {"results": page, **({"count": len(page)} if counted else {})}
        if start + limit < len(rows):
            words = {k: v for k, v in query.items() if k not in ("cursor", "apiKey")}
            token = series.token("", start + limit, 0)
            body["next_url"] = str(request.url.with_query({**words, "cursor": token}))
        return whole(body)


def _contract(each: Instrument) -> Shown:
    assert each.expiry is not None
    style = "american" if settlement(each.underlying).american else "european"
    call = each.right == "C"
    return {
"cfi": f"O{'C' if call else 'P'}{'ASPS' if style == 'american' else 'EICS'}",  # ISO 10962
        "contract_type": "call" if call else "put", "exercise_style": style,
        "expiration_date": each.expiry.isoformat(), "primary_exchange": "BATO",
        "shares_per_contract": plain(each.multiplier), "strike_price": plain(each.strike),
        "ticker": polygon_ticker(each), "underlying_ticker": each.underlying,
    }  # fmt: skip


def _condition(each: codes.Condition, market: str, kind: str) -> Shown:
    side = market == "crypto" and each.id > 0
    word = "regular" if each.id == 0 else "buy_or_sell_side" if side else f"{'sale' if kind == 'trade' else 'quote'}"
    shown: Shown = {"id": each.id, "type": word if word in ("regular", "buy_or_sell_side") else f"{word}_condition",
                    "name": each.name, "asset_class": market, "data_types": [kind]}  # fmt: skip
    if each.sip:
        shown["sip_mapping"] = dict(part.split(":", 1) for part in each.sip.split())
    if each.updates is not None:
        names = ("updates_high_low", "updates_open_close", "updates_volume")
        shown["update_rules"] = {"consolidated": dict(zip(names, each.updates, strict=True))}
    if each.legacy:
        shown["legacy"] = True
    return shown


def _of(request: web.Request, market: str) -> bool:
    """Whether a query asks for this class, or for all. Raises Refusal for one there is not."""
    asked = request.query.get("asset_class") or market
    if asked not in CLASSES:
        raise series.refused(f"invalid asset_class: {asked[:40]}")
    return asked == market


def within(query: Any, name: str, value: Any, read: Callable[[str], Any] = str) -> bool:
    """Whether a value meets every bound of a query: name, name.gt, .gte, .lt, .lte. Raises Refusal."""
    for end, holds in BOUNDS.items():
        text = query.get(name + end)
        if text:
            try:
                if not holds(value, read(text)):
                    return False
            except ValueError:
                raise series.refused(f"invalid {name}: {text[:40]}") from None
    return True
