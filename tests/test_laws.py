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
from gpi.tools.stage import Stage, Stream
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
    from gpi.formats.ticks import TICKS

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


@pytest.mark.parametrize("name", list(STAGES))
@settings(max_examples=12, deadline=None)
@given(frame=tick_frames(max_rows=40), cuts=st.lists(st.integers(0, 40), max_size=4))
def test_every_stage_obeys_every_law(name: str, frame: Frame, cuts: list[int]) -> None:
    """Cut anywhere, no peeking, no mixing, save and resume, the schema announced, the input untouched."""
    make, given_ticks = STAGES[name]
    obeys_the_laws(make(), given_ticks(frame), cuts)


def test_no_stage_is_missing_from_the_list() -> None:
    """Every public function of tools/ that returns a Stage is held to the laws above."""
    made = set()
    for path in (ROOT / "tools").rglob("*.py"):
        for node in ast.parse(path.read_text()).body:
            returns = isinstance(node, ast.FunctionDef) and getattr(node.returns, "id", "") == "Stage"
            if returns and not node.name.startswith("_"):
                made.add(node.name)
    assert made <= set(STAGES), f"not held to the laws: {sorted(made - set(STAGES))}"
