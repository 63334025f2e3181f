"""What a run risked: limits against the worst seen, drawdown, historical VaR and expected shortfall, breaches."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np

from gpi.formats.errors import BadInput
from gpi.formats.imports.arrow import pq
from gpi.formats.words import CANCELED, DAY_NS, EXPIRED, FILLED, MLEG, REASONS, REFUSE, REJECTED, SECOND, SUBMIT
from gpi.formats.written import json_of, text_of
from gpi.tools.kernels.orders import Array
from gpi.tools.risk.limits import as_dict

LEVELS: Final = (0.95, 0.99)
ENDS: Final = (REJECTED, CANCELED, EXPIRED)
DUST: Final = 1e-9  # of a unit: what floats leave of a closed position
RUINED: Final = ("gross_exposure", "cash_reserve")  # what an account without equity breaches, whatever it holds


def report(run_dir: Path, limits: Array) -> dict[str, Any]:
    """The risk report of a run directory as plain numbers (None where undefined).

    VaR and CVaR are historical: of the losses between successive samples of equity, one per second of event time
    at most, as fractions of equity. A day's loss is measured from the last equity of the day before, that of a day that
    had begun before the run did from what the run was told. Equity that
    was not above 0 breaches `gross_exposure` and `cash_reserve`, and is left out of every fraction.
    Raises BadInput when the directory holds no run.
    """
    orders, equity = _columns(run_dir, "orders"), _columns(run_dir, "equity")
    multiplier = _multipliers(run_dir)
    worst = _worst(orders, equity, multiplier, _began(run_dir))
    bounds = as_dict(limits)
    solid = equity["equity"] > 0.0
    before = np.flatnonzero(solid[:-1])
    returns = equity["equity"][before + 1] / equity["equity"][before] - 1.0
    found: dict[str, Any] = {
        "limits": {name: {"limit": bounds[name], "worst": value} for name, value in worst.items()},
        "breaches": sorted(
            name
            for name, value in worst.items()
            if (value is not None and _broken(name, value, bounds[name])) or (name in RUINED and not solid.all())
        ),
        "max_drawdown": _most(equity["drawdown"]),
        "refusals": _refusals(orders),
    }
    for level in LEVELS:
        found[f"var_{level * 100:.0f}"], found[f"cvar_{level * 100:.0f}"] = shortfall(-returns, level)
    return found


def shortfall(losses: Array, level: float) -> tuple[float | None, float | None]:
    """Historical value at risk and expected shortfall of a sample of losses at `level`; None without losses.

    VaR is the smallest loss that at least `level` of the sample does not exceed. The shortfall is the mean of the
    worst n (1 - level) losses, that is the sum of those at or beyond VaR less VaR times their number in excess
    (Acerbi and Tasche 2002, definition 2.6 and equation 4.3 for a discrete sample).

    >>> shortfall(np.arange(1.0, 101.0), 0.95)
    (95.0, 98.0)
    """
    if not len(losses):
        return None, None
    ordered = np.sort(losses)
    at = max(int(np.ceil(level * len(ordered) - 1e-9)) - 1, 0)
    value, beyond, tail = ordered[at], ordered[at:], round(len(ordered) * (1.0 - level), 9)
    return float(value), float((beyond.sum() - value * (len(beyond) - tail)) / tail)


def _broken(name: str, value: float, limit: float) -> bool:
    return value < limit - 1e-9 if name == "cash_reserve" else value > limit + 1e-9


def _worst(
    orders: dict[str, Array], equity: dict[str, Array], multiplier: dict[int, float], began: dict[int, float]
) -> dict[str, float | None]:
    factor = np.array([multiplier.get(int(i), 1.0) for i in orders["instrument_id"]])
    solid, rich = orders["equity"] > 0.0, equity["equity"] > 0.0
    held = np.abs(orders["position"] * orders["mid"] * factor)[solid] / orders["equity"][solid]
    sent = orders["action"] == SUBMIT
    limits_px = sent & (orders["px"] == orders["px"]) & (orders["order_type"] != MLEG)  # theirs is a net of all legs
    away = np.abs(orders["px"][limits_px] / orders["mid"][limits_px] - 1.0)
    return {
        "position_limit": _most(held),
        "gross_exposure": _most(equity["exposure"][rich] / equity["equity"][rich]),
        "cash_reserve": _most(-equity["cash"][rich] / equity["equity"][rich], sign=-1.0),
        "daily_loss": _daily_loss(equity, began),
        "price_collar": _most(away),
        "order_rate_per_s": _fastest(orders["ts_event"][sent]),
        "max_open_orders": _most_open(orders),
        "allow_short": float((orders["position"] < -DUST).any()),
    }


def _daily_loss(equity: dict[str, Array], began: dict[int, float]) -> float | None:
    worst: float | None = None
    days = equity["ts_event"] // DAY_NS
    for first in np.flatnonzero(np.diff(days, prepend=-1)).tolist():
        start = began.get(int(days[first]), equity["equity"][max(first - 1, 0)])
        low = equity["equity"][days == days[first]].min()
        if start > 0.0:
            worst = float(max(worst or 0.0, 1.0 - low / start))
    return worst


def _most_open(orders: dict[str, Array]) -> float | None:
    ended = np.isin(orders["action"], ENDS) | ((orders["action"] == FILLED) & (orders["leaves"] == 0.0))
    change = (orders["action"] == SUBMIT).astype(np.int64) - ended
    return float(np.cumsum(change).max()) if len(change) else None


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


def _began(run_dir: Path) -> dict[int, float]:
    """With what a UTC day (days since 1970) had begun before the run did, by the manifest."""
    try:
        told = _manifest(run_dir).get("start", {}).get("told_day", ())
        return {int(each["day"]): float(each["equity"]) for each in told}
    except _WRONG as wrong:
        raise _odd(run_dir) from wrong


def _multipliers(run_dir: Path) -> dict[int, float]:
    try:
        stored = _manifest(run_dir).get("setup", {}).get("terms") or {}
        return {at: float(each) for at, each in enumerate(stored.get("multiplier", ()))}
    except _WRONG as wrong:
        raise _odd(run_dir) from wrong


_WRONG: Final = (AttributeError, LookupError, OSError, OverflowError, TypeError, ValueError)


def _manifest(run_dir: Path) -> Any:
    path = run_dir / "manifest.json"
    return json_of(text_of(path)) if path.exists() else {}


def _odd(run_dir: Path) -> BadInput:
    return BadInput(f"{run_dir / 'manifest.json'} was not written by a run of gpi")
