"""Vendors' files becoming ticks: a CSV file of a million quotes, and the level updates of a Parquet file.

`python -m bench.importing --against CHECKOUT`: the same with another checkout of this repository, installed in its own
.venv, in turns. Beside the CSV file is what pyarrow takes to read every column of it into memory, with one thread.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import csv

from bench.harness import ROOT, data, interleaved, report_rates, timed

QUOTES = 1_000_000
SYMBOLS = ("AAPL", "MSFT", "NVDA", "SPY", "TSLA")
DEPTH = "cr_depth_binance_spot_20240808.parquet"
BEGIN_NS = 1_760_000_000_000_000_000
WORKER = """
import sys, time
from pathlib import Path
from gpi.formats.quarantine import Quarantine
from gpi.tools.feeds.files import open_ticks

for line in sys.stdin:
    begun, rows = time.perf_counter(), 0
    held = Quarantine()
    for frame in open_ticks([Path(line.strip())], batch=8192, quarantine=held).frames:
        rows += frame.rows
    print(time.perf_counter() - begun, held.rows_in, flush=True)
"""


class Importer:
    """A process that opens files with the gpi of a checkout."""

    def __init__(self, root: Path) -> None:
        command = [str(root / ".venv/bin/python") if root != ROOT else sys.executable, "-c", WORKER]
        self._worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=root, text=True)
        self.rows = 0

    def run(self, path: Path) -> float:
        """Seconds from opening a file to its last tick; `rows` are those that the file has."""
        assert self._worker.stdin is not None and self._worker.stdout is not None
        self._worker.stdin.write(f"{path}\n")
        self._worker.stdin.flush()
        seconds, rows = self._worker.stdout.readline().split()
        self.rows = int(rows)
        return float(seconds)

    def close(self) -> None:
        """Let it end."""
        self._worker.communicate()


def quotes(path: Path, rows: int = QUOTES) -> None:
    """A flat file as Polygon sells it: all columns of its quotes, sorted by ticker."""
    drawn = np.random.default_rng(1)
    ids = np.sort(drawn.integers(0, len(SYMBOLS), rows))
    times = BEGIN_NS + np.cumsum(drawn.integers(1, 1_000_000, rows))
    mid = np.round(100 + np.cumsum(drawn.normal(0, 0.005, rows)), 2)
    table = {
        "ticker": np.array(SYMBOLS)[ids],
        "ask_exchange": drawn.integers(1, 20, rows),
        "ask_price": np.round(mid + 0.01, 2),
        "ask_size": drawn.integers(1, 30, rows),
        "bid_exchange": drawn.integers(1, 20, rows),
        "bid_price": np.round(mid - 0.01, 2),
        "bid_size": drawn.integers(1, 30, rows),
        "conditions": np.where(drawn.random(rows) < 0.5, "1", "1,81"),
        "indicators": np.where(drawn.random(rows) < 0.1, "604", ""),
        "participant_timestamp": times - 20_000,
        "sequence_number": np.arange(1, rows + 1),
        "sip_timestamp": times,
        "tape": drawn.integers(1, 4, rows),
        "trf_timestamp": np.zeros(rows, np.int64),
    }
    csv.write_csv(pa.table(table), path)


def main() -> None:
    """Both kinds of file, in turns."""
    parser = argparse.ArgumentParser(prog="python -m bench.importing", description=__doc__)
    parser.add_argument("--against", type=Path, help="another checkout of this repository")
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    importers = {"gpi": Importer(ROOT)}
    if given.against is not None:
        importers["there"] = Importer(given.against.resolve())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "quotes.csv")
        quotes(path)
        runs: dict[str, Callable[[], float]] = {n: partial(each.run, path) for n, each in importers.items()}
        runs["pyarrow"] = timed(lambda: csv.read_csv(path, csv.ReadOptions(use_threads=False)))
        told = interleaved(runs, given.rounds)
    rival = "pyarrow" if given.against is None else "there"
    print("# a CSV file of quotes")
    report_rates(told, QUOTES, "rows/s", rival)
    told = interleaved({n: partial(each.run, data(DEPTH)) for n, each in importers.items()}, given.rounds)
    print("# level updates of a Parquet file")
    report_rates(told, importers["gpi"].rows, "updates/s", rival if rival in told else None)
    for each in importers.values():
        each.close()


if __name__ == "__main__":
    main()
