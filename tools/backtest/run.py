"""The run directory: what a session did, and everything needed to do it again.

    runs/a/
      orders.parquet fills.parquet equity.parquet    as in gpi.formats.orders
      answers.parquet            of a live run: what the broker told, by row (gpi.formats.execution)
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
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numba
import numpy as np
import pyarrow as pa

from gpi.formats import provenance
from gpi.formats.errors import UsageError
from gpi.formats.execution import ExecutionReport
from gpi.formats.frame import Frame
from gpi.formats.instruments import KEY, Instruments
from gpi.formats.version import __version__
from gpi.formats.words import ACTIONS, REASONS, REFUSE
from gpi.tools.backtest import opening
from gpi.tools.backtest.answered import recorded
from gpi.tools.backtest.heard import COLUMNS, Heard
from gpi.tools.backtest.manifest import as_dict, write_json
from gpi.tools.backtest.session import Session
from gpi.tools.backtest.statistics import ALWAYS_SECONDS, Sampling, metrics
from gpi.tools.backtest.tables import PACK, SCHEMAS, Table, columns, counted, tables
from gpi.tools.backtest.told import NAME as LOG
from gpi.tools.backtest.told import Log, full
from gpi.tools.backtest.traded import Traded
from gpi.tools.kernels.orders import Array

FRESH: Final = 16_384  # rows of large frames after which the log is written
CLAIM: Final = ".claim"  # stands in a directory while a run is written there, and locked by who writes it


def claimed(path: Path) -> int:
    """The lock of a run directory, held until it is closed. Raises UsageError while somebody else holds it."""
    fd = -1
    try:
        path.mkdir(parents=True, exist_ok=True)
        fd = os.open(path / CLAIM, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
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
        told = bool(steps) and steps[-1]["command"] == "trade" and all(name in schema.names for name in COLUMNS)
        self._heard, self._every, self._steps = Heard() if told else None, 1 if each else PACK, 0
        self._fresh = 0
        self._known = -1  # rows of the instrument table that the log has
        self._beside: tuple[float, ...] = ()
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

    def _state(self, whole: bool = False) -> dict[str, Any]:
        """Where the session stands: what changed since the log was last told of it, or `whole`, as a manifest tells."""
        session = self._session
        clock = session.clock
        found: dict[str, Any] = {
            "ticks": int(clock.row), "late_ticks": int(clock.late), "kill_row": session.kill_row,
        }  # fmt: skip
        if self._heard is not None:
            found["heard"] = self._heard.told()
        beside = opening.size(session.state)
        if whole or beside != self._beside:
            found["start"] = opening.told(session.state, session.instruments)
            found["opening"] = opening.rows(session.state)
        if whole or self._known < 0:
            found["instruments"] = session.instruments.to_json()
        elif len(session.instruments) > self._known:
            found["more"] = session.instruments.news(self._known)
        if not whole:
            self._known, self._beside = len(session.instruments), beside
        return found

    def heard(self, row: int, reports: list[ExecutionReport]) -> None:
        """Keep what a broker answered when the session had seen `row` rows."""
        if reports:
            self._add(self._tables["answers"], recorded(row, reports))
            if self._every == 1:
                self.tell()

    def close(
        self, complete: bool = True, sampling: Sampling | None = None, about: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Show everything and return the metrics; `complete` only after an honest end of the stream.

        `about` joins what the manifest says beside.
        """
        self._about |= about or {}
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
        return measured(self.path, self._state(whole=True), multiplier, sampling)

    def _manifest(self, complete: bool) -> dict[str, Any]:
        state = self._state(whole=True)
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
        write_json(self.path / "manifest.json", self._manifest(complete))


STATED: Final = ("ticks", "late_ticks", "kill_row", "heard", "start")  # of a state, what stands in the manifest


def measured(path: Path, state: Mapping[str, Any], multiplier: Array, sampling: Sampling) -> dict[str, Any]:
    """The metrics of the tables that stand in a directory, of a session that has come to `state`."""
    equity = columns(path / "equity.parquet")
    fills = columns(path / "fills.parquet")
    orders = columns(path / "orders.parquet", ["action", "reason"])
    return {
        **metrics(
            float(state["start"]["equity"]), equity, fills, multiplier, sampling, *opening.read(state["opening"])
        ),
        "ticks": state["ticks"],
        "fills": len(fills["qty"]),
        "events": _counted(ACTIONS, orders["action"]),
        "refusals": _counted(REASONS, orders["reason"][orders["action"] == REFUSE]),
    }


def _counted(names: tuple[str, ...], codes: Array) -> dict[str, int]:
    counts = np.bincount(codes, minlength=len(names))
    return {name: int(n) for name, n in sorted(zip(names, counts, strict=True)) if n}


def sampling_of(instruments: Instruments) -> Sampling:
    """How a run over these is sampled: coins trade around the clock."""
    classes = {row.asset_class for row in instruments}
    return Sampling(year_s=ALWAYS_SECONDS) if classes == {"crypto"} else Sampling()
