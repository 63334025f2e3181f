"""Opening files of ticks: ours or a vendor's, one or many, as one stream in order of event time."""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gpi.formats.errors import BadInput
from gpi.formats.frame import Array, Frame, Layout
from gpi.formats.instruments import Instruments
from gpi.formats.quarantine import Quarantine
from gpi.formats.ticks import ticks
from gpi.formats.vendors.layout import Vendor
from gpi.formats.vendors.lobster import LOBSTER
from gpi.tools.feeds.merge import Run, merged, recut
from gpi.tools.feeds.runs import Block, Plan, Table, indexed, read
from gpi.tools.stage import Stream

VENDORS: Final[tuple[Vendor, ...]] = (LOBSTER,)  # the first that recognises the columns wins
MEMORY: Final = 1 << 26  # bytes of ticks that all open runs may hold together, about
SMALLEST, LARGEST = 512, 1 << 16  # rows of a chunk


def open_ticks(
    paths: Sequence[Path], *, batch: int, symbols: tuple[str, ...] | None = None, quarantine: Quarantine
) -> Stream:
    """Ticks of all files, merged by (ts_event, file, row), in frames of `batch` rows."""
    wanted = None if symbols is None else frozenset(symbols)
    tables = [_table(path, wanted) for path in _files(paths)]
    instruments = Instruments()
    for table in tables:
        for symbol in table.symbols:
            instruments.add(table.vendor.instrument(symbol))
    depth = max((t.vendor.levels(t.names) for t in tables), default=0)
    schema = instruments.on(ticks(depth))
    ids = {i.symbol: i.id for i in instruments}
    chunk = LARGEST
    runs = []
    for t in tables:
        plan = Plan(ids, t.vendor.levels(t.names), chunk, quarantine)
        for b in t.blocks:
            runs.append(Run(b.first, lambda t=t, b=b, plan=plan: read(t, b, plan)))
    frames = recut(merged(runs, schema), schema, batch)
    def counted():
        for f in frames:
            quarantine.rows_out += f.rows
            yield f
    return Stream(schema, counted())


def _files(paths):
    return list(paths)

def _table(path, wanted):
    names = pq.read_schema(path).names
    for v in VENDORS:
        if v.recognises(names):
            return indexed(str(path), v, names, wanted)
    raise BadInput(f"{path}: {names}")
