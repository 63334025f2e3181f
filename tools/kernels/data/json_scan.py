"""JSON, read where it lies: one pass over the bytes of an item fills its slots.

Accepts exactly what Python's json does (NaN and Infinity too); an escape or a letter beyond ASCII sends the item to
the slow path. Every message in a buffer is followed by a zero byte: no loop here crosses a zero, so none leaves it.
Numbers are rounded correctly: up to 2**53 times or divided by an exact power of ten is one rounding (Clinger 1990);
any other number is HARD and left to the slow path.
"""

from typing import Any, Final

import numpy as np

from gpi.tools.kernels.data.slots import (
    BAD,
    FLOAT,
    HARD,
    INT,
    LIST,
    OTHER,
    SEEN,
    SLOW,
    SPARE,
    TEXT,
    YES,
    Array,
    slot_of,
)
from gpi.tools.kernels.jit import borrowing
from gpi.tools.kernels.shared import Record

POWERS: Final = np.array([10.0**k for k in range(23)])
EXACT: Final = 1 << 53
DEEPEST: Final = 60  # nesting followed here; deeper items go the slow path


@borrowing
def blank(buf: Array, pos: Any) -> Any:
    """The first place from `pos` on that is not white space."""
    while buf[pos] == 32 or buf[pos] == 10 or buf[pos] == 13 or buf[pos] == 9:
        pos += 1
    return pos


@borrowing
def text_end(buf: Array, pos: int) -> Any:
    """The closing quote of the string whose first letter is at `pos`; BAD or SLOW."""
    while True:
        c = buf[pos]
        if c == 34:
            return pos
        if c == 92 or c >= 128:
            return SLOW
        if c < 32:
            return BAD
        pos += 1


@borrowing
def number(buf: Array, pos: int, slot: Record) -> Any:
    """The end of the number at `pos`, or BAD; the slot gets kind INT, FLOAT or HARD and the value."""
    negative = buf[pos] == 45
    if negative:
        pos += 1
        if buf[pos] == 73:
            end = literal(buf, pos, slot)
            slot.f = -np.inf
            return end
    c = np.int64(buf[pos]) - 48
    if c < 0 or c > 9:
        return BAD
    mantissa, digits, scale, whole = np.int64(0), 0, np.int64(0), True
    if c == 0:
        pos += 1
    else:
        while 0 <= c <= 9:
            if digits < 18:
                mantissa = mantissa * 10 + c
            digits += 1
            pos += 1
            c = np.int64(buf[pos]) - 48
    if buf[pos] == 46:
        whole = False
        pos += 1
        first = pos
        c = np.int64(buf[pos]) - 48
        while 0 <= c <= 9:
            if digits < 18:
                mantissa = mantissa * 10 + c
            if digits > 0 or c > 0:
                digits += 1
            scale -= 1
            pos += 1
            c = np.int64(buf[pos]) - 48
        if pos == first:
            return BAD
    if buf[pos] == 101 or buf[pos] == 69:
        whole = False
        pos += 1
        sign = np.int64(1)
        if buf[pos] == 43 or buf[pos] == 45:
            sign = np.int64(-1) if buf[pos] == 45 else np.int64(1)
            pos += 1
        first, power = pos, np.int64(0)
        c = np.int64(buf[pos]) - 48
        while 0 <= c <= 9:
            power = min(power * 10 + c, np.int64(1_000_000))
            pos += 1
            c = np.int64(buf[pos]) - 48
        if pos == first:
            return BAD
        scale += sign * power
    if digits > 18:
        slot.kind = HARD
    elif whole:
        slot.kind = INT
        slot.i = -mantissa if negative else mantissa
    elif mantissa == 0:
        slot.kind, slot.f = FLOAT, 0.0
    elif mantissa <= EXACT and -22 <= scale <= 22:
        slot.kind = FLOAT
        found = np.float64(mantissa)
        found = found / POWERS[-scale] if scale < 0 else found * POWERS[scale]
        slot.f = -found if negative else found
    else:
        slot.kind = HARD
    return pos


@borrowing
def _reads(buf: Array, pos: int, a: int, b: int, c: int) -> Any:
    return buf[pos + 1] == a and buf[pos + 2] == b and buf[pos + 3] == c


@borrowing
def literal(buf: Array, pos: int, slot: Record) -> Any:
    """The end of true, false, null, NaN or Infinity at `pos`, or BAD."""
    c = buf[pos]
    slot.kind = OTHER
    if c == 116 and _reads(buf, pos, 114, 117, 101):
        slot.kind = YES
        return pos + 4
    if c == 102 and _reads(buf, pos, 97, 108, 115) and buf[pos + 4] == 101:
        return pos + 5
    if c == 110 and _reads(buf, pos, 117, 108, 108):
        return pos + 4
    if c == 78 and buf[pos + 1] == 97 and buf[pos + 2] == 78:
        slot.kind, slot.f = FLOAT, np.nan
        return pos + 3
    if c == 73 and _reads(buf, pos, 110, 102, 105) and _reads(buf, pos + 3, 110, 105, 116) and buf[pos + 7] == 121:
        slot.kind, slot.f = FLOAT, np.inf
        return pos + 8
    return BAD


@borrowing
def _key(buf: Array, pos: int) -> Any:
    """Where the value behind the key at `pos` begins; BAD or SLOW."""
    if buf[pos] != 34:
        return BAD
    end = text_end(buf, pos + 1)
    if end < 0:
        return end
    pos = blank(buf, end + 1)
    return blank(buf, pos + 1) if buf[pos] == 58 else BAD


@borrowing
def skip(buf: Array, pos: int, spare: Record) -> Any:
    """The end of the value at `pos`, checked through and through; BAD or SLOW."""
    depth, maps = 0, np.int64(0)  # maps: a bit per level, set where it is an object
    while True:
        c = buf[pos]
        opened = False
        if c == 34:
            pos = text_end(buf, pos + 1)
            if pos < 0:
                return pos
            pos += 1
        elif c == 45 or 48 <= c <= 57:
            pos = number(buf, pos, spare)
        elif c == 123 or c == 91:
            inside = blank(buf, pos + 1)
            if buf[inside] == (125 if c == 123 else 93):
                pos = inside + 1
            else:
                if depth == DEEPEST:
                    return SLOW
                maps = maps << np.int64(1) | np.int64(1 if c == 123 else 0)
                depth += 1
                pos = _key(buf, inside) if c == 123 else inside
                opened = True
        else:
            pos = literal(buf, pos, spare)
        if pos < 0:
            return pos
        while not opened:
            if depth == 0:
                return pos
            pos = blank(buf, pos)
            c = buf[pos]
            if c == 44:
                pos = blank(buf, pos + 1)
                if maps & 1:
                    pos = _key(buf, pos)
                    if pos < 0:
                        return pos
                break
            if c != (125 if maps & 1 else 93):
                return BAD
            pos += 1
            depth -= 1
            maps = maps >> np.int64(1)


@borrowing
def walk(buf: Array, pos: int, vendor: int, slots: Array) -> Any:
    """Fill the slots from the object at `pos`; its end, BAD or SLOW."""
    seen = np.int64(0)
    if buf[pos] != 123:
        return BAD
    pos = blank(buf, pos + 1)
    if buf[pos] == 125:
        slots[SEEN].i = seen
        return pos + 1
    while True:
        if buf[pos] != 34:
            return BAD
        start = pos + 1
        pos = text_end(buf, start)
        if pos < 0:
            return pos
        which = slot_of(buf, start, pos, vendor)
        pos += 1
        if buf[pos] != 58:
            pos = blank(buf, pos)
            if buf[pos] != 58:
                return BAD
        pos = blank(buf, pos + 1)
        slot = slots[which if which >= 0 else SPARE]
        c = buf[pos]
        if c == 34:
            start = pos + 1
            pos = text_end(buf, start)
            if pos < 0:
                return pos
            slot.kind, slot.a, slot.b = TEXT, start, pos
            pos += 1
        elif c == 45 or 48 <= c <= 57:
            pos = number(buf, pos, slot)
        elif c == 91 or c == 123:
            start = pos
            pos = skip(buf, pos, slots[SPARE])
            slot.kind, slot.a, slot.b = LIST if c == 91 else OTHER, start, pos
        else:
            pos = literal(buf, pos, slot)
        if pos < 0:
            return pos
        if which >= 0:
            seen |= np.int64(1) << which
        pos = blank(buf, pos)
        if buf[pos] == 44:
            pos = blank(buf, pos + 1)
        elif buf[pos] == 125:
            slots[SEEN].i = seen
            return pos + 1
        else:
            return BAD


@borrowing
def extent(buf: Array, pos: int, stop: int) -> Any:
    """Where the element at `pos` of an array ends, whatever is in it: the comma or bracket behind it.

    `stop` where the message ends first; BAD where it ends inside a string or a bracket.
    """
    depth = 0
    while pos < stop:
        c = buf[pos]
        if c == 34:
            pos += 1
            while pos < stop and buf[pos] != 34:
                pos += 2 if buf[pos] == 92 else 1
            if pos >= stop:
                return BAD
        elif c == 91 or c == 123:
            depth += 1
        elif c == 93 or c == 125:
            if depth == 0:
                return pos
            depth -= 1
        elif c == 44 and depth == 0:
            return pos
        pos += 1
    return stop if depth == 0 else BAD
