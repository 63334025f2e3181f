"""Every stage of the house, run through every law, automatically; one that is not listed here fails the last test."""

import ast
import atexit
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpi.formats.frame import Frame, concatenated
from gpi.formats.ticks import TICKS
from gpi.formats.words import QUOTE, TRADE
from gpi.tools.backtest.setup import Latency, Setup
from gpi.tools.backtest.trading import trading
from gpi.tools.embed.onnx import onnx_embedding
from gpi.tools.embed.tick import SHIPPED, tick_embedding
from gpi.tools.features.microstructure import microstructure
from gpi.tools.features.tick import tick_features
from gpi.tools.memory.bank import write_bank
from gpi.tools.memory.match import matched
from gpi.tools.memory.remember import Remembering, build, remembering
from gpi.tools.risk.judge import judged
from gpi.tools.risk.limits import read
from gpi.tools.stage import Stage, State, Stream
from gpi.tools.strategies.loading import load
from tests.laws import obeys_the_laws, tick_frames

ROOT = Path(__file__).resolve().parents[1]
HOW = Remembering(width=16, horizon_ns=2_000_000_000, spacing_ns=100_000_000, capacity=8, k=3, radius=2.0)


def market_making() -> Stage:
    """The built-in strategy, quoting and being filled within a few rows."""
    return trading(Setup(load("market_making"), read(), latency=Latency(0, 1_000, 1_000)))


@cache
def bank() -> Path:
    """A small bank of made-up patterns, kept for the whole run."""
    folder = Path(tempfile.mkdtemp(prefix="gpi-laws-"))
    atexit.register(shutil.rmtree, folder)
    rng = np.random.default_rng(0)
    frame = concatenated([embedded(seed, rng) for seed in range(3)], embedded(0, rng).layout.schema)
    write_bank(folder / "bank", build(Stream(frame.layout.schema, iter([frame])), HOW))
    return folder / "bank"


def embedded(seed: int, rng: np.random.Generator) -> Frame:
    """Ticks with made-up embeddings: the encoder's own need windows longer than a law's stream."""
    from gpi.formats.embeddings import embedding

    made = Frame.of(TICKS, {name: np.arange(20) for name in TICKS.names} | {"instrument_id": 0, "kind": 1})
    made["ts_event"][:] = (seed * 100 + np.arange(20)) * 10**9
    made["ask_px"][:] = made["bid_px"] + 1
    wide = made.widened((embedding(16),))
    wide["embedding"][:] = rng.normal(size=(20, 16))
    return wide


def with_embedding(frame: Frame) -> Frame:
    """The frame with an embedding on every third row, absent (NaN) elsewhere."""
    from gpi.formats.embeddings import embedding

    rng = np.random.default_rng(frame.rows)
    wide = frame.widened((embedding(16),))
    wide["embedding"][:] = np.where(np.arange(frame.rows)[:, None] % 3, rng.normal(size=(frame.rows, 16)), np.nan)
    return wide


def with_orders(frame: Frame) -> Frame:
    """The orders that market making sends on these ticks."""
    out = market_making()(Stream(frame.layout.schema, iter([frame])))
    return concatenated([each.copy() for each in out.frames], out.schema)


def with_features(frame: Frame) -> Frame:
    """The frame after featurize."""
    stage = tick_features()
    return stage.step(stage.start(), frame).copy()


def plain(frame: Frame) -> Frame:
    """The frame as drawn."""
    return frame


STAGES: dict[str, tuple[Callable[[], Stage], Callable[[Frame], Frame]]] = {
    "tick_features": (lambda: tick_features(instruments=1, entries=4), plain),
    "microstructure": (lambda: microstructure(bucket=200.0, buckets=3), plain),
    "tick_embedding": (lambda: tick_embedding(), with_features),
    "onnx_embedding": (lambda: onnx_embedding(SHIPPED), with_features),
    "matched": (lambda: matched(bank(), 3, 2.0), with_embedding),
    "remembering": (lambda: remembering(HOW), with_embedding),
    "trading": (lambda: market_making(), plain),
    "judged": (lambda: judged(read()), with_orders),
    "a whole pipeline": (lambda: tick_features() | tick_embedding() | market_making(), plain),
}


EMBEDDING = ("tick_embedding", "onnx_embedding", "a whole pipeline")


@pytest.mark.parametrize("name", list(STAGES))
@settings(max_examples=12, deadline=None)
@given(frame=tick_frames(max_rows=40), cuts=st.lists(st.integers(0, 40), max_size=4))
def test_every_stage_obeys_every_law(name: str, frame: Frame, cuts: list[int]) -> None:
    """Cut anywhere, no peeking, no mixing, save and resume, the schema announced, the input untouched."""
    make, given_ticks = STAGES[name]
    obeys_the_laws(make(), given_ticks(frame), cuts)


def steady(rows: int, seed: int) -> Frame:
    """Two instruments, a quote and a trade every 80 ms, prices that wander: every feature is there after 15 s."""
    dice = np.random.default_rng(seed)
    made = Frame.of(TICKS, {name: np.ones(rows) for name in TICKS.names})
    made["ts_event"][:] = made["ts_recv"][:] = 10**18 + np.arange(rows) * 80_000_000
    made["instrument_id"][:], made["kind"][:], made["flags"][:] = np.arange(rows) % 2, QUOTE | TRADE, 0
    made["bid_px"][:] = 100.0 + np.cumsum(dice.choice([-0.01, 0.01], rows))
    made["ask_px"][:] = made["bid_px"] + 0.02
    made["trade_px"][:] = made["ask_px"]
    for name in ("bid_sz", "ask_sz", "trade_sz"):
        made[name][:] = dice.integers(1, 500, rows)
    return made


@pytest.mark.jit
@pytest.mark.parametrize("name", EMBEDDING)
def test_the_stages_that_embed_obey_the_laws_on_full_windows(name: str) -> None:
    """The same laws, before a window is full and after it: cuts fall on both sides, and embeddings are seen."""
    make, given_ticks = STAGES[name]
    frame = steady(420, 3)
    wide = frame if name == "a whole pipeline" else given_ticks(frame)
    stage, features = tick_embedding(), with_features(frame)
    out = next(stage(Stream(features.layout.schema, iter([features]))).frames)
    full = np.isfinite(out["embedding"]).all(axis=1)
    assert full[400:].all() and not full[:180].any() and 0 < full[:400].sum(), "windows short and full"
    obeys_the_laws(make(), wide, [410, 250, 120])


def mixing(drops: bool) -> Stage:
    """A stage that claims not to mix symbols: after another symbol's row it drops the row, or marks it."""

    def step(state: State, frame: Frame) -> Frame:
        before = np.concatenate([state["last"], frame["instrument_id"][:-1]])
        state["last"] = frame["instrument_id"][-1:].astype(np.int64) if frame.rows else state["last"]
        foreign = (before != frame["instrument_id"]) & (before >= 0)
        kept = {name: view[~foreign] if drops else view.copy() for name, view in frame.columns.items()}
        kept["flags"] = kept["flags"] if drops else np.where(foreign, 1, kept["flags"])
        return Frame.of(frame.layout.schema, kept)

    return Stage("mixing", TICKS, lambda schema: schema, lambda: {"last": np.array([-1], np.int64)}, step)


@pytest.mark.parametrize("drops", [False, True])
def test_a_stage_that_mixes_symbols_breaks_the_law(drops: bool) -> None:
    """Whether the other symbol's rows change what a row says or how many rows there are."""
    frame = Frame.of(TICKS, {name: np.arange(6) for name in TICKS.names} | {"instrument_id": [0, 0, 1, 1, 0, 0]})
    frame["flags"][:] = 0
    with pytest.raises(AssertionError, match="law 3"):
        obeys_the_laws(mixing(drops), frame, [3])


def test_no_stage_is_missing_from_the_list() -> None:
    """Every public function of tools/ that returns a Stage is held to the laws above."""
    made = set()
    for path in (ROOT / "tools").rglob("*.py"):
        for node in ast.parse(path.read_text()).body:
            returns = isinstance(node, ast.FunctionDef) and getattr(node.returns, "id", "") == "Stage"
            if returns and not node.name.startswith("_"):
                made.add(node.name)
    assert made <= set(STAGES), f"not held to the laws: {sorted(made - set(STAGES))}"
