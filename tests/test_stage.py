"""Stages: composition, the check before the first tick, and saved states."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpi.formats.errors import SchemaMismatch
from gpi.formats.frame import Frame, Layout
from gpi.formats.ticks import TICKS
from gpi.tools.stage import Stage, State, Stream, adds, load, save
from tests.laws import obeys_the_laws, same, tick_frames

COUNT = pa.field("count", pa.int64(), nullable=False)
TWICE = pa.field("twice", pa.int64(), nullable=False)


def counting() -> Stage:
    """A tiny stage: how many rows of this instrument so far."""

    def start() -> State:
        return {"seen": np.zeros(100, np.int64)}

    def step(state: State, frame: Frame) -> Frame:
        out = frame.widened((COUNT,))
        for row, instrument in enumerate(frame["instrument_id"]):
            state["seen"][instrument] += 1
            out["count"][row] = state["seen"][instrument]
        return out

    return Stage("counting", pa.schema([TICKS.field("instrument_id")]), adds(COUNT), start, step)


def doubling() -> Stage:
    """Reads what counting gives."""

    def step(state: State, frame: Frame) -> Frame:
        out = frame.widened((TWICE,))
        out["twice"][:] = 2 * frame["count"]
        return out

    return Stage("doubling", pa.schema([COUNT]), adds(TWICE), dict, step)


@settings(max_examples=20, deadline=None)
@given(tick_frames(), st.lists(st.integers(0, 50), max_size=5))
def test_two_stages_in_a_chain_obey_the_laws(frame: Frame, cuts: list[int]) -> None:
    """What holds for each stage holds for their composition."""
    obeys_the_laws(counting() | doubling(), frame, cuts)


@settings(max_examples=10, deadline=None)
@given(tick_frames())
def test_a_chain_is_its_stages_one_after_another(frame: Frame) -> None:
    """`a | b` gives what b gives on what a gave."""
    one = (counting() | doubling())(Stream(TICKS, iter([frame])))
    two = doubling()(counting()(Stream(TICKS, iter([frame]))))
    same(next(one.frames), next(two.frames), "law 7")


def test_a_missing_column_is_named_before_the_first_tick() -> None:
    """The complaint names the stage and the column, and no frame is pulled."""
    with pytest.raises(SchemaMismatch, match="doubling needs the column 'count'"):
        doubling()(Stream(TICKS, iter(())))


def test_a_column_of_another_type_is_named() -> None:
    """Both types stand in the complaint."""
    wrong = pa.schema([pa.field("count", pa.float32())])
    with pytest.raises(SchemaMismatch, match="int64.*float"):
        doubling().check(wrong)


def test_a_stage_run_twice_is_named() -> None:
    """Appending a column that is already there is an error, not a shadow."""
    with pytest.raises(SchemaMismatch, match="run twice"):
        counting().gives(counting().gives(TICKS))


def test_a_leak_between_symbols_breaks_the_third_law() -> None:
    """The laws can fail: a counter shared by all instruments is caught."""
    honest = counting()

    def step(state: State, frame: Frame) -> Frame:
        out = frame.widened((COUNT,))
        out["count"][:] = state["seen"][0] + np.arange(frame.rows)
        state["seen"][0] += frame.rows
        return out

    leaky = Stage("leaky", honest.needs, honest.gives, honest.start, step)
    columns = {name: 0 for name in TICKS.names} | {"instrument_id": [0, 1, 0, 1], "seq": [0, 1, 2, 3]}
    with pytest.raises(AssertionError, match="law 3"):
        obeys_the_laws(leaky, Frame.of(TICKS, columns), [2])


def test_a_nested_state_with_records_survives_saving() -> None:
    """Dicts of arrays and record arrays come back equal and usable."""
    record = np.zeros(2, np.dtype((np.record, [("x", np.float64), ("n", np.int64)])))
    record[1].x = 2.5
    state = {"a": {"memory": record}, "b": np.arange(3)}
    back = load(save(state))
    assert back["a"]["memory"][1].x == 2.5
    assert back["a"]["memory"].dtype == record.dtype
    assert (back["b"] == state["b"]).all()


def test_layouts_are_interned_by_their_fields() -> None:
    """The schema's own metadata does not make another layout."""
    assert Layout.of(TICKS) is Layout.of(TICKS.with_metadata({"x": "y"}))
