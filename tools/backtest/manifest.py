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
from gpi.formats.errors import UsageError
from gpi.formats.written import inside, json_of, text_of
from gpi.tools.backtest.delays import again
from gpi.tools.backtest.setup import Fees, Latency, Rules, Setup, Strategy, Terms
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
