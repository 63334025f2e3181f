"""How well the tick encoder forecasts, out of sample, against baselines: the tables of docs/models.md.

On two real days (LOBSTER, where present): five seeds trained on each day's first three fifths, and the shipped model,
which has seen neither, on the same test windows. And the shipped model on simulated markets of other seeds. About
five minutes on one core.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from bench.harness import SHARED, machine
from gpi.formats.quarantine import Quarantine
from gpi.tools.embed.tick import SHIPPED, tick_embedding
from gpi.tools.features.tick import tick_features
from gpi.tools.feeds.files import open_ticks
from gpi.tools.learn.evaluation import evaluate_tick
from gpi.tools.learn.tick import train_tick
from gpi.tools.market.orderflow import simulate
from gpi.tools.market.scenarios import scenario
from gpi.tools.memory.remember import Remembering, remembering
from gpi.tools.stage import Stream

DAYS = {"AAPL": "eq_lob_lobster_AAPL_20120621_L1.parquet", "AMZN": "eq_lob_lobster_AMZN_20120621_L5.parquet"}
MARKETS = (("calm", 11), ("flash-crash", 12))


def recorded(path: Path) -> Stream:
    """A real day with features."""
    return tick_features()(open_ticks([path], batch=8192, quarantine=Quarantine()))


def simulated(name: str, seed: int) -> Stream:
    """A session of two symbols that the shipped model has not seen."""
    return tick_features()(simulate(scenario(name), ["NVDA", "QQQ"], seed, duration_s=23_400.0))


def told(what: str, direction: dict[str, Any], volatility: dict[str, Any]) -> None:
    """A row of both tables."""

    def cell(found: Any) -> str:
        return f"{found:.3f}" if isinstance(found, float) else f"{found['mean']:.3f} +- {found['standard_error']:.3f}"

    cells = {**direction, **volatility}
    print(f"  {what:<34}" + "  ".join(f"{name} {cell(value)}" for name, value in cells.items()), flush=True)


def baselines(report: dict[str, Any]) -> None:
    """The rows of what needs no network."""
    for name, found in report["baselines"]["direction"].items():
        told(name, found, {})
    for name, found in report["baselines"]["volatility"].items():
        told(name, {}, found)


def bank_knows(stream: Stream) -> float:
    """Correlation of `match_return` with the five seconds after, over a day learnt as it passes."""
    stage = remembering(Remembering())
    state, frames = stage.start(), []
    for frame in tick_embedding()(stream).frames:
        out = stage.step(state, frame)
        frames.append(np.column_stack([out[c] for c in ("ts_event", "bid_px", "ask_px", "match_return")]))
    ts, bid, ask, said = np.concatenate(frames).T
    mid = (bid + ask) / 2
    then = mid[np.searchsorted(ts, ts + 5e9, side="right") - 1] / mid - 1
    told = np.isfinite(said) & np.isfinite(then)
    return float(np.corrcoef(said[told], then[told])[0, 1])


def main() -> None:
    """All tables."""
    print(machine())
    for name, file in DAYS.items():
        if not (SHARED / file).exists():
            print(f"{name}: real data absent: {SHARED / file}")
            continue
        with tempfile.TemporaryDirectory() as folder:
            trained = train_tick(recorded(SHARED / file), Path(folder))
        served = evaluate_tick(recorded(SHARED / file), SHIPPED)
        print(f"{name}: {trained['samples']} windows, flat within {served['alpha_bps']:.3f} bps")
        told("trained here, 5 seeds", trained["direction"], trained["volatility"])
        told("shipped, trained on simulation", served["direction"], served["volatility"])
        baselines(trained)
        print(f"  bank: correlation of match_return with what followed {bank_knows(recorded(SHARED / file)):.3f}")
    for name, seed in MARKETS:
        served = evaluate_tick(simulated(name, seed), SHIPPED)
        print(f"simulated {name}, seed {seed}: {served['samples']} windows")
        told("shipped", served["direction"], served["volatility"])
        baselines(served)


if __name__ == "__main__":
    main()
