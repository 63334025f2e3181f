"""What is true of the account: cash to the cent, average cost, realised P&L, fees, marks, equity rows."""

from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from gpi.formats.words import BUY, GTC, IOC, MAKER, SECOND, SELL, TAKER
from gpi.tools.backtest.setup import PRESETS, Fees, Latency, Terms
from gpi.tools.kernels import memory
from gpi.tools.kernels.orders import CASH, POSITION, Engine
from gpi.tools.kernels.trader import account
from tests.test_matching import markets, scripts
from tests.trading import START, TICK, trade

COSTLY = Fees(maker_bps=-0.5, taker_bps=3.0, per_share=0.005, sell_bps=0.278, sell_per_share=0.000166)


@settings(max_examples=20, deadline=None)
@given(market=markets(0), script=scripts())
def test_cash_is_the_start_less_what_was_bought_and_paid(market: list[dict[str, Any]], script: dict[int, Any]) -> None:
    """cash = start - sum(side * qty * px * multiplier) - fees, to the cent, recomputed with decimals."""
    terms = Terms(default=(TICK, 1.0, 100.0))
    traded = trade(market, script, fees=COSTLY, terms=terms, latency=Latency(0, 1_000_000, 1_000_000))
    cash = Decimal(1_000_000)
    fills = traded.fills
    for k in range(fills.rows):
        qty, px, side = Decimal(float(fills["qty"][k])), Decimal(float(fills["px"][k])), int(fills["side"][k])
        cash -= side * qty * px * 100 + Decimal(float(fills["fee"][k]))
        assert abs(cash - Decimal(float(fills["cash"][k]))) < Decimal("0.005")
    if traded.equity.rows:
        assert abs(cash - Decimal(float(traded.equity["cash"][-1]))) < Decimal("0.005")


@settings(max_examples=20, deadline=None)
@given(market=markets(0), script=scripts())
def test_the_position_is_the_sum_of_the_fills(market: list[dict[str, Any]], script: dict[int, Any]) -> None:
    """After every fill the position is what was bought less what was sold."""
    fills = trade(market, script).fills
    assert np.array_equal(fills["position"], np.cumsum(fills["side"] * fills["qty"]))


def fresh(books: int = 1, rates: tuple[float, ...] = (1.0,)) -> Engine:
    """A fresh account of some books and currencies, and one instrument at a mid of 10."""
    state = memory.blank()
    state["positions"] = np.zeros((books, 0), POSITION)
    state["cash"] = np.zeros(len(rates), CASH)
    state["cash"]["rate"] = rates
    memory.more_instruments(state, 1)
    state["instruments"]["multiplier"], state["instruments"]["mid"] = 1.0, 10.0
    return Engine(state)


def test_adding_averages_the_cost_and_reducing_realises() -> None:
    """100 at 10 and 100 at 12 cost 11; selling 50 at 13 realises 100 and leaves the cost."""
    e = fresh()
    for side, qty, px in ((BUY, 100.0, 10.0), (BUY, 100.0, 12.0), (SELL, 50.0, 13.0)):
        account.settle(e, 0, 0, side, qty, px, 0.0)
    assert e.instruments[0].avg_px == pytest.approx(11.0)
    assert e.account.realized == pytest.approx(100.0)
    assert e.instruments[0].position == 150.0


def test_books_add_up_to_the_account() -> None:
    """Two books trade one instrument against each other and with others: positions, cash, gains and fees add up."""
    e = fresh(books=2)
    for book, side, qty, px in (
        (0, BUY, 100.0, 10.0),
        (1, SELL, 40.0, 10.0),
        (1, BUY, 10.0, 9.0),
        (0, SELL, 60.0, 12.0),
    ):
        account.settle(e, 0, book, side, qty, px, 0.25)
    held = e.positions[:, 0]
    assert held["position"].tolist() == [40.0, -30.0] and e.instruments[0].position == 10.0
    assert held["avg_px"].tolist() == [10.0, 10.0] and held["realized"].tolist() == [120.0, 10.0]
    assert held["fees"].tolist() == [0.5, 0.5] and e.account.fees == 1.0
    assert e.cash[0].amount == e.account.cash == -1000.0 + 400.0 - 90.0 + 720.0 - 1.0


def test_cash_is_kept_by_currency_and_the_account_is_worth_it_all_at_their_rates() -> None:
    """Ten at 10 of a currency that is worth 1.25, fee 2 of it; the mark is at the rate as well."""
    e = fresh(rates=(1.0, 1.25))
    e.instruments[0].currency = 1
    account.settle(e, 0, 0, BUY, 10.0, 9.0, 2.0)
    assert (e.cash[0].amount, e.cash[1].amount) == (0.0, -92.0)
    assert (e.account.cash, e.account.fees, e.account.equity) == (-115.0, 2.5, -115.0 + 125.0)


def test_one_book_is_the_account() -> None:
    """Whatever is traded, the only book has what the instrument has, bit for bit."""
    e, dice = fresh(), np.random.default_rng(5)
    for _ in range(500):
        account.settle(
            e, 0, 0, int(dice.choice((BUY, SELL))), float(dice.integers(1, 50)) / 7, float(dice.normal(10)), 0.1
        )
        it, held = e.instruments[0], e.positions[0, 0]
        assert (it.position, it.avg_px, it.realized) == (held.position, held.avg_px, held.realized)
        assert e.cash[0].amount == e.account.cash


def test_turning_round_realises_all_and_starts_at_the_new_price() -> None:
    """Long 10 at 10, selling 25 at 9 loses 10 and leaves 15 short at 9."""
    e = fresh()
    account.settle(e, 0, 0, BUY, 10.0, 10.0, 0.0)
    account.settle(e, 0, 0, SELL, 25.0, 9.0, 0.0)
    assert e.account.realized == pytest.approx(-10.0)
    assert (e.instruments[0].position, e.instruments[0].avg_px) == (-15.0, 9.0)


def test_a_closed_position_is_exactly_nothing() -> None:
    """0.1 + 0.2 - 0.3 leaves no dust."""
    e = fresh()
    for side, qty in ((BUY, 0.1), (BUY, 0.2), (SELL, 0.3)):
        account.settle(e, 0, 0, side, qty, 10.0, 0.0)
    assert e.instruments[0].position == 0.0
    assert e.account.holdings == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(
    ("name", "side", "liquidity", "expected"),
    [
        ("zero", SELL, TAKER, 0.0),
        ("binance_spot", BUY, MAKER, 1.0),
        ("alpaca_equity", BUY, TAKER, 0.0),
        ("alpaca_equity", SELL, TAKER, 1000 * 0.278e-4 + 10 * 0.000166),
    ],
)
def test_fees_are_what_the_venue_charges(name: str, side: int, liquidity: int, expected: float) -> None:
    """10 shares worth 1,000."""
    e = fresh()
    preset = PRESETS[name]
    for field in ("maker_bps", "taker_bps", "per_share", "sell_bps", "sell_per_share"):
        e.fees[0][field] = getattr(preset, field)
    assert account.fee(e, side, liquidity, 10.0, 1000.0) == pytest.approx(expected)


def test_equity_rows_come_once_a_second_and_after_fills() -> None:
    """Ten ticks within a second give one row; a fill gives another; the end gives the last."""
    market: list[dict[str, Any]] = [
        {"ts": START + k * SECOND // 10, "bid": (100, 50), "ask": (102, 50)} for k in range(10)
    ]
    assert trade(market, {}).equity.rows == 2
    assert trade(market, {3: [(1, 5.0, 102, IOC)]}).equity.rows == 3


def test_the_drawdown_is_from_the_running_peak() -> None:
    """Bought 100 at 1.02, marked at 1.01, then 1.21, then 0.91."""
    market = [
        {"ts": START + k * SECOND, "bid": (px - 1, 500), "ask": (px + 1, 500)}
        for k, px in enumerate((101, 101, 121, 91))
    ]
    traded = trade(market, {0: [(1, 100.0, 102, GTC)]}, cash=1000.0)
    assert traded.equity["equity"].tolist() == pytest.approx([1000.0, 999.0, 1019.0, 989.0, 989.0])
    assert traded.equity["drawdown"][-1] == pytest.approx(1 - 989 / 1019)
