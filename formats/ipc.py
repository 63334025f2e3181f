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
import struct
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple, cast

import pyarrow as pa
import xxhash

from gpi.formats.errors import BadInput, TruncatedStream
from gpi.formats.frame import Frame, Layout

CONTINUATION: Final = b"\xff\xff\xff\xff"
UNSEALED: Final = b"-unsealed-stream"  # as long as a digest
END_OF_STREAM: Final = CONTINUATION + b"\0\0\0\0"
STAGING: Final = 1 << 18  # bytes asked of a pipe at once; a Linux pipe holds 64 KiB by default
MAX_METADATA: Final = 1 << 26  # no honest message has more metadata than this
ARROW_ERRORS: Final = (pa.ArrowException, OSError, StopIteration, EOFError, struct.error, ValueError, KeyError)


Buffer = Any  # bytes or a numpy array: typeshed's Buffer knows numpy only from Python 3.12 on


class _Loan(NamedTuple):
    """Memory for batches of one size, lent to one frame after another."""

    frame: Frame
    body: memoryview


def _marked(schema: pa.Schema, notes: Mapping[str, str]) -> bytes:
    """The message of an empty batch that carries notes."""
    sink = pa.BufferOutputStream()
    empty = pa.RecordBatch.from_arrays([pa.nulls(0, f.type) for f in schema], schema=schema)
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_batch(empty, custom_metadata=dict(notes))
    whole: bytes = sink.getvalue().to_pybytes()
    return whole[schema.serialize().size : -len(END_OF_STREAM)]


def _seal(mark: bytes) -> bytes:
    """A digest of the end mark itself, so that no flipped bit anywhere goes unseen."""
    return xxhash.xxh3_64_hexdigest(mark).encode()


def _end_mark(schema: pa.Schema, rows: int, batches: int, digest: str) -> bytes:
    notes = {
        "gpi.end": "ok",
        "gpi.rows": str(rows),
        "gpi.batches": str(batches),
        "gpi.digest": digest,
        "gpi.seal": UNSEALED.decode(),
    }
    mark = _marked(schema, notes)
    return mark.replace(UNSEALED, _seal(mark), 1)


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
            self._send((_marked(self.layout.schema, frame.notes),))
        if frame.rows:
            self.rows += frame.rows
            self.batches += 1
            self._send((self.layout.prefix(frame.rows), *frame.body))

    def close(self) -> None:
        """Say that the stream is whole."""
        digest = self._digest.hexdigest()
        self._send((_end_mark(self.layout.schema, self.rows, self.batches, digest), END_OF_STREAM))

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
    mark. `rows` counts what was read before either.
    """

    def __init__(self, fd: int, name: str = "stdin") -> None:
        self.name = name
        self.rows = 0
        self.batches = 0
        self._fd = fd
        self._staging = bytearray(STAGING)
        self._view = memoryview(self._staging)
        self._start = self._stop = 0
        self._loans: dict[bytes, _Loan] = {}
        self._digest = xxhash.xxh3_64()
        self.schema = self._read_schema()

    def __iter__(self) -> Iterator[Frame]:
        while True:
            if not self._have(8):
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
            got = os.readv(self._fd, [self._view[self._stop :]])
            if got == 0:
                return False
            self._stop += got
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
            got = os.readv(self._fd, [body[staged:]])
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
        body = bytearray(_body_bytes(head))
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
            seal = said.get("gpi.seal", "").encode()
            if len(seal) != len(UNSEALED) or _seal(message.replace(seal, UNSEALED, 1)) != seal:
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
            self._loans[prefix] = _Loan(frame, memoryview(cast(Buffer, frame.body[0])))

    def _check_end(self, said: Mapping[str, str], digest: str) -> None:
        found = {"gpi.rows": str(self.rows), "gpi.batches": str(self.batches), "gpi.digest": digest}
        for key, value in found.items():
            if said.get(key) != value:
                raise BadInput(f"{self.name} is damaged: its end mark says {key[4:]} {said.get(key)}, read {value}")
        if not self._have(len(END_OF_STREAM)):
            raise self._truncated("cut inside the end mark")
        if self._view[self._start : self._start + len(END_OF_STREAM)] != END_OF_STREAM:
            raise BadInput(f"{self.name} is damaged: something follows its end mark")

    def _truncated(self, why: str) -> TruncatedStream:
        return TruncatedStream(f"{self.name} was truncated after {self.rows} rows ({why}): its writer died", self.rows)


def _body_bytes(head: bytes) -> int:
    """The body length a message's metadata announces (Message.fbs: field 3, bodyLength)."""
    metadata = memoryview(head)[8:]
    table = struct.unpack_from("<i", metadata, 0)[0]
    vtable = table - struct.unpack_from("<i", metadata, table)[0]
    if struct.unpack_from("<H", metadata, vtable)[0] <= 10:
        return 0
    slot = struct.unpack_from("<H", metadata, vtable + 10)[0]
    size = struct.unpack_from("<q", metadata, table + slot)[0] if slot else 0
    if not 0 <= size < 1 << 34:
        raise ValueError(f"a body of {size} bytes")
    return int(size)


def write_table(fd: int, batches: pa.RecordBatchReader) -> None:
    """Any Arrow batches (strings too) as a stream with the honest end: the result of a query."""
    schema, rows, count, digest = batches.schema, 0, 0, xxhash.xxh3_64()

    def send(piece: bytes) -> None:
        digest.update(piece)
        view = memoryview(piece)
        while view:
            view = view[os.write(fd, view) :]

    send(schema.serialize().to_pybytes())
    for batch in batches:
        rows, count = rows + batch.num_rows, count + 1
        send(batch.serialize().to_pybytes())
    send(_end_mark(schema, rows, count, digest.hexdigest()) + END_OF_STREAM)


@contextlib.contextmanager
def writing(fd: int, schema: pa.Schema) -> Iterator[Writer]:
    """A writer that says the stream is whole only if the block ends without an error."""
    writer = Writer(fd, schema)
    yield writer
    writer.close()
