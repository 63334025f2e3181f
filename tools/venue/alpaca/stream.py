"""Alpaca's market-data sockets: /v2/{iex,sip,test}, /v1beta1/{indicative,opra,news}, /v1beta3/crypto/us.

The handshake's Content-Type chooses msgpack or JSON; the option stream speaks msgpack only. Connected, auth (a message,
or headers), subscribe, unsubscribe; every refusal has its code. One connection per address and key.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

import msgpack
from aiohttp import WSMsgType, hdrs, web

from gpi.formats.instruments import Instrument
from gpi.tools.kernels.data import writing as w
from gpi.tools.venue.clock import wall
from gpi.tools.venue.data.messages import ALPACA, Dialect, told
from gpi.tools.venue.data.names import alpaca
from gpi.tools.venue.data.subscriber import ALL, FAREWELL_S, Subscriber
from gpi.tools.venue.data.tape import Endpoint, Tape
from gpi.tools.venue.refusals import answer
from gpi.tools.venue.world import World

ERRORS: Final = {
    400: "invalid syntax", 401: "not authenticated", 402: "auth failed", 403: "already authenticated",
    404: "auth timeout", 405: "symbol limit exceeded", 406: "connection limit exceeded", 407: "slow client",
    409: "insufficient subscription", 410: "invalid subscribe action for this feed", 411: "insufficient scope",
    412: "option messages are only available in MsgPack format", 413: "star subscription not allowed for option quotes",
    500: "internal error",
}  # fmt: skip
HALF_DEAD_S: Final = 90.0  # a torn connection holds its place so long, where the fault `too-many` asks for it
FAREWELLS: Final = {402, 404, 406, 407}  # after these the server closes
PACKED: Final = "application/msgpack"

NEWS: Final = "/v1beta1/news"  # where a socket and a page share an address
STOCKS: Final[dict[str, tuple[int, ...]]] = {
    "trades": (w.TRADE,), "quotes": (w.QUOTE,), "bars": (w.BAR,), "updatedBars": (w.UPDATED,), "dailyBars": (w.DAILY,),
    "statuses": (w.STATUS,), "lulds": (w.LULD,), "corrections": (), "cancelErrors": (), "imbalances": (),
}  # fmt: skip
OPTIONS: Final[dict[str, tuple[int, ...]]] = {"trades": (w.TRADE,), "quotes": (w.QUOTE,)}
COINS: Final[dict[str, tuple[int, ...]]] = {
    "trades": (w.TRADE,), "quotes": (w.QUOTE,), "bars": (w.BAR,), "updatedBars": (w.UPDATED,), "dailyBars": (w.DAILY,),
    "orderbooks": (w.BOOK, w.RESET),
}  # fmt: skip
ADDRESSES: Final[dict[str, tuple[str, dict[str, tuple[int, ...]]]]] = {
    "/v2/iex": ("equity", STOCKS), "/v2/sip": ("equity", STOCKS), "/v2/test": ("equity", STOCKS),
    "/v1beta1/indicative": ("option", OPTIONS), "/v1beta1/opra": ("option", OPTIONS),
    "/v1beta3/crypto/us": ("crypto", COINS), NEWS: ("news", {"news": ()}),
}  # fmt: skip


class Refused(Exception):
    """An error message of the stream."""

    def __init__(self, code: int) -> None:
        super().__init__(ERRORS[code])
        self.message = {"T": "error", "code": code, "msg": ERRORS[code]}
        self.fatal = code in FAREWELLS


def routes(world: World) -> Iterable[web.AbstractRouteDef]:
    """One socket per address. The tape of the world must be a Tape."""
    tape = world.tape
    assert isinstance(tape, Tape)
    packed = tape.speaking(Dialect(ALPACA, alpaca, True, w.STAMP))
    text = tape.speaking(Dialect(ALPACA, alpaca, False, w.RFC3339))

    def route(path: str, endpoint: Endpoint) -> web.RouteDef:
        async def connect(request: web.Request) -> web.StreamResponse:
            if hdrs.UPGRADE not in request.headers and path == NEWS:
                return answer({"news": [], "next_page_token": None})
            wants = request.headers.get("Content-Type", "")
            dialect = packed if wants.startswith(PACKED) else text
            ws = web.WebSocketResponse(compress=False, max_msg_size=1 << 22, timeout=FAREWELL_S)
            await ws.prepare(request)
            await _Session(world, tape, endpoint, Subscriber(world, ws, request, dialect, "alpaca")).run(request)
            return ws

        return web.get(path, connect)

    return [route(path, tape.endpoint(path, "alpaca", (kind,), chans)) for path, (kind, chans) in ADDRESSES.items()]


class _Session:
    """One connection from its handshake to its end."""

    def __init__(self, world: World, tape: Tape, endpoint: Endpoint, subscriber: Subscriber) -> None:
        self.world, self.tape, self.endpoint, self.own = world, tape, endpoint, subscriber

    async def run(self, request: web.Request) -> None:
        """Talk until either side leaves."""
        ws, own, counters = self.own.ws, self.own, self.world.counters
        counters["stream.data.connect"] += 1
        try:
            await own.say([{"T": "success", "msg": "connected"}])
            if self.world.faults.hit("stream.data.connect.drop") is not None:
                own.abort()
            if "option" in self.endpoint.kinds and not own.dialect.packed:
                raise Refused(412)
            key = request.headers.get("APCA-API-KEY-ID")
            if key is not None:
                await self._authenticate(key, request.headers.get("APCA-API-SECRET-KEY"))
            deadline = wall() + self.world.patience.auth_s
            while not ws.closed:
                try:
                    received = await ws.receive(None if own.key_id else max(deadline - wall(), 0.001))
                except TimeoutError:
                    raise Refused(404) from None
                if received.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                    break
                await self._answer(received.data)
        except Refused as refused:
            await own.say([refused.message])
            await ws.close()
        finally:
            self._leave()

    async def _answer(self, data: Any) -> None:
        """One message of the client. Raises Refused for what ends the connection."""
        try:
            request = _parsed(data, self.own.dialect.packed)
            action = request.get("action")
            if action == "auth":
                if self.own.key_id:
                    raise Refused(403)
                await self._authenticate(*_pair(request))
            elif action in ("subscribe", "unsubscribe"):
                if not self.own.key_id:
                    raise Refused(401)
                await self._subscribe(request, action == "subscribe")
            else:
                raise Refused(400)
        except Refused as refused:
            if refused.fatal:
                raise
            await self.own.say([refused.message])

    async def _authenticate(self, key: str | None, secret: str | None) -> None:
        faults = self.world.faults
        oauth = key == "oauth"
        found = self.world.key_named(secret) if oauth else self.world.key_of(key, secret)
        if found is None or faults.hit("stream.data.auth", vendor="alpaca") is not None:
            raise Refused(402)
        taken = any(each.key_id == found for each in self.endpoint.subscribers)
        if taken or self.endpoint.slots.get(found, 0.0) > wall():
            raise Refused(406)
        fault = faults.hit("stream.data.connect", vendor="alpaca")
        if fault is not None:
            self.endpoint.slots[found] = wall() + float(fault.get("seconds", HALF_DEAD_S))
            raise Refused(406)
        self.own.proved(found)
        self.own.look_up(self.endpoint.kinds, self.endpoint.channels, self.tape.directory)
        self.endpoint.subscribers.append(self.own)
        await self.own.say([{"T": "success", "msg": "authenticated"}])

    async def _subscribe(self, request: dict[str, Any], more: bool) -> None:
        own, channels = self.own, self.endpoint.channels
        asked = {name: symbols for name, symbols in request.items() if name != "action"}
        if any(not isinstance(each, (list, tuple)) for each in asked.values()):
            raise Refused(400)
        if any(symbols and name not in channels for name, symbols in asked.items()):
            raise Refused(410)
        if "option" in self.endpoint.kinds and more and ALL in asked.get("quotes", ()):
            raise Refused(413)
        if self.world.faults.hit("stream.data.subscribe", vendor="alpaca") is not None:
            raise Refused(405)
        fresh: list[Instrument] = []
        for name in channels:
            named = dict.fromkeys(_symbols(asked.get(name, ())))
            had = dict.fromkeys(own.topics[name])
            if name == "orderbooks" and more:
                fresh = [each for symbol in named if symbol not in had for each in self._books(symbol)]
            own.topics[name] = (
                [*had, *(s for s in named if s not in had)] if more else [s for s in had if s not in named]
            )
        for linked in ("corrections", "cancelErrors"):
            if linked in channels:
                own.topics[linked] = list(own.topics["trades"])
        own.look_up(self.endpoint.kinds, channels, self.tape.directory)
        await own.say([{"T": "subscription", **{name: own.topics[name] for name in channels}}])
        for each in fresh:
            await self._whole_book(each)

    def _books(self, symbol: str) -> list[Instrument]:
        if symbol == ALL:
            return [each for each in self.world.instruments if each.asset_class in self.endpoint.kinds]
        return self.tape.directory.all([symbol])

    async def _whole_book(self, instrument: Instrument) -> None:
        """What a subscriber to books hears first: the book as it stands, marked r."""
        found = self.tape.store.book(instrument.id)
        if found is None:
            return
        ints, levels = found
        message = told(ALPACA["crypto", w.RESET], alpaca(instrument), ints, levels[0], levels)
        await self.own.send(self.own.dialect.framed([self.own.dialect.raw(message)], 1))

    def _leave(self) -> None:
        if self.own in self.endpoint.subscribers:
            self.endpoint.subscribers.remove(self.own)
            fault = self.world.faults.hit("stream.data.half-dead", vendor="alpaca")
            if fault is not None:
                self.endpoint.slots[self.own.key_id] = wall() + float(fault.get("seconds", HALF_DEAD_S))
        self.world.counters["stream.data.disconnect"] += 1


def _symbols(given: Iterable[Any]) -> list[str]:
    """The symbols of one channel. Raises Refused 400 for what is no text that could be told again."""
    found = [
        symbol for symbol in given if isinstance(symbol, str) and not any("\ud800" <= c <= "\udfff" for c in symbol)
    ]
    if len(found) != len(list(given)):
        raise Refused(400)
    return found


def _parsed(data: str | bytes, packed: bool) -> dict[str, Any]:
    """A client's message; msgpack may come where it was announced, JSON always. Raises Refused 400."""
    try:
        found = msgpack.unpackb(data) if packed and isinstance(data, bytes) else json.loads(data)
    except (ValueError, RecursionError, msgpack.UnpackException):
        try:
            found = json.loads(data)
        except (ValueError, RecursionError):
            raise Refused(400) from None
    if not isinstance(found, dict):
        raise Refused(400)
    return found


def _pair(request: dict[str, Any]) -> tuple[str | None, str | None]:
    """Key and secret of an auth message, in the documented form or in that of the trading stream."""
    data = request.get("data") if isinstance(request.get("data"), dict) else {}
    assert isinstance(data, dict)
    key, secret = request.get("key", data.get("key_id")), request.get("secret", data.get("secret_key"))
    return (key if isinstance(key, str) else None), (secret if isinstance(secret, str) else None)
