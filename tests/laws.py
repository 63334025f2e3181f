"""The laws every stage obeys, as one function: `obeys_the_laws(stage, frame)`.

1 cut anywhere, 2 no peeking, 3 symbols do not mix, 4 save and resume, 5 the schema announced, 6 the input untouched.
(7, fused equals piped, and 8, no clocks, are in test_pipes and test_house.)
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from gpi.formats.frame import Frame, Layout, concatenated
from gpi.formats.ticks import ticks
from gpi.formats.words import BUY, DEPTH, HALTED, QUOTE, SELL, STATUS, TRADE
from gpi.tools.stage import Stage, State, Stream, load, save


def obeys_the_laws(stage: Stage, whole: Frame, cuts: Sequence[int]) -> Frame:
    """Assert every law on the rows of `whole`, cut at `cuts` (row numbers in any order); what the stage made of it."""
    schema = whole.layout.schema
    expected = _output(stage, schema, [whole.copy()])
    at = sorted(min(cut, whole.rows) for cut in cuts)
    pieces = [whole.slice(a, b).copy() for a, b in zip([0, *at], [*at, whole.rows], strict=True)]
    same(_output(stage, schema, pieces), expected, "law 1: cut anywhere")
    _does_not_peek(stage, schema, whole, expected, at)
    if stage.per_symbol:
        _does_not_mix(stage, schema, whole, expected)
    same(_resumed(stage, schema, pieces), expected, "law 4: save and resume")
    assert expected.layout is Layout.of(stage.gives(schema)), "law 5: the schema is the one announced"
    before = whole.copy()
    _output(stage, schema, [whole])
    same(whole, before, "law 6: the input is untouched")
    return expected


def same(left: Frame, right: Frame, law: str) -> None:
    """Assert that two frames are equal bit for bit (NaN equals NaN)."""
    assert left.rows == right.rows, f"{law}: {left.rows} rows against {right.rows}"
    for name in right.columns:
        a, b = left[name], right[name]
        equal = (a == b) | ((a != a) & (b != b))
        assert equal.all(), f"{law}: {name} differs at row {np.argwhere(~equal)[0]}"


def _output(stage: Stage, schema: pa.Schema, frames: list[Frame]) -> Frame:
    out = stage(Stream(schema, iter(frames)))
    return concatenated([frame.copy() for frame in out.frames], Layout.of(out.schema).schema)


def _does_not_peek(stage: Stage, schema: pa.Schema, whole: Frame, expected: Frame, at: list[int]) -> None:
    for cut in at[:2]:
        state = stage.start()
        prefix = stage.step(state, whole.slice(0, cut).copy())
        same(prefix, expected.slice(0, prefix.rows), "law 2: no peeking")


def _does_not_mix(stage: Stage, schema: pa.Schema, whole: Frame, expected: Frame) -> None:
    for instrument in np.unique(whole["instrument_id"]):
        alone = _output(stage, schema, [_taken(whole, whole["instrument_id"] == instrument)])
        same(alone, _taken(expected, expected["instrument_id"] == instrument), "law 3: symbols do not mix")


def _taken(frame: Frame, mask: np.ndarray) -> Frame:
    return Frame.of(frame.layout.schema, {name: view[mask] for name, view in frame.columns.items()})


def _resumed(stage: Stage, schema: pa.Schema, pieces: list[Frame]) -> Frame:
    state: State = stage.start()
    outs = []
    for piece in pieces:
        outs.append(stage.step(state, piece.copy()).copy())
        state = load(save(state))
    last = stage.finish(state)
    outs += [] if last is None else [last.copy()]
    return concatenated(outs, outs[0].layout.schema)


@st.composite
def tick_frames(draw: st.DrawFn, max_rows: int = 50, instruments: int = 3, levels: int = 0, min_rows: int = 1) -> Frame:
    """Streams of ticks as they come: quotes, trades and halts, equal times, missing sides, quiet gaps."""
    rows = draw(st.integers(min_rows, max_rows))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    gaps = rng.choice([0, 1_000, 30_000_000, 900_000_000, 6_000_000_000], rows, p=[0.2, 0.2, 0.3, 0.2, 0.1])
    kind = rng.choice([QUOTE, TRADE, QUOTE | TRADE, STATUS], rows, p=[0.55, 0.2, 0.22, 0.03]).astype(np.int8)
    quote, trade = (kind & QUOTE) > 0, (kind & TRADE) > 0
    mid = 100 + 0.01 * np.cumsum(rng.integers(-2, 3, rows))
    half = 0.005 * rng.integers(1, 4, rows)
    one_sided = rng.random(rows) < 0.05
    ts = 1_700_000_000_000_000_000 + np.cumsum(gaps)
    nan = np.nan
    columns = {
        "ts_event": ts,
        "ts_recv": ts,
        "instrument_id": rng.integers(0, instruments, rows),
        "kind": kind | (DEPTH * quote if levels else 0),
        "side": np.where(trade, rng.choice([BUY, SELL, 0], rows), 0),
        "flags": np.where(kind & STATUS, rng.choice([0, HALTED], rows), 0),
        "seq": np.arange(rows),
        "bid_px": np.where(quote & ~one_sided, (mid - half).round(3), nan),
        "bid_sz": np.where(quote & ~one_sided, rng.integers(1, 20, rows) * 100.0, 0),
        "ask_px": np.where(quote, (mid + half).round(3), nan),
        "ask_sz": np.where(quote, rng.integers(1, 20, rows) * 100.0, 0),
        "trade_px": np.where(trade, (mid + half * rng.choice([-1, 1], rows)).round(3), nan),
        "trade_sz": np.where(trade, rng.integers(0, 9, rows) * 50.0, 0),
    }
    if levels:
        step = 0.01 * np.arange(levels)
        columns["bids_px"] = columns["bid_px"][:, None] - step
        columns["asks_px"] = columns["ask_px"][:, None] + step
        for side in ("bid", "ask"):
            deep = rng.integers(1, 9, (rows, levels)) * 100.0
            deep[:, 0] = columns[f"{side}_sz"]
            columns[f"{side}s_sz"] = np.where(np.isnan(columns[f"{side}s_px"]), 0.0, deep)
    return Frame.of(ticks(levels), columns)
