"""gpi's backtest engine against hftbacktest (Rust core, numba strategy): same records, same rule.

Counted: exchange records (a best bid and offer, or a trade) through matching engine, latency and strategy per
second of one thread; orders, fills and account kept in memory. Not counted, on either side: reading and
converting the data, building the engine, compiling. gpi also runs its pre-trade gate on every order and marks
equity; hftbacktest also replays every record a second time on the trader's side, which is how it models feed
latency. Fills differ: each has its own queue model.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from bench.harness import Peer, interleaved, machine, report, report_rates
from bench.records import LATENCY_NS, SCHEMA, batches, records
from gpi.formats.frame import Frame
from gpi.formats.words import SUBMIT
from gpi.tools.backtest.session import Session
from gpi.tools.backtest.setup import Latency, Setup
from gpi.tools.strategies.loading import load

TIMES = int(os.environ.get("GPI_BENCH_TIMES", "20"))


QUOTING = str(Path(__file__).parent / "strategies" / "quoting.py")


class Ours:
    """gpi's engine: the same frames again and again, a fresh session each time."""

    def __init__(self, ticks: Frame, strategy: str = QUOTING, **values: float) -> None:
        self.strategy, self.values, self.frames = strategy, values, list(batches(ticks))
        self.orders = self.fills = 0

    def run(self) -> float:
        """Seconds of one backtest."""
        latency = Latency(LATENCY_NS, LATENCY_NS, LATENCY_NS)
        session = Session(SCHEMA, Setup(load(self.strategy, self.values), latency=latency))
        told = []
        begun = time.perf_counter()
        for frame in self.frames:
            told.append(session.step(frame))
        told.append(session.finish())
        seconds = time.perf_counter() - begun
        self.orders = sum(int((part.orders["action"] == SUBMIT).sum()) for part in told)
        self.fills = sum(part.fills.rows for part in told)
        return seconds


def main(rounds: int) -> None:
    """Race and report."""
    ticks = records(TIMES)
    ours, idle = Ours(ticks), Ours(ticks, most=-1.0)
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/records.npz"
        np.savez(path, **ticks.columns)
        peer = Peer("peer_hftbacktest.py", path)
        runs = {
            "gpi": ours.run,
            "hftbacktest, strategy called per event": lambda: peer.run("by_event"),
            "hftbacktest, strategy called per 100 ms": lambda: peer.run("by_clock"),
            "gpi, no orders": idle.run,
            "hftbacktest, no orders": lambda: peer.run("watching"),
        }
        timings = interleaved(runs, rounds)
        peer.close()
    print(f"# {machine()}")
    print(f"# {ticks.rows:,} records, {peer.told['by_event']['events']:,} hftbacktest events, in turns")
    report_rates(timings, ticks.rows, "records/s")
    for one, other in (
        ("gpi", "hftbacktest, strategy called per event"),
        ("gpi", "hftbacktest, strategy called per 100 ms"),
        ("gpi, no orders", "hftbacktest, no orders"),
    ):
        report(f"{one} to {other}", timings[other].p50 / timings[one].p50, "times as fast")
    report("orders sent by gpi", ours.orders, "orders", f"fills {ours.fills}")
    for variant, told in peer.told.items():
        report(f"orders sent by hftbacktest {variant}", told["orders"], "orders", f"fills {told['fills']}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
