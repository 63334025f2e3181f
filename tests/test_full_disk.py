"""A disk that is full: one line that names the place and the fix, exit 1, and no traceback, whoever writes."""

import resource
import subprocess
from pathlib import Path

import pytest

from tests.shell import GPI, ROOT, gpi

pytestmark = pytest.mark.jit
ROOM = 100_000  # bytes that any one file may have: a disk that is full, for one process


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("day") / "day.arrow"
    gpi("simulate", "--seed", "3", "--scenario", "calm", "--symbols", "AAA", "--out", path, check=0)
    return path


def _cramped() -> None:
    import signal

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # the write fails instead
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, ROOM))


@pytest.mark.parametrize("words, place", [
    (("replay", "DAY", "--out", "OUT/x.arrow"), "x.arrow"),
    (("replay", "DAY", "--out", "OUT/x.parquet"), "x.parquet"),
    (("replay", "DAY", "--out", "OUT/x.csv"), "x.csv"),
    (("replay", "DAY", "--out", "OUT/lake/"), "lake"),
    (("trade", "DAY", "--paper", "--out", "OUT/run", "--to", "table"), "run"),
    (("backtest", "DAY", "--out", "OUT/run", "--param", "size_fraction=0.01"), "run"),
])  # fmt: skip
def test_a_full_disk_is_told_in_a_line(day: Path, tmp_path: Path, words: tuple[str, ...], place: str) -> None:
    """Every kind of output; the file that could not be written is never shown as a whole one."""
    command = [*GPI, *(word.replace("DAY", str(day)).replace("OUT", str(tmp_path)) for word in words)]
    done = subprocess.run(command, capture_output=True, cwd=ROOT, timeout=300, preexec_fn=_cramped, check=False)
    said = done.stderr.decode()
    assert done.returncode == 1, said
    assert "Traceback" not in said and place in said.splitlines()[-1] and "make room" in said.splitlines()[-1], said
    assert not (tmp_path / place).is_file()
