"""How the venue starts: nobody is answered by half a venue, and nobody waits for a compiler afterwards."""

import json
import os
import socket
import subprocess
import sys
import time
from typing import Any

import pytest
import requests

from gpi.tools.venue.venue import held
from tests.shell import GPI, ROOT
from tests.venues import until

KERNELS = """
import asyncio, gc, json, sys
from numba.core.dispatcher import Dispatcher
from gpi.tools.venue.warming import warm

def loaded():
    kernels = [each for each in gc.get_objects() if isinstance(each, Dispatcher)]
    return {f"{each.py_func.__module__}.{each.py_func.__name__} {form}" for each in kernels for form in each.overloads}

warm(lambda: print("compiling", file=sys.stderr))
before = loaded()
from tests import test_conformance, test_venue_ledger
asyncio.run(test_conformance.everything())
for seed in range(8):
    asyncio.run(test_venue_ledger._lived(test_venue_ledger._day(seed), "alpaca-paper"))
print(json.dumps(sorted(loaded() - before)))
"""


@pytest.mark.skipif(os.environ.get("NUMBA_DISABLE_JIT") == "1", reason="there are no kernels without the JIT")
def test_after_warming_no_kernel_is_loaded() -> None:
    """A day of everything a client may ask finds every kernel ready, in the form it is called in."""
    done = subprocess.run([sys.executable, "-c", KERNELS], capture_output=True, text=True, cwd=ROOT, timeout=600)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []


def test_whoever_is_answered_meets_the_whole_venue() -> None:
    """A feed that has not said a word: the port refuses. Whoever is answered first is told the feed's day."""
    with held() as line:
        port = int(line.getsockname()[1])
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), 5)
    words = ["simulate", "--symbols", "SPY", "--events", "300", "--seed", "1", "--to", "arrow"]
    day = subprocess.run([*GPI, *words], capture_output=True, check=True, cwd=ROOT).stdout
    venue = subprocess.Popen(
        [*GPI, "venue", "--port", str(port), "--token", "T", "--stay"],
        stdin=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT,
    )  # fmt: skip
    assert venue.stdin is not None and venue.stderr is not None
    try:
        venue.stdin.write(day[:200])  # not even the schema
        venue.stdin.flush()
        for _ in range(30):
            assert _state(port) is None
            time.sleep(0.05)
        venue.stdin.write(day[200:])
        venue.stdin.close()
        found = until(lambda: _state(port))
        assert abs(found["now"] / 1e9 - time.time()) > 86_400, "the day is the feed's, from the first answer on"
    finally:
        venue.terminate()
        venue.stdin.close()
        said = venue.stderr.read().decode()
        venue.stderr.close()
        assert venue.wait(60) == 0, said


def _state(port: int) -> Any:
    """What the venue knows; None while it refuses connections."""
    try:
        bearer = {"Authorization": "Bearer T"}
        return requests.get(f"http://127.0.0.1:{port}/gpi/state", headers=bearer, timeout=30).json()
    except requests.ConnectionError:
        return None


def test_a_port_that_is_taken_is_said_at_once() -> None:
    """Before anything is compiled: exit 5 and the fix."""
    with held() as line:
        line.listen()
        words = [*GPI, "venue", "--port", str(line.getsockname()[1])]
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd=ROOT, timeout=300)
    assert done.returncode == 5 and "--port 0 takes a free one" in done.stderr
