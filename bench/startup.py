"""How long commands take to start: `gpi --help` beside a bare Typer program, and each command's help and first row."""

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

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


def _split(line: str) -> list[str]:
    import shlex

    return shlex.split(line)


def _run(*words: str) -> None:
    subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT, check=True)


if __name__ == "__main__":
    main()
