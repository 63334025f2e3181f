"""The intake: records of a journal become rows. Live and from the journal it is the same fold, so the same stream.

While a gap is open (between the records GAP and FILLED) rows from the socket wait; what REST gave for the gap goes
before them, without what the socket gave too. Symbols that could not be refilled get a GAP row instead.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

from gpi.formats.frame import Array, Frame, Layout, concatenated
from gpi.formats.instruments import Instruments
from gpi.formats.quarantine import taken
from gpi.formats.words import QUOTE, TRADE
from gpi.tools.feeds.live.decoding import Decoder
from gpi.tools.feeds.live.items import TALK
from gpi.tools.feeds.live.journal import CONTINUES, Kind, Record
from gpi.tools.feeds.live.outlet import gaps
from gpi.tools.kernels.data.sequence import first_hole

RECENT: Final = 64  # frames after which what is known of the past is brought up to date
OVERLAP_NS: Final = 2_000_000_000  # how far back of the last row a refill asks again: feeds are not quite in order
MIX: Final = np.uint64(0x9E37_79B9_7F4A_7C15)
KEPT_ROWS: Final = 1 << 16  # rows of the recent past, for telling what a refill brings again


class Hole(NamedTuple):
    """Messages with the sequence numbers first..last of one instrument never came; `kind` QUOTE or TRADE."""

    instrument_id: int
    kind: int
    first: int
    last: int


class Taken(NamedTuple):
    """What came of some records: frames to publish, what the other side said, holes in the sequence."""

    frames: list[Frame]
    controls: list[dict[str, Any]]
    holes: list[Hole]
    data: int = 0  # items that were no talk about the connection, whether published now or waiting


class Intake:
    """Folds records. `instruments` is the decoder's growing table; `sequenced`: `seq` is the vendor's and unique.

    `contiguous` says that it counts every message of an instrument and kind, so that a number left out is a message
    lost; the record FILLED may say that it does not.
    """

    def __init__(self, decoder: Decoder, instruments: Instruments, schema: pa.Schema, sequenced: bool = False) -> None:
        self.sequenced = sequenced
        self.contiguous = sequenced
        self.decoder = decoder
        self.instruments = instruments
        self.schema = schema
        self.counts: Counter[str] = Counter()  # items in, rows out, bars, controls, repeated, quarantined: REASON
        self.latest: dict[int, int] = {}  # instrument -> ts_event of its newest row, up to the last `catch_up`
        self._announced = len(instruments)
        self._recent: list[Frame] = []  # published, oldest first
        self._old = 0  # of these, how many `latest` knows
        self._held: list[Frame] | None = None  # what waits while a gap is open
        self._refilled: list[Frame] = []
        self._seqs: Array = np.zeros((0, 2), np.int64)
        self._asked: Hole | None = None  # why a gap is open, if a number was missing
        self._expected: Counter[int] = Counter()  # rows of the last refill that the socket may bring, too
        self._until = 0  # ts_event up to which it may
        self._begun = False
        self._last_recv = 0
        self._data = 0  # items that were no talk about the connection
        self._hole(Layout.of(schema).empty(0))  # its kernel is compiled now, not between two messages

    @property
    def waiting(self) -> bool:
        """Whether a gap is open."""
        return self._held is not None

    def take(self, records: Iterable[Record]) -> Taken:
        """Everything these records say, in order. Runs of messages are decoded together."""
        found = Taken([], [], [])
        before = self._data
        messages: list[bytes] = []
        times: list[int] = []
        for kind, ts_recv, payload in records:
            self._last_recv = ts_recv
            if kind == Kind.MESSAGE:
                messages.append(payload)
                times.append(ts_recv)
                continue
            self._messages(messages, times, found)
            messages, times = [], []
            if kind == Kind.GAP:
                self._held = self._held if self._held is not None else []
            elif kind == Kind.REFILL:
                self._refill(payload, ts_recv, found)
            elif kind == Kind.FILLED:
                self._filled(json.loads(payload), ts_recv, found)
            elif kind == Kind.BEGIN and not (self._begun and json.loads(payload).get(CONTINUES)):
                self._begin(ts_recv, found)
        self._messages(messages, times, found)
        return found._replace(data=self._data - before)

    def finish(self) -> Taken:
        """The end of the records: what still waits comes out, after GAP rows, for nobody will refill it now."""
        found = Taken([], [], [])
        if self.waiting:
            self._give_up(self._last_recv, found)
        return found

    def catch_up(self) -> dict[int, int]:
        """`latest`, up to the newest row published."""
        fresh = self._recent[self._old :]
        for frame in fresh:
            for i in np.unique(frame["instrument_id"]).tolist():
                newest = int(frame["ts_event"][frame["instrument_id"] == i].max())
                self.latest[i] = max(newest, self.latest.get(i, newest))
        rows = 0
        keep = len(self._recent)
        while keep > 0 and rows < KEPT_ROWS:
            keep -= 1
            rows += self._recent[keep].rows
        del self._recent[:keep]
        self._old = len(self._recent)
        return self.latest

    def _begin(self, ts_recv: int, found: Taken) -> None:
        """A process began; if another was before it, what happened in between is lost."""
        if self._begun:
            self._give_up(ts_recv, found)
            self._seqs[:] = 0
        self._begun = True

    def _give_up(self, ts_recv: int, found: Taken) -> None:
        """Everything that waits comes out, whatever holes there are in it: nobody will fill them."""
        known, self.contiguous = self.contiguous, False
        self._filled({"lost": None}, ts_recv, found)
        self.contiguous = known

    def _messages(self, messages: list[bytes], times: list[int], found: Taken) -> None:
        if not messages:
            return
        frame = self._decoded(messages, times, found)
        if frame is None:
            return
        if self._until:
            frame = self._news(frame)
        self._on(frame, found)

    def _on(self, frame: Frame, found: Taken) -> None:
        """Publish up to the first hole in the sequence; what is behind it waits."""
        if self._held is not None:
            self._held.append(frame)
            return
        at, hole = self._hole(frame) if self.sequenced else (frame.rows, None)
        if hole is None:
            self._publish(frame, found)
            return
        self._publish(frame.slice(0, at).copy(), found)
        self._held = [frame.slice(at, frame.rows).copy()]
        self._asked = hole
        found.holes.append(hole)

    def _decoded(self, messages: list[bytes], times: list[int], found: Taken) -> Frame | None:
        made = self.decoder.decode_many(messages, times)
        talk = [each for each in made.controls if each.get("T", each.get("ev")) in TALK]
        found.controls.extend(talk)
        for each in made.rejected:
            self.counts[f"quarantined: {getattr(each.reason, 'label', each.reason)}"] += 1
        rows = made.frame.rows if made.frame is not None else 0
        items = rows + len(made.rejected) + made.bars + len(made.controls)
        self.counts.update({"items in": items, "bars": made.bars, "controls": len(made.controls)})
        self._data += items - len(talk)
        if len(self.instruments) > self._announced:  # new ones are announced before their first row
            note = Layout.of(self.schema).empty(0)
            note.notes = self.instruments.news(self._announced)
            self._announced = len(self.instruments)
            found.frames.append(note)
        return made.frame if rows else None

    def _publish(self, frame: Frame, found: Taken) -> None:
        if not frame.rows:
            return
        self.counts["rows out"] += frame.rows
        found.frames.append(frame)
        self._recent.append(frame)
        if len(self._recent) - self._old > RECENT:
            self.catch_up()

    def _hole(self, frame: Frame) -> tuple[int, Hole | None]:
        """The first row behind a hole of the sequence, and what is missing there; all rows when there is none."""
        ids, kinds, seqs = frame["instrument_id"], frame["kind"], frame["seq"]
        if len(self.instruments) > len(self._seqs):
            more = np.zeros((len(self.instruments) * 2 - len(self._seqs), 2), np.int64)
            self._seqs = np.concatenate([self._seqs, more])
        row = int(first_hole(ids, kinds, seqs, self._seqs, self.contiguous))
        if row == frame.rows:
            return row, None
        kind = QUOTE if kinds[row] & QUOTE else TRADE
        known = int(self._seqs[ids[row], 0 if kind == QUOTE else 1])
        return row, Hole(int(ids[row]), kind, known + 1, int(seqs[row]) - 1)

    def _refill(self, payload: bytes, ts_recv: int, found: Taken) -> None:
        frame = self._decoded([payload], [ts_recv], found)
        if frame is not None:
            self._refilled.append(frame)

    def _filled(self, said: dict[str, Any], ts_recv: int, found: Taken) -> None:
        """Close the gap: GAP rows for what is lost (`lost`: symbols, or null for all), the refill, what waited."""
        held, self._held = self._held or [], None
        refilled, self._refilled = self._refilled, []
        self.contiguous = self.contiguous and said.get("contiguous", True)
        latest, lost, names = self.catch_up(), said.get("lost"), self.instruments.symbols
        ids = [i for i in latest if lost is None or names[i] in lost]
        if self._asked is not None:  # asked once: whatever REST left out is not asked for again
            i, kind, _, last = self._asked
            self._seqs[i, 0 if kind == QUOTE else 1] = last
            self._asked = None
        if ids:
            self._seqs[[i for i in ids if i < len(self._seqs)]] = 0
            found.frames.append(gaps(self.schema, {i: latest[i] for i in ids}, ts_recv))
            self.counts["gap rows"] += len(ids)
        if refilled:
            whole = concatenated(refilled, self.schema)
            marks = self._marks(whole)
            fresh = np.flatnonzero(~repeated(marks, [self._marks(frame) for frame in (*self._recent, *held)]))
            self.counts["repeated"] += whole.rows - len(fresh)
            self.counts["refilled"] += len(fresh)
            self._expected = Counter(marks[fresh].tolist())
            self._until = int(whole["ts_event"].max()) + OVERLAP_NS
            held = [taken(whole, fresh), *held]
            whole = concatenated(held, self.schema)
            held = [taken(whole, np.argsort(whole["ts_event"], kind="stable"))]
        for frame in held:
            self._on(frame, found)

    def _news(self, frame: Frame) -> Frame:
        """The rows that the last refill did not bring already."""
        if int(frame["ts_event"].min()) > self._until:
            self._until = 0
            return frame
        kept = []
        for row, mark in enumerate(self._marks(frame).tolist()):
            if self._expected[mark] > 0:
                self._expected[mark] -= 1
            else:
                kept.append(row)
        self.counts["repeated"] += frame.rows - len(kept)
        return taken(frame, np.asarray(kept, np.int64))

    def _marks(self, frame: Frame) -> Array:
        """A number a row, equal for rows that tell the same event: what happened to what, when, and what it said."""
        told = frame["ts_event"].astype(np.uint64) * MIX + frame["instrument_id"].astype(np.uint64)
        told = (told * MIX + frame["kind"].astype(np.uint64)) * MIX
        for name in ("bid_px", "bid_sz", "ask_px", "ask_sz", "trade_px", "trade_sz"):
            bits = np.where(np.isnan(frame[name]), 0.0, frame[name]).view(np.uint64)
            told = (told ^ bits) * MIX
            told ^= told >> np.uint64(29)
        numbered = frame["kind"] & (TRADE | QUOTE if self.sequenced else TRADE)
        marks: Array = (told ^ np.where(numbered, frame["seq"], 0).astype(np.uint64)) * MIX
        return marks


def repeated(marks: Array, before: Sequence[Array]) -> Array:
    """Which rows were there before, one for one: the third of three equal rows is new if two were there."""
    seen, counts = np.unique(np.concatenate([np.zeros(0, np.uint64), *before]), return_counts=True)
    order = np.argsort(marks, kind="stable")
    firsts = np.searchsorted(marks[order], marks[order])
    rank = np.empty(len(marks), np.int64)
    rank[order] = np.arange(len(marks)) - firsts
    at = np.minimum(np.searchsorted(seen, marks), max(len(seen) - 1, 0))
    there = np.where(seen[at] == marks, counts[at], 0) if len(seen) else np.zeros(len(marks), np.int64)
    return np.asarray(rank < there)
