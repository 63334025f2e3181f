"""How long commands take to start: `gpi --help` beside a bare Typer program, and each command's help and first row.

`python -m bench.startup --against CHECKOUT`: the warm start of every command, here and in another checkout of this
repository, installed in its own .venv, in turns; ratios of the medians. A command that is not there is timed
here alone.
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
from functools import partial
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
MADE = (  # what the commands are timed on
    "simulate --events 3000 --levels 0 --out {folder}/ticks.arrow",
    "run 'replay {folder}/ticks.arrow | featurize | embed' --out {folder}/embedded.arrow",
    "index build {folder}/embedded.arrow --bank {folder}/bank",
    "trade --paper --out {folder}/run {folder}/ticks.arrow",
)
LINES = {
    "--help": "--help",
    "replay": "replay {folder}/ticks.arrow",
    "simulate": "simulate --events 10",
    "featurize": "featurize {folder}/ticks.arrow",
    "embed": "run 'replay {folder}/ticks.arrow | featurize | embed'",
    "index": "index match --bank {folder}/bank {folder}/embedded.arrow",
    "trade": "trade --paper {folder}/ticks.arrow",
    "backtest": "backtest {folder}/ticks.arrow",
    "risk-check": "risk-check {folder}/run",
    "run": "run 'replay {folder}/ticks.arrow | featurize'",
    "query": "query 'select 1'",
    "verify": "verify {folder}/run",
    "doctor": "doctor",
    "runs": "runs list {folder}",
}
NEW = ("runs",)  # commands that the other checkout need not have
SESSIONS = (
    (
        "capture, until subscribed",
        "capture --source venue --venue-ready {ready} --symbols SPY --journal {folder}/feed",
        "subscribed",
    ),
    (
        "trade --broker, until it trades",
        "trade --broker alpaca --paper --url {url} --key-file {ready} --journal {folder}/orders {folder}/ticks.arrow",
        "reconciled",
    ),
)
assert not set(COMMANDS) - {*LINES, "capture", "venue", "train", "chaos"}, "a command without a line"


def main() -> None:
    """Print wall times of whole processes, taken in turns."""
    parser = argparse.ArgumentParser(prog="python -m bench.startup", description=__doc__)
    parser.add_argument("--against", type=Path, help="another checkout of this repository")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    if given.against is not None:
        compared(_installed(given.against.resolve()), given.rounds)
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


def _installed(other: Path) -> Path:
    """The checkout whose own gpi runs from its own .venv: else this one would be timed beside itself."""
    say = "import gpi.formats.frame as f; print(f.__file__)"
    told = subprocess.run([other / ".venv/bin/python", "-c", say], cwd="/", capture_output=True, text=True, check=True)
    found = Path(told.stdout.strip())
    assert found.is_relative_to(other), f"{other}/.venv runs {found}"
    return other


def compared(other: Path, rounds: int) -> None:
    """Every command here and there, in turns, each on files of its own making."""
    with tempfile.TemporaryDirectory() as scratch:
        folders = {root: f"{scratch}/{name}" for root, name in ((ROOT, "here"), (other, "there"))}
        for root, folder in folders.items():
            _made(root, folder)
        for name in (*LINES, "train", "chaos"):
            line = LINES.get(name, f"{name} --help")  # those two work for minutes: as far as their help
            known = {root: at for root, at in folders.items() if root == ROOT or name not in NEW}
            runs = {root: timed(partial(_in, root, line, at)) for root, at in known.items()}
            _told(name if name in LINES else line, runs, rounds)
        ready = {root: Path(folder, "venue.json") for root, folder in folders.items()}
        _told("venue, until ready", {root: partial(_venue, root, ready[root]) for root in folders}, rounds)
        served = _serving(ROOT, ready[ROOT])
        try:
            at = {"ready": ready[ROOT], "url": json.loads(ready[ROOT].read_text())["gpi.venue"]["url"]}
            for name, line, word in SESSIONS:
                told = {root: line.format(folder=folder, **at) for root, folder in folders.items()}
                _told(name, {root: partial(_until, root, words, word) for root, words in told.items()}, rounds)
        finally:
            served.terminate()
            served.wait(20)


def _made(root: Path, folder: str) -> None:
    Path(folder).mkdir()
    if root == ROOT:
        _in(root, "doctor --warm", folder)
    for line in MADE:
        _in(root, line, folder)


def _told(name: str, runs: dict[Path, Callable[[], float]], rounds: int) -> None:
    here, *there = (each.p50 for each in interleaved({str(root): run for root, run in runs.items()}, rounds).values())
    report(f"gpi {name}", here, "s", f"ratio {here / there[0]:.2f} to {there[0]:.3g} s there" if there else "new here")


def _started(root: Path, words: list[str], out: int = subprocess.DEVNULL, err: int = subprocess.DEVNULL) -> Any:
    env = {**os.environ, "XDG_STATE_HOME": tempfile.gettempdir() + "/gpi-startup"}
    command = [GPI if root == ROOT else str(root / ".venv/bin/gpi"), *words]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=root, env=env, text=True)


def _in(root: Path, line: str, folder: str = "") -> None:
    line = line.format(folder=folder)
    code = _started(root, _split(line)).wait(600)
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
