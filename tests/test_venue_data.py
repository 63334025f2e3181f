"""The market-data side of the venue: sockets, history, the record of what was sent, and data made wrong on purpose."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import sys
import threading
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest
from aiohttp import ClientSession, WSMsgType, web
from aiohttp.test_utils import TestServer
from hypothesis import given
from hypothesis import strategies as st

from gpi.formats.frame import Frame
from gpi.formats.instruments import Instrument, Instruments, crypto, equity, index, option
from gpi.formats.ipc import Reader
from gpi.formats.secrets import Secret
from gpi.formats.ticks import ticks
from gpi.formats.words import BUY, DEPTH, OFF_EXCHANGE, PAUSED, QUOTE, SELL, STATUS, TRADE
from gpi.tools.kernels.data import writing as w
from gpi.tools.kernels.models import black_scholes as bs
from gpi.tools.venue.alpaca import history as alpaca_history
from gpi.tools.venue.alpaca import stream as alpaca_stream
from gpi.tools.venue.clock import Clock
from gpi.tools.venue.data.messages import ALPACA, Dialect, rfc3339
from gpi.tools.venue.data.names import alpaca
from gpi.tools.venue.data.sent import Sent
from gpi.tools.venue.data.store import Store
from gpi.tools.venue.data.tape import Tape
from gpi.tools.venue.edge import edge
from gpi.tools.venue.faults import Faults
from gpi.tools.venue.patience import Patience
from gpi.tools.venue.polygon import rest as polygon_rest
from gpi.tools.venue.polygon import snapshots as polygon_snapshots
from gpi.tools.venue.polygon import status as polygon_status
from gpi.tools.venue.polygon import stream as polygon_stream
from gpi.tools.venue.rates import RateLimits
from gpi.tools.venue.world import World

KEY, SECRET = "PKTEST", "s3cret-of-the-tests"
START = int(datetime(2024, 6, 3, 14, 30, tzinfo=UTC).timestamp()) * 10**9
TABLE = (
    equity("AAPL"), equity("MSFT"), option("AAPL240621C00190000"), option("AAPL240621P00190000"), crypto("BTCUSDT"),
    index("SPX"),
)  # fmt: skip


SIDES = (alpaca_stream, alpaca_history, polygon_stream, polygon_rest, polygon_snapshots, polygon_status)


class Stub:
    """Stands where the exchange and the accounts stand: nothing trades here."""

    def tick(self, frame: Frame) -> None: ...

    def announce(self, instruments: Instruments) -> None: ...

    def events(self) -> list[Any]:
        return []

    def pauses(self) -> list[Any]:
        return []

    def settle(self, events: list[Any]) -> None: ...


def world_of(table: Iterable[Instrument] = TABLE, keep: int = 1 << 16, **words: Any) -> World:
    """A world without an exchange."""
    instruments, clock, stub = Instruments(table), Clock(), Stub()
    faults = Faults(clock.now, seed=7)
    world = World(instruments, stub, clock, faults, {KEY: Secret(SECRET)}, Secret("token"), RateLimits(10_000), **words)
    world.accounts = stub  # type: ignore[assignment]
    world.tape = Tape(world, Store(instruments, keep))
    return world


def rows(*made: dict[str, Any], levels: int = 0) -> Frame:
    """A frame of ticks, a row from each dict; what is left out is nothing."""
    columns: dict[str, list[Any]] = {name: [] for name in ticks(levels).names}
    for n, row in enumerate(made):
        nothing = {"ts_event": START + n * 1_000_001, "ts_recv": 0, "instrument_id": 0, "side": 0, "flags": 0, "seq": n}
        for name in columns:
            missing = float("nan") if name.endswith("_px") else 0.0
            columns[name].append(row.get(name, nothing.get(name, missing)))
        columns["ts_recv"][-1] = columns["ts_event"][-1]
    return Frame.of(ticks(levels), {name: np.array(values) for name, values in columns.items()})


def quote(instrument_id: int = 0, bid: float = 100.0, ask: float = 100.01, **more: Any) -> dict[str, Any]:
    return {
        "kind": QUOTE,
        "instrument_id": instrument_id,
        "bid_px": bid,
        "bid_sz": 300,
        "ask_px": ask,
        "ask_sz": 200,
        **more,
    }


def trade(instrument_id: int = 0, px: float = 100.0, sz: float = 50.0, **more: Any) -> dict[str, Any]:
    return {"kind": TRADE, "instrument_id": instrument_id, "trade_px": px, "trade_sz": sz, "side": BUY, **more}


class Wire:
    """A socket of a client, in either coding."""

    def __init__(self, ws: Any, packed: bool) -> None:
        self.ws, self.packed = ws, packed

    async def say(self, message: Any) -> None:
        await (self.ws.send_bytes(msgpack.packb(message)) if self.packed else self.ws.send_str(json.dumps(message)))

    async def hear(self) -> Any:
        got = await asyncio.wait_for(self.ws.receive(), 5)
        if got.type in (WSMsgType.CLOSE, WSMsgType.CLOSED, WSMsgType.CLOSING, WSMsgType.ERROR):
            return None
        return msgpack.unpackb(got.data) if self.packed else json.loads(got.data)


class Venue:
    """A running venue of only the data side."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def __aenter__(self) -> Venue:
        app = web.Application(middlewares=[edge(self.world)])
        for module in SIDES:
            app.add_routes(module.routes(self.world))
        self.server = TestServer(app)
        await self.server.start_server()
        self.session = ClientSession()
        return self

    async def __aexit__(self, *_: Any) -> None:
        await self.session.close()
        await self.server.close()

    async def open(self, path: str, packed: bool = True, **headers: str) -> Wire:
        kind = {"Content-Type": "application/msgpack" if packed else "application/json"}
        return Wire(await self.session.ws_connect(self.server.make_url(path), headers={**kind, **headers}), packed)

    async def alpaca(self, path: str = "/v2/iex", packed: bool = True, **channels: list[str]) -> Wire:
        wire = await self.open(path, packed)
        await wire.hear()
        await wire.say({"action": "auth", "key": KEY, "secret": SECRET})
        assert (await wire.hear())[0]["msg"] == "authenticated"
        if channels:
            await wire.say({"action": "subscribe", **channels})
            assert (await wire.hear())[0]["T"] == "subscription"
        return wire

    async def polygon(self, path: str, topics: str) -> Wire:
        wire = await self.open(path, packed=False)
        await wire.hear()
        await wire.say({"action": "auth", "params": SECRET})
        assert (await wire.hear())[0]["status"] == "auth_success"
        await wire.say({"action": "subscribe", "params": topics})
        assert all(each["status"] == "success" for each in await wire.hear())
        return wire


def run(story: Callable[[Venue], Awaitable[None]], world: World | None = None) -> None:
    """Tell a story against a venue."""

    async def told() -> None:
        async with Venue(world or world_of()) as venue:
            await asyncio.wait_for(story(venue), 30)

    asyncio.run(told())


@pytest.mark.parametrize("packed", [True, False])
def test_a_tick_arrives_as_it_was(packed: bool) -> None:
    """Status, trade and quote of one row come as three messages in that order, nanoseconds and all."""

    async def story(venue: Venue) -> None:
        wire = await venue.alpaca(packed=packed, quotes=["AAPL"], trades=["AAPL"], statuses=["*"])
        both = {**quote(), **trade(flags=PAUSED | OFF_EXCHANGE, sz=0.5), "kind": QUOTE | TRADE | STATUS}
        await venue.world.play(rows(both, quote(1), quote(bid=float("nan"), bid_sz=0)))
        s, t, q, empty = await wire.hear()
        assert (s["T"], s["sc"], s["rc"]) == ("s", "P", "LUDP")
        assert (t["T"], t["p"], t["s"], t["x"], t["i"]) == ("t", 100, 0.5, "D", 1)
        assert (q["T"], q["bp"], q["bs"], q["ap"], q["as"]) == ("q", 100, 300, 100.01, 200)
        assert (empty["bp"], empty["bs"]) == (0, 0)
        shown = empty["t"]
        assert (
            (shown.seconds * 10**9 + shown.nanoseconds == START + 2_000_002)
            if packed
            else shown.endswith("00.002000002Z")
        )

    run(story)


def test_polygon_counts_and_rounds() -> None:
    """Polygon's messages carry milliseconds, and q rises by one per symbol and type."""

    async def story(venue: Venue) -> None:
        wire = await venue.polygon("/stocks", "Q.AAPL,T.*")
        await venue.world.play(rows(quote(), quote(1), trade(1), quote(), trade(1)))
        found = await wire.hear()
        assert [(m["ev"], m["sym"], m["q"]) for m in found] == [
            ("Q", "AAPL", 1), ("T", "MSFT", 1), ("Q", "AAPL", 2), ("T", "MSFT", 2),
        ]  # fmt: skip
        assert found[0]["t"] == START // 10**6

    run(story)


def test_a_book_comes_whole_and_then_as_changes() -> None:
    """Coins: first everything with r, then only what changed, size 0 for what is gone; Polygon's is always whole."""
    world = world_of()
    book = {"kind": DEPTH, "instrument_id": 4, "bids_px": [9.0, 8.0], "bids_sz": [1.0, 2.0], "asks_px": [10.0, 11.0],
            "asks_sz": [1.0, 1.0]}  # fmt: skip

    async def story(venue: Venue) -> None:
        wire = await venue.alpaca("/v1beta3/crypto/us", orderbooks=["BTC/USDT"])
        other = await venue.polygon("/crypto", "XL2.BTC-USDT")
        await world.play(rows(book, {**book, "bids_px": [9.0, 7.0], "bids_sz": [1.5, 2.0]}, levels=2))
        first, second = await wire.hear()
        assert first["r"] and first["b"] == [{"p": 9, "s": 1}, {"p": 8, "s": 2}]
        assert "r" not in second and second["a"] == []
        assert second["b"] == [{"p": 9, "s": 1.5}, {"p": 7, "s": 2}, {"p": 8, "s": 0}]
        assert (await other.hear())[1]["b"] == [[9, 1.5], [7, 2]]

    run(story, world)


def test_minutes_become_bars() -> None:
    """A minute's bar is told when it is over, before what comes next; the day's beside it."""

    async def story(venue: Venue) -> None:
        wire = await venue.alpaca(bars=["*"], dailyBars=["*"], trades=["*"])
        seconds = (0, 10, 70)
        made = [trade(px=100 + s, sz=10, ts_event=START + s * 10**9) for s in seconds]
        await venue.world.play(rows(*made))
        found = await wire.hear()
        assert [m["T"] for m in found] == ["t", "t", "b", "d", "t"]
        bar = found[2]
        assert [bar[k] for k in "ohlcvn"] == [100, 110, 100, 110, 20, 2] and bar["vw"] == 105
        assert bar["t"].seconds == START // 10**9

    run(story)


class Live:
    """A venue in a thread of its own, for clients that block or bring their own loop."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._runs = threading.Event()
        self.thread = threading.Thread(target=lambda: asyncio.run(self._live()), daemon=True)

    async def _live(self) -> None:
        self.loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        self._runs.set()
        await self._over.wait()

    def __enter__(self) -> Live:
        self.thread.start()
        assert self._runs.wait(20)
        self.venue = Venue(self.world)
        self._wait(self.venue.__aenter__())
        self.at = f"127.0.0.1:{self.venue.server.port}"
        return self

    def __exit__(self, *_: Any) -> None:
        self._wait(self.venue.__aexit__())
        self.loop.call_soon_threadsafe(self._over.set)
        self.thread.join(20)

    def _wait(self, what: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(what, self.loop).result(20)

    def play(self, frame: Frame) -> None:
        self._wait(self.world.play(frame))

    def play_when(self, sockets: int, frame: Frame) -> None:
        """Play once so many sockets have subscribed."""

        async def later() -> None:
            for _ in range(2000):
                if self.world.tape.subscribed() >= sockets:
                    break
                await asyncio.sleep(0.005)
            await self.world.play(frame)

        asyncio.run_coroutine_threadsafe(later(), self.loop)


def streamed(stream: Any, live: Live, frame: Frame, wanted: int, subscribe: Callable[[Any], None]) -> list[Any]:
    """What an alpaca-py stream, unmodified, hands to its handler."""
    got: list[Any] = []

    async def handle(message: Any) -> None:
        got.append(message)
        if len(got) >= wanted:
            await stream.stop_ws()

    subscribe(handle)
    live.play_when(1, frame)

    async def talk() -> None:
        await asyncio.wait_for(stream._run_forever(), 20)

    asyncio.run(talk())
    return got


def a_market() -> Frame:
    """Two minutes of everything."""
    made: list[dict[str, Any]] = []
    for s in range(0, 125, 5):
        at = START + s * 10**9 + 123_456_789
        made += [quote(0, 100 + s / 100, 100.02 + s / 100, ts_event=at), trade(0, 100 + s / 100, 10, ts_event=at)]
        made += [quote(2, 5.1, 5.3, ts_event=at), trade(2, 5.2, 1, ts_event=at), quote(3, 94.0, 94.4, ts_event=at)]
        made += [quote(4, 69000.1, 69001.2, ts_event=at), trade(4, 69000.5, 0.125, ts_event=at, side=SELL)]
    return rows(*made)


def test_alpacas_streams_connect_unmodified() -> None:
    """alpaca-py's three data streams get typed messages."""
    from alpaca.data.live import CryptoDataStream, OptionDataStream, StockDataStream

    with Live(world_of()) as live:
        stream = StockDataStream(KEY, SECRET, url_override=f"ws://{live.at}/v2/iex")

        def stocks(handle: Any) -> None:
            stream.subscribe_quotes(handle, "AAPL")
            stream.subscribe_trades(handle, "*")
            stream.subscribe_bars(handle, "AAPL")

        got = streamed(stream, live, a_market(), 50, stocks)
        assert {type(each).__name__ for each in got} == {"Quote", "Trade", "Bar"}
        assert (got[0].symbol, got[0].bid_price, got[0].ask_size) == ("AAPL", 100.0, 200.0)
    with Live(world_of()) as live:
        options = OptionDataStream(KEY, SECRET, url_override=f"ws://{live.at}/v1beta1/indicative")
        got = streamed(options, live, a_market(), 20, lambda h: options.subscribe_quotes(h, "AAPL240621C00190000"))
        assert got[0].conditions == " " and got[0].bid_price == 5.1
    with Live(world_of()) as live:
        coins = CryptoDataStream(KEY, SECRET, url_override=f"ws://{live.at}/v1beta3/crypto/us")
        got = streamed(coins, live, a_market(), 20, lambda h: coins.subscribe_trades(h, "BTC/USDT"))
        assert got[0].size == 0.125


def test_alpacas_history_answers_unmodified() -> None:
    """alpaca-py's three history clients page, and parse what they get; the chain has its Greeks."""
    from alpaca.data.enums import DataFeed
    from alpaca.data.historical import CryptoHistoricalDataClient, OptionHistoricalDataClient, StockHistoricalDataClient
    from alpaca.data.requests import (
        CryptoBarsRequest,
        CryptoLatestQuoteRequest,
        OptionBarsRequest,
        OptionChainRequest,
        OptionLatestQuoteRequest,
        OptionSnapshotRequest,
        StockBarsRequest,
        StockLatestTradeRequest,
        StockQuotesRequest,
        StockSnapshotRequest,
    )
    from alpaca.data.timeframe import TimeFrame

    start = datetime.fromtimestamp(START // 10**9, UTC)
    with Live(world_of()) as live:
        live.play(a_market())
        url = f"http://{live.at}"
        stocks = StockHistoricalDataClient(KEY, SECRET, url_override=url)
        asked = StockQuotesRequest(symbol_or_symbols=["AAPL"], start=start, limit=7, feed=DataFeed.IEX)
        assert len(stocks.get_stock_quotes(asked)["AAPL"]) == 7
        bars = stocks.get_stock_bars(
            StockBarsRequest(symbol_or_symbols="AAPL", start=start, timeframe=TimeFrame.Minute)
        )
        assert [(b.open, b.trade_count) for b in bars["AAPL"]] == [(100.0, 12), (100.6, 12)]
        assert stocks.get_stock_latest_trade(StockLatestTradeRequest(symbol_or_symbols="AAPL"))["AAPL"].price == 101.2
        shot = stocks.get_stock_snapshot(StockSnapshotRequest(symbol_or_symbols="AAPL"))["AAPL"]
        assert shot.daily_bar.volume == 250 and shot.latest_quote.bid_price == 101.2
        options = OptionHistoricalDataClient(KEY, SECRET, url_override=url)
        chain = options.get_option_chain(OptionChainRequest(underlying_symbol="AAPL"))
        call, put = chain["AAPL240621C00190000"], chain["AAPL240621P00190000"]
        assert call.greeks.delta > 0 > put.greeks.delta and call.implied_volatility > 0
        name = "AAPL240621C00190000"
        assert options.get_option_latest_quote(OptionLatestQuoteRequest(symbol_or_symbols=name))[name].ask_price == 5.3
        assert (
            options.get_option_snapshot(OptionSnapshotRequest(symbol_or_symbols=name))[name].latest_trade.price == 5.2
        )
        asked = OptionBarsRequest(symbol_or_symbols=name, start=start.replace(minute=0), timeframe=TimeFrame.Hour)
        assert options.get_option_bars(asked)[name][0].volume == 24
        coins = CryptoHistoricalDataClient(KEY, SECRET, url_override=url)
        asked = CryptoBarsRequest(
            symbol_or_symbols="BTC/USDT", start=start.replace(hour=0, minute=0), timeframe=TimeFrame.Day
        )
        assert coins.get_crypto_bars(asked)["BTC/USDT"][0].volume == 3.0
        last = coins.get_crypto_latest_quote(CryptoLatestQuoteRequest(symbol_or_symbols="BTC/USDT"))
        assert last["BTC/USDT"].bid_price == 69000.1


def polygon_modules() -> list[Any]:
    """massive, and polygon where it lies beside the environment."""
    found = [pytest.importorskip("massive")]
    beside = Path(__file__).resolve().parents[2] / "main" / "build" / "polygon"
    if beside.exists():
        sys.path.append(str(beside))
        try:
            found.append(importlib.import_module("polygon"))
        finally:
            sys.path.remove(str(beside))
    return found


@pytest.mark.parametrize("module", polygon_modules(), ids=lambda m: str(m.__name__))
def test_polygons_clients_connect_unmodified(module: Any) -> None:
    """The socket client gets typed messages, the REST client pages back to the first tick."""
    with Live(world_of()) as live:
        client = module.WebSocketClient(SECRET, feed=live.at, market="stocks", secure=False,
                                        subscriptions=["Q.AAPL", "T.*", "AM.*"])  # fmt: skip
        got: list[Any] = []

        async def handle(messages: list[Any]) -> None:
            got.extend(messages)
            if len(got) >= 52:
                await client.close()

        live.play_when(1, a_market())
        asyncio.run(asyncio.wait_for(client.connect(handle), 20))
        assert {type(each).__name__ for each in got} == {"EquityQuote", "EquityTrade", "EquityAgg"}
        assert [each.sequence_number for each in got if type(each).__name__ == "EquityQuote"] == list(range(1, 26))

        rest = module.RESTClient(SECRET, base=f"http://{live.at}")
        trades = list(rest.list_trades("AAPL", limit=10))
        assert [each.sequence_number for each in trades] == list(range(25, 0, -1))
        assert len(list(rest.list_quotes("AAPL", timestamp_gte=START + 60 * 10**9, limit=50_000, order="asc"))) == 13
        assert rest.get_last_trade("AAPL").price == 101.2 and rest.get_last_quote("AAPL").bid_price == 101.2
        assert [bar.volume for bar in rest.get_aggs("AAPL", 1, "minute", "2024-06-03", "2024-06-03")] == [120, 120]
        chain = {each.details.ticker: each for each in rest.list_snapshot_options_chain("AAPL")}
        assert chain["O:AAPL240621C00190000"].greeks.delta > 0
        assert chain["O:AAPL240621P00190000"].last_quote.bid == 94.0
        assert rest.get_snapshot_ticker("stocks", "AAPL").last_trade.price == 101.2
        assert len(rest.get_snapshot_all("stocks")) == 2
        assert rest.get_market_status().market == "open"
        assert rest.get_market_holidays()
        assert rest.get_last_crypto_trade("BTC", "USDT").size == 0.125
        assert [s.ticker for s in rest.list_universal_snapshots(ticker_any_of=["AAPL", "X:BTCUSDT", "NOPE"])][
            0
        ] == "AAPL"


def test_every_refusal_has_its_code() -> None:
    """400 401 402 403 406 410 412 413, each where the documents put it."""

    async def story(venue: Venue) -> None:
        wire = await venue.open("/v2/iex", packed=False)
        await wire.hear()
        await wire.ws.send_str("{not json")
        assert (await wire.hear())[0]["code"] == 400
        await wire.say({"action": "subscribe", "trades": ["AAPL"]})
        assert (await wire.hear())[0]["code"] == 401
        await wire.say({"action": "auth", "key": KEY, "secret": SECRET})
        assert (await wire.hear())[0]["msg"] == "authenticated"
        await wire.say({"action": "auth", "key": KEY, "secret": SECRET})
        assert (await wire.hear())[0]["code"] == 403
        await wire.say({"action": "subscribe", "orderbooks": ["AAPL"]})
        assert (await wire.hear())[0]["code"] == 410
        second = await venue.open("/v2/iex", packed=False, **{"APCA-API-KEY-ID": KEY, "APCA-API-SECRET-KEY": SECRET})
        await second.hear()
        assert (await second.hear())[0]["code"] == 406 and await second.hear() is None
        wrong = await venue.open("/v2/sip")
        await wrong.hear()
        await wrong.say({"action": "auth", "key": KEY, "secret": "no"})
        assert (await wrong.hear())[0]["code"] == 402 and await wrong.hear() is None
        text = await venue.open("/v1beta1/indicative", packed=False)
        await text.hear()
        assert (await text.hear())[0]["code"] == 412
        star = await venue.alpaca("/v1beta1/indicative")
        await star.say({"action": "subscribe", "quotes": ["*"]})
        assert (await star.hear())[0]["code"] == 413

    run(story)


def test_subscriptions_grow_shrink_and_follow_new_listings() -> None:
    """The whole list is told each time; a star means what is listed later, too; coins are not told to share sockets."""
    world = world_of()

    async def story(venue: Venue) -> None:
        wire = await venue.alpaca(quotes=["AAPL", "MSFT"], trades=["AAPL"])
        await wire.say({"action": "unsubscribe", "quotes": ["MSFT"], "trades": ["AAPL"]})
        found = (await wire.hear())[0]
        assert (found["quotes"], found["trades"], found["corrections"]) == (["AAPL"], [], [])
        await wire.say({"action": "subscribe", "quotes": ["*"]})
        await wire.hear()
        world.announce(Instruments([*TABLE, equity("NEW")]))
        await world.play(rows(quote(6), quote(4), quote(2), quote(0)))
        assert [m["S"] for m in await wire.hear()] == ["NEW", "AAPL"]

    run(story, world)


def test_a_fragmented_subscription_is_one_message() -> None:
    """3,000 symbols in frames of 32 KiB, as alpaca-py sends them."""
    world = world_of([equity(f"S{n:04}") for n in range(3000)])

    async def story(venue: Venue) -> None:
        import websockets

        headers = {"Content-Type": "application/msgpack", "APCA-API-KEY-ID": KEY, "APCA-API-SECRET-KEY": SECRET}
        url = f"ws://127.0.0.1:{venue.server.port}/v2/sip"
        async with websockets.connect(url, additional_headers=headers) as ws:
            await ws.recv(), await ws.recv()
            body = msgpack.packb({"action": "subscribe", "quotes": [f"S{n:04}" + "X" * 20 for n in range(3000)]})
            await ws.send([body[k : k + 32768] for k in range(0, len(body), 32768)])
            assert len(msgpack.unpackb(await ws.recv())[0]["quotes"]) == 3000

    run(story, world)


def test_polygon_closes_the_older_connection() -> None:
    """The second socket of a key is let in, the first is told max_connections and closed."""

    async def story(venue: Venue) -> None:
        first = await venue.polygon("/stocks", "T.*")
        second = await venue.polygon("/stocks", "T.*")
        assert (await first.hear())[0]["status"] == "max_connections" and await first.hear() is None
        await venue.world.play(rows(trade()))
        assert (await second.hear())[0]["ev"] == "T"

    run(story)


ITEM = "stream.data.item"
SPOILED = [
    ("nan", {}, lambda m: m["bp"] != m["bp"]), ("nan", {"value": "inf"}, lambda m: m["bp"] == float("inf")),
    ("nan", {"value": -1}, lambda m: m["bp"] == -1), ("crossed", {}, lambda m: m["bp"] > m["ap"]),
    ("spike", {}, lambda m: m["bp"] == 100_000), ("malformed", {}, lambda m: "bp" not in m),
    ("wrong-time", {"seconds": 3600}, lambda m: m["t"].seconds == START // 10**9 + 3600),
    ("unknown-type", {}, lambda m: m["T"] == "zz"),
]  # fmt: skip


@pytest.mark.parametrize("name, words, seen", SPOILED, ids=lambda p: str(p) if not callable(p) else "")
def test_spoiled_items_are_counted_by_reason(name: str, words: dict[str, Any], seen: Callable[[Any], bool]) -> None:
    """Exactly the items that were hit are wrong, and /gpi/state can say how many and why."""
    world = world_of()
    world.faults.set(name, count=2, after=1, place=ITEM, **words)

    async def story(venue: Venue) -> None:
        wire = await venue.alpaca(quotes=["AAPL"])
        await world.play(rows(*[quote(0) for _ in range(5)], quote(1)))
        found = await wire.hear()
        wrong = [k for k, m in enumerate(found) if seen(m)]
        assert wrong == ([2, 4] if name == "unknown-type" else [1, 2])
        assert sum(world.tape.state()["injected"].values()) == 2

    run(story, world)


ORDERS = {
    "lose": [1, 3, 4], "duplicate": [1, 2, 2, 3, 4], "reorder": [1, 3, 2, 4],
}  # fmt: skip


@pytest.mark.parametrize("name", ORDERS)
def test_items_are_lost_doubled_and_swapped(name: str, tmp_path: Path) -> None:
    """On the wire, in Polygon's q, and in the record of what was sent."""
    world = world_of()
    world.tape.record = record = Sent(tmp_path, world.instruments)
    world.faults.set(name, count=1, after=1, place=ITEM)

    async def story(venue: Venue) -> None:
        wire = await venue.polygon("/stocks", "T.AAPL")
        await world.play(rows(*[trade(px=float(n)) for n in (1, 2, 3, 4)]))
        assert [m["q"] for m in await wire.hear()] == ORDERS[name]

    run(story, world)
    record.close()
    with open(tmp_path / "stocks.arrow", "rb") as file:
        kept = [frame.copy() for frame in Reader(file.fileno())]
    assert [px for frame in kept for px in frame["trade_px"]] == ORDERS[name]
    assert all((frame["ts_event"] % 10**6 == 0).all() for frame in kept)


def test_what_was_sent_is_what_was_heard(tmp_path: Path) -> None:
    """The record, row for row: times to the nanosecond, missing sides as NaN, only what somebody asked for."""
    world = world_of()
    world.tape.record = record = Sent(tmp_path, world.instruments)
    told: list[Any] = []

    async def story(venue: Venue) -> None:
        wire = await venue.alpaca(quotes=["AAPL"], trades=["*"])
        for _ in range(3):
            await world.play(rows(quote(), trade(1), quote(1), quote(bid=float("nan"), bid_sz=0), quote(4)))
            told.extend(await wire.hear())

    run(story, world)
    record.close()
    with open(tmp_path / "v2-iex.arrow", "rb") as file:
        kept = [frame.copy() for frame in Reader(file.fileno())]
    assert sum(frame.rows for frame in kept) == len(told) == 9
    times = [ts for frame in kept for ts in frame["ts_event"]]
    assert times == [m["t"].seconds * 10**9 + m["t"].nanoseconds for m in told]
    bids = [px for frame in kept for px in frame["bid_px"]]
    assert [0 if px != px else px for px in bids] == [m.get("bp", 0) for m in told]


SEND = {
    "mute": 0, "lose": 1, "duplicate": 3, "drop": 0, "cut": 0, "close": 0, "reorder": 2, "null-data": 3, "not-array": 3,
    "slow-client": 1,
}  # fmt: skip


@pytest.mark.parametrize("name", SEND)
def test_whole_messages_go_astray(name: str, tmp_path: Path) -> None:
    """Faults of the socket itself: how many messages arrive of two; the record has what arrived, in its order."""
    world = world_of()
    world.tape.record = record = Sent(tmp_path, world.instruments)
    world.faults.set(name, count=1, place="stream.data.send")

    async def story(venue: Venue) -> None:
        wire = await venue.alpaca(quotes=["AAPL"])
        await world.play(rows(quote(bid=1.0)))
        await world.play(rows(quote(bid=2.0)))
        heard = []
        while True:
            try:
                heard.append(await asyncio.wait_for(wire.hear(), 0.3))
            except TimeoutError:
                break
            if heard[-1] is None and wire.ws.closed:
                heard.pop()
                break
        assert len(heard) == SEND[name], heard
        bids.extend(m[0]["bp"] for m in heard if isinstance(m, list) and "bp" in m[0])

    bids: list[float] = []
    run(story, world)
    record.close()
    assert bids == {"reorder": [2, 1], "duplicate": [1, 1, 2], "lose": [2]}.get(name, [1, 2] if SEND[name] == 3 else [])
    with contextlib.ExitStack() as files:
        found = [files.enter_context(open(path, "rb")) for path in tmp_path.iterdir()]
        assert [px for file in found for frame in Reader(file.fileno()) for px in frame["bid_px"]] == bids


@pytest.mark.jit
def test_a_slow_reader_holds_the_feed_back_or_is_cut() -> None:
    """`wait`: publishing waits until it reads; `drop`: it is cut, and the others do not notice."""

    async def waits(venue: Venue) -> None:
        wire = await venue.alpaca(quotes=["AAPL"])
        feeding = asyncio.create_task(fill(venue))
        await asyncio.sleep(0.5)
        assert not feeding.done()
        while not feeding.done():
            await wire.hear()

    async def cuts(venue: Venue) -> None:
        wire = await venue.alpaca(quotes=["AAPL"])
        await asyncio.wait_for(fill(venue), 20)
        assert not wire.ws.closed
        assert venue.world.counters["slow.cut"] == 1 and venue.world.tape.subscribed() == 0

    async def fill(venue: Venue) -> None:
        frame = rows(*[quote() for _ in range(1000)])
        for _ in range(400):
            await venue.world.play(frame)
            await asyncio.sleep(0)

    run(waits)
    run(cuts, world_of(slow="drop"))


def test_what_is_gone_is_refused_not_shown_as_nothing() -> None:
    """The store keeps its last items; an earlier start is an error that says from when on everything is there."""
    world = world_of(keep=64)

    async def story(venue: Venue) -> None:
        for k in range(100):
            await world.play(rows(*[quote(ts_event=START + (k * 100 + n) * 10**6) for n in range(100)]))
        url = venue.server.make_url("/v2/stocks/quotes")
        keys = {"APCA-API-KEY-ID": KEY, "APCA-API-SECRET-KEY": SECRET}
        asked = {"symbols": "AAPL", "start": "2024-06-03T14:30:00Z"}
        async with venue.session.get(url, params=asked, headers=keys) as refused:
            assert refused.status == 400 and "keeps only" in (await refused.json())["message"]
        late = START + 9_990 * 10**6
        asked["start"] = "2024-06-03T14:30:09.990Z"
        async with venue.session.get(url, params=asked, headers=keys) as answered:
            found = (await answered.json())["quotes"]["AAPL"]
        assert len(found) == 10 and late

    run(story, world)


@given(st.lists(st.one_of(st.floats(), st.integers(0, 10**12).map(lambda n: n / 100)), min_size=6, max_size=6),
       st.integers(-(2**60), 2**61), st.booleans())  # fmt: skip
def test_any_number_survives_the_wire(values: list[float], ts: int, packed: bool) -> None:
    """Every double and every time comes back from msgpack and JSON as it went in, by the fast road or the slow one."""
    dialect = Dialect(ALPACA, alpaca, packed, w.STAMP if packed else w.RFC3339)
    table = Instruments([crypto("BTCUSDT")])
    dialect.know(table)
    ts = ts if packed else abs(ts)
    ints, nums = np.zeros((1, w.INTS), np.int64), np.zeros((1, w.NUMS))
    ints[0, [w.I_TS, w.I_CHANNEL]] = ts, w.QUOTE
    nums[0, :6] = values
    out, told, levels = np.empty(1 << 15, np.uint8), np.array([0, 0, 9, 0]), np.zeros((1, 4, 1))
    d, wanted = dialect, np.ones((w.CHANNELS, 1), np.uint8)
    w.encoded(ints, nums, levels, wanted, d.classes, d.programs, d.ops, d.pool, d.names, packed, out, told)
    body = out[: told[1]].tobytes() if told[2] else d.message(table[0], ints[0], nums[0], levels[0])
    found = msgpack.unpackb(body) if packed else json.loads(body)
    shown = [found[k] for k in ("bp", "bs", "ap", "as")]
    assert np.array_equal(np.array(shown, float), np.array(values[:4]), equal_nan=True)
    if packed:
        assert found["t"].seconds * 10**9 + found["t"].nanoseconds == ts
    else:
        assert found["t"] == rfc3339(ts)


def test_who_does_not_authenticate_is_shown_the_door() -> None:
    """404 at Alpaca's, auth_timeout at Polygon's, after their seconds."""
    world = world_of()
    world.patience = Patience(auth_s=0.05)

    async def story(venue: Venue) -> None:
        first, second = await venue.open("/v2/iex"), await venue.open("/stocks", packed=False)
        await first.hear(), await second.hear()
        assert (await first.hear())[0]["code"] == 404 and await first.hear() is None
        assert (await second.hear())[0]["status"] == "auth_timeout" and await second.hear() is None

    run(story, world)


def test_connections_are_refused_and_half_dead_ones_hold_their_place() -> None:
    """too-many refuses; a place that is half dead refuses the next; a drop during Polygon's auth says nothing."""
    world = world_of()

    async def refused(venue: Venue) -> Any:
        wire = await venue.open("/v2/iex")
        await wire.hear()
        await wire.say({"action": "auth", "key": KEY, "secret": SECRET})
        return (await wire.hear())[0].get("code")

    async def story(venue: Venue) -> None:
        world.faults.set("too-many", place="stream.data.connect", count=1, seconds=0.1)
        assert await refused(venue) == 406
        await asyncio.sleep(0.15)
        world.faults.set("too-many", place="stream.data.half-dead", count=1, seconds=0.2)
        wire = await venue.alpaca()
        await wire.ws.close()
        await asyncio.sleep(0.05)
        assert await refused(venue) == 406
        await asyncio.sleep(0.2)
        assert await refused(venue) is None
        world.faults.set("drop", place="stream.data.auth.drop", count=1)
        other = await venue.open("/stocks", packed=False)
        await other.hear()
        await other.say({"action": "auth", "params": SECRET})
        assert await other.hear() is None

    run(story, world)


def test_a_pause_comes_with_its_bands() -> None:
    """5 % around the mean price of what was traded in the five minutes before."""

    async def story(venue: Venue) -> None:
        wire = await venue.alpaca(lulds=["*"], statuses=["*"])
        pause = {"kind": STATUS, "instrument_id": 0, "flags": PAUSED}
        await venue.world.play(rows(trade(px=99, sz=10), trade(px=101, sz=10), pause, {**pause, "flags": 0}))
        found = await wire.hear()
        assert [m["T"] for m in found] == ["s", "l", "s"]
        assert (found[1]["u"], found[1]["d"], found[2]["sc"]) == (105, 95, "T")

    run(story)


def test_a_late_trade_changes_its_bar() -> None:
    """A trade of a minute that is over: an updated bar at once, and history as corrected."""
    world = world_of()

    async def story(venue: Venue) -> None:
        wire = await venue.alpaca(updatedBars=["*"])
        late = trade(px=95, sz=10, ts_event=START + 5 * 10**9)
        await world.play(
            rows(trade(px=100, sz=10, ts_event=START), trade(px=101, sz=10, ts_event=START + 61 * 10**9), late)
        )
        (bar,) = await wire.hear()
        assert [bar[k] for k in "Tolhcvn"] == ["u", 100, 95, 100, 95, 20, 2] and bar["vw"] == 97.5
        assert world.tape.store.bars.minutes(0)[0, 3] == 95

    run(story, world)


PRINTS = st.tuples(st.integers(0, 400), st.integers(0, 1), st.integers(1, 500), st.integers(1, 99))


@given(st.lists(PRINTS, max_size=60), st.integers(1, 9))
def test_bars_are_what_their_trades_say(made: list[tuple[int, int, int, int]], cut: int) -> None:
    """Against the definition, however the trades are cut into frames."""
    made = sorted(made)
    store = Store(Instruments(TABLE))
    frames = [rows(*[trade(i, float(px), float(sz), ts_event=START + s * 10**9) for s, i, px, sz in made[k : k + cut]])
              for k in range(0, len(made), cut)]  # fmt: skip
    for each in [*frames, rows(quote(ts_event=START + 10**12))]:
        store.fold(each)
    for i in (0, 1):
        naive: dict[int, list[tuple[int, int]]] = {}
        for s, own, px, sz in made:
            if own == i:
                naive.setdefault(s // 60, []).append((px, sz))
        found = store.bars.minutes(i)
        assert len(found) == len(naive)
        for bar, (minute, trades) in zip(found, sorted(naive.items()), strict=True):
            prices, volume = [px for px, _ in trades], sum(sz for _, sz in trades)
            assert bar[0] == START + minute * 60 * 10**9
            assert list(bar[1:6]) == [prices[0], max(prices), min(prices), prices[-1], volume]
            assert bar[6] == pytest.approx(sum(px * sz for px, sz in trades) / volume, abs=1e-6) and bar[7] == len(
                trades
            )


@given(st.floats(50, 200), st.floats(50, 200), st.floats(0.02, 2), st.floats(0.05, 1.5), st.floats(0, 0.1))
def test_greeks_are_the_slopes_of_the_price(
    spot: float, strike: float, years: float, sigma: float, rate: float
) -> None:
    """Put-call parity; delta, gamma, vega, theta and rho against finite differences; volatility found again."""
    call = bs.price(1, spot, strike, years, rate, sigma)
    put = bs.price(-1, spot, strike, years, rate, sigma)
    assert call - put == pytest.approx(spot - strike * np.exp(-rate * years), abs=1e-9)
    h = 1e-4
    for right, value in ((1, call), (-1, put)):
        out = np.empty(5)
        bs.greeks(right, spot, strike, years, rate, sigma, out)
        up, down = (bs.price(right, spot + d, strike, years, rate, sigma) for d in (h, -h))
        assert out[0] == pytest.approx((up - down) / (2 * h), abs=1e-5)
        assert out[1] == pytest.approx((up - 2 * value + down) / h**2, abs=1e-3)
        ahead, behind = (bs.price(right, spot, strike, years + d, rate, sigma) for d in (h, -h))
        assert out[2] == pytest.approx(-(ahead - behind) / (2 * h) / 365, abs=1e-3)
        more, less = (bs.price(right, spot, strike, years, rate, sigma + d) for d in (h, -h))
        assert out[3] == pytest.approx((more - less) / (2 * h) / 100, abs=1e-4)
        more, less = (bs.price(right, spot, strike, years, rate + d, sigma) for d in (h, -h))
        assert out[4] == pytest.approx((more - less) / (2 * h) / 100, abs=1e-4)
        if out[3] > 1e-4:
            assert bs.implied(right, spot, strike, years, rate, value) == pytest.approx(sigma, rel=1e-4)
