"""PATCH of what belongs together: combinations, their legs, brackets, orders that wait, times in force."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from gpi.formats.instruments import equity, option
from tests.venues import MONDAY, Ready, venue_here

CALL, HIGHER = "AAPL260116C00190000", "AAPL260116C00200000"
HOUR = 3600 * 10**9
LEGS = [{"symbol": CALL, "ratio_qty": "1", "side": "buy"}, {"symbol": HIGHER, "ratio_qty": "2", "side": "buy"}]


@pytest.fixture
def venue() -> Iterator[Ready]:
    """A share and two calls, quoted; at the end nothing went wrong inside, and nothing open is left by DELETE."""
    with venue_here([equity("AAPL"), option(CALL), option(HIGHER)]) as ready:
        ready.tick("AAPL", bid=[189.9, 500], ask=[190.1, 500])
        quoted(ready)
        yield ready
        assert all(each["status"] == 200 for each in ready.call("DELETE", "/v2/orders").json())
        state = ready.state()
        assert state["counters"].get("mishaps", 0) == 0
        assert state["accounts"][ready.key_id]["open_orders"] == 0


def quoted(venue: Ready, px: float = 3.0) -> None:
    """Both calls at a price."""
    venue.tick(CALL, bid=[px, 50], ask=[px + 0.1, 50])
    venue.tick(HIGHER, bid=[1.0, 50], ask=[1.1, 50])


def several(venue: Ready, limit: float = 2.0, qty: int = 3) -> dict[str, Any]:
    """A combination that rests."""
    words = {"order_class": "mleg", "type": "limit", "limit_price": limit, "legs": LEGS}
    found: dict[str, Any] = venue.order(None, None, qty, **words).json()  # type: ignore[arg-type]
    return found


def test_a_leg_of_several_is_neither_replaced_nor_canceled_alone(venue: Ready) -> None:
    """422 42210000, as for what the market's rules forbid; the combination works on, and can be canceled."""
    top = several(venue)
    for leg in top["legs"]:
        for verb, body in (("PATCH", {"qty": 2}), ("PATCH", {"time_in_force": "gtc"}), ("DELETE", None)):
            refused = venue.call(verb, f"/v2/orders/{leg['id']}", body)
            assert (refused.status_code, refused.json()["code"]) == (422, 42210000)
        assert venue.call("GET", f"/v2/orders/{leg['id']}").json()["status"] == "new"
    assert len(venue.account()["orders"]) == 3
    assert venue.call("DELETE", f"/v2/orders/{top['id']}").status_code == 204
    assert {each["status"] for each in venue.account()["orders"]} == {"canceled"}


def test_several_are_replaced_as_a_whole(venue: Ready) -> None:
    """A new top with new legs of the new size; the old ones are replaced, and only the new ones fill."""
    top = several(venue)
    new = venue.call("PATCH", f"/v2/orders/{top['id']}", {"qty": 2, "limit_price": 5.5}).json()
    assert (new["replaces"], new["qty"], new["limit_price"]) == (top["id"], "2", "5.5")
    assert [(leg["qty"], leg["replaces"]) for leg in new["legs"]] == [
        ("2", top["legs"][0]["id"]), ("4", top["legs"][1]["id"]),
    ]  # fmt: skip
    old = venue.call("GET", f"/v2/orders/{top['id']}", nested="true").json()
    assert (old["status"], old["replaced_by"]) == ("replaced", new["id"])
    assert {leg["status"] for leg in old["legs"]} == {"replaced"} and all(leg["replaced_by"] for leg in old["legs"])
    quoted(venue)
    done = venue.call("GET", f"/v2/orders/{new['id']}", nested="true").json()
    assert done["status"] == "filled" and [leg["filled_qty"] for leg in done["legs"]] == ["2", "4"]
    assert {p["symbol"]: p["qty"] for p in venue.call("GET", "/v2/positions").json()} == {CALL: "2", HIGHER: "4"}


@pytest.mark.parametrize(("body", "words"), [
    ({"qty": 3}, "not changed"), ({"qty": "2.5"}, "whole number"), ({"limit_price": 2.001}, "2 decimal places"),
    ({"stop_price": 2}, "no such price"), ({"trail": 1}, "no trail"), ({"time_in_force": "gtc"}, "cannot be changed"),
    ({"qty": 30000}, "insufficient buying power"), ([], "format"), ({"qty": 0}, "must be > 0"),
])  # fmt: skip
def test_what_several_cannot_become_is_refused(venue: Ready, body: Any, words: str) -> None:
    """And the old combination works on."""
    top = several(venue)
    refused = venue.call("PATCH", f"/v2/orders/{top['id']}", body)
    assert refused.status_code in (403, 422) and words in refused.json()["message"], refused.text
    assert venue.call("GET", f"/v2/orders/{top['id']}").json()["status"] == "new"
    assert len(venue.account()["orders"]) == 3


def test_a_late_refusal_leaves_several_as_they_were(venue: Ready) -> None:
    """The new ones are rejected on the stream; a filled combination cannot be replaced at all."""
    top = several(venue)
    venue.control(fault={"name": "late-reject", "count": 1})
    new = venue.call("PATCH", f"/v2/orders/{top['id']}", {"limit_price": 2.2}).json()
    assert venue.call("GET", f"/v2/orders/{new['id']}").json()["status"] == "rejected"
    again = venue.call("PATCH", f"/v2/orders/{top['id']}", {"limit_price": 5.6}).json()
    quoted(venue)
    assert venue.call("GET", f"/v2/orders/{again['id']}").json()["status"] == "filled"
    refused = venue.call("PATCH", f"/v2/orders/{again['id']}", {"qty": 9})
    assert (refused.status_code, refused.json()["message"]) == (422, "only open orders can be replaced")


BRACKET = {"order_class": "bracket", "take_profit": {"limit_price": 200}, "stop_loss": {"stop_price": 170}}


def test_a_bracket_gets_other_prices_and_stays_together(venue: Ready) -> None:
    """Entry and exits are replaced by price, not by quantity; the new exits wait for the new entry."""
    top = venue.order(qty=5, type="limit", limit_price=180, **BRACKET).json()
    profit, loss = top["legs"]
    for each in (top, profit, loss):
        for body in ({"qty": 4}, {"time_in_force": "gtc"}):
            refused = venue.call("PATCH", f"/v2/orders/{each['id']}", body)
            assert (refused.status_code, refused.json()["code"]) == (422, 42210000), refused.text
    nearer = venue.call("PATCH", f"/v2/orders/{loss['id']}", {"stop_price": 175}).json()
    assert venue.call("GET", f"/v2/orders/{nearer['id']}").json()["status"] == "held"
    higher = venue.call("PATCH", f"/v2/orders/{top['id']}", {"limit_price": 181}).json()
    shown = venue.call("GET", f"/v2/orders/{higher['id']}", nested="true").json()
    assert [leg["id"] for leg in shown["legs"]] == [profit["id"], nearer["id"]]
    venue.tick("AAPL", bid=[180.7, 500], ask=[180.9, 500])
    assert venue.call("GET", f"/v2/orders/{higher['id']}").json()["status"] == "filled"
    assert venue.call("GET", f"/v2/orders/{nearer['id']}").json()["status"] in ("new", "held")
    venue.tick("AAPL", bid=[174, 500], ask=[174.2, 500], trade=[174, 5])
    assert venue.call("GET", f"/v2/orders/{nearer['id']}").json()["status"] == "filled"
    assert venue.call("GET", f"/v2/orders/{profit['id']}").json()["status"] == "canceled"
    assert venue.account()["positions"] == {}


def test_what_waits_for_the_open_is_replaced_with_its_exits() -> None:
    """Before the open nothing is at the exchange yet: the replacement goes there, with the exits that were replaced."""
    with venue_here([equity("AAPL")], start=MONDAY - 2 * HOUR) as venue:
        top = venue.order(qty=5, type="limit", limit_price=180, **BRACKET).json()
        assert top["status"] == "accepted"
        loss = venue.call("PATCH", f"/v2/orders/{top['legs'][1]['id']}", {"stop_price": 175}).json()
        new = venue.call("PATCH", f"/v2/orders/{top['id']}", {"limit_price": 179}).json()
        venue.tick("AAPL", bid=[178, 500], ask=[178.1, 500], ts=MONDAY)
        assert venue.call("GET", f"/v2/orders/{new['id']}").json()["status"] == "filled"
        venue.tick("AAPL", bid=[174, 500], ask=[174.2, 500], trade=[174, 5])
        assert venue.call("GET", f"/v2/orders/{loss['id']}").json()["status"] == "filled"
        assert venue.account()["positions"] == {} and venue.account()["open_orders"] == 0


def test_a_day_order_that_is_made_to_last_outlives_the_day() -> None:
    """day to gtc moves its end; ioc, fok and the auctions are no times in force for what rests already."""
    with venue_here([equity("AAPL")]) as venue:
        venue.tick("AAPL", bid=[189.9, 500], ask=[190.1, 500])
        old = venue.order(qty=5, type="limit", limit_price=180).json()
        for tif in ("ioc", "fok", "opg", "cls", "gfd", 5):
            refused = venue.call("PATCH", f"/v2/orders/{old['id']}", {"time_in_force": tif})
            assert refused.status_code == 422, tif
        new = venue.call("PATCH", f"/v2/orders/{old['id']}", {"time_in_force": "gtc"}).json()
        venue.tick("AAPL", bid=[189.9, 500], ask=[190.1, 500], ts=MONDAY + 24 * HOUR)
        shown = venue.call("GET", f"/v2/orders/{new['id']}").json()
        assert shown["status"] == "new" and shown["expires_at"] > "2026-03"


def test_no_order_outlives_its_contract(venue: Ready) -> None:
    """A gtc order on an option that has ended is expired with it, whether any are held or not."""
    old = venue.order(CALL, qty=1, type="limit", limit_price=1, time_in_force="gtc").json()
    assert old["expires_at"] == "2026-01-16T21:00:00Z"
    venue.control(advance=12 * 24 * 3600)
    assert venue.call("GET", f"/v2/orders/{old['id']}").json()["status"] == "expired"


def test_times_of_an_order_never_run_backwards() -> None:
    """Many orders within one instant of the feed: each begins later than the one before, and ends later still."""
    with venue_here([equity("AAPL")]) as venue:
        venue.tick("AAPL", bid=[189.9, 500], ask=[190.1, 500])
        for n in range(6):
            venue.order(qty=1) if n % 2 else venue.order(qty=1, type="limit", limit_price=180)
        venue.call("DELETE", "/v2/orders")
        for each in venue.call("GET", "/v2/orders", status="all").json():
            ends = [each[word] for word in ("filled_at", "canceled_at", "updated_at") if each[word]]
            assert all(Decimal(_digits(each["created_at"])) <= Decimal(_digits(end)) for end in ends), each


def _digits(text: str) -> str:
    head, _, fraction = text.rstrip("Z").partition(".")
    return "".join(c for c in head if c.isdigit()) + "." + fraction.ljust(9, "0")
