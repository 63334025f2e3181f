"""Folders whose manifests lead elsewhere, and files that are no text: exit 3 or 2, in words."""

import hashlib
import json
import os
from pathlib import Path

import pytest

from gpi.formats.errors import BadInput, UsageError
from gpi.formats.folders import read_manifest, verified, write_folder
from gpi.formats.written import inside
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
