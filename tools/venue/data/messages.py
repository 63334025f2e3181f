"""What every message looks like on every wire, written down once: literals and fields, per class and channel.

`Dialect` makes of it a program for the kernel (`kernels/data/writing.py`) and, for REST and for the rare number without
a short decimal form, a plain dict. docs/venue_data.md explains the choices (conditions, exchanges, codes).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import msgpack
import numpy as np
import numpy.typing as npt

from gpi.formats.instruments import Instrument, Instruments
from gpi.formats.words import HALTED, HIDDEN, OFF_EXCHANGE, PAUSED
from gpi.tools.kernels.data import writing as w
from gpi.tools.venue.data.names import CLASSES, code

Array = npt.NDArray[Any]
NONE: Final[Any] = object()


class Field(NamedTuple):
    """A hole in a message: what goes in (LITERAL .. TEXT of the kernel), which column or mask, two literals."""

    what: int
    arg: int = 0
    column: int = 0
    one: Any = NONE
    other: Any = NONE


SYMBOL: Final = Field(w.SYMBOL)
WHEN: Final = Field(w.TIME)  # in the wire's own form, of I_TS
BIDS, ASKS = Field(w.LEVELS, 0), Field(w.LEVELS, 1)
BID_PAIRS, ASK_PAIRS = Field(w.LEVELS, 2), Field(w.LEVELS, 3)
Q, ID, COUNT = Field(w.INTEGER, w.I_Q), Field(w.TEXT, w.I_ID), Field(w.INTEGER, w.I_ID)
MEAN_SIZE = Field(w.INTEGER, w.I_BOOK)
MS, RECV_MS = Field(w.TIME, w.MILLIS, w.I_TS), Field(w.TIME, w.MILLIS, w.I_RECV)
NS = Field(w.TIME, w.NANOS, w.I_TS)
Shape = tuple[tuple[str, Any], ...]


def px(column: int) -> Field:
    """A price: always a double in msgpack."""
    return Field(w.PRICE, column)


def sz(column: int) -> Field:
    """A size: an integer in msgpack where it is whole."""
    return Field(w.SIZE, column)


def choice(mask: int, one: Any, other: Any) -> Field:
    """`other` where one of these flags is set, else `one`."""
    return Field(w.CHOICE, mask, 0, one, other)


def aggressor(one: Any, other: Any) -> Field:
    """`other` where the aggressor sold, else `one`."""
    return Field(w.SIDE, 0, 0, one, other)


def _status(resumed: str, halted: str, paused: str) -> Field:
    return choice(HALTED | PAUSED, resumed, choice(PAUSED, halted, paused))


BID, BID_SZ, ASK, ASK_SZ = px(w.N_BID_PX), sz(w.N_BID_SZ), px(w.N_ASK_PX), sz(w.N_ASK_SZ)
PX, SZ = px(w.N_PX), sz(w.N_SZ)
COIN_BID_SZ, COIN_ASK_SZ, COIN_SZ = px(w.N_BID_SZ), px(w.N_ASK_SZ), px(w.N_SZ)
OHLC: Final[Shape] = (("o", px(0)), ("h", px(1)), ("l", px(2)), ("c", px(3)))
VENUE = choice(OFF_EXCHANGE, "V", "D")

ALPACA: Final[dict[tuple[str, int], Shape]] = {
    ("equity", w.STATUS): (
        ("T", "s"), ("S", SYMBOL), ("sc", _status("T", "H", "P")),
        ("sm", _status("Trading Resumption", "Trading Halt", "Volatility Trading Pause")),
        ("rc", _status("", "T1", "LUDP")),
        ("rm", _status("", "Halt News Pending", "Volatility Trading Pause")), ("t", WHEN), ("z", "C"),
    ),
    ("equity", w.TRADE): (
        ("T", "t"), ("i", COUNT), ("S", SYMBOL), ("x", VENUE), ("p", PX), ("s", SZ),
        ("c", choice(HIDDEN, ["@"], ["@", "H"])), ("z", "C"), ("t", WHEN),
    ),
    ("equity", w.QUOTE): (
        ("T", "q"), ("S", SYMBOL), ("bx", "V"), ("bp", BID), ("bs", BID_SZ), ("ax", "V"), ("ap", ASK), ("as", ASK_SZ),
        ("c", ["R"]), ("z", "C"), ("t", WHEN),
    ),
    ("equity", w.LULD): (
        ("T", "l"), ("S", SYMBOL), ("u", ASK), ("d", BID), ("i", "B"), ("t", WHEN), ("z", "C"),
    ),
    ("option", w.TRADE): (("T", "t"), ("S", SYMBOL), ("t", WHEN), ("p", PX), ("s", SZ), ("x", "C"), ("c", "I")),
    ("option", w.QUOTE): (
        ("T", "q"), ("S", SYMBOL), ("t", WHEN), ("bx", "C"), ("bp", BID), ("bs", BID_SZ), ("ax", "C"), ("ap", ASK),
        ("as", ASK_SZ), ("c", " "),
    ),
    ("crypto", w.TRADE): (
        ("T", "t"), ("S", SYMBOL), ("p", PX), ("s", COIN_SZ), ("t", WHEN), ("i", COUNT), ("tks", aggressor("B", "S")),
    ),
    ("crypto", w.QUOTE): (
        ("T", "q"), ("S", SYMBOL), ("bp", BID), ("bs", COIN_BID_SZ), ("ap", ASK), ("as", COIN_ASK_SZ), ("t", WHEN),
    ),
    ("crypto", w.BOOK): (("T", "o"), ("S", SYMBOL), ("t", WHEN), ("b", BIDS), ("a", ASKS)),
    ("crypto", w.RESET): (("T", "o"), ("S", SYMBOL), ("t", WHEN), ("b", BIDS), ("a", ASKS), ("r", True)),
}  # fmt: skip
for _class in ("equity", "option", "crypto"):
    for _channel, _letter in ((w.BAR, "b"), (w.UPDATED, "u"), (w.DAILY, "d")):
        _volume = ("v", COIN_SZ if _class == "crypto" else SZ)
        ALPACA[_class, _channel] = (
            ("T", _letter), ("S", SYMBOL), *OHLC, _volume, ("t", WHEN), ("n", COUNT), ("vw", PX),
        )  # fmt: skip

DAY: Final[Shape] = (("av", sz(w.N_DAY_VOLUME)), ("op", px(w.N_DAY_OPEN)), ("vw", PX))
SPAN: Final[Shape] = (("s", MS), ("e", RECV_MS))
POLYGON: Final[dict[tuple[str, int], Shape]] = {
    ("equity", w.TRADE): (
        ("ev", "T"), ("sym", SYMBOL), ("x", choice(OFF_EXCHANGE, 15, 4)), ("i", ID), ("z", 3), ("p", PX), ("s", SZ),
        ("c", choice(HIDDEN, [0], [0, 21])), ("t", MS), ("q", Q),
    ),
    ("equity", w.QUOTE): (
        ("ev", "Q"), ("sym", SYMBOL), ("bx", 15), ("bp", BID), ("bs", BID_SZ), ("ax", 15), ("ap", ASK), ("as", ASK_SZ),
        ("c", 0), ("i", []), ("t", MS), ("q", Q), ("z", 3),
    ),
    ("equity", w.LULD): (
        ("ev", "LULD"), ("T", SYMBOL), ("h", ASK), ("l", BID), ("i", [17]), ("z", 3), ("t", NS), ("q", Q),
    ),
    ("option", w.TRADE): (
        ("ev", "T"), ("sym", SYMBOL), ("x", 313), ("p", PX), ("s", SZ), ("c", [209]), ("t", MS), ("q", Q),
    ),
    ("option", w.QUOTE): (
        ("ev", "Q"), ("sym", SYMBOL), ("bx", 313), ("ax", 313), ("bp", BID), ("ap", ASK), ("bs", BID_SZ),
        ("as", ASK_SZ), ("t", MS), ("q", Q),
    ),
    ("crypto", w.TRADE): (
        ("ev", "XT"), ("pair", SYMBOL), ("p", PX), ("t", MS), ("s", SZ), ("c", aggressor([2], [1])), ("i", COUNT),
        ("x", 1), ("r", RECV_MS),
    ),
    ("crypto", w.QUOTE): (
        ("ev", "XQ"), ("pair", SYMBOL), ("bp", BID), ("bs", BID_SZ), ("ap", ASK), ("as", ASK_SZ), ("t", MS), ("x", 1),
        ("r", RECV_MS),
    ),
    ("index", w.QUOTE): (("ev", "V"), ("val", BID), ("T", SYMBOL), ("t", MS)),
    ("index", w.TRADE): (("ev", "V"), ("val", PX), ("T", SYMBOL), ("t", MS)),
}  # fmt: skip
for _channel, _stock, _coin in ((w.BAR, "AM", "XA"), (w.SECONDS, "A", "XAS")):
    _rest = ("a", px(w.N_DAY_VWAP)), ("z", MEAN_SIZE), *SPAN
    for _class in ("equity", "option"):
        POLYGON[_class, _channel] = (("ev", _stock), ("sym", SYMBOL), ("v", SZ), *DAY, *OHLC, *_rest)
    POLYGON["index", _channel] = (("ev", _stock), ("sym", SYMBOL), DAY[1], *OHLC, *SPAN)
    POLYGON["crypto", _channel] = (
        ("ev", _coin), ("pair", SYMBOL), ("v", SZ), ("vw", PX), ("z", MEAN_SIZE), *OHLC, *SPAN,
    )  # fmt: skip
for _channel in (w.BOOK, w.RESET):
    POLYGON["crypto", _channel] = (
        ("ev", "XL2"), ("pair", SYMBOL), ("t", MS), ("r", RECV_MS), ("x", 1), ("b", BID_PAIRS), ("a", ASK_PAIRS),
    )  # fmt: skip


def rfc3339(ts: int) -> str:
    """A time in UTC with all its nanoseconds, trailing zeros left out."""
    seconds, nanos = divmod(int(ts), 1_000_000_000)
    fraction = f".{nanos:09d}".rstrip("0") if nanos else ""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}{fraction}Z"


def plain(number: float) -> float | int:
    """A number as JSON shows it: whole ones without a fraction."""
    return int(number) if number == number and abs(number) < 2**53 and number == int(number) else float(number)


def told(shape: Shape, name: str, ints: Array, nums: Array, levels: Array | None = None) -> dict[str, Any]:
    """One item as a dict, times as in JSON: what REST shows, and the slow road of the sockets."""
    return {key: _value(field, name, ints, nums, levels) for key, field in shape}


def _value(field: Any, name: str, ints: Array, nums: Array, levels: Array | None) -> Any:
    if not isinstance(field, Field):
        return field
    if field.what == w.SYMBOL:
        return name
    if field.what in (w.PRICE, w.SIZE):
        return plain(float(nums[field.arg]))
    if field.what == w.TIME:
        ts = int(ints[field.column])
        if field.arg == w.MILLIS:
            return ts // 1_000_000
        return ts if field.arg == w.NANOS else rfc3339(ts)
    if field.what in (w.INTEGER, w.TEXT):
        number = int(ints[field.arg])
        return number if field.what == w.INTEGER else str(number)
    if field.what == w.LEVELS:
        assert levels is not None
        side = 2 * (field.arg & 1)
        rows = [(plain(p), plain(s)) for p, s in zip(levels[side], levels[side + 1], strict=True) if p == p]
        return [{"p": p, "s": s} for p, s in rows] if field.arg < 2 else [list(row) for row in rows]
    other = ints[w.I_FLAGS] & field.arg if field.what == w.CHOICE else ints[w.I_SIDE] < 0
    return _value(field.other if other else field.one, name, ints, nums, levels)


class Dialect:
    """Shapes compiled for one wire, and the names of a growing instrument table in that wire's bytes."""

    def __init__(
        self, shapes: Mapping[tuple[str, int], Shape], called: Callable[[Instrument], str], packed: bool, time: int
    ) -> None:
        self.shapes = shapes
        self.called = called
        self.packed = packed
        self._time = time
        self._pool = bytearray()
        self._ops: list[tuple[int, int, int, int, int]] = []
        self.programs = np.zeros((len(CLASSES), w.CHANNELS, 2), np.int64)
        for (kind, channel), shape in shapes.items():
            first = len(self._ops)
            self._compile(shape)
            self.programs[CLASSES.index(kind), channel] = first, len(self._ops)
        self.ops = np.array(self._ops, np.int64).reshape(-1, 5)
        self._fixed = bytes(self._pool)
        self._names: list[tuple[int, int]] = []
        self._codes: list[int] = []
        self.know(Instruments())

    def know(self, instruments: Instruments) -> None:
        """Make room for instruments that are new."""
        for each in list(instruments)[len(self._names) :]:
            self._names.append(self._put(self._bytes(self.called(each))))
            self._codes.append(code(each))
        self.pool = np.frombuffer(bytes(self._pool) + b"\0", np.uint8)
        self.names = np.array(self._names, np.int64).reshape(-1, 2)
        self.classes = np.array(self._codes, np.int64)

    def message(self, instrument: Instrument, ints: Array, nums: Array, levels: Array) -> bytes:
        """One item by the slow road."""
        shape = self.shapes[instrument.asset_class, int(ints[w.I_CHANNEL])]
        return self._bytes(told(shape, self.called(instrument), ints, nums, levels))

    def raw(self, message: dict[str, Any]) -> bytes:
        """A message as it stands, its time in the wire's own form."""
        if self.packed and isinstance(message.get("t"), str):
            message = {**message, "t": msgpack.Timestamp.from_datetime(datetime.fromisoformat(message["t"]))}
        return self._bytes(message)

    def framed(self, parts: Sequence[bytes], count: int) -> bytes:
        """Messages as one array: `parts` are encoded messages, in JSON with commas inside each part."""
        if self.packed:
            return b"\xdc" + count.to_bytes(2, "big") + b"".join(parts)
        return b"[" + b",".join(parts) + b"]"

    def _bytes(self, value: Any) -> bytes:
        if self.packed:
            return bytes(msgpack.packb(value))
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()

    def _put(self, literal: bytes) -> tuple[int, int]:
        self._pool += literal
        return len(self._pool) - len(literal), len(literal)

    def _compile(self, shape: Shape) -> None:
        pending = bytes([0x80 | len(shape)]) if self.packed else b"{"
        for k, (key, field) in enumerate(shape):
            pending += self._bytes(key) if self.packed else (b"," if k else b"") + self._bytes(key) + b":"
            if not isinstance(field, Field):
                pending += self._bytes(field)
                continue
            self._ops.append((w.LITERAL, *self._put(pending), 0, 0))
            pending = b""
            self._field(field)
        self._ops.append((w.LITERAL, *self._put(pending + (b"" if self.packed else b"}")), 0, 0))

    def _field(self, field: Field) -> None:
        if field.what == w.TIME:
            self._ops.append((w.TIME, field.column, 0, field.arg or self._time, 0))
        elif field.what == w.CHOICE and isinstance(field.other, Field):
            self._branches(field, field.other)
        elif field.what in (w.CHOICE, w.SIDE):
            self._either(field.what, field.arg, self._bytes(field.one), self._bytes(field.other))
        else:
            self._ops.append((field.what, 0, 0, field.arg, 0))

    def _branches(self, outer: Field, inner: Field) -> None:
        """Three ways as three choices, each of which writes something or nothing: no flag, the first, the second."""
        self._either(w.CHOICE, outer.arg, self._bytes(outer.one), b"")
        self._either(w.CHOICE, outer.arg & ~inner.arg, b"", self._bytes(inner.one))
        self._either(w.CHOICE, inner.arg, b"", self._bytes(inner.other))

    def _either(self, what: int, mask: int, one: bytes, other: bytes) -> None:
        at, size = self._put(other)
        self._ops.append((what, *self._put(one), mask, at << 16 | size))
