"""The run directory: what a session did, and everything needed to do it again.

    runs/a/
      orders.parquet fills.parquet equity.parquet    as in gpi.formats.orders
      manifest.json              versions, provenance, setup, rows, digests, complete: true | false
      performance_metrics.json   gpi.tools.backtest.statistics

Tables are written under a dot name, flushed to disk and renamed at the end, so a table that can be seen is
whole. The manifest is written twice: `complete: false` before the first tick, `complete: true` after the
last word.
"""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numba
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from gpi.formats import provenance
from gpi.formats.errors import UsageError
from gpi.formats.frame import Frame, concatenated
from gpi.formats.instruments import Instruments
from gpi.formats.orders import ACTIONS, EQUITY, FILLS, ORDERS, REASONS, REFUSE
from gpi.formats.version import __version__
from gpi.tools.backtest.session import Session, Traded
from gpi.tools.backtest.setup import Fees, Latency, Setup, Strategy, Terms
from gpi.tools.backtest.statistics import ALWAYS_SECONDS, Sampling, metrics
from gpi.tools.kernels.orders import LIMIT_NAMES, LIMITS, Array

ROW_GROUP: Final = 65_536
SCHEMAS: Final = {"orders": ORDERS, "fills": FILLS, "equity": EQUITY}


class Table:
    """One growing Parquet file: bounded memory, a digest of the columns' bytes, seen only when whole."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.path, self._hidden = path, path.with_name(f".{path.name}.tmp")
        self._writer = pq.ParquetWriter(self._hidden, schema, compression="zstd")
        self._schema, self._waiting, self._held = schema, list[Frame](), 0
        self._digests = {name: xxhash.xxh3_128() for name in schema.names}
        self.rows = 0

    def add(self, frame: Frame) -> None:
        """Append rows: only held for now, because a tick is waiting; written many at a time."""
        if frame.rows:
            self._waiting.append(frame)
            self.rows, self._held = self.rows + frame.rows, self._held + frame.rows
            if self._held >= ROW_GROUP:
                self._flush()

    def _flush(self) -> None:
        if self._waiting:
            whole = concatenated(self._waiting, self._schema)
            for name, digest in self._digests.items():
                digest.update(whole[name].data)
            batch = whole.to_batch().replace_schema_metadata(self._schema.metadata)
            self._writer.write_batch(batch, row_group_size=ROW_GROUP)
        self._waiting, self._held = [], 0

    @property
    def digest(self) -> str:
        """Of the contents, however they were cut or compressed."""
        whole = xxhash.xxh3_128()
        for name, digest in self._digests.items():
            whole.update(f"{name}:{digest.hexdigest()};".encode())
        return str(whole.hexdigest())

    def close(self) -> None:
        """Write the rest and show the file."""
        self._flush()
        self._writer.close()
        with open(self._hidden, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(self._hidden, self.path)


class Run:
    """A run directory being written: `add` what the session trades, then `close`."""

    def __init__(self, path: Path, session: Session, schema: pa.Schema) -> None:
        if (path / "manifest.json").exists():
            raise UsageError(f"{path} already holds a run: choose another --out or remove it")
        path.mkdir(parents=True, exist_ok=True)
        self.path, self._session, self._schema = path, session, schema
        self._tables = {name: Table(path / f"{name}.parquet", schema) for name, schema in SCHEMAS.items()}
        self._note(complete=False)

    def add(self, traded: Traded) -> None:
        """Append what a step or the finish of the session produced."""
        for name, frame in zip(SCHEMAS, traded, strict=True):
            self._tables[name].add(frame)

    def close(self, complete: bool = True, sampling: Sampling | None = None) -> dict[str, Any]:
        """Show everything and return the metrics; `complete` only after an honest end of the stream."""
        for table in self._tables.values():
            table.close()
        found = self._metrics(sampling or _sampling(self._schema))
        _write(self.path / "performance_metrics.json", found)
        self._note(complete)
        return found

    def _metrics(self, sampling: Sampling) -> dict[str, Any]:
        equity = columns(self.path / "equity.parquet")
        fills = columns(self.path / "fills.parquet")
        orders = columns(self.path / "orders.parquet", ["action", "reason"])
        multiplier = np.ascontiguousarray(self._session.state["instruments"]["multiplier"])
        found = metrics(self._session.setup.cash, equity, fills, multiplier, sampling)
        return {
            **found,
            "ticks": int(self._session.account.row),
            "fills": self._tables["fills"].rows,
            "events": _counted(ACTIONS, orders["action"]),
            "refusals": _counted(REASONS, orders["reason"][orders["action"] == REFUSE]),
        }

    def _note(self, complete: bool) -> None:
        setup, session = self._session.setup, self._session
        _write(
            self.path / "manifest.json",
            {
                "gpi": __version__,
                "complete": complete,
                "provenance": provenance.chain(self._schema),
                "setup": as_dict(setup),
                "rows": {name: table.rows for name, table in self._tables.items()},
                "digests": {name: table.digest for name, table in self._tables.items()},
                "ticks": int(session.account.row),
                "late_ticks": int(session.account.late),
                "kill_row": session.kill_row,
                "versions": {
                    "python": platform.python_version(),
                    "numba": numba.__version__,
                    "numpy": np.__version__,
                },
            },
        )


def as_dict(setup: Setup) -> dict[str, Any]:
    """A setup as plain numbers and words, for the manifest."""
    strategy = setup.strategy
    return {
        "strategy": {"name": strategy.name, "params": dict(strategy.values), "digest": strategy.digest},
        "limits": {name: float(setup.limits[0][name]) for name in LIMIT_NAMES},
        "fees": asdict(setup.fees),
        "latency": asdict(setup.latency),
        "terms": None if setup.terms is None else asdict(setup.terms),
        "cash": setup.cash,
        "seed": setup.seed,
        "trading_state": setup.trading_state,
    }


def setup_of(manifest: dict[str, Any], strategy: Strategy) -> Setup:
    """The setup a manifest tells of, with the strategy found again; a kill happens at the same row.

    Raises UsageError when the strategy's source is no longer the one that ran.
    """
    told = manifest["setup"]
    if strategy.digest != told["strategy"]["digest"]:
        raise UsageError(f"the source of {strategy.name} has changed since the run: check out the version that ran")
    limits = np.zeros(1, LIMITS)
    for name, value in told["limits"].items():
        limits[0][name] = value
    terms = None
    if told["terms"] is not None:
        terms = Terms(**{name: tuple(values) for name, values in told["terms"].items()})
    fees, latency = Fees(**told["fees"]), Latency(**told["latency"])
    state, kill_row = told["trading_state"], manifest["kill_row"]
    return Setup(strategy, limits, fees, latency, told["cash"], terms, told["seed"], state, kill_row)


def manifest_of(path: Path) -> dict[str, Any]:
    """The manifest of a run directory. Raises UsageError when there is none."""
    try:
        found: dict[str, Any] = json.loads((path / "manifest.json").read_text())
    except (OSError, ValueError) as wrong:
        raise UsageError(f"{path} holds no run: {wrong}") from wrong
    return found


def _counted(names: tuple[str, ...], codes: Array) -> dict[str, int]:
    counts = np.bincount(codes, minlength=len(names))
    return {name: int(n) for name, n in sorted(zip(names, counts, strict=True)) if n}


def columns(path: Path, names: list[str] | None = None) -> dict[str, Array]:
    """The columns of a table of a run (or some of them), times as int64 ns."""
    table = pq.read_table(path, columns=names)
    found = {name: table[name].to_numpy() for name in table.column_names}
    return {name: v.view(np.int64) if v.dtype.kind == "M" else v for name, v in found.items()}


def _sampling(schema: pa.Schema) -> Sampling:
    classes = {row.asset_class for row in Instruments.of(schema)}
    return Sampling(year_s=ALWAYS_SECONDS) if classes == {"crypto"} else Sampling()


def _write(path: Path, content: dict[str, Any]) -> None:
    hidden = path.with_name(f".{path.name}.tmp")
    with open(hidden, "w") as file:
        json.dump(content, file, indent=2, sort_keys=True, allow_nan=False, default=_plain)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(hidden, path)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else str(value)
