"""The Arrow IPC crossing: frames in and out of a pipe without pyarrow's cost per column, and the honest end.

Arrow on a pipe sends nothing before its first batch and cannot tell "finished" from "the writer died between
batches". So a stream of gpi begins with the schema and an empty batch at once, and ends with an empty batch marked
`gpi.end=ok` that carries rows, batches and a digest of every byte before it. A stream without that mark is truncated.

The fast path: the metadata in front of a body depends only on layout and row count. A message that begins with known
bytes is copied into memory whose numpy views already exist; anything else takes the pyarrow road. Any Arrow reader
reads our streams; any Arrow writer's stream is read, up to the missing end mark.
"""

import contextlib
import io
import os
import select
import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple, cast

import pyarrow as pa
import xxhash

from gpi.formats.errors import BadInput, TruncatedStream
from gpi.formats.frame import Frame, Layout
from gpi.formats.messages import CONTINUATION, END_OF_STREAM, body_bytes, end_mark, marked, sealed
from gpi.formats.pipes import Nap

STAGING: Final = 1 << 18  # bytes asked of a pipe at once; a Linux pipe holds 64 KiB by default
BUDGET: Final = 1 << 26  # bytes of memory lent to frames of all sizes together, about
WAKE_MS: Final = 200  # how often a reader that waits looks up
MAX_METADATA: Final = 1 << 26  # no honest message has more metadata than this
ARROW_ERRORS: Final = (pa.ArrowException, OSError, StopIteration, EOFError, struct.error, ValueError, KeyError)


Buffer = Any  # bytes or a numpy array: typeshed's Buffer knows numpy only from Python 3.12 on


class _Loan(NamedTuple):
    """Memory for batches of one size, lent to one frame after another."""

    frame: Frame
    body: memoryview


class Writer:
    """Writes frames of one schema to a file descriptor, each at once.

    The schema and an empty batch go out at construction; `close()` writes the end mark. A writer that is never
    closed leaves a stream that every reader reports as truncated: that is the point.
    """

    def __init__(self, fd: int, schema: pa.Schema) -> None:
        self.schema = schema
        self.layout = Layout.of(schema)
        self.rows = 0
        self.batches = 0
        self._fd = fd
        self._digest = xxhash.xxh3_64()
        self._send((schema.serialize().to_pybytes(), self.layout.prefix(0)))

    def write(self, frame: Frame) -> None:
        """Send a frame; an empty one is sent only if it carries notes."""
        if frame.layout is not self.layout:
            raise BadInput(f"a frame of another layout reached the writer: {frame!r}")
        if frame.notes:
            self._send((marked(self.layout.schema, frame.notes),))
        if frame.rows:
            self.rows += frame.rows
            self.batches += 1
            self._send((self.layout.prefix(frame.rows), *frame.body))

    def close(self) -> None:
        """Say that the stream is whole."""
        digest = self._digest.hexdigest()
        self._send((end_mark(self.layout.schema, self.rows, self.batches, digest), END_OF_STREAM))

    def _send(self, pieces: tuple[Buffer, ...]) -> None:
        for piece in pieces:
            self._digest.update(piece)
        written = os.writev(self._fd, pieces)
        if written != sum(len(piece) for piece in pieces):
            self._send_rest(pieces, written)

    def _send_rest(self, pieces: tuple[Buffer, ...], written: int) -> None:
        for piece in pieces:
            view = memoryview(piece)
            skip = min(written, len(view))
            written -= skip
            view = view[skip:]
            while view:
                view = view[os.write(self._fd, view) :]


class Reader:
    """Iterates the frames of a stream on a file descriptor; the frames are on loan.

    Raises BadInput when it is not an Arrow stream or its digest is wrong, TruncatedStream when it lacks the end
    mark. `rows` counts what was read before either. `spin`: how many times to look for data before sleeping.
    `idle` is asked now and then while waiting; when it says True the iteration ends between two frames. `sink`: a
    descriptor that is watched meanwhile; `idle` is asked at once when its reader leaves.
    """

    def __init__(
        self,
        fd: int,
        name: str = "stdin",
        spin: int = 0,
        idle: Callable[[], bool] | None = None,
        sink: int | None = None,
    ) -> None:
        self.name = name
        self.rows = 0
        self.batches = 0
        self._fd = fd
        self._turns = spin
        self._idle = idle
        self.stopped = False
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN)
        self._nap = Nap(fd, sink)
        self._staging = bytearray(STAGING)
        self._view = memoryview(self._staging)
        self._start = self._stop = 0
        self._loans: dict[bytes, _Loan] = {}
        self._lent = 0
        self._digest = xxhash.xxh3_64()
        self.schema = self._read_schema()

    def __iter__(self) -> Iterator[Frame]:
        while True:
            if not self._have(8):
                if self.stopped:
                    return
                raise self._truncated("no end mark")
            length = int.from_bytes(self._view[self._start + 4 : self._start + 8], "little")
            if length == 0 or length > MAX_METADATA:
                raise self._truncated("Arrow ended without gpi's end mark" if length == 0 else "bad message")
            if not self._have(8 + length):
                raise self._truncated("cut inside a message")
            prefix = bytes(self._view[self._start : self._start + 8 + length])
            loan = self._loans.get(prefix)
            if loan is None:
                frame = self._read_unknown(prefix)
                if frame is None:
                    return
            else:
                self._start += len(prefix)
                self._fill(loan.body)
                self._digest.update(prefix)
                self._digest.update(loan.body)
                frame = loan.frame
            if frame.rows:
                self.rows += frame.rows
                self.batches += 1
                yield frame
            elif frame.notes:
                yield frame

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

    def _message(self) -> bytes:
        """The next whole message, through pyarrow's own idea of its size."""
        if not self._have(8):
            raise EOFError("empty")
        if bytes(self._view[self._start : self._start + 4]) != CONTINUATION:
            raise ValueError("no Arrow message")
        length = int.from_bytes(self._view[self._start + 4 : self._start + 8], "little")
        if length > MAX_METADATA or not self._have(8 + length):
            raise EOFError("cut inside a message")
        head = bytes(self._view[self._start : self._start + 8 + length])
        self._start += len(head)
        body = bytearray(body_bytes(head))
        self._fill(memoryview(body))
        return head + bytes(body)

    def _read_schema(self) -> pa.Schema:
        try:
            message = self._message()
            schema = pa.ipc.read_schema(pa.py_buffer(message))
            self.layout = Layout.of(schema)
        except BadInput:
            raise
        except EOFError as error:
            if str(error) == "empty" and self._stop == self._start:
                raise TruncatedStream(f"no data from {self.name}: the command before it probably failed", 0) from None
            raise self._truncated("cut inside the schema") from None
        except ARROW_ERRORS as error:
            raise BadInput(f"{self.name} is not an Arrow stream: {error}") from None
        self._digest.update(message)
        self._schema_message = message
        return schema

    def _read_unknown(self, prefix: bytes) -> Frame | None:
        """A message of a shape not seen before, by the pyarrow road. None at the honest end."""
        digest = self._digest.hexdigest()
        try:
            message = self._message()
            source = io.BytesIO(self._schema_message + message + END_OF_STREAM)
            with pa.ipc.open_stream(source) as opened:
                batch, notes = opened.read_next_batch_with_custom_metadata()
            batch.validate(full=True)
        except BadInput:
            raise
        except EOFError:
            raise self._truncated("cut inside a message") from None
        except ARROW_ERRORS as error:
            raise BadInput(f"{self.name}: a damaged message after {self.rows} rows: {error}") from None
        self._digest.update(message)
        said = {k.decode("utf8", "replace"): v.decode("utf8", "replace") for k, v in (notes or {}).items()}
        if "gpi.end" in said:
            if not sealed(message, said.get("gpi.seal", "")):
                raise BadInput(f"{self.name} is damaged: its end mark was changed")
            self._check_end(said, digest)
            return None
        self._learn(prefix, batch.num_rows)
        frame = Frame.from_batch(batch)
        frame.notes = said or None
        return frame

    def _learn(self, prefix: bytes, rows: int) -> None:
        """Remember a shape, if it is laid out as ours."""
        if rows and prefix == self.layout.prefix(rows):
            frame = self.layout.empty(rows)
            if self._lent > BUDGET:
                self._loans.clear()
                self._lent = 0
            body = memoryview(cast(Buffer, frame.body[0]))
            self._lent += len(body)
            self._loans[prefix] = _Loan(frame, body)

    def _check_end(self, said: Mapping[str, str], digest: str) -> None:
        found = {"gpi.rows": str(self.rows), "gpi.batches": str(self.batches), "gpi.digest": digest}
        for key, value in found.items():
            if said.get(key) != value:
                raise BadInput(f"{self.name} is damaged: its end mark says {key[4:]} {said.get(key)}, read {value}")
        if not self._have(len(END_OF_STREAM)):
            raise self._truncated("cut inside the end mark")
        if self._view[self._start : self._start + len(END_OF_STREAM)] != END_OF_STREAM:
            raise BadInput(f"{self.name} is damaged: something follows its end mark")
        self._start += len(END_OF_STREAM)
        if self._have(1):
            raise BadInput(f"{self.name} goes on after its end: streams are merged by `gpi replay A B`, not joined")

    def _truncated(self, why: str) -> TruncatedStream:
        return TruncatedStream(f"{self.name} was truncated after {self.rows} rows ({why}): its writer died", self.rows)


@contextlib.contextmanager
def writing(fd: int, schema: pa.Schema) -> Iterator[Writer]:
    """A writer that says the stream is whole only if the block ends without an error."""
    writer = Writer(fd, schema)
    yield writer
    writer.close()
