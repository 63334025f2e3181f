"""Quarantine: dirty rows are set aside with one reason each and counted, never dropped in silence.

The law that tests check on every file: rows in = rows out + folded + quarantined + outside + read ahead, the last two
being rows outside the wanted span of time, and rows that were read when it had passed. A row is *folded*
when it became part of another row's tick (the two halves of a quote, the levels of one depth
update); it is *quarantined* when it cannot be true. A locked market (bid = ask) is kept; a crossed
one (bid > ask) is not, because nobody could have traded on it. Builders of a best quote over many
exchanges screen what goes in, and hide the stalest side of a cross.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from gpi.formats.appearing import write_whole
from gpi.formats.frame import Array, Frame
from gpi.formats.words import ADD, DEPTH, EXECUTE, QUOTE, SECOND, TRADE

Flaws = npt.NDArray[np.int8]  # one Reason per row

EARLIEST: Final = 631_152_000 * SECOND  # 1990-01-01: no tick data is older
LATEST: Final = 4_102_444_800 * SECOND  # 2100-01-01
FUTURE_NS: Final = 86_400 * SECOND  # an event a day after it was received; clock skew is far below that
MAX_PRICE: Final = 1e9  # a bitcoin in rupiah is about 1e9
MAX_SIZE: Final = 1e12  # the whole float of the largest company is about 1e10
KEPT_ROWS: Final = 1000  # offending rows remembered for the file, the rest only counted


class Reason(IntEnum):
    """Why a row was set aside: what the vendor knows, else the first that applies in this order."""

    KEPT = 0
    SUSPICIOUS = 1
    CORRECTED = 2
    UNKNOWN_EVENT = 3
    NO_SYMBOL = 4
    ABSURD_TIME = 5
    FUTURE = 6
    NOT_FINITE = 7
    NEGATIVE = 8
    ZERO_PRICE = 9
    ZERO_SIZE = 10
    ABSURD_PRICE = 11
    ABSURD_SIZE = 12
    CROSSED = 13
    OUT_OF_ORDER = 14
    DUPLICATE = 15

    @property
    def label(self) -> str:
        """The reason in words."""
        return self.name.lower().replace("_", " ")


REASON_MEANINGS: Final[dict[Reason, str]] = {
    Reason.KEPT: "nothing is wrong with it",
    Reason.SUSPICIOUS: "the vendor says so",
    Reason.CORRECTED: "cancelled or corrected later, the vendor says",
    Reason.UNKNOWN_EVENT: "an event type the layout does not define",
    Reason.NO_SYMBOL: "nobody said of what",
    Reason.ABSURD_TIME: "null, before 1990 or after 2099",
    Reason.FUTURE: "happened more than a day after it was received",
    Reason.NOT_FINITE: "NaN or infinite where a number must be",
    Reason.NEGATIVE: "a price or a size below 0",
    Reason.ZERO_PRICE: "a price of 0",
    Reason.ZERO_SIZE: "a trade of nothing",
    Reason.ABSURD_PRICE: f"above {MAX_PRICE:g}",
    Reason.ABSURD_SIZE: f"above {MAX_SIZE:g}",
    Reason.CROSSED: "bid above ask",
    Reason.OUT_OF_ORDER: "earlier than a row of the same stream before it",
    Reason.DUPLICATE: "equal to the row before it in every column",
}

FILE_KEYS: Final[dict[str, str]] = {
    "source": "the file the row came from",
    "reason": "why it was set aside, in words",
}
"""The keys of a remembered row in a quarantine file, before the columns of its tick."""


class Quarantine:
    """The counts of a run, and the first offending rows.

    `rows_in = rows_out + folded + quarantined + outside + ahead` holds when the stream has been read to its end.
    """

    def __init__(self, keep: int = KEPT_ROWS) -> None:
        self.rows_in = 0
        self.rows_out = 0
        self.folded = 0
        self.outside = 0  # of a time that is not wanted
        self.ahead = 0  # read from the files, and not needed any more
        self.counts: Counter[Reason] = Counter()
        self.remarks: Counter[str] = Counter()  # things worth knowing about rows that were kept
        self.rows: list[dict[str, Any]] = []
        self._keep = keep

    @property
    def quarantined(self) -> int:
        """Rows set aside, for whatever reason."""
        return sum(self.counts.values())

    @property
    def balanced(self) -> bool:
        """Whether every row that came in is accounted for."""
        return self.rows_in == self.rows_out + self.folded + self.quarantined + self.outside + self.ahead

    def unwanted(self, rows: int) -> None:
        """So many rows, counted as out before, are outside the wanted span of time."""
        self.rows_out -= rows
        self.outside += rows

    def over(self) -> None:
        """Nothing more is wanted of the files: what was read of them and has gone nowhere was read ahead."""
        self.ahead += self.rows_in - self.rows_out - self.folded - self.quarantined - self.outside - self.ahead

    def sift(
        self, frame: Frame, flaws: Flaws, source: str = "", whole: Callable[[Frame], Frame] = lambda rows: rows
    ) -> Frame:
        """The rows without a flaw; the others are counted, and some remembered, as `whole` completes them."""
        bad = np.flatnonzero(flaws)
        if len(bad) == 0:
            return frame
        for code, count in zip(*np.unique(flaws[bad], return_counts=True), strict=True):
            self.counts[Reason(int(code))] += int(count)
        kept = bad[: max(0, self._keep - len(self.rows))]
        told = whole(taken(frame, kept)) if len(kept) else frame
        for row, flaw in enumerate(flaws[kept].tolist()):
            values = {name: view[row].tolist() for name, view in told.columns.items()}
            self.rows.append({"source": source, "reason": Reason(flaw).label, **values})
        return taken(frame, np.flatnonzero(flaws == 0))

    def report(self) -> dict[str, int]:
        """The books: rows in, out and folded, left out by time, set aside by reason, and remarks."""
        found = {"rows in": self.rows_in, "rows out": self.rows_out, "folded": self.folded}
        left_out = {"outside --since and --until": self.outside, "read ahead of its end": self.ahead}
        found |= {what: n for what, n in left_out.items() if n}
        found |= {f"quarantined: {reason.label}": n for reason, n in sorted(self.counts.items())}
        return found | {f"remark: {what}": n for what, n in sorted(self.remarks.items())}

    def write(self, path: Path) -> None:
        """The remembered rows as JSON lines (NaN as null), the counts first. Atomic."""
        lines = [json.dumps(self.report()), *(json.dumps(_nullified(row)) for row in self.rows)]
        write_whole(path, "\n".join(lines) + "\n")


def _nullified(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _nullified(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_nullified(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def taken(frame: Frame, rows: Array) -> Frame:
    """The rows with these numbers, in memory of their own."""
    made = frame.layout.empty(len(rows))
    for name, view in made.columns.items():
        np.take(frame[name], rows, axis=0, out=view)
    made.notes = frame.notes
    return made


class Screen:
    """The screen of one stream: remembers the latest time and the last row, so that cuts do not matter."""

    def __init__(self, *, crossed: bool = False) -> None:
        self.latest = EARLIEST
        self.crossed = crossed  # whether a crossed quote may pass
        self.last: dict[str, Array] = {}

    def flaws(self, columns: Mapping[str, Array], given: Flaws | None = None, restarts: Sequence[int] = ()) -> Flaws:
        """One Reason per row; `given` are those that the vendor's layout knows already.

        At the rows `restarts`, in order, another stream begins, which may be earlier than the one before it.
        """
        found = flaws(columns, given, crossed=self.crossed)
        ts = columns["ts_event"]
        if len(ts) == 0:
            return found
        clean = found == 0
        found[clean & (ts < self._latest(np.where(clean, ts, EARLIEST), restarts))] = Reason.OUT_OF_ORDER
        found[(found == 0) & self._repeated(columns)] = Reason.DUPLICATE
        return found

    def _latest(self, ts: Array, restarts: Sequence[int]) -> Array:
        """The latest time up to each row of its stream."""
        latest = np.empty_like(ts)
        begins = set(restarts)
        for start, stop in pairwise((*([] if 0 in begins else [0]), *restarts, len(ts))):
            if start in begins:
                self.latest = EARLIEST
            if start < stop:
                np.maximum.accumulate(ts[start:stop], out=latest[start:stop])
                np.maximum(latest[start:stop], self.latest, out=latest[start:stop])
                self.latest = int(latest[stop - 1])
        return latest

    def _repeated(self, columns: Mapping[str, Array]) -> Array:
        """Rows equal to their predecessor, the one before the first included."""
        rows = len(columns["ts_event"])
        same = np.ones(rows, bool)
        same[0] = bool(self.last)
        for name in ("ts_event", "seq", "instrument_id", "kind", *(n for n in columns if n not in _KEYS)):
            values = columns[name]
            if not same.any():
                break
            where = np.flatnonzero(same[1:]) + 1
            same[where] = _equal(values[where], values[where - 1])
            same[0] = same[0] and bool(_equal(values[:1], self.last[name])[0])
        self.last = {name: values[-1:].copy() for name, values in columns.items()}
        return same


_KEYS: Final = ("ts_event", "seq", "instrument_id", "kind")


def _equal(left: Array, right: Array) -> Array:
    same: Array = np.asarray(left == right)
    if left.dtype.kind == "f":
        same |= np.isnan(left) & np.isnan(right)
    return same if same.ndim == 1 else np.all(same, axis=1)


def flaws(columns: Mapping[str, Array], given: Flaws | None = None, *, crossed: bool = False) -> Flaws:
    """What is wrong with each row by itself, as Reasons; `crossed` lets crossed quotes pass.

    `columns` are tick columns, (rows,) each and (rows, levels) for the ladders.
    """
    ts, kind = columns["ts_event"], columns["kind"]
    found = np.zeros(len(ts), np.int8) if given is None else given.astype(np.int8)
    _mark(found, (ts < EARLIEST) | (ts >= LATEST), Reason.ABSURD_TIME)
    _mark(found, ts - FUTURE_NS > columns["ts_recv"], Reason.FUTURE)
    trade, quote = (kind & TRADE) != 0, (kind & QUOTE) != 0
    if trade.any():
        _numbers(found, trade, columns["trade_px"], columns["trade_sz"])
        _mark(found, trade & ~np.isfinite(columns["trade_px"]), Reason.NOT_FINITE)
        _mark(found, trade & (columns["trade_sz"] == 0), Reason.ZERO_SIZE)
    if quote.any():
        _numbers(found, quote, columns["bid_px"], columns["bid_sz"])
        _numbers(found, quote, columns["ask_px"], columns["ask_sz"])
        if not crossed:
            _mark(found, quote & (columns["bid_px"] > columns["ask_px"]), Reason.CROSSED)
    if "bids_px" in columns and (kind & DEPTH).any():
        deep = ((kind & DEPTH) != 0)[:, None]
        for side in ("bids", "asks"):
            _numbers(found, deep, columns[f"{side}_px"], columns[f"{side}_sz"])
    if "order_act" in columns:
        _orders(found, columns)
    return found


def _orders(found: Flaws, columns: Mapping[str, Array]) -> None:
    """Marks rows that tell of an order what cannot be."""
    act, px = columns["order_act"], columns["order_px"]
    named = act != 0
    _mark(found, named & ((act < ADD) | (act > EXECUTE) | (np.abs(columns["order_side"]) != 1)), Reason.UNKNOWN_EVENT)
    _numbers(found, named, px, columns["order_sz"])
    _mark(found, named & (px != px), Reason.NOT_FINITE)


def _numbers(found: Flaws, rows: Array, px: Array, sz: Array) -> None:
    """Marks rows whose price or size cannot be: a price may be NaN only where the size is 0 (absent)."""
    there = px == px
    _mark(found, rows & (np.isinf(px) | ~np.isfinite(sz) | (~there & (sz != 0))), Reason.NOT_FINITE)
    _mark(found, rows & ((px < 0) | (sz < 0)), Reason.NEGATIVE)
    _mark(found, rows & (px == 0), Reason.ZERO_PRICE)
    _mark(found, rows & (px > MAX_PRICE), Reason.ABSURD_PRICE)
    _mark(found, rows & (sz > MAX_SIZE), Reason.ABSURD_SIZE)


def _mark(found: Flaws, wrong: Array, reason: Reason) -> None:
    rows = wrong if wrong.ndim == 1 else np.any(wrong, axis=1)
    if rows.any():
        found[rows & (found == 0)] = reason
