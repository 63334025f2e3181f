"""The tick encoder: kernel against definition, stage against the laws, folders against tampering."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpi.formats.errors import BadInput
from gpi.formats.features import FEATURES, TICK_FEATURES, vector
from gpi.formats.folders import MANIFEST
from gpi.formats.frame import Frame
from gpi.formats.models import WEIGHTS, read_model, read_weights, write_model
from gpi.formats.ticks import TICKS
from gpi.tools.embed.tick import SHIPPED, tick_embedding
from gpi.tools.kernels.models.encoder import SHAPES
from tests.laws import obeys_the_laws, tick_frames
from tests.naive import encoder as naive

SETTINGS = settings(max_examples=15, deadline=None)
KNOWN = TICK_FEATURES[:10]  # what the models of these tests know; the stream may have more
SIZES = {"T": 3, "D": 10, "T1": 2, "D1": 4, "T2": 2, "D2": 3, "E": 4, "3": 3, "1": 1}
SILENCE = 3_000_000_000


def tiny(folder: Path, seed: int = 0, stride: int = 2, **changes: Any) -> Path:
    """A model folder with small random weights."""
    rng = np.random.default_rng(seed)
    shapes = {name: tuple(SIZES[letter] for letter in letters) for name, letters in SHAPES.items()}
    weights = {name: rng.normal(0, 0.7, shape).astype(np.float32) for name, shape in shapes.items()}
    weights["tabl_mix"][:], weights["volatility_scale"][:] = 0.4, 2.0
    manifest = {
        "kind": "bin-ctabl",
        "features": list(KNOWN),
        "window": 3,
        "stride": stride,
        "silence_ns": SILENCE,
        "horizon_ns": 10**9,
        "embedding_width": 4,
    }
    write_model(folder, manifest | changes, None, weights)
    return folder


def featured(frame: Frame, seed: int = 1, absent: float = 0.1) -> Frame:
    """The same ticks with random features, a share of the rows without."""
    made = frame.widened((FEATURES,))
    rng = np.random.default_rng(seed)
    made["features"][:] = rng.normal(0, 1, made["features"].shape)
    made["features"][rng.random(frame.rows) < absent, 3] = np.nan
    return made.copy()


def steady(rows: int, seed: int = 0) -> Frame:
    """One instrument, a row every 100 ms, all features there."""
    columns: dict[str, Any] = {name: np.ones(rows) for name in TICKS.names}
    columns |= {"ts_event": 10**18 + np.arange(rows) * 10**8, "instrument_id": np.zeros(rows)}
    return featured(Frame.of(TICKS, columns), seed, absent=0.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model."""
    return tiny(tmp_path_factory.mktemp("model"))


@SETTINGS
@given(tick_frames(max_rows=30, instruments=6), st.lists(st.integers(0, 30), max_size=4))
def test_the_embedding_obeys_the_laws(folder: Path, frame: Frame, cuts: list[int]) -> None:
    """Cut anywhere, no peeking, symbols apart, resumable, honest schema, input untouched; with growth."""
    obeys_the_laws(tick_embedding(folder), featured(frame), cuts)


@SETTINGS
@given(tick_frames(max_rows=30, instruments=2))
def test_every_row_is_what_the_definition_says(folder: Path, frame: Frame) -> None:
    """Kernel and plain lists agree: which rows have a window, and every number they give."""
    weights: dict[str, Any] = {k: v.tolist() for k, v in read_weights(read_model(folder)).items()}
    given_frame = featured(frame)
    stage = tick_embedding(folder)
    out = stage.step(stage.start(), given_frame)
    seen: dict[int, list[tuple[int, list[float]]]] = {}
    for i in range(frame.rows):
        mine = seen.setdefault(int(frame["instrument_id"][i]), [])
        mine.append((int(frame["ts_event"][i]), given_frame["features"][i, : len(KNOWN)].tolist()))
        window = naive.window_of(mine, 3, 2, SILENCE)
        assert np.isfinite(out["volatility"][i]) == (window is not None)
        if window is not None:
            embedding, direction, volatility = naive.encoded(window, weights)
            np.testing.assert_allclose(out["embedding"][i], embedding, rtol=1e-3, atol=1e-4)
            np.testing.assert_allclose(out["direction"][i], direction, rtol=1e-3, atol=1e-4)
            np.testing.assert_allclose(out["volatility"][i], volatility, rtol=1e-3, atol=1e-4)
        else:
            assert np.isnan(out["embedding"][i]).all() and np.isnan(out["direction"][i]).all()


def test_an_outlook_is_probabilities_and_a_positive_volatility(folder: Path) -> None:
    """Directions sum to one, volatility is above zero."""
    stage = tick_embedding(folder)
    out = stage.step(stage.start(), steady(20))
    np.testing.assert_allclose(out["direction"][4:].sum(1), 1, rtol=1e-6)
    assert (out["volatility"][4:] > 0).all() and np.isnan(out["volatility"][:4]).all()


@pytest.mark.parametrize(("extra", "windows"), [(0, 4), (1, 0)])
def test_a_silence_starts_a_new_window(folder: Path, extra: int, windows: int) -> None:
    """Exactly the model's silence is still one session; one nanosecond more is a new one."""
    frame = steady(8)
    frame["ts_event"][4:] += SILENCE - 10**8 + extra
    stage = tick_embedding(folder)
    assert np.isfinite(stage.step(stage.start(), frame)["volatility"]).sum() == windows


def test_a_negative_instrument_is_refused(folder: Path) -> None:
    """An id that is no row of the instrument table cannot be served."""
    frame = steady(3)
    frame["instrument_id"][1] = -1
    stage = tick_embedding(folder)
    with pytest.raises(BadInput, match="instrument_id -1"):
        stage.step(stage.start(), frame)


def test_the_shipped_model_is_whole() -> None:
    """Digests hold, it reads the ten tick features, and it has been measured against baselines."""
    model = read_model(SHIPPED)
    assert model.places(TICK_FEATURES) == tuple(range(10))
    metrics = model.manifest["metrics"]
    assert len(metrics["per_seed"]) >= 5
    assert set(metrics["baselines"]["direction"]) == {"persistence", "majority", "logistic"}
    assert model.manifest["provenance"] and tick_embedding().name == "embed"


def test_a_changed_byte_is_found(tmp_path: Path) -> None:
    """A weights file that is not the one described is refused, by name."""
    path = tiny(tmp_path) / WEIGHTS
    content = bytearray(path.read_bytes())
    content[-200] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(BadInput, match=r"weights\.npz is not the file its manifest describes.*copy the whole"):
        tick_embedding(tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """A folder without its weights, or without a manifest, says which."""
    with pytest.raises(BadInput, match=r"manifest\.json does not exist"):
        read_model(tmp_path)
    (tiny(tmp_path) / WEIGHTS).unlink()
    with pytest.raises(BadInput, match=r"weights\.npz cannot be read"):
        read_model(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"gpi.schema": "model/2"}', '{"gpi.schema": "model/1"}'])
def test_a_bad_manifest_is_refused(tmp_path: Path, text: str) -> None:
    """Empty, torn, foreign, of another version, incomplete: always BadInput naming the file."""
    (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(BadInput, match=r"manifest\.json"):
        read_model(tmp_path)


def test_other_features_are_refused(tmp_path: Path) -> None:
    """A model trained on features that the stream lacks does not serve it; their order in the stream is no matter."""
    stage = tick_embedding(tiny(tmp_path, features=[*KNOWN[1:], "stranger"]))
    with pytest.raises(BadInput, match="retrain"):
        stage.gives(steady(1).layout.schema)
    turned = tick_embedding(tiny(tmp_path, features=list(KNOWN[::-1])))
    turned.gives(steady(1).layout.schema)
    other = vector("features", tuple(f"x{i}" for i in range(10)))
    with pytest.raises(BadInput, match="x0"):
        tick_embedding(SHIPPED).gives(TICKS.append(other))


def test_weights_of_another_shape_are_refused(tmp_path: Path) -> None:
    """A manifest and weights that disagree are found before the first tick."""
    with pytest.raises(BadInput, match="must be finite numbers of shape"):
        tick_embedding(tiny(tmp_path, embedding_width=5))


def test_a_folder_is_rewritten_whole(tmp_path: Path) -> None:
    """Writing again over a folder gives the new model, and equal numbers equal digests."""
    first = read_model(tiny(tmp_path, seed=1)).digest
    second = read_model(tiny(tmp_path, seed=2)).digest
    assert first != second and read_model(tiny(tmp_path, seed=1)).digest == first
    assert json.loads((tmp_path / MANIFEST).read_text())["gpi.schema"] == "model/1"
    assert not list(tmp_path.glob(".*.tmp"))


def test_the_graph_and_the_kernel_agree() -> None:
    """The shipped ONNX graph through onnxruntime and the numba kernel give the same to 1e-5."""
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    from gpi.tools.embed.onnx import onnx_embedding

    assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"
    span = read_model(SHIPPED).span
    frame = steady(span + 4)
    kernel, graph = tick_embedding(), onnx_embedding(SHIPPED)
    ours, theirs = kernel.step(kernel.start(), frame), graph.step(graph.start(), frame)
    assert np.isfinite(ours["volatility"][span - 1 :]).all() and np.isnan(ours["volatility"][: span - 1]).all()
    for name in ("embedding", "direction", "volatility"):
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-5, atol=1e-5)


@settings(max_examples=5, deadline=None)
@given(st.lists(st.integers(0, 110), max_size=3))
def test_a_graph_obeys_the_laws(cuts: list[int]) -> None:
    """A user's ONNX model gives the same however the stream is cut."""
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    from gpi.tools.embed.onnx import onnx_embedding

    obeys_the_laws(onnx_embedding(SHIPPED), steady(110), cuts)


def test_a_graph_that_is_none_is_refused(tmp_path: Path) -> None:
    """A model without a graph, or with a file that is not one, is refused by name."""
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    from gpi.tools.embed.onnx import onnx_embedding

    with pytest.raises(BadInput, match=r"names no model\.onnx"):
        onnx_embedding(tiny(tmp_path))
    model = read_model(tmp_path)
    write_model(tmp_path, model.manifest, b"not a graph", read_weights(model))
    with pytest.raises(BadInput, match=r"model\.onnx is not a graph"):
        onnx_embedding(tmp_path)
