"""Our own files as sources: Parquet of the lake, and recorded Arrow streams.

What was captured is what a feed said: rows that are equal were said twice, and what came late is put in order of time.
Of any other file equal neighbours and late rows are set aside.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa

from gpi.formats.errors import BadInput
from gpi.formats.frame import Array, Frame
from gpi.formats.imports.arrow import pq
from gpi.formats.instruments import Instruments
from gpi.formats.ipc import Reader
from gpi.formats.parquet import read_parquet
from gpi.formats.provenance import chain
from gpi.formats.quarantine import Flaws, Reason, Screen, flaws, taken
from gpi.formats.ticks import BY_ORDER, TICKS, ticks
from gpi.tools.feeds.sorting import in_time_order
from gpi.tools.feeds.sources import EVER, NAMELESS, UNWANTED, Block, Plan, Source

Rows = Callable[[int], Iterator[Frame]]  # rows of a chunk -> frames of memory of their own
LADDERS: Final = ("bids_px", "bids_sz", "asks_px", "asks_sz")


def stored_source(path: str, wanted: frozenset[str] | None) -> Source:
    """A Parquet file written by gpi: one run, its first and last time from the file's statistics."""
    schema = read_parquet(Path(path), 1).schema
    with pq.ParquetFile(path) as file:
        block = _extent(file.metadata, schema.names.index("ts_event") if "ts_event" in schema.names else -1)
    read, ordered = partial(_stored_frames, path), partial(_stored_in_order, path)
    return _source(_Found(path, schema, Instruments.of(schema), block, read, ordered), wanted)


def _stored_in_order(path: str) -> bool:
    """Whether no row is earlier than the one before it: one column is read."""
    latest = 0
    with pq.ParquetFile(path, memory_map=True) as file:
        for batch in file.iter_batches(1 << 18, columns=["ts_event"], use_threads=False):
            times = Frame.from_batch(batch)["ts_event"]
            if len(times) and (int(times[0]) < latest or (np.diff(times) < 0).any()):
                return False
            latest = int(times[-1]) if len(times) else latest
    return True


def _extent(metadata: pq.FileMetaData, column: int) -> Block:
    first, last = EVER, 0
    for group in range(metadata.num_row_groups):
        if metadata.row_group(group).num_rows == 0:
            continue
        statistics = metadata.row_group(group).column(column).statistics if column >= 0 else None
        if statistics is None or not statistics.has_min_max:
            return Block(0, metadata.num_rows, 0, EVER)
        first, last = min(first, int(statistics.min_raw)), max(last, int(statistics.max_raw))
    return Block(0, metadata.num_rows, first, last)


def _stored_frames(path: str, chunk: int) -> Iterator[Frame]:
    return read_parquet(Path(path), chunk).frames


def recorded_source(path: str, wanted: frozenset[str] | None) -> Source:
    """A recorded Arrow stream: one run. It is read through once to check its end and gather its instruments.

    Raises TruncatedStream when its writer died, BadInput when it is damaged.
    """
    with Path(path).open("rb") as file:
        reader = Reader(file.fileno(), path)
        instruments = Instruments.of(reader.schema)
        first, last, ordered = EVER, 0, True
        for frame in reader:
            instruments.heard(frame.notes)
            if frame.rows and "ts_event" in frame:
                times = frame["ts_event"]
                ordered = ordered and int(times[0]) >= last and not (np.diff(times) < 0).any()
                first, last = min(first, int(times.min())), max(last, int(times.max()))
    block = Block(0, reader.rows, first, last)
    read = partial(_recorded_frames, path)
    return _source(_Found(path, reader.schema, instruments, block, read, lambda: ordered), wanted)


def _recorded_frames(path: str, chunk: int) -> Iterator[Frame]:
    handle = os.open(path, os.O_RDONLY)
    try:
        for frame in Reader(handle, path):
            if frame.rows:
                yield frame.copy()  # it is on loan, and a merge holds on to it
    finally:
        os.close(handle)


class _Found(NamedTuple):
    """What a file of ours says of itself, and how to read it."""

    path: str
    schema: pa.Schema
    instruments: Instruments
    block: Block
    read: Rows
    ordered: Callable[[], bool]


def _source(found: _Found, wanted: frozenset[str] | None) -> Source:
    path, schema, instruments, block = found[:4]
    missing = [name for name in TICKS.names if name not in schema.names]
    if missing:
        raise BadInput(f"{path} holds {_said(schema)}, not ticks: it lacks {', '.join(missing[:3])}")
    levels = schema.field(LADDERS[0]).type.list_size if LADDERS[0] in schema.names else 0
    by_order = all(field.name in schema.names for field in BY_ORDER)
    standard = set(ticks(levels, by_order).names)
    return Source(
        name=path,
        instruments=tuple(i for i in instruments if wanted is None or i.symbol in wanted),
        levels=levels,
        blocks=(block,) if block.stop else (),
        frames=partial(_captured if captured(schema) else _screened, found),
        extras=tuple(field for field in schema if field.name not in standard),
        by_order=by_order,
    )


def _said(schema: pa.Schema) -> str:
    return str((schema.metadata or {}).get(b"gpi.schema", b"something"), "utf-8")


def captured(schema: pa.Schema) -> bool:
    """Whether rows come from `gpi capture`, whatever was made of them since."""
    return any(step.get("command") == "capture" for step in chain(schema)[:1])


def _screened(found: _Found, block: Block, plan: Plan) -> Iterator[Frame]:
    """The frames of a file, screened like any other input."""
    yield from _sifted(found, plan, Screen().flaws)


def _captured(found: _Found, block: Block, plan: Plan) -> Iterator[Frame]:
    """Every row of a capture that can be, in order of time."""
    frames = _sifted(found, plan, flaws)
    yield from frames if found.ordered() else in_time_order(frames, found.schema)


def _sifted(found: _Found, plan: Plan, judged: Callable[[Mapping[str, Array], Flaws], Flaws]) -> Iterator[Frame]:
    """The frames of a file with the ids of the whole, without what is judged to be dirty."""
    ids = np.asarray([*(plan.ids.get(s, UNWANTED) for s in found.instruments.symbols), NAMELESS], np.int32)
    for frame in found.read(plan.chunk):
        known = _remapped(frame["instrument_id"], ids)
        if (known == UNWANTED).any():
            keep = np.flatnonzero(known != UNWANTED)
            frame, known = taken(frame, keep), known[keep]
        plan.quarantine.rows_in += frame.rows
        frame["instrument_id"][:] = known
        given = np.where(known == NAMELESS, Reason.NO_SYMBOL, 0).astype(np.int8)
        yield plan.quarantine.sift(frame, judged(frame.columns, given), found.path)


def _remapped(own: Array, ids: Array) -> Array:
    outside = (own < 0) | (own >= len(ids) - 1)
    return ids[np.where(outside, len(ids) - 1, own)]
