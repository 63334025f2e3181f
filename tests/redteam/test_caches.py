"""Folders and files that somebody else can write: nothing in them is executed, unpickled or traded by."""

import os
import pickle
import pwd
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from gpi.cli.config import defaults
from gpi.formats.errors import UsageError
from gpi.formats.folders import write_folder
from gpi.formats.models import read_model
from gpi.formats.trust import guard_cache, private_folder, tightened, trusted, trusted_whole
from gpi.tools.brokers.journal import Journal
from gpi.tools.feeds.live.journal import Journal as FeedJournal
from gpi.tools.memory.bank import read_bank
from gpi.tools.risk.limits import SHIPPED, read
from gpi.tools.strategies.loading import load
from tests.shell import GPI, ROOT, environment

STRANGER = 12345
root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")

Spoil = Callable[[Path], None]
SPOILS: list[Any] = [
    pytest.param(lambda path: path.chmod(path.stat().st_mode | 0o002), id="writable by all"),
    pytest.param(lambda path: path.chmod(path.stat().st_mode | 0o020), id="writable by a group"),
    pytest.param(lambda path: os.chown(path, STRANGER, -1), id="another user's", marks=root),
]
by_others = pytest.mark.parametrize("spoil", SPOILS)

KERNEL = """
import os, sys
from gpi.cli.main import main
from gpi.formats.errors import GpiError
try:
    from gpi.tools.kernels.jit import borrowing
    @borrowing
    def twice(x):
        return x + x
    print(twice(21), flush=True)
except GpiError as error:
    print(error)
    sys.exit(error.exit_code)
"""


class Evil:
    """A pickle that leaves a marker when it is loaded."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return (os.mkdir, (str(self.marker),))


def compiled(folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """A program with one kernel, which is kept in `folder`."""
    program = folder.parent / "program.py"
    program.write_text(KERNEL)
    env = environment(PYTHONPATH=str(ROOT), **{"GPI_CACHE_DIR": str(folder), "NUMBA_DISABLE_JIT": "0", **more})
    return subprocess.run([sys.executable, program], capture_output=True, text=True, cwd=folder.parent, env=env)


def kept(folder: Path) -> list[Path]:
    """The files of a kernel cache."""
    return [path for path in folder.rglob("*") if path.suffix in (".nbi", ".nbc")]


@pytest.mark.jit
@pytest.mark.parametrize("variable", ["GPI_CACHE_DIR", "NUMBA_CACHE_DIR"])
def test_a_compiled_kernel_that_others_can_write_is_not_unpickled(tmp_path: Path, variable: str) -> None:
    """A real kernel of a real start; kept by us alone it is used, and an evil one of ours would run."""
    folder, marker = tmp_path / "cache", tmp_path / "ran"
    where = {variable: str(folder)}
    assert compiled(folder, **where).stdout == "42\n"
    files = kept(folder)
    assert len(files) == 2 and all(path.stat().st_mode & 0o777 == 0o600 for path in files)
    for path in files:
        path.write_bytes(pickle.dumps(Evil(marker)))
        path.chmod(0o666)
    done = compiled(folder, **where)
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
    assert "chmod go-w" in done.stdout and "GPI_CACHE_DIR" in done.stdout and not marker.exists()
    for path in files:
        path.chmod(0o600)
    compiled(folder, **where)
    assert marker.exists(), "the trap works: what is ours alone is believed"


@by_others
@pytest.mark.parametrize("place", ["file", "its folder", "the cache", "a folder above"])
def test_numbas_cache_opens_only_what_is_ours(tmp_path: Path, place: str, spoil: Spoil) -> None:
    """The folder and those above when a process starts; each file, and the folder it is in, when it is opened."""
    cache = tmp_path / "above" / "cache"
    numbas: Any = ModuleType("caching")
    guard_cache(numbas, str(cache))
    inside = cache / "kernels_0"
    inside.mkdir(0o777)
    file = inside / "a.nbi"
    with numbas.open(str(file), "wb") as out:
        out.write(b"kernel")
    assert file.stat().st_mode & 0o777 == 0o600 and inside.stat().st_mode & 0o777 == 0o700

    def start() -> bytes:
        guard_cache(numbas, str(cache))
        with numbas.open(str(file), "rb") as found:
            return bytes(found.read())

    assert start() == b"kernel"
    path = {"file": file, "its folder": inside, "the cache": cache, "a folder above": cache.parent}[place]
    if place == "a folder above" and not _spoilt_enough(path, spoil):
        assert start() == b"kernel", "a group of ours alone"
        return
    if place != "a folder above":
        spoil(path)
    with pytest.raises(UsageError, match="GPI_CACHE_DIR") as refused:
        start()
    assert str(path) in str(refused.value)


def _spoilt_enough(path: Path, spoil: Spoil) -> bool:
    """Spoil a folder above; whether more than a group of ours alone can write there now."""
    spoil(path)
    about = path.stat()
    return (
        about.st_uid != os.geteuid() or bool(about.st_mode & 0o002) or about.st_gid != pwd.getpwuid(os.geteuid()).pw_gid
    )


def test_a_command_says_how_to_mend_its_cache(tmp_path: Path) -> None:
    """One line, exit 2."""
    cache = tmp_path / "cache"
    cache.mkdir()
    cache.chmod(0o777)
    done = subprocess.run(
        [*GPI, "simulate", "--events", "5"], capture_output=True, cwd=ROOT, env=environment(GPI_CACHE_DIR=str(cache))
    )
    assert done.returncode == 2 and done.stdout == b"" and len(done.stderr.splitlines()) == 1, done.stderr.decode()
    assert str(cache).encode() in done.stderr and b"GPI_CACHE_DIR=" in done.stderr


def test_settings_of_numba_in_the_working_directory_are_refused(tmp_path: Path) -> None:
    """A file that is in the way of whoever works there need not be theirs."""
    (tmp_path / ".numba_config.yaml").write_text("cache_dir: /tmp/evil\n")
    done = compiled(tmp_path / "cache")
    assert done.returncode == 2 and ".numba_config.yaml" in done.stdout


def strategy(folder: Path) -> tuple[Path, Callable[[], object]]:
    """A strategy in a file."""
    path = folder / "mine.py"
    path.write_text("class Mine:\n    def on_tick(self, view):\n        pass\n")
    return path, lambda: load(f"{path}:Mine")


def limits(folder: Path) -> tuple[Path, Callable[[], object]]:
    """The limits of the risk gate."""
    path = folder / "risk.toml"
    path.write_text(SHIPPED.read_text())
    return path, lambda: read(path)


def config(folder: Path) -> tuple[Path, Callable[[], object]]:
    """Defaults of options."""
    path = folder / "gpi.toml"
    path.write_text("[trade]\ncash = 5.0\n")
    return path, lambda: defaults(path)


def orders(folder: Path) -> tuple[Path, Callable[[], object]]:
    """An order journal."""
    path = folder / "orders.sqlite"
    Journal(path).close()
    return path, lambda: Journal(path).close()


def feed(folder: Path) -> tuple[Path, Callable[[], object]]:
    """The journal of a capture, to be gone on with."""
    path = folder / "feed"
    FeedJournal(path).close()
    return path, lambda: FeedJournal(path).close()


def model(folder: Path) -> tuple[Path, Callable[[], object]]:
    """A copy of the shipped model."""
    from gpi.tools.embed.tick import SHIPPED as MODEL

    path = folder / "model"
    path.mkdir()
    for each in MODEL.iterdir():
        (path / each.name).write_bytes(each.read_bytes())
    return path, lambda: read_model(path)


def weights(folder: Path) -> tuple[Path, Callable[[], object]]:
    """One file of a model."""
    path, look = model(folder)
    return path / "weights.npz", look


def bank(folder: Path) -> tuple[Path, Callable[[], object]]:
    """A pattern bank; who may write it is asked before what it says."""
    path = folder / "bank"
    write_folder(path, {"gpi.schema": "gpi.bank/0"}, {"vectors": np.zeros(2).tobytes()})

    def look() -> object:
        try:
            return read_bank(path)
        except UsageError:
            raise
        except Exception:  # it is no real bank
            return None

    return path, look


@by_others
@pytest.mark.parametrize(
    "made", [strategy, limits, config, orders, feed, model, weights, bank], ids=lambda f: f.__name__
)
def test_what_code_or_orders_follow_from_is_read_only_where_nobody_else_writes(
    tmp_path: Path, made: Callable[[Path], tuple[Path, Callable[[], object]]], spoil: Spoil
) -> None:
    """Ours: read. The file, or the folder it lies in, for others to write: refused with the way out."""
    path, look = made(tmp_path)
    look()
    before = path.stat()
    spoil(path)
    with pytest.raises(UsageError, match="chmod go-w|chown"):
        look()
    os.chown(path, before.st_uid, before.st_gid)
    path.chmod(before.st_mode)
    look()
    tmp_path.chmod(0o777)
    with pytest.raises(UsageError, match="chmod go-w"):
        look()


def test_a_sticky_folder_above_is_well_and_a_link_is_followed(tmp_path: Path) -> None:
    """/tmp is nobody's and everybody's; a link leads where it leads, and both places are looked at."""
    shared, there = tmp_path / "shared", tmp_path / "there"
    for each in (shared, shared / "ours", there):
        each.mkdir(0o700)
    shared.chmod(0o1777)
    trusted(shared / "ours", "it")
    (shared / "ours" / "link").symlink_to(there)
    trusted(shared / "ours" / "link", "it")
    there.chmod(0o777)
    with pytest.raises(UsageError):
        trusted(shared / "ours" / "link", "it")
    there.chmod(0o700)
    with pytest.raises(UsageError, match="link"):
        trusted_whole(shared / "ours", "it")
    shared.chmod(0o777)
    with pytest.raises(UsageError, match="above it"):
        trusted(shared / "ours" / "link", "it")


def test_data_is_anybodys(tmp_path: Path) -> None:
    """A stream that a colleague may write is read: it is checked for what it says."""
    stream = tmp_path / "a.arrow"
    subprocess.run([*GPI, "simulate", "--events", "20", "--out", stream], check=True, cwd=ROOT, capture_output=True)
    stream.chmod(0o666)
    tmp_path.chmod(0o777)
    done = subprocess.run([*GPI, "replay", stream], cwd=ROOT, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()


def test_folders_are_made_for_us_alone_and_loose_ones_are_tightened_aloud(tmp_path: Path) -> None:
    """Those that were missing above, too; somebody's own folders above are left as they are."""
    tmp_path.chmod(0o755)
    folder, said = tmp_path / "a" / "b", list[str]()
    private_folder(folder, said.append)
    assert [each.stat().st_mode & 0o777 for each in (folder, folder.parent, tmp_path)] == [0o700, 0o700, 0o755]
    folder.chmod(0o755)
    private_folder(folder, said.append)
    assert folder.stat().st_mode & 0o777 == 0o755 and not said
    private_folder(folder, said.append, tighten=True)
    assert folder.stat().st_mode & 0o777 == 0o700 and len(said) == 1 and str(folder) in said[0]
    tightened(folder / "nothing", said.append)
    assert len(said) == 1


def test_a_link_in_a_trusted_folder_is_refused_two_levels_down(tmp_path: Path) -> None:
    """A link names what somebody else may write; so does a file below a folder in the folder."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").touch(0o600)
    trusted_whole(tmp_path, "the cache")
    (tmp_path / "a" / "file").chmod(0o602)
    with pytest.raises(UsageError, match="a/file can be written by others"):
        trusted_whole(tmp_path, "the cache")
    (tmp_path / "a" / "file").unlink()
    (tmp_path / "a" / "file").symlink_to("/etc/passwd")
    with pytest.raises(UsageError, match="a/file is a link"):
        trusted_whole(tmp_path, "the cache")


def test_a_sticky_folder_is_well_above_and_not_itself(tmp_path: Path) -> None:
    """Only owners rename in it, but anybody makes a file there."""
    inner = tmp_path / "sticky" / "inner"
    inner.mkdir(parents=True, mode=0o700)
    (tmp_path / "sticky").chmod(0o1777)
    trusted(inner, "the folder")
    with pytest.raises(UsageError, match="can be written by others"):
        trusted(tmp_path / "sticky", "the folder")
    (tmp_path / "sticky").chmod(0o0777)
    with pytest.raises(UsageError, match="above the folder"):
        trusted(inner, "the folder")


@pytest.mark.parametrize("name, gid, members, well", [
    ("me", 500, [], True), ("me", 500, ["me"], True), ("me", 500, ["you"], False), ("staff", 500, [], False),
    ("me", 501, [], False),
])  # fmt: skip
def test_a_group_of_ones_own_may_write_above(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, gid: int, members: list[str], well: bool
) -> None:
    """The one that many systems make for each user, while nobody else is in it."""
    above = tmp_path / "above"
    (above / "in").mkdir(parents=True, mode=0o700)
    above.chmod(0o770)
    monkeypatch.setattr("grp.getgrgid", lambda _: SimpleNamespace(gr_gid=gid, gr_name=name, gr_mem=members))
    monkeypatch.setattr("pwd.getpwuid", lambda _: SimpleNamespace(pw_gid=500, pw_name="me"))
    if well:
        trusted(above / "in", "the folder")
        return
    with pytest.raises(UsageError, match="above the folder"):
        trusted(above / "in", "the folder")
