"""Merging sorted runs of ticks into one stream by (ts_event, order of the runs, row).

A run says when it begins, so it is opened only when the stream gets there: a year of a lake needs
the memory of the runs that overlap, not of the year. Rows are taken a chunk at a time, up to the
watermark: the earliest time that any run might still bring. The result depends neither on the
chunks nor on the size of the frames that come out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from gpi.formats.frame import Frame, Layout, concatenated
from gpi.formats.quarantine import taken


@dataclass(frozen=True, slots=True)
class Run:
    """Frames of one layout in order of ts_event, none of them earlier than `first` (ns)."""

    first: int
    frames: Callable[[], Iterator[Frame]]


@dataclass(slots=True)
class _Cursor:
    """An open run: the rows read and not yet given."""

    frames: Iterator[Frame]
    held: Frame
    done: bool = False

    @property
    def last(self) -> int:
        """The time of the last row held."""
        return int(self.held["ts_event"][-1])

    def pull(self) -> None:
        """Hold more rows, or learn that there are none."""
        for frame in self.frames:
            if frame.rows:
                self.held = concatenated((self.held, frame), frame.layout.schema) if self.held.rows else frame
                return
        self.done = True

    def give(self, until: int | None) -> Frame:
        """The rows earlier than `until`, or all of them."""
        stop = self.held.rows if until is None else int(np.searchsorted(self.held["ts_event"], until))
        given, self.held = self.held.slice(0, stop), self.held.slice(stop, self.held.rows)
        return given


def merged(runs: Iterable[Run], schema: pa.Schema) -> Iterator[Frame]:
    """Frames of any size with all rows of the runs, by (ts_event, order of the runs, row).

    `schema` is that of every frame. Frames of the runs must not be on loan.
    """
    waiting = sorted(enumerate(runs), key=lambda pair: (pair[1].first, pair[0]))
    open_runs: dict[int, _Cursor] = {}
    nothing = Layout.of(schema).empty(0)
    while waiting or open_runs:
        if not open_runs or (waiting and waiting[0][1].first <= _watermark(open_runs)):
            number, run = waiting.pop(0)
            open_runs[number] = _Cursor(run.frames(), nothing)
            _fill(open_runs)
            continue
        until = None if all(cursor.done for cursor in open_runs.values()) else _watermark(open_runs)
        if until is None and waiting:
            until = waiting[0][1].first
        parts = [open_runs[number].give(until) for number in sorted(open_runs)]
        parts = [part for part in parts if part.rows]
        if not parts:  # one time fills a whole chunk: hold more of it
            for cursor in open_runs.values():
                if not cursor.done and cursor.last == until:
                    cursor.pull()
        elif len(parts) == 1:
            yield parts[0]
        else:
            whole = concatenated(parts, schema)
            yield taken(whole, np.argsort(whole["ts_event"], kind="stable"))
        _fill(open_runs)


def _watermark(open_runs: dict[int, _Cursor]) -> int:
    """The earliest time that an open run might still bring; the latest held when none brings more."""
    coming = [cursor.last for cursor in open_runs.values() if not cursor.done]
    return min(coming) if coming else max((cursor.last for cursor in open_runs.values()), default=0)


def _fill(open_runs: dict[int, _Cursor]) -> None:
    """Let every open run hold something, and close those that have nothing more."""
    for number, cursor in list(open_runs.items()):
        while not cursor.held.rows and not cursor.done:
            cursor.pull()
        if not cursor.held.rows:
            del open_runs[number]


def recut(frames: Iterable[Frame], schema: pa.Schema, batch: int) -> Iterator[Frame]:
    """The same rows in frames of exactly `batch`, the last one shorter."""
    held: list[Frame] = []
    rows = 0
    for frame in frames:
        if frame.notes:
            yield frame
        start = 0
        while rows + frame.rows - start >= batch:
            stop = start + batch - rows
            piece = frame.slice(start, stop)
            yield concatenated((*held, piece), schema) if held else piece
            held, rows, start = [], 0, stop
        if start < frame.rows:
            held.append(frame.slice(start, frame.rows))
            rows += frame.rows - start
    if rows:
        yield held[0] if len(held) == 1 else concatenated(held, schema)
