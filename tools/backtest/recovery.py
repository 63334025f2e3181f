"""Runs that did not end: what they had told, as a run directory that can be read.

Nothing is invented: no order is ended, no last mark of equity made. The manifest stays incomplete, says that the run
was recovered, and holds where the session stood when it last told anything.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from gpi.formats.errors import BadInput, UsageError
from gpi.formats.execution import ANSWERS
from gpi.formats.instruments import KEY, Instruments
from gpi.tools.backtest import opening
from gpi.tools.backtest.manifest import manifest_of, write_json
from gpi.tools.backtest.run import CLAIM, STATED, claimed, measured, sampling_of
from gpi.tools.backtest.tables import SCHEMAS, Table, columns, counted
from gpi.tools.backtest.told import NAME, Reading, odd
from gpi.tools.kernels.orders import Array

MANIFEST: Final = "manifest.json"
PART: Final = "part-"
UNNAMED: Final = 1 << 16  # ids that instruments without a name may have: each takes memory


@dataclass(frozen=True, slots=True)
class Recovered:
    """What was found: rows by table, ticks the session had seen when it last told anything, bytes of a torn end."""

    rows: dict[str, int]
    ticks: int
    torn: int


def unfinished(path: Path) -> bool:
    """Is there a log: a run that is being written, or one that died?"""
    return (path / NAME).exists()


def alive(path: Path) -> bool:
    """Is somebody writing a run there?"""
    if not (path / CLAIM).exists():
        return False
    try:
        os.close(claimed(path))
    except UsageError:
        return True
    return False


def recover(path: Path) -> Recovered | None:
    """Make a run that died readable, in its place; None where there is nothing to do.

    Raises UsageError where there is no run or it is being written, BadInput where nothing was told. May be interrupted
    and done again: the log goes last.
    """
    if not path.is_dir():
        raise UsageError(f"{path} holds no run")
    if not (path / MANIFEST).exists() and not unfinished(path):
        raise UsageError(f"{path} holds no run")
    if not unfinished(path) and not (path / CLAIM).exists():
        return None
    lock = claimed(path)
    try:
        if not unfinished(path):
            (path / CLAIM).unlink()
            if not (path / "equity.parquet").exists():
                raise _nothing(path)
            return None
        found = restored(path, path)
        for left in (*path.glob(".*.tmp"), path / NAME, path / CLAIM):
            left.unlink(missing_ok=True)
        return found
    finally:
        os.close(lock)


def _nothing(path: Path) -> BadInput:
    return BadInput(f"{path}: nothing was told before the run died (a backtest is done again): remove it")


def restored(run: Path, into: Path) -> Recovered:
    """Write what the log of a run holds as a run directory `into`; a run that is being written may be read as well.

    Raises BadInput where not even the log's beginning is whole, or where it tells what no run does.
    """
    log = Reading(run / NAME)
    if log.about is None:
        raise _nothing(run)
    if set(log.schemas) not in (set(SCHEMAS), {*SCHEMAS, "answers"}):  # their names become files
        raise BadInput(f"{run / NAME} holds other tables than a run's: {', '.join(sorted(log.schemas))}")
    tables: dict[str, Table] = {}
    try:
        return _restored(log, into, tables)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, pa.ArrowException) as wrong:
        raise odd(run / NAME, wrong) from wrong
    finally:
        for table in tables.values():
            table.discard()


def _restored(log: Reading, into: Path, tables: dict[str, Table]) -> Recovered:
    """Whatever a log tells that no run tells is an error of Python's or Arrow's own somewhere below here."""
    _typed(log)
    about, instruments = dict(_table(log.about)), _announced(log.schemas)
    start = {"equity": _amount(_table(about["setup"])["cash"])}
    into.mkdir(parents=True, exist_ok=True)
    tables |= {name: Table(into / f"{name}.parquet", schema) for name, schema in log.schemas.items()}
    state: dict[str, Any] = {"ticks": 0, "late_ticks": 0, "kill_row": None, "start": start, "opening": opening.NOTHING}
    for record in log.records():
        state.update(record.state)
        if "instruments" in record.state:
            instruments = Instruments.from_json(record.state["instruments"])
        instruments.heard(record.state.get("more"))
        for name, frame in record.frames:
            tables[name].add(frame)
    for table in tables.values():
        table.close({KEY: instruments.to_json()} if instruments else {})
    found = Recovered({name: table.rows for name, table in tables.items()}, _ticks(state["ticks"]), log.torn)
    _amount(_table(state["start"])["equity"])
    figures = measured(into, state, _multiplier(into, instruments), sampling_of(instruments))
    write_json(into / "performance_metrics.json", figures)
    stated: dict[str, Any] = {name: state[name] for name in STATED if name in state}
    write_json(into / MANIFEST, {**about, **counted(tables), **stated, "recovered": True, "torn_bytes": log.torn})
    return found


def _typed(log: Reading) -> None:
    """Raise ValueError where a table's columns are of other types than a run's (fewer may be another version's)."""
    for name, schema in log.schemas.items():
        kinds = {field.name: field.type for field in {**SCHEMAS, "answers": ANSWERS}[name]}
        if not len(schema) or any(kinds.get(field.name, field.type) != field.type for field in schema):
            raise ValueError(f"its table {name} has columns that no run's has")


def _table(told: Any) -> dict[str, Any]:
    if not isinstance(told, dict):
        raise ValueError("it is no table where a run tells one")
    return told


def _amount(told: Any) -> float:
    if isinstance(told, bool) or not isinstance(told, (int, float)) or not math.isfinite(told):
        raise ValueError("an amount of money is no number")
    return float(told)


def _ticks(told: Any) -> int:
    if isinstance(told, bool) or not isinstance(told, int) or not 0 <= told < 1 << 63:
        raise ValueError("the ticks that the session had seen are no number")
    return told


def _announced(schemas: dict[str, pa.Schema]) -> Instruments:
    return Instruments.of(schemas[next(iter(SCHEMAS))])


def _multiplier(folder: Path, instruments: Instruments) -> Array:
    ids = columns(folder / "fills.parquet", ["instrument_id"])["instrument_id"]
    most = int(ids.max(initial=-1)) + 1
    if ids.min(initial=0) < 0 or most > max(len(instruments), UNNAMED):
        raise ValueError("it tells of fills in instruments that it does not name")
    found = np.ones(max(len(instruments), most))
    found[: len(instruments)] = [row.multiplier for row in instruments]
    return found


def parts(path: Path) -> list[Path]:
    """The parts of a run, first first: the directory itself, and what was traded on in it."""
    more = [each for each in path.glob(f"{PART}*") if each.name.removeprefix(PART).isdigit()]
    return [path, *sorted(more, key=lambda each: int(each.name.removeprefix(PART)))]


SAME: Final = ("strategy", "limits", "fees", "schedule")


def follows(path: Path, setup: dict[str, Any], broker: dict[str, Any]) -> tuple[Path, Recovered | None]:
    """Where a session at a broker goes on that was told to write to `path`, and what was recovered there first.

    `setup` as manifests have it, `broker` {"account", "url"}. Raises UsageError where what stands there is no former
    part of the same: another account, strategy or limits, or a run that is being written.
    """
    if not unfinished(path) and not (path / MANIFEST).exists():
        return path, None
    last = parts(path)[-1]
    found = recover(last)
    told = manifest_of(path)
    then, now = {**told["setup"], **told.get("broker", {})}, {**setup, **broker}
    if "broker" not in told:
        raise UsageError(f"{path} already holds a run, which was not traded at a broker: choose another --out")
    changed = [name for name in (*SAME, "account") if then.get(name) != now.get(name)]
    if changed:
        raise UsageError(
            f"{path} holds a run with another {' and '.join(changed)}: this is no continuation of it; "
            "choose another --out"
        )
    return path / f"{PART}{len(parts(path)) + 1}", found
