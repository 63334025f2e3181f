"""Tick to order: four processes on pipes, the same fused in one, and one hop beside pyarrow's own.

Counted: from the moment the source process has a one-row tick to the moment the order it causes can be read from the
trader's stdout (a fourth hop, back to the source, is included because the clock is there).
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter_ns

import numpy as np
import pyarrow as pa

from bench.harness import ROOT, report
from gpi.formats.frame import Frame, Layout
from gpi.formats.ipc import Reader, Writer
from gpi.formats.ticks import TICKS
from gpi.formats.words import QUOTE
from gpi.tools.backtest.session import Session
from gpi.tools.backtest.setup import Setup
from gpi.tools.embed.tick import tick_embedding
from gpi.tools.features.tick import tick_features
from gpi.tools.market.orderflow import simulate
from gpi.tools.market.scenarios import scenario
from gpi.tools.risk.limits import read as read_limits
from gpi.tools.strategies.loading import load

TICKS_SENT = 8000
WARM = 1000
GPI = [sys.executable, "-m", "gpi.cli.main"]


def quotes(count: int) -> tuple[pa.Schema, list[Frame]]:
    """One-row frames of a calm market's quotes, 20 ms of event time apart (below the gate's order rate)."""
    stream = simulate(scenario("calm"), ["SPY"], seed=3, events=4 * count, levels=0, batch=4 * count)
    frame = next(stream.frames)
    rows = np.flatnonzero((frame["kind"] == QUOTE) & (frame["bid_sz"] > 0) & (frame["ask_sz"] > 0))[:count]
    start = frame["ts_event"][0]
    singles = []
    for n, row in enumerate(rows):
        single = frame.slice(row, row + 1).copy()
        single["ts_event"][0] = single["ts_recv"][0] = start + n * 20_000_000
        singles.append(single)
    return stream.schema, singles


def percentiles(name: str, ns: np.ndarray, unit: str = "us") -> float:
    """Report p50 and p99; gives the p50 in us."""
    p50, p90, p99 = (float(np.quantile(ns, q)) / 1e3 for q in (0.5, 0.9, 0.99))
    report(name, p50, unit, f"p50; p90 {p90:.1f}, p99 {p99:.1f}, {len(ns):,} ticks")
    return p50


def over_pipes(schema: pa.Schema, singles: list[Frame]) -> np.ndarray:
    """Round trips in ns through featurize, embed and trade, each a process."""
    strategy = ROOT / "bench" / "strategies" / "always.py"
    with tempfile.TemporaryDirectory() as folder:
        stages = [
            ["featurize"],
            ["embed"],
            ["trade", "--paper", "--strategy", str(strategy), "--out", f"{folder}/run"],
        ]
        first_in, into = os.pipe()
        before, children = first_in, []
        for words in stages:
            child = subprocess.Popen(
                [*GPI, *words], stdin=before, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT
            )
            os.close(before)
            assert child.stdout is not None
            before = os.dup(child.stdout.fileno())
            child.stdout.close()
            children.append(child)
        writer, times = Writer(into, schema), []
        writer.write(singles[0])
        orders = iter(Reader(before))
        next(orders)
        for single in singles[1:]:
            began = perf_counter_ns()
            writer.write(single)
            next(orders)
            times.append(perf_counter_ns() - began)
        writer.close()
        os.close(into)
        for _ in orders:
            pass
        for child in children:
            assert child.wait() == 0
        os.close(before)
    return np.array(times[WARM:])


def fused(schema: pa.Schema, singles: list[Frame], strategy: str, embedded: bool) -> np.ndarray:
    """Times in ns of the same stages in one process: features, (embedding,) strategy, gate, paper order."""
    stage = tick_features() | tick_embedding() if embedded else tick_features()
    state, session = stage.start(), Session(stage.gives(schema), Setup(load(strategy), read_limits(None)))
    times = []
    for single in singles:
        began = perf_counter_ns()
        session.step(stage.step(state, single))
        times.append(perf_counter_ns() - began)
    return np.array(times[WARM:])


def our_hop(singles: list[Frame]) -> np.ndarray:
    """One row written to a pipe and read from it, columns as numpy, by our crossing."""
    out_of, into = os.pipe()
    writer = Writer(into, TICKS)
    frames, times = iter(Reader(out_of)), []
    for single in singles:
        began = perf_counter_ns()
        writer.write(single)
        next(frames)["bid_px"]
        times.append(perf_counter_ns() - began)
    os.close(into), os.close(out_of)
    return np.array(times[WARM:])


def arrow_hop(singles: list[Frame]) -> np.ndarray:
    """The same by pyarrow: a batch built from the columns, its stream writer and reader, columns as numpy."""
    out_of, into = os.pipe()
    sink, source = os.fdopen(into, "wb", 0), os.fdopen(out_of, "rb")
    layout, times = Layout.of(TICKS), []
    writer = pa.ipc.new_stream(sink, TICKS)
    reader = None
    for single in singles:
        began = perf_counter_ns()
        arrays = [pa.array(single[c.name]).view(f.type) for c, f in zip(layout.columns, TICKS, strict=True)]
        writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=TICKS))
        if reader is None:
            reader = pa.ipc.open_stream(source)
        batch = reader.read_next_batch()
        _ = [column.to_numpy(zero_copy_only=False) for column in batch.columns]
        times.append(perf_counter_ns() - began)
    writer.close()
    sink.close(), source.close()
    return np.array(times[WARM:])


def main() -> None:
    """Print the figures, each pair measured in this run."""
    schema, singles = quotes(TICKS_SENT)
    always = str(Path(ROOT, "bench", "strategies", "always.py"))
    fused(schema, singles[:2000], always, True), fused(schema, singles[:2000], "momentum", False)
    ours, theirs = (
        percentiles("one hop, one row", our_hop(singles)),
        percentiles("the same by pyarrow", arrow_hop(singles)),
    )
    report("pyarrow / ours", theirs / ours, "times")
    piped = percentiles("tick to order, four processes on pipes (target 150)", over_pipes(schema, singles))
    one = percentiles("the same stages fused in one process", fused(schema, singles, always, True))
    report("pipes / fused", piped / one, "times")
    percentiles(
        "fused, ten features + linear tier + momentum + gate + paper order (target 15)",
        fused(schema, singles, "momentum", False),
    )
    percentiles("the same with market making", fused(schema, singles, "market_making", False))
    percentiles("the same with a new order on every tick", fused(schema, singles, always, False))


if __name__ == "__main__":
    main()
