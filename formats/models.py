"""model/1: a trained model as a folder: manifest.json beside the files whose sha256 it names.

    manifest.json   what the model reads, what it was trained on, how well it did, and the digests of the rest
    model.onnx      the graph: one raw window in; embedding, direction, volatility out
    weights.npz     the same numbers by name, for the numba kernel (no pickle)

The manifest is written last and everything by rename, so a folder with a manifest is a whole model.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from gpi.formats.errors import BadInput

MODEL: Final = "model/1"
MANIFEST: Final = "manifest.json"
GRAPH: Final = "model.onnx"
WEIGHTS: Final = "weights.npz"

Arrays = dict[str, npt.NDArray[np.float32]]

_REQUIRED: Final[dict[str, type | tuple[type, ...]]] = {
    "kind": str,
    "features": list,
    "window": int,
    "stride": int,
    "silence_ns": int,
    "horizon_ns": int,
    "embedding_width": int,
    "digests": dict,
}


@dataclass(frozen=True, slots=True)
class Model:
    """A model folder whose digests were checked. Times are ns; `manifest` holds everything that was written."""

    folder: Path
    kind: str
    features: tuple[str, ...]
    window: int  # rows the encoder sees
    stride: int  # rows of an instrument between two rows of the window
    silence_ns: int  # an instrument silent for longer starts a new window
    horizon_ns: int  # how far ahead direction and volatility speak
    embedding_width: int
    manifest: Mapping[str, Any]

    @property
    def span(self) -> int:
        """Rows of an instrument from the first to the last row of a window."""
        return (self.window - 1) * self.stride + 1

    @property
    def digest(self) -> str:
        """One name for these very weights: for provenance."""
        text = json.dumps(self.manifest["digests"], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def expect(self, features: Sequence[str]) -> None:
        """Raise BadInput unless the model was trained on exactly these features, in this order."""
        if tuple(features) != self.features:
            raise BadInput(
                f"{self.folder / MANIFEST}: the model reads {', '.join(self.features)}, the stream carries "
                f"{', '.join(features)}: retrain it with `gpi train` on these features"
            )


def read_model(folder: Path) -> Model:
    """The model in a folder. Raises BadInput, naming the file and the fix, unless every digest holds."""
    manifest = read_manifest(folder, MODEL, _REQUIRED)
    for name, digest in manifest["digests"].items():
        _verified(folder / name, str(digest))
    for name in ("window", "stride", "embedding_width"):
        if manifest[name] < 1:
            raise BadInput(f"{folder / MANIFEST}: {name} is {manifest[name]}, must be 1 or more")
    return Model(
        folder=folder,
        kind=manifest["kind"],
        features=tuple(str(name) for name in manifest["features"]),
        window=manifest["window"],
        stride=manifest["stride"],
        silence_ns=manifest["silence_ns"],
        horizon_ns=manifest["horizon_ns"],
        embedding_width=manifest["embedding_width"],
        manifest=manifest,
    )


def read_manifest(
    folder: Path, schema: str, required: Mapping[str, type | tuple[type, ...]]
) -> dict[str, Any]:
    """A folder's manifest. Raises BadInput when it is absent, unreadable, of another schema or incomplete."""
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadInput(f"{path} does not exist: is {folder} the folder you meant?") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise BadInput(f"{path} cannot be read ({error}): make the folder again") from None
    found = manifest.get("gpi.schema") if isinstance(manifest, dict) else None
    if found != schema:
        raise BadInput(f"{path} says gpi.schema {found!r}, this gpi reads {schema!r}: make the folder again")
    for name, kind in required.items():
        if not isinstance(manifest.get(name), kind):
            raise BadInput(f"{path} has no usable {name!r}: make the folder again")
    return dict(manifest)


def read_weights(model: Model) -> Arrays:
    """The model's arrays by name. Raises BadInput when the file is not an npz of float32 arrays."""
    path = model.folder / WEIGHTS
    if WEIGHTS not in model.manifest["digests"]:
        raise BadInput(f"{model.folder / MANIFEST} names no {WEIGHTS}: serve this model from its {GRAPH}")
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {name: np.ascontiguousarray(stored[name], np.float32) for name in stored.files}
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} is not an npz of numbers ({error}): retrain with `gpi train`") from None


def write_model(folder: Path, manifest: Mapping[str, Any], graph: bytes | None, weights: Arrays | None) -> None:
    """Write a model folder: files first, manifest last, each by rename. Fills in schema and digests."""
    files: dict[str, bytes] = {}
    if graph is not None:
        files[GRAPH] = graph
    if weights is not None:
        packed = io.BytesIO()
        # a fixed order gives equal bytes for equal numbers
        np.savez(packed, **{name: weights[name] for name in sorted(weights)})  # type: ignore[arg-type]
        files[WEIGHTS] = packed.getvalue()
    write_folder(folder, {**manifest, "gpi.schema": MODEL}, files)


def write_folder(folder: Path, manifest: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
    """Write files and then a manifest that names their sha256, each by rename."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST).unlink(missing_ok=True)  # half a folder is no folder
    for name, content in files.items():
        _replace(folder / name, content)
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())}
    text = json.dumps({**manifest, "digests": digests}, indent=1, sort_keys=True, allow_nan=False)
    _replace(folder / MANIFEST, (text + "\n").encode())


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _verified(path: Path, digest: str) -> None:
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror}): copy the whole folder again") from None
    if found != digest:
        raise BadInput(
            f"{path} is not the file its manifest describes (sha256 {found[:12]}, expected {digest[:12]}): "
            "copy the whole folder again, or make it again"
        )
