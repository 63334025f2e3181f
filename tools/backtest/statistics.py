"""What a run was worth: plain numbers, None where undefined, every ratio with what it was computed from.

The Sharpe ratio is of returns between samples of equity on a grid of event time. An interval without a single
equity row is a return of zero inside a UTC day and none at all between days (nights, weekends). A year has as
many samples as were seen per year of calendar time, and never more than its trading hours hold: daily data is
annualised by about sqrt(252), a full day of minutes by sqrt(252 * 390). The ratio comes with its standard error,
because without one it says nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from gpi.formats.words import DAY_NS, MAKER, SECOND
from gpi.tools.backtest.opening import HELD, MOVED, cumulated
from gpi.tools.kernels import memory
from gpi.tools.kernels.orders import Array, Engine
from gpi.tools.kernels.trader.account import closing_gains

EQUITY_SECONDS: Final = 252 * 6.5 * 3600.0
ALWAYS_SECONDS: Final = 365 * 24 * 3600.0
CALENDAR_SECONDS: Final = 365.25 * 24 * 3600.0
NOTHING_HELD: Final = np.zeros(0, HELD)
NOTHING_MOVED: Final = np.zeros(0, MOVED)


@dataclass(frozen=True, slots=True)
class Sampling:
    """How often equity is sampled, in seconds of event time, and how many trading seconds a year has."""

    every_s: float = 60.0
    year_s: float = EQUITY_SECONDS


def sharpe(returns: Array) -> tuple[float | None, float | None]:
    """Sharpe ratio per sample and its standard error; (None, None) for fewer than 3 samples or no variance.

    SE^2 = (1 + SR^2 / 2 - skew * SR + (kurtosis - 3) / 4 * SR^2) / (n - 1): Lo (2002) with Mertens' (2002)
    correction for returns that are not normal; autocorrelation is not corrected for.
    """
    n = len(returns)
    spread = float(returns.std(ddof=1)) if n > 2 else 0.0
    if n < 3 or not spread > 0.0:
        return None, None
    ratio = float(returns.mean()) / spread
    z = (returns - returns.mean()) / returns.std()
    skew, kurtosis = float((z**3).mean()), float((z**4).mean())
    variance = (1.0 + 0.5 * ratio**2 - skew * ratio + 0.25 * (kurtosis - 3.0) * ratio**2) / (n - 1)
    return ratio, math.sqrt(max(variance, 0.0))


def sampled(ts: Array, equity: Array, every_s: float) -> Array:
    """Returns between the last equity of each interval of `every_s`; ts in ns, ascending.

    An interval without any returns 0 within a UTC day and is left out between days. No returns at all where equity
    was not above 0: they are not defined.
    """
    if not len(ts) or not (equity > 0.0).all():
        return np.zeros(0)
    slot = ts // int(every_s * SECOND)
    last = np.append(slot[1:] != slot[:-1], True)
    kept, slots, days = np.concatenate([equity[:1], equity[last]]), slot[last], ts[last] // DAY_NS
    quiet = np.where(days[1:] == days[:-1], np.diff(slots) - 1, 0)
    returns: Array = np.zeros(len(slots) + int(quiet.sum()))
    returns[np.arange(len(slots)) + np.append(0, np.cumsum(quiet))] = np.diff(kept) / kept[:-1]
    return returns


def samples_per_year(samples: int, span_s: float, sampling: Sampling) -> float:
    """How many samples a year has, judged by `samples` within `span_s` of event time; at most a full trading year's."""
    most = sampling.year_s / sampling.every_s
    return min(most, samples * CALENDAR_SECONDS / span_s) if span_s > 0.0 else most


def max_drawdown(equity: Array) -> float | None:
    """The deepest fall from a running peak, as a fraction of the peak; None where there was no peak above 0."""
    peak = np.maximum.accumulate(equity)
    risen = peak > 0.0
    return float((1.0 - equity[risen] / peak[risen]).max()) if risen.any() else None


def metrics(
    start: float,
    equity: Mapping[str, Array],
    fills: Mapping[str, Array],
    multiplier: Array,
    sampling: Sampling,
    held: Array = NOTHING_HELD,
    moved: Array = NOTHING_MOVED,
) -> dict[str, Any]:
    """The statistics of a run that started with an equity of `start`, from the columns of equity/1 and fills/1.

    `held` and `moved` are rows of HELD and MOVED (gpi.tools.backtest.opening): what the run began with, and what came
    or went beside its trading, which no ratio counts. `multiplier` is per instrument_id. None: undefined.
    """
    if not len(equity["equity"]):
        return {"start_equity": start, "final_equity": start}
    beside = cumulated(moved, equity["ts_event"])
    beside[-1] = moved["amount"].sum()  # the last row is of the last moment, and counts all
    worth, last = equity["equity"] - beside, float(equity["equity"][-1])
    notional = fills["qty"] * fills["px"] * multiplier[fills["instrument_id"]] * (fills["liquidity"] != 0)
    gains = _gains(held, fills, multiplier)
    closed = gains[gains == gains]
    returns = sampled(equity["ts_event"], worth, sampling.every_s)
    ratio, error = sharpe(returns)
    seconds = float(equity["ts_event"][-1] - equity["ts_event"][0]) / SECOND
    per_year = samples_per_year(len(returns), seconds, sampling)
    yearly = math.sqrt(per_year)
    found = {
        "start_equity": start,
        "final_equity": last,
        "moved": last - float(worth[-1]),
        "total_pnl": float(worth[-1]) - start,
        "realized_pnl": float(equity["realized"][-1]),
        "fees": float(equity["fees"][-1]),
        "return": float(worth[-1]) / start - 1.0 if start > 0 else None,
        "sharpe": None if ratio is None else ratio * yearly,
        "sharpe_standard_error": None if error is None else error * yearly,
        "sharpe_samples": len(returns),
        "sharpe_sample_s": sampling.every_s,
        "sharpe_samples_per_year": per_year,
        "sharpe_year_s": sampling.year_s,
        "hit_rate": float((closed > 0).mean()) if len(closed) else None,
        "closing_fills": len(closed),
        "max_drawdown": max_drawdown(worth),
        "turnover": float(notional.sum()) / float(worth.mean()) if worth.mean() else None,
        "traded_notional": float(notional.sum()),
        "maker_share": float(notional[fills["liquidity"] == MAKER].sum() / notional.sum()) if notional.sum() else None,
        "event_time_s": seconds,
    }
    return {name: value if value is None or math.isfinite(value) else None for name, value in found.items()}


def _gains(held: Array, fills: Mapping[str, Array], multiplier: Array) -> Array:
    out = np.empty(len(fills["qty"]))
    state = memory.blank()
    memory.more_instruments(state, len(multiplier))
    instruments = state["instruments"]
    instruments["multiplier"] = multiplier
    known = held[held["instrument_id"] < len(multiplier)]
    instruments["position"][known["instrument_id"]] = known["qty"]
    instruments["avg_px"][known["instrument_id"]] = known["avg_px"]
    columns = [np.ascontiguousarray(fills[name]) for name in ("instrument_id", "side", "qty", "px")]
    numbers, side, qty, px = columns
    closing_gains(Engine(state), numbers, side, qty, px, out)
    return out
