"""The server: one aiohttp application on loopback for every wire, and the loop that plays the feed through it."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from secrets import token_hex
from typing import Final

from aiohttp import web

from gpi.formats.frame import Frame
from gpi.tools.venue.edge import edge
from gpi.tools.venue.mishaps import LOG, one_line
from gpi.tools.venue.patience import GATE, LINGER_S, Gate, Runner
from gpi.tools.venue.tls import Certificate
from gpi.tools.venue.world import World

HOST: Final = "127.0.0.1"  # never another: the venue has no business beyond this machine
ROWS: Final = 256  # of a frame played at once; requests are answered in between
AHEAD: Final = 8  # frames read ahead of the one being played
BACKLOG: Final = 1024  # connections that wait to be accepted
TURNS: Final = 10  # of the loop: a connection that was accepted is there after four
AT_ONCE: Final = 8  # of them are accepted before the gate sees them: far fewer than the descriptors it keeps back
GRACE_S: Final = 1.0  # for open connections when the venue closes

Routes = Callable[[World], Iterable[web.AbstractRouteDef]]


@dataclass(frozen=True, slots=True)
class Listening:
    """A venue that answers: where, and how to end it."""

    port: int
    runner: web.AppRunner
    tls_port: int = 0
    ca: Path | None = None  # what clients of the TLS port are told to trust
    lines: tuple[socket.socket, ...] = ()

    @property
    def tls_url(self) -> str | None:
        """The same behind TLS, sockets with wss://; None without."""
        return f"https://{HOST}:{self.tls_port}" if self.tls_port else None

    @property
    def url(self) -> str:
        """Where REST lives; sockets live at the same place with ws://."""
        return f"http://{HOST}:{self.port}"

    async def close(self) -> None:
        """Stop answering; every connection ends."""
        for line in self.lines:  # who has been accepted comes in first: a server that closes would lose the socket
            asyncio.get_running_loop().remove_reader(line)
        for _ in range(TURNS):
            await asyncio.sleep(0)
        await self.runner.cleanup()


def application(world: World, routed: Iterable[Routes]) -> web.Application:
    """The application over a world whose accounts and tape are set; `routed` are the modules' routes functions."""
    gate = Gate(world.patience)
    app = web.Application(middlewares=[gate.answering, edge(world)], client_max_size=1 << 20)
    app[GATE] = gate
    app.on_response_prepare.append(identified)
    for routes in routed:
        app.add_routes(both(routes(world)))

    async def farewell(_: web.Application) -> None:
        await world.tape.close()

    app.on_shutdown.append(farewell)
    return app


def both(routes: Iterable[web.AbstractRouteDef]) -> Iterator[web.AbstractRouteDef]:
    """Every route, and before it the same with a slash behind: clients join addresses as they please."""
    for each in routes:
        if isinstance(each, web.RouteDef) and not each.path.endswith("/"):
            yield web.RouteDef(each.method, f"{each.path}/", each.handler, each.kwargs)
        yield each


async def identified(_: web.Request, response: web.StreamResponse) -> None:
    """Every answer has an id of its own, as both vendors' have."""
    response.headers.setdefault("X-Request-ID", token_hex(16))


def reserved(port: int = 0) -> socket.socket:
    """A port of loopback that is ours and on which nobody listens yet; 0 takes a free one. Raises OSError."""
    line = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        line.bind((HOST, port))
    except OSError:
        line.close()
        raise
    return line


def more_files() -> None:
    """As many open connections as the system lets us have: the usual 1,024 are not what a venue should end at."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def listening(
    app: web.Application, line: socket.socket, guarded: tuple[socket.socket, Certificate] | None = None
) -> Listening:
    """Listen on a reserved port, and behind TLS on a second one: from now on clients are answered.

    Raises OSError when another listens there.
    """
    one_line()
    runner = Runner(
        app, access_log=None, handle_signals=False, shutdown_timeout=GRACE_S, logger=LOG, lingering_time=LINGER_S
    )
    await runner.setup()
    tls_line, certificate = guarded or (None, None)
    try:
        await web.SockSite(runner, line, backlog=AT_ONCE).start()
        line.listen(BACKLOG)  # asyncio takes one number for how many wait and how many it accepts in one go
        if tls_line is not None and certificate is not None:
            await web.SockSite(runner, tls_line, backlog=AT_ONCE, ssl_context=certificate.context).start()
            tls_line.listen(BACKLOG)
    except OSError:
        await runner.cleanup()
        for each in (line, tls_line):
            if each is not None:
                each.close()
        raise
    found = Listening(int(line.getsockname()[1]), runner, lines=(line,))
    if tls_line is None or certificate is None:
        return found
    return replace(found, lines=(line, tls_line), tls_port=int(tls_line.getsockname()[1]), ca=certificate.ca)


class Feed:
    """Frames read in a thread of their own (a pipe blocks), played in the loop a slice at a time.

    `pace` gets the frames once the feed was let go, and may sleep between them: tools.feeds.pace.paced.
    """

    def __init__(self, frames: Iterable[Frame], pace: Callable[[Iterator[Frame]], Iterable[Frame]] = iter) -> None:
        self._frames = iter(frames)
        self._pace = pace
        self._go = threading.Event()
        self._stop = threading.Event()
        self._queue: asyncio.Queue[Frame | BaseException | None] = asyncio.Queue(AHEAD)
        self._loop = asyncio.get_running_loop()
        self.first: asyncio.Future[int | None] = self._loop.create_future()  # ts of the first row; None: no rows
        self._thread = threading.Thread(target=self._read, name="feed", daemon=True)
        self._thread.start()

    def go(self) -> None:
        """Let the frames come."""
        self._go.set()

    @property
    def going(self) -> bool:
        """Whether they were let come."""
        return self._go.is_set()

    def stop(self) -> None:
        """Read no more; what is queued is not played."""
        self._stop.set()
        self._go.set()

    async def play(self, world: World) -> None:
        """Play everything; raises what reading raised (TruncatedStream, BadInput)."""
        while not self._stop.is_set():
            found = await self._queue.get()
            if found is None:
                return
            if isinstance(found, BaseException):
                raise found
            for part in sliced(found, ROWS):
                await world.play(part)
                await asyncio.sleep(0)  # whoever waits is answered between two slices
                if self._stop.is_set():
                    return

    def _read(self) -> None:
        try:
            for frame in self._pace(self._released()):
                self._hand_over(frame.copy())  # a frame from a pipe is on loan
                if self._stop.is_set():
                    return
            self._hand_over(None)
        except BaseException as wrong:
            self._hand_over(wrong)

    def _released(self) -> Iterator[Frame]:
        """All frames; those up to the first with rows are read at once, and kept until the feed may go."""
        held: list[Frame] = []
        for frame in self._frames:
            held.append(frame.copy())
            if frame.rows:
                break
        ts = int(held[-1]["ts_event"][0]) if held and held[-1].rows else None
        self._loop.call_soon_threadsafe(self._began, ts)
        self._go.wait()
        return iter(()) if self._stop.is_set() else chain(held, self._frames)

    def _began(self, ts: int | None) -> None:
        if not self.first.done():
            self.first.set_result(ts)

    def _hand_over(self, found: Frame | BaseException | None) -> None:
        if self._stop.is_set() or self._loop.is_closed():
            return
        waiting = asyncio.run_coroutine_threadsafe(self._queue.put(found), self._loop)
        while not self._stop.is_set():
            try:
                waiting.result(timeout=0.2)
                return
            except TimeoutError:
                continue


def sliced(frame: Frame, rows: int) -> Iterator[Frame]:
    """A frame in parts of at most so many rows; one without rows (only notes) as it is."""
    if frame.rows <= rows:
        yield frame
        return
    for start in range(0, frame.rows, rows):
        yield frame.slice(start, min(start + rows, frame.rows))
