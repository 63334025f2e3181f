"""Brackets, one-triggers-other and one-cancels-other at a venue: one request, three lives, whatever the wire does."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpi.formats.execution import NEW, STATE, WITHDRAW, ExecutionReport, OrderRequest
from gpi.formats.frame import Frame
from gpi.formats.instruments import crypto, equity
from gpi.formats.words import (
    ACCEPTED,
    CANCELED,
    DAY,
    FILLED,
    GTC,
    IOC,
    LIMIT,
    MARKET,
    REASONS,
    REDUCED,
    REJECTED,
    REPLACED,
    STOP,
    STOP_LIMIT,
)
from gpi.tools.backtest.session import Session
from gpi.tools.brokers import families
from gpi.tools.brokers.alpaca.wire import Unsendable
from gpi.tools.brokers.journal import Journal
from tests.brokerage import NAN, START_NS, Client, Venue, trading
from tests.test_brokers_replace import amend
from tests.test_outside import OPENING, QUIET
from tests.trading import frame, setup

pytestmark = pytest.mark.filterwarnings("ignore::aiohttp.web_exceptions.NotAppKeyWarning")
ENTRY: dict[str, Any] = {"side": 1, "order_type": LIMIT, "tif": DAY, "qty": 10.0, "px": 100.01}
PROFIT: dict[str, Any] = {"side": -1, "order_type": LIMIT, "tif": GTC, "qty": 10.0, "px": 101.0}
LOSS: dict[str, Any] = {"side": -1, "order_type": STOP, "tif": GTC, "qty": 10.0, "stop_px": 98.0}


@pytest.fixture
def venue() -> Iterator[Venue]:
    made = Venue()
    yield made
    made.close()


def request(order_id: int, **words: Any) -> OrderRequest:
    """A new order in AAA."""
    return OrderRequest(NEW, START_NS, order_id, 0, "AAA", **words)


def bracket(client: Client, **entry: Any) -> tuple[int, int, int]:
    """An entry with its two exits, asked for together."""
    n, client.next = client.next, client.next + 3
    legs = [request(n + 1, parent=n, **PROFIT), request(n + 2, parent=n, sibling=n + 1, **LOSS)]
    client.broker.send([request(n, **{**ENTRY, **entry}), *legs])
    return n, n + 1, n + 2


def actions(client: Client, order: int) -> list[int]:
    """What was told of an order."""
    client.heard()
    return [a.action for a in client.told if a.order_id == order]


def agree(venue: Venue, client: Client) -> None:
    """Every order of the venue is one life, with its fills; positions are the venue's."""
    lives = client.broker.engine.blotter.lives.values()
    known = {life.broker_id: life for life in lives if life.broker_id}
    truth = venue.account
    assert {o["id"] for o in truth["orders"]} == set(known)
    for order in truth["orders"]:
        assert float(known[order["id"]].executions.filled) == float(order["filled_qty"])
    assert client.broker.engine.blotter.expected.get("AAA", 0) == venue.position("AAA")
    assert not any("EXTERNAL" in line for line in client.said)


def test_a_bracket_goes_out_as_one_and_its_exits_live_when_it_has_filled(venue: Venue, tmp_path: Path) -> None:
    """The profit is taken, the stop goes with it; three rows in the journal before anything was sent."""
    with trading(venue, tmp_path) as client:
        client.hears(STATE)
        entry, profit, loss = bracket(client)
        assert client.hears(FILLED, entry).leaves == 0
        client.hears(ACCEPTED, profit)
        client.hears(ACCEPTED, loss)
        assert venue.account["orders"][0]["order_class"] == "bracket" and venue.open_orders == 2
        venue.tick(symbol="AAA", bid=[101.2, 500], ask=[101.3, 500])
        client.hears(FILLED, profit)
        client.hears(CANCELED, loss)
        rows = client.broker.journal.rows("SELECT order_id, state, broker_id FROM orders ORDER BY order_id")
        assert [row[0] for row in rows] == [entry, profit, loss] and all(row[2] for row in rows)
    assert actions(client, entry) == [ACCEPTED, FILLED]
    assert actions(client, profit) == [ACCEPTED, FILLED] and actions(client, loss) == [ACCEPTED, CANCELED]
    assert venue.position("AAA") == 0
    agree(venue, client)


def test_a_profit_taken_in_parts_reduces_the_stop(venue: Venue, tmp_path: Path) -> None:
    """What is left to protect is told."""
    with trading(venue, tmp_path) as client:
        client.hears(STATE)
        entry, profit, loss = bracket(client)
        client.hears(FILLED, entry)
        venue.tick(symbol="AAA", bid=[101.0, 4], ask=[101.3, 500])
        client.hears(FILLED, profit)
        assert client.hears(REDUCED, loss).leaves == 6
    agree(venue, client)


def test_one_cancels_other_leaves_a_position_once(venue: Venue, tmp_path: Path) -> None:
    """Two exits of what is held; the stop is reached, the limit goes."""
    with trading(venue, tmp_path) as client:
        client.hears(STATE)
        client.hears(FILLED, client.new(px=100.01))
        n, client.next = client.next, client.next + 2
        client.broker.send(
            [request(n, **PROFIT), request(n + 1, sibling=n, **{**LOSS, "order_type": STOP_LIMIT, "px": 97.0})]
        )
        client.hears(ACCEPTED, n)
        client.hears(ACCEPTED, n + 1)
        assert REASONS[client.hears(REJECTED, client.new(-1, 5, 102.0)).reason] == "INSUFFICIENT_QTY"
        venue.tick(symbol="AAA", bid=[97.9, 500], ask=[98.0, 500], trade=[97.95, 10, -1])
        venue.tick(symbol="AAA", bid=[97.9, 500], ask=[98.0, 500])
        client.hears(FILLED, n + 1)
        client.hears(CANCELED, n)
    assert venue.position("AAA") == 0
    agree(venue, client)


def test_an_order_triggers_one_exit(venue: Venue, tmp_path: Path) -> None:
    """oto: an entry at the market and its stop, which is then cancelled by hand."""
    with trading(venue, tmp_path) as client:
        client.hears(STATE)
        n, client.next = client.next, client.next + 2
        client.broker.send([request(n, **{**ENTRY, "order_type": MARKET, "px": NAN}), request(n + 1, parent=n, **LOSS)])
        client.hears(FILLED, n)
        client.hears(ACCEPTED, n + 1)
        client.cancel(n + 1)
        client.hears(CANCELED, n + 1)
        assert venue.open_orders == 0 and client.broker.engine.holds.level == 0
    agree(venue, client)


@pytest.mark.parametrize("which", [0, 1, 2], ids=["entry", "profit", "loss"])
def test_a_cancel_of_the_family_is_told_of_each(venue: Venue, tmp_path: Path, which: int) -> None:
    """The entry takes its legs along; a session that ends asks for all of them."""
    with trading(venue, tmp_path) as client:
        client.hears(STATE)
        family = bracket(client, px=99.0)
        client.hears(ACCEPTED, family[2])
        if which == 0:
            client.cancel(family[0])
        else:
            client.broker.send([OrderRequest(WITHDRAW, START_NS, each, 0, "AAA") for each in family])
        for each in family:
            client.hears(CANCELED, each)
    assert venue.open_orders == 0
    agree(venue, client)


FAULTS = [
    {"name": "status", "status": 504},
    {"name": "reset"},
    {"name": "html", "place": "rest.orders.post.after"},
    {"name": "lose", "place": "stream.updates.send"},
    {"name": "drop", "place": "stream.updates.send"},
    {"name": "reorder", "place": "stream.updates.send"},
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f["name"])
def test_a_bracket_whose_reply_is_lost_finds_its_legs(venue: Venue, tmp_path: Path, fault: dict[str, Any]) -> None:
    """By the entry's id, which is ours; the legs are never taken for somebody else's."""
    with trading(venue, tmp_path) as client:
        client.hears(STATE)
        venue.fault(**{**fault, "count": 1})
        family = bracket(client)
        client.hears(FILLED, family[0])
        for leg in family[1:]:
            client.hears(ACCEPTED, leg)
        client.until(lambda: not client.broker.engine.holds.blocks)
        assert not client.heard(REJECTED)
        time.sleep(1.2)  # two routine looks at orders and positions
    assert {o["order_class"] for o in venue.account["orders"]} == {"bracket"} and len(venue.account["orders"]) == 3
    assert venue.open_orders == 0
    agree(venue, client)


def test_a_bracket_that_is_refused_is_refused_whole(venue: Venue, tmp_path: Path) -> None:
    """By the venue (the stop above the entry), and here (legs of another size, a leg that comes later)."""
    with trading(venue, tmp_path) as client:
        client.hears(STATE)
        n, client.next = client.next, client.next + 8
        odd = {**LOSS, "stop_px": 100.5}
        client.broker.send(
            [request(n, **ENTRY), request(n + 1, parent=n, **PROFIT), request(n + 2, parent=n, sibling=n + 1, **odd)]
        )
        client.broker.send(
            [request(n + 3, **{**ENTRY, "px": 99.5}), request(n + 4, parent=n + 3, **{**LOSS, "qty": 5.0})]
        )
        client.broker.send([request(n + 5, parent=n, **LOSS)])
        for each in range(n, n + 6):
            assert REASONS[client.hears(REJECTED, each).reason] == "MALFORMED"
    assert not venue.account["orders"]


def test_a_leg_s_price_may_be_replaced(venue: Venue, tmp_path: Path) -> None:
    """A stop that is drawn along; its size goes with the family's and is not."""
    with trading(venue, tmp_path) as client:
        client.hears(STATE)
        entry, profit, _ = bracket(client)
        client.hears(FILLED, entry)
        client.hears(ACCEPTED, profit)
        amend(client, profit, px=101.5)
        assert client.hears(REPLACED, profit).px == 101.5
        amend(client, profit, qty=5)
        client.until(lambda: len(client.heard(REPLACED, order=profit)) == 2)
        assert REASONS[client.heard(REPLACED, order=profit)[-1].reason] == "MALFORMED"
        venue.tick(symbol="AAA", bid=[101.6, 500], ask=[101.7, 500])
        client.hears(FILLED, profit)
    assert venue.position("AAA") == 0
    agree(venue, client)


@pytest.mark.parametrize("told", [True, False], ids=["told", "not told"])
def test_the_dead_man_cancels_the_legs_of_an_entry_that_has_filled(venue: Venue, tmp_path: Path, told: bool) -> None:
    """It was told of them; and where it was not, the entry tells."""
    client = Client(venue, tmp_path, patience_s=0.6)
    client.broker.open()
    client.hears(STATE)
    if not told:
        client.broker._man.mind = lambda legs: None  # type: ignore[method-assign]
    family = bracket(client)
    client.hears(FILLED, family[0])
    client.until(lambda: venue.open_orders == 2)
    client.broker._man.beat = lambda: True  # type: ignore[method-assign]
    client.until(lambda: venue.open_orders == 0, 8.0)
    os.kill(client.broker._man.pid, signal.SIGKILL)
    client.broker.close()


def abandoned(venue: Venue, tmp_path: Path) -> None:
    """A trader and its dead-man end without cancelling: a bracket whose entry has filled stays with both exits."""
    with trading(venue, tmp_path) as client:
        client.hears(STATE)
        family = bracket(client)
        client.hears(FILLED, family[0])
        client.hears(ACCEPTED, family[2])
        client.broker.engine.clerk.stop = lambda *_: None  # type: ignore[method-assign]
        os.kill(client.broker._man.pid, signal.SIGKILL)


def test_a_trader_that_starts_again_knows_the_legs_of_its_former_life(venue: Venue, tmp_path: Path) -> None:
    """Its entry filled, its exits stood: none is EXTERNAL, all are cancelled, the position is known."""
    abandoned(venue, tmp_path)
    assert venue.open_orders == 2
    with trading(venue, tmp_path) as client:
        client.hears(STATE, seconds=15.0)
        assert venue.open_orders == 0
        assert client.broker.engine.blotter.expected["AAA"] == venue.position("AAA") == 10
        assert not any("EXTERNAL" in line for line in client.said) and not client.broker.engine.holds.blocks


def test_a_leg_of_a_former_life_whose_id_was_never_learned_is_found_by_its_entry(venue: Venue, tmp_path: Path) -> None:
    """The power went between the request and its reply."""
    abandoned(venue, tmp_path)
    journal = Journal(tmp_path / "orders.sqlite")
    journal._write("UPDATE orders SET broker_id = NULL, state = 'intent'")
    journal.commit()
    journal.close()
    with trading(venue, tmp_path) as client:
        client.hears(STATE, seconds=15.0)
        assert venue.open_orders == 0
        assert not any("EXTERNAL" in line for line in client.said)


@pytest.mark.parametrize(
    "words",
    [
        [{**ENTRY, "tif": IOC}, {**LOSS, "parent": 1}],
        [ENTRY, {**PROFIT, "parent": 1}, {**LOSS, "parent": 1}],
        [ENTRY, {**PROFIT, "parent": 1}, {**PROFIT, "parent": 1, "sibling": 2}],
        [ENTRY, {**LOSS, "side": 1, "parent": 1}],
        [ENTRY, {**LOSS, "order_type": MARKET, "parent": 1}],
        [{**LOSS}, {**PROFIT, "sibling": 1}],
        [PROFIT, {**PROFIT, "sibling": 1}],
        [{**ENTRY, "extended": True}, {**LOSS, "parent": 1}],
    ],
)
def test_what_alpaca_has_no_request_for_is_not_sent(words: list[dict[str, Any]]) -> None:
    """Said before the wire."""
    family = [request(n, **each) for n, each in enumerate(words, 1)]
    with pytest.raises(Unsendable):
        families.order_body(family, equity("AAA"), "id")


def test_coins_have_no_brackets() -> None:
    """Alpaca takes them as simple orders only."""
    family = [request(1, **ENTRY), request(2, parent=1, **LOSS)]
    with pytest.raises(Unsendable):
        families.order_body(family, crypto("BTC/USD"), "id")


def test_a_strategy_s_bracket_comes_out_of_a_session_together() -> None:
    """Three asks of one decision, that the broker finds together; their answers fold back into the session."""
    script: dict[int, list[Any]] = {0: [lambda view: view.bracket(1, 5.0, 1.0, 1.2, 0.8)]}
    ticks: Frame = frame(QUIET)
    session = Session(ticks.layout.schema, setup(script, external=True))
    session.hear(OPENING)
    session.step(ticks.slice(0, 1))
    requests = session.requests()
    (family,) = families.grouped(requests)
    assert [each.order_id for each in family] == [1, 2, 3]
    body = families.order_body(family, equity("AAA"), "id")
    assert body["order_class"] == "bracket" and body["stop_loss"] == {"stop_price": "0.8"}
    session.hear(
        [
            ExecutionReport(START_NS, FILLED, 1, 0, 1, 5.0, 1.0, 0.0),
            ExecutionReport(START_NS, ACCEPTED, 2),
            ExecutionReport(START_NS, ACCEPTED, 3),
        ]
    )
    session.step(ticks.slice(1, 2))
    assert session.state["instruments"][0].selling == 5.0
    session.hear(
        [
            ExecutionReport(START_NS, FILLED, 2, 0, -1, 2.0, 1.2, 3.0),
            ExecutionReport(START_NS, REDUCED, 3, 0, -1, 3.0, 0.8, 3.0),
        ]
    )
    session.step(ticks.slice(2, 3))
    assert session.state["instruments"][0].selling == 3.0 and session.state["instruments"][0].position == 3.0
    assert np.isclose(session.account.open_orders, 2)
