"""Ask a bank that does not change: every embedded row gets what came after moments like it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from gpi.formats.embeddings import embedding
from gpi.formats.errors import UsageError
from gpi.formats.frame import Frame
from gpi.formats.matches import MATCHES
from gpi.formats.ticks import TICKS
from gpi.tools.kernels.models.patterns import consult, unit, verdict
from gpi.tools.memory.bank import Bank, read_indexed
from gpi.tools.memory.index import FLAT_UP_TO, search
from gpi.tools.stage import Stage, State, adds

NAMES: Final = tuple(field.name for field in MATCHES)

Answers = tuple[Any, ...]  # the four columns of MATCHES, as arrays (rows,)


def matched(bank_dir: Path, k: int = 16, radius: float = 0.3) -> Stage:
    """Append MATCHES: the verdict of up to `k` patterns within cosine distance `radius` of each embedding.

    Only patterns whose outcome was known at the row's `ts_event` are asked, so a bank built from
    overlapping days does not leak. Rows without an embedding or a neighbour get NaN, NaN, 0, 0. Small
    banks are scanned exactly, those above FLAT_UP_TO are searched as a graph (approximate). Raises
    BadInput for a bad folder.
    """
    check(k, radius)
    bank, index = read_indexed(bank_dir)
    small = len(bank) <= FLAT_UP_TO
    ask = _exact(bank, k, 1.0 - radius) if small else _approximate(bank, index, k, 1.0 - radius)

    def step(state: State, frame: Frame) -> Frame:
        made = frame.widened(MATCHES)
        ask(frame, tuple(made[name] for name in NAMES))
        return made

    return Stage(
        name="match",
        needs=pa.schema([TICKS.field("ts_event"), embedding(bank.width)]),
        gives=adds(*MATCHES),
        start=dict,
        step=step,
    )


def check(k: int, radius: float) -> None:
    """Raise UsageError for numbers out of range."""
    if k < 1:
        raise UsageError(f"k is {k}: ask for at least 1 neighbour")
    if not 0 < radius <= 2:
        raise UsageError(f"radius is {radius}: a cosine distance is above 0 and at most 2")


def _exact(bank: Bank, k: int, least: float) -> Callable[[Frame, Answers], None]:
    columns = np.ascontiguousarray(bank.vectors.T)

    def ask(frame: Frame, out: Answers) -> None:
        consult(columns, bank.patterns, len(bank), least, k, frame["ts_event"], frame["embedding"], out)

    return ask


def _approximate(bank: Bank, index: Any, k: int, least: float) -> Callable[[Frame, Answers], None]:
    known = np.ascontiguousarray(bank.patterns["known"])
    query = np.empty(bank.width, np.float32)

    def ask(frame: Frame, out: Answers) -> None:
        past = np.searchsorted(known, frame["ts_event"], side="right")
        for row in range(frame.rows):
            rows = np.empty(0, np.int64)
            if past[row] and unit(frame["embedding"][row], query):
                rows, cosines = search(index, query, k, int(past[row]))
                rows = rows[cosines >= least]
            verdict(bank.patterns, rows, len(rows), out, row)

    return ask
