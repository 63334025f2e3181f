"""The venue against what the vendors said: recorded exchanges replayed, documented messages compared key by key.

A recorded exchange must get the same status, the same code and every field of the recording. Documented messages are
gathered by kind, over all files, and compared with ours: a key that is missing, additional or of another type is a
difference. Every difference stands in DIFFERENCES with its reason, and every reason must still be needed.
docs/conformance.md is this table; `python -m tests.test_conformance` writes it again.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zstandard
from aiohttp import ClientSession

from gpi.formats.frame import Frame
from gpi.formats.instruments import Instruments, crypto, equity, index, option
from gpi.formats.secrets import Secret
from gpi.formats.ticks import ticks
from gpi.formats.words import BUY, DEPTH, HIDDEN, OFF_EXCHANGE, PAUSED, QUOTE, SELL, STATUS, TRADE
from gpi.tools.venue.venue import Options, made, opened
from gpi.tools.venue.world import World
from tests.conformance_table import DIFFERENCES, LEFT_OUT, PAGES, RECORDED

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
PAGE = Path(__file__).resolve().parents[1] / "docs" / "conformance.md"
pytestmark = pytest.mark.skipif(not DATA.exists(), reason="needs ../shared/data")
FILES = {
    "alpaca": ("docs", "py_tests"),
    "polygon": ("ws_mock_server", "ws_spec_examples", "rest_spec_examples", "rest_mocks", "recorded_http_2021"),
}
KEY, SECRET = "PKCONFORM", "secret-of-conformance"
CALL, PUT = "AAPL240621C00100000", "AAPL240621P00100000"
SHARES = ("AAPL", "TSLA", "SPY", "CRM", "AIV", "FB", "GDX", "BRZU", "AMZN", "MSFT")
TABLE = (*map(equity, SHARES), option(CALL), option(PUT), crypto("BTC/USD"), crypto("ETH/USD"), index("SPX"))
MONDAY = int(datetime(2024, 6, 3, 14, 30, tzinfo=UTC).timestamp()) * 10**9
FRIDAY = MONDAY - 3 * 86400 * 10**9
Shape = dict[str, set[str]]


# --- what the vendors said -------------------------------------------------------------------------------------------


@cache
def fixtures(name: str) -> list[dict[str, Any]]:
    """The rows of one file of shared data."""
    with open(DATA / f"{name}.jsonl.zst", "rb") as file:
        text = zstandard.ZstdDecompressor().stream_reader(file).read().decode()
    return [json.loads(line) for line in text.splitlines()]


def shaped(body: Any, path: str = "", into: Shape | None = None) -> Shape:
    """Every key path of a body with the types seen there; elements of lists and values by symbol are one."""
    found: Shape = {} if into is None else into
    types = found.setdefault(path, set())
    if isinstance(body, dict):
        types.add("object")
        symbols = body and all(re.fullmatch(r"\d+", k) for k in body)
        symbols = (
            symbols
            or body
            and all(re.fullmatch(r"(X:|O:)?[A-Z0-9./]+", k) and isinstance(v, (dict, list)) for k, v in body.items())
        )
        for key, value in body.items():
            shaped(value, f"{path}.{'*' if symbols else key}", found)
    elif isinstance(body, list):
        types.add("list")
        for value in body:
            shaped(value, f"{path}[]", found)
    elif body is not None:
        types.add("bool" if isinstance(body, bool) else "number" if isinstance(body, (int, float)) else "string")
    return found


def compared(theirs: Shape, ours: Shape) -> list[str]:
    """The differences between two shapes, one line each; what is under a missing key is not said again."""
    found = []
    for path, types in sorted(theirs.items()):
        parent = re.sub(r"(\[\]|\.[^.\[]+)$", "", path)
        if path not in ours:
            if parent in ours or not path:
                found.append(f"missing {path.lstrip('.') or 'body'}")
        elif types and ours[path] and not ours[path] <= types:
            found.append(
                f"type {path.lstrip('.') or 'body'}: {'/'.join(sorted(types))}, here {'/'.join(sorted(ours[path]))}"
            )
    for path in sorted(ours):
        parent = re.sub(r"(\[\]|\.[^.\[]+)$", "", path)
        if path not in theirs and (parent in theirs):
            found.append(f"extra {path.lstrip('.')}")
    return found


def klass(text: str) -> str:
    """Which class of instruments a text speaks of."""
    if re.search(r"\d{6}[CP]\d{8}", text):
        return "option"
    return (
        "crypto" if re.search(r"crypto|[A-Z]{2,5}/USD|(BTC|ETH|LTC|SOL|LINK)USD|tks|FTXU|CBSE|ERSX", text) else "equity"
    )


def alpaca_kind(body: Any, about: str) -> str | None:
    """What an Alpaca body is; None for what no rule knows."""
    if isinstance(body, list):
        kinds = {alpaca_kind(each, about) for each in body}
        return f"list of {kinds.pop()}" if len(kinds) == 1 and None not in kinds else None
    if not isinstance(body, dict):
        return None
    keys, of = set(body), klass(about + json.dumps(body))
    if "T" in keys and len(str(body["T"])) == 1 and "ev" not in keys:
        return "ws n" if body["T"] == "n" else f"ws {body['T']} {of}"
    if "T" in keys and body["T"] in ("success", "error", "subscription"):
        return f"ws {body['T']}"
    if re.search("/stocks/meta/(exchanges|conditions)", about):
        return "exchanges" if "meta/exchanges" in about else f"conditions of {'trades' if 'M' in keys else 'quotes'}"
    if "stream" in keys:
        return f"stream {body['stream']}"
    for what in ("bars", "quotes", "trades"):
        if what in keys:
            inner = body[what]
            if isinstance(inner, dict) and inner:
                first = next(iter(inner.values()))
                return f"rest {'' if isinstance(first, list) else 'latest '}{what} {of}"
            return f"rest {what} of one {of}" if inner else "rest nothing"
        if what[:-1] in keys:
            return f"rest latest {what[:-1]} of one {of}" if "symbol" in keys else f"rest latest {what} {of}"
    if keys == {"snapshots"} or keys == {"snapshots", "next_page_token"}:
        return f"rest snapshots {of}" if body["snapshots"] else "rest nothing"
    signs = (
        ({"news"}, "rest news"), ({"gainers", "losers"}, "movers"), ({"corporate_actions"}, "corporate actions"),
        ({"account_id", "created_at", "assets"}, "watchlist"), ({"account_id", "created_at"}, "listed watchlist"),
        ({"most_actives"}, "most actives"),
        ({"orderbooks"}, "rest orderbooks"), ({"option_contracts"}, "contracts"),
        ({"strike_price", "underlying_symbol"}, "contract"), ({"latestTrade"}, f"snapshot {of}"),
        ({"client_order_id", "order_type"}, "order"), ({"account_number", "buying_power", "multiplier"}, "account"),
        ({"avg_entry_price"}, "position"), ({"class", "tradable"}, f"asset {of}"), ({"next_open"}, "clock"),
        ({"date", "open", "close"}, "day"), ({"trade_confirm_email"}, "configurations"),
        ({"equity", "timestamp", "timeframe"}, "portfolio history"), ({"code", "message"}, "error"),
        ({"t", "bp", "ap"}, f"quote {of}"), ({"t", "o", "h", "l", "c"}, f"bar {of}"), ({"t", "p", "s"}, f"trade {of}"),
    )  # fmt: skip
    if {"id", "status"} == keys or {"symbol", "status", "body"} == keys or {"id", "status", "body"} == keys:
        return "canceled" if "symbol" not in keys else "closed"
    if body.get("activity_type") == "FILL":
        return "fill"
    return next((kind for wanted, kind in signs if wanted <= keys), None) or (
        f"rest snapshots {of}"
        if body and all(isinstance(v, dict) and "latestTrade" in v for v in body.values())
        else None
    )


POLYGON_PATHS = (
    (r"/v3/quotes/O:|/v3/quotes/\{options", "quotes option"),
    (r"/v3/quotes/\{fx", None),
    (r"/v3/quotes/", "quotes equity"),
    (r"/v3/trades/(X:|\{crypto)", "trades crypto"),
    (r"/v3/trades/(O:|\{options)", "trades option"),
    (r"/v3/trades/", "trades equity"),
    (r"/v2/last/nbbo", "last quote"),
    (r"/v2/last/trade/\{options", "last trade option"),
    (r"/v2/last/trade", "last trade equity"),
    (r"/v1/last/crypto", "last trade crypto"),
    (r"/v2/aggs/grouped.*(fx|global/market/fx)", None),
    (r"/v2/aggs/grouped", "grouped"),
    (r"\{forex", None),
    (r"/v2/aggs/ticker/.*/prev", "previous"),
    (r"/v2/aggs/ticker/.*/range", "aggregates"),
    (r"/v1/marketstatus/now", "market status"),
    (r"/v1/marketstatus/upcoming", "holidays"),
    (r"/v1/open-close/(crypto|\{indices|\{options)", None),
    (r"/v1/open-close", "open close"),
    (r"/v1/indicators/(sma|ema|rsi)/", "indicator"),
    (r"/v1/indicators/macd/", "macd"),
    (r"/v3/reference/tickers/types", "ticker types"),
    (r"/v3/reference/tickers/", "ticker"),
    (r"/v3/reference/tickers", "tickers"),
    (r"/v3/reference/options/contracts/", "option contract"),
    (r"/v3/reference/options/contracts", "option contracts"),
    (r"/v3/reference/conditions", "conditions"),
    (r"/v3/reference/exchanges", "exchanges"),
    (r"/v3/reference/dividends", "dividends"),
    (r"/v3/reference/splits", "splits"),
    (r"/v2/reference/news", "news"),
    (r"/v2/snapshot/.*forex", None),
    (r"/v2/snapshot/.*/book", "book"),
    (r"/v2/snapshot/.*crypto/tickers(/\{ticker\}|/[^/]+)$", "snapshot crypto"),
    (r"/v2/snapshot/.*stocks/tickers/(\{|AAPL)", "snapshot equity"),
    (r"/v2/snapshot/.*crypto/(tickers|\{direction)", "snapshots crypto"),
    (r"/v2/snapshot/.*stocks", "snapshots equity"),
    (r"/v3/snapshot/options/[^/]+/", "contract snapshot"),
    (r"/v3/snapshot/options/", "chain"),
    (r"/v3/snapshot/indices", "snapshot indices"),
    (r"/v3/snapshot($|\?)", "universal"),
)


def polygon_kind(row: dict[str, Any], body: Any) -> str | None:
    """What a Polygon body is."""
    if isinstance(body, list) and body and all("ev" in each for each in body):
        return "ws " + body[0]["ev"] + polygon_class(body[0]) if body[0]["ev"] != "status" else "ws status"
    if isinstance(body, dict) and "ev" in body:
        return "ws status" if body["ev"] == "status" else "ws " + body["ev"] + polygon_class(body)
    path = re.sub(r"^https?://[^/]+", "", row.get("path") or row.get("url") or "").replace(";", ":").split("&")[0]
    if row.get("status") == 429:
        return "error"
    found = next(
        (kind for pattern, kind in POLYGON_PATHS if re.match(pattern, path) or re.search("^" + pattern, path)), None
    )
    return None if found is None or not isinstance(body, (dict, list)) else found


def polygon_class(message: dict[str, Any]) -> str:
    """The market of a socket message."""
    name = str(message.get("sym", message.get("T", "")))
    if "pair" in message:
        return " crypto"
    return {"O": " option", "I": " index", "C": " fx", "X": " crypto"}.get(
        name[:1] if name[1:2] == ":" else "", " equity"
    )


def said(vendor: str) -> tuple[dict[str, Shape], dict[str, int], Counter[str]]:
    """Everything documented: shapes by kind, how many examples of each, and what was left out, by reason."""
    shapes: dict[str, Shape] = defaultdict(dict)
    counts: Counter[str] = Counter()
    out: Counter[str] = Counter()
    for name in FILES[vendor]:
        for row in fixtures(f"fix_{vendor}_{name}"):
            body, about = row["body"], " ".join(str(row.get(k, "")) for k in ("where", "url", "source", "path"))
            kind = alpaca_kind(body, about) if vendor == "alpaca" else polygon_kind(row, body)
            why = left_out(vendor, row, body, kind, about)
            if why is not None:
                out[why] += 1
                continue
            assert kind is not None
            counts[kind.removeprefix("list of ")] += 1
            take(kind, body, shapes)
    return dict(shapes), counts, out


def take(kind: str, body: Any, shapes: dict[str, Shape]) -> None:
    """Add an example to its kind; the elements of a list are examples of theirs."""
    kind = kind.removeprefix("list of ")
    listed = isinstance(body, list) and not kind.startswith(("holidays",))
    for each in body if listed else [body]:
        shaped(each, "", shapes.setdefault(kind, {}))


def left_out(vendor: str, row: dict[str, Any], body: Any, kind: str | None, about: str) -> str | None:
    """Why an example is not compared; None if it is."""
    text = f"{about} | {row.get('what', '')} | {json.dumps(body)[:200]}"
    for pattern, why in LEFT_OUT[vendor]:
        if re.search(pattern, text) or (kind is not None and re.search(pattern, f"kind {kind}")):
            return why
    return None if kind is not None else "unknown"


# --- what the venue says ---------------------------------------------------------------------------------------------


def frame(*made_rows: dict[str, Any], levels: int = 2) -> Frame:
    """Rows of ticks with two levels."""
    columns: dict[str, list[Any]] = {name: [] for name in ticks(levels).names}
    for n, row in enumerate(made_rows):
        base = {"seq": n, "side": 0, "flags": 0, "ts_recv": row["ts_event"]}
        for name in columns:
            nothing: Any = float("nan") if name.endswith("_px") else 0.0
            if name in ("bids_px", "bids_sz", "asks_px", "asks_sz"):
                nothing = [nothing] * levels
            columns[name].append(row.get(name, base.get(name, nothing)))
    return Frame.of(ticks(levels), {name: np.array(values) for name, values in columns.items()})


def market(start: int, minutes: int, ids: Iterable[int], base: float = 100.0) -> Frame:
    """Quotes and trades of everything, every five seconds."""
    found: list[dict[str, Any]] = []
    for k in range(minutes * 12):
        at = start + k * 5 * 10**9 + 123_456_789
        for i in ids:
            px = {len(SHARES): 3.5, len(SHARES) + 1: 2.5, len(SHARES) + 2: 69_000.5, len(SHARES) + 3: 3_500.25,
                  len(SHARES) + 4: 5_300.0}.get(i, base) + k / 100  # fmt: skip
            found.append({"ts_event": at, "instrument_id": i, "kind": QUOTE, "bid_px": px, "bid_sz": 300.0,
                          "ask_px": px + 0.02, "ask_sz": 200.0})  # fmt: skip
            flags = OFF_EXCHANGE if k % 5 == 1 else HIDDEN if k % 5 == 2 else 0
            found.append({"ts_event": at, "instrument_id": i, "kind": TRADE, "trade_px": px, "trade_sz": 10.0,
                          "flags": flags, "side": SELL if k % 2 else BUY})  # fmt: skip
    return frame(*found)


class Running:
    """The whole venue in this process, and a client of it."""

    async def __aenter__(self) -> Running:
        options = Options(accounts={KEY: (Secret(SECRET), Decimal(100_000))}, by_calendar=False, levels=2, rate_limit=0)
        self.world: World = made(options, Instruments(TABLE))
        self.at = await opened(self.world)
        self.session = ClientSession()
        self.headers = {"APCA-API-KEY-ID": KEY, "APCA-API-SECRET-KEY": SECRET}
        return self

    async def __aexit__(self, *_: Any) -> None:
        await self.session.close()
        await self.at.close()

    async def call(self, verb: str, path: str, body: Any = None, headers: Any = None) -> tuple[int, Any]:
        """Status and body of one request."""
        url = self.at.url + path
        async with self.session.request(verb, url, json=body, headers=headers or self.headers) as answered:
            text = await answered.text()
            return answered.status, json.loads(text) if text else None

    async def order(self, **words: Any) -> dict[str, Any]:
        """An order that is taken."""
        asked = {
            "symbol": "AAPL",
            "qty": "1",
            "side": "buy",
            "type": "limit",
            "time_in_force": "gtc",
            "limit_price": "25",
        }
        status, body = await self.call(
            "POST", "/v2/orders", {k: v for k, v in {**asked, **words}.items() if v is not None}
        )
        assert status == 200, body
        found: dict[str, Any] = body
        return found

    async def ticked(self, symbol: str, px: float) -> None:
        """One quote through the venue."""
        ts = self.world.clock.now() + 10**7
        i = self.world.instruments.named(symbol).id
        sides = {"bid_px": px, "bid_sz": 10_000.0, "ask_px": px + 0.01, "ask_sz": 10_000.0}
        await self.world.play(frame({"ts_event": ts, "instrument_id": i, "kind": QUOTE, **sides}))


ROWS = ("bars", "quotes", "trades")
STOCKS, OPTIONS, COINS = "/v2/stocks", "/v1beta1/options", "/v1beta3/crypto/us"
SINCE = "start=2024-05-31"
GET_ALPACA = {
    **{f"rest {what} equity": f"{STOCKS}/{what}?symbols=AAPL,TSLA&{SINCE}" for what in ROWS},
    **{f"rest {what} of one equity": f"{STOCKS}/AAPL/{what}?{SINCE}&limit=5" for what in ROWS},
    **{f"rest latest {what} equity": f"{STOCKS}/{what}/latest?symbols=AAPL" for what in ROWS},
    **{f"rest latest {what[:-1]} of one equity": f"{STOCKS}/AAPL/{what}/latest" for what in ROWS},
    "rest snapshots equity": f"{STOCKS}/snapshots?symbols=AAPL",
    "snapshot equity": f"{STOCKS}/AAPL/snapshot",
    **{f"rest {what} crypto": f"{COINS}/{what}?symbols=BTC/USD&{SINCE}" for what in ROWS},
    **{f"rest latest {what} crypto": f"{COINS}/latest/{what}?symbols=BTC/USD" for what in ROWS},
    "rest snapshots crypto": "/v1beta3/crypto/us/snapshots?symbols=BTC/USD",
    "rest orderbooks": "/v1beta3/crypto/us/latest/orderbooks?symbols=BTC/USD",
    **{f"rest {what} option": f"{OPTIONS}/{what}?symbols={CALL}&{SINCE}" for what in ("bars", "trades")},
    **{f"rest latest {what} option": f"{OPTIONS}/{what}/latest?symbols={CALL}" for what in ("quotes", "trades")},
    "rest snapshots option": f"{OPTIONS}/snapshots/AAPL?limit=10",
    "contracts": "/v2/options/contracts?underlying_symbols=AAPL",
    "contract": f"/v2/options/contracts/{CALL}",
    "account": "/v2/account",
    "configurations": "/v2/account/configurations",
    "asset equity": "/v2/assets/AAPL",
    "asset crypto": "/v2/assets/BTC%2FUSD",
    "list of asset equity": "/v2/assets?asset_class=us_equity",
    "clock": "/v2/clock",
    "exchanges": "/v2/stocks/meta/exchanges",
    "conditions of trades": "/v2/stocks/meta/conditions/trade?tape=A",
    "conditions of quotes": "/v2/stocks/meta/conditions/quote?tape=C",
    "rest news": "/v1beta1/news",
    "most actives": "/v1beta1/screener/stocks/most-actives",
    "movers": "/v1beta1/screener/stocks/movers",
    "corporate actions": "/v1/corporate-actions",
    "day": None,
    "portfolio history": "/v2/account/portfolio/history",
    "list of position": "/v2/positions",
    "position": "/v2/positions/TSLA",
    "list of order": "/v2/orders?status=all",
}
GET_POLYGON = {
    "quotes equity": "/v3/quotes/AAPL?limit=5",
    "quotes option": f"/v3/quotes/O:{CALL}?limit=5",
    "trades equity": "/v3/trades/AAPL?limit=5",
    "trades option": f"/v3/trades/O:{CALL}?limit=5",
    "trades crypto": "/v3/trades/X:BTC-USD?limit=5",
    "last quote": "/v2/last/nbbo/AAPL",
    "last trade equity": "/v2/last/trade/AAPL",
    "last trade option": f"/v2/last/trade/O:{CALL}",
    "last trade crypto": "/v1/last/crypto/BTC/USD",
    "grouped": "/v2/aggs/grouped/locale/us/market/stocks/2024-05-31",
    "previous": "/v2/aggs/ticker/AAPL/prev",
    "aggregates": "/v2/aggs/ticker/AAPL/range/1/minute/2024-05-31/2024-06-03?limit=2",
    "market status": "/v1/marketstatus/now",
    "holidays": "/v1/marketstatus/upcoming",
    "open close": "/v1/open-close/AAPL/2024-05-31",
    "indicator": "/v1/indicators/sma/AAPL?timespan=minute&window=2&limit=1&expand_underlying=true",
    "macd": "/v1/indicators/macd/AAPL?timespan=minute&short_window=1&long_window=2&signal_window=1&limit=1",
    "ticker types": "/v3/reference/tickers/types",
    "ticker": "/v3/reference/tickers/AAPL",
    "tickers": "/v3/reference/tickers?market=stocks&limit=1",
    "option contract": f"/v3/reference/options/contracts/O:{CALL}",
    "option contracts": "/v3/reference/options/contracts?underlying_ticker=AAPL&limit=1",
    "conditions": "/v3/reference/conditions?asset_class=stocks&limit=1000",
    "exchanges": "/v3/reference/exchanges?asset_class=stocks",
    "dividends": "/v3/reference/dividends",
    "splits": "/v3/reference/splits",
    "news": "/v2/reference/news",
    "book": "/v2/snapshot/locale/global/markets/crypto/tickers/X:BTCUSD/book",
    "snapshot crypto": "/v2/snapshot/locale/global/markets/crypto/tickers/X:BTCUSD",
    "snapshots crypto": "/v2/snapshot/locale/global/markets/crypto/tickers",
    "snapshot equity": "/v2/snapshot/locale/us/markets/stocks/tickers/AAPL",
    "snapshots equity": "/v2/snapshot/locale/us/markets/stocks/tickers",
    "contract snapshot": f"/v3/snapshot/options/AAPL/O:{CALL}",
    "chain": "/v3/snapshot/options/AAPL",
    "snapshot indices": "/v3/snapshot/indices?ticker.any_of=I:SPX,NOPE",
    "universal": f"/v3/snapshot?ticker.any_of=AAPL,O:{CALL},X:BTCUSD,I:SPX,NOPE",
}
SOCKETS = {
    "/v2/iex": ["trades", "quotes", "bars", "updatedBars", "dailyBars", "statuses", "lulds"],
    "/v1beta3/crypto/us": ["trades", "quotes", "bars", "dailyBars", "orderbooks"],
}
TOPICS = {"/stocks": "T.*,Q.*,A.*,AM.*,LULD.*", "/options": "T.*,Q.*,A.*,AM.*", "/crypto": "XT.*,XQ.*,XA.*,XAS.*,XL2.*",
          "/indices": "V.*,A.*,AM.*"}  # fmt: skip


async def listening(ws: Any, into: dict[str, Shape], kind: Callable[[Any], str | None]) -> None:
    """Take in everything a socket says."""
    async for message in ws:
        body = json.loads(message.data)
        for each in body if isinstance(body, list) else [body]:
            named = kind(each)
            if named is not None:
                take(named, each, into)


async def everything() -> tuple[dict[str, Shape], dict[str, Shape]]:
    """Alpaca's and Polygon's messages as this venue makes them, by kind."""
    ours: dict[str, Shape] = {}
    other: dict[str, Shape] = {}
    async with Running() as venue:
        tasks = [asyncio.create_task(each) for each in await sockets(venue, ours, other)]
        ids = range(len(TABLE))
        book = {"kind": DEPTH, "instrument_id": len(SHARES) + 2, "bids_px": [69_000.5, 69_000.0], "bids_sz": [1.5, 2.0],
                "asks_px": [69_001.0, 69_002.0], "asks_sz": [0.5, 1.0]}  # fmt: skip
        for hour in (-2, 0, 6):
            await venue.world.play(market(FRIDAY + hour * 3600 * 10**9, 2, ids))
        await venue.world.play(market(MONDAY, 3, ids, 101.0))
        pause = {"ts_event": MONDAY + 201 * 10**9, "instrument_id": 9, "kind": STATUS, "flags": PAUSED}
        await venue.world.play(frame({**book, "ts_event": MONDAY + 200 * 10**9}, pause))
        await venue.order(symbol="TSLA", qty="10", type="market", limit_price=None)
        await venue.ticked("TSLA", 101.5)
        _, listed = await venue.call("POST", "/v2/watchlists", {"name": "a list", "symbols": ["AAPL"]})
        shaped(listed, "", ours.setdefault("watchlist", {}))
        _, lists = await venue.call("GET", "/v2/watchlists")
        shaped(lists[0], "", ours.setdefault("listed watchlist", {}))
        order = await venue.order(client_order_id="a-limit", qty="3")
        shaped(order, "", ours.setdefault("order", {}))
        for kind, path in GET_ALPACA.items():
            if path is not None:
                status, body = await venue.call("GET", path)
                assert status == 200, (path, body)
                take(kind, body, ours)
        _, fills = await venue.call("GET", "/v2/account/activities/FILL")
        _, days = await venue.call("GET", "/v2/calendar?start=2024-06-03&end=2024-06-07")
        _, wrong = await venue.call("GET", "/v2/orders/001c0b29-5bc9-45c4-bd32-5ba323c997b3")
        for kind, bodies in (("fill", fills), ("day", days), ("error", [wrong])):
            assert bodies
            take(kind, bodies, ours)
        _, rows = await venue.call("GET", "/v2/stocks/snapshots?symbols=AAPL")
        for kind, key in (
            ("quote equity", "latestQuote"),
            ("trade equity", "latestTrade"),
            ("bar equity", "minuteBar"),
        ):
            shaped(rows["AAPL"][key], "", ours.setdefault(kind, {}))
        for kind, path in (("canceled", "/v2/orders"), ("closed", "/v2/positions")):
            _, each = await venue.call("DELETE", path)
            take(kind, each, ours)
        for kind, path in GET_POLYGON.items():
            status, body = await venue.call("GET", path, headers={"Authorization": f"Bearer {SECRET}"})
            assert status == 200, (path, body)
            shaped(body, "", other.setdefault(kind, {}))
        _, wrong = await venue.call("GET", "/v3/quotes/AAPL?limit=-1", headers={"Authorization": f"Bearer {SECRET}"})
        shaped(wrong, "", other.setdefault("error", {}))
        await asyncio.sleep(0.3)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return ours, other


async def sockets(venue: Running, ours: dict[str, Shape], other: dict[str, Shape]) -> list[Any]:
    """Subscribe to everything; who listens."""
    found = []
    for path, channels in SOCKETS.items():
        ws = await venue.session.ws_connect(venue.at.url + path, headers=venue.headers)
        await ws.send_json({"action": "subscribe", **{each: ["*"] for each in channels}})
        await ws.send_json({"action": "nonsense"})
        found.append(listening(ws, ours, lambda each: alpaca_kind(each, "")))
    stream = await venue.session.ws_connect(venue.at.url + "/stream")
    await stream.send_json({"action": "authenticate", "data": {"key_id": KEY, "secret_key": SECRET}})
    await stream.send_json({"action": "listen", "data": {"streams": ["trade_updates"]}})
    found.append(listening(stream, ours, lambda each: alpaca_kind(each, "")))
    for path, topics in TOPICS.items():
        ws = await venue.session.ws_connect(venue.at.url + path)
        await ws.send_json({"action": "auth", "params": SECRET})
        await ws.send_json({"action": "subscribe", "params": topics})
        found.append(listening(ws, other, lambda each: polygon_kind({}, each)))
    await asyncio.sleep(0.2)
    return found


@cache
def said_here() -> tuple[dict[str, Shape], dict[str, Shape]]:
    """What the venue says, once for all tests."""
    return asyncio.run(asyncio.wait_for(everything(), 120))


@cache
def differences(vendor: str) -> dict[str, int]:
    """Every difference, and how many examples its kind has."""
    theirs, counts, _ = said(vendor)
    ours = said_here()[vendor == "polygon"]
    found = {}
    for kind, shape in theirs.items():
        lines = compared(shape, ours[kind]) if kind in ours else ["not made here"]
        found.update({f"{vendor} {kind}: {line}": counts[kind] for line in lines})
    return found


# --- recorded exchanges, replayed ------------------------------------------------------------------------------------


async def filled(venue: Running, symbol: str, side: str, qty: str, px: float) -> None:
    """A position."""
    await venue.ticked(symbol, px)
    await venue.order(symbol=symbol, side=side, qty=qty, type="market", time_in_force="day", limit_price=None)
    await venue.ticked(symbol, px)


async def prepared(venue: Running, row: dict[str, Any]) -> tuple[str, Any]:
    """Bring the venue into the state of a recording; the request's path (with our order's id) and headers."""
    method, path = row["method"], re.sub(r"^https://[^/]+", "", row["url"])
    case = row["source"].rpartition("/")[2]
    kept: dict[str, Any] = {}
    if method in ("PATCH", "DELETE", "GET") and row["status"] != 404 and re.search(r"/orders/[0-9a-f-]{36}", path):
        if method == "GET":
            await venue.ticked("GDX", 25.07)
            kept = await venue.order(symbol="GDX", qty="5", type="market", time_in_force="day", limit_price=None)
            await venue.ticked("GDX", 25.07)
        else:
            await venue.ticked("BRZU", 25.30)
            kept = await venue.order(symbol="BRZU", qty="10", limit_price="25")
        if row["status"] == 422:
            await venue.call("DELETE", f"/v2/orders/{kept['id']}")
        path = re.sub(r"[0-9a-f-]{36}", kept["id"], path)
    elif method == "POST":
        await venue.ticked("AAPL", 330.0 if "bracket" in case else 190.0)
    elif path.startswith("/v2/positions") and row["body"] and row["status"] != 404:
        symbol, side = ("FB", "sell") if "FB" in json.dumps(row["body"]) else ("AIV", "buy")
        await filled(venue, symbol, side, "100", 198.4 if symbol == "FB" else 50.0)
    elif path == "/v2/orders" and method == "DELETE" and row["body"]:
        await venue.ticked("AIV", 50.0)
        await venue.order(symbol="AIV", limit_price="40")
    elif "activities/FILL" in path:
        await filled(venue, "AIV", "buy", "26", 50.0)
    elif path.startswith("/v2/orders?"):
        await venue.ticked("GDX", 25.07)
        await venue.order(symbol="GDX", limit_price="20")
    return path, {**venue.headers, "APCA-API-SECRET-KEY": "wrong"} if row["status"] == 401 else None


async def replayed(row: dict[str, Any]) -> list[str]:
    """What differs when one recorded exchange is repeated in a fresh venue."""
    async with Running() as venue:
        await venue.world.play(market(MONDAY, 1, [0], 190.0))
        path, headers = await prepared(venue, row)
        status, body = await venue.call(row["method"], path, row["request_body"], headers)
    found = [] if status == row["status"] else [f"status {row['status']}, here {status}"]
    theirs, ours = shaped(row["body"]), shaped(body)
    if isinstance(row["body"], dict) and "code" in row["body"]:
        here = body.get("code") if isinstance(body, dict) else None
        return found + ([] if here == row["body"]["code"] else [f"code {row['body']['code']}, here {here}"])
    return found + ([] if found else [line for line in compared(theirs, ours) if not line.startswith("extra")])


def exchange_name(row: dict[str, Any]) -> str:
    """A recorded exchange in one line."""
    path = re.sub(r"^https://[^/]+", "", row["url"]).split("?")[0]
    return f"{row['method']} {re.sub(r'[0-9a-f-]{36}', '{id}', path)} {row['status']}"


@cache
def replay() -> dict[str, int]:
    """All recorded exchanges: each difference, and how often."""

    async def all_() -> Counter[str]:
        found: Counter[str] = Counter()
        for row in fixtures("fix_alpaca_recorded_http_2019_2022"):
            found.update(f"{exchange_name(row)}: {line}" for line in await replayed(row))
        return found

    return dict(asyncio.run(all_()))


# --- the tests -------------------------------------------------------------------------------------------------------


def spread(line: str) -> list[str]:
    """A line of the table as the differences it stands for."""
    found = re.match(r"(.*?)\{([^{}]*,[^{}]*)\}(.*)", line)
    return [line] if found is None else [x for word in found[2].split(",") for x in spread(found[1] + word + found[3])]


def unlisted(found: Iterable[str], table: Iterable[str]) -> tuple[list[str], list[str]]:
    """Differences without a reason, and reasons without a difference."""
    listed = {each for line in table for each in spread(line)}
    return sorted(set(found) - listed), sorted(listed - set(found))


def test_recorded_exchanges_are_answered_alike() -> None:
    """Status, code and every recorded field, but for what is listed."""
    found = replay()
    total = len(fixtures("fix_alpaca_recorded_http_2019_2022"))
    differing = {each.split(": ")[0] for each in found}
    print(f"{total} recorded exchanges; {len(differing)} kinds of them differ, in {len(found)} ways, all listed")
    new, stale = unlisted(found, RECORDED)
    assert not new and not stale, (new, stale)


@pytest.mark.parametrize("vendor", ["alpaca", "polygon"])
def test_documented_messages_have_our_keys(vendor: str) -> None:
    """Keys and types of every kind of message, but for what is listed."""
    _, counts, out = said(vendor)
    assert "unknown" not in out
    found = differences(vendor)
    table = [each for each in DIFFERENCES if each.startswith(vendor)]
    print(f"{vendor}: {sum(counts.values())} examples of {len(counts)} kinds compared, {sum(out.values())} left out; "
          f"{len(found)} differences, all listed")  # fmt: skip
    new, stale = unlisted(found, table)
    assert not new and not stale, (new, stale)


def page() -> str:
    """docs/conformance.md."""
    lines = ["# Conformance", "", "Where the venue differs from the vendors, as `tests/test_conformance.py` finds it.",
             "The page is written by `python -m tests.test_conformance`.", "", "## Recorded exchanges", ""]  # fmt: skip
    rows = fixtures("fix_alpaca_recorded_http_2019_2022")
    differing = {each.split(": ")[0] for each in replay()}
    same = sum(exchange_name(row) not in differing for row in rows)
    lines += [f"{len(rows)} real exchanges with Alpaca (2019 to 2022) are repeated; {same} are answered alike.", "",
              "| difference | reason |", "|---|---|"]  # fmt: skip
    lines += [f"| `{each}` | {why} |" for each, why in RECORDED.items()]
    for vendor in ("alpaca", "polygon"):
        _, counts, out = said(vendor)
        lines += ["", f"## {vendor.title()}: documented messages", "",
                  f"{sum(counts.values())} examples of {len(counts)} kinds are compared key by key.", "",
                  "| difference | reason |", "|---|---|"]  # fmt: skip
        lines += [
            f"| `{each.removeprefix(vendor + ' ')}` | {why} |"
            for each, why in DIFFERENCES.items()
            if each.startswith(vendor)
        ]
        lines += ["", "| left out | examples |", "|---|---|"]
        lines += [f"| {why} | {count} |" for why, count in sorted(out.items())]
    lines += ["", "## Pages that are not offered", "", "Each is asked for in `tests/test_venue_reference.py`.", "",
              "| page | status | reason |", "|---|---|---|"]  # fmt: skip
    lines += [f"| `{path}` | {status} | {why} |" for path, (status, why) in PAGES.items()]
    return "\n".join(lines) + "\n"


def test_the_page_says_what_was_found() -> None:
    """docs/conformance.md is up to date."""
    assert PAGE.read_text() == page(), "python -m tests.test_conformance"


if __name__ == "__main__":
    PAGE.write_text(page())
