"""The example of two bots in a flash crash: a stranger's program, through Alpaca's client alone."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "examples" / "flash_crash_bot"


def test_the_bot_knows_nothing_of_gpi() -> None:
    """It imports alpaca-py and the standard library."""
    tree = ast.parse((EXAMPLE / "bot.py").read_text())
    names = {node.module.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    names |= {
        alias.name.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
    }
    assert names - set(sys.stdlib_module_names) == {"alpaca"}


@pytest.mark.jit
def test_one_bot_survives_the_crash_and_the_other_pays_for_it(tmp_path: Path) -> None:
    """Both run to the end of the day; leaving at any price, on borrowed money, costs more than leaving at one's own."""
    shim = tmp_path / "gpi"
    shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m gpi.cli.main "$@"\n')
    shim.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    environment = {
        **os.environ,
        "PATH": path,
        "PYTHON": sys.executable,
        "PYTHONPATH": str(ROOT),
        "SPEED": "80",
        "EVENTS": "6000",
    }
    command = ["bash", str(EXAMPLE / "both.sh")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=200)
    assert done.returncode == 0, done.stderr
    lost = {name: float(share) for name, share in re.findall(r"(\w+): .*\(([-+][\d.]+) %\)", done.stdout)}
    assert set(lost) == {"reckless", "careful"}, done.stdout
    assert lost["reckless"] < lost["careful"]
