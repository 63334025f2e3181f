"""Polygon's (Massive's) sockets: /{stocks,options,crypto,indices}, JSON text only.

Times are in milliseconds, so the feed's nanoseconds are lost on this wire. `q` counts each symbol's messages of one
type from 1 on: a gap in it is a lost message. A second connection with the same key closes the OLDER one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

from aiohttp import WSCloseCode, WSMsgType, web

from gpi.tools.kernels.data import writing as w
from gpi.tools.venue.clock import wall
from gpi.tools.venue.data.messages import POLYGON, Dialect
from gpi.tools.venue.data.names import polygon
from gpi.tools.venue.data.subscriber import ALL, FAREWELL_S, Subscriber
from gpi.tools.venue.data.tape import Endpoint, Tape
from gpi.tools.venue.world import World

STOCKS: Final[dict[str, tuple[int, ...]]] = {
    "T": (w.TRADE,), "Q": (w.QUOTE,), "A": (w.SECONDS,), "AM": (w.BAR,), "LULD": (w.LULD,), "NOI": (), "FMV": (),
}  # fmt: skip
OPTIONS: Final[dict[str, tuple[int, ...]]] = {
    "T": (w.TRADE,), "Q": (w.QUOTE,), "A": (w.SECONDS,), "AM": (w.BAR,), "FMV": (),
}  # fmt: skip
COINS: Final[dict[str, tuple[int, ...]]] = {
    "XT": (w.TRADE,), "XQ": (w.QUOTE,), "XA": (w.BAR,), "XAS": (w.SECONDS,), "XL2": (w.BOOK, w.RESET), "FMV": (),
}  # fmt: skip
INDICES: Final[dict[str, tuple[int, ...]]] = {"V": (w.QUOTE, w.TRADE), "A": (w.SECONDS,), "AM": (w.BAR,)}
ADDRESSES: Final = {
    "/stocks": ("equity", STOCKS), "/options": ("option", OPTIONS), "/crypto": ("crypto", COINS),
    "/indices": ("index", INDICES),
}  # fmt: skip
MAX_CONNECTIONS: Final = "Maximum number of websocket connections exceeded."


def routes(world: World) -> Iterable[web.AbstractRouteDef]:
    """One socket per market. The tape of the world must be a Tape."""
    tape = world.tape
    assert isinstance(tape, Tape)
    dialect = tape.speaking(Dialect(POLYGON, polygon, False, w.MILLIS))

    def route(path: str, endpoint: Endpoint) -> web.RouteDef:
        async def connect(request: web.Request) -> web.WebSocketResponse:
            ws = web.WebSocketResponse(compress=False, max_msg_size=1 << 22, timeout=FAREWELL_S)
            await ws.prepare(request)
            await _Session(world, tape, endpoint, Subscriber(world, ws, request, dialect, "polygon")).run()
            return ws

        return web.get(path, connect)

    return [route(path, tape.endpoint(path, "polygon", (kind,), chans)) for path, (kind, chans) in ADDRESSES.items()]


def status(word: str, message: str) -> list[dict[str, str]]:
    """A status message."""
    return [{"ev": "status", "status": word, "message": message}]


class _Session:
    """One connection from its handshake to its end."""

    def __init__(self, world: World, tape: Tape, endpoint: Endpoint, subscriber: Subscriber) -> None:
        self.world, self.tape, self.endpoint, self.own = world, tape, endpoint, subscriber

    async def run(self) -> None:
        """Talk until either side leaves."""
        ws, own = self.own.ws, self.own
        self.world.counters["stream.data.connect"] += 1
        try:
            await own.say(status("connected", "Connected Successfully"))
            deadline = wall() + self.world.patience.auth_s
            while not ws.closed:
                try:
                    received = await ws.receive(None if own.key_id else max(deadline - wall(), 0.001))
                except TimeoutError:
                    await own.say(status("auth_timeout", "No authentication request received."))
                    await ws.close(code=WSCloseCode.POLICY_VIOLATION)
                    break
                if received.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                    break
                await self._answer(received.data)
        finally:
            if own in self.endpoint.subscribers:
                self.endpoint.subscribers.remove(own)
            self.world.counters["stream.data.disconnect"] += 1

    async def _answer(self, data: Any) -> None:
        try:
            request = json.loads(data)
            action, params = request["action"], str(request["params"])
        except (ValueError, KeyError, TypeError, RecursionError):
            await self.own.say(status("error", "invalid message"))
            return
        if action == "auth":
            await self._authenticate(params)
        elif action not in ("subscribe", "unsubscribe"):
            await self.own.say(status("error", f"unknown action: {action}"))
        elif not self.own.key_id:
            await self.own.say(status("error", "not authenticated"))
        else:
            await self._subscribe([each.strip() for each in params.split(",") if each.strip()], action == "subscribe")

    async def _authenticate(self, key: str) -> None:
        faults, own = self.world.faults, self.own
        found = self.world.key_named(key)
        if found is None or faults.hit("stream.data.auth", vendor="polygon") is not None:
            await own.say(status("auth_failed", "authentication failed"))
            await own.ws.close(code=WSCloseCode.POLICY_VIOLATION)
            return
        if faults.hit("stream.data.auth.drop", vendor="polygon") is not None:
            own.abort()
            return
        if faults.hit("stream.data.connect", vendor="polygon") is not None:
            await own.say(status("max_connections", MAX_CONNECTIONS))
            await own.ws.close(code=WSCloseCode.POLICY_VIOLATION)
            return
        for older in [each for each in self.endpoint.subscribers if each.key_id == found]:
            self.endpoint.subscribers.remove(older)
            await older.say(status("max_connections", MAX_CONNECTIONS))
            await older.ws.close(code=WSCloseCode.POLICY_VIOLATION)
        own.proved(found)
        own.look_up(self.endpoint.kinds, self.endpoint.channels, self.tape.directory)
        self.endpoint.subscribers.append(own)
        await own.say(status("auth_success", "authenticated"))

    async def _subscribe(self, topics: list[str], more: bool) -> None:
        """One status per topic; a symbol nobody knows is accepted, as by the real one."""
        own, answers = self.own, []
        held = {channel: dict.fromkeys(own.topics[channel]) for channel in self.endpoint.channels}
        for topic in topics:
            channel, dot, symbol = topic.partition(".")
            if not dot or channel not in self.endpoint.channels:
                answers += status("error", f"invalid topic: {topic}")
                continue
            if more:
                held[channel][symbol] = None
            elif symbol == ALL:
                held[channel].clear()
            else:
                held[channel].pop(symbol, None)
            answers += status("success", f"{'' if more else 'un'}subscribed to: {topic}")
        own.topics.update({channel: list(symbols) for channel, symbols in held.items()})
        own.look_up(self.endpoint.kinds, self.endpoint.channels, self.tape.directory)
        if self.world.faults.hit("stream.data.force-disconnect", vendor="polygon") is not None:
            await own.say(status("force_disconnect", "Forced to disconnect."))
            await own.ws.close(code=WSCloseCode.GOING_AWAY)
            return
        for k in range(0, len(answers), 500):
            await own.say(answers[k : k + 500])
