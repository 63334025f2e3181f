"""The run directory: what a session did, and everything needed to do it again.

    runs/a/
      orders.parquet fills.parquet equity.parquet    as in gpi.formats.orders
      answers.parquet            of a live run: what the broker told, by row (gpi.formats.answers)
      manifest.json              versions, provenance, setup, rows, digests, complete: true | false
      performance_metrics.json   gpi.tools.backtest.statistics

Tables are written under a dot name, flushed to disk and renamed at the end, so a table that can be seen is
whole. The manifest is written twice: `complete: false` before the first tick, `complete: true` after the
last word.
"""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numba
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from gpi.formats import provenance
from gpi.formats.answers import ANSWERS, Answer
from gpi.formats.errors import UsageError
from gpi.formats.frame import Frame, concatenated
from gpi.formats.instruments import KEY, Instruments
from gpi.formats.orders import ACTIONS, EQUITY, FILLS, ORDERS, REASONS, REFUSE
from gpi.formats.version import __version__
from gpi.formats.written import inside, json_of, text_of
from gpi.tools.backtest.answered import recorded
from gpi.tools.backtest.delays import again
from gpi.tools.backtest.session import Session
from gpi.tools.backtest.setup import Fees, Latency, Rules, Setup, Strategy, Terms
from gpi.tools.backtest.statistics import ALWAYS_SECONDS, Sampling, metrics
from gpi.tools.backtest.traded import Traded
from gpi.tools.kernels.orders import LIMIT_NAMES, LIMITS, Array

ROW_GROUP: Final = 65_536
PACK: Final = 256
CLAIM: Final = ".claim"  # stands in a directory while a run is written there
SCHEMAS: Final = {"orders": ORDERS, "fills": FILLS, "equity": EQUITY}


class Contents:
    """A digest of a table's contents, however they are cut or compressed: of every column's bytes, by name."""

    def __init__(self, names: Iterable[str]) -> None:
        self._digests = {name: xxhash.xxh3_128() for name in names}

    def add(self, columns: Mapping[str, Array]) -> None:
        """The next rows."""
        for name, digest in self._digests.items():
            digest.update(np.ascontiguousarray(columns[name]).data)

    def __str__(self) -> str:
        whole = xxhash.xxh3_128()
        for name, digest in self._digests.items():
            whole.update(f"{name}:{digest.hexdigest()};".encode())
        return str(whole.hexdigest())


class Table:
    """One growing Parquet file: bounded memory, a digest of the columns' bytes, seen only when whole."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.path, self._hidden = path, path.with_name(f".{path.name}.tmp")
        self._writer = pq.ParquetWriter(self._hidden, schema, compression="zstd")
        self._schema, self._held = schema, 0
        self._waiting, self._packed = list[Frame](), list[Frame]()
        self.contents = Contents(schema.names)
        self.rows = 0

    def add(self, frame: Frame) -> None:
        """Append rows: only held for now, because a tick is waiting; written many at a time.

        A frame of one row is twenty times as large as its row: every PACK of them become one.
        """
        if frame.rows:
            self._waiting.append(frame)
            self.rows, self._held = self.rows + frame.rows, self._held + frame.rows
            if self._held >= ROW_GROUP:
                self._flush()
            elif len(self._waiting) >= PACK:
                self._packed.append(concatenated(self._waiting, self._schema))
                self._waiting = []

    def _flush(self) -> None:
        if self._held:
            whole = concatenated([*self._packed, *self._waiting], self._schema)
            self.contents.add(whole.columns)
            batch = whole.to_batch().replace_schema_metadata(self._schema.metadata)
            self._writer.write_batch(batch, row_group_size=ROW_GROUP)
        self._waiting, self._packed, self._held = [], [], 0

    def close(self, notes: Mapping[str, str]) -> None:
        """Write the rest and the `notes` (what was learned since the file was opened), and show the file."""
        self._flush()
        self._writer.add_key_value_metadata(dict(notes))
        self._writer.close()
        with open(self._hidden, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(self._hidden, self.path)


def _claim(path: Path) -> None:
    taken = UsageError(f"{path} already holds a run, or one is being written: choose another --out or remove it")
    try:
        path.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path / CLAIM, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    except FileExistsError as wrong:
        if path.is_dir():
            raise taken from None
        raise UsageError(f"{path} is a file: choose another --out") from wrong
    except OSError as wrong:
        raise UsageError(f"cannot write a run to {path}: {wrong}") from wrong
    if (path / "manifest.json").exists():
        (path / CLAIM).unlink()
        raise taken


def _continued(table: pa.Schema, stream: pa.Schema) -> pa.Schema:
    """The schema of a table, with the instruments and the origin of the stream that was traded."""
    carried = {key: value for key, value in (stream.metadata or {}).items() if key in (KEY.encode(), provenance.KEY)}
    return table.with_metadata({**carried, **table.metadata})


class Run:
    """A run directory being written: `add` what the session trades, then `close`."""

    def __init__(self, path: Path, session: Session, schema: pa.Schema) -> None:
        _claim(path)
        self.path, self._session, self._schema = path, session, schema
        self._tables = {
            name: Table(path / f"{name}.parquet", _continued(table, schema)) for name, table in SCHEMAS.items()
        }
        if session.setup.external:
            self._tables["answers"] = Table(path / "answers.parquet", _continued(ANSWERS, schema))
        self._note(complete=False)

    def add(self, traded: Traded) -> None:
        """Append what a step or the finish of the session produced."""
        for name, frame in zip(SCHEMAS, traded, strict=True):
            self._tables[name].add(frame)

    def heard(self, row: int, answers: list[Answer]) -> None:
        """Keep what a broker answered when the session had seen `row` rows."""
        if answers:
            self._tables["answers"].add(recorded(row, answers))

    def close(self, complete: bool = True, sampling: Sampling | None = None) -> dict[str, Any]:
        """Show everything and return the metrics; `complete` only after an honest end of the stream."""
        table = self._session.instruments
        for each in self._tables.values():
            each.close({KEY: table.to_json()} if table else {})
        found = self._metrics(sampling or _sampling(self._schema))
        _write(self.path / "performance_metrics.json", found)
        self._note(complete)
        (self.path / CLAIM).unlink(missing_ok=True)
        return found

    def _metrics(self, sampling: Sampling) -> dict[str, Any]:
        equity = columns(self.path / "equity.parquet")
        fills = columns(self.path / "fills.parquet")
        orders = columns(self.path / "orders.parquet", ["action", "reason"])
        multiplier = np.ascontiguousarray(self._session.state["instruments"]["multiplier"])
        found = metrics(float(self._session.account.start_cash), equity, fills, multiplier, sampling)
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
                "digests": {name: str(table.contents) for name, table in self._tables.items()},
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
        "terms": None if setup.terms is None else _told(setup.terms),
        "cash": setup.cash,
        "seed": setup.seed,
        "trading_state": setup.trading_state,
        "rules": asdict(setup.rules),
        "schedule": setup.schedule,
        "delays": setup.delays.told(),
        "external": setup.external,
    }


def _told(terms: Terms) -> dict[str, Any]:
    """Terms as JSON has them: it knows no infinity."""
    return {name: ["inf" if v == math.inf else v for v in values] for name, values in asdict(terms).items()}


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
    columns: Any = {name: _listed(values) for name, values in (told["terms"] or {}).items()}
    terms = None if told["terms"] is None else Terms(**columns)
    fees, latency = Fees(**told["fees"]), Latency(**told["latency"])
    state, kill_row = told["trading_state"], manifest["kill_row"]
    rules: Any = {k: tuple(v) if isinstance(v, list) else v for k, v in told.get("rules", {}).items()}
    return Setup(
        strategy, limits, fees, latency, told["cash"], terms, told["seed"], state, kill_row,
        Rules(**rules),
        told.get("schedule", ""), again(told.get("delays")), told["external"],
    )  # fmt: skip


def _listed(values: list[Any]) -> tuple[Any, ...]:
    return tuple(tuple(v) if isinstance(v, list) else float(v) for v in values)


def manifest_of(path: Path) -> dict[str, Any]:
    """The manifest of a run directory. Raises UsageError when there is none."""
    try:
        found: dict[str, Any] = json_of(text_of(inside(path, "manifest.json")))
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
