"""A day of research without the command line: a DataFrame in, two parameters compared, results as DataFrames.

    python examples/in_python.py

The market is drawn here; with a recording of yours, `source` is its path.
"""

import numpy as np
import pandas as pd

import gpi
from gpi.tools.strategies.view import View


def quotes(rows: int = 20_000, seed: int = 1) -> pd.DataFrame:
    """A walk of whole cents, ten quotes a second."""
    dice = np.random.default_rng(seed)
    mid = 100.0 + np.cumsum(dice.integers(-1, 2, rows)) / 100
    half = dice.integers(1, 3, rows) / 100
    times = pd.date_range("2026-03-02 15:00", periods=rows, freq="100ms", tz="UTC")
    sizes = dice.integers(1, 10, (2, rows)) * 100.0
    return pd.DataFrame({
        "ts_event": times, "symbol": "SPY",
        "bid_px": (mid - half).round(2), "bid_sz": sizes[0], "ask_px": (mid + half).round(2), "ask_sz": sizes[1],
    })  # fmt: skip


class Lean:
    """Buy when the displayed book leans to the bid, sell when it leans the other way. No promise of profit."""

    def __init__(self, threshold: float = 0.5, qty: float = 100.0) -> None:
        self.threshold, self.qty = threshold, qty

    def on_tick(self, view: View) -> None:
        """Wait for our orders, leave at once, enter when the book leans."""
        if view.orders or not view.bid_px < view.ask_px:
            return
        if view.position > 0:
            view.sell(view.position, view.bid_px, tif="ioc")
        elif view.position < 0:
            view.buy(-view.position, view.ask_px, tif="ioc")
        elif view.imbalance > self.threshold:
            view.buy(self.qty, view.ask_px, tif="ioc")


def main() -> None:
    """Compare two thresholds, look at the fills of the better one."""
    market = quotes()
    runs = {
        threshold: gpi.backtest(market, Lean, params={"threshold": threshold}, cash=100_000, fees="alpaca_equity")
        for threshold in (0.5, 0.7)
    }
    table = pd.DataFrame({
        "fills": {key: len(run.fills) for key, run in runs.items()},
        "profit": {key: round(run.profit, 2) for key, run in runs.items()},
        "sharpe": {key: run.metrics["sharpe"] for key, run in runs.items()},
        "its standard error": {key: run.metrics["sharpe_standard_error"] for key, run in runs.items()},
    })  # fmt: skip
    print(table.to_string())
    best = max(runs.values(), key=lambda run: run.profit)
    fills = best.fills.to_pandas()
    print(fills.groupby("side")["qty"].agg(["count", "sum"]).to_string())


if __name__ == "__main__":
    main()
