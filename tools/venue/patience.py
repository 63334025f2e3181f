"""Patience: how long the venue waits for a client that says half of something, and how many may be connected.

A connection has so many seconds for the header of a request (the first, and each after its first byte), for its body,
and between two requests; a socket as many to say who it is. There are never more connections than the process has
descriptors for: the one that has waited longest without asking anything makes room, and where all are being answered a
new one is turned away. A socket asks from when it has said who it is. So half-sent requests and nameless sockets,
however many, end by themselves and keep nobody out.
"""

from __future__ import annotations

import asyncio
import os
import resource
from collections.abc import Callable
from typing import Final, NamedTuple, cast

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from gpi.tools.venue.refusals import Refusal

RESERVE: Final = 64  # descriptors kept for files and pipes
LEAST: Final = 16  # connections
MOST: Final = 4096
LINGER_S: Final = 2.0  # for the rest of a body nobody wants


class Patience(NamedTuple):
    """Seconds of the wall."""

    header_s: float = 10.0
    body_s: float = 20.0
    idle_s: float = 75.0
    auth_s: float = 10.0


class Gate:
    """Every connection of the venue. `of` is asked for a protocol by the server, for each that comes."""

    def __init__(self, patience: Patience) -> None:
        self.patience = patience
        self.lines: dict[asyncio.BaseTransport, _Line] = {}  # oldest first
        self.most = room()

    def enters(self, line: _Line, transport: asyncio.BaseTransport) -> bool:
        """Whether there is room for one more; another may have to go for it."""
        if len(self.lines) >= self.most:
            idle = next((each for each in self.lines.values() if each.nameless or not each.asking), None)
            if idle is None:
                return False
            idle.tear()
        self.lines[transport] = line
        return True

    @web.middleware
    async def answering(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """The middleware that knows of whole requests: while one is answered its connection is not waited for."""
        line = self.lines.get(request.transport) if request.transport is not None else None
        if line is None:
            return await handler(request)
        line.begun(nameless=hdrs.UPGRADE in request.headers)
        try:
            return await handler(request)
        finally:
            line.ended()


GATE: Final = web.AppKey("gate", Gate)


def named(request: web.Request, known: bool = True) -> None:
    """The socket that this request became has said who it is (not `known`: no more): it need not make room."""
    gate = request.app.get(GATE)
    line = gate.lines.get(request.transport) if gate is not None and request.transport is not None else None
    if line is not None:
        line.nameless = not known


def room() -> int:
    """How many connections there are descriptors for."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else RESERVE
    return max(LEAST, min(MOST, soft - used - RESERVE))


async def read_whole(request: web.Request) -> bytes:
    """The body of a request. Raises Refusal 408 for one that drips."""
    gate = request.app.get(GATE)
    try:
        async with asyncio.timeout(None if gate is None else gate.patience.body_s):
            return await request.read()
    except TimeoutError:
        raise Refusal(408, 40810000, "request timeout") from None


class Runner(web.AppRunner):
    """Runs an application whose connections go through its gate."""

    @property
    def server(self) -> web.Server | None:
        """What a site asks for a protocol for each connection."""
        inner = super().server
        gate = self.app[GATE]
        made = None if inner is None else lambda: _Line(gate, cast(Callable[[], asyncio.Protocol], inner))
        return cast("web.Server | None", made)


class _Line(asyncio.Protocol):
    """One connection: everything is handed on to the server's own protocol, unless patience has ended."""

    def __init__(self, gate: Gate, make: Callable[[], asyncio.Protocol]) -> None:
        self.asking = False  # a whole request is being answered
        self.nameless = False  # it became a socket, and nobody knows whose
        self._gate, self._make = gate, make
        self._inner: asyncio.Protocol | None = None
        self._transport: asyncio.Transport | None = None
        self._half = False  # a request has begun to come
        self._clock: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client is there."""
        self._transport = cast(asyncio.Transport, transport)
        if not self._gate.enters(self, transport):
            self._transport.abort()
            return
        self._inner = self._make()
        self._inner.connection_made(transport)
        self._wait(self._gate.patience.header_s)

    def data_received(self, data: bytes) -> None:
        """Something came."""
        if self._inner is None:
            return
        if not self.asking and not self._half:
            self._half = True
            self._wait(self._gate.patience.header_s)
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        """The client will say no more."""
        return None if self._inner is None else self._inner.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over."""
        self._wait(None)
        if self._transport is not None:
            self._gate.lines.pop(self._transport, None)
        if self._inner is not None:
            self._inner.connection_lost(exc)

    def pause_writing(self) -> None:
        """The client does not read fast enough."""
        if self._inner is not None:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        """It reads again."""
        if self._inner is not None:
            self._inner.resume_writing()

    def begun(self, nameless: bool) -> None:
        """A whole request is here; `nameless`: it would be a socket."""
        self.asking, self.nameless, self._half = True, nameless, False
        self._wait(None)

    def ended(self) -> None:
        """It has been answered; the next may come."""
        self.asking = self.nameless = False
        self._wait(self._gate.patience.idle_s)

    def tear(self) -> None:
        """Patience is over."""
        if self._transport is not None:
            self._gate.lines.pop(self._transport, None)
            self._transport.abort()

    def _wait(self, seconds: float | None) -> None:
        if self._clock is not None:
            self._clock.cancel()
        gone = self._transport is None or self._transport.is_closing()
        self._clock = None if seconds is None or gone else asyncio.get_running_loop().call_later(seconds, self.tear)
