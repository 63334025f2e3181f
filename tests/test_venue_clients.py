"""The venue is what the vendors' own clients expect: alpaca-py, unmodified, round trip by round trip."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from gpi.formats.instruments import crypto, equity, option
from tests.venues import Ready, running_venue, until, updates, venue_here

CALL, PUT = option("AAPL260116C00190000"), option("AAPL260116P00185000")


@pytest.fixture
def venue() -> Iterator[Ready]:
    """Shares, a coin and two options, all quoted."""
    with venue_here([equity("AAPL"), equity("MSFT"), crypto("BTC/USD"), CALL, PUT]) as ready:
        ready.tick("AAPL", bid=[189.98, 300], ask=[190.02, 300])
        ready.tick("MSFT", bid=[399.9, 100], ask=[400.1, 100])
        ready.tick("BTC/USD", bid=[64000, 2], ask=[64010, 2])
        ready.tick(CALL.symbol, bid=[3.1, 50], ask=[3.2, 50])
        ready.tick(PUT.symbol, bid=[2.1, 50], ask=[2.2, 50])
        yield ready


def _events(heard: list[Any]) -> list[str]:
    return [getattr(each.event, "value", each.event) for each in heard]


def test_a_market_order_fills_and_is_told_in_the_order_it_happened(venue: Ready) -> None:
    """Place, hear new and fill, find the order, the position, the cash and the activity."""
    from alpaca.trading.enums import OrderSide, OrderStatus, TimeInForce
    from alpaca.trading.requests import MarketOrderRequest

    client = venue.trading()
    with updates(venue) as heard:
        wish = MarketOrderRequest(symbol="AAPL", qty=10, side=OrderSide.BUY, time_in_force=TimeInForce.DAY)
        order = client.submit_order(wish)
        until(lambda: "fill" in _events(heard))
    assert order.status in (OrderStatus.PENDING_NEW, OrderStatus.ACCEPTED)
    assert _events(heard)[:2] == ["pending_new", "new"]
    filled = client.get_order_by_id(order.id)
    assert filled.status == OrderStatus.FILLED and Decimal(filled.filled_avg_price) == Decimal("190.02")
    (position,) = client.get_all_positions()
    assert (position.symbol, position.qty, position.avg_entry_price) == ("AAPL", "10", "190.02")
    told = [each for each in heard if each.event in ("fill", "partial_fill")]
    assert sum(each.qty for each in told) == 10 and told[-1].position_qty == 10
    assert all(isinstance(each.execution_id, UUID) for each in told)
    activities = client.get("/account/activities/FILL")
    assert sum(Decimal(each["qty"]) for each in activities) == 10
    assert Decimal(client.get_account().cash) == Decimal(100_000) - Decimal("1900.20")


def test_a_limit_order_rests_is_replaced_and_cancelled(venue: Ready) -> None:
    """PATCH makes a new order with a new id; DELETE ends it; each is told."""
    from alpaca.trading.requests import GetOrdersRequest, LimitOrderRequest, ReplaceOrderRequest

    client = venue.trading()
    with updates(venue) as heard:
        wish = LimitOrderRequest(symbol="AAPL", qty=5, side="buy", time_in_force="gtc", limit_price=150)
        first = client.submit_order(wish.model_copy(update={"client_order_id": "a"}))
        second = client.replace_order_by_id(first.id, ReplaceOrderRequest(qty=4, limit_price=151))
        assert second.id != first.id and second.replaces == first.id
        assert client.get_order_by_client_id("a").replaced_by == second.id
        (resting,) = client.get_orders()
        assert (resting.id, resting.qty, resting.limit_price) == (second.id, "4", "151")
        client.cancel_order_by_id(second.id)
        until(lambda: "canceled" in _events(heard))
    assert _events(heard) == ["pending_new", "new", "replaced", "new", "pending_cancel", "canceled"]
    assert client.get_orders() == []
    assert len(client.get_orders(GetOrdersRequest(status="all"))) == 2


def test_a_partial_fill_says_what_is_left(venue: Ready) -> None:
    """A resting order that meets a small trade is partially filled; cumulative and last quantity differ."""
    from alpaca.trading.enums import OrderStatus
    from alpaca.trading.requests import LimitOrderRequest

    client = venue.trading()
    with updates(venue) as heard:
        order = client.submit_order(
            LimitOrderRequest(symbol="AAPL", qty=100, side="buy", time_in_force="day", limit_price=189.99)
        )
        venue.tick(trade=[189.98, 30, "sell"])
        until(lambda: "partial_fill" in _events(heard))
        seen = client.get_order_by_id(order.id)
        assert seen.status == OrderStatus.PARTIALLY_FILLED and 0 < Decimal(seen.filled_qty) < 100
        venue.tick(trade=[189.90, 500, "sell"])
        venue.tick(bid=[189.0, 100], ask=[189.5, 500])
        venue.tick(bid=[189.0, 100], ask=[189.4, 500])
        until(lambda: "fill" in _events(heard))
    told = [each for each in heard if each.event in ("fill", "partial_fill")]
    assert sum(each.qty for each in told) == 100
    assert Decimal(told[-1].order.filled_qty) == 100


def test_everything_is_closed_at_once(venue: Ready) -> None:
    """close_all_positions(cancel_orders=True) leaves no order and no position."""
    from alpaca.trading.requests import LimitOrderRequest, MarketOrderRequest

    client = venue.trading()
    client.submit_order(MarketOrderRequest(symbol="AAPL", qty=3, side="buy", time_in_force="day"))
    client.submit_order(MarketOrderRequest(symbol="MSFT", qty=2, side="sell", time_in_force="day"))
    client.submit_order(LimitOrderRequest(symbol="AAPL", qty=3, side="sell", time_in_force="day", limit_price=250))
    assert {each.symbol: each.side.value for each in client.get_all_positions()} == {"AAPL": "long", "MSFT": "short"}
    closed = client.close_all_positions(cancel_orders=True)
    assert {each.symbol: each.status for each in closed} == {"AAPL": 200, "MSFT": 200}
    assert client.get_all_positions() == [] and client.get_orders() == []
    assert [each.status for each in client.cancel_orders()] == []


def test_a_coin_has_a_slash_in_orders_and_none_in_positions(venue: Ready) -> None:
    """BTC/USD is ordered, BTCUSD is held, under another asset id."""
    from alpaca.trading.requests import MarketOrderRequest

    client = venue.trading()
    order = client.submit_order(MarketOrderRequest(symbol="BTC/USD", qty=0.25, side="buy", time_in_force="gtc"))
    position = client.get_open_position("BTCUSD")
    assert order.symbol == "BTC/USD" and position.symbol == "BTCUSD" and position.qty == "0.25"
    assert position.asset_id != order.asset_id
    assert client.get_asset("BTC/USD").id == order.asset_id


def test_a_spread_is_bought_at_once_or_not_at_all(venue: Ready) -> None:
    """A multi-leg order: no symbol on top, legs with ids of their own, a limit on the net price."""
    from alpaca.trading.enums import OrderClass, OrderStatus
    from alpaca.trading.requests import LimitOrderRequest, OptionLegRequest

    client = venue.trading()
    legs = [
        OptionLegRequest(symbol="AAPL260116C00190000", ratio_qty=1, side="buy"),
        OptionLegRequest(symbol="AAPL260116P00185000", ratio_qty=1, side="buy"),
    ]

    def ask(limit: float) -> Any:
        return client.submit_order(
            LimitOrderRequest(qty=2, limit_price=limit, order_class=OrderClass.MLEG, time_in_force="day", legs=legs)
        )

    low, high = ask(5.0), ask(5.4)
    assert low.symbol is None and len(low.legs) == 2 and low.legs[0].id != low.id
    assert client.get_order_by_id(low.id).status == OrderStatus.NEW
    done = client.get_order_by_id(high.id)
    assert done.status == OrderStatus.FILLED and Decimal(done.filled_avg_price) == Decimal(
        "5.34"
    )  # 66 % of the spreads
    assert {each.symbol: each.qty for each in client.get_all_positions()} == {
        "AAPL260116C00190000": "2",
        "AAPL260116P00185000": "2",
    }


def test_what_is_looked_up(venue: Ready) -> None:
    """Clock, calendar, assets and option contracts parse as alpaca-py's models."""
    from alpaca.trading.enums import AssetClass
    from alpaca.trading.requests import GetAssetsRequest, GetCalendarRequest, GetOptionContractsRequest

    client = venue.trading()
    clock = client.get_clock()
    assert clock.is_open and clock.next_close.hour == 16 and clock.timestamp.date() == date(2026, 1, 5)
    days = client.get_calendar(GetCalendarRequest(start=date(2026, 11, 23), end=date(2026, 11, 30)))
    assert [each.date.day for each in days] == [23, 24, 25, 27, 30]
    assert days[3].close.hour == 13, "the day after Thanksgiving ends early"
    coins = client.get_all_assets(GetAssetsRequest(asset_class=AssetClass.CRYPTO))
    assert [each.symbol for each in coins] == ["BTC/USD"]
    assert client.get_asset("AAPL").fractionable
    found = client.get_option_contracts(GetOptionContractsRequest(underlying_symbols=["AAPL"], type="call"))
    (contract,) = found.option_contracts
    assert (contract.symbol, contract.strike_price) == ("AAPL260116C00190000", 190.0)
    assert client.get_account_configurations().suspend_trade is False
    assert client.get_portfolio_history().timeframe == "1D"


def test_the_real_command_serves_a_file_and_ends_politely(tmp_path: Any) -> None:
    """`gpi simulate | gpi venue`: one ready line, a secret only in the file, orders fill, SIGTERM ends it with 0."""
    from alpaca.trading.requests import MarketOrderRequest

    from tests.shell import gpi

    day = gpi("simulate", "--symbols", "SPY", "--events", 4000, "--seed", 3, "--to", "arrow", check=0).stdout
    with running_venue("--cash", "50000", feed=day) as venue:
        client = venue.trading()
        assert Decimal(client.get_account().cash) == 50_000
        until(lambda: venue.state()["rows"] == 4000)
        client.submit_order(MarketOrderRequest(symbol="SPY", qty=1, side="buy", time_in_force="day"))
        assert venue.account()["orders"][0]["status"] in ("filled", "partially_filled", "new")
