"""What a run risked: limits against the worst seen, drawdown, historical VaR and expected shortfall, breaches."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow.parquet as pq

from gpi.formats.errors import BadInput
from gpi.formats.orders import REASONS, REFUSE, SUBMIT
from gpi.tools.kernels.orders import DAY_NS, SECOND, Array
from gpi.tools.risk.limits import as_dict

LEVELS: Final = (0.95, 0.99)


def report(run_dir: Path, limits: Array) -> dict[str, Any]:
    """The risk report of a run directory as plain numbers (None where undefined).

    VaR and CVaR are historical: quantiles of the losses between successive samples of equity, one per
    second of event time at most, as fractions of equity; CVaR is the mean of the losses at or beyond VaR.
    Raises BadInput when the directory holds no run.
    """
    orders, equity = _columns(run_dir, "orders"), _columns(run_dir, "equity")
    multiplier = _multipliers(run_dir)
    worst = _worst(orders, equity, multiplier)
    bounds = as_dict(limits)
    returns = np.diff(equity["equity"]) / equity["equity"][:-1] if len(equity["equity"]) > 1 else np.zeros(0)
    found: dict[str, Any] = {
        "limits": {name: {"limit": bounds[name], "worst": value} for name, value in worst.items()},
        "breaches": sorted(
            name for name, value in worst.items() if value is not None and _broken(name, value, bounds[name])
        ),
        "max_drawdown": _most(equity["drawdown"]),
        "refusals": _refusals(orders),
    }
    for level in LEVELS:
        found[f"var_{level * 100:.0f}"], found[f"cvar_{level * 100:.0f}"] = shortfall(-returns, level)
    return found


def shortfall(losses: Array, level: float) -> tuple[float | None, float | None]:
    """Historical value at risk and expected shortfall of a sample of losses at `level`; None without losses.

    VaR is the smallest loss that at least `level` of the sample does not exceed; the shortfall is the mean
    of the losses that reach it (Acerbi and Tasche 2002, for a discrete sample).

    >>> shortfall(np.arange(1.0, 101.0), 0.95)
    (95.0, 97.5)
    """
    if not len(losses):
        return None, None
    ordered = np.sort(losses)
    at = max(int(np.ceil(level * len(ordered) - 1e-9)) - 1, 0)
    return float(ordered[at]), float(ordered[at:].mean())


def _broken(name: str, value: float, limit: float) -> bool:
    return value < limit - 1e-9 if name == "cash_reserve" else value > limit + 1e-9


def _worst(orders: dict[str, Array], equity: dict[str, Array], multiplier: dict[int, float]) -> dict[str, float | None]:
    factor = np.array([multiplier.get(int(i), 1.0) for i in orders["instrument_id"]])
    held = np.abs(orders["position"] * orders["mid"] * factor) / orders["equity"] if len(factor) else factor
    sent = orders["action"] == SUBMIT
    limits_px = sent & (orders["px"] == orders["px"])
    away = np.abs(orders["px"][limits_px] / orders["mid"][limits_px] - 1.0)
    return {
        "position_limit": _most(held),
        "gross_exposure": _most(equity["exposure"] / equity["equity"]),
        "cash_reserve": _most(-equity["cash"] / equity["equity"], sign=-1.0),
        "daily_loss": _daily_loss(equity),
        "price_collar": _most(away),
        "order_rate_per_s": _fastest(orders["ts_event"][sent]),
    }


def _daily_loss(equity: dict[str, Array]) -> float | None:
    worst = None
    days = equity["ts_event"] // DAY_NS
    for day in np.unique(days):
        worth = equity["equity"][days == day]
        worst = max(worst or 0.0, float(1.0 - worth.min() / worth[0]))
    return worst


def _fastest(times: Array) -> float | None:
    if not len(times):
        return None
    within = np.searchsorted(times, times, "right") - np.searchsorted(times, times - SECOND, "right")
    return float(within.max())


def _most(values: Array, sign: float = 1.0) -> float | None:
    known = values[values == values]
    return float(sign * known.max()) if len(known) else None


def _refusals(orders: dict[str, Array]) -> dict[str, int]:
    refused = orders["reason"][orders["action"] == REFUSE]
    return {REASONS[reason]: int(count) for reason, count in zip(*np.unique(refused, return_counts=True), strict=True)}


def _columns(run_dir: Path, name: str) -> dict[str, Array]:
    path = run_dir / f"{name}.parquet"
    if not path.is_file():
        raise BadInput(f"{run_dir} is no run: it has no {path.name}")
    table = pq.read_table(path)
    columns = {c: table[c].to_numpy() for c in table.column_names}
    return {**columns, "ts_event": columns["ts_event"].astype(np.int64)}


def _multipliers(run_dir: Path) -> dict[int, float]:
    path = run_dir / "manifest.json"
    stored = (json.loads(path.read_text())["setup"]["terms"] or {}) if path.is_file() else {}
    return dict(enumerate(stored.get("multiplier", ())))
