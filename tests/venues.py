"""Venues for tests: the real `gpi venue` as a process, and a fast one in this process; both on a free port."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import requests

from gpi.formats.frame import Frame
from gpi.formats.instruments import Instrument, Instruments, equity
from gpi.formats.secrets import Secret
from gpi.tools.venue.data.past import Past
from gpi.tools.venue.venue import Options, made, opened
from gpi.tools.venue.world import World
from tests.shell import GPI, ROOT

KEY, SECRET, TOKEN = "PKTEST", "secret-of-the-test", "token-of-the-test"
PATIENCE_S = 60.0
MONDAY = 1_767_627_000_000_000_000  # 2026-01-05 10:30 in New York, a session


@dataclass
class Ready:
    """A venue that listens: where it is, and the calls a test makes most."""

    url: str
    key_id: str
    secret: str
    token: str
    world: World | None = None  # in this process only
    loop: asyncio.AbstractEventLoop | None = None  # the world's
    process: subprocess.Popen[bytes] | None = None  # otherwise
    closing: list[Callable[[], None]] = field(default_factory=list)
    tls_url: str = ""  # where it speaks TLS, if it does, and what to trust it by
    tls_ca: str = ""
    said: list[str] = field(default_factory=list)  # of a process: what it wrote on stderr, once it has ended

    @property
    def ws(self) -> str:
        """Where its sockets live."""
        return self.url.replace("http://", "ws://")

    @property
    def headers(self) -> dict[str, str]:
        """Alpaca's two."""
        return {"APCA-API-KEY-ID": self.key_id, "APCA-API-SECRET-KEY": self.secret}

    def call(self, verb: str, path: str, body: Any = None, **params: Any) -> requests.Response:
        """One bare REST request."""
        return requests.request(
            verb, self.url + path, json=body, params=params, headers=self.headers, timeout=PATIENCE_S
        )

    def order(self, symbol: str = "AAPL", side: str = "buy", qty: Any = 1, **words: Any) -> requests.Response:
        """POST an order: market and day unless told."""
        body = {"symbol": symbol, "side": side, "qty": qty, "type": "market", "time_in_force": "day", **words}
        return self.call("POST", "/v2/orders", {name: value for name, value in body.items() if value is not None})

    def control(self, **words: Any) -> dict[str, Any]:
        """POST /gpi/control; fails the test when the venue refuses."""
        answered = requests.post(
            f"{self.url}/gpi/control", json=words, headers={"Authorization": f"Bearer {self.token}"}, timeout=PATIENCE_S
        )
        found: dict[str, Any] = answered.json()
        assert answered.status_code == 200, found
        return found

    def tick(self, symbol: str = "AAPL", **words: Any) -> None:
        """One tick through the whole venue: bid=[px, size], ask=..., trade=[px, size, side]."""
        self.control(tick={"symbol": symbol, **words})

    def play(self, frame: Frame) -> None:
        """A frame of a feed through a venue in this process, as if the feed had brought it."""
        assert self.world is not None and self.loop is not None
        asyncio.run_coroutine_threadsafe(self.world.play(frame), self.loop).result(PATIENCE_S)

    def state(self) -> dict[str, Any]:
        """The truth."""
        found: dict[str, Any] = requests.get(
            f"{self.url}/gpi/state", headers={"Authorization": f"Bearer {self.token}"}, timeout=PATIENCE_S
        ).json()
        return found

    def account(self) -> dict[str, Any]:
        """The truth about its first account."""
        found: dict[str, Any] = self.state()["accounts"][self.key_id]
        return found

    def trading(self) -> Any:
        """A real alpaca-py TradingClient; it does not retry, and is closed with the venue."""
        from alpaca.trading.client import TradingClient

        client = TradingClient(self.key_id, self.secret, url_override=self.url)
        client._retry = 0
        self.closing.append(client._session.close)
        return client

    def close(self) -> None:
        """Close what was handed out."""
        while self.closing:
            self.closing.pop()()


@contextlib.contextmanager
def running_venue(*options: object, feed: bytes | Path | None = None) -> Iterator[Ready]:
    """The real binary, fed from a file or by these bytes on stdin; ended by SIGTERM, and must end with 0."""
    with tempfile.TemporaryDirectory() as folder:
        ready = Path(folder) / "ready.json"
        source = [feed] if isinstance(feed, Path) else []
        command = [*GPI, "venue", *source, "--ready", ready, "--stay", *options]
        child = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.PIPE if isinstance(feed, bytes) else subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd=ROOT,
        )
        writing = threading.Thread(target=_write, args=(child, feed), daemon=True)
        writing.start()
        heard: list[str] = []
        try:
            for found in _ready(child, ready):
                found.said = heard
                yield found
        finally:
            child.terminate()
            said = _said(child)
            heard.append(said)
            writing.join(PATIENCE_S)
        assert child.returncode == 0, said


def _said(child: subprocess.Popen[bytes]) -> str:
    """What it said on stderr, once it has ended."""
    assert child.stderr is not None
    said = child.stderr.read().decode()
    child.stderr.close()
    child.wait(timeout=PATIENCE_S)
    return said


def _write(child: subprocess.Popen[bytes], feed: object) -> None:
    if child.stdin is not None and isinstance(feed, bytes):
        with contextlib.suppress(BrokenPipeError):
            child.stdin.write(feed)
        with contextlib.suppress(BrokenPipeError):
            child.stdin.close()


def _ready(child: subprocess.Popen[bytes], path: Path) -> Iterator[Ready]:
    until(lambda: path.exists() or child.poll() is not None)
    if not path.exists():
        assert child.stderr is not None
        raise AssertionError(child.stderr.read().decode())
    said = json.loads(path.read_text())["gpi.venue"]
    found = Ready(said["url"], said["key_id"], said["secret"], said["token"], process=child)
    found.tls_url, found.tls_ca = said.get("tls_url", ""), said.get("tls_ca", "")
    try:
        yield found
    finally:
        found.close()


def until(what: Callable[[], Any], seconds: float = PATIENCE_S) -> Any:
    """Wait until something is true, and return it; fail the test otherwise."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = what()
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError("it did not happen")


@contextlib.contextmanager
def venue_here(listed: Sequence[Instrument] = (), start: int = MONDAY, **options: Any) -> Iterator[Ready]:
    """A venue in a thread of this process, without a feed: a test ticks it. Lists AAPL and MSFT unless told.

    Its clock stands at `start` until the first tick; rate limits are off and fills conservative unless told.
    """
    account = {KEY: (Secret(SECRET), Decimal(100_000))}
    usual: dict[str, Any] = {"accounts": account, "token": Secret(TOKEN), "rate_limit": 0, "fill": "conservative"}
    past = options.pop("past", None)  # what lies before the feed
    chosen = Options(**{**usual, **options})
    told: Future[tuple[Ready, Callable[[], None]]] = Future()
    thread = threading.Thread(target=lambda: asyncio.run(_serve(told, listed, start, chosen, past)))
    thread.start()
    ready, stop = told.result(PATIENCE_S)
    try:
        yield ready
    finally:
        ready.close()
        stop()
        thread.join(PATIENCE_S)


async def _serve(
    told: Future[Any], listed: Sequence[Instrument], start: int, options: Options, past: Past | None = None
) -> None:
    try:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        world = made(options, Instruments(listed or (equity("AAPL"), equity("MSFT"))), past=past)
        world.clock.set(start)
        world.exchange.advance(start)
        at = await opened(world)
        key_id, secret = next(iter(world.keys.items()))
        ready = Ready(at.url, key_id, secret.reveal(), world.token.reveal(), world, loop)
        told.set_result((ready, lambda: loop.call_soon_threadsafe(stop.set)))
        await stop.wait()
        await at.close()
    except BaseException as wrong:
        if not told.done():
            told.set_exception(wrong)
        raise


@contextlib.contextmanager
def updates(venue: Ready) -> Iterator[list[Any]]:
    """A real alpaca-py TradingStream that listens; what it was told so far, in order."""
    from alpaca.trading.stream import TradingStream

    stream = TradingStream(venue.key_id, venue.secret, url_override=f"{venue.ws}/stream")
    heard: list[Any] = []

    async def hear(update: Any) -> None:
        heard.append(update)

    stream.subscribe_trade_updates(hear)
    thread = threading.Thread(target=stream.run, daemon=True)
    thread.start()
    until(lambda: venue.state()["listening"].get(venue.key_id))
    try:
        yield heard
    finally:
        stream.stop()
        venue.control(disconnect=True)  # it would look for the stop only after five silent seconds
        thread.join(PATIENCE_S)
