"""One item of a vendor's socket message in plain Python: whatever the decoding kernel does not do itself.

Statuses, crypto books, symbols met for the first time, numbers of more digits than a float has, and everything odd:
an item becomes the values of a row, a control (a dict for the capture to act on), or is rejected for a reason.
"""

from __future__ import annotations

import json
import math
from datetime import datetime
from typing import Any, Final

import msgpack

from gpi.formats.quarantine import Reason
from gpi.formats.words import HALTED, HIDDEN, NO_PRICE, OFF_EXCHANGE, PAUSED, QUOTE, STATUS, TRADE
from gpi.tools.kernels.data.conditions import AVERAGE, LETTERS, NUMBERS

Values = dict[str, Any]

MALFORMED: Final = "malformed"
MS: Final = 1_000_000
CONTROLS: Final = frozenset(
    ("success", "error", "subscription", "status", "c", "x", "l", "n", "i", "LULD", "NOI", "FMV", "LV", "V")
)
"""Said, but no tick: controls proper, trade corrections (c) and cancels (x), price bands, news, imbalances, values."""
TALK: Final = frozenset(("success", "error", "subscription", "status"))
"""Of these, what is said about the connection itself."""
FOREX: Final = frozenset(("C", "CA", "CAS"))
UNWANTED: Final = "unwanted: forex"
"""Currency pairs have no instrument in gpi: their quotes and bars are counted, not carried."""
BARS: Final = frozenset(("b", "u", "d", "A", "AM", "XA", "XAS"))
HALTS: Final = {"H": HALTED, "2": HALTED, "Q": HALTED, "P": PAUSED, "T": 0, "3": 0, "R": 0, "O": 0}
"""Alpaca's status codes of both tapes: halt, volatility pause, (quotation) resumption; a quoting period trades not."""
OFF_EXCHANGES: Final = {"alpaca": "D", "polygon": 4}
HIDDENS: Final = {"alpaca": "H", "polygon": 21}


class Odd(Exception):
    """An item that is no tick, and why: a Reason, or words."""

    def __init__(self, reason: Reason | str) -> None:
        super().__init__(str(reason))
        self.reason = reason


def parsed(raw: bytes, text: bool) -> Any:
    """An item of its own bytes. Raises Odd for what is none."""
    try:
        return json.loads(raw) if text else msgpack.unpackb(raw, strict_map_key=False, unicode_errors="replace")
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException) as wrong:
        raise Odd("undecodable") from wrong


def kind_of(item: Any, vendor: str) -> str:
    """The item's type word. Raises Odd where it has none."""
    if not isinstance(item, dict):
        raise Odd(MALFORMED)
    kind = item.get("T" if vendor == "alpaca" else "ev")
    if not isinstance(kind, str):
        raise Odd(MALFORMED)
    if kind in FOREX and vendor == "polygon":
        raise Odd(UNWANTED)
    return kind


def symbol_of(item: Values) -> str:
    """The symbol on the wire. Raises Odd where there is none."""
    name = item.get("S", item.get("sym", item.get("pair")))
    if not isinstance(name, str) or not name:
        raise Odd(Reason.NO_SYMBOL)
    return name


def row_of(kind: str, item: Values, vendor: str) -> Values:
    """The values of a row that are not absent. Raises Odd for a kind that is no tick or a value that cannot be."""
    row: Values = {"ts_event": moment(item.get("t"), vendor), "seq": integer(item.get("q", 0))}
    if kind in ("q", "Q", "XQ"):
        return {
            **row,
            "kind": QUOTE,
            **best(number(item, "bp"), number(item, "bs"), number(item, "ap"), number(item, "as")),
        }
    if kind in ("t", "T", "XT"):
        return {**row, **_trade(kind, item, vendor)}
    if kind == "s":
        return {**row, "kind": STATUS, "marks": _halt(item)}
    raise Odd(Reason.UNKNOWN_EVENT)


def best(bid_px: float, bid_sz: float, ask_px: float, ask_sz: float) -> Values:
    """Both sides of a quote; a price of 0 with a size of 0 says that nobody is there."""
    return {
        "bid_px": math.nan if bid_px == bid_sz == 0 else bid_px,
        "bid_sz": bid_sz,
        "ask_px": math.nan if ask_px == ask_sz == 0 else ask_px,
        "ask_sz": ask_sz,
    }


def _trade(kind: str, item: Values, vendor: str) -> Values:
    conditions = item.get("c")
    conditions = conditions if isinstance(conditions, list) else []
    marks = 0 if kind == "XT" else _marks(conditions, item, vendor)
    side = {"B": 1, "S": -1}.get(str(item.get("tks")), 0)
    if kind == "XT":  # conditions of coins: 1 the taker sold, 2 the taker bought
        side = 1 if 2 in conditions else -1 if 1 in conditions else 0
    size = item["ds"] if "ds" in item else item.get("s")  # a fraction of a share comes as text beside the whole part
    found: Values = {"kind": TRADE, "side": side, "marks": marks}
    found |= {"trade_px": number(item, "p"), "trade_sz": number({"s": _text_number(size)}, "s")}
    if vendor == "alpaca" or "q" not in item:
        found["seq"] = _trade_id(item.get("i"))
    return found


def _marks(conditions: list[Any], item: Values, vendor: str) -> int:
    """Where and how a share was traded."""
    marks = OFF_EXCHANGE if item.get("x") == OFF_EXCHANGES[vendor] else 0
    marks |= HIDDEN if HIDDENS[vendor] in conditions else 0
    away: frozenset[Any] = LETTERS if vendor == "alpaca" else NUMBERS
    if any(each in away for each in conditions if isinstance(each, str | int)):
        marks |= OFF_EXCHANGE | NO_PRICE
    if vendor == "alpaca" and AVERAGE in conditions and item.get("z") != "C":
        marks |= OFF_EXCHANGE | NO_PRICE
    return marks


def _trade_id(told: Any) -> int:
    """A trade's own number, where it is one."""
    if isinstance(told, str):
        return int(told) if told.isdecimal() and len(told) <= 18 else 0
    return integer(told) if isinstance(told, int) else 0


def _text_number(told: Any) -> Any:
    try:
        return float(told) if isinstance(told, str) else told
    except ValueError:
        raise Odd(MALFORMED) from None


def _halt(item: Values) -> int:
    code = item.get("sc")
    if not isinstance(code, str) or code not in HALTS:
        raise Odd("unknown status")
    return HALTS[code]


def number(item: Values, name: str) -> float:
    """A number as a float. Raises Odd where it is none."""
    told = item.get(name)
    if isinstance(told, bool) or not isinstance(told, int | float):
        raise Odd(MALFORMED)
    try:
        return float(told)
    except OverflowError:
        raise Odd(Reason.NOT_FINITE) from None


def integer(told: Any) -> int:
    """A whole number that int64 holds. Raises Odd for anything else."""
    if isinstance(told, bool) or not isinstance(told, int) or not -(2**63) <= told < 2**63:
        raise Odd(MALFORMED)
    return told


def moment(told: Any, vendor: str) -> int:
    """A time in ns: Polygon's milliseconds, Alpaca's timestamp extension or RFC-3339 text. Raises Odd."""
    if vendor == "polygon":
        found = integer(told) * MS
    elif isinstance(told, msgpack.Timestamp):
        found = told.to_unix_nano()
    elif isinstance(told, str):
        found = _rfc3339(told)
    else:
        raise Odd(MALFORMED)
    if not 0 < found < 2**63:
        raise Odd(Reason.ABSURD_TIME)
    return found


def _rfc3339(told: str) -> int:
    whole, dot, rest = told.partition(".")
    digits = rest[: len(rest) - len(rest.lstrip("0123456789"))] if dot else ""
    zone = rest[len(digits) :] if dot else ""
    try:
        at = datetime.fromisoformat((whole + zone).replace("Z", "+00:00"))
        if at.tzinfo is None or (dot and not digits):
            raise ValueError
        return int(at.timestamp()) * 1_000_000_000 + int((digits + "000000000")[:9])
    except (ValueError, OverflowError):
        raise Odd(MALFORMED) from None
