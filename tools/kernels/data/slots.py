"""What a walker finds in one item of a message: a slot per key that matters, whatever the wire.

A walker (json_scan, msgpack) reads an item's bytes once and leaves in the slots where and what the values are; the
fold (decoding) makes a row of them. `slots[SEEN].i` is the set of slots filled, a bit each.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from gpi.formats.words import SECOND
from gpi.tools.kernels.jit import borrowing

Array = npt.NDArray[Any]

SLOT: Final = np.dtype((np.record, [("kind", "i8"), ("i", "i8"), ("f", "f8"), ("a", "i8"), ("b", "i8")]))
INT, FLOAT, TEXT, TIME, LIST, YES, OTHER, HARD = 1, 2, 3, 4, 5, 6, 7, 8  # kind; HARD: a number for the slow path

TYPE, SYM, PAIR, TICKER, T, P, S, BP, BS, AP, AS, X, C, Q, B, A, R, SC, RC, TKS, DS, ID = range(22)
SEEN: Final = 22
SPARE: Final = 23  # where numbers go that nobody asked for
SLOTS: Final = 24

BAD: Final = -1  # the item is not what its format allows
SLOW: Final = -2  # the item needs the slow path: escapes, letters beyond ASCII
ALPACA, POLYGON = 0, 1

KEYS: Final = (
    {
        "T": TYPE, "S": SYM, "t": T, "p": P, "s": S, "bp": BP, "bs": BS, "ap": AP, "as": AS, "x": X, "c": C,
        "b": B, "a": A, "r": R, "sc": SC, "rc": RC, "tks": TKS, "i": ID,
    },
    {
        "ev": TYPE, "sym": SYM, "pair": PAIR, "T": TICKER, "t": T, "p": P, "s": S, "bp": BP, "bs": BS, "ap": AP,
        "as": AS, "x": X, "c": C, "q": Q, "b": B, "a": A, "ds": DS, "i": ID,
    },
)  # fmt: skip


def _short() -> Array:
    """The slot of every key of one or two ASCII letters: int8 (vendors, 128 * 128), -1 for none."""
    found = np.full((2, 128 * 128), -1, np.int8)
    for vendor, keys in enumerate(KEYS):
        for key, slot in keys.items():
            if len(key) <= 2:
                found[vendor, ord(key[0]) + (128 * ord(key[1]) if len(key) == 2 else 0)] = slot
    return found


SHORT: Final = _short()


@borrowing
def at(buf: Array, pos: int) -> Any:
    """A byte as a signed integer: unsigned ones turn into floats when mixed."""
    return np.int64(buf[pos])


@borrowing
def word(buf: Array, a: int, b: int) -> Any:
    """The first seven bytes of a text as one number."""
    made = np.int64(0)
    for k in range(min(b - a, 7)):
        made |= np.int64(buf[a + k]) << np.int64(8 * k)
    return made


SYM_WORD, PAIR_WORD, TKS_WORD = (int.from_bytes(text, "little") for text in (b"sym", b"pair", b"tks"))


@borrowing
def slot_of(buf: Array, a: int, b: Any, vendor: int) -> Any:
    """The slot of a key, -1 for a key that does not matter."""
    size = b - a
    if size == 1:
        c = np.int64(buf[a])
        return np.int64(SHORT[vendor, c]) if c < 128 else np.int64(-1)
    if size == 2:
        c, d = np.int64(buf[a]), np.int64(buf[a + 1])
        return np.int64(SHORT[vendor, c + 128 * d]) if c < 128 and 0 < d < 128 else np.int64(-1)
    if size == 3 or size == 4:
        w = word(buf, a, b)
        if vendor == POLYGON:
            if w == SYM_WORD:
                return np.int64(SYM)
            if w == PAIR_WORD:
                return np.int64(PAIR)
        elif w == TKS_WORD:
            return np.int64(TKS)
    return np.int64(-1)


DAYS_BEFORE: Final = np.array([0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334], np.int64)
MONTH_DAYS: Final = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31], np.int64)


@borrowing
def _digits(buf: Array, pos: int, count: int) -> Any:
    made = np.int64(0)
    for k in range(count):
        c = np.int64(buf[pos + k]) - 48
        if c < 0 or c > 9:
            return np.int64(-1)
        made = made * 10 + c
    return made


@borrowing
def moment(buf: Array, a: int, b: int) -> Any:
    """An RFC-3339 time as ns since 1970; -1 if it is none; 0 if outside 1970..2261. Digits beyond ns are cut."""
    if b - a < 20 or buf[a + 4] != 45 or buf[a + 7] != 45 or buf[a + 10] != 84:
        return np.int64(-1)
    if buf[a + 13] != 58 or buf[a + 16] != 58:
        return np.int64(-1)
    year, month, day = _digits(buf, a, 4), _digits(buf, a + 5, 2), _digits(buf, a + 8, 2)
    hour, minute, second = _digits(buf, a + 11, 2), _digits(buf, a + 14, 2), _digits(buf, a + 17, 2)
    if year < 1 or month < 1 or month > 12 or day < 1 or hour < 0 or minute < 0 or second < 0:
        return np.int64(-1)
    leap = (year % 4 == 0 and year % 100 != 0) or year % 400 == 0
    if day > MONTH_DAYS[month - 1] + (1 if leap and month == 2 else 0) or hour > 23 or minute > 59 or second > 59:
        return np.int64(-1)
    pos = a + 19
    fraction = np.int64(0)
    if buf[pos] == 46:
        pos += 1
        scale, first = np.int64(100_000_000), pos
        while pos < b and 48 <= buf[pos] <= 57:
            fraction += (np.int64(buf[pos]) - 48) * scale
            scale //= 10
            pos += 1
        if pos == first or pos == b:
            return np.int64(-1)
    ahead = np.int64(0)
    if buf[pos] == 90:
        if pos + 1 != b:
            return np.int64(-1)
    elif buf[pos] == 43 or buf[pos] == 45:
        if pos + 6 != b or buf[pos + 3] != 58:
            return np.int64(-1)
        hours, minutes = _digits(buf, pos + 1, 2), _digits(buf, pos + 4, 2)
        if hours < 0 or hours > 23 or minutes < 0 or minutes > 59:
            return np.int64(-1)
        ahead = hours * 3600 + minutes * 60
        if buf[pos] == 45:
            ahead = -ahead
    else:
        return np.int64(-1)
    if year < 1971 or year > 2260:
        return np.int64(0)
    before = year - 1
    days = before * 365 + before // 4 - before // 100 + before // 400 - 719162
    days += DAYS_BEFORE[month - 1] + (1 if leap and month > 2 else 0) + day - 1
    return (days * 86400 + hour * 3600 + minute * 60 + second - ahead) * SECOND + fraction
