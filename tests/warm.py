"""`python -m tests.warm`: compile every kernel once, so that no test waits for the compiler."""

import subprocess
import sys
import tempfile
from pathlib import Path

PIPELINES = (
    "simulate --events 3000 --levels 0 | featurize | embed | backtest --strategy market_making",
    "simulate --events 3000 --levels 5 | featurize --microstructure | embed | backtest --strategy momentum",
)


def warm() -> None:
    """Run small pipelines through every room that has kernels."""
    with tempfile.TemporaryDirectory() as folder:
        embedded = Path(folder) / "embedded.arrow"
        commands = [["run", line] for line in PIPELINES]
        commands += [
            ["run", "simulate --events 3000 | featurize | embed", "--out", str(embedded)],
            ["index", "build", str(embedded), "--bank", f"{folder}/bank"],
            ["run", f"replay {embedded} | index match --bank {folder}/bank | trade --paper | risk-check"],
            ["chaos", "--short", "--only", "F03"],  # its practice: a venue, a trader at it, a feed of each wire
        ]
        for words in commands:
            subprocess.run([sys.executable, "-m", "gpi.cli.main", *words], stdout=subprocess.DEVNULL, check=False)


if __name__ == "__main__":
    warm()
