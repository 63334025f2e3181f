"""What an account's rules forbid is refused here, by the arithmetic of the venue; it never gets there."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpi.formats.execution import NEW, STATE
from gpi.formats.frame import Frame
from gpi.formats.instruments import KEY
from gpi.formats.words import ACCEPTED, CANCELED, EXPIRED, FILLED, REASONS, REFUSE, REJECTED, SUBMIT
from gpi.tools.backtest.answered import Repeated, Script
from gpi.tools.backtest.run import Run
from gpi.tools.backtest.session import Session
from gpi.tools.backtest.setup import Rules, Setup
from gpi.tools.backtest.verify import compare
from gpi.tools.brokers.guards import Guards
from gpi.tools.risk.limits import read
from gpi.tools.strategies import market_making
from gpi.tools.strategies.loading import strategy
from tests.brokerage import NAMES, START_NS, Client, Venue, trading
from tests.trading import TICK, frame

pytestmark = pytest.mark.filterwarnings("ignore::aiohttp.web_exceptions.NotAppKeyWarning")
EAGER = {
    "size_fraction": 0.012,
    "max_inventory": 3.0,
    "gamma": 0.1,
    "tau_s": 0.02,
    "requote_ticks": 0.5,
    "requote_spread": 0.01,
}
STEPS = 400
FREE = Guards(duplicate_s=0.0, asks_per_s=100_000, executions_per_min=1_000_000)


@pytest.fixture
def venue() -> Iterator[Venue]:
    made = Venue()
    yield made
    made.close()


def market(steps: int) -> list[dict[str, Any]]:
    """Three prices that wander far enough to fill both quotes, one tick a step."""
    rng = np.random.default_rng(11)
    mids, told = [10_000, 10_000, 10_000], []
    for k in range(steps):
        i = k % 3
        mids[i] += int(rng.integers(-7, 8))
        size = int(rng.integers(2, 40))
        told.append(
            {"ts": START_NS + (k + 1) * 100_000_000, "i": i, "bid": (mids[i] - 1, size), "ask": (mids[i] + 1, size)}
        )
    return told


def session_of(venue: Venue, ticks: Frame) -> tuple[Session, Any]:
    """Market making outside, with the account's rules."""
    made = strategy(market_making, EAGER, "market_making")
    given = Setup(made, limits=read(), rules=Rules(account="alpaca"), external=True)
    schema = ticks.layout.schema.with_metadata({KEY: venue.instruments.to_json()})
    return Session(schema, given), schema


def wait(client: Client, asked: dict[int, str]) -> None:
    """Until the broker has answered everything, and knows what the venue knows."""
    client.until(lambda: settled(client, asked))


def settled(client: Client, asked: dict[int, str]) -> bool:
    """Everything that was asked for has been answered, and the broker knows what the venue knows."""
    client.told += client.broker.reports()
    heard = {(a.order_id, a.action) for a in client.told}
    over = {order for order, action in heard if action in (REJECTED, CANCELED, EXPIRED)}
    whole = {a.order_id for a in client.told if a.action == FILLED and a.leaves == 0}
    for order, what in asked.items():
        if order not in over | whole and (what == "cancel" or (order, ACCEPTED) not in heard):
            return False
    believed = client.broker.engine.blotter.expected
    return all(believed.get(name, Decimal(0)) == client.venue.position(name) for name in NAMES)


def test_a_market_maker_lives_long_without_a_refusal_of_the_venue(venue: Venue, tmp_path: Path) -> None:
    """Its orders are cut to what is held and free; nothing is forbidden, nothing halts, and the day repeats."""
    ticks = frame(market(STEPS))
    session, schema = session_of(venue, ticks)
    run = Run(tmp_path / "run", session, schema)
    with trading(venue, tmp_path, FREE) as client:
        client.hears(STATE)
        asked: dict[int, str] = {}
        at = 0
        for row, tick in enumerate(market(STEPS)):
            sides = {side: [tick[side][0] * TICK, tick[side][1]] for side in ("bid", "ask")}
            venue.tick(symbol=NAMES[tick["i"]], ts=tick["ts"], **sides)
            wait(client, asked)
            reports, at = client.told[at:], len(client.told)
            run.heard(int(session.clock.row), reports)
            session.hear(reports)
            run.add(session.step(ticks.slice(row, row + 1)))
            requests = session.requests()
            asked |= {request.order_id: "new" if request.what == NEW else "cancel" for request in requests}
            client.broker.send(requests)
        run.add(session.wind_down())
        client.broker.send(session.requests())
        client.told += client.broker.finish(8.0)
        run.heard(int(session.clock.row), client.told[at:])
        session.hear(client.told[at:])
        run.add(session.finish())
    run.close()
    fills = venue.account["fills"]
    assert len(fills) > 40 and {fill["side"] for fill in fills} == {"buy", "sell"}
    assert not [line for line in client.said if "refused" in line]
    assert client.broker.failure is None and not client.heard(REJECTED)
    again = Run(tmp_path / "again", Session(schema, session.setup), schema)
    repeated = Repeated(again._session, Script.read(tmp_path / "run" / "answers.parquet"))
    again.add(repeated.step(ticks))
    again.add(repeated.finish())
    again.close()
    assert compare(tmp_path / "run", tmp_path / "again") is None


def test_an_order_through_zero_is_refused_where_it_is_and_makes_no_storm(venue: Venue, tmp_path: Path) -> None:
    """Held 10, of which a working sale holds 4: six may be sold, seven may not, however often it is tried."""
    with trading(venue, tmp_path) as client:
        client.hears(STATE)
        client.hears(FILLED, client.new(px=100.01))
        client.hears(ACCEPTED, client.new(-1, 4, 101.0))
        for n in range(8):
            told = client.hears(REJECTED, client.new(-1, 7 + n, 101.0))
            assert REASONS[told.reason] == "INSUFFICIENT_QTY"
        client.hears(ACCEPTED, client.new(-1, 6, 101.0))
        assert client.broker.engine.holds.level == 0
    assert len(venue.account["orders"]) == 3


def test_what_the_venue_refuses_for_a_fill_not_heard_of_yet_makes_no_storm(venue: Venue, tmp_path: Path) -> None:
    """Its words tell the position: it is not the one that was known, so nobody has made a mistake."""
    with trading(venue, tmp_path) as client:
        client.hears(STATE)
        venue.fault("lose", place="stream.updates.send")
        client.until(lambda: client.heard(STATE)[-1].qty == 0)
        order = client.new(px=99.0)
        client.hears(ACCEPTED, order)
        venue.tick(symbol="AAA", bid=[98.0, 500], ask=[98.5, 500])
        for n in range(6):
            client.new(-1, 11 + n, 99.5)
        client.until(lambda: len(client.heard(REJECTED)) == 6)
        assert {REASONS[a.reason] for a in client.heard(REJECTED)} == {"INSUFFICIENT_QTY"}
        assert "REJECT_STORM" not in client.broker.engine.holds.causes


@pytest.mark.parametrize("account", ["any", "alpaca"])
def test_a_backtest_may_have_the_rule(account: str) -> None:
    """The same market maker, the same ticks: with the rule it never asks for more than is held."""
    ticks = frame(market(900))
    given = Setup(strategy(market_making, EAGER, "market_making"), limits=read(), rules=Rules(account=account))
    session = Session(ticks.layout.schema, given)
    traded = session.step(ticks)
    assert traded.fills.rows > 40
    rows = traded.orders
    side, qty, position = (rows[name][rows["action"] == SUBMIT] for name in ("side", "qty", "position"))
    through = (side * position < 0) & (qty > np.abs(position))
    assert through.any() == (account == "any")
    reasons = {REASONS[r] for r in rows["reason"][rows["action"] == REFUSE]}
    assert "INSUFFICIENT_QTY" not in reasons, "the market maker knows the rule and keeps to it"
