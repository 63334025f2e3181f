"""The trade_updates socket: alpaca-py signs and connects, our own loop watches it. A fresh object per connection.

Nothing is parsed here: every frame goes on as it came. That the link is up is told only after the broker said that it
listens; what happened while it was down is the reconciliation's to find.
"""

from __future__ import annotations

import asyncio
import json
import random
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import websockets

from gpi.formats.imports.later import pandas_later
from gpi.tools.brokers.alpaca.rest import Keys, stream_url

with pandas_later():
    from alpaca.trading.stream import TradingStream

HANDSHAKE_S: Final = 5.0
PING_S: Final = 5.0
FIRST_WAIT_S, LONGEST_WAIT_S = 0.1, 30.0
MOST_REFUSALS: Final = 3

Tell = Callable[[str, Any], None]  # ("frame", text) | ("up", None) | ("down", why) | ("barred", why)


class Updates:
    """A thread that keeps one socket open until `stop`."""

    def __init__(self, keys: Keys, url: str, tell: Tell, seed: int | None = None) -> None:
        self._keys, self._url, self._tell = keys, stream_url(url), tell
        self._chance = random.Random(seed)
        self._loop = asyncio.new_event_loop()
        self._task: asyncio.Task[None] | None = None
        self._listened = False
        self._thread = threading.Thread(target=self._main, name="gpi-updates", daemon=True)

    def start(self) -> None:
        """Begin to connect."""
        self._thread.start()

    def stop(self) -> None:
        """Close the socket and wait for the thread."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._cancel)
            self._thread.join(HANDSHAKE_S)

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _main(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner, suppress(asyncio.CancelledError):
            runner.run(self._supervise())  # whatever it has begun ends with it, sockets too

    async def _supervise(self) -> None:
        self._task = asyncio.current_task()
        failures = refusals = 0
        while True:
            try:
                await self._connection()
            except _Refused as wrong:
                refusals += 1
                if refusals >= MOST_REFUSALS:
                    self._tell("barred", str(wrong))
                    return
                self._tell("down", str(wrong))
            except Exception as wrong:  # whatever it was: a stream that ends unheard would leave the trader deaf
                self._tell("down", f"{type(wrong).__name__}")
                refusals = 0
            if self._listened:
                failures = 0
            failures += 1
            wait = min(FIRST_WAIT_S * 2 ** (failures - 1), LONGEST_WAIT_S)
            await asyncio.sleep(wait * self._chance.uniform(0.5, 1.0))

    async def _connection(self) -> None:
        """One socket from its handshake to its end; never returns normally."""
        self._listened = False
        stream: Any = TradingStream(
            self._keys.key_id.reveal(), self._keys.secret.reveal(), raw_data=True, url_override=self._url,
            websocket_params={"ping_interval": PING_S, "ping_timeout": PING_S, "open_timeout": HANDSHAKE_S,
                              "close_timeout": 0.5, "max_size": 2**24},
        )  # fmt: skip
        stream._trade_updates_handler = _nobody
        try:
            await asyncio.wait_for(stream._connect(), HANDSHAKE_S)
            socket: Any = stream._ws
            try:
                await asyncio.wait_for(stream._auth(), HANDSHAKE_S)
            except (ValueError, AttributeError) as wrong:
                raise _Refused("the broker's stream refused the key") from wrong
            await stream._subscribe_trade_updates()
            while True:
                frame = await asyncio.wait_for(socket.recv(), None if self._listened else HANDSHAKE_S)
                text = frame.decode("utf-8", "replace") if isinstance(frame, bytes) else str(frame)
                if not self._listened and _listening(text):
                    self._listened = True
                    self._tell("up", None)
                else:
                    self._tell("frame", text)
        finally:
            await _closed(stream)


class _Refused(Exception):
    pass


async def _nobody(message: Any) -> None:
    """alpaca-py subscribes only if it has a handler; frames are read past it."""


def _listening(text: str) -> bool:
    try:
        told = json.loads(text)
    except ValueError:
        return False
    return isinstance(told, dict) and told.get("stream") == "listening"


async def _closed(stream: Any) -> None:
    try:
        await asyncio.wait_for(stream.close(), 1.0)
    except (TimeoutError, OSError, websockets.WebSocketException):
        pass
