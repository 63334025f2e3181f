"""The manifest of a run: a setup as plain numbers and words, and back."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from gpi.formats.appearing import appeared, begun, replaceable
from gpi.formats.errors import BadInput, UsageError
from gpi.formats.written import inside, json_of, text_of
from gpi.tools.backtest.delays import again
from gpi.tools.backtest.setup import Fees, Latency, Rules, Setup, Strategy, Terms
from gpi.tools.backtest.tables import SCHEMAS
from gpi.tools.kernels.orders import LIMIT_NAMES, LIMITS, Array


def as_dict(setup: Setup) -> dict[str, Any]:
    """A setup as plain numbers and words, field by field, for the manifest; `kill_row` stands beside it there."""
    names = [each.name for each in fields(setup) if each.name != "kill_row"]
    return {name: WRITTEN.get(name, _written)(getattr(setup, name)) for name in names}


def _written(value: Any) -> Any:
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value


def _strategy(strategy: Strategy) -> dict[str, Any]:
    return {"name": strategy.name, "params": dict(strategy.values), "digest": strategy.digest}


def _told(terms: Terms | None) -> dict[str, Any] | None:
    """Terms as JSON has them: it knows no infinity."""
    if terms is None:
        return None
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
    names = [each.name for each in fields(Setup) if each.name in told or each.name in ALWAYS]
    given = {name: READ[name](told[name]) if name in READ else told[name] for name in names if name != "strategy"}
    return Setup(strategy, kill_row=manifest["kill_row"], **given)


def _limits(told: dict[str, float]) -> Array:
    limits = np.zeros(1, LIMITS)
    for name, value in told.items():
        limits[0][name] = value
    return limits


def _terms(told: dict[str, Any] | None) -> Terms | None:
    columns: Any = None if told is None else {name: _listed(values) for name, values in told.items()}
    return None if told is None else Terms(**columns)


def _rules(told: dict[str, Any]) -> Rules:
    rules: Any = {name: tuple(value) if isinstance(value, list) else value for name, value in told.items()}
    return Rules(**rules)


def _listed(values: list[Any]) -> tuple[Any, ...]:
    return tuple(tuple(v) if isinstance(v, list) else float(v) for v in values)


WRITTEN: Final[Mapping[str, Callable[[Any], Any]]] = {
    "strategy": _strategy,
    "limits": lambda limits: {name: float(limits[0][name]) for name in LIMIT_NAMES},
    "terms": _told,
    "delays": lambda delays: delays.told(),
}
"""How the fields of a setup are written that JSON does not know; the others are as they are, or dataclasses."""
READ: Final[Mapping[str, Callable[[Any], Any]]] = {
    "limits": _limits,
    "fees": lambda told: Fees(**told),
    "latency": lambda told: Latency(**told),
    "terms": _terms,
    "rules": _rules,
    "delays": again,
}
"""How they are read."""
ALWAYS: Final = ("limits", "fees", "latency", "terms", "cash", "seed", "trading_state", "external")
"""What every manifest tells; a field that came later has its default where an older one does not tell it."""


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
