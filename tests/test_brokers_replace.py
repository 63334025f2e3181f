"""Replacements at a venue: another order in the place of one, told as one, whatever the wire does in between."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gpi.formats.execution import AMEND, STATE, ExecutionReport, OrderRequest
from gpi.formats.words import ACCEPTED, CANCELED, FILLED, REASONS, REJECTED, REPLACED
from tests.brokerage import NAN, START_NS, Client, Venue, trading
from tests.test_brokers import agree

pytestmark = pytest.mark.filterwarnings("ignore::aiohttp.web_exceptions.NotAppKeyWarning")


@pytest.fixture
def venue() -> Iterator[Venue]:
    made = Venue()
    yield made
    made.close()


def amend(client: Client, order_id: int, qty: float = NAN, px: float = NAN) -> None:
    """What a session asks for."""
    was = client.broker.engine.blotter.numbered[order_id].request
    client.broker.send(
        [
            OrderRequest(
                AMEND, START_NS, order_id, was.instrument_id, was.symbol, was.side, was.order_type, was.tif, qty, px
            )
        ]
    )


def resting(client: Client, **words: Any) -> int:
    """An order that the venue has."""
    order = client.new(**{"px": 99.0, "qty": 10, **words})
    client.hears(ACCEPTED, order)
    client.until(lambda: client.venue.account["orders"][-1]["status"] == "new")
    return order


def at_venue(venue: Venue) -> list[tuple[str, str, str, str]]:
    """(status, qty, filled, limit) of every order, oldest first."""
    return [(o["status"], o["qty"], o["filled_qty"], o["limit_price"]) for o in venue.account["orders"]]


def told(client: Client, order: int) -> list[tuple[int, float, float]]:
    """(action, qty, leaves) of everything that was told of an order."""
    client.heard()
    return [(a.action, a.qty, a.leaves) for a in client.told if a.order_id == order]


def test_a_replacement_is_another_order_there_and_the_same_one_here(venue: Venue, tmp_path: Path) -> None:
    """Size and price; each with an id of its own that was in the journal before."""
    with trading(venue, tmp_path) as client:
        client.hears(STATE)
        order = resting(client)
        amend(client, order, qty=15, px=98.5)
        assert client.hears(REPLACED, order).px == 98.5
        amend(client, order, px=98.0)
        client.until(lambda: len(client.heard(REPLACED)) == 2)
        assert at_venue(venue) == [
            ("replaced", "10", "0", "99"),
            ("replaced", "15", "0", "98.5"),
            ("new", "15", "0", "98"),
        ]
        client.cancel(order)
        client.hears(CANCELED, order)
        assert told(client, order) == [(ACCEPTED, 10, 10), (REPLACED, 15, 15), (REPLACED, 15, 15), (CANCELED, 15, 15)]
        rows = client.broker.journal.rows("SELECT client_id, state FROM orders ORDER BY client_id")
        first = rows[0][0]
        assert [row[0] for row in rows] == [first, f"{first}r1", f"{first}r2"] and {row[1] for row in rows} == {"done"}
    agree(venue, client)


def test_what_has_filled_counts(venue: Venue, tmp_path: Path) -> None:
    """Ten, of which four fill; replaced by twelve, eight work; a last replacement to four in all ends it."""
    with trading(venue, tmp_path) as client:
        client.hears(STATE)
        order = resting(client)
        venue.tick(symbol="AAA", bid=[98.9, 500], ask=[99.0, 4])
        client.hears(FILLED, order)
        venue.tick(symbol="AAA", bid=[98.9, 500], ask=[99.5, 500])
        amend(client, order, qty=12)
        assert client.hears(REPLACED, order).leaves == 8
        assert at_venue(venue)[-1] == ("new", "8", "0", "99")
        venue.tick(symbol="AAA", bid=[98.9, 500], ask=[99.0, 3])
        client.until(lambda: len(client.heard(FILLED)) == 2)
        assert client.heard(FILLED)[-1].leaves == 5
        amend(client, order, qty=7)
        client.hears(CANCELED, order)
        assert [each for each in told(client, order) if each[0] != FILLED][-1] == (CANCELED, 12, 5)
    agree(venue, client)


FAULTS = [
    {"name": "status", "status": 504, "place": "rest.orders.patch.after"},
    {"name": "reset", "place": "rest.orders.patch.after"},
    {"name": "html", "place": "rest.orders.patch.after"},
    {"name": "status", "status": 502, "place": "rest.orders.patch.before"},
    {"name": "unknown-enum"},
    {"name": "lose", "place": "stream.updates.send"},
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f"{f['name']}-{f.get('place', '')}")
def test_a_replacement_whose_reply_is_lost_is_looked_up_by_both_ids(
    venue: Venue, tmp_path: Path, fault: dict[str, Any]
) -> None:
    """Carried out or not, it is told once and as it is, and never sent again."""
    with trading(venue, tmp_path) as client:
        client.hears(STATE)
        order = resting(client)
        venue.fault(**{**fault, "count": 1})
        amend(client, order, px=98.0)
        report = client.hears(REPLACED, order, 15.0)
        carried = [o for o in at_venue(venue) if o[0] == "new"]
        assert len(carried) == 1 and report.px == float(carried[0][3])
        client.until(lambda: not client.broker.engine.holds.blocks)
        assert len(client.heard(REPLACED)) == 1 and not client.heard(REJECTED)
    assert told(client, order)[-1][0] == CANCELED
    agree(venue, client)


def test_a_replacement_that_was_taken_and_is_rejected_later_leaves_the_order_as_it_is(
    venue: Venue, tmp_path: Path
) -> None:
    """PATCH says 200; order_replace_rejected comes behind it. No storm: the order can be cancelled as before."""
    with trading(venue, tmp_path) as client:
        client.hears(STATE)
        order = resting(client)
        venue.fault("late-reject", count=1)
        amend(client, order, px=98.0)
        report = client.hears(REPLACED, order)
        assert (report.px, report.leaves, REASONS[report.reason]) == (99.0, 10, "BROKER_REFUSED")
        assert at_venue(venue) == [("new", "10", "0", "99"), ("rejected", "10", "0", "98")]
        amend(client, order, px=98.5)
        client.until(lambda: client.heard(REPLACED)[-1].px == 98.5)
        client.cancel(order)
        client.hears(CANCELED, order)
    agree(venue, client)


def test_a_fill_that_comes_first_wins(venue: Venue, tmp_path: Path) -> None:
    """The replacement is refused, and the order is told as filled, once."""
    with trading(venue, tmp_path) as client:
        client.hears(STATE)
        order = resting(client)
        venue.fault("delay", place="stream.updates.send", seconds=0.5, count=1)
        venue.tick(symbol="AAA", bid=[98.0, 500], ask=[98.5, 500])
        amend(client, order, px=98.0)
        assert client.hears(FILLED, order).leaves == 0
        client.until(lambda: not any(life.open for life in client.broker.engine.blotter.lives.values()))
        assert not client.heard(CANCELED, REJECTED, order=order)
    agree(venue, client)


def test_a_cancel_during_a_replacement_ends_both(venue: Venue, tmp_path: Path) -> None:
    """Nobody knows which of the two works: both are asked to go, and the end is told once."""
    with trading(venue, tmp_path) as client:
        client.hears(STATE)
        order = resting(client)
        venue.fault("status", status=504, place="rest.orders.patch.after", count=1)
        amend(client, order, px=98.0)
        client.cancel(order)
        client.hears(CANCELED, order, 15.0)
        assert venue.open_orders == 0 and len(client.heard(CANCELED)) == 1
    agree(venue, client)


def test_a_trader_that_starts_again_cancels_a_replacement_of_its_former_life(venue: Venue, tmp_path: Path) -> None:
    """Both ids are in the journal."""
    with trading(venue, tmp_path) as client:
        client.hears(STATE)
        order = resting(client)
        amend(client, order, px=98.0)
        client.hears(REPLACED, order)
        client.broker.engine.clerk.stop = lambda *_: None  # type: ignore[method-assign]
        client.broker._man._process.kill()  # neither it nor its dead-man looks after the order
        client.broker.engine.failure = None
    assert venue.open_orders == 1
    with trading(venue, tmp_path) as client:
        client.hears(STATE, seconds=15.0)
        assert venue.open_orders == 0
    truth = {o["client_order_id"] for o in venue.account["orders"]}
    assert truth <= set(client.broker.engine.blotter.lives) | truth
    assert not client.heard(FILLED)


@pytest.mark.parametrize("state", ["unknown", "blocked"])
def test_what_is_not_settled_is_not_replaced(venue: Venue, tmp_path: Path, state: str) -> None:
    """Answered at once with the order as it is."""
    with trading(venue, tmp_path) as client:
        client.hears(STATE)
        order = resting(client)
        if state == "unknown":
            client.broker.engine.blotter.numbered[order].withdrawing = True
        else:
            client.broker.engine.holds.block("AAA", "a test")
        amend(client, order, px=98.0)
        report: ExecutionReport = client.hears(REPLACED, order)
        assert REASONS[report.reason] == "RECONCILING" and report.px == 99.0
        assert len(venue.account["orders"]) == 1
    assert Decimal(venue.account["orders"][0]["filled_qty"]) == 0
