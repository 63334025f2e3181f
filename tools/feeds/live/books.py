"""Books between decoded rows and ticks: what makes one tick of several rows, chunk by chunk.

Every book gives the same ticks however its input is cut: rows that the next chunk may complete are
held back. Rows that became part of another row's tick are counted as folded; a crossed result is
quarantined.
"""

from __future__ import annotations

from typing import Any, Final, Protocol

import numpy as np

from gpi.formats.frame import Array, Frame, Layout, concatenated
from gpi.formats.quarantine import Quarantine, Reason, taken
from gpi.formats.ticks import ticks
from gpi.formats.words import SNAPSHOT
from gpi.tools.kernels.data import books


class Book(Protocol):
    """Turns decoded rows into ticks."""

    def built(self, frame: Frame) -> Frame:
        """The ticks that these rows complete."""

    def rest(self) -> Frame:
        """The ticks of the rows held back, at the end."""


class Direct:
    """Every row is a tick already."""

    def __init__(self, depth: int, by_order: bool = False) -> None:
        self._layout = Layout.of(ticks(depth, by_order))

    def built(self, frame: Frame) -> Frame:
        """The rows themselves."""
        return frame

    def rest(self) -> Frame:
        """Nothing was held back."""
        return self._layout.empty(0)


class Halves:
    """A quote comes as a bid row and, right behind it, an ask row of the same time.

    A half whose other half is missing changes its side only; before both sides were seen one is absent.
    """

    def __init__(self, depth: int, instruments: int, quarantine: Quarantine) -> None:
        self._memory = books.tops(instruments)
        self._held = Layout.of(ticks(depth)).empty(0)
        self._quarantine = quarantine

    def built(self, frame: Frame) -> Frame:
        """The quotes that these rows complete; a bid half in the last row waits for what follows."""
        frame = concatenated((self._held, frame), frame.layout.schema) if self._held.rows else frame
        ends = ~_first_halves(frame)
        stop = frame.rows
        if stop and sided(frame, "bid")[-1] and not sided(frame, "ask")[-1]:
            stop -= 1
        self._held = frame.slice(stop, frame.rows).copy()
        return self._fold(frame.slice(0, stop), ends[:stop])

    def rest(self) -> Frame:
        """The last half, if one is held back."""
        held, self._held = self._held, self._held.slice(0, 0)
        return self._fold(held, np.ones(held.rows, bool))

    def _fold(self, frame: Frame, ends: Array) -> Frame:
        out = np.zeros(int(ends.sum()), books.TICK)
        bid_px, bid_sz, ask_px, ask_sz = (frame[name] for name in SIDES)
        ids = frame["instrument_id"]
        books.fold_halves(self._memory, ids, bid_px, bid_sz, ask_px, ask_sz, ends, out)
        return _quotes(frame, out, self._quarantine)


SIDES: Final = ("bid_px", "bid_sz", "ask_px", "ask_sz")


def sided(frame: Frame, side: str) -> Array:
    """Where a row has this side."""
    px: Array = frame[f"{side}_px"]
    return np.asarray(px == px)


def _first_halves(frame: Frame) -> Array:
    """Rows with only a bid that are followed by a row with only an ask, of the same time and instrument."""
    first = np.zeros(frame.rows, bool)
    bid, ask = sided(frame, "bid"), sided(frame, "ask")
    ts, ids = frame["ts_event"], frame["instrument_id"]
    first[:-1] = bid[:-1] & ~ask[:-1] & ask[1:] & ~bid[1:] & (ts[1:] == ts[:-1]) & (ids[1:] == ids[:-1])
    return first


def _quotes(frame: Frame, out: Array, quarantine: Quarantine) -> Frame:
    """The rows that completed a tick, with the sides of the tick; crossed ones are quarantined."""
    made = taken(frame, out["row"])
    for name in SIDES:
        made[name][:] = out[name]
    made["flags"][:] |= np.where(out["marks"] & books.FRESH, SNAPSHOT, 0).astype(np.int32)
    quarantine.folded += frame.rows - made.rows
    return uncrossed(made, quarantine)


def uncrossed(made: Frame, quarantine: Quarantine) -> Frame:
    """The ticks that are not crossed; the others are quarantined."""
    crossed = made["bid_px"] > made["ask_px"]
    return quarantine.sift(made, np.where(crossed, Reason.CROSSED, 0).astype(np.int8), "book")


class Exchanges:
    """Every row is the quote of one exchange; the tick is the best bid and offer over all of them."""

    def __init__(self, depth: int, instruments: int, quarantine: Quarantine) -> None:
        self._memory = books.venues(instruments)
        self._schema = ticks(depth)
        self._quarantine = quarantine

    def built(self, frame: Frame) -> Frame:
        """One tick per row."""
        out = np.zeros(frame.rows, books.TICK)
        ts, ids, place = frame["ts_event"], frame["instrument_id"], frame["place"]
        bid_px, bid_sz, ask_px, ask_sz = (frame[name] for name in SIDES)
        books.best_of_exchanges(self._memory, ts, ids, place, bid_px, bid_sz, ask_px, ask_sz, out)
        self._quarantine.remarks["crossed between exchanges"] += int((out["marks"] & books.HIDES != 0).sum())
        return narrowed(_quotes(frame, out, self._quarantine), self._schema)

    def rest(self) -> Frame:
        """Nothing was held back."""
        return Layout.of(self._schema).empty(0)


def narrowed(frame: Frame, schema: Any) -> Frame:
    """Without the columns that only a book reads."""
    layout = Layout.of(schema)
    return Frame(layout, frame.rows, {column.name: frame[column.name] for column in layout.columns})
