"""The market-data side of the venue: sockets, history, the record of what was sent, and data made wrong on purpose."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from typing import Any

import msgpack
import numpy as np
import pytest
from aiohttp import ClientSession, WSMsgType, web
from aiohttp.test_utils import TestServer

from gpi.formats.frame import Frame
from gpi.formats.instruments import Instrument, Instruments, crypto, equity, index, option
from gpi.formats.secrets import Secret
from gpi.formats.ticks import BUY, DEPTH, OFF_EXCHANGE, PAUSED, QUOTE, SELL, SNAPSHOT, STATUS, TICKS, TRADE, ticks
from gpi.tools.venue import alpaca_stream, polygon_stream
from gpi.tools.venue.clock import Clock
from gpi.tools.venue.faults import Faults
from gpi.tools.venue.rates import RateLimits
from gpi.tools.venue.store import Store
from gpi.tools.venue.tape import Tape
from gpi.tools.venue.world import World

KEY, SECRET = "PKTEST", "s3cret-of-the-tests"
START = int(datetime(2024, 6, 3, 14, 30, tzinfo=UTC).timestamp()) * 10**9
TABLE = (
    equity("AAPL"), equity("MSFT"), option("AAPL240621C00190000"), option("AAPL240621P00190000"), crypto("BTCUSDT"),
    index("SPX"),
)  # fmt: skip


class Stub:
    """Stands where the exchange and the accounts stand: nothing trades here."""

    def tick(self, frame: Frame) -> None: ...

    def announce(self, instruments: Instruments) -> None: ...

    def events(self) -> list[Any]:
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
        app = web.Application()
        for module in (alpaca_stream, polygon_stream):
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
    assert SNAPSHOT and SELL and TICKS


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
