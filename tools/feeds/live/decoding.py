"""Decoder: a vendor's socket messages, as bytes, to ticks.

The kernel (`gpi.tools.kernels.data.decoding`) makes rows of ordinary quotes and trades straight from the bytes;
whatever it leaves goes through `items`. Rows keep the order of the items. Nothing is lost in silence: every item is a
row, a control, or rejected with its reason and its bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from gpi.formats.errors import GpiError
from gpi.formats.frame import Frame, Layout, concatenated
from gpi.formats.instruments import Instruments
from gpi.formats.quarantine import FUTURE_NS, Reason
from gpi.formats.ticks import TICKS, ticks
from gpi.formats.words import STATUS
from gpi.tools.feeds.live.items import BARS, CONTROLS, Odd, kind_of, parsed, row_of, symbol_of
from gpi.tools.feeds.live.ladders import Ladders
from gpi.tools.feeds.live.wire_names import instrument, wire
from gpi.tools.kernels.data import decoding as kernel
from gpi.tools.kernels.data import flaws, slots, symbols
from gpi.tools.kernels.data.rows import places, spread

Array = npt.NDArray[Any]
Vendor = Literal["alpaca", "polygon"]

VENDORS: Final = {"alpaca": slots.ALPACA, "polygon": slots.POLYGON}
ROOM: Final = 16_384  # items decoded at a time
FEW: Final = 128
ALWAYS: Final = 1 << 62  # ns: nothing is too old
FIELDS: Final = places(kernel.ROW)
ABSENT: Final = {
    "side": 0, "marks": 0, "seq": 0, "bid_px": np.nan, "bid_sz": 0.0, "ask_px": np.nan, "ask_sz": 0.0,
    "trade_px": np.nan, "trade_sz": 0.0,
}  # fmt: skip
PLAIN: Final = Layout.of(TICKS)
BOOKS: Final = ("o", "XL2")
LADDERS: Final[tuple[str, ...]] = ("bids_px", "bids_sz", "asks_px", "asks_sz")


class Rejected(NamedTuple):
    """An item that is no tick: a Reason of the quarantine or words, its bytes, its symbol if it had one."""

    reason: Reason | str
    raw: bytes
    symbol: str = ""


class Decoded(NamedTuple):
    """What some messages held; bars are counted only (gpi makes its own from trades)."""

    frame: Frame | None
    controls: list[dict[str, Any]]
    rejected: list[Rejected]
    bars: int = 0


class Decoder:
    """Decodes one feed: it remembers the symbols, each instrument's last price, and the books of coins.

    `asset` is stocks, options or crypto; `instruments` grows with every symbol met; `levels` of a coin's book become
    depth columns. A time more than `future_ns` after its receipt, or `past_ns` before it, is rejected: what is right
    for a live feed is wrong for a replayed day, so the caller says.
    """

    def __init__(
        self, vendor: Vendor, asset: str, instruments: Instruments, levels: int = 0,
        future_ns: int = FUTURE_NS, past_ns: int = ALWAYS,
    ) -> None:  # fmt: skip
        self.vendor, self.asset, self.instruments, self.levels = vendor, asset, instruments, levels
        self._feed = np.zeros(1, kernel.FEED)
        self._feed[0] = VENDORS[vendor], future_ns, past_ns
        self._layout = PLAIN if levels == 0 else Layout.of(ticks(levels))
        self._names, self._ids = symbols.table(64)
        self._known = np.zeros(16, flaws.KNOWN)
        self._slots = np.zeros(slots.SLOTS, slots.SLOT)
        self._rows, self._items = np.zeros(ROOM, kernel.ROW), np.zeros(ROOM, kernel.ITEM)
        self._entered: dict[str, int] = {}
        self._books: dict[int, Ladders] = {}
        for one in instruments:  # those named beforehand never take the slow road
            self._enter(wire(vendor, one), one.id)

    @property
    def schema(self) -> pa.Schema:
        """Of the frames."""
        return ticks(self.levels)

    def decode(self, message: bytes, ts_recv: int) -> Decoded:
        """One message."""
        return self.decode_many([message], [ts_recv])

    def decode_many(self, messages: Sequence[bytes], ts_recvs: Sequence[int]) -> Decoded:
        """Messages in the order of their receipt (ns); their rows as one frame, in memory of its own."""
        whole = b"\0".join(messages) + b"\0"
        buf = np.frombuffer(whole, np.uint8)
        sizes = np.fromiter(map(len, messages), np.int64, len(messages))
        stops = np.cumsum(sizes + 1) - 1
        cursor = np.array([0, -1, 0])
        recvs = np.asarray(ts_recvs, np.int64)
        made = Decoded(None, [], [])
        frames: list[Frame] = []
        bars = 0
        while cursor[0] < len(messages):
            met = kernel.run(
                buf, stops - sizes, stops, recvs, self._feed, self._slots, self._names,
                self._ids, self._known, cursor, self._rows, self._items,
            )  # fmt: skip
            marks = self._items["mark"][:met]
            ladders: dict[int, dict[str, Any]] = {}
            if met and marks.any():
                for at in np.flatnonzero(marks).tolist():
                    bars += self._other(at, whole, messages, recvs, made, ladders)
            frame = self._frame(met, marks, ladders)
            if frame is not None:
                frames.append(frame)
        whole_frame = frames[0] if len(frames) == 1 else concatenated(frames, self.schema) if frames else None
        return made._replace(frame=whole_frame, bars=bars)

    def _other(
        self, at: int, whole: bytes, messages: Sequence[bytes], recvs: Array, made: Decoded,
        ladders: dict[int, dict[str, Any]],
    ) -> int:  # fmt: skip
        """An item that the kernel did not make a row of; 1 for a bar."""
        mark, message, start, stop = self._items[at].tolist()
        raw = whole[start:stop]
        if mark >= kernel.FLAWED:
            made.rejected.append(Rejected(Reason(mark - kernel.FLAWED), raw, self._symbol(at)))
            return 0
        name = ""
        try:
            if mark == kernel.REST:
                raise Odd("undecodable")
            item = parsed(raw, text=messages[message].lstrip()[:1] == b"[")
            kind = kind_of(item, self.vendor)
            if kind in BARS:
                return 1
            if kind in CONTROLS:
                made.controls.append(item)
                return 0
            name = symbol_of(item)
            self._slow_row(at, kind, item, name, int(recvs[message]), ladders)
        except Odd as odd:
            made.rejected.append(Rejected(odd.reason, raw, name))
        return 0

    def _slow_row(
        self, at: int, kind: str, item: dict[str, Any], name: str, ts_recv: int, ladders: dict[int, dict[str, Any]]
    ) -> None:
        if kind in BOOKS:
            self._book_row(at, item, kind == "XL2" or item.get("r") is True, self._instrument(name), ts_recv, ladders)
            return
        self._fill(at, row_of(kind, item, self.vendor), self._instrument(name), ts_recv)
        self._items[at].mark = kernel.KEPT

    def _book_row(
        self, at: int, item: dict[str, Any], whole: bool, instrument_id: int, ts_recv: int,
        ladders: dict[int, dict[str, Any]],
    ) -> None:  # fmt: skip
        """A book's row. A crossed one is not told, but the book stands; after any other flaw it is as it was before."""
        book = self._books.setdefault(instrument_id, Ladders())
        try:
            book.fold(item, whole)
            told = {"t": item.get("t"), "q": item.get("q", 0), "bp": 0, "bs": 0, "ap": 0, "as": 0}
            values = row_of("q", told, self.vendor)
            values |= book.row(self.levels, whole)
            levels = {name: values.pop(name) for name in LADDERS if name in values}
            self._fill(at, values, instrument_id, ts_recv)
        except Odd as odd:
            if odd.reason is not Reason.CROSSED:
                book.undo()
                book.lost = True
            raise
        book.lost = False
        ladders[at] = levels
        self._items[at].mark = kernel.KEPT

    def _fill(self, at: int, values: dict[str, Any], instrument_id: int, ts_recv: int) -> None:
        """Write a row. Raises Odd for one that cannot be."""
        row = self._rows[at]
        for field, value in {**ABSENT, **values}.items():
            row[field] = value
        row.ts_recv, row.instrument_id = ts_recv, instrument_id
        wrong = self._flaw(row)
        if wrong:
            raise Odd(Reason(wrong))

    def _flaw(self, row: Any) -> int:
        if row.kind & STATUS:
            return 0
        probe = row.copy()
        if row.kind != kernel.TRADE:
            probe.kind = kernel.QUOTE
        found = int(flaws.flaw(probe, self._feed[0].future_ns, self._feed[0].past_ns))
        return found or (flaws.ABSURD_PRICE if flaws.leaps(probe, self._known) else 0)

    def _instrument(self, name: str) -> int:
        found = self._entered.get(name)
        if found is None:
            try:
                found = self.instruments.add(instrument(self.asset, name))
            except GpiError:
                raise Odd(Reason.NO_SYMBOL) from None
            self._enter(name, found)
        return found

    def _enter(self, name: str, instrument_id: int) -> None:
        self._entered[name] = instrument_id
        if instrument_id >= len(self._known):
            more = np.zeros(2 * instrument_id - len(self._known) + 2, flaws.KNOWN)
            self._known = np.concatenate([self._known, more])
        if 2 * len(self._entered) > len(self._ids):
            self._names, self._ids = symbols.table(2 * len(self._ids))
            for each, number in self._entered.items():
                self._put(each, number)
        else:
            self._put(name, instrument_id)

    def _put(self, name: str, instrument_id: int) -> None:
        wire = name.encode()
        if 0 < len(wire) <= symbols.LONGEST:
            symbols.put(np.frombuffer(wire, np.uint8), self._names, self._ids, instrument_id)

    def _symbol(self, at: int) -> str:
        return self.instruments[int(self._rows[at].instrument_id)].symbol

    def _frame(self, met: int, marks: Array, ladders: dict[int, dict[str, Any]]) -> Frame | None:
        kept = np.flatnonzero(marks == kernel.KEPT)
        count = len(kept)
        if not count:
            return None
        rows = self._rows[:met] if count == met else self._rows[kept]
        if self._layout is PLAIN and count <= FEW:
            body = np.empty(PLAIN.body_bytes(count), np.uint8)
            spread(rows.view(np.uint8).reshape(count, -1), count, FIELDS, body)
            return Frame.over(PLAIN, count, body)
        frame = self._layout.empty(count)
        for name, view in frame.columns.items():
            if name in LADDERS:
                view[...] = np.nan if name.endswith("px") else 0.0
            else:
                view[...] = rows["marks" if name == "flags" else name]
        for at, values in ladders.items():
            row = int(np.searchsorted(kept, at))
            if row < count and kept[row] == at:
                for name, value in values.items():
                    frame[name][row] = value
        return frame


def warm() -> None:
    """Compile the kernels, or load them: before a connection is open, for the other side does not wait."""
    told = b'{"T":"q","S":"A","t":"2024-01-02T00:00:00Z","bp":1,"bs":1,"ap":1,"as":1}'
    Decoder("alpaca", "stocks", Instruments()).decode(b"[%b,%b]" % (told, told), 0)
