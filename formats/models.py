"""model/1: a trained model as a folder: manifest.json beside the files whose sha256 it names.

manifest.json   what the model reads, what it was trained on, how well it did, and the digests of the rest
model.onnx      the graph: one raw window in; embedding, direction, volatility out
weights.npz     the same numbers by name, for the numba kernel (no pickle)
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from gpi.formats.bounds import largest, within
from gpi.formats.errors import BadInput
from gpi.formats.folders import MANIFEST, read_manifest, verified, write_folder

MODEL: Final = "model/1"
GRAPH: Final = "model.onnx"
WEIGHTS: Final = "weights.npz"

Arrays = dict[str, npt.NDArray[np.float32]]

_REQUIRED: Final[dict[str, type]] = {
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
    """A model folder whose digests were checked. Times are ns; `manifest` is everything that was written."""

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

    def places(self, features: Sequence[str]) -> tuple[int, ...]:
        """Where among these the features stand that the model reads, in its order. Raises BadInput if one is missing.

        What stands beside them does not matter: an eleventh feature breaks no model.
        """
        if not set(self.features) <= set(features):
            raise BadInput(
                f"{self.folder / MANIFEST}: the model reads {', '.join(self.features)}, the stream carries "
                f"{', '.join(features)}: retrain it with `gpi train` on these features"
            )
        return tuple(list(features).index(name) for name in self.features)


def read_model(folder: Path) -> Model:
    """The model in a folder. Raises BadInput, naming the file and the fix, unless every digest holds."""
    manifest = read_manifest(folder, MODEL, _REQUIRED)
    for name, digest in manifest["digests"].items():
        verified(folder, name, str(digest))
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


def read_weights(model: Model) -> Arrays:
    """The model's arrays by name. Raises BadInput when the file is not an npz of float32 arrays."""
    path = model.folder / WEIGHTS
    if WEIGHTS not in model.manifest["digests"]:
        raise BadInput(f"{model.folder / MANIFEST} names no {WEIGHTS}: serve this model from its {GRAPH}")
    try:
        with zipfile.ZipFile(path) as packed:
            within(sum(each.file_size for each in packed.infolist()), largest(), str(path))
        with np.load(path, allow_pickle=False) as stored:
            return {name: np.ascontiguousarray(stored[name], np.float32) for name in stored.files}
    except (OSError, ValueError, EOFError, MemoryError, zipfile.BadZipFile) as error:  # a shape of 2^60 among them
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
