"""gpi's backtest engine against NautilusTrader's (Cython core, Python strategy): same records, same rule.

Counted: exchange records (a best bid and offer, or a trade) through matching, latency, risk checks and
strategy per second of one thread, the strategy called at every record. Not counted, on either side: reading
the data and making QuoteTick objects or frames, building the engine, compiling. gpi runs the rule twice: as a
plain Python class, which is the like of NautilusTrader's strategies, and as a compiled kernel. NautilusTrader
keeps more (orders as event-sourced objects, a message bus, a cache). Orders take 1 ms on both sides; gpi also
delays the data by 1 ms.
"""

from __future__ import annotations

import os
import sys
import tempfile

import numpy as np

from bench.harness import Peer, interleaved, machine, report, report_rates
from bench.hftbacktest_race import QUOTING, Ours
from bench.records import records

TIMES = int(os.environ.get("GPI_BENCH_TIMES", "1"))


def main(rounds: int) -> None:
    """Race and report."""
    ticks = records(TIMES)
    slow, fast = Ours(ticks, f"{QUOTING}:Slow"), Ours(ticks)
    slow_idle, fast_idle = Ours(ticks, f"{QUOTING}:Slow", most=-1.0), Ours(ticks, most=-1.0)
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/records.npz"
        np.savez(path, **ticks.columns)
        peer = Peer("peer_nautilus.py", path)
        timings = interleaved(
            {
                "gpi, compiled strategy": fast.run,
                "gpi, Python strategy": slow.run,
                "NautilusTrader": lambda: peer.run("quoting"),
                "gpi, compiled strategy, no orders": fast_idle.run,
                "gpi, Python strategy, no orders": slow_idle.run,
                "NautilusTrader, no orders": lambda: peer.run("watching"),
            },
            rounds,
        )
        peer.close()
    print(f"# {machine()}")
    print(f"# {ticks.rows:,} records, in turns")
    report_rates(timings, ticks.rows, "records/s")
    for one in ("gpi, compiled strategy", "gpi, Python strategy"):
        for what in ("", ", no orders"):
            other = f"NautilusTrader{what}"
            report(f"{one}{what} to {other}", timings[other].p50 / timings[one + what].p50, "times as fast")
    report("orders sent by gpi", fast.orders, "orders", f"fills {fast.fills}")
    report("orders sent by gpi, Python strategy", slow.orders, "orders", f"fills {slow.fills}")
    told = peer.told["quoting"]
    report("orders sent by NautilusTrader", told["orders"], "orders", f"fills {told['fills']}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
