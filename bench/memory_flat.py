"""Memory while millions of simulated ticks stream through featurize: in process, then through a pipe.

Flat means that the resident set after the first tenth of the ticks is that of the end. N by argument or
GPI_BENCH_N, 50 million by default.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from bench.harness import machine, report
from gpi.tools.features.tick import tick_features
from gpi.tools.market.orderflow import simulate
from gpi.tools.market.scenarios import scenario

GPI = str(Path(sys.executable).parent / "gpi")
PAGE = os.sysconf("SC_PAGE_SIZE")


def resident(pid: int | str = "self") -> float:
    """Megabytes a process holds in memory now; 0 when it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE / 1e6
    except (FileNotFoundError, ProcessLookupError):
        return 0.0


def told(name: str, samples: list[float], events: int, seconds: float) -> None:
    """The resident set after a tenth, its largest and its end, and the rate."""
    warm = samples[len(samples) // 10 :]
    report(f"{name}: resident after a tenth", warm[0], "MB", f"largest {max(warm):.1f}, end {warm[-1]:.1f}")
    slope = np.polyfit(np.linspace(0, events / 1e6, len(samples))[len(samples) // 10 :], warm, 1)[0]
    report(f"{name}: growth", slope * 1e3, "kB per million ticks")
    report(f"{name}: rate", events / seconds, "ticks/s")


def inside(events: int) -> None:
    """simulate and featurize in this process."""
    stream = tick_features()(simulate(scenario("calm"), ("SPY", "NVDA"), events=events, batch=8192))
    samples, done, begun = [resident()], 0, time.perf_counter()
    for frame in stream.frames:
        done += frame.rows
        if done * 100 >= events * len(samples):
            samples.append(resident())
    assert done == events
    told("in process", samples, events, time.perf_counter() - begun)


def piped(events: int) -> None:
    """`gpi simulate | gpi featurize > /dev/null`, both watched."""
    begun = time.perf_counter()
    command = [GPI, "simulate", "--symbols", "SPY,NVDA", "--levels", "0", "--events", str(events)]
    first = subprocess.Popen(command, stdout=subprocess.PIPE)
    second = subprocess.Popen([GPI, "featurize"], stdin=first.stdout, stdout=subprocess.DEVNULL)
    assert first.stdout is not None
    first.stdout.close()
    samples: dict[str, list[float]] = {"simulate": [], "featurize": []}
    while second.poll() is None:
        time.sleep(0.1)
        for name, process in (("simulate", first), ("featurize", second)):
            now = resident(process.pid)
            if now and first.poll() is None:
                samples[name].append(now)
    if first.wait() or second.returncode:
        raise SystemExit(f"the pipe failed: exits {first.returncode} and {second.returncode}")
    seconds = time.perf_counter() - begun
    for name, found in samples.items():
        told(f"pipe, {name}", found[len(found) // 5 :], events, seconds)  # a fifth of the time: start, compile


def main(events: int) -> None:
    """Measure and report."""
    print(f"# {machine()}; {events:,} ticks of two symbols")
    inside(events)
    piped(events)


if __name__ == "__main__":
    main(int(float(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("GPI_BENCH_N", "50e6"))))
