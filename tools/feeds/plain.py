"""A vendor's socket messages as ticks, item by item in plain Python.

What an item lacks or has wrong costs that item alone, told with its reason. Rows that cannot be true (NaN, negative,
crossed, from the future) are rejected by the same rules as those of files.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgpack
import numpy as np

from gpi.formats.errors import GpiError
from gpi.formats.frame import Frame
from gpi.formats.instruments import Instruments
from gpi.formats.quarantine import Reason, flaws, taken
from gpi.formats.ticks import BUY, HALTED, PAUSED, QUOTE, SELL, STATUS, TICKS, TRADE, UNKNOWN_SIDE
from gpi.tools.feeds.wirenames import instrument

NAN: Final = float("nan")
CONTROLS: Final = ("success", "error", "subscription", "status")
FOLDED: Final = ("b", "u", "d", "A", "AM", "XA", "XAS", "c", "x", "l", "n", "i", "LULD", "NOI", "FMV", "LV", "o", "XL2")
STATES: Final = {"H": HALTED, "2": HALTED, "P": PAUSED, "5": PAUSED, "M": PAUSED}
SIDES: Final = {"B": BUY, "S": SELL}
COIN_SIDES: Final = {2: BUY, 1: SELL}


class Rejected(NamedTuple):
    """An item that is no tick, why, and whose it is."""

    reason: str
    raw: Any
    symbol: str


class Decoded(NamedTuple):
    """What some messages held."""

    frame: Frame | None
    controls: list[dict[str, Any]]
    rejected: list[Rejected]


class PlainDecoder:
    """Both vendors; `instruments` grows when a symbol is met that it lacks."""

    def __init__(self, asset: str, instruments: Instruments) -> None:
        self.instruments = instruments
        self._asset = asset
        self._ids: dict[str, int] = {}

    def decode_many(self, messages: Sequence[bytes], ts_recvs: Sequence[int]) -> Decoded:
        """All rows of these messages, received at `ts_recvs` (ns), as one frame of ticks/1."""
        made = Decoded(None, [], [])
        rows: list[tuple[Any, ...]] = []
        raw: list[Mapping[str, Any]] = []
        for message, ts_recv in zip(messages, ts_recvs, strict=True):
            for item in _items(message, made):
                kind = item.get("T") if isinstance(item.get("T"), str) and "ev" not in item else item.get("ev")
                if kind in CONTROLS:
                    made.controls.append(item)
                    continue
                try:
                    rows.append(self._row(str(kind), item, ts_recv))
                    raw.append(item)
                except (KeyError, TypeError, ValueError, AttributeError, OverflowError, GpiError):
                    why = "no tick" if kind in FOLDED else "unknown event" if kind not in ROWS else "malformed"
                    made.rejected.append(Rejected(why, item, str(item.get("S") or item.get("sym"))))
        if not rows:
            return made
        columns = dict(zip(TICKS.names, zip(*rows, strict=True), strict=True))
        frame = Frame.of(TICKS, {name: np.array(values) for name, values in columns.items()})
        found = flaws(frame.columns)
        for row in np.flatnonzero(found):
            name = self.instruments[int(frame["instrument_id"][row])].symbol
            made.rejected.append(Rejected(Reason(int(found[row])).label, raw[row], name))
        return made._replace(frame=taken(frame, np.flatnonzero(found == 0)) if found.any() else frame)

    def _row(self, kind: str, item: Mapping[str, Any], ts_recv: int) -> tuple[Any, ...]:
        name = item["S"] if kind in "tqs" else item["pair"] if kind.startswith("X") else item["sym"]
        what, side, flags, seq, bid_px, bid_sz, ask_px, ask_sz, px, sz = ROWS[kind](item)
        return (
            _time(item["t"]),
            ts_recv,
            self._id(name),
            what,
            side,
            flags,
            seq,
            bid_px,
            bid_sz,
            ask_px,
            ask_sz,
            px,
            sz,
        )

    def _id(self, name: str) -> int:
        known = self._ids.get(name)
        if known is None:
            known = self._ids[name] = self.instruments.add(instrument(self._asset, name))
        return known


def _items(message: bytes, made: Decoded) -> list[Any]:
    """The items of a message; one that cannot be read is one that was rejected."""
    try:
        found = json.loads(message) if message[:1] in b"[{" else msgpack.unpackb(message, strict_map_key=False)
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException):
        made.rejected.append(Rejected("undecodable", message, ""))
        return []
    items = found if isinstance(found, list) else [found]
    made.rejected.extend(Rejected("malformed", item, "") for item in items if not isinstance(item, dict))
    return [item for item in items if isinstance(item, dict)]


def _time(t: Any) -> int:
    """ns since the epoch: msgpack's timestamp, RFC 3339, or milliseconds."""
    if isinstance(t, msgpack.Timestamp):
        return int(t.to_unix_nano())
    if isinstance(t, str):
        return int(np.datetime64(t.removesuffix("Z"), "ns").astype(np.int64))
    if isinstance(t, bool) or not isinstance(t, int):
        raise TypeError("no time")
    return t * 1_000_000


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError("no number")
    return float(value)


def _sided(item: Mapping[str, Any], px: str, sz: str) -> tuple[float, float]:
    """A price and its size; 0 for 0 is the vendors' way of saying that there is none."""
    price, size = _number(item[px]), _number(item[sz])
    return (NAN, 0.0) if price == 0 and size == 0 else (price, size)


def _quote(item: Mapping[str, Any]) -> tuple[Any, ...]:
    bid, ask = _sided(item, "bp", "bs"), _sided(item, "ap", "as")
    return (QUOTE, UNKNOWN_SIDE, 0, int(item.get("q") or 0), *bid, *ask, NAN, 0.0)


def _trade(item: Mapping[str, Any]) -> tuple[Any, ...]:
    given = item.get("q") or item.get("i") or 0
    seq = int(given) if str(given).isdigit() and int(given) < 1 << 63 else 0
    side = SIDES.get(str(item.get("tks")), UNKNOWN_SIDE)
    return (TRADE, side, 0, seq, NAN, 0.0, NAN, 0.0, _number(item["p"]), _number(item["s"]))


def _coin_trade(item: Mapping[str, Any]) -> tuple[Any, ...]:
    sides = [COIN_SIDES[each] for each in item.get("c") or () if each in COIN_SIDES]
    return (TRADE, sides[0] if sides else UNKNOWN_SIDE, *_trade(item)[2:])


def _status(item: Mapping[str, Any]) -> tuple[Any, ...]:
    return (STATUS, UNKNOWN_SIDE, STATES.get(str(item["sc"]), 0), 0, NAN, 0.0, NAN, 0.0, NAN, 0.0)


ROWS: Final[dict[str, Callable[[Mapping[str, Any]], tuple[Any, ...]]]] = {
    "q": _quote,
    "Q": _quote,
    "XQ": _quote,
    "t": _trade,
    "T": _trade,
    "XT": _coin_trade,
    "s": _status,
}
