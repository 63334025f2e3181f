"""The sorted runs inside a vendor's table, and their rows as ticks.

A table whose symbols come in blocks (all of BAC, then all of IBM) holds one run per block; any other table is one
run. Every run is decoded, screened and built by itself, a chunk at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gpi.formats.errors import BadInput
from gpi.formats.frame import Array, Frame
from gpi.formats.quarantine import Quarantine, Reason, Screen
from gpi.formats.vendors.layout import Raw, Vendor, nanos
from gpi.tools.feeds.books import book as book_for

INDEX_ROWS = 1 << 18  # rows of the key columns looked at together


class Block(NamedTuple):
    """Rows start..stop of a table, whose times lie between first and last (ns)."""

    start: int
    stop: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Table:
    """A vendor's Parquet table: where its runs are, and which symbols it has in order of appearance."""

    path: str
    vendor: Vendor
    names: tuple[str, ...]
    symbols: tuple[str, ...]
    blocks: tuple[Block, ...]


def indexed(path: str, vendor: Vendor, names: Sequence[str], symbols: frozenset[str] | None) -> Table:
    """Read the symbols and times of a table once, to find its runs; only those of wanted `symbols` are kept.

    Raises BadInput when the table cannot be read.
    """
    found: dict[str, None] = {}
    spans: list[tuple[str, Block]] = []
    row = 0
    for batch in _batches(path, (*vendor.keys, vendor.clock), INDEX_ROWS):
        said = pc.fill_null(vendor.symbols(batch), "").dictionary_encode()
        codes, words = said.indices.to_numpy(), said.dictionary.to_pylist()
        times = nanos(batch.column(vendor.clock))
        cuts = np.concatenate(([0], np.flatnonzero(np.diff(codes)) + 1, [len(codes)]))
        found |= dict.fromkeys(words[code] for code in codes[cuts[:-1]])
        if len(spans) <= 4 * len(found):  # else interleaved: no need to remember every span
            for start, stop in zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True):
                spans.append((words[codes[start]], _block(times[start:stop], row + start)))
        row += batch.num_rows
    joined = _joined(spans)
    wanted = tuple(s for s in found if s and (symbols is None or s in symbols))
    if len(joined) == len(found):  # in blocks
        blocks = tuple(b for s, b in joined if (symbols is None or s in symbols))
    else:
        blocks = (_over([b for _, b in spans], row),) if row else ()
    return Table(path, vendor, tuple(names), wanted, blocks)


def _block(times: Array, start: int) -> Block:
    sane = times[times > 0]
    first, last = (int(sane.min()), int(sane.max())) if len(sane) else (0, 0)
    return Block(start, start + len(times), first, last)


def _joined(spans: list[tuple[str, Block]]) -> list[tuple[str, Block]]:
    """Neighbouring spans of one symbol (cut by a batch) as one."""
    joined: list[tuple[str, Block]] = []
    for symbol, span in spans:
        if joined and joined[-1][0] == symbol:
            before = joined.pop()[1]
            span = Block(before.start, span.stop, _least(before.first, span.first), max(before.last, span.last))
        joined.append((symbol, span))
    return joined


def _least(a: int, b: int) -> int:
    return min(a, b) if a and b else a or b


def _over(spans: list[Block], rows: int) -> Block:
    """One block over a whole table; spans not remembered are later than the first ones or quarantined."""
    first = min((span.first for span in spans if span.first), default=0)
    return Block(0, rows, first, np.iinfo(np.int64).max)


def read(table: Table, block: Block, plan: Plan) -> Iterator[Frame]:
    """The ticks of one run, in order of time, `plan.levels` deep, dirty rows in quarantine."""
    screen = Screen()
    book = book_for(table.vendor.building, plan.levels, plan.quarantine)
    for first, batch in _rows(table, block, plan.chunk):
        ids = plan.identify(table.vendor.symbols(batch))
        if (ids == UNWANTED).any():
            keep = np.flatnonzero(ids != UNWANTED)
            batch, ids = batch.take(pa.array(keep)), ids[keep]
        plan.quarantine.rows_in += batch.num_rows
        frame, given = table.vendor.decode(Raw(batch, ids, first, plan.levels))
        given[ids == NAMELESS] = Reason.NO_SYMBOL
        clean = plan.quarantine.sift(frame, screen.flaws(frame.columns, given), table.path)
        yield book.built(clean)
    yield book.rest()


UNWANTED = -2
NAMELESS = -1


@dataclass(frozen=True, slots=True)
class Plan:
    """What reading a run takes from the whole: ids of the wanted symbols, depth, chunk rows, the quarantine."""

    ids: dict[str, int]
    levels: int
    chunk: int
    quarantine: Quarantine

    def identify(self, symbols: pa.Array) -> Array:
        """The instrument_id of every row: UNWANTED when not asked for, NAMELESS when null or empty."""
        said = pc.fill_null(symbols, "").dictionary_encode()
        known = [self.ids.get(s, UNWANTED) if s else NAMELESS for s in said.dictionary.to_pylist()]
        return np.asarray(known, np.int32)[said.indices.to_numpy()] if known else np.zeros(0, np.int32)


def _rows(table: Table, block: Block, chunk: int) -> Iterator[tuple[int, pa.RecordBatch]]:
    """The batches of a block and the number of the first row of each; only its row groups are touched."""
    with pq.ParquetFile(table.path, memory_map=True) as file:
        sizes = [file.metadata.row_group(g).num_rows for g in range(file.num_row_groups)]
        ends = np.cumsum([0, *sizes])
        groups = [g for g in range(len(sizes)) if ends[g] < block.stop and ends[g + 1] > block.start]
        row = int(ends[groups[0]]) if groups else 0
        for batch in file.iter_batches(chunk, row_groups=groups, columns=list(table.names), use_threads=False):
            start, stop = max(block.start - row, 0), min(block.stop - row, batch.num_rows)
            if start < stop:
                yield row + start, batch.slice(start, stop - start)
            row += batch.num_rows
            if row >= block.stop:
                return


def _batches(path: str, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
    try:
        with pq.ParquetFile(path, memory_map=True) as file:
            yield from file.iter_batches(rows, columns=list(dict.fromkeys(columns)), use_threads=False)
    except (pa.ArrowException, OSError) as wrong:
        raise BadInput(f"{path} cannot be read as Parquet: {wrong}") from wrong
