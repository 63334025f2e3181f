"""Store: the last ticks of all instruments in one ring of items, and for ever the latest of each.

One ring for all, because a gap is a span of time: what was kept since T was kept for every symbol. Whoever asks for
an earlier time is told so, instead of being shown less than there was.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from gpi.formats.frame import Frame
from gpi.formats.instruments import Instrument, Instruments
from gpi.tools.columns import Columns
from gpi.tools.kernels.data import writing as w
from gpi.tools.kernels.ticks import Ticks
from gpi.tools.venue.data import luld
from gpi.tools.venue.data.bars import Bars, joined
from gpi.tools.venue.data.past import Past, items

Array = npt.NDArray[Any]
KEEP: Final = 1 << 19  # items in the ring: about 75 MB
FIRST: Final = 1 << 12  # items it begins with
NO_LEVELS: Final[Array] = np.full((1, 4, 1), np.nan)


class Items(NamedTuple):
    """What a frame says, item by item (kernels/data/writing.py). `books` whole, `changes` since the book before."""

    ints: Array
    nums: Array
    books: Array
    changes: Array


class Gone(Exception):
    """Asked for a time before the oldest that is kept, ns."""

    def __init__(self, since: int) -> None:
        super().__init__(f"nothing is kept before {since}")
        self.since = since


class Store:
    """Takes frames; answers what happened to an instrument since when."""

    def __init__(self, instruments: Instruments, keep: int = KEEP, past: Past | None = None) -> None:
        self.instruments = instruments
        self.past = Past() if past is None else past
        self.keep = keep
        self.bars = Bars(instruments)
        self.evicted = -(1 << 62)  # ns of the newest item that is gone
        self._ints = np.empty((FIRST, w.INTS), np.int64)
        self._nums = np.empty((FIRST, w.NUMS))
        self._count = 0  # items ever
        self._numbers = np.zeros((w.CHANNELS, 0), np.int64)
        self._columns = Columns(Ticks)
        self._last_ints = np.zeros((w.CHANNELS, 0, w.INTS), np.int64)
        self._last_nums = np.zeros((w.CHANNELS, 0, w.NUMS))
        self._books = np.empty((0, 4, 0))
        self._seen = np.zeros(0, np.uint8)

    def fold(self, frame: Frame) -> Items:
        """Keep a frame's rows; gives them back as items, with the bars they closed in between, by time."""
        self._room()
        self.past.begins(int(frame["ts_event"][0]))
        ints, nums = items(frame, self._numbers, self._columns)
        books, changes = self._levels(frame, ints)
        self._put(ints, nums)
        ints, nums = self._with_bands(ints, nums)
        bars = self.bars.fold(ints, nums, int(frame["ts_event"][-1]))
        if len(bars[0]):
            due = np.concatenate([bars[0][:, w.I_RECV], ints[:, w.I_TS]])
            order = np.argsort(due, kind="stable")  # a bar comes before what happens at its end
            ints, nums = np.concatenate([bars[0], ints])[order], np.concatenate([bars[1], nums])[order]
        return Items(ints, nums, books, changes)

    def _with_bands(self, ints: Array, nums: Array) -> tuple[Array, Array]:
        """The items with the price bands after each status that begins a pause."""
        for at in luld.paused(ints)[::-1]:
            status = ints[at]
            start = max(int(status[w.I_TS]) - luld.WINDOW_NS, self.evicted + 1)
            found = luld.bands(*self.since(int(status[w.I_INSTRUMENT]), w.TRADE, start, int(status[w.I_TS])))
            if found is not None:
                more = luld.item(status, *found)
                ints, nums = np.insert(ints, at + 1, more[0], axis=0), np.insert(nums, at + 1, more[1], axis=0)
        return ints, nums

    def _levels(self, frame: Frame, ints: Array) -> tuple[Array, Array]:
        if "bids_px" not in frame or not np.isin(ints[:, w.I_CHANNEL], (w.BOOK, w.RESET)).any():
            return NO_LEVELS, NO_LEVELS
        sides = [frame[name] for name in ("bids_px", "bids_sz", "asks_px", "asks_sz")]
        width = sides[0].shape[1]
        books = np.ascontiguousarray(np.stack(sides, axis=1))
        changes = np.full((frame.rows, 4, 2 * width), np.nan)
        if self._books.shape[2] != width:
            self._books = np.full((len(self._seen), 4, width), np.nan)
            self._seen[:] = 0
        sides = [np.ascontiguousarray(side) for side in sides]
        given: list[Any] = [ints, len(ints), *sides, self._books, self._seen, changes]
        w.books_as_changes(*given)
        return books, changes

    def _room(self) -> None:
        new = len(self.instruments) - self._numbers.shape[1]
        if new > 0:
            self._numbers = np.pad(self._numbers, ((0, 0), (0, new)))
            self._last_ints = np.pad(self._last_ints, ((0, 0), (0, new), (0, 0)))
            self._last_nums = np.pad(self._last_nums, ((0, 0), (0, new), (0, 0)))
            self._seen = np.pad(self._seen, (0, new))
            self._books = np.pad(self._books, ((0, new), (0, 0), (0, 0)), constant_values=np.nan)

    def _put(self, ints: Array, nums: Array) -> None:
        while len(self._ints) < min(self.keep, self._count + len(ints)):
            self._ints = np.concatenate([self._ints, np.empty_like(self._ints)])
            self._nums = np.concatenate([self._nums, np.empty_like(self._nums)])
        size = len(self._ints)
        self._last_ints[ints[:, w.I_CHANNEL], ints[:, w.I_INSTRUMENT]] = ints  # the last one of each wins
        self._last_nums[ints[:, w.I_CHANNEL], ints[:, w.I_INSTRUMENT]] = nums
        ints, nums = ints[-size:], nums[-size:]
        slots = (self._count + np.arange(len(ints))) % size
        if self._count + len(ints) > size and len(ints):
            lost = slots[self._count + np.arange(len(ints)) >= size]
            if len(lost):
                self.evicted = max(self.evicted, int(self._ints[lost, w.I_TS].max()))
        self._ints[slots], self._nums[slots] = ints, nums
        self._count += len(ints)

    def longer(self, each: Instrument, amount: int, unit: str) -> Array:
        """Bars of an instrument, those before the feed with them: (n, COLUMNS of bars), oldest first."""
        return self.past.longer(each, self.bars.minutes(each.id), amount, unit)

    def day(self, each: Instrument) -> Array | None:
        """The bar of the day so far, with what the past tells of it and the minute that is still open; or None."""
        own, before, coin = self.bars.day(each.id), self.past.today(each), each.asset_class == "crypto"
        if not len(before):
            return own
        part = joined(before, 1, "day", coin)
        if own is None or own[0] != part[0, 0]:
            return part[0] if own is None else own
        found: Array = joined(np.vstack([part, own]), 1, "day", coin)[0]
        return found

    def latest(self, instrument_id: int, channel: int) -> tuple[Array, Array] | None:
        """The latest item of a channel, ever; None if there was none."""
        if instrument_id >= self._last_ints.shape[1] or self._last_ints[channel, instrument_id, w.I_Q] == 0:
            return None
        return self._last_ints[channel, instrument_id], self._last_nums[channel, instrument_id]

    def book(self, instrument_id: int) -> tuple[Array, Array] | None:
        """An instrument's book as it stands: an item and its levels (4, width); None if there was none."""
        found = [each for c in (w.BOOK, w.RESET) if (each := self.latest(instrument_id, c)) is not None]
        if not found:
            return None
        return max(found, key=lambda each: int(each[0][w.I_TS]))[0], self._books[instrument_id]

    def since(self, instrument_id: int, channel: int, start: int, end: int) -> tuple[Array, Array]:
        """Items of an instrument with start <= ts <= end, oldest first. Raises Gone if some of them are gone."""
        if start <= self.evicted:
            raise Gone(self.evicted + 1)
        size, now = len(self._ints), self._count % len(self._ints)
        parts = (slice(0, now),) if self._count < size else (slice(now, size), slice(0, now))
        found = []
        for part in parts:
            ints = self._ints[part]
            wanted = (ints[:, w.I_INSTRUMENT] == instrument_id) & (ints[:, w.I_CHANNEL] == channel)
            wanted &= (ints[:, w.I_TS] >= start) & (ints[:, w.I_TS] <= end)
            found.append((ints[wanted], self._nums[part][wanted]))
        return np.concatenate([a for a, _ in found]), np.concatenate([b for _, b in found])

    def state(self) -> dict[str, Any]:
        """How much is kept."""
        return {"items": self._count, "kept": min(self._count, len(self._ints)), "limit": self.keep}
