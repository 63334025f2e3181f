"""What is true of the gate and the limits: reasons, order, files, second judgement, report."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpi.formats.errors import BadInput, UsageError
from gpi.formats.frame import Frame
from gpi.formats.instruments import KEY, Instruments, equity
from gpi.formats.provenance import chain, stamped
from gpi.formats.words import CANCELED, GTC, IOC, REASONS, REFUSE, SECOND, SUBMIT
from gpi.tools.backtest.run import Run
from gpi.tools.backtest.session import Session
from gpi.tools.backtest.setup import Rules, Terms
from gpi.tools.kernels import orders
from gpi.tools.kernels.orders import LIMIT_NAMES, REDUCING, STANDING
from gpi.tools.risk.judge import judged
from gpi.tools.risk.limits import MOST_ORDERS_PER_S, SHIPPED, as_dict, checked, read
from gpi.tools.risk.report import report, shortfall
from gpi.tools.stage import Stream
from tests.laws import obeys_the_laws
from tests.test_matching import markets, scripts
from tests.trading import START, TICK, frame, setup, trade

NORMAL = as_dict(read())
LOOSE = {
    **NORMAL, "position_limit": 50.0, "gross_exposure": 90.0, "cash_reserve": 0.0, "daily_loss": 1.0,
    "price_collar": 1.0, "stale_data_s": 1e6,
}  # fmt: skip


def limits(**changes: float) -> np.ndarray:
    """Loose limits with some of them tight."""
    return checked({**LOOSE, **changes})


def quotes(*mids: int, size: float = 10_000, step: int = SECOND // 10) -> list[dict[str, Any]]:
    """Quotes a tick around each mid."""
    return [{"ts": START + k * step, "bid": (m - 1, size), "ask": (m + 1, size)} for k, m in enumerate(mids)]


def refused(market: Sequence[dict[str, Any]], script: dict[int, list[Any]], **changes: Any) -> list[str]:
    """The reasons of the refusals, of an account of 1,000."""
    traded = trade(market, script, **{"cash": 1000.0, "limits": limits(), **changes})
    return [REASONS[r] for r in traded.orders["reason"][traded.orders["action"] == REFUSE]]


def leg_too_many(view: Any) -> None:
    """A third order that waits for the first of this decision."""
    view.written[0] = orders.write_intent(
        view.intents, view.written[0], -1, orders.LIMIT, GTC, 10.0, 1.1, np.nan, np.nan, 0, -3, 0
    )


FLAT = quotes(100, 100, 100, 100)
BUY_10, SELL_10 = (1, 10.0, 100, GTC), (-1, 10.0, 100, GTC)
ALPACA = {"rules": Rules(account="alpaca")}
CASES: dict[str, tuple[list[dict[str, Any]], dict[int, list[Any]], dict[str, Any]]] = {
    "KILL_ACTIVE": (FLAT, {2: [BUY_10]}, {"kill_row": 1}),
    "TRADING_STATE": (FLAT, {2: [BUY_10]}, {"trading_state": STANDING}),
    "MALFORMED": (FLAT, {2: [(1, 0.0, 100, GTC)]}, {}),
    "STALE_DATA": (
        [*FLAT, {"ts": START + 9 * SECOND, "trade": (1, 101, 5, False)}],
        {4: [BUY_10]},
        {"limits": limits(stale_data_s=2)},
    ),
    "MARKET_STATE": ([*FLAT, {"ts": START + SECOND, "halt": True}], {4: [BUY_10]}, {}),
    "PRICE_COLLAR": (FLAT, {1: [(1, 10.0, 96, GTC)]}, {"limits": limits(price_collar=0.03)}),
    "POSITION_LIMIT": (FLAT, {1: [(1, 201.0, 100, GTC)]}, {"limits": limits(position_limit=0.2)}),
    "EXPOSURE": (FLAT, {1: [(1, 951.0, 100, GTC)]}, {"limits": limits(gross_exposure=0.95)}),
    "CASH_RESERVE": (FLAT, {1: [(1, 951.0, 100, GTC)]}, {"limits": limits(cash_reserve=0.05)}),
    "DAILY_LOSS": (
        quotes(100, 100, 60, 60, 60),
        {0: [(1, 500.0, 101, IOC)], 3: [BUY_10]},
        {"limits": limits(daily_loss=0.03)},
    ),
    "MSG_RATE": (FLAT, {1: [BUY_10] * 3}, {"limits": limits(order_rate_per_s=2)}),
    "OPEN_ORDERS": (FLAT, {1: [BUY_10] * 3}, {"limits": limits(max_open_orders=2)}),
    "UNKNOWN_ORDER": (FLAT, {1: [99]}, {}),
    "SHORT_LOCATE": (FLAT, {1: [SELL_10]}, {"limits": limits(allow_short=1), "rules": Rules(unshortable=(0,))}),
    "SELF_TRADE": (FLAT, {1: [(1, 10.0, 100, GTC), (-1, 10.0, 100, GTC)]},
                   {"limits": limits(allow_short=1), "rules": Rules(self_trade="refuse")}),
    "INSUFFICIENT_QTY": (FLAT, {1: [(1, 10.0, 102, IOC)], 2: [(-1, 11.0, 100, GTC)]}, ALPACA),
    "PARENT_CHILD": (FLAT, {1: [lambda view: view.bracket(1, 10.0, 1.0, 1.2, 0.8), leg_too_many]}, {}),
}  # fmt: skip
BROKERS = ("RECONCILING", *REASONS[REASONS.index("DUPLICATE_ORDER") : -1])  # test_outside.py and the broker's own tests


@pytest.mark.parametrize("reason", [each for each in REASONS[1:] if each not in BROKERS])
def test_every_reason_can_be_met(reason: str) -> None:
    """One intent that fails just this check."""
    market, script, changes = CASES[reason]
    assert refused(market, script, **changes) == [reason]


def test_the_first_failing_check_gives_the_reason() -> None:
    """Each of these intents fails its check and all later ones."""
    tight = {"price_collar": 0.0, "position_limit": 0.0, "gross_exposure": 0.0, "cash_reserve": 1.0}
    last = {"order_rate_per_s": 0, "max_open_orders": 0}
    for number, name in enumerate(("price_collar", "position_limit", "gross_exposure", "cash_reserve")):
        after = dict(list(tight.items())[number:])
        expected = ["PRICE_COLLAR", "POSITION_LIMIT", "EXPOSURE", "CASH_RESERVE"][number]
        assert refused(FLAT, {1: [(1, 10.0, 98, GTC)]}, limits=limits(**after, **last)) == [expected], name
    assert refused(FLAT, {1: [(1, -1.0, 98, GTC)]}, limits=limits(**tight, **last), kill_row=0) == ["KILL_ACTIVE"]
    assert refused(FLAT, {1: [(1, -1.0, 98, GTC)]}, limits=limits(**tight, **last)) == ["MALFORMED"]
    assert refused(FLAT, {1: [BUY_10]}, limits=limits(**last)) == ["MSG_RATE"]


def test_working_orders_count_as_filled() -> None:
    """With 150 bid for, another 60 would pass the limit of 200."""
    script = {1: [(1, 150.0, 99, GTC), (1, 60.0, 99, GTC), (1, 50.0, 99, GTC)]}
    assert refused(FLAT, script, limits=limits(position_limit=0.2)) == ["POSITION_LIMIT"]


def test_a_reduction_passes_after_a_daily_loss_and_no_more_than_a_reduction() -> None:
    """Long 500 after the breach: selling 500 goes, selling 501 does not."""
    script = {0: [(1, 500.0, 101, IOC)], 3: [(-1, 501.0, 60, GTC), (-1, 500.0, 60, GTC)]}
    assert refused(quotes(100, 100, 60, 60, 60), script, limits=limits(daily_loss=0.03)) == ["DAILY_LOSS"]


def test_a_gap_overnight_counts_against_the_new_day() -> None:
    """Equity of 980 at the close, 800 at the first tick of the next day: only reductions pass from there on."""
    day = 86_400 * SECOND
    night = [{"ts": START + day + k * SECOND // 10, "bid": (69, 900), "ask": (71, 900)} for k in range(2)]
    market = [*quotes(100, 100, 98, 98, size=900), *night]
    script = {0: [(1, 600.0, 101, IOC)], 3: [(1, 5.0, 98, GTC)], 4: [(1, 5.0, 70, GTC)]}
    bounds = limits(daily_loss=0.1)
    assert refused(market, script, limits=bounds) == ["DAILY_LOSS"]
    orders = trade(market, script, cash=1000.0, limits=limits()).orders
    out = verdicts(orders, bounds)
    assert [REASONS[r] for r in out["verdict_reason"][orders["action"] == SUBMIT]] == ["", "", "DAILY_LOSS"]


@pytest.mark.parametrize("name", ["mid", "equity", "cash", "position"])
def test_a_nan_passes_no_limit_on_money(name: str) -> None:
    """An account that does not know what it is worth may not take risk."""
    row = trade(FLAT, {1: [BUY_10]}, cash=1000.0).orders.slice(0, 1).copy()
    assert verdicts(row, limits())["verdict"].tolist() == [1]
    row[name][:] = np.nan
    assert verdicts(row, limits())["verdict"].tolist() == [0]


@pytest.mark.parametrize(
    "wrong",
    [{"multiplier": (1.0, np.nan)}, {"multiplier": (0.0,)}, {"multiplier": (np.inf,)}, {"tick_size": (-0.01,)},
     {"tick_size": (np.nan,)}, {"lot_size": (np.nan,)}, {"default": (0.01, 1.0, -1.0)}],
)  # fmt: skip
def test_terms_that_no_limit_can_be_kept_with_are_bad_input(wrong: dict[str, Any]) -> None:
    """NaN, infinite or not positive multipliers, negative or NaN ticks and lots; an infinite lot is an index."""
    with pytest.raises(BadInput, match="instrument_id"):
        Terms(**wrong)
    Terms(lot_size=(np.inf,), tick_size=(0.0,))


@pytest.mark.parametrize("cash", [np.nan, np.inf, -1.0])
def test_cash_is_a_number_from_zero_on(cash: float) -> None:
    """Anything else is a usage error, before anything starts."""
    with pytest.raises(UsageError, match="cash"):
        setup({}, cash=cash)


def verdicts(orders: Frame, bounds: np.ndarray, table: Instruments | None = None) -> Frame:
    """The orders, judged in one frame."""
    schema = (table or Instruments()).on(orders.layout.schema)
    return next(iter(judged(bounds)(Stream(schema, iter([orders]))).frames))


def test_an_order_for_nobody_is_malformed() -> None:
    """A negative id, and an id the table does not have, until it is announced; too large an id is bad input."""
    orders = trade(FLAT, {1: [BUY_10]}, cash=1000.0).orders
    sent, one = orders["action"] == SUBMIT, Instruments([equity("A")])
    for number, table, reason in ((0, None, ""), (-1, None, "MALFORMED"), (3, None, ""), (3, one, "MALFORMED")):
        orders["instrument_id"][:] = number
        found = verdicts(orders, limits(), table)
        assert [REASONS[r] for r in found["verdict_reason"][sent]] == [reason]
        assert found["verdict"][~sent].all()
    notice = orders.slice(0, 0)
    notice.notes = {KEY: Instruments([equity(name) for name in "ABCD"]).to_json()}
    stream = Stream(one.on(orders.layout.schema), iter([notice, orders]))
    assert list(judged(limits())(stream).frames)[1]["verdict"].all()
    orders["instrument_id"][:] = 1 << 20
    with pytest.raises(BadInput, match="1048576"):
        verdicts(orders, limits())


def test_a_run_is_judged_with_the_multipliers_of_its_stream(tmp_path: Path) -> None:
    """orders.parquet carries the instruments, also those announced on the way, and where the stream came from."""
    table = Instruments([equity("A")])
    ticks = frame([{**tick, "i": 1} for tick in FLAT])
    schema = stamped(table.on(ticks.layout.schema), "simulate", {}, {})
    table.add(replace(equity("B"), multiplier=100.0))
    session = Session(schema, setup({1: [BUY_10]}, terms=None))
    run = Run(tmp_path / "run", session, schema)
    notice = ticks.slice(0, 0)
    notice.notes = {KEY: table.to_json()}
    for part in (notice, ticks):
        traded = session.step(part)
        assert (traded.orders.notes or {}) == (part.notes or {})
        run.add(traded)
    run.add(session.finish())
    run.close()
    for name in ("orders", "fills", "equity"):
        kept = pq.read_schema(tmp_path / "run" / f"{name}.parquet")
        assert chain(kept) == chain(schema) and len(Instruments.of(kept)) == 1
        said = pq.read_metadata(tmp_path / "run" / f"{name}.parquet").metadata
        assert said[KEY.encode()].decode() == table.to_json()
    stored = Frame.from_batch(pq.read_table(tmp_path / "run" / "orders.parquet").to_batches()[0])
    tight = limits(position_limit=0.0005)  # 500: ten are worth 10, times 100 are 1,000
    assert verdicts(stored, tight, table)["verdict"].tolist()[0] == 0
    assert verdicts(stored, tight)["verdict"].all()


def test_the_loss_of_yesterday_is_forgotten() -> None:
    """On the next UTC day the same order passes."""
    day = 86_400 * SECOND
    market = [*quotes(100, 100, 60, 60), {"ts": START + day, "bid": (59, 900), "ask": (61, 900)}]
    script = {0: [(1, 500.0, 101, IOC)], 3: [(1, 5.0, 60, GTC)], 4: [(1, 5.0, 60, GTC)]}
    assert refused(market, script, limits=limits(daily_loss=0.03)) == ["DAILY_LOSS"]


def test_reducing_lets_only_reductions_pass() -> None:
    """In the state REDUCING a flat account may do nothing."""
    assert refused(FLAT, {1: [BUY_10, SELL_10]}, trading_state=REDUCING) == ["TRADING_STATE"] * 2


def test_shorting_needs_to_be_allowed() -> None:
    """Without allow_short a sale needs a position."""
    assert refused(FLAT, {1: [SELL_10]}, limits=limits(allow_short=0)) == ["POSITION_LIMIT"]
    assert refused(FLAT, {0: [(1, 10.0, 101, IOC)], 2: [SELL_10]}, limits=limits(allow_short=0)) == []


def test_the_order_rate_is_a_sliding_second() -> None:
    """Two at 0.9 s and one at 1.1 s are three in a second; another at 2 s is not."""
    market = [{"ts": START + int(t * SECOND), "bid": (99, 9), "ask": (101, 9)} for t in (0.9, 1.1, 2.0)]
    script = {0: [BUY_10, BUY_10], 1: [BUY_10], 2: [BUY_10]}
    assert refused(market, script, limits=limits(order_rate_per_s=2)) == ["MSG_RATE"]


def test_the_kill_switch_cancels_everything_and_refuses_the_rest() -> None:
    """Both resting orders end; nothing is sent from that row on; the session ends in a breach."""
    ticks = frame(FLAT)
    session = Session(ticks.layout.schema, setup({0: [BUY_10, (-1, 5.0, 105, GTC)], 2: [BUY_10], 3: [1]}))
    session.step(ticks.slice(0, 2))
    assert session.breach() is None
    session.kill()
    rows = session.step(ticks.slice(2, 4)).orders
    assert sorted(rows["order_id"][rows["action"] == CANCELED].tolist()) == [1, 2]
    assert not (rows["action"] == SUBMIT).any()
    breach = session.breach()
    assert breach is not None and breach.exit_code == 4 and "row 2" in str(breach)


def test_a_kill_comes_before_a_later_kill_row(tmp_path: Path) -> None:
    """A run that is to be killed at row 900 can be killed before, by hand or by the file."""
    ticks, file = frame(FLAT), tmp_path / "kill"
    session = Session(ticks.layout.schema, setup({2: [BUY_10]}, kill_row=900), kill_file=file)
    session.step(ticks.slice(0, 2))
    file.touch()
    rows = session.step(ticks.slice(2, 4)).orders
    assert [REASONS[r] for r in rows["reason"]] == ["KILL_ACTIVE"]
    session.kill()
    assert session.kill_row == 2


def test_a_kill_on_a_quiet_feed_is_recorded(tmp_path: Path) -> None:
    """The file appears after the last tick: `watch` and `finish` see it, and the session ends in a breach."""
    ticks, file = frame(FLAT), tmp_path / "kill"
    for watched in (False, True):
        session = Session(ticks.layout.schema, setup({0: [BUY_10]}), kill_file=file)
        session.step(ticks)
        assert not session.watch()
        file.touch()
        assert not watched or session.watch()
        rows = session.finish().orders
        assert CANCELED in rows["action"]
        assert session.kill_row == 4 and session.breach() is not None
        file.unlink()
    silent = Session(ticks.layout.schema, setup({}), kill_file=file)
    file.touch()
    assert silent.finish().orders.rows == 0 and silent.breach() is not None


def test_a_kill_file_pulls_the_switch(tmp_path: Path) -> None:
    """The file is looked for between frames; the row is remembered."""
    ticks, file = frame(FLAT), tmp_path / "kill"
    session = Session(ticks.layout.schema, setup({2: [BUY_10]}), kill_file=file)
    session.step(ticks.slice(0, 2))
    file.touch()
    session.step(ticks.slice(2, 4))
    assert session.kill_row == 2


def test_the_shipped_limits_are_complete() -> None:
    """The default risk.toml reads and holds the published defaults."""
    assert (NORMAL["position_limit"], NORMAL["daily_loss"], NORMAL["stale_data_s"]) == (0.2, 0.03, 2.0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("daily_loss = 0.03", "missing"),
        ("price_collar = 0.03", "price_colar = 0.03"),
        ("price_collar = 0.03", "price_collar = nan"),
        ("price_collar = 0.03", "price_collar = -0.1"),
        ("price_collar = 0.03", "price_collar = true"),
        ("order_rate_per_s = 200", "order_rate_per_s = 1.5"),
        ("allow_short = true", "allow_short = 3"),
        ("allow_short = true", "allow_short = "),
        ("allow_short = true", "allow_short = 0.5"),
        ("order_rate_per_s = 200", f"order_rate_per_s = {MOST_ORDERS_PER_S + 1}"),
    ],
)
def test_a_wrong_risk_file_starts_nothing(tmp_path: Path, change: str, said: str) -> None:
    """Missing, misspelt, NaN, negative or of the wrong type: refused with the name of the key."""
    path, text = tmp_path / "risk.toml", SHIPPED.read_text()
    lines = [line for line in text.splitlines() if line.split("#")[0].strip() != change]
    assert len(lines) < len(text.splitlines()), "the case changes the file"
    path.write_text("\n".join(lines + ([] if said == "missing" else [said])))
    with pytest.raises(UsageError) as caught:
        read(path)
    assert change.split(" ")[0][:10] in str(caught.value) or "TOML" in str(caught.value)


@pytest.mark.parametrize("said", ["true", "false", "1", "0", "1.0"])
def test_a_switch_is_on_or_off(tmp_path: Path, said: str) -> None:
    """In words or in numbers; and the most orders a second are allowed, one more is not (above)."""
    text = SHIPPED.read_text().replace("order_rate_per_s = 200", f"order_rate_per_s = {MOST_ORDERS_PER_S}")
    (tmp_path / "risk.toml").write_text(text.replace("allow_short = true", f"allow_short = {said}"))
    found = as_dict(read(tmp_path / "risk.toml"))
    assert found["allow_short"] == float(said in ("true", "1", "1.0"))
    assert found["order_rate_per_s"] == MOST_ORDERS_PER_S


@pytest.mark.parametrize("name", LIMIT_NAMES)
def test_no_limit_has_a_silent_default(tmp_path: Path, name: str) -> None:
    """Whichever is left out, or is no number that a float can hold: nothing starts, and its name is said."""
    path, lines = tmp_path / "risk.toml", SHIPPED.read_text().splitlines()
    rest = [line for line in lines if not line.startswith(name)]
    assert len(rest) == len(lines) - 1
    for said, why in (("", f"{name}' is missing"), (f"{name} = 1{'0' * 400}", name), (f"{name} = {{ a = 1 }}", name)):
        path.write_text("\n".join([*rest, said]))
        with pytest.raises(UsageError, match=why):
            read(path)
    path.write_bytes(SHIPPED.read_bytes() + b"# \xff")
    with pytest.raises(UsageError, match="not TOML"):
        read(path)


def test_an_unknown_limit_is_told_the_nearest() -> None:
    """A typing error names what was probably meant."""
    with pytest.raises(UsageError, match="price_collar"):
        checked({**NORMAL, "price_colar": 0.03})
    with pytest.raises(UsageError, match="cannot read"):
        read(Path("/nowhere/risk.toml"))


@settings(max_examples=15, deadline=None)
@given(market=markets(0), script=scripts())
def test_what_passed_the_gate_passes_when_judged_again(market: list[dict[str, Any]], script: dict[int, Any]) -> None:
    """With the same limits no sent order is refused by its own row."""
    bounds = limits(position_limit=0.03, gross_exposure=0.04, price_collar=0.04)
    orders = trade(market, script, limits=bounds, cash=1000.0, terms=Terms(default=(TICK, 1.0, 1.0))).orders
    out = next(iter(judged(bounds)(Stream(orders.layout.schema, iter([orders]))).frames))
    assert out["verdict"].all()
    strict = next(iter(judged(limits(position_limit=0.0))(Stream(orders.layout.schema, iter([orders]))).frames))
    sent = orders["action"] == SUBMIT
    assert set(strict["verdict_reason"][~sent].tolist()) <= {0}


@settings(max_examples=10, deadline=None)
@given(market=markets(0), script=scripts(), cuts=st.lists(st.integers(0, 60), max_size=3))
def test_the_second_judgement_obeys_the_laws(
    market: list[dict[str, Any]], script: dict[int, Any], cuts: list[int]
) -> None:
    """Cut anywhere, no peeking, save and resume, the schema announced, the input untouched."""
    orders = trade(market, script, cash=1000.0).orders
    if orders.rows:
        obeys_the_laws(judged(limits(position_limit=0.05, order_rate_per_s=2)), orders, cuts)


def test_shortfall_is_the_mean_of_the_worst() -> None:
    """Of the losses 1..100 the 95 % VaR is 95 and the shortfall the mean of 96..100; ties and parts count in parts."""
    assert shortfall(np.arange(1.0, 101.0), 0.95) == (95.0, 98.0)
    assert shortfall(np.arange(1.0, 101.0), 0.99) == (99.0, 100.0)
    assert shortfall(np.full(30, 7.0), 0.95) == (7.0, 7.0)
    assert shortfall(np.arange(1.0, 11.0), 0.95) == (10.0, 10.0)
    assert shortfall(np.arange(1.0, 31.0), 0.95) == (29.0, pytest.approx((30 + 0.5 * 29) / 1.5))
    assert shortfall(np.zeros(0), 0.99) == (None, None)


def test_the_report_names_what_was_breached(tmp_path: Path) -> None:
    """A run of 950 held against a limit of 20 % breaches the position limit and keeps the others."""
    ticks = frame(quotes(100, 100, 100, 100, step=SECOND))
    session = Session(ticks.layout.schema, setup({0: [(1, 950.0, 101, IOC)], 2: [(1, 900.0, 101, IOC)]}, cash=1000.0))
    run = Run(tmp_path / "run", session, ticks.layout.schema)
    run.add(session.step(ticks))
    run.add(session.finish())
    run.close()
    found = report(tmp_path / "run", checked({**NORMAL, "daily_loss": 0.5}))
    assert found["breaches"] == ["cash_reserve", "gross_exposure", "position_limit"]
    assert found["limits"]["order_rate_per_s"]["worst"] == 1.0
    assert found["limits"]["max_open_orders"]["worst"] == 1.0
    json.dumps(found, allow_nan=False)
    with pytest.raises(BadInput):
        report(tmp_path, read())


def told_of(path: Path, market: list[dict[str, Any]], script: dict[int, list[Any]], **bounds: float) -> dict[str, Any]:
    """The report on a run of an account of 1,000 that nothing was refused."""
    ticks = frame(market)
    session = Session(ticks.layout.schema, setup(script, cash=1000.0))
    run = Run(path, session, ticks.layout.schema)
    run.add(session.step(ticks))
    run.add(session.finish())
    run.close()
    found = report(path, limits(**bounds))
    json.dumps(found, allow_nan=False)
    return found


def test_the_report_looks_at_shorts_and_open_orders(tmp_path: Path) -> None:
    """Sold 10 short with three orders open at once, against limits of no shorts and two orders."""
    script = {0: [(-1, 10.0, 99, IOC), BUY_10, BUY_10]}
    found = told_of(tmp_path / "a", FLAT, script, allow_short=0, max_open_orders=2)
    assert found["breaches"] == ["allow_short", "max_open_orders"]
    assert found["limits"]["max_open_orders"]["worst"] == 3.0
    assert told_of(tmp_path / "b", FLAT, {0: [BUY_10]}, allow_short=0, max_open_orders=1)["breaches"] == []


def test_an_account_that_lost_everything_is_a_breach(tmp_path: Path) -> None:
    """Short 1,000 at 1 when the price goes to 4: equity is below 0, whatever the limits."""
    market = quotes(100, 100, 400, 400, step=SECOND)
    found = told_of(tmp_path / "a", market, {0: [(-1, 1000.0, 99, IOC)]}, cash_reserve=0.0, daily_loss=9.0)
    assert {"cash_reserve", "gross_exposure"} <= set(found["breaches"])


def test_the_report_measures_a_day_from_the_close_before(tmp_path: Path) -> None:
    """Long 500 when the price falls from 1 to 0.7 overnight: a loss of 15 % on the new day."""
    day = 86_400 * SECOND
    market = [*quotes(100, 100, 100, step=SECOND), {"ts": START + day, "bid": (69, 900), "ask": (71, 900)}]
    found = told_of(tmp_path / "a", market, {0: [(1, 500.0, 101, IOC)]}, daily_loss=0.1)
    assert found["limits"]["daily_loss"]["worst"] == pytest.approx(150 / 995)
    assert "daily_loss" in found["breaches"]


@settings(max_examples=20, deadline=None)
@given(market=markets(0), script=scripts())
def test_the_exposure_at_worst_is_the_sum_over_all_instruments(
    market: list[dict[str, Any]], script: dict[int, Any]
) -> None:
    """Kept as a running sum, whatever is quoted, ordered, filled, replaced or cancelled; nobody is missing."""
    ticks = frame([{**tick, "i": row % 5} for row, tick in enumerate(market)])
    session = Session(ticks.layout.schema, setup(script, terms=Terms(default=(TICK, 1.0, 10.0))))
    for row in range(ticks.rows):
        session.step(ticks.slice(row, row + 1))
        e, naive = session._engine, 0.0
        for it in e.instruments:
            price = it.mid if it.mid == it.mid else it.avg_px
            reach = max(abs(it.position + it.buying), abs(it.position - it.selling))
            naive += reach * price * it.multiplier if reach else 0.0
        assert e.account.gross == pytest.approx(naive, rel=1e-9, abs=1e-6)
        listed = e.active[: e.rings.active].tolist()
        held = [i for i, it in enumerate(e.instruments) if it.position or it.n_buys or it.n_sells]
        assert listed == sorted(set(listed)) and set(held) <= set(listed)
        assert all(e.instruments[i].active for i in listed)
