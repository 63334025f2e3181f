"""The manifest of a run: a setup as plain numbers and words, and back."""

from __future__ import annotations

import json
import math
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from gpi.formats.appearing import appeared, begun, replaceable
from gpi.formats.errors import BadInput, UsageError
from gpi.formats.written import inside, json_of, text_of
from gpi.tools.backtest.delays import again
from gpi.tools.backtest.setup import Fees, Latency, Rules, Setup, Strategy, Terms
from gpi.tools.backtest.tables import SCHEMAS
from gpi.tools.kernels.orders import LIMIT_NAMES, LIMITS


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

    Raises UsageError when the strategy's source is no longer the one that ran, BadInput where no run told that setup.
    """
    try:
        return _setup_of(manifest, strategy)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as wrong:
        raise BadInput(f"the manifest tells of a setup that no run had: {type(wrong).__name__}: {wrong}") from wrong


def _setup_of(manifest: dict[str, Any], strategy: Strategy) -> Setup:
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
    """The manifest of a run directory. Raises UsageError when there is none, BadInput for one that no run wrote."""
    try:
        found = json_of(text_of(inside(path, "manifest.json")))
        _checked(found)
    except FileNotFoundError as wrong:
        raise UsageError(f"{path} holds no run: {wrong}") from wrong
    except (OSError, ValueError) as wrong:
        raise BadInput(f"{path} holds no run that can be read: its manifest.json: {wrong}") from wrong
    return dict(found)


def _checked(found: Any) -> None:
    """Raise ValueError where a manifest lacks what every reader of it relies on."""
    if not isinstance(found, dict):
        raise ValueError("it is no table")
    _holds(found, {"setup": dict, "rows": dict, "digests": dict, "ticks": int, "complete": bool, "provenance": list})
    _holds(found["setup"], {"strategy": dict}, "setup.")
    _holds(found["setup"]["strategy"], {"name": str}, "setup.strategy.")
    _holds(found["rows"], dict.fromkeys(SCHEMAS, int), "rows.")
    _holds({"broker": {}, **found}, {"broker": dict})
    for step in found["provenance"]:
        if not isinstance(step, dict):
            raise ValueError("its provenance is no list of steps")
        _holds({"facts": {}, "options": {}, **step}, {"command": str, "facts": dict, "options": dict}, "provenance ")


def _holds(table: dict[str, Any], kinds: dict[str, type], where: str = "") -> None:
    for name, kind in kinds.items():
        value = table.get(name)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise ValueError(f"it has no usable {where}{name}")


def write_json(path: Path, content: dict[str, Any]) -> None:
    """A JSON file that is seen only when whole, flushed to the disk."""
    hidden = replaceable(path).with_name(f".{path.name}.tmp")
    with os.fdopen(begun(hidden), "w") as file:
        json.dump(content, file, indent=2, sort_keys=True, allow_nan=False, default=_plain)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    appeared(hidden, path)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else str(value)
