"""Modules that somebody left in the working directory: none of them runs, in no command and no child."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gpi.cli.main import COMMANDS
from gpi.formats import searchpath
from gpi.formats.errors import VenueError
from gpi.formats.secrets import Secret
from gpi.tools import children
from gpi.tools.brokers.alpaca.rest import Keys
from gpi.tools.brokers.deadman import Deadman
from gpi.tools.chaos.cases.planted import as_installed, plant, ran

SECRET = "canary-0123456789abcdef"
NOBODY = "http://127.0.0.1:9"

EVERY_HELP = """
from gpi.cli.main import COMMANDS, main
for name in COMMANDS:
    try:
        main([name, "--help"])
    except SystemExit as ended:
        assert not ended.code, name
"""


@pytest.fixture(params=["a module gpi.py", "a package gpi/"])
def trap(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder with a module of every name."""
    folder = tmp_path / "trap"
    folder.mkdir()
    plant(folder, tmp_path / "marker", package="package" in request.param)
    return folder


def tried(*command: object, trap: Path, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """A command in the trap, with nothing on its stdin."""
    words = [str(word) for word in command]
    env = {**children.environment(), **environment}
    return subprocess.run(words, cwd=trap, env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=300)


def test_every_command_is_loaded_without_the_working_directory(trap: Path, tmp_path: Path) -> None:
    """All of the registry, as installed: whatever a command imports is what is installed."""
    script = as_installed(tmp_path / "bin" / "gpi")
    script.write_text(script.read_text().split("from gpi")[0] + EVERY_HELP)
    done = tried(sys.executable, script, trap=trap)
    assert done.returncode == 0, done.stderr.decode()
    assert all(f"gpi {name}".encode() in done.stdout for name in COMMANDS)
    assert not ran(tmp_path / "marker")


def test_commands_work_where_modules_are_planted(trap: Path, tmp_path: Path) -> None:
    """A stream is made, and a strategy that a planted package offers as an entry point is not known."""
    script = as_installed(tmp_path / "bin" / "gpi")
    made = tried(sys.executable, script, "simulate", "--events", 50, "--out", tmp_path / "made.arrow", trap=trap)
    assert made.returncode == 0, made.stderr.decode()
    words = ("backtest", tmp_path / "made.arrow", "--strategy", "planted")
    asked = tried(sys.executable, script, *words, trap=trap)
    assert asked.returncode == 2 and b"no strategy 'planted'" in asked.stderr
    assert not ran(tmp_path / "marker")


def test_the_working_directory_is_dropped_before_anything_of_ours_is_imported(tmp_path: Path) -> None:
    """`python -m gpi.cli.main` has put it first: what Python itself does not need by then comes from elsewhere."""
    for name in ("typer", "numpy", "pyarrow", "rich", "json", "typing", "difflib", "tomllib"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('planted')\n")
    home = {"PYTHONPATH": os.pathsep.join(["", searchpath.HOME])}
    done = tried(sys.executable, "-m", "gpi.cli.main", "simulate", "--help", trap=tmp_path, **home)
    assert done.returncode == 0 and b"planted" not in done.stderr, done.stderr.decode()


def _deadman(kill_file: Path) -> Deadman:
    return Deadman(Keys(Secret("PKABCDEFGH"), Secret(SECRET)), NOBODY, "tag-1-", kill_file)


@pytest.mark.parametrize("path", [None, os.pathsep])
def test_the_dead_man_reads_its_keys_and_nobody_else(
    trap: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str | None
) -> None:
    """Started in the trap, by whatever PYTHONPATH: it watches, says goodbye, and nothing planted ran."""
    monkeypatch.chdir(trap)
    monkeypatch.syspath_prepend("")
    if path is not None:
        monkeypatch.setenv("PYTHONPATH", path)
    monkeypatch.setenv("PYTHONSTARTUP", str(trap / "json.py"))
    watching = _deadman(Path("KILL"))
    watching.wait_ready(60.0)
    where = os.readlink(f"/proc/{watching.pid}/cwd")
    shown = Path(f"/proc/{watching.pid}/cmdline").read_bytes() + Path(f"/proc/{watching.pid}/environ").read_bytes()
    watching.goodbye()
    assert where == children.NEUTRAL and SECRET.encode() not in shown and b"PYTHON" not in shown
    assert not ran(tmp_path / "marker")


def test_a_kill_file_named_from_here_is_found_by_a_dead_man_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It lives in a directory of its own, so it is told the whole path."""
    monkeypatch.chdir(tmp_path)
    program = (
        "import os, sys; open(sys.argv[3], 'wb').write(os.read(int(sys.argv[1]), 4096)); "
        "os.write(int(sys.argv[2]), b'r')"
    )
    told = [sys.executable, "-I", "-c", program]
    monkeypatch.setattr(children, "command", lambda module, words, loud: [*told, *words, str(tmp_path / "told")])
    watching = _deadman(Path("KILL"))
    watching.wait_ready(60.0)
    watching.goodbye()
    assert json.loads((tmp_path / "told").read_bytes().splitlines()[0])["kill_file"] == str(tmp_path / "KILL")


def test_the_trap_works(trap: Path, tmp_path: Path) -> None:
    """Started as any module is, the same program does run what is planted."""
    tried(sys.executable, "-m", "gpi.tools.brokers.deadman", 3, 4, trap=trap)
    assert ran(tmp_path / "marker")


def test_a_child_that_cannot_start_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No dead-man, no orders."""
    monkeypatch.setattr(children, "command", lambda *_: [sys.executable, "-I", "-c", ""])
    watching = _deadman(tmp_path / "KILL")
    with pytest.raises(VenueError, match="did not start"):
        watching.wait_ready(60.0)
    watching.leave()
    watching._process.wait(10.0)


def test_a_child_sees_what_it_needs_and_no_key() -> None:
    """Names are allowed, not denied: what nobody thought of does not pass."""
    needed = {"HOME": "/h", "PATH": "/bin", "LANG": "C", "LC_ALL": "C", "TZ": "UTC", "TMPDIR": "/t",
              "https_proxy": "p", "XDG_STATE_HOME": "/s", "GPI_CACHE_DIR": "/c", "NUMBA_DISABLE_JIT": "1",
              "SSL_CERT_FILE": "f"}  # fmt: skip
    others = {"ALPACA_SECRET_KEY": "k", "APCA_API_KEY_ID": "k", "GPI_KEYS": "f", "GPI_VENUE_TOKEN": "t", "MY_PIN": "1",
              "PYTHONPATH": ".", "PYTHONHOME": "/x", "LD_PRELOAD": "evil.so", "CREDENTIALS_DIRECTORY": "/c",
              "LD_LIBRARY_PATH": ":.:lib"}  # fmt: skip
    assert children.environment({**needed, **others}) == needed
    assert children.environment({"LD_LIBRARY_PATH": ":/opt/lib:."}) == {"LD_LIBRARY_PATH": "/opt/lib"}


@pytest.mark.parametrize("entry", ["", ".", "{here}", "{here}/", "{here}/../{name}", "{link}"])
def test_no_spelling_of_the_working_directory_stays_on_the_path(tmp_path: Path, entry: str) -> None:
    """However it is written; what else is there keeps its order, and gpi's own home stays."""
    here, link = tmp_path / "here", tmp_path / "link"
    here.mkdir()
    link.symlink_to(here)
    written = entry.format(here=here, name=here.name, link=link)
    assert searchpath.trusted(["/a", written, "/b"], str(here), home="/g") == ["/a", "/b"]
    assert len(searchpath.trusted(["/a", written, "/b"], str(here), home=str(here))) == 3


def test_a_child_reads_no_setting_of_python() -> None:
    """Isolated, whatever else keeps it from the working directory: each of the two holds alone."""
    assert children.command("gpi.cli.main", ("--help",))[1] == "-I"
