"""A link to a vendor: what one connection says about itself, and the tap that hears every byte first.

The tap is a connection class of the websockets library (its own extension point) whose `recv` hands each message on
before the vendor's client parses it: their parsers lose nanoseconds, and the rest of a batch after one bad item.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable
from enum import Enum, auto
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import urlsplit
from urllib.request import getproxies

from websockets.asyncio.client import ClientConnection
from websockets.legacy.client import WebSocketClientProtocol

MAX_MESSAGE: Final = 1 << 26  # bytes; the libraries' 1 MiB would end a connection at the open
CONNECT_S: Final = 5.0
GOODBYE_S: Final = 1.0  # for a polite close, which frees the vendor's connection slot at once
SOCKET: Final[dict[str, Any]] = {"max_size": MAX_MESSAGE, "max_queue": 128, "ping_interval": 10, "ping_timeout": 180}


class Step(Enum):
    """What the other side said about the connection."""

    CONNECTED = auto()
    AUTHENTICATED = auto()
    SUBSCRIBED = auto()
    BAD_KEY = auto()
    BUSY = auto()  # another connection holds the only slot, perhaps a half-dead one of ours
    REFUSED = auto()  # what we ask for will never be granted
    SLOW = auto()  # we read too slowly
    OTHER = auto()


class Said(NamedTuple):
    """A step, the topics it acknowledges (all that stand, or only new ones), the other side's words."""

    step: Step
    topics: frozenset[str] = frozenset()
    words: str = ""


class Link(Protocol):
    """How to talk to one vendor's feed. A fresh client is made for every conversation."""

    name: str
    desired: frozenset[str]  # topics, channel.symbol in the vendor's words

    async def converse(self, tap: Tap) -> None:
        """One connection from its beginning to its end; raises what ended it, returns after a clean close."""

    def said(self, control: dict[str, Any]) -> Said:
        """What a control message means."""


class Tap:
    """Hears every message of one connection, and knows how to end it."""

    def __init__(self, hear: Callable[[bytes], None]) -> None:
        self.failure: BaseException | None = None  # of the handshake: polygon's client would try again by itself
        self._hear = hear
        self._connection: Any = None

    def legacy(self, **given: Any) -> WebSocketClientProtocol:
        """A connection as alpaca-py's websockets.legacy makes them: its `create_protocol`."""
        made = _LegacyTapped(**given)
        made.hear = self._hear
        self._connection = made
        return made

    def modern(self, *given: Any, **more: Any) -> ClientConnection:
        """A connection as Polygon's client makes them: the `create_connection` of websockets."""
        made = _Tapped(*given, **more)
        made.hear, made.failed = self._hear, self._failed
        self._connection = made
        return made

    def _failed(self, error: BaseException) -> None:
        self.failure = error

    async def close(self) -> None:
        """End the connection: politely for a moment, then at once.

        Not with `wait_for`: a close that is cancelled waits ten seconds more for a peer that does not answer.
        """
        if self._connection is None:
            return
        goodbye = asyncio.ensure_future(self._connection.close())
        goodbye.add_done_callback(lambda task: task.cancelled() or task.exception())  # whatever it is, it is over
        await asyncio.wait({goodbye}, timeout=GOODBYE_S)
        transport = getattr(self._connection, "transport", None)
        if transport is not None:
            transport.abort()
        await asyncio.wait({goodbye}, timeout=GOODBYE_S)


class _LegacyTapped(WebSocketClientProtocol):
    hear: Callable[[bytes], None]

    async def recv(self) -> Any:
        """The next message, after the tap has heard it."""
        data = await super().recv()
        self.hear(data.encode() if isinstance(data, str) else data)
        return data


class _Tapped(ClientConnection):
    hear: Callable[[bytes], None]
    failed: Callable[[BaseException], None]

    async def recv(self, decode: bool | None = None) -> Any:
        """The next message as bytes, after the tap has heard it; json.loads reads bytes as well."""
        data = await super().recv(decode=False)
        self.hear(data)
        return data

    async def handshake(self, *given: Any, **more: Any) -> None:
        """As the library's; what it raises is remembered."""
        try:
            await super().handshake(*given, **more)
        except BaseException as error:
            self.failed(error)
            raise


async def dialled(url: str) -> dict[str, Any]:
    """The websockets option that hands over an open TCP connection to the host of `url`.

    So that a refused connection is our error, named, at once. Behind a proxy: nothing, the library knows how.
    Raises OSError, TimeoutError.
    """
    parts = urlsplit(url)
    scheme = "https" if parts.scheme == "wss" else "http"
    local = parts.hostname in ("127.0.0.1", "localhost", "::1")
    if scheme in getproxies() and not local:
        return {}
    port = parts.port or (443 if scheme == "https" else 80)

    def dial() -> socket.socket:
        made = socket.create_connection((parts.hostname, port), CONNECT_S)
        made.setblocking(False)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made

    return {"sock": await asyncio.get_running_loop().run_in_executor(None, dial)}


def topics(channel: str, symbols: Iterable[str]) -> frozenset[str]:
    """Topics as `channel.symbol`."""
    return frozenset(f"{channel}.{symbol}" for symbol in symbols)
