"""The Arrow IPC crossing: frames in and out of a pipe without pyarrow's cost per column, and the honest end.

Arrow on a pipe sends nothing before its first batch and cannot tell "finished" from "the writer died between
batches". So a stream of gpi begins with the schema and an empty batch at once, and ends with an empty batch marked
`gpi.end=ok` that carries rows, batches and a digest of every byte before it. A stream without that mark is truncated.

The fast path: the metadata in front of a body depends only on layout and row count. A message that begins with known
bytes is copied into memory whose numpy views already exist; anything else takes the pyarrow road. Any Arrow reader
reads our streams; any Arrow writer's stream is read, up to the missing end mark.
"""

import contextlib
import os
import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple, cast

import pyarrow as pa
import xxhash

from gpi.formats.bounds import check_buffers, check_rows
from gpi.formats.errors import BadInput, TruncatedStream
from gpi.formats.frame import Frame, Layout
from gpi.formats.messages import (
    END_OF_STREAM,
    MAX_METADATA,
    agreed,
    decoded,
    end_mark,
    marked,
    sent,
)
from gpi.formats.staging import Staging

BUDGET: Final = 1 << 26  # bytes of memory lent to frames of all sizes together, about
CUT: Final = 1 << 16  # rows of a frame made of a foreign batch: what follows takes memory by the frame
ARROW_ERRORS: Final = (pa.ArrowException, OSError, StopIteration, EOFError, struct.error, ValueError, KeyError)

Buffer = Any  # bytes or a numpy array: typeshed's Buffer knows numpy only from Python 3.12 on


class _Loan(NamedTuple):
    """Memory for batches of one size, lent to one frame after another."""

    frame: Frame
    body: memoryview


class Writer:
    """Writes frames of one schema to a file descriptor, each at once.

    The schema and an empty batch go out at construction; `close()` writes the end mark. One that is never closed
    leaves a stream that every reader reports as truncated: that is the point.
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
            for piece in pieces:
                sent(self._fd, memoryview(piece)[written:])
                written = max(0, written - len(piece))


class Reader(Staging):
    """Iterates the frames of a stream on a file descriptor; the frames are on loan.

    Raises BadInput when it is not an Arrow stream, its digest is wrong or a message asks for more memory than it may
    (gpi.formats.bounds), TruncatedStream when it lacks the end mark. `rows` counts what was read before either.
    `spin`: how many times to look for data before sleeping. `idle` is asked now and then while waiting; when it says
    True the iteration ends between two frames. `sink`: a descriptor that is watched meanwhile; `idle` is asked at
    once when its reader leaves.
    """

    def __init__(
        self,
        fd: int,
        name: str = "stdin",
        spin: int = 0,
        idle: Callable[[], bool] | None = None,
        sink: int | None = None,
    ) -> None:
        super().__init__(fd, name, spin, idle, sink)
        self.batches = 0
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
                made = self._read_unknown(prefix)
                if made is None:
                    return
                yield from made
                continue
            self._start += len(prefix)
            self._fill(loan.body)
            self._digest.update(prefix)
            self._digest.update(loan.body)
            self.rows += loan.frame.rows
            self.batches += 1
            yield loan.frame

    def _read_schema(self) -> pa.Schema:
        try:
            head = self._head()
            message = head + bytes(self._body(head))
            schema = pa.ipc.read_schema(pa.py_buffer(message))
            self.layout = Layout.of(schema)
        except EOFError as error:
            if str(error) == "empty" and self._stop == self._start:
                raise TruncatedStream(f"no data from {self.name}: the command before it probably failed") from None
            raise self._truncated("cut inside the schema") from None
        except ARROW_ERRORS as error:
            raise BadInput(f"{self.name} is not an Arrow stream: {error}") from None
        self._digest.update(message)
        self._schema_message = message
        return schema

    def _read_unknown(self, prefix: bytes) -> Iterator[Frame] | None:
        """A message of a shape not seen before, by the pyarrow road. None at the honest end."""
        digest = self._digest.hexdigest()
        try:
            head = self._head()
            check_rows(head, self.layout.row_bytes, self._limit, self.name)
            body = self._body(head)
            check_buffers(head, body, self._limit, self.name)
            batch, said = decoded(self._schema_message, head, body)
        except EOFError:
            raise self._truncated("cut inside a message") from None
        except ARROW_ERRORS as error:
            raise BadInput(f"{self.name}: a damaged message after {self.rows} rows: {error}") from None
        self._digest.update(head)
        self._digest.update(body)
        if "gpi.end" in said:
            agreed(head + bytes(body), said, (self.rows, self.batches, digest), self.name)
            self._check_end()
            return None
        return self._met(batch, said, self._learn(prefix, batch.num_rows))

    def _met(self, batch: pa.RecordBatch, said: Mapping[str, str], ours: bool) -> Iterator[Frame]:
        """The frames of such a message: one, or several of a large batch that is not laid out as ours."""
        self.batches += batch.num_rows > 0
        rows = max(batch.num_rows, 1) if ours else CUT
        for start in range(0, max(batch.num_rows, 1), rows):
            frame = Frame.from_batch(batch.slice(start, rows))
            frame.notes = (said or None) if start == 0 else None
            self.rows += frame.rows
            if frame.rows or frame.notes:
                yield frame

    def _learn(self, prefix: bytes, rows: int) -> bool:
        """Remember a shape, if it is laid out as ours and not too large to keep; whether it is."""
        if not rows or self.layout.body_bytes(rows) > BUDGET or prefix != self.layout.prefix(rows):
            return False
        frame = self.layout.empty(rows)
        if self._lent > BUDGET:
            self._loans.clear()
            self._lent = 0
        body = memoryview(cast(Buffer, frame.body[0]))
        self._lent += len(body)
        self._loans[prefix] = _Loan(frame, body)
        return True

    def _check_end(self) -> None:
        if not self._have(len(END_OF_STREAM)):
            raise self._truncated("cut inside the end mark")
        if self._view[self._start : self._start + len(END_OF_STREAM)] != END_OF_STREAM:
            raise BadInput(f"{self.name} is damaged: something follows its end mark")
        self._start += len(END_OF_STREAM)
        if self._have(1):
            raise BadInput(f"{self.name} goes on after its end: streams are merged by `gpi replay A B`, not joined")


@contextlib.contextmanager
def writing(fd: int, schema: pa.Schema) -> Iterator[Writer]:
    """A writer that says the stream is whole only if the block ends without an error."""
    writer = Writer(fd, schema)
    yield writer
    writer.close()
