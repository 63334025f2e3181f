"""Simulated markets: the same bits however cut, coherent books, shocks that shock, facts that look real."""

from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpi.formats.errors import UsageError
from gpi.formats.frame import Frame, concatenated
from gpi.formats.instruments import Instruments
from gpi.formats.ticks import TICKS, ticks
from gpi.formats.words import BUY, DEPTH, HALTED, PAUSED, QUOTE, SECOND, SELL, SNAPSHOT, STATUS, TRADE
from gpi.tools.kernels.chance import normal, uniform
from gpi.tools.market.facts import facts, sampled
from gpi.tools.market.orderflow import START, simulate
from gpi.tools.market.scenarios import SCENARIOS, Scenario, scenario
from tests.data import shared
from tests.laws import same

BRISK = replace(scenario("halt"), rate=60.0, shock_s=1.0, limit_s=0.3, clear_s=0.1, pause_s=5.0)


def drawn(market: Scenario, symbols: str, seed: int = 1, **how: int | float) -> Frame:
    """All rows of a market as one frame; `symbols` are letters."""
    stream = simulate(market, list(symbols), seed, **how)
    return concatenated(stream.frames, stream.schema)


def of_symbol(frame: Frame, instrument_id: int) -> dict[str, np.ndarray]:
    """One symbol's columns."""
    own = frame["instrument_id"] == instrument_id
    return {name: view[own] for name, view in frame.columns.items()}


@pytest.mark.parametrize("name", list(SCENARIOS))
def test_the_same_seed_gives_the_same_rows_and_another_seed_others(name: str) -> None:
    """A market is a function of scenario, symbols and seed."""
    first, again = (drawn(scenario(name), "AB", 5, events=200, levels=2) for _ in range(2))
    same(first, again, "determinism")
    assert not np.array_equal(first["ts_event"], drawn(scenario(name), "AB", 6, events=200, levels=2)["ts_event"])


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 90))
def test_how_the_stream_is_cut_changes_nothing(seed: int, batch: int) -> None:
    """Law 1 for sources: the batch size is not part of the market."""
    whole = drawn(BRISK, "AB", seed, events=150, levels=3, batch=1000)
    same(drawn(BRISK, "AB", seed, events=150, levels=3, batch=batch), whole, "law 1: cut anywhere")


def test_a_symbol_does_not_depend_on_who_else_is_simulated() -> None:
    """Every symbol has a generator of its own, and the common factor lies on a fixed grid."""
    alone, crowd = (
        drawn(scenario("calm"), "B", duration_s=30),
        drawn(scenario("calm"), "ABCDE", duration_s=30),
    )
    mine, among = of_symbol(alone, 0), of_symbol(crowd, 1)
    for name in set(mine) - {"seq", "instrument_id"}:
        np.testing.assert_array_equal(mine[name], among[name], name)


def test_how_many_levels_are_shown_changes_only_what_is_shown() -> None:
    """The quotes of a market without depth are the QUOTE rows of the same market with depth."""
    bare, deep = (drawn(scenario("calm"), "AB", duration_s=40, levels=levels) for levels in (0, 4))
    quoted = deep["kind"] & QUOTE > 0
    for name in ("ts_event", "bid_px", "bid_sz", "ask_px", "ask_sz", "trade_px", "trade_sz", "side"):
        np.testing.assert_array_equal(bare[name], deep[name][quoted], name)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(["calm", "flash-crash", "brisk"]), st.integers(1, 10))
def test_every_row_is_coherent(seed: int, name: str, levels: int) -> None:
    """Times do not fall, books are ordered and not crossed, sizes positive, what a row lacks is NaN and 0."""
    market = BRISK if name == "brisk" else replace(scenario(name), rate=60.0, shock_s=0.5)
    frame = drawn(market, "ABC", seed, events=200, levels=levels)
    kind = frame["kind"]
    assert (np.diff(frame["ts_event"]) >= 0).all() and (frame["ts_recv"] == frame["ts_event"]).all()
    np.testing.assert_array_equal(frame["seq"], np.arange(200))
    assert set(np.unique(kind)) <= {QUOTE | DEPTH, QUOTE | TRADE | DEPTH, DEPTH, STATUS}
    quote, deep, trade = (kind & bit > 0 for bit in (QUOTE, DEPTH, TRADE))
    bids, asks = frame["bids_px"], frame["asks_px"]
    assert (np.diff(bids[deep], axis=1) < 0).all() and (np.diff(asks[deep], axis=1) > 0).all()
    assert (bids[deep, 0] < asks[deep, 0]).all() and (bids[deep] > 0).all()
    assert (frame["bids_sz"][deep] > 0).all() and (frame["asks_sz"][deep] > 0).all()
    assert (frame["bids_sz"][~deep] == 0).all() and np.isnan(asks[~deep]).all()
    for touch, ladder in (("bid", "bids"), ("ask", "asks")):
        np.testing.assert_array_equal(frame[f"{touch}_px"][quote], frame[f"{ladder}_px"][quote, 0])
        np.testing.assert_array_equal(frame[f"{touch}_sz"][quote], frame[f"{ladder}_sz"][quote, 0])
        assert np.isnan(frame[f"{touch}_px"][~quote]).all() and (frame[f"{touch}_sz"][~quote] == 0).all()
    assert (frame["trade_sz"][trade] > 0).all() and (frame["trade_sz"][~trade] == 0).all()
    assert (frame["side"][trade] != 0).all() and (frame["side"][~trade] == 0).all()
    cents = frame["bids_px"][deep] * 100
    np.testing.assert_allclose(cents, cents.round(), atol=1e-6)


def test_trades_happen_at_the_touch_of_the_row_before() -> None:
    """A buyer pays the offer that stood, a seller gets the bid, and no more than stood there."""
    one = of_symbol(drawn(replace(scenario("calm"), sweep=0.5), "A", events=1500), 0)
    rows = np.nonzero(one["kind"] & TRADE)[0]
    assert len(rows) > 20
    bought = one["side"][rows] == BUY
    stood_px = np.where(bought, one["ask_px"][rows - 1], one["bid_px"][rows - 1])
    stood_sz = np.where(bought, one["ask_sz"][rows - 1], one["bid_sz"][rows - 1])
    np.testing.assert_array_equal(one["trade_px"][rows], stood_px)
    assert (one["trade_sz"][rows] <= stood_sz).all() and {BUY, SELL} == set(one["side"][rows])
    swept = (np.diff(one["ts_event"][rows]) == 0).sum()
    assert swept > 0, "a large order walks the book in rows of one time"


def test_a_pause_is_silent_and_ends_with_a_fresh_quote() -> None:
    """The price leaves its band: STATUS, silence of that symbol, STATUS, a snapshot; others go on."""
    frame = drawn(BRISK, "AB", 2, duration_s=25)
    one, other = of_symbol(frame, 0), of_symbol(frame, 1)
    first, second, *_ = np.nonzero(one["kind"] == STATUS)[0]
    assert second == first + 1, "not one row in between"
    assert one["flags"][first] == HALTED | PAUSED and one["flags"][second] == 0
    begins, ends = one["ts_event"][first], one["ts_event"][second]
    assert ends - begins == 5 * SECOND
    assert one["kind"][second + 1] == QUOTE and one["flags"][second + 1] == SNAPSHOT
    assert one["ts_event"][second + 1] == ends
    assert ((other["ts_event"] > begins) & (other["ts_event"] < ends)).sum() > 50
    assert not (other["kind"] & STATUS).any()


def test_nothing_trades_outside_the_price_band() -> None:
    """Until the first pause, every trade is within 5% of the opening reference or of one adopted since."""
    one = of_symbol(drawn(BRISK, "A", 3, duration_s=10), 0)
    opening = 0.5 * (one["bid_px"][0] + one["ask_px"][0])
    before = one["trade_sz"] > 0
    if (one["kind"] == STATUS).any():
        before &= np.arange(len(before)) < np.nonzero(one["kind"] == STATUS)[0][0]
    assert before.any()
    assert (np.abs(one["trade_px"][before] / opening - 1) <= 0.0502).all()


@pytest.mark.jit
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_flash_crash_falls_far_and_comes_part_of_the_way_back(seed: int) -> None:
    """A sell programme takes the mid down several percent in minutes, spreads open, part of it returns."""
    frame = drawn(scenario("flash-crash"), "AB", seed, duration_s=1500)
    for instrument in (0, 1):
        one = of_symbol(frame, instrument)
        second = (one["ts_event"] - START) / SECOND
        mid, spread = 0.5 * (one["bid_px"] + one["ask_px"]), one["ask_px"] - one["bid_px"]
        calm, crash = second < 60, (second > 60) & (second < 360)
        opening, bottom, end = mid[calm][-1], mid[crash].min(), mid[-1]
        assert -0.09 < bottom / opening - 1 < -0.05
        assert 0.3 < (end - bottom) / (opening - bottom) < 0.9
        assert spread[crash].max() > 3 * np.quantile(spread[calm], 0.99)
        falling = (second > 60) & (second <= second[crash][mid[crash].argmin()])
        assert (one["side"] == SELL)[falling].sum() > (one["side"] == BUY)[falling].sum()


def test_a_market_ends_with_its_duration_or_its_events() -> None:
    """`events` counts rows, `duration_s` is event time; no rows is a market too."""
    timed = drawn(scenario("calm"), "AB", duration_s=10)
    assert START <= timed["ts_event"].min() and timed["ts_event"].max() < START + 10 * SECOND
    assert drawn(scenario("calm"), "AB", events=17, batch=5).rows == 17
    assert drawn(scenario("calm"), "AB", events=0).rows == 0
    sizes = [frame.rows for frame in simulate(scenario("calm"), ["A"], events=12, batch=5).frames]
    assert sizes == [5, 5, 2]


def test_the_stream_announces_its_instruments() -> None:
    """Ids are rows of the table in the schema, in the order given."""
    stream = simulate(scenario("calm"), ["SPY", "QQQ"], events=5, levels=3)
    assert Instruments.of(stream.schema).symbols == ("SPY", "QQQ")
    assert stream.schema.names == ticks(3).names


@pytest.mark.parametrize(
    "how",
    [{"levels": 11}, {"events": -1}, {"duration_s": 0.0}, {"batch": 0}, {"events": 1, "duration_s": -1.0}],
)
def test_impossible_markets_are_refused(how: dict[str, float]) -> None:
    """Numbers out of range are the user's error, told before the first row."""
    with pytest.raises(UsageError):
        simulate(scenario("calm"), ["A"], **how)


def test_faults_of_the_command_line_name_the_fix() -> None:
    """No symbols, one twice, an odd tick, an unknown scenario."""
    for symbols in ([], ["A", "A"]):
        with pytest.raises(UsageError, match="each once"):
            simulate(scenario("calm"), symbols)
    with pytest.raises(UsageError, match="1/n"):
        simulate(replace(scenario("calm"), tick_size=0.03), ["A"])
    with pytest.raises(UsageError, match="flash-crash"):
        scenario("flashcrash")


def test_chance_is_uniform_and_normal_enough() -> None:
    """Mean and variance of both generators, and the open end that keeps logarithms finite."""
    m = np.zeros(1, np.dtype((np.record, [("rng", "i8")])))
    m["rng"] = 88172645463325252
    u = np.array([uniform(m[0]) for _ in range(4000)])
    z = np.array([normal(m[0]) for _ in range(4000)])
    assert 0 < u.min() and u.max() <= 1
    assert abs(u.mean() - 0.5) < 0.02 and abs(u.var() - 1 / 12) < 0.005
    assert abs(z.mean()) < 0.06 and abs(z.var() - 1) < 0.08


def lobster(path: Path) -> Frame:
    """A joined LOBSTER file as ticks, executions against hidden orders left out."""
    rows = duckdb.sql(
        "select epoch_ns(ts) ts, event_type e, size, price, direction d, bid_px_1 b, bid_sz_1 bz, "
        f"ask_px_1 a, ask_sz_1 az from '{path}' where event_type <> 5"
    ).fetchnumpy()
    trade = rows["e"] == 4
    return Frame.of(
        TICKS,
        {
            "ts_event": rows["ts"],
            "ts_recv": rows["ts"],
            "instrument_id": 0,
            "kind": np.where(trade, QUOTE | TRADE, QUOTE),
            "side": np.where(trade, -rows["d"], 0),
            "flags": 0,
            "seq": np.arange(len(trade)),
            "bid_px": rows["b"],
            "bid_sz": rows["bz"],
            "ask_px": rows["a"],
            "ask_sz": rows["az"],
            "trade_px": np.where(trade, rows["price"], np.nan),
            "trade_sz": np.where(trade, rows["size"], 0),
        },
    )


def looks_real(found: dict[str, float]) -> None:
    """The acceptance bands; the real samples must lie in them as well (see docs/market.md)."""
    assert abs(found["acf1_return_1s"]) < 0.1
    assert found["kurtosis_1s"] > 5
    assert found["acf100_abs_return_1s"] > 0
    assert 2 < found["hill_10s"] < 5
    assert found["acf10_sign"] > 0.03 and 0.4 < found["sign_exponent"] < 1.3
    assert found["volume_volatility"] > 0.2
    assert found["edges_to_middle"] > 1.5
    assert found["fano_10s"] > 5 and found["gap_cv"] > 1.5
    assert 0.05 < found["imbalance_next_move"] < 0.3
    assert 0.1 < found["ofi_r2_10s"] < 0.8 and found["ofi_next_10s"] < 0.2


@pytest.mark.parametrize("name", ["AAPL_20120621_L1", "AMZN_20120621_L5"])
def test_the_acceptance_bands_hold_real_shares(name: str) -> None:
    """The bands that the simulator is held to are not made for it: real days pass them."""
    looks_real(facts(lobster(shared(f"eq_lob_lobster_{name}.parquet"))))


@pytest.mark.jit
def test_a_calm_day_looks_real() -> None:
    """Medians over four simulated days lie in the bands."""
    frame = drawn(scenario("calm"), "ABCD", 3, duration_s=23_400)
    days = [facts(frame, instrument) for instrument in range(4)]
    looks_real({name: float(np.median([day[name] for day in days])) for name in days[0]})


@pytest.mark.jit
def test_symbols_move_together() -> None:
    """One-minute returns of two symbols correlate through the common factor, which `beta` switches off."""
    for beta, low, high in ((0.9, 0.35, 0.95), (0.0, -0.2, 0.2)):
        frame = drawn(replace(scenario("calm"), beta=beta), "AB", 4, duration_s=23_400)
        pair = []
        for instrument in (0, 1):
            one = of_symbol(frame, instrument)
            mid = 0.5 * (one["bid_px"] + one["ask_px"])
            pair.append(np.diff(np.log(sampled(one["ts_event"], mid, 60 * SECOND)))[:380])
        assert low < np.corrcoef(pair)[0, 1] < high
