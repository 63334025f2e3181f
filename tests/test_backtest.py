"""What is true of a session and its run directory: laws, growth, manifests, statistics, verification."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpi.formats.errors import BadInput, UsageError
from gpi.formats.frame import Frame
from gpi.formats.instruments import Instruments, crypto, equity, index, option
from gpi.formats.orders import EQUITY
from gpi.formats.words import GTC, REASONS, REFUSE, SECOND, SUBMIT
from gpi.tools.backtest.manifest import manifest_of, setup_of
from gpi.tools.backtest.run import Run
from gpi.tools.backtest.session import Session
from gpi.tools.backtest.setup import ALPACA_EQUITY, Latency, Setup, Terms
from gpi.tools.backtest.statistics import Sampling, max_drawdown, metrics, sampled, sharpe
from gpi.tools.backtest.tables import columns
from gpi.tools.backtest.traded import NOTHING, Traded, joined
from gpi.tools.backtest.trading import trading
from gpi.tools.backtest.verify import altered, compare, complete
from gpi.tools.risk.limits import read
from gpi.tools.strategies import market_making
from gpi.tools.strategies.loading import strategy
from tests.data import shared
from tests.laws import obeys_the_laws, same, tick_frames
from tests.trading import START, frame, setup, trade

EAGER = {"size_fraction": 0.001, "gamma": 0.5, "k": 5.0, "requote_ticks": 0.0, "requote_spread": 0.0}


def making(**changes: Any) -> Setup:
    """Market making under the shipped limits."""
    made = strategy(market_making, EAGER, "market_making")
    given = {"limits": read(), "fees": ALPACA_EQUITY, "terms": Terms(), **changes}
    return Setup(made, **given)


def ran(ticks: Frame, given: Setup, cuts: list[int]) -> Traded:
    """A session over ticks cut at some rows."""
    session = Session(ticks.layout.schema, given)
    at = sorted(min(cut, ticks.rows) for cut in cuts)
    parts = [session.step(ticks.slice(a, b)) for a, b in zip([0, *at], [*at, ticks.rows], strict=True)]
    return joined([*parts, session.finish()])


@settings(max_examples=15, deadline=None)
@given(ticks=tick_frames(max_rows=50), cuts=st.lists(st.integers(0, 50), max_size=3))
def test_trading_obeys_the_laws(ticks: Frame, cuts: list[int]) -> None:
    """Cut anywhere, no peeking, save and resume, the schema announced, the input untouched."""
    obeys_the_laws(trading(making(latency=Latency(0, 10_000_000, 20_000_000))), ticks, cuts)


@settings(max_examples=15, deadline=None)
@given(levels=st.sampled_from([0, 3]), data=st.data())
def test_orders_fills_and_equity_do_not_depend_on_the_cuts(levels: int, data: st.DataObject) -> None:
    """One batch, random batches and batches of one give the same three tables."""
    ticks = data.draw(tick_frames(max_rows=40, levels=levels))
    whole = ran(ticks, making(), [])
    for cuts in (data.draw(st.lists(st.integers(0, 40), max_size=4)), list(range(ticks.rows))):
        for left, right in zip(ran(ticks, making(), cuts), whole, strict=True):
            same(left, right, "cut anywhere")


def test_everything_grows_without_changing_anything() -> None:
    """200 orders on 40 instruments outgrow the pool, the wire, the tables and the instruments."""
    market = [{"ts": START + k, "i": k % 40, "bid": (100, 9), "ask": (102, 9)} for k in range(80)]
    script = {k: [(1, 1.0, 90 + k % 7, GTC) for _ in range(5)] for k in range(40)}
    late = Latency(0, SECOND, SECOND)
    market.append({"ts": START + 10 * SECOND, "i": 0, "bid": (80, 9), "ask": (81, 9)})
    traded = trade(market, script, latency=late)
    assert np.bincount(traded.orders["action"], minlength=9).tolist()[1:] == [200, 0, 195, 200, 0, 195, 0, 5]
    session = Session(frame(market).layout.schema, setup(script, latency=late))
    session.step(frame(market))
    assert len(session.state["pool"]) > 64 and session.state["transit"].shape[1] > 256
    assert len(session.state["instruments"]) >= 40


def test_a_foreign_instrument_is_bad_input() -> None:
    """An instrument_id below 0 names no instrument."""
    with pytest.raises(BadInput):
        trade([{"ts": START, "i": -1, "bid": (1, 1), "ask": (2, 1)}], {})


@pytest.mark.parametrize("wrong", [-1, 1 << 20])
def test_what_was_traded_before_a_foreign_row_is_told_in_every_cut(wrong: int) -> None:
    """The same tables in one frame and row by row, though the frame that holds the row raises."""
    market = [{"ts": START + k * SECOND, "bid": (100, 50), "ask": (102, 50)} for k in range(6)]
    ticks = frame([*market, {**market[-1], "ts": START + 6 * SECOND}])
    ticks["instrument_id"][6] = wrong
    found = []
    for cut in (7, 1):
        session = Session(ticks.layout.schema, setup({k: [(1, 5.0, 102, GTC)] for k in range(6)}))
        parts = []
        with pytest.raises(BadInput, match=str(wrong)):
            for row in range(0, 7, cut):
                parts.append(session.step(ticks.slice(row, row + cut)))
        found.append(joined([*parts, session.finish()]))
    assert found[0].fills.rows == 6
    for left, right in zip(*found, strict=True):
        same(left, right, "cut anywhere")


def test_what_was_traded_before_a_strategy_fails_is_told() -> None:
    """A Python strategy that raises at its third tick has traded two."""

    class Clumsy:
        def __init__(self) -> None:
            self.seen = 0

        def on_tick(self, view: Any) -> None:
            self.seen += 1
            if self.seen == 3:
                raise RuntimeError("clumsy")
            for _ in range(30):
                view.buy(1.0, 1.00)

    ticks = frame([{"ts": START + k * SECOND, "bid": (100, 50), "ask": (102, 50)} for k in range(4)])
    session = Session(ticks.layout.schema, Setup(strategy(Clumsy, {}, "clumsy"), terms=Terms()))
    with pytest.raises(RuntimeError):
        session.step(ticks)
    orders = session.finish().orders
    assert orders["order_id"][orders["action"] == SUBMIT].tolist() == list(range(1, 61))


def test_only_announced_instruments_trade() -> None:
    """With a table, an intent for an id that is not in it is malformed until it is announced."""
    ticks = frame([{"ts": START + k, "i": k % 2, "bid": (100, 9), "ask": (102, 9)} for k in range(4)])
    table = Instruments([equity("A")])
    script = {k: [(1, 1.0, 100, GTC)] for k in range(4)}
    session = Session(table.on(ticks.layout.schema), setup(script, terms=Terms()))
    rows = session.step(ticks.slice(0, 2)).orders
    assert [REASONS[r] for r in rows["reason"][rows["action"] == REFUSE]] == ["MALFORMED"]
    table.add(equity("B"))
    notice = ticks.slice(0, 0)
    notice.notes = {"gpi.instruments": table.to_json()}
    session.step(notice)
    assert REFUSE not in session.step(ticks.slice(2, 4)).orders["action"]


def test_every_state_of_trading_has_a_strategy_of_its_own() -> None:
    """Two states of one stage, turn about: a Python strategy counts its own ticks in each."""

    class Third:
        def __init__(self) -> None:
            self.seen = 0

        def on_tick(self, view: Any) -> None:
            self.seen += 1
            if self.seen == 3:
                view.buy(1.0, 1.00)

    ticks = frame([{"ts": START + k * SECOND, "bid": (100, 50), "ask": (102, 50)} for k in range(4)])
    stage = trading(Setup(strategy(Third, {}, "third"), terms=Terms()))
    stage.gives(ticks.layout.schema)
    states = [stage.start(), stage.start()]
    counts = [[stage.step(state, ticks.slice(k, k + 1)).rows for state in states] for k in range(4)]
    assert [a for a, _ in counts] == [b for _, b in counts] and counts[2][0] > 0
    assert all(stage.finish(state) is not None for state in states)


def test_terms_come_from_the_instrument_table() -> None:
    """An index cannot be traded, a coin in its lots; an announced instrument brings its terms mid-stream."""
    ticks = frame([{"ts": START, "i": k, "bid": (100, 9), "ask": (102, 9)} for k in (0, 1, 2)])
    table = Instruments([index("SPX"), crypto("BTCUSDT")])
    schema = table.on(ticks.layout.schema)
    script = {0: [(1, 1.0, 100, GTC)], 1: [(1, 0.5, 100, GTC)], 2: [(1, 0.5, 100, GTC)]}
    session = Session(schema, setup(script, terms=None))
    rows = session.step(ticks.slice(0, 2)).orders
    assert [REASONS[r] for r in rows["reason"][rows["action"] == REFUSE]] == ["MALFORMED"]
    table.add(equity("AAPL"))
    notice = ticks.slice(0, 0)
    notice.notes = {"gpi.instruments": table.to_json()}
    session.step(notice)
    rows = session.step(ticks.slice(2, 3)).orders
    assert [REASONS[r] for r in rows["reason"][rows["action"] == REFUSE]] == ["MALFORMED"]


@pytest.mark.parametrize("whole", [True, False])
def test_terms_given_by_hand_end_where_the_stream_tells_them(whole: bool) -> None:
    """A table announced in the middle brings the terms of every row of it, told whole or as news."""
    ticks = frame([{"ts": START, "i": k, "bid": (100, 9), "ask": (102, 9)} for k in (0, 1)])
    table = Instruments([crypto("BTCUSDT")])
    session = Session(table.on(ticks.layout.schema), setup({}, terms=Terms(default=(0.5, 7.0, 3.0))))
    session.step(ticks)
    table.add(option("SPY261218C00100000"))
    notice = ticks.slice(0, 0)
    notice.notes = {"gpi.instruments": table.to_json()} if whole else table.news(1)
    session.step(notice)
    told = session.state["instruments"][:2]
    assert told["lot_size"].tolist() == [1e-5, 1.0] and told["multiplier"].tolist() == [1.0, 100.0]
    assert told["right"].tolist() == [0, 1] and session.state["market"]["group"][:2].tolist() == [0, 2]


def test_late_ticks_are_counted_and_time_never_runs_back() -> None:
    """A tick from the past is traded at the present."""
    market = [{"ts": START + k, "bid": (100, 9), "ask": (102, 9)} for k in (0, SECOND, 5)]
    ticks = frame(market)
    session = Session(ticks.layout.schema, setup({2: [(1, 1.0, 100, GTC)]}))
    rows = session.step(ticks).orders
    assert rows["ts_event"].tolist() == [START + SECOND]
    assert session.clock.late == 1


def test_nothing_to_do_costs_no_memory() -> None:
    """Empty frames and quiet ticks share one empty answer."""
    ticks = frame([{"ts": START + k, "bid": (100, 9), "ask": (102, 9)} for k in range(3)])
    session = Session(ticks.layout.schema, setup({}))
    session.step(ticks.slice(0, 1))
    assert session.step(ticks.slice(1, 2)) is NOTHING
    assert session.step(ticks.slice(0, 0)) is NOTHING


def quick_run(path: Path, ticks: Frame, given: Setup, cut: int) -> dict[str, Any]:
    """A run directory made in batches of `cut`."""
    session = Session(ticks.layout.schema, given)
    run = Run(path, session, ticks.layout.schema)
    for row in range(0, ticks.rows, cut):
        run.add(session.step(ticks.slice(row, row + cut)))
    run.add(session.finish())
    return run.close()


def walk(rows: int = 400) -> Frame:
    """A market that wanders, with trades on both sides."""
    rng = np.random.default_rng(5)
    mid, market = 1000, []
    for k in range(rows):
        mid += int(rng.integers(-2, 3))
        tick: dict[str, Any] = {"ts": START + k * SECOND // 2, "bid": (mid - 2, 9), "ask": (mid + 2, 9)}
        if k % 3 == 0:
            side = int(rng.choice([-1, 1]))
            tick["trade"] = (side, mid + 4 * side, 300.0, False)
        market.append(tick)
    return frame(market)


def test_a_run_can_be_done_again_from_its_manifest(tmp_path: Path) -> None:
    """Another cut, the setup from the manifest, the kill at the same row: no difference, equal digests."""
    ticks = walk()
    quick_run(tmp_path / "a", ticks, making(kill_row=300, latency=Latency(0, 1000, 1000)), 400)
    told = manifest_of(tmp_path / "a")
    quick_run(tmp_path / "b", ticks, setup_of(told, strategy(market_making, EAGER, "market_making")), 7)
    assert compare(tmp_path / "a", tmp_path / "b") is None
    again = manifest_of(tmp_path / "b")
    assert again["digests"] == told["digests"]
    assert again["setup"] == told["setup"]
    assert told["complete"] and told["kill_row"] == 300 and told["rows"]["fills"] > 0


def test_a_run_directory_is_never_overwritten(tmp_path: Path) -> None:
    """A second run refuses; so do a manifest whose strategy has changed and a folder without a run."""
    ticks = walk(20)
    quick_run(tmp_path / "a", ticks, making(), 20)
    with pytest.raises(UsageError, match="already holds a run"):
        quick_run(tmp_path / "a", ticks, making(), 20)
    told = manifest_of(tmp_path / "a")
    told["setup"]["strategy"]["digest"] = "other"
    with pytest.raises(UsageError, match="has changed"):
        setup_of(told, strategy(market_making, EAGER, "market_making"))
    with pytest.raises(UsageError, match="holds no run"):
        manifest_of(tmp_path)


def test_one_directory_takes_one_run_at_a_time(tmp_path: Path) -> None:
    """A second run beside a first that is being written, and a path that is a file, are usage errors."""
    ticks = walk(20)
    session = Session(ticks.layout.schema, making())
    first = Run(tmp_path / "a", session, ticks.layout.schema)
    (tmp_path / "a" / "manifest.json").unlink()
    with pytest.raises(UsageError, match="being written"):
        Run(tmp_path / "a", session, ticks.layout.schema)
    first.close()
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "a"):
        with pytest.raises(UsageError):
            Run(path, session, ticks.layout.schema)


def test_an_index_in_the_table_can_be_told_and_read_back(tmp_path: Path) -> None:
    """Its infinite lot stands in the manifest as a word."""
    ticks = walk(20)
    given = making(terms=Terms.announced(Instruments([index("SPX"), equity("A")])))
    quick_run(tmp_path / "a", ticks, given, 20)
    again = setup_of(manifest_of(tmp_path / "a"), given.strategy)
    assert again.terms is not None and given.terms is not None and again.terms == given.terms


def test_an_account_without_cash_has_undefined_statistics(tmp_path: Path) -> None:
    """No return, no Sharpe ratio, no drawdown; strict JSON, no crash."""
    found = quick_run(tmp_path / "a", walk(200), making(cash=0.0), 20)
    assert (found["return"], found["sharpe"], found["max_drawdown"], found["turnover"]) == (None,) * 4
    json.loads((tmp_path / "a" / "performance_metrics.json").read_text())


def test_a_table_that_was_changed_after_the_run_is_named(tmp_path: Path) -> None:
    """Not how it is compressed but what it holds; a table that is gone or unreadable is altered too."""
    ticks = walk()
    quick_run(tmp_path / "a", ticks, making(), 50)
    assert altered(tmp_path / "a") is None and complete(tmp_path / "a")
    for table in ("equity", "fills", "orders"):
        path = tmp_path / "a" / f"{table}.parquet"
        stored = pq.read_table(path)
        pq.write_table(stored, path, row_group_size=7)
        assert altered(tmp_path / "a") is None, table
        pq.write_table(stored.slice(0, stored.num_rows - 1), path)
        assert altered(tmp_path / "a") == table
        path.write_text("nothing")
        assert altered(tmp_path / "a") == table
        path.unlink()
        assert altered(tmp_path / "a") == table
        pq.write_table(stored, path)
        assert altered(tmp_path / "a") is None, table


def test_a_run_that_did_not_end_is_not_complete(tmp_path: Path) -> None:
    """Its tables are whole all the same."""
    ticks = walk(20)
    session = Session(ticks.layout.schema, making())
    run = Run(tmp_path / "a", session, ticks.layout.schema)
    run.add(session.step(ticks))
    run.add(session.finish())
    run.close(complete=False)
    assert not complete(tmp_path / "a") and altered(tmp_path / "a") is None


def test_an_interrupted_run_shows_no_table_and_says_so(tmp_path: Path) -> None:
    """Before the close only a manifest that is not complete can be seen."""
    ticks = walk(20)
    session = Session(ticks.layout.schema, making())
    run = Run(tmp_path / "a", session, ticks.layout.schema)
    run.add(session.step(ticks))
    assert sorted(p.name for p in (tmp_path / "a").glob("*") if p.name[0] != ".") == ["manifest.json"]
    assert manifest_of(tmp_path / "a")["complete"] is False


def test_the_tables_hold_what_the_session_said(tmp_path: Path) -> None:
    """Parquet, read back, equals the frames; the metrics are strict JSON."""
    ticks = walk()
    expected = ran(ticks, making(), [])
    quick_run(tmp_path / "a", ticks, making(), 50)
    for name, part in zip(("orders", "fills", "equity"), expected, strict=True):
        stored = columns(tmp_path / "a" / f"{name}.parquet")
        for column, values in stored.items():
            assert np.array_equal(values, part[column], equal_nan=values.dtype.kind == "f"), column
        assert pq.read_schema(tmp_path / "a" / f"{name}.parquet").metadata[b"gpi.schema"] == f"{name}/1".encode()
    found = json.loads((tmp_path / "a" / "performance_metrics.json").read_text())
    assert found["fills"] == expected.fills.rows
    assert found["final_equity"] == expected.equity["equity"][-1]


@pytest.mark.parametrize(
    ("table", "column", "row"),
    [("orders", "px", 17), ("orders", "ts_event", 3), ("fills", "qty", 0), ("equity", "cash", 2)],
)
def test_a_planted_difference_is_found_and_named(tmp_path: Path, table: str, column: str, row: int) -> None:
    """The first changed value is named by table, row, column and both values."""
    ticks = walk()
    for name in ("a", "b"):
        quick_run(tmp_path / name, ticks, making(), 400)
    path = tmp_path / "b" / f"{table}.parquet"
    stored = pq.read_table(path)
    values = stored[column].to_numpy().copy()
    values[row] += 1
    values[-1] += 1
    at = stored.schema.get_field_index(column)
    field = stored.schema.field(at)
    pq.write_table(stored.set_column(at, field, pa.array(values, field.type)), path)
    found = compare(tmp_path / "a", tmp_path / "b")
    assert found is not None
    assert (found.table, found.column, found.row) == (table, column, row)
    assert found.right == pytest.approx(found.left + 1)
    assert f"{table} row {row}, {column}" in str(found)


def test_a_missing_row_is_a_difference(tmp_path: Path) -> None:
    """A table that ends earlier is told by its row count; a missing table is bad input."""
    ticks = walk()
    for name in ("a", "b"):
        quick_run(tmp_path / name, ticks, making(), 400)
    path = tmp_path / "b" / "fills.parquet"
    stored = pq.read_table(path)
    pq.write_table(stored.slice(0, stored.num_rows - 1), path)
    found = compare(tmp_path / "a", tmp_path / "b")
    assert found is not None and found.column == "rows" and found.left == found.right + 1
    path.unlink()
    with pytest.raises(BadInput):
        compare(tmp_path / "a", tmp_path / "b")


def test_the_sharpe_ratio_comes_with_its_error() -> None:
    """Lo's standard error with Mertens' correction for skew and kurtosis, on a sample of known ratio."""
    rng = np.random.default_rng(2)
    z = rng.standard_normal(250)
    z = (z - z.mean()) / z.std(ddof=1)
    ratio, error = sharpe(z + 1.14)
    assert ratio == pytest.approx(1.14)
    u = (z - z.mean()) / z.std()
    skew, kurtosis = (u**3).mean(), (u**4).mean()
    assert error == pytest.approx(np.sqrt((1 - skew * 1.14 + (kurtosis - 1) / 4 * 1.14**2) / 249))
    assert sharpe(np.zeros(5)) == (None, None)
    assert sharpe(np.ones(2)) == (None, None)


def test_equity_is_sampled_where_there_was_any() -> None:
    """Nights have no rows and give no return; a quiet interval within a day returns nothing, and is one."""
    ts = np.array([0, 30, 70, 100_000, 100_070, 100_260]) * SECOND
    worth = np.array([100.0, 110.0, 121.0, 121.0, 242.0, 484.0])
    assert sampled(ts, worth, 60.0).tolist() == pytest.approx([0.1, 0.1, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0])
    assert len(sampled(ts, worth - 110.0, 60.0)) == 0
    assert max_drawdown(np.zeros(3)) is None
    assert max_drawdown(np.array([100.0, 120.0, 90.0, 130.0])) == pytest.approx(0.25)


def test_a_year_has_the_samples_that_were_seen() -> None:
    """Two years of daily equity are annualised by about sqrt(252), weekly by sqrt(52), minutes by their number."""
    rng = np.random.default_rng(3)
    weekdays = np.array([d for d in range(730) if d % 7 < 5])
    days = np.delete(weekdays, rng.choice(len(weekdays), len(weekdays) - 504, replace=False))
    minutes = np.concatenate([d * 1440 + 870 + np.arange(390) for d in (0, 1, 4)])
    fills = {name: np.zeros(0, np.int64) for name in ("instrument_id", "side", "qty", "px", "liquidity")}
    cases = ((days * 86_400, 252.0), (np.arange(104) * 7 * 86_400, 52.2), (minutes * 60, 252 * 390.0))
    for seconds, yearly in cases:
        returns = 1e-3 * (0.1 + rng.standard_normal(len(seconds)))
        equity = {name: np.zeros(len(seconds)) for name in EQUITY.names}
        equity.update(ts_event=seconds * SECOND, equity=np.cumprod(1.0 + returns))
        found = metrics(1.0, equity, fills, np.ones(1), Sampling())
        assert found["sharpe_samples_per_year"] == pytest.approx(yearly, rel=0.02)
        ratio, _ = sharpe(sampled(equity["ts_event"], equity["equity"], 60.0))
        assert found["sharpe"] == pytest.approx(ratio * np.sqrt(yearly), rel=0.02)


def test_statistics_of_nothing_are_undefined_not_wrong() -> None:
    """No fills: no hit rate, no maker share, no Sharpe ratio."""
    empty = {name: np.zeros(0) for name in EQUITY.names}
    fills = {name: np.zeros(0, np.int64) for name in ("instrument_id", "side", "qty", "px", "liquidity")}
    assert metrics(5.0, empty, fills, np.ones(1), Sampling()) == {"start_equity": 5.0, "final_equity": 5.0}
    one = {name: np.ones(1) for name in EQUITY.names}
    found = metrics(1.0, {**one, "ts_event": np.ones(1, np.int64)}, fills, np.ones(1), Sampling())
    assert (found["sharpe"], found["hit_rate"], found["maker_share"]) == (None, None, None)


@pytest.mark.jit
def test_a_real_morning_trades_the_same_in_any_cut(tmp_path: Path) -> None:
    """AAPL's book of 2012-06-21, its first 5,000 events: batches of 1,000 and of 1 give the same run."""
    table = pq.read_table(shared("eq_lob_lobster_AAPL_20120621_L1.parquet")).slice(0, 5000)
    event = table["event_type"].to_numpy()
    trades = (event == 4) | (event == 5)
    numbers = {name: np.nan_to_num(table[name].to_numpy().astype(float)) for name in ("bid_sz_1", "ask_sz_1", "size")}
    ts = table["ts"].cast(pa.int64()).to_numpy()
    made = frame([])
    ticks = Frame.of(
        made.layout.schema,
        {
            "ts_event": ts, "ts_recv": ts, "instrument_id": 0, "kind": 1 | 2 * trades,
            "flags": 128 * (event == 5),
            "side": np.where(trades, -table["direction"].to_numpy(), 0), "seq": np.arange(len(ts)),
            "bid_px": table["bid_px_1"].to_numpy(), "bid_sz": numbers["bid_sz_1"],
            "ask_px": table["ask_px_1"].to_numpy(), "ask_sz": numbers["ask_sz_1"],
            "trade_px": np.where(trades, table["price"].to_numpy(), np.nan),
            "trade_sz": np.where(trades, numbers["size"], 0.0),
        },
    )  # fmt: skip
    found = quick_run(tmp_path / "a", ticks, making(), 1000)
    quick_run(tmp_path / "b", ticks, making(), 1)
    assert compare(tmp_path / "a", tmp_path / "b") is None
    assert found["fills"] > 0
