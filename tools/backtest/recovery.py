"""Runs that did not end: what they had told, as a run directory that can be read.

Nothing is invented: no order is ended, no last mark of equity made. The manifest stays incomplete, says that the run
was recovered, and holds where the session stood when it last told anything.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from gpi.formats.errors import BadInput, UsageError
from gpi.formats.instruments import KEY, Instruments
from gpi.tools.backtest import opening
from gpi.tools.backtest.manifest import manifest_of, write_json
from gpi.tools.backtest.run import CLAIM, STATED, claimed, measured, sampling_of
from gpi.tools.backtest.tables import SCHEMAS, Table, columns, counted
from gpi.tools.backtest.told import NAME, Reading
from gpi.tools.kernels.orders import Array

MANIFEST: Final = "manifest.json"
PART: Final = "part-"


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

    Raises BadInput where not even the log's beginning is whole.
    """
    log = Reading(run / NAME)
    if log.about is None:
        raise _nothing(run)
    if set(log.schemas) not in (set(SCHEMAS), {*SCHEMAS, "answers"}):  # their names become files
        raise BadInput(f"{run / NAME} holds other tables than a run's: {', '.join(sorted(log.schemas))}")
    into.mkdir(parents=True, exist_ok=True)
    about = dict(log.about)
    tables = {name: Table(into / f"{name}.parquet", schema) for name, schema in log.schemas.items()}
    start = {"equity": about["setup"]["cash"]}
    state: dict[str, Any] = {"ticks": 0, "late_ticks": 0, "kill_row": None, "start": start, "opening": opening.NOTHING}
    instruments = _announced(log.schemas)
    for record in log.records():
        state.update(record.state)
        for name, frame in record.frames:
            tables[name].add(frame)
    if "instruments" in state:
        instruments = Instruments.from_json(state["instruments"])
    for table in tables.values():
        table.close({KEY: instruments.to_json()} if instruments else {})
    found = Recovered({name: table.rows for name, table in tables.items()}, int(state["ticks"]), log.torn)
    figures = measured(into, state, _multiplier(into, instruments), sampling_of(instruments))
    write_json(into / "performance_metrics.json", figures)
    stated: dict[str, Any] = {name: state[name] for name in STATED if name in state}
    write_json(into / MANIFEST, {**about, **counted(tables), **stated, "recovered": True, "torn_bytes": log.torn})
    return found


def _announced(schemas: dict[str, pa.Schema]) -> Instruments:
    return Instruments.of(schemas[next(iter(SCHEMAS))])


def _multiplier(folder: Path, instruments: Instruments) -> Array:
    ids = columns(folder / "fills.parquet", ["instrument_id"])["instrument_id"]
    found = np.ones(max(len(instruments), int(ids.max(initial=-1)) + 1))
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
