"""Subscriber: one data socket, what it asked for, and how bytes reach it or, on purpose, do not."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Callable
from typing import Any, Final

import msgpack
import numpy as np
import numpy.typing as npt
from aiohttp import WSCloseCode, web

from gpi.formats.words import SECOND
from gpi.tools.kernels.data import writing as w
from gpi.tools.venue.data.messages import Dialect
from gpi.tools.venue.data.names import Directory
from gpi.tools.venue.patience import named
from gpi.tools.venue.world import World

Array = npt.NDArray[Any]
ALL: Final = "*"
FAREWELL_S: Final = 5.0  # that a closing socket waits for a reader that is behind
BACKLOG: Final = 8 << 20  # bytes waiting for a slow reader before it is cut, where slow readers are cut


class Subscriber:
    """A socket that has been let in. `vendor` is a word faults can ask for."""

    def __init__(
        self, world: World, ws: web.WebSocketResponse, request: web.Request, dialect: Dialect, vendor: str
    ) -> None:
        self.world, self.ws, self.dialect, self.vendor = world, ws, dialect, vendor
        self.key_id = ""
        self.muted = False
        self.topics: defaultdict[str, list[str]] = defaultdict(list)  # channel's own name -> symbols, as asked
        self.wanted: Array = np.zeros((w.CHANNELS, 0), np.uint8)
        self.likeness = b""  # equal for subscribers that get the same bytes
        self._request, self._transport = request, request.transport
        self._held: tuple[bytes, Callable[[], None] | None] | None = None
        self._later: set[asyncio.Task[None]] = set()
        if world.slow == "drop" and self._transport is not None:
            self._transport.set_write_buffer_limits(high=4 * BACKLOG)

    def proved(self, key_id: str) -> None:
        """It has said who it is."""
        self.key_id = key_id
        named(self._request)

    def look_up(self, kinds: tuple[str, ...], channels: dict[str, tuple[int, ...]], directory: Directory) -> None:
        """Turn the topics into the mask the kernel reads; again whenever there are new instruments."""
        ours = np.array([each.asset_class in kinds for each in self.world.instruments], np.uint8)
        self.wanted = np.zeros((w.CHANNELS, len(self.world.instruments)), np.uint8)
        for topic, names in self.topics.items():
            ids = slice(None) if ALL in names else [each.id for each in directory.all(names)]
            for channel in channels.get(topic, ()):
                self.wanted[channel, ids] = 1
        self.wanted *= ours
        self.likeness = self.wanted.tobytes()

    async def say(self, messages: Any) -> None:
        """A control message, past all faults but muteness."""
        if not self.muted:
            await self._out(self._bytes(messages))

    async def send(self, body: bytes, sent: Callable[[], None] | None = None) -> None:
        """Market data: one array of messages, or what the faults make of it; `sent` is called each time it went out."""
        if self.world.slow == "drop" and self._backlog() > BACKLOG:
            await self.cut_off()
            return
        for fault in self.world.faults.hits("stream.data.send", vendor=self.vendor):
            self.world.counters[f"fault.{fault.name}"] += 1
            match fault.name:
                case "mute":
                    self.muted = True
                case "drop":
                    self.abort()
                case "cut":
                    self._half(body)
                case "close":
                    await self.ws.close(code=int(fault.get("code", WSCloseCode.OK)))
                case "slow-client":
                    await self.cut_off()
                case "lose":
                    return
                case "duplicate":
                    await self._out(body, sent)
                case "reorder":
                    self._held = body, sent
                    return
                case "delay":
                    self._defer(body, sent, float(fault.get("seconds", 1)))
                    return
                case "null-data":
                    await self._out(self._bytes(None))
                case "not-array":
                    await self._out(self._bytes({"T": "success", "ev": "status", "status": "?", "message": "?"}))
        if not self.muted:
            await self._out(body, sent)
            if self._held is not None:
                held, self._held = self._held, None
                await self._out(*held)
        if self.world.faults.hit("stream.data.sent", vendor=self.vendor) is not None:
            self.abort()

    async def cut_off(self) -> None:
        """Tell a slow reader so, and close."""
        self.world.counters["slow.cut"] += 1
        if self._transport is not None and self._backlog() > BACKLOG:
            self.abort()  # it would never read the farewell
            return
        alpaca = [{"T": "error", "code": 407, "msg": "slow client"}]
        polygon = [
            {"ev": "status", "status": "slow_consumer", "message": "Slow consumer: you are not reading fast enough"}
        ]
        await self._out(self._bytes(alpaca if self.vendor == "alpaca" else polygon))
        await self.ws.close(code=WSCloseCode.POLICY_VIOLATION)

    def abort(self) -> None:
        """Tear the connection."""
        if self._transport is not None:
            self._transport.abort()  # type: ignore[attr-defined]

    def _backlog(self) -> int:
        return 0 if self._transport is None else self._transport.get_write_buffer_size()  # type: ignore[attr-defined]

    def _bytes(self, value: Any) -> bytes:
        return bytes(msgpack.packb(value)) if self.dialect.packed else json.dumps(value).encode()

    def _half(self, body: bytes) -> None:
        """The head of a frame that promises more than comes, and the end of the connection."""
        if self._transport is not None:
            head = bytes([0x82 if self.dialect.packed else 0x81, 127]) + (len(body) + 1).to_bytes(8, "big")
            self._transport.write(head + body[: len(body) // 2])  # type: ignore[attr-defined]
            self._transport.close()

    def _defer(self, body: bytes, sent: Callable[[], None] | None, seconds: float) -> None:
        async def later() -> None:
            due = self.world.clock.now() + int(seconds * SECOND)
            for _ in range(int(seconds * 100) + 100):  # venue time may stand still: the wall's time is enough as well
                await asyncio.sleep(0.01)
                if self.world.clock.virtual and self.world.clock.now() >= due:
                    break
            await self._out(body, sent)

        task = asyncio.create_task(later())
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    async def _out(self, body: bytes, sent: Callable[[], None] | None = None) -> None:
        if self.ws.closed:
            return
        try:
            if self.dialect.packed:
                await self.ws.send_bytes(body)
            else:
                await self.ws.send_frame(body, web.WSMsgType.TEXT)
        except (ConnectionError, RuntimeError):
            return  # it left; its own reading loop ends and takes it off the list
        if sent is not None:
            sent()
