"""Stylised facts: what one symbol's ticks look like, in numbers that can be compared with real ones.

Cont, "Empirical properties of asset returns: stylized facts and statistical issues", Quantitative Finance 1,
2001; Vyetrenko et al., "Get real: realism metrics for robust limit order book market simulations", ICAIF
2020; order flow imbalance after Cont, Kukanov, Stoikov, Journal of Financial Econometrics 12(1), 2014.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from gpi.formats.frame import Frame
from gpi.formats.words import QUOTE, SECOND, TRADE

Array = npt.NDArray[Any]


def facts(ticks: Frame, instrument_id: int = 0) -> dict[str, float]:
    """The facts of one instrument in a frame of ticks/1 spanning ten minutes or more. Names say units.

    Returns are of the mid, sampled in event time every 1, 10 and 60 seconds; trade signs are one per market
    order (executions of one side at one time are one order).
    """
    own = ticks["instrument_id"] == instrument_id
    quotes, trades = (own & (ticks["kind"] & bit > 0) for bit in (QUOTE, TRADE))
    ts, book = (
        ticks["ts_event"][quotes],
        [ticks[name][quotes] for name in ("bid_px", "bid_sz", "ask_px", "ask_sz")],
    )
    executions = tuple(ticks[name][trades] for name in ("ts_event", "side", "trade_sz"))
    mid = 0.5 * (book[0] + book[2])
    return {
        **_returns(ts, mid),
        **_flow(ticks["ts_event"][own], executions),
        **_signs(executions[0], executions[1]),
        **_book(ts, mid, book),
        "volume_volatility": _volume_volatility(ts, mid, executions[0], executions[2]),
    }


def autocorrelation(x: Array, lag: int) -> float:
    """Sample autocorrelation of x at a lag; NaN without variance."""
    y = x - x.mean()
    power = float(y @ y)
    return float(y[:-lag] @ y[lag:]) / power if power > 0.0 else float("nan")


def sampled(ts: Array, values: Array, every_ns: int) -> Array:
    """The last value at or before each multiple of `every_ns` after the first."""
    grid = np.arange(ts[0] + every_ns, ts[-1] + 1, every_ns)
    return values[np.searchsorted(ts, grid, side="right") - 1]


def hill(x: Array, share: float = 0.05) -> float:
    """Tail exponent of |x| from its largest `share`, zeros left out (Hill, Annals of Statistics 3, 1975)."""
    tail = np.sort(np.abs(x[x != 0.0]))[::-1]
    k = max(10, int(share * len(tail)))
    return float(1.0 / np.mean(np.log(tail[:k] / tail[k]))) if len(tail) > k else float("nan")


def _returns(ts: Array, mid: Array) -> dict[str, float]:
    r1, r10, r60 = (np.diff(np.log(sampled(ts, mid, every * SECOND))) for every in (1, 10, 60))
    size = np.abs(r1)
    return {
        "return_1s_bps": float(r1.std()) * 1e4,
        "variance_ratio_60s": float(r60.var() / (60.0 * r1.var())),
        "acf1_return_1s": autocorrelation(r1, 1),
        "acf1_return_10s": autocorrelation(r10, 1),
        "kurtosis_1s": _kurtosis(r1),
        "kurtosis_10s": _kurtosis(r10),
        "kurtosis_60s": _kurtosis(r60),
        "hill_10s": hill(r10),
        **{f"acf{lag}_abs_return_1s": autocorrelation(size, lag) for lag in (1, 10, 50, 100)},
    }


def _kurtosis(r: Array) -> float:
    y = r - r.mean()
    return float(np.mean(y**4) / np.mean(y**2) ** 2)


def _flow(ts: Array, executions: tuple[Array, ...]) -> dict[str, float]:
    span = float(ts[-1] - ts[0]) / SECOND
    counts = np.bincount((ts - ts[0]) // (10 * SECOND))[:-1]
    gaps = np.diff(ts) / SECOND
    thirteenths = np.histogram(ts, bins=13)[0]
    return {
        "events_per_s": len(ts) / span,
        "trades_share": len(executions[0]) / len(ts),
        "trade_sz_median": float(np.median(executions[2])),
        "gap_cv": float(gaps.std() / gaps.mean()),  # 1 for Poisson arrivals
        "gap_median_ms": float(np.median(gaps)) * 1e3,
        "edges_to_middle": float(thirteenths[[0, -1]].mean() / thirteenths[5:8].mean()),  # half hours of a day
        "fano_10s": float(counts.var() / counts.mean()),  # 1 for Poisson arrivals
    }


def _signs(ts: Array, side: Array) -> dict[str, float]:
    first = np.ones(len(ts), bool)
    first[1:] = (np.diff(ts) > 0) | (side[1:] != side[:-1])
    signs = side[first].astype(np.float64)
    found = {lag: autocorrelation(signs, lag) for lag in (1, 2, 5, 10, 20, 50)}
    lags = np.array([lag for lag, value in found.items() if value > 0.0])
    slope = np.polyfit(np.log(lags), np.log([found[lag] for lag in lags]), 1)[0] if len(lags) > 2 else float("nan")
    return {**{f"acf{lag}_sign": found[lag] for lag in (1, 5, 10, 50)}, "sign_exponent": -float(slope)}


def _book(ts: Array, mid: Array, book: list[Array]) -> dict[str, float]:
    bid, bid_sz, ask, ask_sz = book
    moves = np.nonzero(np.diff(mid))[0]
    now = np.arange(moves[-1] + 1)
    ahead = np.sign(np.diff(mid)[moves[np.searchsorted(moves, now)]])
    imbalance = ((bid_sz - ask_sz) / (bid_sz + ask_sz))[: len(now)]
    flow = order_flow_imbalance(bid, bid_sz, ask, ask_sz)
    cell = (ts[1:] - ts[0]) // (10 * SECOND)
    pressure, move = np.bincount(cell, flow), np.bincount(cell, np.diff(mid))
    return {
        "spread_bps": float(np.mean((ask - bid) / mid)) * 1e4,
        "touch_sz_median": float(np.median(bid_sz)),
        "moves_share": len(moves) / len(mid),  # quotes that move the mid
        "imbalance_next_move": float(np.corrcoef(imbalance, ahead)[0, 1]),
        "ofi_r2_10s": float(np.corrcoef(pressure, move)[0, 1] ** 2),
        "ofi_next_10s": float(np.corrcoef(pressure[:-1], move[1:])[0, 1]),
    }


def order_flow_imbalance(bid: Array, bid_sz: Array, ask: Array, ask_sz: Array) -> Array:
    """Cont, Kukanov, Stoikov's e_n between quotes n - 1 and n, shares, (quotes - 1,)."""
    bids: Array = (bid[1:] >= bid[:-1]) * bid_sz[1:] - (bid[1:] <= bid[:-1]) * bid_sz[:-1]
    asks: Array = (ask[1:] <= ask[:-1]) * ask_sz[1:] - (ask[1:] >= ask[:-1]) * ask_sz[:-1]
    return bids - asks


def _volume_volatility(ts: Array, mid: Array, trade_ts: Array, trade_sz: Array) -> float:
    """Correlation of a minute's volume with its summed absolute 1-second returns."""
    path = np.abs(np.diff(np.log(sampled(ts, mid, SECOND))))
    minutes = len(path) // 60
    volume = np.bincount(np.maximum(trade_ts - ts[0], 0) // (60 * SECOND), trade_sz, minlength=minutes)[:minutes]
    return float(np.corrcoef(volume, path[: 60 * minutes].reshape(-1, 60).sum(axis=1))[0, 1])
