"""A bench prints `name: value unit (ratio ...)` lines, measures rivals in turns, and says what it counted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("GPI_SHARED") or ROOT.parent / "shared") / "data"
PEERS = Path(os.environ.get("GPI_PEERS") or ROOT / "build" / "peers") / "bin" / "python"


class Timing(NamedTuple):
    """Seconds of the same work done several times."""

    best: float
    p50: float
    p99: float
    rounds: int


def interleaved(runs: Mapping[str, Callable[[], float]], rounds: int = 7) -> dict[str, Timing]:
    """Run everything once unmeasured, then in turns, so that a busy machine is unfair to all alike.

    A run gives the seconds it took, without whatever it does not count.
    """
    for run in runs.values():
        run()
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(rounds):
        order = list(runs.items())
        for name, run in order if turn % 2 == 0 else reversed(order):
            taken[name].append(run())
    return {name: timing(seconds) for name, seconds in taken.items()}


def timing(seconds: list[float]) -> Timing:
    """The least, the median and the 99th percentile."""
    return Timing(min(seconds), float(np.quantile(seconds, 0.5)), float(np.quantile(seconds, 0.99)), len(seconds))


def timed(work: Callable[[], Any]) -> Callable[[], float]:
    """`work` as a run: all of it counts."""

    def run() -> float:
        begun = time.perf_counter()
        work()
        return time.perf_counter() - begun

    return run


def report(name: str, value: float, unit: str, ratio: str = "") -> None:
    """One line of a result."""
    text = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    print(f"{name}: {text} {unit}" + (f" ({ratio})" if ratio else ""), flush=True)


def report_rates(timings: Mapping[str, Timing], items: int, unit: str, against: str | None = None) -> None:
    """Items per second of each, best and median of the rounds; ratios of the medians to the one named."""
    for name, found in timings.items():
        spread = f"best of {found.rounds}: {items / found.best:,.0f}"
        ratio = "" if against in (None, name) else f"ratio {timings[against].p50 / found.p50:.2f} to {against}, "
        report(name, items / found.p50, unit, ratio + spread)


def data(name: str) -> Path:
    """A file of real market data; the bench ends with the reason where it is absent."""
    path = SHARED / name
    if not path.exists():
        raise SystemExit(f"real data absent: {path} (set GPI_SHARED to the folder that has data/)")
    return path


class Peer:
    """Another system in its own virtual environment: a worker that repeats one run whenever asked to."""

    def __init__(self, script: str, *arguments: str) -> None:
        if not PEERS.exists():
            raise SystemExit(f"no peers at {PEERS}: run `make bench-peers` (or set GPI_PEERS)")
        command = [str(PEERS), str(ROOT / "bench" / "peers" / script), *arguments]
        self._worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.told: dict[str, Any] = {}

    def run(self, variant: str) -> float:
        """Seconds of one run; what else the worker counted is in `told[variant]`."""
        assert self._worker.stdin is not None and self._worker.stdout is not None
        self._worker.stdin.write(variant + "\n")
        self._worker.stdin.flush()
        line = self._worker.stdout.readline()
        if not line:
            raise SystemExit(f"the peer died running {variant!r} (exit {self._worker.wait()})")
        self.told[variant] = json.loads(line)
        return float(self.told[variant]["seconds"])

    def close(self) -> None:
        """Let the worker end."""
        assert self._worker.stdin is not None
        self._worker.stdin.close()
        self._worker.wait()


def machine() -> str:
    """What this ran on, in a line."""
    model = "unknown cpu"
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        named = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        model = named[0].partition(":")[2].strip() if named else model
    load = os.getloadavg()[0]
    return f"{model}, {os.cpu_count()} cores, load {load:.1f}, python {sys.version.split()[0]}"
