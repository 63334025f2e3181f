"""Folders whose manifests lead elsewhere, and files that are no text: exit 3 or 2, in words."""

import hashlib
import json
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pytest
import xxhash

from gpi.formats.errors import BadInput, UsageError
from gpi.formats.folders import read_manifest, verified, write_folder
from gpi.formats.frame import Layout
from gpi.formats.written import inside
from gpi.tools.backtest import told
from gpi.tools.backtest.manifest import manifest_of
from gpi.tools.backtest.recovery import recover
from gpi.tools.backtest.tables import SCHEMAS
from tests.shell import gpi


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/../../secret", "..", "", ".", "link", "loop"])
def test_a_name_in_a_manifest_stays_in_its_folder(tmp_path: Path, name: str) -> None:
    """Dots, absolute paths and symbolic links lead nowhere, though the digest holds."""
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(b"s")
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "loop").symlink_to(folder / "loop")
    with pytest.raises(BadInput):
        verified(folder, name, hashlib.sha256(b"s").hexdigest())


def test_a_folder_of_ones_own_is_read_also_through_a_link(tmp_path: Path) -> None:
    """The folder may be anywhere; only what is in it may not."""
    write_folder(tmp_path / "real", {"gpi.schema": "x/1"}, {"a": b"1"})
    (tmp_path / "model").symlink_to(tmp_path / "real")
    manifest = read_manifest(tmp_path / "model", "x/1", {"digests": dict})
    assert verified(tmp_path / "model", "a", manifest["digests"]["a"]) == b"1"
    assert inside(tmp_path / "model", "a") == tmp_path / "model" / "a"


@pytest.mark.parametrize(
    "content", [b"[" * 100_000, b"\xff\xfe", b'{"gpi.schema": "x/1", "a": 1e999}', b'{"a": 1, "a": 2}', b"7" * 5000]
)
def test_a_manifest_that_cannot_be_read_is_bad_input(tmp_path: Path, content: bytes) -> None:
    """Whatever is wrong with it."""
    (tmp_path / "manifest.json").write_bytes(content)
    with pytest.raises(BadInput):
        read_manifest(tmp_path, "x/1", {})


def test_a_manifest_elsewhere_is_not_read(tmp_path: Path) -> None:
    """A link to another folder's."""
    (tmp_path / "m.json").write_text(json.dumps({"gpi.schema": "x/1"}))
    (tmp_path / "model").mkdir()
    os.symlink(tmp_path / "m.json", tmp_path / "model" / "manifest.json")
    with pytest.raises(UsageError, match="is a link"):
        read_manifest(tmp_path / "model", "x/1", {})


@pytest.mark.parametrize("content", [b"\xff\xfe[", b"a = " + b"[" * 100_000, b"a = " + b"9" * 5000, b"["])
def test_a_config_that_is_no_text_is_a_usage_error(tmp_path: Path, content: bytes) -> None:
    """Not UTF-8, nested without end, a number without end: exit 2 and no traceback."""
    (tmp_path / "gpi.toml").write_bytes(content)
    done = gpi("--config", tmp_path / "gpi.toml", "doctor", check=2)
    assert b"Traceback" not in done.stderr and b"gpi.toml" in done.stderr


def _log(folder: Path, first: object, *records: bytes) -> Path:
    """A run directory with a log whose digests hold, whatever it tells."""
    folder.mkdir(parents=True)
    out = told.MAGIC
    for number, payload in enumerate([json.dumps(first).encode(), *records]):
        out += told.HEAD.pack(len(payload), xxhash.xxh3_64_intdigest(payload, number)) + payload
    (folder / told.NAME).write_bytes(out)
    return folder


KNOWN = {name: schema.serialize().to_pybytes().hex() for name, schema in SCHEMAS.items()}
CASH = {"setup": {"cash": 1000.0}}
WHOLE = {"about": CASH, "schemas": KNOWN}


def _rows(table: int, byte: bytes) -> bytes:
    size = Layout.of(list(SCHEMAS.values())[table]).body_bytes(3)
    return b'{"ticks":5}\n' + told.PIECE.pack(table, 3) + byte * size


def _schemas(schema: pa.Schema) -> dict[str, str]:
    return dict.fromkeys(KNOWN, schema.serialize().to_pybytes().hex())


ODD: dict[str, tuple[object, list[bytes]]] = {
    "no cash": ({"about": {"setup": {}}, "schemas": KNOWN}, []),
    "about is a list": ({"about": [], "schemas": KNOWN}, []),
    "about is a word": ({"about": "x", "schemas": KNOWN}, []),
    "cash is a word": ({"about": {"setup": {"cash": "x"}}, "schemas": KNOWN}, []),
    "cash is a table": ({"about": {"setup": {"cash": {}}}, "schemas": KNOWN}, []),
    "cash is NaN": ({"about": {"setup": {"cash": float("nan")}}, "schemas": KNOWN}, []),
    "no columns": ({"about": CASH, "schemas": _schemas(pa.schema([]))}, []),
    "columns of words": ({"about": CASH, "schemas": _schemas(pa.schema([("x", pa.string())]))}, []),
    "another column": ({"about": CASH, "schemas": _schemas(pa.schema([("x", pa.int64())]))}, []),
    "another type": ({"about": CASH, "schemas": _schemas(pa.schema([("instrument_id", pa.int64())]))}, []),
    "a list of schemas": ({"about": CASH, "schemas": []}, []),
    "names that leave": ({"about": CASH, "schemas": {"/../x": KNOWN["orders"]}}, []),
    "ticks are a word": (WHOLE, [b'{"ticks":"x"}\n']),
    "ticks are NaN": (WHOLE, [b'{"ticks":NaN}\n']),
    "ticks are infinite": (WHOLE, [b'{"ticks":1e400}\n']),
    "ticks without end": (WHOLE, [b'{"ticks":' + b"9" * 5000 + b"}\n"]),
    "a record is a list": (WHOLE, [b"[]\n"]),
    "a record too deep": (WHOLE, [b"[" * 100_000 + b"\n"]),
    "instruments are a word": (WHOLE, [b'{"instruments":"x"}\n']),
    "instruments are a number": (WHOLE, [b'{"instruments":1}\n']),
    "instruments are numbers": (WHOLE, [b'{"instruments":[1]}\n']),
    "start is a number": (WHOLE, [b'{"ticks":5,"start":4}\n']),
    "opening is a number": (WHOLE, [b'{"ticks":5,"opening":3}\n']),
    "equity is a word": (WHOLE, [b'{"start":{"equity":"x"}}\n']),
    "rows that are not there": (WHOLE, [b'{"ticks":5}\n' + told.PIECE.pack(0, 4_000_000_000)]),
    "a table that is not there": (WHOLE, [b'{"ticks":5}\n' + told.PIECE.pack(9, 1)]),
    "fills in instrument -1": (WHOLE, [_rows(1, b"\xff")]),
    "fills in instrument 2 billion": (WHOLE, [_rows(1, b"\x7f")]),
    "orders of no action": (WHOLE, [_rows(0, b"\x7f")]),
}


@pytest.mark.parametrize("case", ODD)
def test_a_log_that_no_run_wrote_is_bad_input(tmp_path: Path, case: str) -> None:
    """Whatever it tells, in little memory; no half-made table stays."""
    folder = _log(tmp_path / "run", ODD[case][0], *ODD[case][1])
    with _bounded_memory(), pytest.raises(BadInput):
        recover(folder)
    assert not list(folder.glob(".*.tmp")) and (folder / told.NAME).exists()


@contextmanager
def _bounded_memory() -> Iterator[None]:
    """Two GiB more than now: what asks for more fails."""
    now = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (now + (2 << 30), before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def test_a_log_as_these_cases_begin_is_recovered(tmp_path: Path) -> None:
    """What they are refused for is what is odd in them."""
    found = recover(_log(tmp_path / "run", WHOLE, b'{"ticks":5}\n'))
    assert found is not None and found.ticks == 5


@pytest.mark.parametrize("name", [told.NAME, "manifest.json"])
def test_a_pipe_in_a_run_directory_is_not_waited_for(tmp_path: Path, name: str) -> None:
    """Nobody writes to it: exit 3 at once."""
    (tmp_path / "run").mkdir()
    os.mkfifo(tmp_path / "run" / name)
    done = gpi("runs", "recover" if name == told.NAME else "show", tmp_path / "run", check=3)
    assert b"no regular file" in done.stderr


@pytest.mark.parametrize("name", ["manifest.json", "weights"])
def test_a_pipe_in_a_model_is_not_waited_for(tmp_path: Path, name: str) -> None:
    """Neither as its manifest nor as a file that it names."""
    os.mkfifo(tmp_path / name)
    with pytest.raises(BadInput, match="no regular file"):
        read_manifest(tmp_path, "x/1", {}) if name == "manifest.json" else verified(tmp_path, name, "")


MANIFEST = {
    "setup": {"strategy": {"name": "x"}}, "rows": {"orders": 0, "fills": 0, "equity": 0}, "digests": {}, "ticks": 0,
    "complete": True, "provenance": [],
}  # fmt: skip
LACKING: list[object] = [
    {}, [], 1, None, "x", {"setup": 1}, *({**MANIFEST, name: "x"} for name in MANIFEST),
    {**MANIFEST, "setup": {"strategy": {}}}, {**MANIFEST, "rows": {}}, {**MANIFEST, "provenance": [1]},
    {**MANIFEST, "ticks": True}, {**MANIFEST, "broker": 1},
]  # fmt: skip


@pytest.mark.parametrize("content", LACKING)
def test_a_manifest_that_no_run_wrote_is_bad_input(tmp_path: Path, content: object) -> None:
    """What every reader relies on is there, or nobody reads on."""
    (tmp_path / "manifest.json").write_text(json.dumps(MANIFEST))
    assert manifest_of(tmp_path) == MANIFEST
    (tmp_path / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(BadInput, match="holds no run that can be read"):
        manifest_of(tmp_path)


@pytest.mark.parametrize("content", ["{}", "[]", '{"setup":1}'])
def test_every_command_says_what_is_wrong_with_a_run(tmp_path: Path, content: str) -> None:
    """Exit 3 and no traceback."""
    (tmp_path / "manifest.json").write_text(content)
    for words in (("runs", "show"), ("verify",), ("risk-check",)):
        done = gpi(*words, tmp_path, check=3)
        assert b"Traceback" not in done.stderr


def test_a_bad_run_does_not_hide_the_others(tmp_path: Path) -> None:
    """`runs list` and `query` go on past it, and say so."""
    _log(tmp_path / "bad", {"about": [], "schemas": KNOWN})
    (tmp_path / "worse").mkdir()
    os.mkfifo(tmp_path / "worse" / told.NAME)
    (tmp_path / "worse" / "manifest.json").write_text("[]")
    _log(tmp_path / "good", WHOLE, b'{"ticks":5}\n')
    listed = gpi("runs", "list", tmp_path, check=0).stdout
    bad, good, worse = listed.decode().splitlines()
    assert "what it told cannot be read" in bad and "what it told cannot be read" in worse
    assert "no manifest that can be read" in good  # of no strategy, which a line of this list names
    asked = gpi("query", "SELECT run FROM metrics", "--runs", tmp_path, "--to", "csv", check=0)
    assert asked.stdout.split() == [b'"run"', b'"good"'] and asked.stderr.count(b"is left out") == 2
