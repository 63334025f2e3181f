"""The messages of a stream that carry no rows: the end mark with its seal, and notes between batches."""

import os
import struct
from collections.abc import Mapping
from typing import Final

import pyarrow as pa
import xxhash

from gpi.formats.errors import BadInput

CONTINUATION: Final = b"\xff\xff\xff\xff"
END_OF_STREAM: Final = CONTINUATION + b"\0\0\0\0"
MAX_METADATA: Final = 1 << 26  # no honest message has more metadata than this
UNSEALED: Final = b"-unsealed-stream"  # as long as a digest


def marked(schema: pa.Schema, notes: Mapping[str, str]) -> bytes:
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


def end_mark(schema: pa.Schema, rows: int, batches: int, digest: str) -> bytes:
    """The last batch of a whole stream: what was written, and a digest of every byte of it."""
    notes = {
        "gpi.end": "ok",
        "gpi.rows": str(rows),
        "gpi.batches": str(batches),
        "gpi.digest": digest,
        "gpi.seal": UNSEALED.decode(),
    }
    mark = marked(schema, notes)
    return mark.replace(UNSEALED, _seal(mark), 1)


def agreed(mark: bytes, said: Mapping[str, str], read: tuple[int, int, str], name: str) -> None:
    """Raise BadInput unless an end mark is as its writer made it and tells of the rows, batches and digest `read`."""
    if not _sealed(mark, said.get("gpi.seal", "")):
        raise BadInput(f"{name} is damaged: its end mark was changed")
    for key, value in zip(("gpi.rows", "gpi.batches", "gpi.digest"), map(str, read), strict=True):
        if said.get(key) != value:
            raise BadInput(f"{name} is damaged: its end mark says {key[4:]} {said.get(key)}, read {value}")


def _sealed(message: bytes, seal: str) -> bool:
    """Whether an end mark is as its writer made it."""
    found = seal.encode()
    return len(found) == len(UNSEALED) and _seal(message.replace(found, UNSEALED, 1)) == found


def body_bytes(head: bytes) -> int:
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


def decoded(schema: bytes, head: bytes, body: bytearray) -> tuple[pa.RecordBatch, dict[str, str]]:
    """A batch and its notes, by pyarrow: the stream's schema message, the message's metadata, its body.

    Raises pyarrow's errors for what is damaged.
    """
    source = pa.BufferReader(pa.py_buffer(b"".join((schema, head, body, END_OF_STREAM))))
    with pa.ipc.open_stream(source) as opened:
        batch, notes = opened.read_next_batch_with_custom_metadata()
    batch.validate(full=True)
    return batch, {k.decode("utf8", "replace"): v.decode("utf8", "replace") for k, v in (notes or {}).items()}


def sent(fd: int, view: memoryview) -> None:
    """Write all of it, however little a pipe takes at once."""
    while view:
        view = view[os.write(fd, view) :]


def write_table(fd: int, batches: pa.RecordBatchReader) -> None:
    """Any Arrow batches (strings too) as a stream with the honest end: the result of a query."""
    schema, rows, count, digest = batches.schema, 0, 0, xxhash.xxh3_64()

    def send(piece: bytes) -> None:
        digest.update(piece)
        sent(fd, memoryview(piece))

    send(schema.serialize().to_pybytes())
    for batch in batches:
        rows, count = rows + batch.num_rows, count + 1
        send(batch.serialize().to_pybytes())
    send(end_mark(schema, rows, count, digest.hexdigest()) + END_OF_STREAM)
