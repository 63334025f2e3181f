"""The tick encoder as a stage: every row's window of features becomes an embedding and an outlook."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from gpi.formats.embeddings import DIRECTION, VOLATILITY, embedding
from gpi.formats.errors import BadInput
from gpi.formats.features import elements, vector
from gpi.formats.frame import Frame, Layout
from gpi.formats.instruments import checked_id
from gpi.formats.models import WEIGHTS, Arrays, Model, read_model, read_weights
from gpi.formats.ticks import TICKS
from gpi.tools.kernels.models.encoder import MEMORY, SHAPES, run
from gpi.tools.stage import Stage, State, adds

SHIPPED: Final = Path(__file__).parent / "models" / "tick"  # trained on a simulated market, see docs/models.md
KIND: Final = "bin-ctabl"

FIRST_CAPACITY: Final = 4  # instruments there is room for at first; doubles as they appear

_SIZES: Final = ("T", "D", "T1", "D1", "T2", "D2", "E")


def needs(model: Model) -> pa.Schema:
    """The columns that a model's stage reads."""
    return pa.schema([TICKS.field("ts_event"), TICKS.field("instrument_id"), vector("features", model.features)])


def tick_embedding(model_dir: Path = SHIPPED) -> Stage:
    """Append `embedding` (width of the model), `direction` (down, flat, up) and `volatility` (bps).

    NaN until an instrument's window is full and on rows whose features are not finite; such rows do not
    enter the window. A silence longer than the model's `silence_ns` starts a new window. Raises BadInput
    for a bad folder.
    """
    model = read_model(model_dir)
    weights, sizes = packed(model, read_weights(model))
    timing = np.array([model.stride, model.silence_ns], np.int64)
    added = (embedding(model.embedding_width), DIRECTION, VOLATILITY)
    reading = Reading(model, added)

    def step(state: State, frame: Frame) -> Frame:
        made = frame.widened(added)
        outs = (made["embedding"], made["direction"], made["volatility"])
        inputs = (frame["ts_event"], frame["instrument_id"], reading(frame))
        done = 0
        while True:
            done = run(state["memory"], state["ring"], weights, sizes, timing, *inputs, done, *outs)
            if done == frame.rows:
                return made
            grow(state, int(frame["instrument_id"][done]))

    return Stage(
        name="embed",
        needs=needs(model),
        gives=reading.gives,
        start=lambda: empty_windows(model),
        step=step,
    )


class Reading:
    """The features that a model reads, out of whatever a stream's `features` hold."""

    def __init__(self, model: Model, added: tuple[pa.Field, ...]) -> None:
        self._model, self._widened = model, adds(*added)
        self._layout: Layout | None = None
        self._places: list[int] | None = None

    def gives(self, schema: pa.Schema) -> pa.Schema:
        """Append the model's columns. Raises BadInput where the stream lacks a feature of the model."""
        self._found(schema.field("features"))
        return self._widened(schema)

    def _found(self, field: pa.Field) -> list[int] | None:
        there = elements(field)
        places = self._model.places(there)
        return None if places == tuple(range(len(there))) else list(places)

    def __call__(self, frame: Frame) -> npt.NDArray[np.float32]:
        """(rows, D): as they stand where they are the model's, else the model's among them."""
        if frame.layout is not self._layout:  # what this very stream calls them, whoever asked before
            self._layout, self._places = frame.layout, self._found(frame.layout.schema.field("features"))
        features = frame["features"]
        return features if self._places is None else np.ascontiguousarray(features[:, self._places])


def empty_windows(model: Model) -> State:
    """Memory without a row: per instrument a clock, a count and a ring of `span` rows."""
    return {
        "memory": np.zeros(FIRST_CAPACITY, MEMORY),
        "ring": np.zeros((FIRST_CAPACITY, model.span, len(model.features)), np.float32),
    }


def grow(state: State, instrument: int) -> None:
    """Make room for `instrument`, at least doubling. Raises BadInput for a negative id."""
    checked_id(instrument)
    memory, ring = state["memory"], state["ring"]
    capacity = max(2 * len(memory), instrument + 1)
    state["memory"] = np.zeros(capacity, MEMORY)
    state["memory"][: len(memory)] = memory
    state["ring"] = np.zeros((capacity, *ring.shape[1:]), np.float32)
    state["ring"][: len(ring)] = ring


def packed(model: Model, arrays: Arrays) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """The arrays as the kernel wants them: weights in the order of SHAPES, sizes (T, D, T1, D1, T2, D2, E).

    Raises BadInput when the model is of another kind or an array is missing, misshapen or not finite.
    """
    path = model.folder / WEIGHTS
    if model.kind != KIND:
        raise BadInput(f"{model.folder}: a model of kind {model.kind!r} is served from its ONNX graph: pass --onnx")
    sizes = {"T": model.window, "D": len(model.features), "E": model.embedding_width}
    for name in ("first_bias", "second_bias"):
        if name not in arrays or arrays[name].ndim != 2:
            raise BadInput(f"{path} has no usable {name!r}: retrain with `gpi train`")
        sizes |= dict(zip(SHAPES[name], arrays[name].shape, strict=True))
    for name, letters in SHAPES.items():
        shape = tuple(sizes[letter] if letter in sizes else int(letter) for letter in letters)
        found = arrays.get(name)
        if found is None or found.shape != shape or not np.isfinite(found).all():
            raise BadInput(f"{path}: {name!r} must be finite numbers of shape {shape}: retrain with `gpi train`")
    flat = np.concatenate([arrays[name].ravel() for name in SHAPES])
    return np.ascontiguousarray(flat, np.float32), np.array([sizes[letter] for letter in _SIZES], np.int64)
