"""Bytes of a pipe as they come: staged, waited for, and moved to where they belong."""

import os
import select
from collections.abc import Callable
from typing import Final

from gpi.formats.bounds import largest, within
from gpi.formats.errors import TruncatedStream
from gpi.formats.messages import CONTINUATION, MAX_METADATA, body_bytes
from gpi.formats.pipes import Nap

STAGING: Final = 1 << 18  # bytes asked of a pipe at once; a Linux pipe holds 64 KiB by default
WAKE_MS: Final = 200  # how often a reader that waits looks up
PIECE: Final = 1 << 20  # bytes of a body that are asked for at once, and given only when they come


class Staging:
    """The near end of a pipe. `rows` is counted by who reads it, `stopped` true once `idle` has said that it is enough.

    `spin`, `idle` and `sink` as in gpi.formats.ipc.Reader.
    """

    def __init__(self, fd: int, name: str, spin: int, idle: Callable[[], bool] | None, sink: int | None) -> None:
        self.name, self.rows, self.stopped = name, 0, False
        self._fd, self._turns, self._idle = fd, spin, idle
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN)
        self._nap = Nap(fd, sink)
        self._staging = bytearray(STAGING)
        self._view = memoryview(self._staging)
        self._start = self._stop = 0
        self._limit = largest()

    def _have(self, size: int) -> bool:
        """Whether `size` bytes can be staged; reads until they are or the stream ends."""
        while self._stop - self._start < size:
            if self._start + size > len(self._staging) or self._stop == len(self._staging):
                self._make_room(size)
            if not self._ready():
                return False
            got = os.readv(self._fd, [self._view[self._stop :]])
            if got == 0:
                return False
            self._stop += got
        return True

    def _ready(self) -> bool:
        """Wait for data; False when asked to stop meanwhile.

        Looks a while, letting others run, before sleeping: waking up costs more than a tick.
        """
        for _ in range(self._turns):
            if self._poll.poll(0):
                return True
            os.sched_yield()
        while not self._nap.sleep(WAKE_MS):
            if self._idle is not None and self._idle():
                self.stopped = True
                return False
        return True

    def _make_room(self, size: int) -> None:
        left = bytes(self._view[self._start : self._stop])
        if size > len(self._staging):
            self._staging = bytearray(2 * size)
            self._view = memoryview(self._staging)
        self._view[: len(left)] = left
        self._start, self._stop = 0, len(left)

    def _fill(self, body: memoryview) -> None:
        """Move the next bytes into `body`: first what is staged, the rest straight from the descriptor."""
        staged = min(self._stop - self._start, len(body))
        body[:staged] = self._view[self._start : self._start + staged]
        self._start += staged
        if self._start == self._stop:
            self._start = self._stop = 0
        while staged < len(body):
            got = os.readv(self._fd, [body[staged:]]) if self._ready() else 0
            if got == 0:
                raise self._truncated("cut inside a batch")
            staged += got

    def _head(self) -> bytes:
        """The next message up to its body: eight bytes and the metadata."""
        if not self._have(8):
            raise EOFError("empty")
        if bytes(self._view[self._start : self._start + 4]) != CONTINUATION:
            raise ValueError("no Arrow message")
        length = int.from_bytes(self._view[self._start + 4 : self._start + 8], "little")
        if length > MAX_METADATA or not self._have(8 + length):
            raise EOFError("cut inside a message")
        self._start += 8 + length
        return bytes(self._view[self._start - 8 - length : self._start])

    def _body(self, head: bytes) -> bytearray:
        """The body of a message, by pyarrow's own idea of its size: memory grows with what has come, not before."""
        size = body_bytes(head)
        within(size, self._limit, f"{self.name}: a message of {size:,} bytes")
        body = bytearray()
        while (had := len(body)) < size:
            body += bytes(min(max(PIECE, had), size - had))
            with memoryview(body) as whole:
                self._fill(whole[had:])
        return body

    def _truncated(self, why: str) -> TruncatedStream:
        return TruncatedStream(f"{self.name} was truncated after {self.rows} rows ({why}): its writer died", self.rows)
