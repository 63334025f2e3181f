"""Opening files of ticks: ours or a vendor's, one or many, as one stream in order of event time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import pyarrow as pa

from gpi.formats.errors import BadInput
from gpi.formats.frame import Frame, Layout
from gpi.formats.instruments import Instruments
from gpi.formats.quarantine import Quarantine
from gpi.formats.ticks import ticks
from gpi.tools.feeds.merge import Run, merged, recut
from gpi.tools.feeds.paths import SUFFIXES, expanded, is_ours, parquet_schema
from gpi.tools.feeds.sources import Block, Plan, Source, fitted
from gpi.tools.feeds.stored import recorded_source, stored_source
from gpi.tools.stage import Stream

MEMORY: Final = 1 << 26  # bytes of ticks that the open runs hold together, about
CHUNK: Final = (512, 1 << 16)  # rows read from a run at once, at least and at most


def open_ticks(
    paths: Sequence[Path],
    *,
    batch: int,
    symbols: tuple[str, ...] | None = None,
    quarantine: Quarantine,
    by_order: bool = False,
) -> Stream:
    """The ticks of all files, merged by (ts_event, file, row), in frames of `batch` rows.

    `paths` are files, globs or folders (of a lake); a kind is told by content and columns.
    `symbols` keeps only those. The schema carries one instrument table, ladders as deep as the
    deepest file, and columns beyond ticks where all files have the same. Dirty rows go to
    `quarantine`. `by_order`: with the columns of single orders, which a file of ours that has them gives in any
    case. Raises BadInput for a missing file, an unknown layout, or, with `by_order`, one that knows no orders.
    """
    if batch < 1:
        raise ValueError(f"batch must be at least 1, not {batch}")
    wanted = None if symbols is None else frozenset(symbols)
    sources = [_source(path, wanted, by_order) for path in expanded(paths)]
    instruments = Instruments(one for source in sources for one in source.instruments)
    schema = instruments.on(_schema(sources))
    blocks = [(source, block) for source in sources for block in source.blocks]
    plan = Plan({one.symbol: one.id for one in instruments}, _chunk(blocks, schema), quarantine)
    runs = [Run(block.first, partial(_fitted, source, block, plan, schema)) for source, block in blocks]
    return Stream(schema, _counted(recut(merged(runs, schema), schema, batch), quarantine))


def _schema(sources: Sequence[Source]) -> pa.Schema:
    depth = max((source.levels for source in sources), default=0)
    extras = {source.extras for source in sources}
    told = any(source.by_order for source in sources)
    return pa.schema([*ticks(depth, told), *(extras.pop() if len(extras) == 1 else ())], metadata=ticks().metadata)


def _fitted(source: Source, block: Block, plan: Plan, schema: pa.Schema) -> Iterator[Frame]:
    for frame in source.frames(block, plan):
        yield fitted(frame, schema)


def _counted(frames: Iterable[Frame], quarantine: Quarantine) -> Iterator[Frame]:
    for frame in frames:
        quarantine.rows_out += frame.rows
        yield frame


def _chunk(blocks: Sequence[tuple[Source, Block]], schema: pa.Schema) -> int:
    """Rows to read from a run at once, so that all runs that overlap in time stay within MEMORY."""
    edges = sorted(edge for _, block in blocks for edge in ((block.first, 0), (block.last, 1)))
    together = most = 0
    for _, ends in edges:
        together += -1 if ends else 1
        most = max(most, together)
    row = max(Layout.of(schema).body_bytes(1), 1)
    return max(CHUNK[0], min(CHUNK[1], MEMORY // (max(most, 1) * row)))


def _source(path: str, wanted: frozenset[str] | None, by_order: bool) -> Source:
    found = _read(path, wanted, by_order)
    if by_order and not found.by_order:
        raise BadInput(f"{path} does not tell its book order by order: leave out --by-order, or this file")
    return found


def _read(path: str, wanted: frozenset[str] | None, by_order: bool) -> Source:
    with open(path, "rb") as file:
        magic = file.read(4)
    if magic == b"\xff\xff\xff\xff":
        return recorded_source(path, wanted)
    if magic == b"PAR1":
        if is_ours(parquet_schema(path)):
            return stored_source(path, wanted)
        from gpi.tools.feeds.vendors import vendor_source  # noqa: PLC0415 - its kernels, for its files only

        return vendor_source(path, wanted, by_order)
    if path.endswith(SUFFIXES) and ".csv" in path:
        from gpi.tools.feeds.csvs import csv_source  # noqa: PLC0415

        return csv_source(path, wanted, by_order)
    raise BadInput(f"{path} is neither Parquet nor an Arrow stream nor a .csv file")
