"""A trader that is started again: its profit is its own, its cash the broker's, and its day goes on."""

import random
import tempfile
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpi.formats.execution import DAY, POSITION, ExecutionReport
from gpi.formats.frame import Frame
from gpi.formats.instruments import KEY, option
from gpi.formats.ticks import ticks
from gpi.formats.words import DAY as DAY_TIF
from gpi.formats.words import IOC, SECOND
from gpi.tools.backtest import opening
from gpi.tools.backtest.run import Run
from gpi.tools.backtest.session import Session
from gpi.tools.backtest.setup import Terms
from gpi.tools.risk.limits import read
from gpi.tools.risk.report import report
from tests.brokerage import START_NS, Client, Venue
from tests.trading import frame, setup

CALL = option("AAA   261218C00100000")
SYMBOLS = ("AAA", "BBB", CALL.symbol)


class Market:
    """Prices of three instruments in a walk of whole ticks; a tick goes to the venue, then to the session."""

    def __init__(self, venue: Venue, dice: random.Random) -> None:
        self.venue, self.dice, self.now = venue, dice, START_NS
        self.mids = {"AAA": 10_000, "BBB": 10_000, CALL.symbol: 500}

    def tick(self, symbol: str | None = None, by: int | None = None, size: int | None = None) -> Frame:
        """The next quote, of a symbol by chance."""
        symbol = symbol or self.dice.choice(SYMBOLS)
        self.mids[symbol] += self.dice.randrange(-5, 6) if by is None else by
        self.now += SECOND // 4
        mid, size = self.mids[symbol], size or self.dice.choice((3, 7, 100))
        told = {"symbol": symbol, "bid": [(mid - 1) / 100, size], "ask": [(mid + 1) / 100, size], "ts": self.now}
        self.venue.tick(**told)
        i = self.venue.instruments.named(symbol).id
        return frame([{"ts": self.now, "i": i, "bid": (mid - 1, size), "ask": (mid + 1, size)}])

    def all(self) -> list[Frame]:
        """A quote of every instrument."""
        return [self.tick(symbol) for symbol in SYMBOLS]


class Trader:
    """One life: a session and its broker, from reconciliation to its end."""

    def __init__(self, venue: Venue, folder: Path, script: dict[int, list[Any]], **changes: Any) -> None:
        self.venue = venue
        self.client = Client(venue, folder, charged=True, every_s=(0.2, 0.4))
        self.broker = self.client.broker
        self.broker.open()
        terms = Terms.announced(venue.instruments)
        schema = ticks(0).with_metadata({KEY.encode(): venue.instruments.to_json().encode()})
        self.session = Session(schema, setup(script, external=True, terms=terms, **changes))
        self.reports: list[ExecutionReport] = []
        self.hear(self.broker.reports())
        self.start = opening.start_equity(self.session.state)
        self.day: Any = None

    def hear(self, reports: list[ExecutionReport]) -> None:
        self.reports += reports
        self.session.hear(reports)

    def step(self, ticked: Frame, wait_s: float = 0.0) -> None:
        """One tick, as `gpi trade` takes it."""
        self.hear(self.broker.reports())
        self.session.step(ticked)
        self.broker.send(self.session.requests())
        account = self.session.account
        day = (int(self.session.clock.day), float(account.day_equity), bool(account.loss_day))
        if day != self.day:
            self.day = day
            self.broker.day_is(*day)
        time.sleep(wait_s)

    def finish(self) -> float:
        """The honest end; the profit."""
        self.session.wind_down()
        self.broker.send(self.session.requests())
        self.hear(self.broker.finish(8.0))
        self.broker.close()
        self.session.finish()
        return opening.profit(self.session.state)

    def die(self) -> None:
        """As after kill -9: nothing is cancelled, told or written any more; the dead-man is on its own."""
        self.broker._inbox.put(("stop", None))
        self.broker._thread.join(10)
        self.broker._updates.stop()
        self.broker._hands.stop()
        self.broker._man.leave()
        self.broker.journal.close()


@pytest.fixture
def venue() -> Iterator[Venue]:
    made = Venue(fees="alpaca", more=[CALL])
    yield made
    made.close()


def wishes(dice: random.Random, count: int) -> dict[int, list[Any]]:
    """Random orders that cross: in pieces where the display is small, some left working."""
    script = dict[int, list[Any]]()
    for n in range(0, count, 3):
        side, qty = dice.choice((1, 1, -1)), float(dice.randrange(1, 20))
        script[n] = [(side, qty, None, dice.choice((DAY_TIF, IOC)))]
    return script


def cents(value: Any) -> float:
    return round(float(value), 2)


@settings(max_examples=2, deadline=None, derandomize=True)
@given(st.integers(0, 2**32), st.lists(st.booleans(), min_size=2, max_size=4))
def test_the_runs_profits_and_what_lies_between_are_the_accounts_change(seed: int, ends: list[bool]) -> None:
    """Over restarts, honest (True) and not, with prices that move in a run and between two of them.

    A run begins with the account's equity to the cent, and ends with it where it ended honestly; so do their sums.
    """
    dice = random.Random(seed)
    venue = Venue(fees="alpaca", more=[CALL])
    try:
        with tempfile.TemporaryDirectory() as folder:
            market = Market(venue, dice)
            market.all()
            first = last = Decimal(venue.account["equity"])
            profits = between = 0.0
            for honest in [*ends, True]:
                trader = Trader(venue, Path(folder), wishes(dice, 24))
                truth = venue.account
                assert cents(trader.start) == cents(truth["equity"])
                assert cents(trader.session.account.cash) == cents(truth["cash"])
                between += trader.start - float(last)
                for _ in range(24):
                    trader.step(market.tick(), 0.02)
                if honest:
                    profits += trader.finish()
                    truth = venue.account
                    assert cents(trader.session.account.cash) == cents(truth["cash"])
                    assert cents(trader.session.account.equity) == cents(truth["equity"])
                    assert trader.broker.counts().get("cash set right", 0) == 0
                    last = Decimal(truth["equity"])
                else:
                    profits += opening.profit(trader.session.state)
                    last = Decimal(float(trader.session.account.equity))
                    trader.die()
                for _ in range(dice.randrange(6)):
                    market.tick()
            assert cents(Decimal(truth["equity"]) - first) == cents(profits + between)
            assert truth["fills"] and float(truth["fees"]) > 0
    finally:
        venue.close()


def bought(venue: Venue, folder: Path, market: Market, qty: float = 71) -> Trader:
    """A trader that has bought."""
    trader = Trader(venue, folder, {0: [(1, qty, None, IOC)]})
    trader.step(market.tick("AAA", 0, 100))
    trader.client.until(lambda: trader.step(market.tick("AAA", 0, 100), 0.05) or trader.session.account.holdings)
    return trader


def test_shares_held_at_the_start_are_no_profit(venue: Venue, tmp_path: Path) -> None:
    """71 of them, worth less by 1 cent each when the second run has begun; the manifest says what counted how."""
    market = Market(venue, random.Random(1))
    bought(venue, tmp_path, market).finish()
    market.tick("AAA", 50)
    trader = Trader(venue, tmp_path, {})
    run = Run(tmp_path / "run", trader.session, trader.session.instruments and _schema(venue))
    run.add(trader.session.step(market.tick("AAA", -1)))
    assert cents(trader.finish()) == -0.71
    found = run.close()
    assert cents(found["start_equity"]) == cents(trader.start)
    told = opening.told(trader.session.state, trader.session.instruments)
    assert told["positions"] == [{"symbol": "AAA", "qty": 71.0, "px": 100.5}]
    assert cents(found["max_drawdown"]) == 0.0 and found["moved"] == 0.0


def _schema(venue: Venue) -> Any:
    return ticks(0).with_metadata({KEY.encode(): venue.instruments.to_json().encode()})


@pytest.mark.parametrize("honest", [True, False])
def test_a_restart_does_not_begin_the_days_loss_afresh(venue: Venue, tmp_path: Path, honest: bool) -> None:
    """Half of the limit lost in one run and half in the next: the limit is reached."""
    limits = setup({}).limits.copy()
    limits[0]["daily_loss"] = 0.01  # 1,000 of 100,000
    market = Market(venue, random.Random(1))
    trader = bought(venue, tmp_path, market, 100)
    trader.step(market.tick("AAA", -600, 100))
    assert trader.session.account.day_equity == pytest.approx(100_000, abs=2)
    time.sleep(0.3)
    trader.finish() if honest else trader.die()
    again = Trader(venue, tmp_path, {0: [(1, 1.0, None, IOC)]}, limits=limits)
    assert again.session.account.day_equity == pytest.approx(100_000, abs=2)
    again.step(market.tick("AAA", 0))
    assert again.session.account.loss_day == 0
    again.step(market.tick("AAA", -600))
    assert again.session.account.loss_day == 1
    market.tick("AAA", 1_200)
    time.sleep(0.3)
    again.finish()
    last = Trader(venue, tmp_path, {}, limits=limits)
    assert last.session.account.loss_day == 1  # reached is reached, for the day, whatever it is worth by now
    last.finish()


def test_the_first_run_of_a_day_counts_from_what_the_broker_says_the_last_one_ended_with(
    venue: Venue, tmp_path: Path
) -> None:
    """No run of today is in the journal: the broker's last_equity, if that was more."""
    key_id = next(iter(venue.world.accounts.accounts))
    venue.world.accounts[key_id].last_equity = Decimal(100_500)
    trader = Trader(venue, tmp_path, {})
    assert trader.session.account.day_equity == 100_500
    assert cents(trader.start) == 100_000.0
    trader.finish()


def test_cash_that_came_is_no_profit_and_no_room_for_losses(venue: Venue, tmp_path: Path) -> None:
    """A deposit in the middle of a run is told, and the marks that losses are measured from move with it."""
    market = Market(venue, random.Random(1))
    trader = Trader(venue, tmp_path, {})
    trader.step(market.tick("AAA"))
    account = venue.world.accounts[next(iter(venue.world.accounts.accounts))]
    account.cash += Decimal("250.25")
    trader.client.until(lambda: trader.step(market.tick("AAA"), 0.05) or trader.session.account.cash > 100_100)
    d = trader.session.account
    assert (cents(d.cash), cents(d.day_equity), cents(d.peak)) == (100_250.25, 100_250.25, 100_250.25)
    assert cents(trader.finish()) == 0.0
    assert trader.broker.counts()["cash set right"] == 1


def test_a_position_learned_of_late_is_no_profit() -> None:
    """An instrument is announced in the middle of a run, and something is held in it."""
    session = Session(frame([]).layout.schema, setup({}, external=True))
    session.hear([ExecutionReport(0, 23, px=1_000.0)])
    session.step(frame([{"ts": START_NS, "bid": (100, 9), "ask": (102, 9)}]))
    late = ExecutionReport(0, POSITION, instrument_id=1, qty=10.0, px=5.0, leaves=10.0, fee=7.0)
    session.hear([late])
    assert (session.account.equity, opening.profit(session.state)) == (1_070.0, 0.0)
    assert session.account.peak == session.account.day_equity == 1_070.0


def test_a_day_that_is_over_binds_nobody() -> None:
    """The day told is yesterday's: the first tick begins another with what there is."""
    session = Session(frame([]).layout.schema, setup({}, external=True))
    session.hear(
        [ExecutionReport(0, 23, px=1_000.0), ExecutionReport(START_NS - 86_400 * SECOND, DAY, qty=1.0, px=5_000.0)]
    )
    session.step(frame([{"ts": START_NS, "bid": (100, 9), "ask": (102, 9)}]))
    assert (session.account.day_equity, session.account.loss_day) == (1_000.0, 0)


def test_the_risk_report_counts_what_the_day_had_lost_before_the_run(tmp_path: Path) -> None:
    """From the equity with which the day began, not from the run's own."""
    session = Session(frame([]).layout.schema, setup({}, external=True))
    run = Run(tmp_path / "run", session, frame([]).layout.schema)
    session.hear([ExecutionReport(0, 23, px=900.0), ExecutionReport(START_NS, DAY, px=1_000.0)])
    run.add(session.step(frame([{"ts": START_NS, "bid": (100, 9), "ask": (102, 9)}])))
    run.add(session.finish())
    run.close()
    limits = read(None)
    assert report(tmp_path / "run", limits)["limits"]["daily_loss"]["worst"] == pytest.approx(0.1)


def test_closing_what_was_held_at_the_start_is_a_closing_fill() -> None:
    """The hit rate knows what the run began with."""
    from gpi.tools.backtest.statistics import Sampling, metrics

    held = np.array([(0, 10.0, 5.0, 6.0, 60.0)], opening.HELD)
    equity = {name: np.ones(1) for name in ("equity", "realized", "fees")} | {"ts_event": np.ones(1, np.int64)}
    fills = {"instrument_id": np.zeros(1, np.int64), "side": np.array([-1], np.int8), "liquidity": np.array([2])}
    fills |= {"qty": np.array([10.0]), "px": np.array([7.0])}
    found = metrics(1.0, equity, fills, np.ones(1), Sampling(), held)
    assert (found["closing_fills"], found["hit_rate"]) == (1, 1.0)
