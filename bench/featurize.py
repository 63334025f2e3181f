"""What a tick costs to simulate and to featurize: in the kernel, for a single row, and from file to file.

Kernel and stage figures are of this process and count the whole step (frame widened, kernel run). The file
figures are of the real command, `gpi featurize in.arrow --out out.arrow`, its start included and, from a
second file of a few rows, subtracted.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.harness import interleaved, machine, report, timed, timing
from gpi.formats.frame import Frame
from gpi.tools.features.tick import tick_features
from gpi.tools.market.orderflow import simulate
from gpi.tools.market.scenarios import scenario

SYMBOLS = ("SPY", "NVDA")
GPI = str(Path(sys.executable).parent / "gpi")


def simulated(events: int, levels: int, batch: int = 8192) -> list[Frame]:
    """A calm market of two symbols, kept in memory."""
    return list(simulate(scenario("calm"), SYMBOLS, events=events, levels=levels, batch=batch).frames)


def featurized(frames: list[Frame]) -> Callable[[], float]:
    """A run over the frames from fresh memory."""
    stage = tick_features()

    def work() -> None:
        state = stage.start()
        for frame in frames:
            stage.step(state, frame)

    return timed(work)


def one_row(events: int = 20_000) -> None:
    """The step of a frame of one row, as a live stream brings it."""
    stage, seconds = tick_features(), []
    state = stage.start()
    for frame in simulated(events, 0, batch=1):
        begun = time.perf_counter()
        stage.step(state, frame)
        seconds.append(time.perf_counter() - begun)
    found = timing(seconds[events // 2 :])
    report(
        "featurize one row",
        found.p50 * 1e6,
        "us p50",
        f"p99 {found.p99 * 1e6:.3g}, min {found.best * 1e6:.3g}",
    )


def files(events: int, where: str, rounds: int = 3) -> None:
    """The command from file to file, on the file system of `where`; the first measures gpi, a disk measures itself."""
    with tempfile.TemporaryDirectory(dir=where) as folder:
        many, few, out = (f"{folder}/{name}.arrow" for name in ("many", "few", "out"))
        for path, rows in ((many, events), (few, 100)):
            command = [
                GPI,
                "simulate",
                "--events",
                str(rows),
                "--levels",
                "0",
                "--symbols",
                ",".join(SYMBOLS),
            ]
            subprocess.run([*command, "--out", path], check=True)

        def run(source: str) -> Callable[[], float]:
            return timed(lambda: subprocess.run([GPI, "featurize", source, "--out", out], check=True))

        found = interleaved({"many": run(many), "few": run(few)}, rounds)
        size = Path(many).stat().st_size / 1e6
    whole, start = found["many"].p50, found["few"].p50
    note = f"{events:,} ticks, {size:.0f} MB in, best of {rounds}: {events / found['many'].best:,.0f}"
    report(f"file to file on {where}", events / whole, "ticks/s", note)
    report("start of the command", start, "s")
    report(f"file to file on {where} without the start", events / max(whole - start, 1e-9), "ticks/s")


def main(events: int) -> None:
    """Measure and report."""
    print(f"# {machine()}")
    market = scenario("calm")
    frames = {levels: simulated(events, levels) for levels in (0, 5)}

    def drawing(levels: int) -> Callable[[], float]:
        return timed(lambda: [None for _ in simulate(market, SYMBOLS, events=events, levels=levels).frames])

    found = interleaved(
        {
            **{f"featurize, {levels} levels": featurized(frames[levels]) for levels in frames},
            **{f"simulate, {levels} levels": drawing(levels) for levels in frames},
        }
    )
    for name, each in found.items():
        note = f"p50 {each.p50 / events * 1e9:.3g}, {events / each.best:,.0f} ticks/s"
        report(name, each.best / events * 1e9, "ns per tick", note)
    one_row()
    for where in ("/dev/shm", tempfile.gettempdir()):
        if Path(where).is_dir():
            files(10 * events, where)


if __name__ == "__main__":
    main(int(float(sys.argv[1])) if len(sys.argv) > 1 else 1_000_000)
