"""Outputs: what is written takes the place of a file or of nothing, and never goes where a planted link leads."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from gpi.formats.appearing import appeared, begun, replaceable, write_whole
from gpi.formats.errors import UsageError
from gpi.formats.folders import write_folder
from gpi.formats.orders import FILLS
from gpi.formats.parquet import write_parquet
from gpi.formats.quarantine import Quarantine
from gpi.tools.backtest.manifest import write_json
from gpi.tools.backtest.tables import Table
from tests.shell import gpi

Writer = Callable[[Path], object]
WRITERS: dict[str, Writer] = {
    "text": lambda path: write_whole(path, "x"),
    "parquet": lambda path: write_parquet(path, [], FILLS),
    "table of a run": lambda path: Table(path, FILLS).close({}),
    "json of a run": lambda path: write_json(path, {}),
    "folder": lambda path: write_folder(path.parent, {}, {path.name: b""}),
    "quarantine": lambda path: Quarantine().write(path),
}


def _device(path: Path) -> None:
    try:
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("only root makes devices")


PLANTED: dict[str, Callable[[Path], None]] = {
    "named pipe": os.mkfifo,
    "device": _device,
    "link": lambda path: path.symlink_to(path.with_name("elsewhere")),
    "folder": lambda path: path.mkdir(),
}


@pytest.mark.parametrize("kind", PLANTED)
@pytest.mark.parametrize("writer", WRITERS)
def test_only_a_file_is_replaced(tmp_path: Path, writer: str, kind: str) -> None:
    """A device, a pipe, a link or a folder stays what it was, whichever writer was sent there."""
    target = tmp_path / "out.parquet"
    PLANTED[kind](target)
    before = os.lstat(target)
    with pytest.raises(UsageError, match=kind):
        WRITERS[writer](target)
    after = os.lstat(target)
    assert (after.st_ino, after.st_mode) == (before.st_ino, before.st_mode)
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("words", [("simulate", "--events", "10"), ("query", "SELECT 1 AS x")])
@pytest.mark.parametrize("form", ["arrow", "csv", "jsonl", "parquet"])
def test_an_output_that_is_no_file_is_a_usage_error(tmp_path: Path, words: tuple[str, ...], form: str) -> None:
    """Exit 2 and the way out, and the pipe is still there."""
    os.mkfifo(out := tmp_path / "out")
    done = gpi(*words, "--to", form, "--out", out, check=2)
    assert b"write to stdout" in done.stderr and b"Traceback" not in done.stderr
    assert stat.S_ISFIFO(os.lstat(out).st_mode) and os.listdir(tmp_path) == ["out"]


def test_a_table_of_faults_and_a_ready_line_replace_only_files(tmp_path: Path) -> None:
    """Both are refused before anything is done."""
    os.mkfifo(out := tmp_path / "out.json")
    gpi("chaos", "--only", "F05", "--short", "--out", out, check=2)
    gpi("venue", "--ready", out, check=2)
    assert stat.S_ISFIFO(os.lstat(out).st_mode)


HIDDEN: dict[str, str] = {
    "text": "{0}.{1}.partial",
    "parquet": ".out.{1}.part",
    "table of a run": ".{0}.tmp",
    "json of a run": ".{0}.tmp",
    "folder": ".{0}.tmp",
    "quarantine": "{0}.{1}.partial",
}


@pytest.mark.parametrize("writer", WRITERS)
def test_a_planted_link_is_not_written_through(tmp_path: Path, writer: str) -> None:
    """A link under the very name that is about to be written goes; what it led to stays as it was."""
    target, other = tmp_path / "out.parquet", tmp_path / "other"
    other.write_bytes(b"mine")
    (hidden := tmp_path / HIDDEN[writer].format(target.name, os.getpid())).symlink_to(other)
    WRITERS[writer](target)
    assert other.read_bytes() == b"mine" and stat.S_ISREG(os.lstat(target).st_mode)
    assert not os.path.lexists(hidden)


def test_a_query_has_a_name_of_its_own_beside_its_output(tmp_path: Path) -> None:
    """A link under the name that could be guessed leads nowhere."""
    (other := tmp_path / "other").write_bytes(b"mine")
    (tmp_path / "out.csv.partial").symlink_to(other)
    gpi("query", "SELECT 1 AS x", "--out", tmp_path / "out.csv", check=0)
    assert other.read_bytes() == b"mine" and b"x" in (tmp_path / "out.csv").read_bytes()


def test_what_a_former_life_left_is_begun_anew(tmp_path: Path) -> None:
    """Nothing of it is in the new file, and nobody who has it open sees the new one."""
    (hidden := tmp_path / "a.partial").write_bytes(b"old and long")
    with hidden.open("rb") as old:
        os.close(begun(hidden))
        assert old.read() == b"old and long" and hidden.read_bytes() == b""


def test_a_target_that_changes_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    """It is looked at again when the file is whole."""
    target = replaceable(tmp_path / "a")
    os.close(begun(tmp_path / "b"))
    os.mkfifo(target)
    with pytest.raises(UsageError):
        appeared(tmp_path / "b", target)
    assert stat.S_ISFIFO(os.lstat(target).st_mode)
