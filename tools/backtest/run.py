"""The run directory: what a session did, and everything needed to do it again.

    runs/a/
      orders.parquet fills.parquet equity.parquet    as in gpi.formats.orders
      answers.parquet            of a live run: what the broker told, by row (gpi.formats.answers)
      manifest.json              versions, provenance, setup, rows, digests, complete: true | false
      performance_metrics.json   gpi.tools.backtest.statistics

Tables are written under a dot name, flushed to disk and renamed at the end, so a table that can be seen is
whole. The manifest is written twice: `complete: false` before the first tick, `complete: true` after the
last word. Meanwhile a log (`gpi.tools.backtest.told`) keeps what has been told: with every frame that trades at a
broker outside, else with every PACK of them; a backtest has none, because its manifest does it again. It goes when
the tables are there; where it is left and nobody holds the lock (CLAIM), the run died, and
`gpi.tools.backtest.recovery` reads it.
"""

from __future__ import annotations

import fcntl
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
from gpi.tools.backtest.answered import recorded
from gpi.tools.backtest.delays import again
from gpi.tools.backtest.heard import MARKS, Heard
from gpi.tools.backtest.session import Session
from gpi.tools.backtest.setup import Fees, Latency, Rules, Setup, Strategy, Terms
from gpi.tools.backtest.statistics import ALWAYS_SECONDS, Sampling, metrics
from gpi.tools.backtest.told import NAME as LOG
from gpi.tools.backtest.told import Log, full
from gpi.tools.backtest.traded import Traded
from gpi.tools.kernels.orders import LIMIT_NAMES, LIMITS, Array

ROW_GROUP: Final = 65_536
PACK: Final = 256
FRESH: Final = 16_384  # rows of large frames after which the log is written
CLAIM: Final = ".claim"  # stands in a directory while a run is written there, and locked by who writes it
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

    def __init__(self, path: Path, schema: pa.Schema, logged: bool = False) -> None:
        self._logged = logged
        self.path, self._hidden = path, path.with_name(f".{path.name}.tmp")
        self._writer = pq.ParquetWriter(self._hidden, schema, compression="zstd")
        self.schema, self._held = schema, 0
        self._waiting, self._packed, self._untold = list[Frame](), list[Frame](), list[Frame]()
        self.contents = Contents(schema.names)
        self.rows = 0

    def add(self, frame: Frame) -> None:
        """Append rows: only held for now, because a tick is waiting; written many at a time.

        A frame of one row is twenty times as large as its row: every PACK of them become one.
        """
        if frame.rows:
            self._waiting.append(frame)
            if self._logged:
                self._untold.append(frame)
            self.rows, self._held = self.rows + frame.rows, self._held + frame.rows
            if self._held >= ROW_GROUP:
                self._flush()
            elif len(self._waiting) >= PACK:
                self._packed.append(concatenated(self._waiting, self.schema))
                self._waiting = []

    def untold(self) -> list[Frame]:
        """What was added since the last call, many small frames as one."""
        found, self._untold = self._untold, []
        few = len(found) < 2 or sum(frame.rows for frame in found) >= ROW_GROUP
        return found if few else [concatenated(found, self.schema)]

    def _flush(self) -> None:
        if self._held:
            whole = concatenated([*self._packed, *self._waiting], self.schema)
            self.contents.add(whole.columns)
            batch = whole.to_batch().replace_schema_metadata(self.schema.metadata)
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


def claimed(path: Path) -> int:
    """The lock of a run directory, held until it is closed. Raises UsageError while somebody else holds it."""
    fd = -1
    try:
        path.mkdir(parents=True, exist_ok=True)
        fd = os.open(path / CLAIM, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not os.path.samestat(os.fstat(fd), os.stat(path / CLAIM)):
            raise FileNotFoundError  # whoever held it has ended meanwhile, and taken it away
        return fd
    except (BlockingIOError, FileNotFoundError):
        os.close(fd)
        raise UsageError(f"{path}: a run is being written there: wait for its end, or choose another --out") from None
    except FileExistsError as wrong:
        raise UsageError(f"{path} is a file: choose another --out") from wrong
    except OSError as wrong:
        raise UsageError(f"cannot write a run to {path}: {wrong}") from wrong


def _claim(path: Path) -> int:
    fd = claimed(path)
    if (path / LOG).exists():
        os.close(fd)
        raise UsageError(
            f"{path} already holds a run that did not end: `gpi runs recover {path}` keeps what it told; "
            "then choose another --out"
        )
    if (path / "manifest.json").exists():
        (path / CLAIM).unlink()
        os.close(fd)
        raise UsageError(f"{path} already holds a run: choose another --out or remove it")
    return fd


def _continued(table: pa.Schema, stream: pa.Schema) -> pa.Schema:
    """The schema of a table, with the instruments and the origin of the stream that was traded."""
    carried = {key: value for key, value in (stream.metadata or {}).items() if key in (KEY.encode(), provenance.KEY)}
    return table.with_metadata({**carried, **table.metadata})


class Run:
    """A run directory being written: `add` what the session trades, then `close`.

    `about` stands in the manifest, too: whose account it was, which part of a day. With `each`, what is added is in
    the log when `add` returns. Raises GpiError, naming the folder, when the disk takes no more.
    """

    def __init__(
        self,
        path: Path,
        session: Session,
        schema: pa.Schema,
        about: Mapping[str, Any] | None = None,
        each: bool = False,
    ) -> None:
        self._lock = _claim(path)
        self.path, self._session, self._schema, self._about = path, session, schema, dict(about or {})
        steps = provenance.chain(schema)
        told = bool(steps) and steps[-1]["command"] == "trade" and all(name in schema.names for name in MARKS)
        self._heard, self._every, self._steps = Heard() if told else None, 1 if each else PACK, 0
        self._fresh = 0
        self._known: Instruments | None = None
        try:
            again = bool(steps) and steps[-1]["command"] == "backtest"  # its manifest does it again: no log, no cost
            self._tables = tables(path, schema, session.setup.external, not again)
            self._note(complete=False)
            schemas = {name: table.schema for name, table in self._tables.items()}
            self._log = None if again else Log(path, self._manifest(False), schemas)
        except OSError as wrong:
            self._leave()
            raise full(path, wrong) from None

    def saw(self, frame: Frame) -> None:
        """The session is about to hear these rows."""
        if self._heard is not None:
            self._heard.add(frame)

    def add(self, traded: Traded) -> None:
        """Append what a step or the finish of the session produced."""
        rows = 0
        for name, frame in zip(SCHEMAS, traded, strict=True):
            if frame.rows:
                self._add(self._tables[name], frame)
                rows += frame.rows
        if rows:
            self._steps, self._fresh = self._steps + 1, self._fresh + rows
            if self._steps >= self._every or self._fresh >= FRESH:
                self.tell()

    def _add(self, table: Table, frame: Frame) -> None:
        try:
            table.add(frame)
        except OSError as wrong:
            raise full(self.path, wrong) from None

    def tell(self) -> None:
        """Have in the log whatever was added: after this, no end of this process loses it."""
        self._steps = self._fresh = 0
        if self._log is None:
            return
        fresh = [(name, frame) for name, table in self._tables.items() for frame in table.untold()]
        if fresh:
            self._log.write(self._state(), fresh)

    def sync(self) -> None:
        """Have on the disk what is in the log: after this, no end of this machine loses it."""
        if self._log is not None:
            self._log.sync()

    def _state(self) -> dict[str, Any]:
        session = self._session
        account = session.account
        found: dict[str, Any] = {
            "ticks": int(account.row), "late_ticks": int(account.late), "kill_row": session.kill_row,
            "start": float(account.start_cash),
        }  # fmt: skip
        if self._heard is not None:
            found["heard"] = self._heard.told()
        if session.instruments is not self._known:
            self._known = session.instruments
            found["instruments"] = session.instruments.to_json()
        return found

    def heard(self, row: int, answers: list[Answer]) -> None:
        """Keep what a broker answered when the session had seen `row` rows."""
        if answers:
            self._add(self._tables["answers"], recorded(row, answers))
            if self._every == 1:
                self.tell()

    def close(self, complete: bool = True, sampling: Sampling | None = None) -> dict[str, Any]:
        """Show everything and return the metrics; `complete` only after an honest end of the stream."""
        table = self._session.instruments
        try:
            self.tell()
            for each in self._tables.values():
                each.close({KEY: table.to_json()} if table else {})
            found = self._metrics(sampling or sampling_of(Instruments.of(self._schema)))
            write_json(self.path / "performance_metrics.json", found)
            self._note(complete)
        except OSError as wrong:
            self._leave()
            raise full(self.path, wrong) from None
        if self._log is not None:
            self._log.remove()
        (self.path / CLAIM).unlink(missing_ok=True)
        self._leave()
        return found

    def _leave(self) -> None:
        """Let the directory go, as it is."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _metrics(self, sampling: Sampling) -> dict[str, Any]:
        multiplier = np.ascontiguousarray(self._session.state["instruments"]["multiplier"])
        return measured(self.path, self._state(), multiplier, sampling)

    def _manifest(self, complete: bool) -> dict[str, Any]:
        state = self._state()
        return {
            "gpi": __version__,
            "complete": complete,
            "provenance": provenance.chain(self._schema),
            "setup": as_dict(self._session.setup),
            **counted(self._tables),
            **{name: state[name] for name in STATED if name in state},
            "versions": {
                "python": platform.python_version(),
                "numba": numba.__version__,
                "numpy": np.__version__,
            },
            **self._about,
        }

    def _note(self, complete: bool) -> None:
        self._known = None  # a manifest is of no log: the first record tells the instruments
        write_json(self.path / "manifest.json", self._manifest(complete))
        self._known = None


STATED: Final = ("ticks", "late_ticks", "kill_row", "heard")  # of a state, what stands in the manifest


def tables(path: Path, schema: pa.Schema, external: bool, logged: bool) -> dict[str, Table]:
    """The growing tables of a run."""
    kinds = {**SCHEMAS, "answers": ANSWERS} if external else SCHEMAS
    return {name: Table(path / f"{name}.parquet", _continued(kind, schema), logged) for name, kind in kinds.items()}


def counted(found: Mapping[str, Table]) -> dict[str, Any]:
    """Rows and digests of tables, for the manifest."""
    return {
        "rows": {name: table.rows for name, table in found.items()},
        "digests": {name: str(table.contents) for name, table in found.items()},
    }


def measured(path: Path, state: Mapping[str, Any], multiplier: Array, sampling: Sampling) -> dict[str, Any]:
    """The metrics of the tables that stand in a directory, of a session that has come to `state`."""
    equity = columns(path / "equity.parquet")
    fills = columns(path / "fills.parquet")
    orders = columns(path / "orders.parquet", ["action", "reason"])
    return {
        **metrics(float(state["start"]), equity, fills, multiplier, sampling),
        "ticks": state["ticks"],
        "fills": len(fills["qty"]),
        "events": _counted(ACTIONS, orders["action"]),
        "refusals": _counted(REASONS, orders["reason"][orders["action"] == REFUSE]),
    }


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


def sampling_of(instruments: Instruments) -> Sampling:
    """How a run over these is sampled: coins trade around the clock."""
    classes = {row.asset_class for row in instruments}
    return Sampling(year_s=ALWAYS_SECONDS) if classes == {"crypto"} else Sampling()


def write_json(path: Path, content: dict[str, Any]) -> None:
    """A JSON file that is seen only when whole, flushed to the disk."""
    hidden = path.with_name(f".{path.name}.tmp")
    with open(hidden, "w") as file:
        json.dump(content, file, indent=2, sort_keys=True, allow_nan=False, default=_plain)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(hidden, path)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else str(value)
