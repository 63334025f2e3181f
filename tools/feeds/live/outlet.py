"""The outlet: a bounded queue of rows between a feed that cannot wait and a reader that may be slow.

When it is full, one of three things happens, as the user chose: `block` (the socket waits), `drop-oldest` (the rows
that waited longest go; the reader is told by a GAP row for every instrument that lost some), `conflate` (of quotes
only the newest of each instrument stay; trades, statuses and books stay, until they alone fill it: then as
drop-oldest). Every row that did not come out is counted, on an empty frame's notes too.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from typing import Final, Literal

import numpy as np
import pyarrow as pa

from gpi.formats.frame import Array, Frame, Layout, concatenated
from gpi.formats.quarantine import taken
from gpi.formats.words import GAP, QUOTE

Policy = Literal["block", "drop-oldest", "conflate"]
MOST: Final = 8192  # rows given at once
DROPPED: Final = "gpi.dropped"  # note: rows dropped so far
CONFLATED: Final = "gpi.conflated"  # note: quotes replaced by newer ones so far


class Outlet:
    """One thread puts, another takes. `capacity` is in rows; notes always fit."""

    def __init__(self, schema: pa.Schema, capacity: int, policy: Policy = "block") -> None:
        self.schema = schema
        self.dropped = 0
        self.conflated = 0
        self.out = 0
        self._capacity = capacity
        self._policy = policy
        self._layout = Layout.of(schema)
        self._frames: deque[Frame] = deque()
        self._rows = 0
        self._lost: dict[int, int] = {}  # instrument -> ts_event of the last row dropped, until the reader is told
        self._told = (0, 0)
        self._changed = threading.Condition()
        self._closed = False
        self._error: BaseException | None = None

    def put(self, frame: Frame) -> None:
        """Queue a frame whose memory nobody else uses; under `block`, wait for room."""
        with self._changed:
            self._frames.append(frame)
            self._rows += frame.rows
            if self._rows > self._capacity:
                self._relieve()
            self._changed.notify_all()

    def take(self, timeout: float) -> Frame | None:
        """What has gathered, up to MOST rows; None after `timeout` seconds without any, or when all is over.

        Raises what `close` was given, once everything before it was taken.
        """
        with self._changed:
            if not self._frames and not self._closed:
                self._changed.wait(timeout)
            found = self._next()
            self._changed.notify_all()
            if found is None and self._error is not None:
                error, self._error = self._error, None
                raise error
            return found

    def close(self, error: BaseException | None = None) -> None:
        """Nothing more will be put."""
        with self._changed:
            self._closed, self._error = True, error
            self._changed.notify_all()

    @property
    def over(self) -> bool:
        """Whether nothing is queued and nothing will be."""
        return self._closed and not self._frames and not self._lost

    @property
    def waiting(self) -> int:
        """Rows queued."""
        return self._rows

    def _next(self) -> Frame | None:
        if self._told != (self.dropped, self.conflated):
            self._told = (self.dropped, self.conflated)
            made = self._layout.empty(0)
            made.notes = {DROPPED: str(self.dropped), CONFLATED: str(self.conflated)}
            return made
        if self._lost and not (self._frames and self._frames[0].notes):  # an instrument is announced before it is lost
            lost, self._lost = self._lost, {}
            return gaps(self.schema, lost)
        if not self._frames:
            return None
        first = self._frames.popleft()
        joined = [first]
        rows = first.rows
        while self._frames and not first.notes and not self._frames[0].notes and rows + self._frames[0].rows <= MOST:
            joined.append(self._frames.popleft())
            rows += joined[-1].rows
        self._rows -= rows
        self.out += rows
        return first if len(joined) == 1 else concatenated(joined, self.schema)

    def _relieve(self) -> None:
        """Make room, as the policy says."""
        if self._policy == "block":
            while self._rows > self._capacity and len(self._frames) > 1 and not self._closed:
                self._changed.notify_all()
                self._changed.wait(1.0)
            return
        if self._policy == "conflate":
            self._conflate()
        while self._rows > self._capacity:
            self._drop(self._rows - self._capacity)

    def _drop(self, count: int) -> None:
        """The rows that waited longest go, and whoever lost some is remembered; notes stay where they are."""
        kept: deque[Frame] = deque()
        while self._frames and count > 0:
            frame = self._frames.popleft()
            gone = min(count, frame.rows)
            if gone == 0:
                kept.append(frame)
                continue
            for i, ts in zip(frame["instrument_id"][:gone].tolist(), frame["ts_event"][:gone].tolist(), strict=True):
                self._lost[i] = max(ts, self._lost.get(i, ts))
            if gone < frame.rows:
                self._frames.appendleft(frame.slice(gone, frame.rows).copy())
            count -= gone
            self._rows -= gone
            self.dropped += gone
        self._frames.extendleft(reversed(kept))

    def _conflate(self) -> None:
        """Between two notes, only the newest pure quote of each instrument stays, in its place."""
        made: deque[Frame] = deque()
        while self._frames:
            if self._frames[0].notes:
                made.append(self._frames.popleft())
                continue
            span = []
            while self._frames and not self._frames[0].notes:
                span.append(self._frames.popleft())
            whole = concatenated(span, self.schema)
            kept = np.flatnonzero(~superseded(whole))
            self.conflated += whole.rows - len(kept)
            made.append(taken(whole, kept))
        self._frames = made
        self._rows = sum(frame.rows for frame in made)


def superseded(frame: Frame) -> Array:
    """Which rows are nothing but a quote without flags, and followed by another such of the same instrument."""
    mere: Array = (frame["kind"] == QUOTE) & (frame["flags"] == 0)
    rows = np.flatnonzero(mere)
    ids = frame["instrument_id"][rows]
    _, last = np.unique(ids[::-1], return_index=True)
    mere[rows[len(rows) - 1 - last]] = False
    return mere


def gaps(schema: pa.Schema, lost: Mapping[int, int], ts_recv: int | None = None) -> Frame:
    """A row for every instrument that lost events: `lost` is instrument -> ts_event (ns); sorted by time."""
    made = Layout.of(schema).empty(len(lost))
    for view in made.columns.values():
        view[...] = np.nan if view.dtype.kind == "f" else 0
    for name in ("bids_sz", "asks_sz", "bid_sz", "ask_sz", "trade_sz"):
        if name in made:
            made[name][...] = 0.0
    rows = sorted(lost.items(), key=lambda pair: (pair[1], pair[0]))
    made["instrument_id"][:] = [instrument for instrument, _ in rows]
    made["ts_event"][:] = [ts for _, ts in rows]
    made["ts_recv"][:] = [ts if ts_recv is None else ts_recv for _, ts in rows]
    made["flags"][:] = GAP
    return made
