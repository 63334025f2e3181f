"""Sender: the outgoing side of one socket, in order, with the faults of the wire in between.

Messages are queued at once and written by a task of their own, so that nobody waits for a slow reader here. Any
socket of the venue may use it; `kind` names its places (stream.<kind>.send, stream.<kind>.sent).
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from aiohttp import web

from gpi.tools.venue.faults import Fault

if TYPE_CHECKING:
    from gpi.tools.venue.world import World

MOST: Final = 100_000  # messages a reader may be behind before it is cut
NULL: Final = b'{"stream":"trade_updates","data":null}'


class Sender:
    """One socket's outgoing messages. Control messages (handshake) are never lost, delayed or muted."""

    def __init__(
        self, world: World, socket: web.WebSocketResponse, request: web.Request, kind: str, binary: bool
    ) -> None:
        self.world = world
        self.kind = kind
        self.muted = False
        self._socket = socket
        self._request = request
        self._binary = binary
        self._queue: asyncio.Queue[tuple[bytes, bool]] = asyncio.Queue()
        self._kept: list[bytes] = []  # to be sent after the next one
        self._later: set[asyncio.Task[None]] = set()
        self._task = asyncio.get_running_loop().create_task(self._run())

    def put(self, message: bytes, control: bool = False) -> None:
        """Queue a message."""
        if self._queue.qsize() >= MOST:
            self.abort()
            return
        self._queue.put_nowait((message, control))

    def abort(self) -> None:
        """Tear the connection."""
        if self._request.transport is not None:
            self._request.transport.abort()  # type: ignore[attr-defined]

    async def close(self) -> None:
        """End the writing; what is queued is not sent."""
        for task in (self._task, *self._later):
            task.cancel()
        for task in (self._task, *self._later):
            with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                await task

    async def _run(self) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                message, control = await self._queue.get()
                if control:
                    await self._write(message)
                else:
                    await self._send(message)

    async def _send(self, message: bytes) -> None:
        """One message through the faults of its place."""
        faults = self.world.faults.hits(f"stream.{self.kind}.send")
        if any(fault.name == "mute" for fault in faults):
            self.muted = True
        if self.muted:
            return
        for fault in faults:
            if await self._struck(fault, message):
                return
        kept, self._kept = self._kept, []
        await self._write(message)
        for late in kept:
            await self._write(late)
        if self.world.faults.hit(f"stream.{self.kind}.sent") is not None:
            self.abort()

    async def _struck(self, fault: Fault, message: bytes) -> bool:
        """What a fault does; True when the message must not be sent now."""
        if fault.name == "drop":
            self.abort()
        elif fault.name == "close":
            await self._socket.close(code=int(fault.get("code", 1000)))
        elif fault.name == "reorder":
            self._kept.append(message)
        elif fault.name == "delay":
            self._later.add(
                asyncio.get_running_loop().create_task(self._after(float(fault.get("seconds", 1)), message))
            )
        elif fault.name == "duplicate":
            await self._write(message)
            return False
        elif fault.name == "null-data":
            await self._write(NULL)
            return False
        return fault.name in ("drop", "close", "reorder", "delay", "lose")

    async def _after(self, seconds: float, message: bytes) -> None:
        await asyncio.sleep(seconds)
        with contextlib.suppress(ConnectionError):
            await self._write(message)

    async def _write(self, message: bytes) -> None:
        self.world.counters[f"stream.{self.kind}.sent"] += 1
        if self._binary:
            await self._socket.send_bytes(message)
        else:
            await self._socket.send_str(message.decode())
