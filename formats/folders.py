"""A folder that vouches for itself: files beside a manifest.json that names their sha256.

Models and pattern banks are such folders. The manifest carries `gpi.schema`, so a reader knows what it has
before it opens anything else.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from gpi.formats.appearing import appeared, begun, replaceable
from gpi.formats.errors import BadInput
from gpi.formats.trust import trusted_whole
from gpi.formats.written import inside, json_of, regular, text_of

MANIFEST: Final = "manifest.json"

Required = Mapping[str, type]


def read_manifest(folder: Path, schema: str, required: Required) -> dict[str, Any]:
    """A folder's manifest. Raises BadInput when it is absent, unreadable, of another schema or incomplete.

    Raises UsageError for a folder that others can write: the digests are in it, too.
    """
    path = folder / MANIFEST
    trusted_whole(folder, "the folder")
    try:
        manifest = json_of(text_of(inside(folder, MANIFEST)))
    except FileNotFoundError:
        raise BadInput(f"{path} does not exist: is {folder} the folder you meant?") from None
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} cannot be read ({error}): make the folder again") from None
    found = manifest.get("gpi.schema") if isinstance(manifest, dict) else None
    if found != schema:
        raise BadInput(f"{path} says gpi.schema {found!r}, this gpi reads {schema!r}: make the folder again")
    for name, kind in required.items():
        if not isinstance(manifest.get(name), kind):
            raise BadInput(f"{path} has no usable {name!r}: make the folder again")
    return dict(manifest)


def write_folder(folder: Path, manifest: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
    """Write files and a manifest that names their sha256: all to disk first, then renamed, the manifest last.

    A crash in the middle leaves the old folder, or one whose digests do not hold; never a wrong one that
    passes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())}
    text = json.dumps({**manifest, "digests": digests}, indent=1, sort_keys=True, allow_nan=False)
    for name, content in (whole := {**files, MANIFEST: (text + "\n").encode()}).items():
        try:
            with os.fdopen(begun(_temporary(replaceable(folder / name))), "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        except OSError as wrong:  # a full disk does not say of which folder
            raise OSError(wrong.errno, wrong.strerror, str(folder / name)) from None
    for name in whole:
        appeared(_temporary(folder / name), folder / name)


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.tmp")


def verified(folder: Path, name: str, digest: str) -> bytes:
    """A file's bytes. Raises BadInput when it is absent, outside its folder, or not the one its manifest describes."""
    path = folder / name
    try:
        with regular(inside(folder, name)) as file:
            content = file.read()
    except ValueError as error:
        raise BadInput(f"{folder / MANIFEST}: {error}: make the folder again") from None
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror}): copy the whole folder again") from None
    found = hashlib.sha256(content).hexdigest()
    if found != digest:
        raise BadInput(
            f"{path} is not the file its manifest describes (sha256 {found[:12]}, expected {digest[:12]}): "
            "copy the whole folder again, or make it again"
        )
    return content
