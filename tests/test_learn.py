"""Training: splits that do not leak, labels by their definition, scores by hand, a network that is the kernel."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpi.formats.errors import BadInput
from gpi.formats.features import FEATURES, TICK_FEATURES
from gpi.formats.frame import Frame
from gpi.formats.models import read_model
from gpi.formats.ticks import TICKS
from gpi.formats.words import QUOTE, SECOND
from gpi.tools.learn.metrics import (
    confusion,
    direction_scores,
    f1_by_class,
    forecast_scores,
    macro_f1,
    mcc,
    summary,
    weighted_f1,
)
from gpi.tools.learn.splits import purged
from gpi.tools.learn.windows import Shape, classes, record, samples, tensor, tercile
from gpi.tools.stage import Stream
from tests.naive import learning as naive

SETTINGS = settings(max_examples=25, deadline=None)
SHAPE = Shape(window=3, stride=2, horizon_ns=2 * SECOND, silence_ns=30 * SECOND)
TRAINING = "ignore:.*:FutureWarning", "ignore:.*:UserWarning"


def recorded(rows: int = 300, seed: int = 0, instruments: int = 2, gap_s: float = 0.4) -> Stream:
    """Quotes of a random walk whose features tell a little of what comes; one night in the middle."""
    rng = np.random.default_rng(seed)
    ts = 10**18 + np.cumsum(rng.exponential(gap_s * SECOND, rows)).astype(np.int64)
    ts[rows // 2 :] += 3600 * SECOND
    steps = rng.normal(0, 1, rows)
    mid = 100 + 0.01 * np.cumsum(np.round(steps))
    columns: dict[str, Any] = {name: np.ones(rows) for name in TICKS.names}
    columns |= {"ts_event": ts, "instrument_id": rng.integers(0, instruments, rows), "kind": np.full(rows, QUOTE)}
    columns |= {"bid_px": mid - 0.01, "ask_px": mid + 0.01}
    frame = Frame.of(TICKS, columns).widened((FEATURES,))
    frame["features"][:] = rng.normal(0, 1, (rows, len(TICK_FEATURES)))
    frame["features"][:-1, 9] += steps[1:]
    frame["features"][:3] = np.nan
    return Stream(frame.layout.schema, iter([frame.slice(0, 100), frame.slice(100, rows)]))


@SETTINGS
@given(
    st.lists(st.tuples(st.integers(0, 500), st.integers(1, 60)), min_size=1, max_size=60),
    st.integers(0, 30),
    st.sampled_from([(0.6, 0.2), (0.5, 0.25), (0.8, 0.1)]),
)
def test_no_interval_of_one_split_touches_another(
    spans: list[tuple[int, int]], embargo: int, shares: tuple[float, float]
) -> None:
    """What a sample depends on lies wholly inside its split, and the embargo keeps the next split away."""
    start = np.array([a for a, _ in spans])
    end = start + np.array([b for _, b in spans])
    split = purged(start, end, shares, embargo)
    for earlier, later in ((split.train, split.validation), (split.validation, split.test), (split.train, split.test)):
        if len(earlier) and len(later):
            assert end[earlier].max() + embargo < start[later].min() + 1
    for part in split:
        assert (np.diff(end[part]) >= 0).all()
    assert len(set(map(int, np.concatenate(split)))) == sum(map(len, split))


def test_shares_that_leave_no_test_are_refused() -> None:
    """A split without a test is not a split."""
    with pytest.raises(ValueError, match="shares"):
        purged(np.arange(5), np.arange(5), (0.8, 0.2))


def test_windows_are_the_rows_the_encoder_sees_and_never_cross_a_silence() -> None:
    """Every stride-th finite row of one instrument, ending in the sample's row; labels end before the session does."""
    recording = record(recorded())
    found = samples(recording, SHAPE, 10_000)
    ts, instrument = recording.columns["ts_event"], recording.columns["instrument_id"]
    usable = np.isfinite(recording.columns["features"]).all(1)
    for n in range(len(found)):
        rows = found.rows[n]
        own = np.flatnonzero((instrument == found.instrument[n]) & usable & (ts <= found.at[n]))
        assert rows.tolist() == own[::-1][:5:2][::-1].tolist()
        assert np.diff(ts[own[-5:]]).max() <= SHAPE.silence_ns
    last = [ts[:150][instrument[:150] == i].max() for i in (0, 1)]
    assert not ((found.at < ts[150]) & (found.known_to > np.array(last)[found.instrument])).any()
    assert tensor(recording, found).shape == (len(found), 3, len(TICK_FEATURES))


def test_labels_are_what_the_definition_says() -> None:
    """Moves and volatilities, ahead and behind, as plain scans over the quotes give them."""
    recording = record(recorded(rows=160))
    found = samples(recording, SHAPE, 40)
    columns, horizon = recording.columns, SHAPE.horizon_ns
    mid = (columns["bid_px"] + columns["ask_px"]) / 2
    for n in range(len(found)):
        mine = columns["instrument_id"] == found.instrument[n]
        quotes = list(zip(columns["ts_event"][mine].tolist(), mid[mine].tolist(), strict=True))
        at = int(found.at[n])
        assert found.move[n] == pytest.approx(naive.move(quotes, at, at + horizon), abs=1e-6)
        assert found.past_move[n] == pytest.approx(naive.move(quotes, at - horizon, at), abs=1e-6)
        assert found.vol[n] == pytest.approx(naive.volatility(quotes, at, at + horizon), abs=1e-3)
        assert found.past_vol[n] == pytest.approx(naive.volatility(quotes, at - horizon, at), abs=1e-3)


def test_a_tercile_calls_a_third_flat() -> None:
    """The threshold splits the moves in three, and beyond it is strict."""
    moves = np.arange(-150, 151) / 10
    found = np.bincount(classes(moves, tercile(moves)), minlength=3) / len(moves)
    np.testing.assert_allclose(found, 1 / 3, atol=0.01)
    assert classes(np.array([-2.0, -1.0, 0.0, 1.0, 2.0]), 1.0).tolist() == [0, 1, 1, 1, 2]


def test_a_recording_that_is_too_short_says_so() -> None:
    """No rows, no features, no room for a window: each is BadInput that tells what to do."""
    with pytest.raises(BadInput, match="without rows"):
        record(Stream(recorded().schema, iter([])))
    with pytest.raises(BadInput, match="features"):
        record(Stream(TICKS, iter([])))
    with pytest.raises(BadInput, match="record more"):
        samples(record(recorded(rows=110, gap_s=0.01)), SHAPE, 10)


@SETTINGS
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=40))
def test_f1_is_what_the_definition_says(pairs: list[tuple[int, int]]) -> None:
    """Per class, macro and weighted, against counting by hand."""
    truth, guess = [t for t, _ in pairs], [g for _, g in pairs]
    table = confusion(np.array(truth), np.array(guess))
    each = [naive.f1(truth, guess, kind) for kind in range(3)]
    np.testing.assert_allclose(f1_by_class(table), each)
    assert macro_f1(table) == pytest.approx(sum(each) / 3)
    assert weighted_f1(table) == pytest.approx(sum(f * truth.count(k) for k, f in enumerate(each)) / len(truth))


def test_mcc_has_its_known_values() -> None:
    """1 for the truth, 0 for a constant, -1 for two classes swapped, and a table worked by hand."""
    truth = np.array([0, 1, 2, 2, 1, 0, 0, 2])
    assert mcc(confusion(truth, truth)) == pytest.approx(1)
    assert mcc(confusion(truth, np.zeros(8, np.int64))) == 0
    assert mcc(np.array([[0.0, 4, 0], [4, 0, 0], [0, 0, 0]])) == pytest.approx(-1)
    guess = np.array([0, 2, 2, 1, 1, 0, 1, 2])
    assert mcc(confusion(truth, guess)) == pytest.approx(19 / 42)  # (5 x 8 - 21) / (64 - 22)


def test_scores_agree_with_scikit_learn() -> None:
    """Macro F1, weighted F1, MCC and R2 on random guesses."""
    sk = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed (extra `train`)")
    rng = np.random.default_rng(0)
    truth, guess = rng.integers(0, 3, 200), rng.integers(0, 3, 200)
    found = direction_scores(truth, guess)
    assert found["macro_f1"] == pytest.approx(sk.f1_score(truth, guess, average="macro"))
    assert found["weighted_f1"] == pytest.approx(sk.f1_score(truth, guess, average="weighted"))
    assert found["mcc"] == pytest.approx(sk.matthews_corrcoef(truth, guess))
    a, b = rng.normal(size=50), rng.normal(size=50)
    assert forecast_scores(a, b)["r2"] == pytest.approx(sk.r2_score(a, b))


def test_a_summary_is_mean_and_standard_error() -> None:
    """Over seeds 1, 2, 3: mean 2, standard error 1 / sqrt 3; a single seed has none."""
    found = summary([{"x": 1.0}, {"x": 2.0}, {"x": 3.0}])["x"]
    assert found == {"mean": 2.0, "standard_error": pytest.approx(3**-0.5)}
    assert summary([{"x": 1.0}])["x"]["standard_error"] == 0


def small_plan() -> Any:
    """A plan that trains in a blink."""
    pytest.importorskip("torch", reason="torch is not installed (extra `train`)")
    pytest.importorskip("sklearn", reason="scikit-learn is not installed (extra `train`)")
    from gpi.tools.learn.lessons import Plan

    sizes = {"width": 4, "first": (2, 4), "second": (2, 3)}
    return Plan(shape=SHAPE, seeds=(3, 4), windows=250, epochs=2, batch=64, embargo_ns=SECOND, **sizes)


@pytest.mark.filterwarnings(*TRAINING)
@pytest.mark.jit
def test_a_model_is_trained_written_and_served(tmp_path: Path) -> None:
    """From a recording to a folder that the live stage loads, with figures, baselines and provenance in it."""
    plan = small_plan()
    pytest.importorskip("onnxscript", reason="onnxscript is not installed (extra `train`)")
    from gpi.tools.embed.onnx import onnx_embedding
    from gpi.tools.embed.tick import tick_embedding
    from gpi.tools.learn.evaluation import evaluate_tick
    from gpi.tools.learn.tick import train_tick

    said: list[str] = []
    report = train_tick(recorded(), tmp_path, plan, [{"command": "test"}], lambda what, done: said.append(what))
    manifest = read_model(tmp_path).manifest
    assert manifest["metrics"]["direction"] == report["direction"] and manifest["seed"] in (3, 4)
    assert len(report["per_seed"]) == 2 and manifest["provenance"] == [{"command": "test"}]
    assert {"seed 3", "seed 4", "done"} <= set(said)
    stages, stream = (tick_embedding(tmp_path), onnx_embedding(tmp_path)), recorded()
    whole = next(iter(stream.frames))
    ours, theirs = (stage.step(stage.start(), whole) for stage in stages)
    assert np.isfinite(ours["volatility"]).sum() > 50
    for name in ("embedding", "direction", "volatility"):
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-5, atol=1e-5)
    again = evaluate_tick(recorded(), tmp_path, windows=250, embargo_ns=SECOND)
    best = next(one for one in report["per_seed"] if one["seed"] == manifest["seed"])
    assert again["samples"] == report["samples"]["test"]
    assert again["direction"] == pytest.approx(best["direction"])
    assert again["baselines"] == report["baselines"]


@pytest.mark.filterwarnings(*TRAINING)
def test_equal_seeds_give_equal_weights_and_the_embedding_is_white() -> None:
    """Training is a function of data, plan and seed; over the training windows the embedding is white."""
    plan = small_plan()
    import torch

    from gpi.tools.learn.fitting import fit
    from gpi.tools.learn.lessons import course

    lessons = course(record(recorded()), plan)
    one, two, other = (fit(lessons, plan, seed)[0].arrays() for seed in (3, 3, 4))
    assert all((one[name] == two[name]).all() for name in one)
    assert any((one[name] != other[name]).any() for name in one)
    network = fit(lessons, plan, 3)[0]
    with torch.no_grad():
        embedding = network(lessons.train.window)[0].numpy()
    np.testing.assert_allclose(embedding.mean(0), 0, atol=1e-3)
    np.testing.assert_allclose(embedding.std(0), 1, atol=0.02)


@pytest.mark.filterwarnings(*TRAINING)
def test_a_mirrored_market_is_scaled_as_the_market_is() -> None:
    """Features that change sign with the price are centred on zero, so that their mirror image is as likely."""
    small_plan()
    from gpi.tools.learn.lessons import SIGNED, scaling

    window = np.random.default_rng(0).normal(3, 1, (50, 3, len(TICK_FEATURES))).astype(np.float32)
    mean, std = scaling(window, TICK_FEATURES)
    for name, m, s in zip(TICK_FEATURES, mean, std, strict=True):
        assert (m == 0) == (name in SIGNED)
        assert s == pytest.approx(10**0.5 if name in SIGNED else 1, abs=0.2)


@pytest.mark.filterwarnings(*TRAINING)
def test_splits_that_are_left_empty_are_refused() -> None:
    """An embargo longer than the recording leaves nothing to test on, and says so."""
    from dataclasses import replace

    plan = small_plan()
    from gpi.tools.learn.lessons import course

    with pytest.raises(BadInput, match="shorten the embargo"):
        course(record(recorded()), replace(plan, embargo_ns=10**15))
