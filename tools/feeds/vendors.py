"""Vendors' tables as sources: which layout a table has, where its sorted runs are, and their rows as ticks.

A table whose symbols come in blocks (all of BAC, then all of IBM) holds one run per block; any
other table is one run. Every run is decoded, screened and built by itself, a chunk at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gpi.formats.errors import BadInput
from gpi.formats.frame import Array, Frame
from gpi.formats.quarantine import Quarantine, Reason, Screen
from gpi.formats.ticks import ticks
from gpi.formats.vendors import bars, binance, lean, lobster, polygon_flat, taq
from gpi.formats.vendors.layout import Building, Raw, Vendor, layout, nanos
from gpi.tools.feeds.blocks import Index, identified
from gpi.tools.feeds.live.books import Book, Direct, Exchanges, Halves
from gpi.tools.feeds.live.updates import Levels
from gpi.tools.feeds.sorting import in_time_order
from gpi.tools.feeds.sources import NAMELESS, UNWANTED, Block, Plan, Source, fitted

VENDORS: Final[tuple[Vendor, ...]] = (  # the first that recognises the columns wins: the particular before the general
    lobster.LOBSTER,
    polygon_flat.POLYGON_QUOTES,
    polygon_flat.POLYGON_TRADES,
    binance.BINANCE_BBO,
    binance.BINANCE_DEPTH,
    binance.BINANCE_TRADES,
    lean.LEAN_QUOTES,
    lean.LEAN_TRADES,
    taq.TAQ_QUOTES,
    bars.OPTION_QUOTE_BARS,
    bars.OPTION_TRADE_BARS,
    bars.BARS,
    bars.BARS_BY_END,
    bars.DAILY_BARS,
)
WORD: Final = 4096  # bytes a row of any column of words, at most
SPARE: Final = 1 << 24  # and what a file of few rows may have beyond that
NEAR: Final = 3  # layouts that an error compares with
MANY: Final = 32  # blocks of a table that are read side by side
INDEX_ROWS: Final = 1 << 18  # rows of the key columns looked at together


def vendor_of(name: str, columns: Sequence[str]) -> Vendor:
    """The layout of a table with these columns. Raises BadInput, which says what the nearest layouts lack."""
    for vendor in VENDORS:
        if vendor.recognises(columns):
            return vendor
    near = sorted(VENDORS, key=lambda each: (len(set(each.needs) - set(columns)), len(each.needs)))[:NEAR]
    lacking = "; ".join(
        f"for {each.name} it lacks {', '.join(one for one in each.needs if one not in columns)}" for each in near
    )
    known = ", ".join(vendor.name for vendor in VENDORS)
    raise BadInput(f"{name} is of no known layout: {lacking}. It has {', '.join(columns)}. Known: {known}")


@contextmanager
def naming(name: str) -> Iterator[None]:
    """What cannot be read within is told as BadInput that names the file."""
    try:
        yield
    except (BadInput, pa.ArrowException) as wrong:
        raise BadInput(f"{name}: {wrong}") from wrong


def vendor_source(path: str, wanted: frozenset[str] | None, by_order: bool = False, name: str = "") -> Source:
    """A vendor's Parquet table, `by_order` where it can; `name` it where it is another file rewritten.

    Raises BadInput when it is damaged or of no known layout.
    """
    name, names = name or path, _names(path)
    vendor = vendor_of(name, names)
    index = Index(vendor.stepped)
    for batch in _batches(path, (*vendor.keys, vendor.clock)):
        with naming(name):
            symbols = vendor.symbols(batch)
            groups = batch.column(vendor.group) if vendor.group else symbols
            index.add(symbols, groups, nanos(batch.column(vendor.clock), vendor.clock, index.rows))
    kept = [s for s in index.symbols if s and (wanted is None or s in wanted)]
    levels = vendor.levels(names)
    ids, told = {symbol: k for k, symbol in enumerate(kept)}, by_order and vendor.by_order
    reading = _Reading(path, name, vendor, vendor.read(names), levels, index.step, ids, told)
    blocks = index.blocks(wanted) if index.rows else ()
    frames = partial(_run, reading, np.zeros(0, np.int64))
    if len(blocks) > MANY:  # as many open files would be too many: one run, sorted
        frames = partial(_sorted_run, reading, np.asarray([block.start for block in blocks]))
        blocks = (Block(blocks[0].start, blocks[-1].stop, index.first, index.last),)
    instruments = tuple(vendor.instrument(symbol) for symbol in kept)
    return Source(name, instruments, levels, blocks, frames, by_order=told)


@dataclass(frozen=True, slots=True)
class _Reading:
    """How the rows of a table become ticks; `ids` number its wanted symbols."""

    path: str
    name: str
    vendor: Vendor
    columns: list[str]
    levels: int
    step: int
    ids: Mapping[str, int]
    by_order: bool

    def book(self, quarantine: Quarantine) -> Book:
        """A fresh book for its instruments."""
        if self.vendor.building is Building.NOTHING:
            return Direct(self.levels, self.by_order)
        return _book(self.vendor.building, self.levels, max(len(self.ids), 1), quarantine)

    def decoded(self, rows: _Rows, screen: Screen, quarantine: Quarantine) -> Frame:
        """The clean ones of the wanted rows, decoded but not built."""
        with naming(self.name):
            return self._decoded(rows.batch, rows.restarts, rows.first, screen, quarantine)

    def _decoded(
        self, batch: pa.RecordBatch, restarts: Array, first: int, screen: Screen, quarantine: Quarantine
    ) -> Frame:
        ids = identified(self.vendor.symbols(batch), self.ids)
        if (ids == UNWANTED).any():
            keep = np.flatnonzero(ids != UNWANTED)
            batch, ids, restarts = batch.take(pa.array(keep)), ids[keep], np.searchsorted(keep, restarts)
        quarantine.rows_in += batch.num_rows
        levels = 0 if self.vendor.building is Building.LEVELS else self.levels  # a level is no ladder yet
        frame, given = self.vendor.decode(Raw(batch, ids, first, levels, self.step, self.by_order))
        given[ids == NAMELESS] = Reason.NO_SYMBOL
        found = screen.flaws(frame.columns, given, np.unique(restarts).tolist())
        return quarantine.sift(frame, found, self.name, self._whole)

    def _whole(self, frame: Frame) -> Frame:
        """Rows as the quarantine tells them: with the ladder that they would have had a level of."""
        return fitted(frame, layout(self.levels, self.vendor.building, self.by_order).schema)

    def renumbered(self, frame: Frame, plan: Plan) -> Frame:
        """Built ticks with the ids of the whole."""
        whole = np.asarray([plan.ids[symbol] for symbol in self.ids], np.int32)
        frame["instrument_id"][:] = whole[frame["instrument_id"]]
        return frame


class _Rows(NamedTuple):
    """Rows of a table, the number of the first, and where among them another block begins."""

    batch: pa.RecordBatch
    first: int
    restarts: Array


def _run(reading: _Reading, starts: Array, block: Block, plan: Plan) -> Iterator[Frame]:
    """The ticks of the rows of a block, dirty ones in quarantine; blocks within it begin at `starts`."""
    screen, book = Screen(), reading.book(plan.quarantine)
    for first, batch in _rows(reading, block, plan.chunk):
        restarts = starts[(starts >= first) & (starts < first + batch.num_rows)] - first
        clean = reading.decoded(_Rows(batch, first, restarts), screen, plan.quarantine)
        yield reading.renumbered(book.built(clean), plan)
    yield reading.renumbered(book.rest(), plan)


def _sorted_run(reading: _Reading, starts: Array, block: Block, plan: Plan) -> Iterator[Frame]:
    """The ticks of a table of many blocks, in order of time."""
    return in_time_order(_run(reading, starts, block, plan), ticks(reading.levels, reading.by_order))


def _book(building: Building, depth: int, instruments: int, quarantine: Quarantine) -> Book:
    """The book that a way of building needs; ids are 0..instruments-1, ticks `depth` levels deep."""
    if building is Building.HALVES:
        return Halves(depth, instruments, quarantine)
    if building is Building.EXCHANGES:
        return Exchanges(depth, instruments, quarantine)
    return Levels(depth, instruments, quarantine)


def _rows(reading: _Reading, block: Block, chunk: int) -> Iterator[tuple[int, pa.RecordBatch]]:
    """The batches of a block and the number of the first row of each; only its row groups and what is read of them."""
    with pq.ParquetFile(reading.path, memory_map=True) as file:
        sizes = [file.metadata.row_group(g).num_rows for g in range(file.num_row_groups)]
        ends = np.cumsum([0, *sizes])
        groups = [g for g in range(len(sizes)) if ends[g] < block.stop and ends[g + 1] > block.start]
        row = int(ends[groups[0]]) if groups else 0
        for batch in file.iter_batches(chunk, groups, reading.columns, use_threads=False):
            start, stop = max(block.start - row, 0), min(block.stop - row, batch.num_rows)
            if start < stop:
                yield row + start, batch.slice(start, stop - start)
            row += batch.num_rows
            if row >= block.stop:
                return


def _names(path: str) -> list[str]:
    try:
        with pq.ParquetFile(path, memory_map=True) as file:
            _check_words(path, file.metadata)
            return list(file.schema_arrow.names)
    except (pa.ArrowException, OSError) as wrong:
        raise BadInput(f"{path} cannot be read as Parquet: {wrong}") from wrong


def _check_words(path: str, told: pq.FileMetaData) -> None:
    """Raise BadInput for words of a length that none has: 76 kB of them unpack to gigabytes, a page at a time."""
    for group in range(told.num_row_groups):
        for number in range(told.num_columns):
            column = told.row_group(group).column(number)
            size, rows = column.total_uncompressed_size, max(column.num_values, 1)
            if column.physical_type == "BYTE_ARRAY" and size > WORD * rows + SPARE:
                raise BadInput(
                    f"{path}: column {column.path_in_schema} has {size // rows:,} bytes a row: no tick says so much"
                )


def _batches(path: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    try:
        with pq.ParquetFile(path, memory_map=True) as file:
            yield from file.iter_batches(INDEX_ROWS, columns=list(dict.fromkeys(columns)), use_threads=False)
    except (pa.ArrowException, OSError) as wrong:
        raise BadInput(f"{path} is damaged: {wrong}") from wrong
