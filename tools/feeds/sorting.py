"""Sorting more ticks than fit in memory: sorted pieces on disk, then merged."""

from __future__ import annotations

import shutil
import weakref
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

import numpy as np
import pyarrow as pa

from gpi.formats.frame import Frame, concatenated
from gpi.formats.parquet import read_parquet, write_parquet
from gpi.formats.quarantine import taken
from gpi.tools.feeds.merge import Run, merged

PIECE: Final = 1 << 19  # rows sorted in memory at once
CHUNK: Final = 1 << 14  # rows read back from a piece at once


class Scratch:
    """A temporary folder that goes when nobody holds on to it any more, at the latest with the process."""

    def __init__(self) -> None:
        self.path = Path(mkdtemp(prefix="gpi-"))
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


def in_time_order(frames: Iterable[Frame], schema: pa.Schema, piece: int = PIECE) -> Iterator[Frame]:
    """The rows by ts_event, equal times in the order they came. Up to `piece` rows never touch the disk."""
    scratch: Scratch | None = None
    runs: list[Run] = []
    held: list[Frame] = []
    for frame in frames:
        held.append(frame)
        if sum(f.rows for f in held) >= piece:
            scratch = scratch or Scratch()
            runs.append(_spilled(_sorted(held, schema), scratch.path / f"{len(runs)}.parquet", schema))
            held = []
    last = _sorted(held, schema)
    if not runs:
        yield last
        return
    if last.rows:
        runs.append(Run(int(last["ts_event"][0]), lambda: iter([last])))
    yield from merged(runs, schema)
    del scratch  # the pieces were read from it until now


def _sorted(held: list[Frame], schema: pa.Schema) -> Frame:
    whole = concatenated(held, schema)
    return taken(whole, np.argsort(whole["ts_event"], kind="stable"))


def _spilled(piece: Frame, path: Path, schema: pa.Schema) -> Run:
    write_parquet(path, [piece], schema)
    return Run(int(piece["ts_event"][0]), partial(_read_back, path))


def _read_back(path: Path) -> Iterator[Frame]:
    return read_parquet(path, CHUNK).frames
