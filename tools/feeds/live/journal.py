"""The journal of a capture: every message as it came, on the disk before anybody is shown what it says.

A folder of segments. A record is a header (length, kind, time received, xxh3 over all of it) and the bytes. Appending
is one write; the kernel has it then, which survives kill -9; a thread flushes to the disk every second and at each
new segment, which bounds what a power cut can take. What a crash left half written is cut off at the next start.
"""

from __future__ import annotations

import json
import os
import re
import struct
import threading
from collections.abc import Iterable, Iterator
from enum import IntEnum
from pathlib import Path
from typing import Final, NamedTuple

import xxhash

from gpi.formats.errors import BadInput, GpiError
from gpi.formats.trust import private_folder, trusted

MAGIC: Final = b"gpi.journal/1\n\0\0"
HEAD: Final = struct.Struct("<IIq")  # length of the payload, kind, ts_recv
DIGEST: Final = struct.Struct("<Q")  # xxh3 over the head and the payload
SEGMENT: Final = 1 << 26  # bytes after which a new segment begins
MAX_PAYLOAD: Final = 1 << 28  # no honest message is longer
FLUSH_S: Final = 1.0


class Kind(IntEnum):
    """What a record is."""

    BEGIN = 1  # JSON: what is captured; a process began, or with "continues" only another segment
    MESSAGE = 2  # as it came from the socket
    GAP = 3  # JSON: from here on messages were lost, until the record FILLED
    REFILL = 4  # what REST gave for the gap, as a message of the socket would say it
    FILLED = 5  # JSON: the gap is over; symbols that could not be refilled
    DOWN = 6  # JSON: the connection ended, why


KINDS: Final = frozenset(Kind)
LOOKS_LIKE: Final = re.compile(rb"[\x01-\x06]\0\0\0")  # the kind in a record's header
CONTINUES: Final = "continues"


class Record(NamedTuple):
    """One thing that was received or decided; `ts_recv` in ns."""

    kind: Kind
    ts_recv: int
    payload: bytes


def _digest(head: bytes, payload: bytes) -> bytes:
    return DIGEST.pack(xxhash.xxh3_64_intdigest(payload, xxhash.xxh3_64_intdigest(head)))


def _spelled(record: Record) -> tuple[bytes, bytes, bytes]:
    head = HEAD.pack(len(record.payload), record.kind, record.ts_recv)
    return head, _digest(head, record.payload), record.payload


class Journal:
    """Appends records to a folder. Opening mends the last segment, and begins a new one."""

    def __init__(self, folder: Path, segment: int = SEGMENT) -> None:
        self.folder = folder
        self.cut = 0  # bytes of a torn tail that were cut off at opening
        self.damaged: Path | None = None  # a last segment with whole records behind a bad one: left as it is
        self.records = 0
        self._segment = segment
        self._lock = threading.Lock()
        self._fd = -1
        self._size = 0
        self._dirty = False
        self._failed: OSError | None = None
        self._begun: Record | None = None
        try:
            private_folder(folder)
            trusted(folder, "the journal")
            found = segments(folder)
            if found and (cut := _mended(found[-1])) is None:
                self.damaged = found[-1]
            elif found:
                self.cut = cut or 0
            self._number = int(found[-1].stem) + 1 if found else 0
            self._next()
        except OSError as error:
            raise self._error(error) from None
        self._closed = threading.Event()
        self._flusher = threading.Thread(target=self._flush_often, name="journal", daemon=True)
        self._flusher.start()

    def append(self, records: Iterable[Record]) -> None:
        """All of them in one write. Raises GpiError, naming the folder, when the disk does not take them."""
        pieces: list[bytes] = []
        begun = self._begun
        for record in records:
            pieces += _spelled(record)
            begun = record if record.kind == Kind.BEGIN else begun
        data = b"".join(pieces)
        with self._lock:
            if self._failed is not None:
                raise self._error(self._failed)
            try:
                if self._size + len(data) > self._segment and self._size > len(MAGIC):
                    self._next()
                self._write(data)
            except OSError as error:
                self._failed = error  # what was half written is cut off; nothing is appended after it
                raise self._error(error) from None
            self.records += len(pieces) // 3
            self._dirty, self._begun = True, begun

    def close(self) -> None:
        """Flush to the disk and end."""
        self._closed.set()
        self._flusher.join()
        with self._lock:
            if self._fd >= 0:
                fd, self._fd = self._fd, -1
                try:
                    os.fsync(fd)
                except OSError as error:
                    raise self._error(error) from None
                finally:
                    os.close(fd)

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError:
            os.ftruncate(self._fd, self._size)
            raise
        self._size += len(data)

    def _next(self) -> None:
        if self._fd >= 0:
            os.fsync(self._fd)
            os.close(self._fd)
            self._fd = -1
        path = self.folder / f"{self._number:08d}.journal"
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._size = 0
        self._write(MAGIC)
        if self._begun is not None:  # so that the segments before it may be thrown away
            about = {**json.loads(self._begun.payload), CONTINUES: True}
            self._write(b"".join(_spelled(self._begun._replace(payload=json.dumps(about).encode()))))
        self._number += 1
        handle = os.open(self.folder, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)

    def _flush_often(self) -> None:
        while not self._closed.wait(FLUSH_S):
            with self._lock:
                fd = os.dup(self._fd) if self._dirty and self._fd >= 0 else -1
                self._dirty = False
            if fd < 0:
                continue
            try:
                os.fdatasync(fd)  # outside the lock: a disk may take its time, the feed may not
            except OSError as error:
                self._failed = error
            finally:
                os.close(fd)

    def _error(self, error: OSError) -> GpiError:
        return GpiError(f"the journal {self.folder} cannot be written ({error.strerror}): nothing more is captured")


def segments(folder: Path) -> list[Path]:
    """The segments of a journal, in order."""
    return sorted(path for path in folder.glob("*.journal") if path.stem.isdigit())


def read(folder: Path) -> Iterator[Record]:
    """Every record that is whole, in order. Raises BadInput when there is no journal, or one is damaged inside.

    A torn tail is what a crash leaves: it ends the segment, when a process began anew after it or nothing follows.
    """
    try:
        found = segments(folder)
    except OSError as error:
        raise BadInput(f"{folder} cannot be read: {error.strerror}") from None
    if not found:
        raise BadInput(f"{folder} holds no journal: give the folder that `gpi capture --journal` wrote")
    for number, path in enumerate(found):
        if number and int(path.stem) != int(found[number - 1].stem) + 1:
            raise BadInput(f"{folder} lacks the segment before {path.name}: remove all older ones, or bring it back")
        whole = 0
        for record, end in _records(path):
            whole = end
            yield record
        keep = max(whole, len(MAGIC))
        torn = path.stat().st_size > keep
        if torn and number + 1 < len(found) and not _begins(found[number + 1]):
            raise BadInput(f"{path} is damaged at byte {keep}: later segments go on without it")
        if torn and _goes_on(path, keep):
            why = f"{path} is damaged at byte {keep}, and whole records follow"
            raise BadInput(f"{why}: bring back a good copy, or give up what follows there with truncate -s {keep}")


def _begins(path: Path) -> bool:
    """Whether a process began with this segment, or nothing is in it."""
    first = next(_records(path), None)
    return first is None or (first[0].kind == Kind.BEGIN and CONTINUES.encode() not in first[0].payload)


def _goes_on(path: Path, start: int) -> bool:
    """Whether a whole record stands anywhere behind a bad one: then it is damage, not what a crash left."""
    rest = path.read_bytes()[start:]
    for match in LOOKS_LIKE.finditer(rest, 5):
        at = match.start() - 4
        length, kind, _ = HEAD.unpack_from(rest, at) if len(rest) - at >= HEAD.size else (MAX_PAYLOAD, 0, 0)
        body = at + HEAD.size + DIGEST.size
        if kind in KINDS and body + length <= len(rest):
            payload = rest[body : body + length]
            if _digest(rest[at : at + HEAD.size], payload) == rest[at + HEAD.size : body]:
                return True
    return False


def _records(path: Path) -> Iterator[tuple[Record, int]]:
    """The whole records of a segment, each with the byte after it."""
    with path.open("rb") as file:
        magic = file.read(len(MAGIC))
        if magic != MAGIC:
            if MAGIC.startswith(magic):
                return  # torn at its very beginning
            raise BadInput(f"{path} is not a segment of a gpi journal")
        end = len(MAGIC)
        while len(head := file.read(HEAD.size)) == HEAD.size:
            length, kind, ts_recv = HEAD.unpack(head)
            if length > MAX_PAYLOAD or kind not in KINDS:
                return
            digest, payload = file.read(DIGEST.size), file.read(length)
            if len(payload) < length or _digest(head, payload) != digest:
                return
            end += HEAD.size + DIGEST.size + length
            yield Record(Kind(kind), ts_recv, payload), end


def _mended(path: Path) -> int | None:
    """Cut a torn tail off; the bytes it had. None, and nothing cut, where whole records stand behind a bad one."""
    whole = 0
    for _, end in _records(path):
        whole = end
    size = path.stat().st_size
    keep = whole or min(size, len(MAGIC))
    if size > keep and _goes_on(path, keep):
        return None
    if size > keep:
        os.truncate(path, keep)
    return size - keep
