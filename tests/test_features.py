"""Features: kernels against their definitions, the laws, memory that grows and stays flat."""

import json
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from gpi.formats.errors import BadInput, SchemaMismatch, UsageError
from gpi.formats.features import (
    MICROSTRUCTURE,
    MICROSTRUCTURE_FEATURES,
    TICK_FEATURES,
    elements,
)
from gpi.formats.features import microstructure as microstructure_field
from gpi.formats.frame import Frame, Layout
from gpi.formats.ticks import TICKS, ticks
from gpi.formats.words import BUY, DEPTH, GAP, NO_PRICE, OFF_EXCHANGE, QUOTE, SELL, SNAPSHOT, TRADE
from gpi.tools.features.microstructure import microstructure
from gpi.tools.features.tick import tick_features
from gpi.tools.kernels import features as kernels
from gpi.tools.kernels.features import vpin
from gpi.tools.kernels.features.distributions import within
from gpi.tools.kernels.features.microstructure import fresh
from gpi.tools.kernels.features.ticks import faded
from gpi.tools.stage import Stage
from tests.data import reference, shared
from tests.laws import obeys_the_laws, tick_frames
from tests.naive import features as naive
from tests.naive import microstructure as naive_microstructure

SECOND = 10**9
START = 1_700_000_000 * SECOND
VPIN_LAWS = [(300.0, 3, math.inf), (500.0, 2, 0.25)]
Definition = Callable[[Sequence[naive.Row]], list[float]]
CUTS = st.lists(st.integers(0, 60), max_size=4)


@st.composite
def wild(draw: st.DrawFn, levels: int = 0) -> Frame:
    """Ticks with what the plain ones lack: nanosecond gaps, no asks, empty books, only trades."""
    instruments = draw(st.integers(1, 2))
    frame = draw(tick_frames(max_rows=60, instruments=instruments, levels=levels))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    frame["ts_event"][:] += np.cumsum(rng.integers(0, 2, frame.rows))
    frame["flags"][:] |= rng.choice([0, GAP, SNAPSHOT], frame.rows, p=[0.9, 0.05, 0.05])
    no_ask = rng.random(frame.rows) < 0.05
    frame["ask_px"][no_ask] = np.nan
    frame["ask_sz"][no_ask] = 0.0
    empty = rng.random(frame.rows) < 0.05
    frame["bid_sz"][empty] = frame["ask_sz"][empty] = 0.0
    if draw(st.booleans()):
        frame["kind"][:] |= TRADE
        frame["trade_px"][:] = 100.0 + 0.005 * rng.integers(-3, 4, frame.rows)
        frame["trade_sz"][:] = rng.integers(0, 9, frame.rows) * 50.0
    if levels:
        frame["kind"][rng.random(frame.rows) < 0.1] &= ~DEPTH
        gone = rng.random(frame.rows) < 0.1
        frame["asks_px"][gone, -1] = np.nan
        frame["asks_sz"][gone, -1] = 0.0
    return frame


def stream(seconds: list[float], **columns: object) -> Frame:
    """A frame of one instrument at `seconds`, quotes 99.99 x 100.01 of one lot unless told."""
    n = len(seconds)
    ts = START + (np.array(seconds) * SECOND).astype(np.int64)
    usual = {
        "ts_event": ts, "ts_recv": ts, "instrument_id": 0, "kind": QUOTE, "side": 0, "flags": 0,
        "seq": np.arange(n), "bid_px": 99.99, "bid_sz": 100.0, "ask_px": 100.01, "ask_sz": 100.0,
        "trade_px": np.nan, "trade_sz": 0.0,
    }  # fmt: skip
    made = Layout.of(TICKS).empty(n)
    for name, value in (usual | columns).items():
        made[name][:] = value
    return made


def output(stage: Stage, frame: Frame) -> dict[str, np.ndarray]:
    """The stage's vector column by element name."""
    made = stage.step(stage.start(), frame)
    field = stage.gives(frame.layout.schema)[-1]
    return dict(zip(elements(field), made[field.name].T, strict=True))


def agrees(stage: Stage, frame: Frame, definition: Definition, every: int = 1) -> None:
    """Assert that rows of every instrument are what the definition says of their prefix."""
    field = stage.gives(frame.layout.schema)[-1]
    made = stage.step(stage.start(), frame)[field.name]
    for instrument in np.unique(frame["instrument_id"]):
        rows = naive.rows_of(frame, instrument)
        mine = made[frame["instrument_id"] == instrument]
        asked = range(every - 1, len(rows), every)
        expected = [definition(rows[: k + 1]) for k in asked]
        for column, name in enumerate(elements(field)):
            wanted = [row[column] for row in expected]
            np.testing.assert_allclose(mine[asked, column], wanted, 2e-5, 2e-5, err_msg=name)


@settings(max_examples=20, deadline=None)
@given(wild())
def test_tick_features_are_what_they_are_defined_to_be(frame: Frame) -> None:
    """Every row equals the plain definition over the instrument's rows so far."""
    agrees(tick_features(instruments=1, entries=1), frame, naive.tick_features)


@settings(max_examples=10, deadline=None)
@given(wild(levels=3))
def test_depth_imbalance_uses_the_book_when_there_is_one(frame: Frame) -> None:
    """With ladders, every row equals the definition over the levels."""
    agrees(tick_features(instruments=1, entries=1), frame, naive.tick_features)


@pytest.mark.parametrize("law", VPIN_LAWS)
@settings(max_examples=12, deadline=None)
@given(frame=wild(), window=st.sampled_from([1, 10]))
def test_microstructure_is_what_it_is_defined_to_be(frame: Frame, window: int, law: tuple[float, int, float]) -> None:
    """Every row equals the plain definition over the instrument's rows so far."""
    stage = microstructure(0, window, *law)
    agrees(stage, frame, lambda rows: naive_microstructure.features(rows, 0, window * SECOND, law))


@settings(max_examples=10, deadline=None)
@given(wild(levels=3))
def test_order_flow_is_counted_on_every_level(frame: Frame) -> None:
    """With ladders, every row equals the definition, level by level."""
    stage = microstructure(3, 2, *VPIN_LAWS[0])
    law = VPIN_LAWS[0]
    agrees(stage, frame, lambda rows: naive_microstructure.features(rows, 3, 2 * SECOND, law))


@pytest.mark.parametrize("seed", [1, 2])
def test_long_streams_agree_once_everything_is_warm(seed: int) -> None:
    """After 240 trades with quotes every feature is defined, and equals its definition."""
    rng = np.random.default_rng(seed)
    n, mid = 240, 100 + 0.005 * np.cumsum(rng.integers(-2, 3, 240))
    frame = stream(
        list(np.cumsum(rng.choice([0.0, 0.001, 0.2, 1.3], n))), kind=QUOTE | TRADE,
        side=rng.integers(-1, 2, n), trade_sz=rng.integers(1, 9, n) * 50.0,
        trade_px=mid + 0.005 * rng.integers(-1, 2, n), bid_px=mid - 0.005, ask_px=mid + 0.005,
        bid_sz=rng.integers(0, 9, n) * 100.0,
    )  # fmt: skip
    law = VPIN_LAWS[0]
    agrees(tick_features(), frame, naive.tick_features, every=80)
    stage = microstructure(0, 20, *law)
    agrees(stage, frame, lambda rows: naive_microstructure.features(rows, 0, 20 * SECOND, law), 80)
    for of in (tick_features(), stage):
        assert all(np.isfinite(values[-1]) for values in output(of, frame).values())


@settings(max_examples=15, deadline=None)
@given(tick_frames(instruments=12), CUTS)
def test_tick_features_obey_the_laws(frame: Frame, cuts: list[int]) -> None:
    """Cuts, prefixes, other instruments and a restart change no bit, also while memory grows."""
    obeys_the_laws(tick_features(instruments=2, entries=8), frame, cuts)


@settings(max_examples=15, deadline=None)
@given(tick_frames(instruments=12, levels=2), CUTS)
def test_microstructure_obeys_the_laws(frame: Frame, cuts: list[int]) -> None:
    """Cuts, prefixes, other instruments and a restart change no bit, also while memory grows."""
    obeys_the_laws(microstructure(2, 5.0, 300.0, 3), frame, cuts)


@settings(deadline=None)
@given(wild(), st.integers(0, 2**32 - 1))
def test_a_trade_whose_price_is_not_the_markets_says_nothing_of_the_flow(frame: Frame, seed: int) -> None:
    """As if it were no trade, for the microstructure; its volume counts among the ten features, as on the tape."""
    other = frame.copy()
    odd = np.random.default_rng(seed).random(frame.rows) < 0.3
    frame["flags"][odd] |= OFF_EXCHANGE | NO_PRICE
    other["kind"][odd] &= ~TRADE
    stage = microstructure()
    found = [stage.step(stage.start(), each)["microstructure"] for each in (frame, other)]
    assert np.array_equal(*found, equal_nan=True)


@pytest.mark.parametrize("stage", [tick_features(), microstructure()], ids=["tick", "micro"])
def test_an_empty_frame_comes_back_empty(stage: Stage) -> None:
    """No rows in, no rows out, under the announced schema."""
    made = stage.step(stage.start(), stream([]))
    assert made.rows == 0 and made.layout.schema == stage.gives(TICKS).remove_metadata()


@pytest.mark.parametrize("stage", [tick_features(), microstructure()], ids=["tick", "micro"])
def test_memory_stays_flat_over_a_long_stream(stage: Stage) -> None:
    """A mid that changes ten times a second fills its window and no more."""
    bid = 99.0 + np.arange(2000) % 7 * 0.01
    frame = stream(list(np.arange(2000) / 10), bid_px=bid)
    state, sizes = stage.start(), []
    for first in range(0, 2000, 500):
        stage.step(state, frame.slice(first, first + 500))
        sizes.append(state["stamps"].size)
    assert len(set(sizes[1:])) <= 2 and sizes[-1] <= 8192


@pytest.mark.parametrize("stage", [tick_features(), microstructure()], ids=["tick", "micro"])
def test_a_negative_instrument_is_refused(stage: Stage) -> None:
    """The message says what an instrument_id is."""
    with pytest.raises(BadInput, match="instrument table"):
        stage.step(stage.start(), stream([0.0], instrument_id=-1))


@pytest.mark.parametrize("stage", [tick_features(), microstructure()], ids=["tick", "micro"])
def test_a_far_instrument_makes_room_for_itself(stage: Stage) -> None:
    """Ids beyond memory grow it at once."""
    state = stage.start()
    stage.step(state, stream([0.0, 1.0], instrument_id=[0, 1000]))
    assert state["memory"].size > 1000


@pytest.mark.parametrize("stage", [tick_features(), microstructure()], ids=["tick", "micro"])
def test_a_late_row_counts_as_happening_now(stage: Stage) -> None:
    """Time never goes back: a row before the last one equals a row at the last one's time."""
    prices = {"bid_px": [99.9, 99.95, 99.98]}
    late, now = stream([0.0, 2.0, 1.5], **prices), stream([0.0, 2.0, 2.0], **prices)
    for name, values in output(stage, late).items():
        np.testing.assert_array_equal(values, output(stage, now)[name], err_msg=name)


def test_a_missing_column_is_named() -> None:
    """Levels that the stream does not carry are a mismatch before the first tick."""
    with pytest.raises(SchemaMismatch, match="bids_px"):
        microstructure(levels=2).check(TICKS)
    microstructure(levels=2).check(ticks(2))


def test_returns_look_back_exactly() -> None:
    """The mid exactly one second ago counts, the one a nanosecond later does not."""
    frame = stream([0.0, 0.5, 1.0, 1.5], bid_px=[99.0, 100.0, 101.0, 102.0], ask_px=103.0)
    got = output(tick_features(), frame)["ret_1s"]
    expected = [math.nan, math.nan, math.log(102 / 101) * 1e4, math.log(102.5 / 101.5) * 1e4]
    np.testing.assert_allclose(got, expected, rtol=1e-6)


def test_trades_before_quotes_leave_prices_undefined() -> None:
    """Without a quote there is no mid, but there is volume."""
    frame = stream([0.0, 1.0], kind=TRADE, bid_px=np.nan, ask_px=np.nan, trade_sz=100.0)
    got = output(tick_features(), frame)
    assert np.isnan(got["ret_1s"]).all() and np.isnan(got["spread"]).all()
    assert got["volume_intensity"][1] > 0 and np.isnan(got["quote_intensity"]).all()


def test_days_of_silence_quieten_the_intensities() -> None:
    """Decayed sums that have vanished are a rate of nothing, not an undefined one."""
    frame = stream([0.0, 1.0, 3e5, 3e5 + 1], kind=[QUOTE | TRADE, 1, 4, 4], trade_sz=[9, 0, 0, 0])
    got = output(tick_features(), frame)
    assert got["volume_intensity"][3] == 0.0 and got["quote_intensity"][3] == 0.0


def test_a_steady_stream_has_unit_intensity() -> None:
    """The warm-up correction gives 1 from the first second on, not 12."""
    got = output(tick_features(), stream(list(np.arange(400) / 20)))["quote_intensity"]
    np.testing.assert_allclose(got[40:], 1.0, atol=0.06)


def test_a_window_is_open_at_its_old_end() -> None:
    """What happened exactly one window ago has left, and sums are defined from that moment on."""
    frame = stream([0.0, 0.5, 1.0, 1.5], bid_px=[99.0, 99.5, 99.5, 99.5])
    got = output(microstructure(window=1.0), frame)["realised_variance"]
    move = math.log((99.5 + 100.01) / (99.0 + 100.01)) * 1e4
    np.testing.assert_allclose(got, [math.nan, math.nan, move**2, 0.0], rtol=1e-5)


def test_an_odd_lot_after_equal_lots_surprises_finitely() -> None:
    """Sizes that never varied have a deviation of at least .1 in the logarithm."""
    frame = stream(list(np.arange(12.0)), kind=TRADE, trade_sz=[100.0] * 11 + [50.0])
    got = output(tick_features(), frame)["trade_size_surprise"]
    assert np.isnan(got[9]) and got[10] == 0.0
    assert got[11] == pytest.approx(math.log(0.5) / 0.1, rel=1e-6)


@pytest.mark.parametrize("elapsed", [1, 1_000, 999_999, 1_000_000, SECOND, 10**13])
def test_decay_is_exponential_at_every_scale(elapsed: int) -> None:
    """The short series and the exponential meet: both taus to 1e-9."""
    expected = [-math.expm1(-elapsed / SECOND / tau) for tau in (5.0, 60.0)]
    assert faded(elapsed) == pytest.approx(expected, rel=1e-9)


def test_lambda_is_the_slope_it_was_made_with() -> None:
    """Mids that move by 0.001 per signed share give a lambda of 0.001, plus a drift it ignores."""
    rng = np.random.default_rng(1)
    size, side = rng.integers(1, 9, 80) * 100.0, rng.choice([BUY, SELL], 80)
    mid = 500.0 + np.cumsum(0.001 * size * side + 0.01)  # the row's own quote follows its trade
    frame = stream(
        list(np.arange(80.0)), kind=QUOTE | TRADE, side=side, trade_px=mid, trade_sz=size,
        bid_px=mid - 0.01, ask_px=mid + 0.01,
    )  # fmt: skip
    np.testing.assert_allclose(output(microstructure(), frame)["kyle_lambda"][-1], 0.001, 1e-5)


def test_a_jump_counts_in_variance_and_hardly_in_bipower_variance() -> None:
    """One jump among small moves: realised variance sees its square, bipower its neighbours."""
    bid = 100.0 + 0.001 * (np.arange(40) % 2) + (np.arange(40) >= 20)
    got = output(microstructure(window=30.0), stream(list(np.arange(40.0)), bid_px=bid, ask_px=102))
    assert got["realised_variance"][-1] > 20 * got["bipower_variance"][-1] > 0


def test_vpin_reproduces_a_worked_example() -> None:
    """Eleven bars into buckets of 900: the reference's imbalances, normal and t(.25)."""
    toy = json.loads(reference("computed.json").read_text())["VPIN_toy"]
    for freedom, key in ((math.inf, "normal"), (0.25, "t025")):
        count, expected, imbalances = toy[key]
        m, tilts = fresh(1, toy["bucket"])[0], np.zeros((1, count))
        for move, volume in zip(np.diff(toy["price"]), toy["vol"][1:], strict=True):
            vpin.pour(m, tilts, 0, vpin.net_share(move, toy["sigma"], freedom), volume)
        assert m.buckets == count and m.vpin == pytest.approx(expected, abs=1e-12)
        np.testing.assert_allclose(tilts[0] * toy["bucket"], imbalances, atol=1e-4)


def test_a_block_fills_many_buckets_at_once() -> None:
    """A trade of a billion buckets costs no more than the buckets VPIN remembers."""
    m, tilts = fresh(1, 10.0)[0], np.zeros((1, 4))
    vpin.pour(m, tilts, 0, 0.5, 1e10 + 4.0)
    assert m.vpin == 0.5 and m.poured == 4.0 and m.net == 2.0


def test_a_bucket_is_found_from_the_first_trades() -> None:
    """Without a bucket volume it is fifty times the mean of the first hundred trades."""
    stage = microstructure()
    state = stage.start()
    stage.step(state, stream([0.0] * 100, kind=TRADE, trade_px=1.0, trade_sz=[20.0, 40.0] * 50))
    assert state["memory"]["bucket"][0] == 1500.0


@given(st.floats(-50, 50), st.sampled_from([0.25, 1.0, 3.0, 30.0, math.inf]))
@settings(max_examples=50, deadline=None)
def test_probabilities_agree_with_scipy(z: float, freedom: float) -> None:
    """Student's t by the incomplete beta function and the normal by erf, to 1e-12."""
    square = z * z / (freedom + z * z) if freedom < math.inf else math.nan
    beta = special.betainc(0.5, freedom / 2, square)
    expected = special.erf(abs(z) / math.sqrt(2)) if freedom == math.inf else beta
    assert within(z, freedom) == pytest.approx(expected, rel=1e-12, abs=1e-15)


def test_kernels_read_the_bits_that_ticks_are_made_of() -> None:
    """What breaks the order flow, and how many numbers the formats name."""
    assert kernels.microstructure.DISCONTINUED == GAP | SNAPSHOT
    assert len(MICROSTRUCTURE_FEATURES) == 9


def test_settings_that_mean_nothing_are_refused() -> None:
    """Each complaint names the setting and the value."""
    bad: dict[str, Any] = {
        "levels": 11,
        "window": 0.0,
        "bucket": -1.0,
        "buckets": 1,
        "freedom": 0.0,
    }
    for name, value in bad.items():
        with pytest.raises(UsageError, match=f"{name} must be .* not {value}"):
            microstructure(**{name: value})


def test_the_fields_name_their_elements() -> None:
    """Names stand in the schema, in the order they are written."""
    assert elements(MICROSTRUCTURE) == (*MICROSTRUCTURE_FEATURES, "ofi_1")
    assert elements(tick_features().gives(TICKS)[-1]) == TICK_FEATURES
    assert microstructure(levels=3).gives(ticks(3))[-1] == microstructure_field(3)


def test_order_flow_goes_with_price_moves_on_a_real_book() -> None:
    """Cont, Kukanov & Stoikov: changes of the mid over 10 s are correlated with the order flow."""
    names = ["ts", "bid_px_1", "bid_sz_1", "ask_px_1", "ask_sz_1"]
    table = pq.read_table(shared("eq_lob_lobster_AMZN_20120621_L5.parquet"), columns=names)
    ts, *best = [np.asarray(column) for column in table[:10_000].columns]
    ts = ts.astype("datetime64[ns]").astype(np.int64)
    quotes = dict(zip(("bid_px", "bid_sz", "ask_px", "ask_sz"), best, strict=True))
    frame = stream([0.0] * len(ts), **quotes, ts_event=ts)
    flow = output(microstructure(window=10.0), frame)["ofi_1"]
    ends = np.searchsorted(ts, np.arange(ts[0] + 20 * SECOND, ts[-1], 10 * SECOND), "right") - 1
    mid = (quotes["bid_px"] + quotes["ask_px"]) / 2
    moved = np.diff(mid[ends])
    assert np.corrcoef(moved, flow[ends][1:])[0, 1] > 0.4
