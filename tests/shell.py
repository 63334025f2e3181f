"""Running the real command line in tests: single commands, and pipelines of real processes."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
GPI = [sys.executable, "-m", "gpi.cli.main"]
PATIENCE_S = 60.0  # for what happens at once on an idle machine


def gpi(*words: object, stdin: bytes | None = b"", check: int | None = None) -> subprocess.CompletedProcess[bytes]:
    """Run one command; `check` is the exit code it must end with."""
    command = [*GPI, *map(str, words)]
    done = subprocess.run(command, input=stdin, capture_output=True, cwd=ROOT, timeout=300)
    assert check is None or done.returncode == check, f"exit {done.returncode}: {done.stderr.decode()}"
    return done


def pipeline(*commands: list[object]) -> tuple[list[int], bytes]:
    """Run commands joined by real pipes; their exit codes, and what the last one wrote."""
    children: list[subprocess.Popen[bytes]] = []
    before: int | None = subprocess.DEVNULL
    for words in commands:
        child = subprocess.Popen(
            [*GPI, *map(str, words)],
            stdin=before,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=ROOT,
        )
        if children and children[-1].stdout is not None:
            children[-1].stdout.close()  # the next command owns it now
        assert child.stdout is not None
        before = child.stdout.fileno()
        children.append(child)
    assert children[-1].stdout is not None
    out = children[-1].stdout.read()
    children[-1].stdout.close()
    codes = []
    for child in children:
        assert child.stderr is not None
        child.stderr.read()
        child.stderr.close()
        codes.append(child.wait(timeout=300))
    return codes, out


def environment(**more: str) -> dict[str, str]:
    """This environment and more."""
    return {**os.environ, **more}


def until(what: Callable[[], Any], seconds: float = PATIENCE_S, *, told: Callable[[], Any] | None = None) -> Any:
    """Wait until something is true, and return it; fail the test otherwise, with what `told` says."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = what()
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError(f"not within {seconds} s: {told() if told else what}")


def turns(pid: int, most: int = 12) -> None:
    """Wait until a process has slept and woken so often: whatever it looks for while it waits it has looked for."""

    def woken() -> int:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("voluntary_ctxt_switches"):
                return int(line.split()[1])
        raise AssertionError(f"process {pid} has ended")

    first = woken()
    until(lambda: woken() >= first + most)
