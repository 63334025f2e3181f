"""Vendor: what a vendor's table looks like and how its rows become ticks.

A vendor module is stateless: it turns a batch of the vendor's rows into tick columns, one row each,
plus what a book needs when several rows make one tick (`Building`). Keeping the book is the work of
tools.feeds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gpi.formats.errors import BadInput
from gpi.formats.frame import Array, Frame, Layout
from gpi.formats.instruments import Instrument
from gpi.formats.quarantine import Flaws
from gpi.formats.ticks import ticks


class Building(Enum):
    """What it takes to make ticks of decoded rows."""

    NOTHING = "every row is a tick"
    HALVES = "the bid row and the ask row of one quote follow each other"
    EXCHANGES = "every row is one exchange's quote: the best over all of them is the tick"
    LEVELS = "every row is one price level: the rows of one update make a tick"


TIME: Final = "a time written like 2024-01-02 or 2024-01-02 15:30:00"
PLACE: Final = pa.field("place", pa.int32(), nullable=False)  # EXCHANGES: the exchange, 0..127
LEVEL_FIELDS: Final = (  # LEVELS: the level stands in bid_px or ask_px, seq is the update's last id
    pa.field("first_id", pa.int64(), nullable=False),
    pa.field("fresh", pa.int8(), nullable=False),  # 1: of a snapshot, 0: of an update
)
EXTRA: Final = {Building.EXCHANGES: (PLACE,), Building.LEVELS: LEVEL_FIELDS}


class Raw(NamedTuple):
    """A batch of a vendor's rows, their instrument_ids, the number of the first, the ladder's depth."""

    batch: pa.RecordBatch
    ids: Array
    first: int
    levels: int
    step: int = 0  # the smallest step of the clock between two rows of a symbol in the file, ns
    by_order: bool = False  # whether the columns of single orders are wanted

    def numbers(self, name: str) -> Array:
        """A column as float64, nulls as NaN."""
        column = read(self.batch.column(name), pa.float64(), name, "a number", self.first)
        return np.asarray(column.to_numpy(zero_copy_only=False), np.float64)

    def prices(self, name: str, digits: int = 4) -> Array:
        """Prices, rid of the noise of a division (585.9100000000001 was 5859100 / 10000)."""
        return np.round(self.numbers(name), digits)

    def sizes(self, name: str) -> Array:
        """Sizes, nulls as 0: nothing there."""
        return np.nan_to_num(self.numbers(name), nan=0.0, posinf=np.inf, neginf=-np.inf)

    def integers(self, name: str) -> Array:
        """A column as int64, nulls as 0."""
        column = read(self.batch.column(name), pa.int64(), name, "a whole number", self.first)
        return np.asarray(column.fill_null(0).to_numpy(zero_copy_only=False))

    def nanos(self, name: str) -> Array:
        """Times as int64 nanoseconds since 1970 UTC, nulls as 0 (which the screen finds absurd)."""
        return nanos(self.batch.column(name), name, self.first)

    def equal(self, name: str, text: str) -> Array:
        """Where a text column says `text`."""
        said = pc.fill_null(pc.equal(self.batch.column(name), text), False)
        return np.asarray(said.to_numpy(zero_copy_only=False))

    def blank(self, building: Building = Building.NOTHING) -> Frame:
        """A tick for every row that says nothing yet but its instrument and its row number."""
        rows = self.batch.num_rows
        frame = empty(rows, self.levels, building, self.by_order)
        frame["instrument_id"][:] = self.ids
        frame["seq"][:] = np.arange(self.first, self.first + rows)
        return frame


def read(column: pa.Array, wanted: pa.DataType, name: str, what: str, first: int = 0) -> pa.Array:
    """The column as another type; `first` is the number of its first row.

    Raises BadInput for words that are none of `what`, with the first of them.
    Words stand where numbers should when a file's types were guessed, as of CSV, from a column that has such a word.
    """
    try:
        return column.cast(wanted, safe=False)
    except pa.ArrowException:
        for row, value in enumerate(column.to_pylist(), first + 1):
            try:
                pa.array([value]).cast(wanted, safe=False)
            except pa.ArrowException:
                raise BadInput(f"row {row:,}, column {name}: {value!r} is not {what}") from None
        raise


def nanos(column: pa.Array, name: str = "ts_event", first: int = 0) -> Array:
    """A timestamp, date or integer (nanoseconds) column as int64 nanoseconds, nulls as 0.

    Words are read as ISO dates and times, nothing else: 02/01/2024 is two days. Raises BadInput for others.
    """
    if not pa.types.is_integer(column.type):
        wanted = pa.timestamp("ns", tz=getattr(column.type, "tz", None))
        column = read(column, wanted, name, TIME, first).cast(pa.int64())
    return np.asarray(column.fill_null(0).to_numpy(zero_copy_only=False))


def layout(levels: int, building: Building = Building.NOTHING, by_order: bool = False) -> Layout:
    """The layout of decoded rows."""
    return Layout.of((*ticks(levels, by_order), *EXTRA.get(building, ())))


def empty(rows: int, levels: int, building: Building = Building.NOTHING, by_order: bool = False) -> Frame:
    """Ticks that carry nothing: NaN prices, everything else 0."""
    frame = layout(levels, building, by_order).empty(rows)
    for name, view in frame.columns.items():
        view[...] = np.nan if name.endswith("_px") else 0
    return frame


def by_symbol(batch: pa.RecordBatch) -> pa.Array:
    """The symbols, where a column is named so; numbers are names, too (7203 in Tokyo)."""
    column = batch.column("symbol")
    return column.cast(pa.string()) if pa.types.is_integer(column.type) else column


def no_levels(names: Sequence[str]) -> int:
    """A layout without a ladder."""
    return 0


@dataclass(frozen=True, slots=True)
class Vendor:
    """A layout: how to recognise it, and how to decode it."""

    name: str
    needs: tuple[str, ...]  # the columns that make it recognisable, all read
    clock: str  # the column that orders the rows
    decode: Callable[[Raw], tuple[Frame, Flaws]]
    instrument: Callable[[str], Instrument]
    symbols: Callable[[pa.RecordBatch], pa.Array] = by_symbol
    keys: tuple[str, ...] = ("symbol",)  # the columns `symbols` reads
    levels: Callable[[Sequence[str]], int] = no_levels
    building: Building = Building.NOTHING
    by_order: bool = False  # it tells the book order by order
    group: str = ""  # the column whose blocks are sorted by time each; empty: the symbols' blocks
    types: Mapping[str, pa.DataType] = field(default_factory=dict)  # of the columns, where it comes as CSV
    also: tuple[str, ...] = ()  # columns that `decode` reads where they are there
    stepped: bool = False  # `decode` reads the smallest step of its clock

    def recognises(self, names: Sequence[str]) -> bool:
        """Whether a table with these columns is of this layout."""
        return set(self.needs) <= set(names)

    def read(self, names: Sequence[str]) -> list[str]:
        """Those of a table's columns that matter, in its order."""
        read = {*self.needs, *self.also, *self.keys, self.clock}
        return [name for name in names if name in read]
