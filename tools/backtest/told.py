"""The log of a run: what it has told so far, readable whenever it ends.

A Parquet file is nothing until it is closed, so beside the growing ones lies this: records of frames, each with a
digest, appended by one write. The kernel has a record then, which survives kill -9; `sync` brings it to the disk. What
a torn record leaves is not read: the log is a prefix of what was told, cut anywhere.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import xxhash

from gpi.formats.errors import BadInput, GpiError
from gpi.formats.frame import Frame, Layout
from gpi.formats.written import json_of, regular

NAME: Final = ".told.log"
MAGIC: Final = b"gpi.told/1\n\0\0\0\0\0"
HEAD: Final = struct.Struct("<QQ")  # length of the payload, xxh3 over it, seeded with the record's number
PIECE: Final = struct.Struct("<II")  # table, rows; the columns follow as Arrow lays them out
MOST: Final = 1 << 32  # no honest record is longer

State = dict[str, Any]


class Record(NamedTuple):
    """Where the session stood, and the rows by name of table that it had told since the record before."""

    state: State
    frames: list[tuple[str, Frame]]


class Log:
    """Appends records to a new file. Raises GpiError, naming the folder, when the disk does not take them."""

    def __init__(self, folder: Path, about: Mapping[str, Any], schemas: Mapping[str, pa.Schema]) -> None:
        self._path, self._names, self._records, self._size = folder / NAME, list(schemas), 0, 0
        self._failed: OSError | None = None
        known = {name: schema.serialize().to_pybytes().hex() for name, schema in schemas.items()}
        try:
            self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            self._put([MAGIC])
        except OSError as wrong:
            raise full(folder, wrong) from None
        self._append([json.dumps({"about": about, "schemas": known}, default=_plain).encode()])

    def write(self, state: State, frames: list[tuple[str, Frame]]) -> None:
        """One record."""
        pieces: list[Any] = [json.dumps(state, default=_plain).encode() + b"\n"]
        for name, frame in frames:
            pieces += (PIECE.pack(self._names.index(name), frame.rows), *frame.body)
        self._append(pieces)

    def _append(self, pieces: list[Any]) -> None:
        digest = xxhash.xxh3_64(seed=self._records)
        for piece in pieces:
            digest.update(piece)
        size = sum(len(piece) for piece in pieces)
        if self._failed is not None:
            raise full(self._path.parent, self._failed)
        try:
            self._put([HEAD.pack(size, digest.intdigest()), *pieces])
        except OSError as wrong:
            raise full(self._path.parent, wrong) from None
        self._records += 1

    def _put(self, pieces: list[Any]) -> None:
        size = sum(len(piece) for piece in pieces)
        try:
            written = os.writev(self._fd, pieces) if len(pieces) < 1_000 else 0
            if written != size:
                left = memoryview(b"".join(bytes(piece) for piece in pieces))[written:]
                while left:
                    left = left[os.write(self._fd, left) :]
        except OSError:
            os.ftruncate(self._fd, self._size)
            os.lseek(self._fd, self._size, os.SEEK_SET)
            raise
        self._size += size

    def sync(self) -> None:
        """Have everything on the disk."""
        try:
            if self._fd >= 0:
                os.fsync(self._fd)
        except OSError as wrong:
            self._failed = wrong  # told by the next write

    def close(self) -> None:
        """Let the file go; idempotent."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def remove(self) -> None:
        """Everything stands elsewhere by now."""
        self.close()
        self._path.unlink(missing_ok=True)


class Reading:
    """A log as it lies there, the end torn or not. `about` is None where not even its beginning is whole."""

    def __init__(self, path: Path) -> None:
        self._path, self.torn = path, 0
        first = next(self._payloads(), None)
        told = {} if first is None else _worded(first, path)
        self.about: dict[str, Any] | None = told.get("about")
        try:
            self.schemas = {
                name: pa.ipc.read_schema(pa.py_buffer(bytes.fromhex(each)))
                for name, each in told.get("schemas", {}).items()
            }
        except (pa.ArrowException, OSError, ValueError, TypeError, AttributeError) as wrong:
            raise odd(path, wrong) from None

    def records(self) -> Iterator[Record]:
        """All whole records, first first; afterwards `torn` is what was left over, in bytes."""
        layouts = [(name, Layout.of(schema)) for name, schema in self.schemas.items()]
        for number, payload in enumerate(self._payloads()):
            if number:
                try:
                    record = _record(payload, layouts)
                except (IndexError, ValueError, struct.error) as wrong:
                    raise odd(self._path, wrong) from None
                yield record

    def _payloads(self) -> Iterator[bytes]:
        with self._opened() as file:
            size = os.fstat(file.fileno()).st_size
            at, number = (len(MAGIC), 0) if file.read(len(MAGIC)) == MAGIC else (0, -1)
            while number >= 0:
                head = file.read(HEAD.size)
                if len(head) < HEAD.size:
                    break
                length, digest = HEAD.unpack(head)
                payload = file.read(length) if length <= min(MOST, size) else b""
                if len(payload) != length or xxhash.xxh3_64_intdigest(payload, number) != digest:
                    break
                at, number = at + HEAD.size + length, number + 1
                yield payload
            self.torn = size - at

    def _opened(self) -> IO[bytes]:
        try:
            return regular(self._path)
        except ValueError as wrong:
            raise odd(self._path, wrong) from None


def odd(path: Path, wrong: Exception) -> BadInput:
    """What to say of a log that holds what no run tells."""
    return BadInput(f"{path} was not written by a run of gpi, or by another version of it: {wrong}")


def _worded(first: bytes, path: Path) -> dict[str, Any]:
    try:
        told = json_of(first, finite=False)
    except ValueError as wrong:
        raise odd(path, wrong) from None
    if not isinstance(told, dict):
        raise odd(path, ValueError("it begins with something else"))
    return told


def _record(payload: bytes, layouts: list[tuple[str, Layout]]) -> Record:
    state, _, rest = payload.partition(b"\n")
    frames, at = list[tuple[str, Frame]](), 0
    while at < len(rest):
        table, rows = PIECE.unpack_from(rest, at)
        name, layout = layouts[table]
        at, size = at + PIECE.size, layout.body_bytes(rows)
        frames.append((name, Frame.over(layout, rows, np.frombuffer(rest, np.uint8, size, at).copy())))
        at += size
    told = json_of(state, finite=False)
    if not isinstance(told, dict):
        raise ValueError("a record says where the session stood in something else than a table")
    return Record(told, frames)


def full(folder: Path, wrong: OSError) -> GpiError:
    """What to say when a run directory takes no more."""
    return GpiError(
        f"the run directory {folder} cannot be written ({os.strerror(wrong.errno or 0)}): make room, or choose "
        f"another --out; `gpi runs recover {folder}` keeps what it has told so far"
    )


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else str(value)
