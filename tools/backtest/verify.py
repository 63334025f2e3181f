"""Are two runs the same? Orders, fills and equity row by row; the first difference is named.

And is a run what its manifest says: finished, and with the tables that were written then?
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from gpi.formats.errors import BadInput
from gpi.formats.imports.arrow import pq
from gpi.tools.backtest.manifest import manifest_of
from gpi.tools.backtest.tables import Contents
from gpi.tools.kernels.orders import Array

TABLES: Final = ("orders", "fills", "equity")
CHUNK: Final = 65_536


@dataclass(frozen=True, slots=True)
class Difference:
    """The first place where two runs differ; `column` is "rows" when one merely ends earlier."""

    table: str
    row: int
    column: str
    left: Any
    right: Any

    def __str__(self) -> str:
        if self.column == "rows":
            return f"{self.table}: {self.left} rows against {self.right}; the same up to row {self.row}"
        return f"{self.table} row {self.row}, {self.column}: {self.left} against {self.right}"


def compare(left: Path, right: Path, prefix: tuple[bool, bool] = (False, False)) -> Difference | None:
    """The first difference between two run directories, orders, fills, equity; None when they are the same.

    `prefix`: which of them did not end, so that the other may go on where its tables stop.

    Raises BadInput when a table is missing or unreadable.
    """
    for table in TABLES:
        found = _compare_table(table, left / f"{table}.parquet", right / f"{table}.parquet")
        if found is not None and not _goes_on(found, prefix):
            return found
    return None


def _goes_on(found: Difference, prefix: tuple[bool, bool]) -> bool:
    """Is it only that a run which did not end has fewer rows?"""
    return found.column == "rows" and prefix[0 if found.left < found.right else 1]


def complete(run_dir: Path) -> bool:
    """Did the run reach the end of its stream? Raises UsageError when there is no run."""
    return bool(manifest_of(run_dir)["complete"])


def altered(run_dir: Path) -> str | None:
    """The first table that no longer holds what was written (or cannot be read); None when all of them do.

    Compared is the digest of the contents with the manifest's. Raises UsageError when there is no run.
    """
    digests = manifest_of(run_dir)["digests"]
    for table in TABLES:
        try:
            file = _opened(run_dir / f"{table}.parquet")
            contents = Contents(file.schema_arrow.names)
            for columns in _chunks(file):
                contents.add(columns)
        except (BadInput, OSError, ValueError):
            return table
        if str(contents) != digests.get(table):
            return table
    return None


def _compare_table(table: str, left: Path, right: Path) -> Difference | None:
    ours, theirs = _opened(left), _opened(right)
    start = 0
    for a, b in zip(_chunks(ours), _chunks(theirs), strict=False):
        found = _first(table, start, a, b)
        if found is not None:
            return found
        start += CHUNK
    rows = (ours.metadata.num_rows, theirs.metadata.num_rows)
    return None if rows[0] == rows[1] else Difference(table, min(rows), "rows", *rows)


def _first(table: str, start: int, a: dict[str, Array], b: dict[str, Array]) -> Difference | None:
    if a.keys() != b.keys():
        name = sorted(a.keys() ^ b.keys())[0]
        return Difference(table, start, name, name in a, name in b)
    found = None
    for name in a:
        n = min(len(a[name]), len(b[name]))
        x, y = a[name][:n], b[name][:n]
        unequal = np.flatnonzero((x != y) & ((x == x) | (y == y)))
        if len(unequal) and (found is None or unequal[0] < found.row - start):
            at = int(unequal[0])
            found = Difference(table, start + at, name, x[at].item(), y[at].item())
    return found


def _opened(path: Path) -> Any:
    try:
        return pq.ParquetFile(path)
    except (OSError, ValueError) as wrong:
        raise BadInput(f"cannot read {path}: {wrong}") from wrong


def _chunks(file: Any) -> Iterator[dict[str, Array]]:
    for batch in file.iter_batches(CHUNK):
        columns = {name: batch.column(name).to_numpy() for name in batch.schema.names}
        yield {name: v.view(np.int64) if v.dtype.kind == "M" else v for name, v in columns.items()}
