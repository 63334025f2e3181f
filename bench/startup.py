"""How long commands take to start: `gpi --help` beside a bare Typer program, and each command's help and first row.

`python -m bench.startup --against CHECKOUT`: the warm start of every command, here and in another checkout of this
repository, in turns, with the same packages; ratios of the medians.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.harness import ROOT, interleaved, report, timed
from gpi.cli.main import COMMANDS

BARE = """
import typer
app = typer.Typer(rich_markup_mode={markup})

@app.command()
def hello(name: str = "you") -> None:
    '''Say hello.'''

@app.command()
def bye(name: str = "you") -> None:
    '''Say bye.'''

app()
"""
GPI = str(Path(sys.executable).with_name("gpi"))


def main() -> None:
    """Print wall times of whole processes, taken in turns."""
    parser = argparse.ArgumentParser(prog="python -m bench.startup", description=__doc__)
    parser.add_argument("--against", type=Path, help="another checkout of this repository")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    if given.against is not None:
        compared(given.against.resolve(), given.rounds)
        return
    with tempfile.TemporaryDirectory() as folder:
        plain, rich = Path(folder, "bare_plain.py"), Path(folder, "bare_rich.py")
        plain.write_text(BARE.format(markup=None))
        rich.write_text(BARE.format(markup="'rich'"))
        found = interleaved(
            {
                "gpi --help": timed(lambda: _run(GPI, "--help")),
                "bare Typer --help, plain": timed(lambda: _run(sys.executable, str(plain), "--help")),
                "bare Typer --help, rich": timed(lambda: _run(sys.executable, str(rich), "--help")),
            },
            rounds=11,
        )
        base = found["bare Typer --help, plain"].p50
        for name, each in found.items():
            report(
                name,
                each.p50 * 1e3,
                "ms",
                f"ratio {each.p50 / base:.2f} to the plain one, best {each.best * 1e3:.0f}",
            )
        ticks = Path(folder, "ticks.arrow")
        _run(GPI, "simulate", "--events", "10", "--out", str(ticks))
        pipes = {
            "replay": f"replay {ticks}",
            "simulate": "simulate --events 10",
            "featurize": f"featurize {ticks}",
            "embed": f"run 'replay {ticks} | featurize | embed'",
            "trade": f"trade --paper {ticks}",
            "query": "query 'select 1'",
        }
        for name, line in pipes.items():
            words = _split(line)
            times = [timed(lambda words=words: _run(GPI, *words))() for _ in range(4)][1:]
            report(f"warm start to the last of ten rows: gpi {name}", statistics.median(times) * 1e3, "ms")
        for name in COMMANDS:
            times = [timed(lambda name=name: _run(GPI, name, "--help"))() for _ in range(3)]
            report(f"gpi {name} --help", statistics.median(times) * 1e3, "ms")


def compared(other: Path, rounds: int) -> None:
    """Every command here and there, in turns."""
    with tempfile.TemporaryDirectory() as folder:
        ticks, run, bank = (f"{folder}/{name}" for name in ("ticks.arrow", "run", "bank"))
        embedded, lake = f"{folder}/embedded.arrow", f"{folder}/ticks.parquet"
        for line in (
            f"simulate --events 3000 --levels 0 --out {ticks}",
            f"run 'replay {ticks} | featurize | embed' --out {embedded}",
            f"index build {embedded} --bank {bank}",
            f"trade --paper --out {run} {ticks}",
            f"replay {ticks} --out {lake}",
        ):
            _run(GPI, *_split(line))
        lines = {
            "--help": "--help",
            "replay": f"replay {ticks}",
            "simulate": "simulate --events 10",
            "featurize": f"featurize {ticks}",
            "embed": f"run 'replay {ticks} | featurize | embed'",
            "index": f"index match --bank {bank} {embedded}",
            "trade": f"trade --paper {ticks}",
            "backtest": f"backtest {ticks}",
            "risk-check": f"risk-check {run}",
            "run": f"run 'replay {ticks} | featurize'",
            "query": "query 'select 1'",
            "verify": f"verify {run}",
            "doctor": "doctor",
        }
        missing = [name for name in COMMANDS if name not in (*lines, "capture", "venue", "train", "chaos")]
        assert not missing, f"no line for {missing}"
        for name, line in lines.items():
            _told(name, {root: timed(lambda root=root, line=line: _in(root, line)) for root in (ROOT, other)}, rounds)
        for name in ("train", "chaos"):  # work for minutes: as far as their help
            each = {root: timed(lambda root=root, name=name: _in(root, f"{name} --help")) for root in (ROOT, other)}
            _told(f"{name} --help", each, rounds)
        ready = Path(folder, "venue.json")
        _told("venue, until ready", {root: (lambda root=root: _venue(root, ready)) for root in (ROOT, other)}, rounds)
        served = _serving(ROOT, ready)
        try:
            words = f"capture --source venue --venue-ready {ready} --symbols SPY --journal {folder}/feed"
            each = {root: (lambda root=root: _until(root, words, "subscribed")) for root in (ROOT, other)}
            _told("capture, until subscribed", each, rounds)
            url = json.loads(ready.read_text())["gpi.venue"]["url"]
            words = f"trade --broker alpaca --paper --url {url} --key-file {ready} --journal {folder}/orders {ticks}"
            each = {root: (lambda root=root: _until(root, words, "reconciled")) for root in (ROOT, other)}
            _told("trade --broker, until it trades", each, rounds)
        finally:
            served.terminate()
            served.wait(20)


def _told(name: str, runs: dict[Path, Callable[[], float]], rounds: int) -> None:
    here, there = interleaved({str(root): run for root, run in runs.items()}, rounds).values()
    report(f"gpi {name}", here.p50, "s", f"ratio {here.p50 / there.p50:.2f} to {there.p50:.3g} s there")


def _started(root: Path, words: list[str], out: int = subprocess.DEVNULL, err: int = subprocess.DEVNULL) -> Any:
    env = {**os.environ, "PYTHONPATH": str(root), "XDG_STATE_HOME": tempfile.gettempdir() + "/gpi-startup"}
    command = [sys.executable, "-m", "gpi.cli.main", *words]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=root, env=env, text=True)


def _in(root: Path, line: str) -> None:
    code = _started(root, _split(line)).wait(300)
    assert code == 0, f"{line}: exit {code}"


def _serving(root: Path, ready: Path) -> Any:
    ready.unlink(missing_ok=True)
    child = _started(root, _split(f"venue --hours always --rate-limit 0 --ready {ready}"))
    while not ready.exists():
        assert child.poll() is None, "the venue has ended"
        time.sleep(0.002)
    return child


def _venue(root: Path, ready: Path) -> float:
    begun = time.perf_counter()
    child = _serving(root, ready)
    took = time.perf_counter() - begun
    child.terminate()
    child.wait(20)
    return took


def _until(root: Path, line: str, word: str) -> float:
    begun = time.perf_counter()
    child = _started(root, _split(line), err=subprocess.PIPE)
    said = ""
    while word not in said:
        said = child.stderr.readline()
        assert said, f"{line}: it ended without a word of {word!r}"
    took = time.perf_counter() - begun
    child.kill()
    child.communicate()
    return took


def _split(line: str) -> list[str]:
    import shlex

    return shlex.split(line)


def _run(*words: str) -> None:
    subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT, check=True)


if __name__ == "__main__":
    main()
