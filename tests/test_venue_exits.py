"""Stops, brackets, OCO and OTO on the wire: legs are held, wake, end each other, and are told."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.venues import Ready, until, updates, venue_here


@pytest.fixture
def venue() -> Iterator[Ready]:
    """AAPL at 99.98 to 100.02."""
    with venue_here() as ready:
        ready.tick(bid=[99.98, 1000], ask=[100.02, 1000], trade=[100, 10, "buy"])
        yield ready


def _statuses(venue: Ready) -> dict[str, str]:
    """Type -> status of all orders; those of one type by their last."""
    return {each["type"]: each["status"] for each in venue.account()["orders"]}


def _at(venue: Ready, price: float) -> None:
    """The market moves to `price`, and trades there."""
    venue.tick(bid=[price - 0.02, 1000], ask=[price + 0.02, 1000])
    venue.tick(trade=[price, 100, "sell"])
    venue.tick(bid=[price - 0.02, 1001], ask=[price + 0.02, 1001])


BRACKET: dict[str, Any] = {
    "order_class": "bracket",
    "take_profit": {"limit_price": 105},
    "stop_loss": {"stop_price": 95},
}


def test_a_stop_sleeps_until_the_market_trades_there(venue: Ready) -> None:
    """Untouched at 97, sold at the market at 94."""
    venue.order(qty=10)
    stop = venue.order(side="sell", qty=10, type="stop", stop_price=95).json()
    _at(venue, 97)
    assert venue.call("GET", f"/v2/orders/{stop['id']}").json()["status"] == "new"
    _at(venue, 94)
    assert venue.call("GET", f"/v2/orders/{stop['id']}").json()["status"] == "filled"
    assert venue.account()["positions"] == {}


def test_a_trailing_stop_follows_the_market_up_only(venue: Ready) -> None:
    """2 dollars behind: raised by 104, unmoved by 103, sold at 101.5."""
    venue.order(qty=10)
    trail = venue.order(side="sell", qty=10, type="trailing_stop", trail_price=2).json()
    for price in (104, 103):
        _at(venue, price)
    assert venue.call("GET", f"/v2/orders/{trail['id']}").json()["status"] == "new"
    _at(venue, 101.5)
    assert venue.call("GET", f"/v2/orders/{trail['id']}").json()["status"] == "filled"


@pytest.mark.parametrize(("price", "ended"), [(106, "stop"), (94, "limit")])
def test_one_exit_of_a_bracket_ends_the_other(venue: Ready, price: float, ended: str) -> None:
    """The entry fills, both exits wake; the one that fills leaves no other and no position."""
    with updates(venue) as heard:
        order = venue.order(qty=10, **BRACKET).json()
        assert [leg["status"] for leg in order["legs"]] == ["held", "held"]
        assert _statuses(venue) == {"market": "filled", "limit": "new", "stop": "new"}
        _at(venue, price)
        filled = {"stop": "limit", "limit": "stop"}[ended]
        until(lambda: any(each.event == "canceled" for each in heard))
        assert _statuses(venue) == {"market": "filled", filled: "filled", ended: "canceled"}
    assert venue.account()["positions"] == {} and venue.account()["open_orders"] == 0
    nested = venue.call("GET", "/v2/orders", status="all", nested="true").json()
    assert len(nested) == 1 and len(nested[0]["legs"]) == 2


def test_the_exits_of_an_entry_that_is_cancelled_never_live(venue: Ready) -> None:
    """A bracket whose entry rests is cancelled whole."""
    entry = venue.order(qty=10, type="limit", limit_price=98, **BRACKET).json()
    assert venue.call("DELETE", f"/v2/orders/{entry['id']}").status_code == 204
    assert {each["status"] for each in venue.account()["orders"]} == {"canceled"}


def test_an_oco_sells_once(venue: Ready) -> None:
    """Both exits of a position hold its shares once; one fills, the other is gone; so does cancelling either."""
    venue.order(qty=10)
    words = {"order_class": "oco", "side": "sell", "qty": 10, "type": "limit"}
    exits = {"take_profit": {"limit_price": 105}, "stop_loss": {"stop_price": 95}}
    first = venue.order(**words, **exits).json()
    assert venue.call("GET", "/v2/positions/AAPL").json()["qty_available"] == "0"
    assert venue.call("DELETE", f"/v2/orders/{first['id']}").status_code == 204
    assert venue.account()["open_orders"] == 0
    venue.order(**words, **exits)
    _at(venue, 106)
    assert venue.account()["positions"] == {} and venue.account()["open_orders"] == 0


def test_an_oto_waits_for_its_entry(venue: Ready) -> None:
    """The stop wakes when the resting entry fills."""
    venue.order(qty=10, type="limit", limit_price=98, order_class="oto", stop_loss={"stop_price": 90})
    assert _statuses(venue) == {"limit": "new", "stop": "held"}
    _at(venue, 97)
    assert _statuses(venue) == {"limit": "filled", "stop": "new"}


def test_fok_is_all_or_nothing_and_ioc_what_there_is(venue: Ready) -> None:
    """1,000 are shown: a FOK of 1,500 gets none, an IOC of 1,500 gets 1,000."""
    kill = venue.order(qty=1500, type="limit", limit_price=100.02, time_in_force="fok").json()
    take = venue.order(qty=1500, type="limit", limit_price=100.02, time_in_force="ioc").json()
    gone = venue.call("GET", f"/v2/orders/{kill['id']}").json()
    assert gone["status"] in ("canceled", "expired") and gone["filled_qty"] == "0"
    partly = venue.call("GET", f"/v2/orders/{take['id']}").json()
    assert partly["status"] in ("canceled", "expired") and partly["filled_qty"] == "1000"


def test_a_stop_is_replaced(venue: Ready) -> None:
    """The new stop holds, the old one does not."""
    venue.order(qty=10)
    old = venue.order(side="sell", qty=10, type="stop", stop_price=95).json()
    new = venue.call("PATCH", f"/v2/orders/{old['id']}", {"stop_price": 90}).json()
    _at(venue, 94)
    assert venue.call("GET", f"/v2/orders/{new['id']}").json()["status"] == "new"
    _at(venue, 89)
    assert venue.call("GET", f"/v2/orders/{new['id']}").json()["status"] == "filled"


def test_two_accounts_trade_with_each_other(venue: Ready) -> None:
    """One offers inside the spread, the other buys it: both hear of it, cash moves from one to the other."""
    venue.control(account={"key_id": "K2", "secret": "other", "cash": "100000"})
    assert venue.world is not None
    other = Ready(venue.url, "K2", "other", venue.token, venue.world)
    other.order(qty=5)
    assert other.order(side="sell", qty=5, type="limit", limit_price=100.01).status_code == 200
    venue.order(qty=5, type="limit", limit_price=100.01)
    assert venue.account()["orders"][0]["filled_avg_price"] == "100.01"
    assert other.account()["positions"] == {} and venue.account()["positions"]["AAPL"]["qty"] == "5"
