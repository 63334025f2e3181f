"""Replies: how much an HTTP answer may hold and how long it may take, whoever gives it.

A peer may answer without end, or with a few kilobytes that unpack to gigabytes. Every byte off the wire is counted
(status, headers, the lengths of chunks and what follows them, too), against the clock as well; the body is unpacked
piece by piece and counted again. Clients of requests and of urllib3 get the same pools, and a body that was read.
"""

from __future__ import annotations

import http.client
import io
from collections.abc import Callable
from typing import Any, Final, NamedTuple, cast

import requests
from requests.adapters import HTTPAdapter
from urllib3 import BaseHTTPResponse, HTTPResponse, ProxyManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError

PIECE: Final = 1 << 16
UNPACKED: Final = ("content-encoding", "content-length", "transfer-encoding")  # what is over once a body was read


class Bounds(NamedTuple):
    """The most bytes of an answer, on the wire and unpacked each, and the seconds it may take once it was asked for."""

    most: int
    seconds: float
    clock: Callable[[], float]  # seconds of a steady clock: rooms have one


class TooMuch(HTTPError):
    """An answer went past its bounds; the connection is closed."""


class _Metered(io.RawIOBase):
    """What comes over a socket, until the bounds."""

    def __init__(self, sock: Any, bounds: Bounds) -> None:
        super().__init__()
        self._raw = sock.makefile("rb", buffering=0)
        self._left, self._bounds, self._end = bounds.most, bounds, bounds.clock() + bounds.seconds

    def readable(self) -> bool:
        return True

    def readinto(self, room: Any) -> int | None:
        """As a socket's, but for TooMuch."""
        if self._bounds.clock() > self._end:
            raise TooMuch(f"the answer takes more than {self._bounds.seconds:g} s")
        if self._left <= 0:
            raise TooMuch(f"the answer is longer than {self._bounds.most:,} bytes")
        got = cast("int | None", self._raw.readinto(room))
        self._left -= got or 0
        return got

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Wire:
    """A socket for http.client, which asks it for nothing but a file."""

    def __init__(self, sock: Any, bounds: Bounds) -> None:
        self._sock, self._bounds = sock, bounds

    def makefile(self, *_: Any) -> io.BufferedReader:
        """The file that an answer is read from."""
        return io.BufferedReader(_Metered(self._sock, self._bounds), PIECE)


def pools(bounds: Bounds, plain: Any = HTTPConnection, secure: Any = HTTPSConnection) -> dict[str, Any]:
    """urllib3's pools by scheme, of these classes of connections, whose answers keep within bounds.

    Answers come with their bodies read and unpacked. Reading raises TooMuch past the bounds.
    """

    class Answer(http.client.HTTPResponse):
        """Read through the meter."""

        def __init__(self, sock: Any, *given: Any, **more: Any) -> None:
            super().__init__(cast(Any, _Wire(sock, bounds)), *given, **more)

    class Reads:
        """A pool that reads an answer itself."""

        def urlopen(self, method: str, url: str, *given: Any, **more: Any) -> BaseHTTPResponse:
            """As the library's, with the body read."""
            loaded = more.get("preload_content", True)
            response = super().urlopen(method, url, *given, **{**more, "preload_content": False})  # type: ignore[misc]
            return _whole(response, bounds.most, loaded, method)

    def pool(kind: Any, connection: Any) -> Any:
        metered = type(connection.__name__, (connection,), {"response_class": Answer})
        return type(kind.__name__, (Reads, kind), {"ConnectionCls": metered})

    return {"http": pool(HTTPConnectionPool, plain), "https": pool(HTTPSConnectionPool, secure)}


def _whole(response: Any, most: int, loaded: bool, method: str) -> BaseHTTPResponse:
    """The same answer with its body in memory."""
    body, size = io.BytesIO(), 0
    try:
        while piece := response.read(PIECE, decode_content=True):
            size += body.write(piece)
            if size > most:
                raise TooMuch(f"the answer unpacks to more than {most:,} bytes")
    except BaseException:
        response.close()
        raise
    body.seek(0)
    headers = response.headers.copy()
    for name in UNPACKED:
        headers.discard(name)
    return HTTPResponse(
        body, headers, response.status, response.version, response.version_string, response.reason, loaded,
        retries=response.retries, request_method=method, request_url=response.url,
    )  # fmt: skip


class Bounded(HTTPAdapter):
    """An adapter of requests: one try, time limits to connect and to read (s), answers within bounds."""

    def __init__(self, timeout: tuple[float, float], bounds: Bounds) -> None:
        self._timeout, self._bounds = timeout, bounds
        super().__init__(max_retries=0)

    def pools(self) -> dict[str, Any]:
        """What connections come from."""
        return pools(self._bounds)

    def init_poolmanager(self, *given: Any, **more: Any) -> None:
        """As HTTPAdapter, with our pools."""
        super().init_poolmanager(*given, **more)  # type: ignore[no-untyped-call]
        self.poolmanager.pool_classes_by_scheme = self.pools()

    def proxy_manager_for(self, proxy: Any, **more: Any) -> Any:
        """As HTTPAdapter, with our pools (a SOCKS proxy has its own)."""
        manager = super().proxy_manager_for(proxy, **more)  # type: ignore[no-untyped-call]
        if isinstance(manager, ProxyManager):
            manager.pool_classes_by_scheme = self.pools()
        return manager

    def send(self, request: Any, stream: bool = False, timeout: Any = None, *rest: Any, **more: Any) -> Any:
        """As HTTPAdapter, with our time limits; text is UTF-8, whatever the answer says: guessing takes minutes."""
        made: requests.Response = super().send(request, stream, self._timeout, *rest, **more)
        made.encoding = "utf-8"
        return made
