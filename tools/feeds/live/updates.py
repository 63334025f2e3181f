"""The book of price levels: snapshots and updates of many rows each become one tick with its ladder."""

from __future__ import annotations

from typing import Final

import numpy as np

from gpi.formats.frame import Array, Frame, Layout, concatenated
from gpi.formats.quarantine import Quarantine, taken
from gpi.formats.ticks import ticks
from gpi.formats.vendors.layout import Building, layout
from gpi.formats.words import DEPTH, GAP, QUOTE, SNAPSHOT
from gpi.tools.feeds.live.books import sided, uncrossed
from gpi.tools.kernels.data import books, levels

ROOM: Final = 256  # levels a side to begin with; doubled when full
LADDERS: Final = ("bids_px", "bids_sz", "asks_px", "asks_sz")
PATIENCE: Final = 100_000  # updates of one instrument kept while its snapshot is awaited


class Levels:
    """Every row is one price level of a snapshot or an update, without a ladder; those of one update make one tick.

    Updates that come before an instrument's first snapshot are kept, and those newer than it are
    applied right after it, as the exchange prescribes (Binance, "How to manage a local order book
    correctly").
    """

    def __init__(self, depth: int, instruments: int, quarantine: Quarantine) -> None:
        self._memory = levels.ladders(instruments)
        self._keys = np.zeros((instruments, 2, ROOM))
        self._sizes = np.zeros((instruments, 2, ROOM))
        self._layout = Layout.of(ticks(depth))
        self._held = layout(0, Building.LEVELS).empty(0)
        self._waiting: dict[int, Frame] = {}
        self._live: set[int] = set()
        self._quarantine = quarantine

    def built(self, frame: Frame) -> Frame:
        """The ticks of the updates that these rows complete; the last update waits for its end."""
        frame = concatenated((self._held, frame), frame.layout.schema) if self._held.rows else frame
        ends = _update_ends(frame)
        done = np.flatnonzero(ends[:-1])
        stop = int(done[-1]) + 1 if len(done) else 0
        self._held = frame.slice(stop, frame.rows).copy()
        return self._fold(frame.slice(0, stop))

    def rest(self) -> Frame:
        """The last update; updates whose snapshot never came are counted as folded."""
        held, self._held = self._held, self._held.slice(0, 0)
        made = self._fold(held)
        self._quarantine.folded += sum(frame.rows for frame in self._waiting.values())
        self._waiting = {}
        return made

    def _fold(self, frame: Frame) -> Frame:
        frame = self._begun(frame)
        ends = _update_ends(frame)
        total = int(ends.sum())
        row_of, flags = np.zeros(total, np.int64), np.zeros(total, np.int32)
        built = self._layout.empty(total)
        outs: list[Array] = [row_of, flags, *(built[name] for name in LADDERS)]
        bids = sided(frame, "bid")
        side = np.where(bids, 0, 1).astype(np.int8)
        price = np.where(bids, frame["bid_px"], frame["ask_px"])
        size = np.where(bids, frame["bid_sz"], frame["ask_sz"])
        rows = (
            frame["instrument_id"],
            side,
            price,
            size,
            frame["first_id"],
            frame["seq"],
            frame["fresh"],
            ends,
        )
        done = made = 0
        while done < frame.rows:
            ladder = (self._memory, self._keys, self._sizes)
            done, more = levels.fold_levels(*ladder, done, *rows, *(out[made:] for out in outs))
            made += more
            if done < frame.rows:
                self._keys, self._sizes = _roomier(self._keys), _roomier(self._sizes)
        self._quarantine.folded += frame.rows - made
        built = built if made == total else built.slice(0, made)
        _complete(built, frame, row_of[:made], flags[:made])
        return uncrossed(built, self._quarantine)

    def _begun(self, frame: Frame) -> Frame:
        """The rows of instruments that had a snapshot, the first followed by what waited for it."""
        if len(self._live) == len(self._memory):
            return frame
        asleep = [int(i) for i in np.unique(frame["instrument_id"]) if int(i) not in self._live]
        for number in asleep:
            mine = frame["instrument_id"] == number
            fresh = np.flatnonzero(mine & (frame["fresh"] != 0))
            start = int(fresh[0]) if len(fresh) else frame.rows
            early = np.flatnonzero(mine[:start])
            self._wait(number, taken(frame, early))
            frame = taken(frame, np.setdiff1d(np.arange(frame.rows), early, assume_unique=True))
            if len(fresh):
                frame = self._woken(number, frame, start - len(early))
        return frame

    def _wait(self, number: int, early: Frame) -> None:
        kept = [f for f in (self._waiting.pop(number, None), early) if f is not None]
        whole = concatenated(kept, early.layout.schema)
        surplus = max(0, whole.rows - PATIENCE)
        self._quarantine.folded += surplus
        self._waiting[number] = whole.slice(surplus, whole.rows).copy()

    def _woken(self, number: int, frame: Frame, start: int) -> Frame:
        """The snapshot that begins at `start`, one update with the newer of the rows that waited."""
        waited = self._waiting.pop(number)
        taken_at = int(frame["seq"][start])
        stop = start
        while stop < frame.rows and frame["fresh"][stop] and frame["seq"][stop] == taken_at:
            stop += 1
        newer = taken(waited, np.flatnonzero(waited["seq"] > taken_at))
        self._quarantine.folded += waited.rows - newer.rows
        self._live.add(number)
        snapshot = frame.slice(start, stop).copy()
        if newer.rows:
            snapshot["seq"][:] = newer["seq"][-1]
            newer["seq"][:] = newer["seq"][-1]
            newer["ts_event"][:] = newer["ts_recv"][:] = frame["ts_event"][start]
        pieces = (frame.slice(0, start), snapshot, newer, frame.slice(stop, frame.rows))
        return concatenated(pieces, frame.layout.schema)


def _update_ends(frame: Frame) -> Array:
    """Rows after which another update, or nothing, follows."""
    ends = np.ones(frame.rows, bool)
    ids, seq = frame["instrument_id"], frame["seq"]
    ends[:-1] = (ids[1:] != ids[:-1]) | (seq[1:] != seq[:-1])
    return ends


def _roomier(array: Array) -> Array:
    return np.concatenate([array, np.zeros_like(array)], axis=2)


def _complete(built: Frame, frame: Frame, row_of: Array, flags: Array) -> None:
    """Ticks whose ladders are there, with their best levels and all else from the rows that ended them."""
    for name, view in built.columns.items():
        if name not in LADDERS:
            np.take(frame[name], row_of, out=view, mode="clip")  # no row is outside, and then nothing is buffered
    built["kind"][:] = QUOTE | DEPTH
    built["flags"][:] = np.where(flags & books.FRESH, SNAPSHOT, 0) | np.where(flags & books.LOST, GAP, 0)
    for side in ("bid", "ask"):
        built[f"{side}_px"][:], built[f"{side}_sz"][:] = built[f"{side}s_px"][:, 0], built[f"{side}s_sz"][:, 0]
