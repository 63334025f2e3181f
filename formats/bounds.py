"""How much memory a message may ask for, judged by what it announces, before any of it is given.

A kilobyte of compressed zeros can announce gigabytes. So every message that is met for the first time is asked three
things before its body is decoded: how long that body is, how many bytes its rows would take in the stream's schema,
and how many bytes its compressed buffers say they hold (each begins with that number). GPI_MAX_MESSAGE (bytes, or with
K, M, G) is what one message may take.
"""

import os
import re
import struct
from typing import Final

from gpi.formats.errors import BadInput, UsageError

VARIABLE: Final = "GPI_MAX_MESSAGE"
DEFAULT: Final = 1 << 30  # an honest batch of 65,536 rows takes some ten megabytes
RECORD_BATCH: Final = 3  # Message.fbs: MessageHeader
UNITS: Final = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}

Memory = bytes | bytearray | memoryview


def largest() -> int:
    """Bytes that one message may take in memory. Raises UsageError for a setting that is no size."""
    told = os.environ.get(VARIABLE, str(DEFAULT))
    found = re.fullmatch(r"(\d{1,15})([KMG]?)", told.strip().upper())
    if found is None or not int(found[1]):
        raise UsageError(f"{VARIABLE}={told}: bytes that one message may take, such as 512M or 4G")
    return int(found[1]) * UNITS[found[2]]


def within(size: int, limit: int, what: str) -> None:
    """Raise BadInput, naming the way out, when something asks for more than `limit` bytes."""
    if size > limit:
        raise BadInput(
            f"{what} would take {_sized(size)} of memory, more than the {_sized(limit)} that a message may take: "
            f"if it is honest, write it in smaller batches or set {VARIABLE}={_enough(size)}"
        )


def check_rows(head: Memory, row_bytes: int, limit: int, name: str) -> None:
    """Judge a message by its metadata alone, before its body is read.

    `row_bytes`: what a row takes in the schema. Raises BadInput for a message that is no record batch or asks for
    more than `limit` bytes, ValueError or struct.error for metadata that cannot be.
    """
    kind, batch = _batch(head)
    if kind != RECORD_BATCH:
        raise BadInput(f"{name} carries a message that is no batch of rows (kind {kind}): only numbers flow")
    rows = _int64(head, batch, 0)
    if rows < 0:
        raise ValueError(f"a batch of {rows} rows")
    within(rows * max(row_bytes, 1), limit, f"{name}: a batch of {rows:,} rows")


def check_buffers(head: Memory, body: Memory, limit: int, name: str) -> None:
    """Judge compressed buffers by the lengths that they begin with, before one is decompressed.

    Raises BadInput when they hold more than `limit` bytes together, ValueError for a buffer outside the body.
    """
    _, batch = _batch(head)
    if not _slot(head, batch, 3):  # no BodyCompression
        return
    total = 0
    start = _vector(head, batch, 2)
    for at in range(start + 4, start + 4 + 16 * struct.unpack_from("<I", head, start)[0], 16):
        offset, length = struct.unpack_from("<qq", head, at)
        if offset < 0 or length < 0 or offset + length > len(body):
            raise ValueError("a buffer outside its message")
        if length >= 8:
            said = int(struct.unpack_from("<q", body, offset)[0])
            total += length if said == -1 else said  # -1: this one is not compressed
            if said < -1:
                raise ValueError(f"a buffer of {said} bytes")
    within(total, limit, f"{name}: a compressed batch of {len(body):,} bytes")


def _batch(head: Memory) -> tuple[int, int]:
    """The kind of a message's header, and where its table begins."""
    table = 8 + int(struct.unpack_from("<I", head, 8)[0])
    kind = _slot(head, table, 1)
    return (int(struct.unpack_from("<B", head, kind)[0]) if kind else 0), _vector(head, table, 2)


def _slot(head: Memory, table: int, field: int) -> int:
    """Where a field of a flatbuffers table stands; 0 when it is absent."""
    vtable = table - int(struct.unpack_from("<i", head, table)[0])
    if vtable < 0 or struct.unpack_from("<H", head, vtable)[0] < 6 + 2 * field:
        return 0
    found = int(struct.unpack_from("<H", head, vtable + 4 + 2 * field)[0])
    return table + found if found else 0


def _vector(head: Memory, table: int, field: int) -> int:
    """Where the table or vector begins that a field points at."""
    at = _slot(head, table, field)
    if not at:
        raise ValueError("a message without its header")
    return at + int(struct.unpack_from("<I", head, at)[0])


def _int64(head: Memory, table: int, field: int) -> int:
    at = _slot(head, table, field)
    return int(struct.unpack_from("<q", head, at)[0]) if at else 0


def _sized(size: int) -> str:
    return f"{size / (1 << 30):,.1f} GiB" if size >= 1 << 30 else f"{size / (1 << 20):,.1f} MiB"


def _enough(size: int) -> str:
    return f"{-(-size // (1 << 30))}G" if size >= 1 << 30 else f"{-(-size // (1 << 20))}M"
