"""msgpack, read where it lies: one pass over the bytes of a map fills its slots.

Source: the msgpack specification (2017) with its timestamp extension, type -1. No read goes beyond `stop`
(a buffer ends with a zero byte); whatever is cut or is no msgpack is BAD.
"""

from typing import Any, Final

import numpy as np

from gpi.formats.words import SECOND
from gpi.tools.kernels.data.slots import BAD, FLOAT, HARD, INT, LIST, OTHER, SEEN, TEXT, TIME, YES, Array, slot_of
from gpi.tools.kernels.jit import borrowing
from gpi.tools.kernels.shared import Record

LAST_SECOND: Final = 9_223_372_035  # of int64 ns
WIDTHS: Final = np.array([1, 2, 4, 8], np.int64)


@borrowing
def big(buf: Array, pos: int, width: Any) -> Any:
    """An unsigned big-endian number of 1, 2, 4 or 8 bytes as int64 bits."""
    made = np.int64(0)
    for k in range(width):
        made = made << np.int64(8) | np.int64(buf[pos + k])
    return made


@borrowing
def eight(buf: Array, pos: int) -> Any:
    """`big` of 8 bytes: written out, the compiler makes it one load and a swap."""
    return (
        np.int64(buf[pos]) << np.int64(56) | np.int64(buf[pos + 1]) << np.int64(48)
        | np.int64(buf[pos + 2]) << np.int64(40) | np.int64(buf[pos + 3]) << np.int64(32)
        | np.int64(buf[pos + 4]) << np.int64(24) | np.int64(buf[pos + 5]) << np.int64(16)
        | np.int64(buf[pos + 6]) << np.int64(8) | np.int64(buf[pos + 7])
    )  # fmt: skip


@borrowing
def count_at(buf: Array, pos: int, stop: int) -> Any:
    """How many items the array at `pos` holds, and where they begin: (count, pos); count BAD for no array."""
    if pos >= stop:
        return np.int64(BAD), pos
    c = np.int64(buf[pos])
    if 0x90 <= c <= 0x9F:
        return c - 0x90, pos + 1
    if c == 0xDC and pos + 3 <= stop:
        return big(buf, pos + 1, 2), pos + 3
    if c == 0xDD and pos + 5 <= stop:
        return big(buf, pos + 1, 4), pos + 5
    return np.int64(BAD), pos


@borrowing
def text_at(buf: Array, pos: int, stop: int) -> Any:
    """Where the text at `pos` lies: (start, end); start BAD for no text or one that is cut."""
    c = np.int64(buf[pos])
    if 0xA0 <= c <= 0xBF:
        start, size = pos + 1, c - 0xA0
    elif 0xD9 <= c <= 0xDB:
        width = WIDTHS[c - 0xD9]
        if pos + 1 + width > stop:
            return np.int64(BAD), pos
        start, size = pos + 1 + width, big(buf, pos + 1, width)
    else:
        return np.int64(BAD), pos
    if start + size > stop:
        return np.int64(BAD), pos
    return np.int64(start), start + size


@borrowing
def head(buf: Array, pos: int, stop: int) -> Any:
    """What stands at `pos`: (bytes of the value itself, values nested in it); BAD where it is cut or nothing."""
    c = np.int64(buf[pos])
    if c < 0x80 or c >= 0xE0 or c == 0xC0 or c == 0xC2 or c == 0xC3:
        return np.int64(1), np.int64(0)
    if c < 0x90:
        return np.int64(1), 2 * (c - 0x80)
    if c < 0xA0:
        return np.int64(1), c - 0x90
    if c < 0xC0:
        return 1 + c - 0xA0, np.int64(0)
    if c == 0xC1:
        return np.int64(BAD), np.int64(0)
    if 0xCA <= c <= 0xD3:  # floats of 4 and 8 bytes, integers of 1, 2, 4, 8, signed ones again
        width = np.int64(4) if c == 0xCA else np.int64(8) if c == 0xCB else WIDTHS[(c - 0xCC) % 4]
        return 1 + width, np.int64(0)
    if 0xD4 <= c <= 0xD8:  # ext of 1, 2, 4, 8, 16 bytes and a type
        return 2 + (np.int64(1) << (c - 0xD4)), np.int64(0)
    if c >= 0xDC:  # long arrays and maps
        width = np.int64(2) if c == 0xDC or c == 0xDE else np.int64(4)
        if pos + 1 + width > stop:
            return np.int64(BAD), np.int64(0)
        return 1 + width, big(buf, pos + 1, width) * (2 if c >= 0xDE else 1)
    first = np.int64(0xC4) if c <= 0xC6 else np.int64(0xC7) if c <= 0xC9 else np.int64(0xD9)  # bin, ext, str
    width = WIDTHS[c - first]
    if pos + 1 + width > stop:
        return np.int64(BAD), np.int64(0)
    return 1 + width + big(buf, pos + 1, width) + (1 if first == 0xC7 else 0), np.int64(0)


@borrowing
def skip(buf: Array, pos: int, stop: int) -> Any:
    """The end of the value at `pos`, whatever it is; BAD where it is cut or no msgpack."""
    left, steps = np.int64(1), np.int64(0)
    while left > 0:
        if pos >= stop:
            return np.int64(BAD)
        size, nested = head(buf, pos, stop)
        if size < 0 or nested > stop - pos:  # a nested value takes a byte at least
            return np.int64(BAD)
        pos += size
        left += nested - 1
        steps += 1
    return np.int64(pos) if pos <= stop else np.int64(BAD)


@borrowing
def _stamp(buf: Array, pos: int, size: int, slot: Record) -> None:
    """The timestamp extension of 4, 8 or 12 bytes at `pos` as ns; a kind OTHER for what int64 ns cannot hold."""
    slot.kind = OTHER
    nanos = np.int64(0)
    if size == 4:
        seconds = big(buf, pos, 4)
    elif size == 8:
        seconds = (np.int64(buf[pos + 3]) & np.int64(3)) << np.int64(32) | big(buf, pos + 4, 4)
        nanos = big(buf, pos, 4) >> np.int64(2) & np.int64(0x3FFFFFFF)
    else:
        nanos = big(buf, pos, 4)
        seconds = big(buf, pos + 4, 8)
    if 0 <= seconds <= LAST_SECOND and nanos < SECOND:
        slot.kind = TIME
        slot.i = seconds * SECOND + nanos


@borrowing
def _number(buf: Array, pos: int, c: Any, slot: Record) -> None:
    """The number at `pos`, of a kind rarer than a small integer or a double."""
    if c >= 0xE0:
        slot.kind, slot.i = INT, c - 256
    elif c == 0xCA:
        slot.kind, slot.f = FLOAT, np.float64(np.uint32(big(buf, pos + 1, 4)).view(np.float32))
    else:
        width = WIDTHS[(c - 0xCC) % 4]
        value = big(buf, pos + 1, width)
        if c >= 0xD0 and width < 8 and value >= np.int64(1) << (8 * width - 1):
            value -= np.int64(1) << (8 * width)
        slot.kind = HARD if c == 0xCF and value < 0 else INT  # an unsigned number beyond int64
        slot.i = value


@borrowing
def _key(buf: Array, pos: int, stop: int, vendor: int) -> Any:
    """The slot of the key at `pos` (-1: it does not matter), and where its value begins; BAD where it is cut."""
    c = np.int64(buf[pos])
    if (c == 0xA1 or c == 0xA2) and pos + 4 <= stop:
        return slot_of(buf, pos + 1, pos + c - 0x9F, vendor), np.int64(pos + c - 0x9F)
    a, b = text_at(buf, pos, stop)
    if a >= 0:
        return slot_of(buf, a, b, vendor), np.int64(b)
    return np.int64(-1), skip(buf, pos, stop)


@borrowing
def _value(buf: Array, pos: int, stop: int, slot: Record) -> Any:
    """Fill a slot from the value at `pos`; its end, or BAD. The commonest forms come first."""
    c = np.int64(buf[pos])
    if c == 0xCB:
        if pos + 9 > stop:
            return np.int64(BAD)
        slot.kind, slot.f = FLOAT, np.int64(eight(buf, pos + 1)).view(np.float64)
        return np.int64(pos + 9)
    if c < 0x80:
        slot.kind, slot.i = INT, c
        return np.int64(pos + 1)
    if 0xA0 <= c <= 0xBF:
        end = np.int64(pos + 1 + c - 0xA0)
        slot.kind, slot.a, slot.b = TEXT, pos + 1, end
        return end if end <= stop else np.int64(BAD)
    end = skip(buf, pos, stop)
    if end < 0:
        return end
    if c >= 0xE0 or 0xCA <= c <= 0xD3:
        _number(buf, pos, c, slot)
    elif c == 0xD7 and buf[pos + 1] == 255:
        _stamp(buf, pos + 2, 8, slot)
    elif c == 0xD6 and buf[pos + 1] == 255:
        _stamp(buf, pos + 2, 4, slot)
    elif c == 0xC7 and buf[pos + 1] == 12 and buf[pos + 2] == 255:
        _stamp(buf, pos + 3, 12, slot)
    elif 0xD9 <= c <= 0xDB:
        slot.kind, (slot.a, slot.b) = TEXT, text_at(buf, pos, stop)
    else:
        slot.kind = YES if c == 0xC3 else LIST if 0x90 <= c <= 0x9F or c == 0xDC or c == 0xDD else OTHER
        slot.a, slot.b = pos, end
    return end


@borrowing
def walk(buf: Array, pos: int, stop: int, vendor: int, slots: Array) -> Any:
    """Fill the slots from the map at `pos`; its end, or BAD."""
    seen = np.int64(0)
    c = np.int64(buf[pos])
    if 0x80 <= c <= 0x8F:
        left, pos = c - 0x80, pos + 1
    elif c == 0xDE and pos + 3 <= stop:
        left, pos = big(buf, pos + 1, 2), pos + 3
    else:
        return np.int64(BAD)
    while left > 0:
        left -= 1
        if pos >= stop:
            return np.int64(BAD)
        which, pos = _key(buf, pos, stop, vendor)
        if pos < 0 or pos >= stop:
            return np.int64(BAD)
        if which >= 0:
            seen |= np.int64(1) << which
            pos = _value(buf, pos, stop, slots[which])
        else:
            pos = skip(buf, pos, stop)
        if pos < 0:
            return np.int64(BAD)
    slots[SEEN].i = seen
    return np.int64(pos)
