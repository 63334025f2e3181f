"""What a run did, for a notebook: tables that pandas and polars take as they are, metrics, the manifest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from gpi.formats.errors import BadInput
from gpi.formats.imports.arrow import pq
from gpi.formats.instruments import Instruments
from gpi.formats.written import inside, json_of, text_of
from gpi.tools.backtest.manifest import manifest_of


@dataclass(frozen=True, slots=True)
class Result:
    """A run: `orders`, `fills` and `equity` as pyarrow tables with a `symbol` beside every instrument_id.

    `result.fills.to_pandas()` and `polars.from_arrow(result.fills)` take them. `metrics` and `manifest` are those of
    the run directory; `path` is None where none was kept.
    """

    orders: pa.Table
    fills: pa.Table
    equity: pa.Table
    metrics: dict[str, Any]
    manifest: dict[str, Any]
    path: Path | None

    @property
    def profit(self) -> float:
        """The last equity less that at the start, fees paid."""
        start = float(self.manifest["start"]["equity"])
        return float(self.equity["equity"][-1].as_py()) - start if len(self.equity) else 0.0

    def __repr__(self) -> str:
        name, where = self.manifest["setup"]["strategy"]["name"], "" if self.path is None else f", {self.path}"
        return f"Result({name}: {len(self.fills):,} fills, profit {self.profit:+,.2f}{where})"


def read_run(path: str | Path, keep: bool = True) -> Result:
    """The run in a directory. Raises UsageError where there is none, BadInput where it cannot be read.

    A run that did not end has to be recovered first (`gpi runs recover`). `keep` False: the directory is about to go.
    """
    folder = Path(path)
    manifest = manifest_of(folder)
    try:
        metrics = json_of(text_of(inside(folder, "performance_metrics.json")))
        tables = {name: _named(pq.read_table(folder / f"{name}.parquet")) for name in ("orders", "fills", "equity")}
    except (OSError, ValueError, pa.ArrowException) as wrong:
        raise BadInput(f"{folder} holds no whole run ({wrong}): `gpi runs list` tells what became of it") from wrong
    return Result(**tables, metrics=dict(metrics), manifest=manifest, path=folder if keep else None)


def _named(table: pa.Table) -> pa.Table:
    """With the symbols of the instruments, where the table tells of instruments."""
    if "instrument_id" not in table.column_names:
        return table
    symbols = Instruments.of(table.schema).symbols
    names = [symbols[i] if 0 <= i < len(symbols) else "" for i in table["instrument_id"].to_pylist()]
    at = table.column_names.index("instrument_id")
    return table.add_column(at, "symbol", pa.array(names, pa.string()))
