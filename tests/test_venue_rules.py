"""What the venue refuses, in Alpaca's words; and what it books, to the cent."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from gpi.formats.instruments import Instruments, crypto, equity, option
from gpi.tools.venue.accounts.account import Account, Fill
from gpi.tools.venue.accounts.orders import Order
from gpi.tools.venue.accounts.spreads import Holding, together
from gpi.tools.venue.money import exact, stamp, text
from tests.venues import MONDAY, Ready, venue_here

CALL, PUT = option("AAPL260116C00190000"), option("AAPL260116P00185000")
HIGHER = option("AAPL260116C00200000")
HOUR = 3600 * 10**9


@pytest.fixture(scope="module")
def market() -> Iterator[Ready]:
    """A venue that stays the same: only refusals are asked of it."""
    with venue_here([equity("AAPL"), crypto("BTC/USD"), CALL, PUT, equity("XYZ")]) as ready:
        ready.tick("AAPL", bid=[189.98, 300], ask=[190.02, 300])
        ready.tick("BTC/USD", bid=[64000, 2], ask=[64010, 2])
        ready.tick(CALL.symbol, bid=[3.1, 50], ask=[3.2, 50])
        ready.tick(PUT.symbol, bid=[2.1, 50], ask=[2.2, 50])
        ready.control(asset={"symbol": "XYZ", "shortable": False, "fractionable": False})
        ready.tick("XYZ", bid=[0.51, 300], ask=[0.52, 300])
        yield ready


LIMIT = {"type": "limit", "limit_price": 190}
BRACKET = {"order_class": "bracket", "take_profit": {"limit_price": 200}, "stop_loss": {"stop_price": 180}}
REFUSED: list[tuple[dict[str, Any], int, int, str]] = [
    ({"symbol": "NOPE"}, 422, 42210000, 'asset "NOPE" not found'),
    ({"qty": 0}, 422, 40010001, "qty must be > 0"),
    ({"qty": -5}, 422, 40010001, "qty must be > 0"),
    ({"qty": None}, 422, 40010001, "qty or notional is required"),
    ({"notional": 10}, 422, 40010001, "only one of qty or notional"),
    ({"qty": None, "notional": 0.5}, 422, 40010001, "notional must be >= 1.00"),
    ({"qty": "many"}, 422, 40010001, "invalid qty"),
    ({"side": "hold"}, 422, 40010001, "invalid side"),
    ({"type": None}, 422, 40010001, "type is required"),
    ({"time_in_force": "gfd"}, 422, 40010001, "invalid time_in_force"),
    ({"type": "limit"}, 422, 40010001, "limit orders require only limit price"),
    ({**LIMIT, "stop_price": 1}, 422, 40010001, "limit orders require only limit price"),
    ({"limit_price": 1}, 422, 40010001, "market orders require no stop or limit price"),
    ({"client_order_id": "x" * 129}, 422, 40010001, "128"),
    ({**LIMIT, "limit_price": 190.001}, 422, 42210000, "sub-penny increment"),
    ({"symbol": "XYZ", **LIMIT, "limit_price": 0.51234}, 422, 42210000, "sub-penny increment"),
    ({"qty": 0.1 + 0.2}, 422, 42210000, "9 decimal places"),
    ({"qty": 0.5, "time_in_force": "gtc", **LIMIT}, 422, 42210000, "fractional orders must be DAY"),
    ({"symbol": "XYZ", "qty": 0.5}, 422, 42210000, "is not fractionable"),
    ({"side": "sell", "qty": 0.5}, 422, 42210000, "fractional orders cannot be sold short"),
    ({"symbol": "XYZ", "side": "sell"}, 422, 42210000, "cannot be sold short"),
    ({"extended_hours": True}, 422, 42210000, "extended hours order must be DAY or GTC limit"),
    ({"time_in_force": "opg"}, 422, 42210000, "opg orders are rejected between 9:28am and 7:00pm ET"),
    ({"type": "stop", "stop_price": 180}, 422, 42210000, "stop price must be greater than current price"),
    ({"type": "stop", "side": "sell", "stop_price": 200}, 422, 42210000, "stop price must be less than"),
    ({"type": "trailing_stop"}, 422, 40010001, "trail_price or trail_percent"),
    ({**BRACKET, "take_profit": {"limit_price": 180}}, 422, 42210000, "take_profit.limit_price must be >= base_price"),
    ({**BRACKET, "stop_loss": {"stop_price": 195}}, 422, 42210000, "stop_loss.stop_price must be <= base_price"),
    ({"order_class": "bracket"}, 422, 40010001, "bracket orders require take_profit.limit_price"),
    ({"order_class": "oto"}, 422, 40010001, "oto orders require either"),
    ({**LIMIT, **BRACKET, "order_class": "oco", "side": "sell"}, 422, 42210000, "oco orders must be exit orders"),
    ({"qty": 100_000, **LIMIT}, 403, 40310000, "insufficient buying power"),
    ({"symbol": "BTC/USD", "time_in_force": "day"}, 422, 42210000, "invalid crypto time_in_force"),
    ({"symbol": "BTC/USD", "time_in_force": "gtc", "side": "sell"}, 403, 40310000, "insufficient balance for BTC/USD"),
    ({"symbol": CALL.symbol, "qty": 0.5}, 422, 42210000, "whole qty"),
    ({"symbol": CALL.symbol, "side": "sell"}, 403, 40310000, "not eligible to trade uncovered"),
    ({"symbol": None, "order_class": "mleg", "side": None, "legs": []}, 422, 40010001, "2 to 4 legs"),
]


@pytest.mark.parametrize(("words", "status", "code", "message"), REFUSED, ids=lambda case: str(case)[:60])
def test_an_order_is_refused_with_alpacas_code(
    market: Ready, words: dict[str, Any], status: int, code: int, message: str
) -> None:
    """Nothing of a refused order is left: no order, no hold."""
    answered = market.order(**{"qty": 1, **words})
    body = answered.json()
    assert (answered.status_code, body["code"]) == (status, code), body
    assert message in body["message"]
    assert market.account()["orders"] == []


def test_wrong_keys_wrong_paths_and_wrong_words(market: Ready) -> None:
    """401, 404 and 422 have Alpaca's bodies, and every answer its rate headers where there is a limit."""
    wrong = requests.get(f"{market.url}/v2/account", headers={**market.headers, "APCA-API-SECRET-KEY": "x"}, timeout=9)
    assert (wrong.status_code, wrong.json()["code"]) == (401, 40110000)
    assert market.call("GET", "/v2/nothing").json()["code"] == 40410000
    assert market.call("GET", "/v2/positions/AAPL").json() == {"code": 40410000, "message": "position does not exist"}
    assert market.call("DELETE", "/v2/orders/001c0b29").json()["message"] == "order not found for 001c0b29"
    absent = market.call("GET", "/v2/orders:by_client_order_id", client_order_id="never")
    assert (absent.status_code, absent.json()["code"]) == (404, 40410000)
    invalid = market.call("GET", "/v2/account/activities/INVALID")
    assert (invalid.status_code, invalid.json()["message"]) == (422, "invalid activity type: INVALID")
    unwelcome = requests.post(f"{market.url}/gpi/control", json={}, headers={"Authorization": "Bearer no"}, timeout=9)
    assert unwelcome.status_code == 401


def test_an_id_is_used_once(market: Ready) -> None:
    """The same client_order_id twice: 422, and one order."""
    with venue_here() as venue:
        venue.tick(bid=[9, 100], ask=[10, 100])
        assert venue.order(client_order_id="one", **LIMIT | {"limit_price": 5}).status_code == 200
        again = venue.order(client_order_id="one", **LIMIT | {"limit_price": 5})
        assert (again.status_code, again.json()["message"]) == (422, "client_order_id must be unique")
        assert len(venue.account()["orders"]) == 1


def test_an_order_that_meets_ones_own_is_a_wash(market: Ready) -> None:
    """403 names the order it would meet; apart from each other they may both rest."""
    with venue_here() as venue:
        venue.tick(bid=[99, 100], ask=[101, 100])
        first = venue.order(side="sell", type="limit", limit_price=105).json()
        crossing = venue.order(type="limit", limit_price=105)
        assert crossing.status_code == 403
        assert crossing.json()["existing_order_id"] == first["id"]
        assert "potential wash trade" in venue.order().json()["message"]
        assert venue.order(type="limit", limit_price=100).status_code == 200


def test_shares_on_offer_are_held_until_their_order_ends(market: Ready) -> None:
    """10 held, 6 on offer: 4 are free, the refusal says so, and cancelling frees them."""
    with venue_here() as venue:
        venue.tick(bid=[99, 100], ask=[101, 100])
        venue.order(qty=10)
        resting = venue.order(side="sell", qty=6, type="limit", limit_price=150).json()
        refused = venue.order(side="sell", qty=5).json()
        assert refused["message"] == "insufficient qty available for order (requested: 5, available: 4)"
        assert (refused["available"], refused["existing_qty"], refused["held_for_orders"]) == ("4", "10", "6")
        assert refused["related_orders"] == [resting["id"]]
        assert venue.call("GET", "/v2/positions/AAPL").json()["qty_available"] == "4"
        assert venue.call("DELETE", f"/v2/orders/{resting['id']}").status_code == 204
        again = venue.call("DELETE", f"/v2/orders/{resting['id']}")
        assert (again.status_code, again.json()["message"]) == (422, "order is not cancelable")
        assert venue.order(side="sell", qty=5).status_code == 200


def test_suspended_accounts_send_nothing(market: Ready) -> None:
    """suspend_trade is the kill switch: new orders are refused, cancels go through; null words change nothing."""
    with venue_here() as venue:
        venue.tick(bid=[99, 100], ask=[101, 100])
        resting = venue.order(type="limit", limit_price=50).json()
        assert venue.call("PATCH", "/v2/account/configurations", {"suspend_trade": True, "no_shorting": None}).json()[
            "suspend_trade"
        ]
        assert venue.order().status_code == 403
        assert venue.call("DELETE", f"/v2/orders/{resting['id']}").status_code == 204
        assert venue.call("GET", "/v2/account").json()["trade_suspended_by_user"] is True


def test_the_minute_has_so_many_requests(market: Ready) -> None:
    """Headers count down; past the limit 429 with its body; market data has a bucket of its own."""
    with venue_here(rate_limit=3) as venue:
        left = [venue.call("GET", "/v2/clock").headers["X-RateLimit-Remaining"] for _ in range(3)]
        assert left == ["2", "1", "0"]
        refused = venue.call("GET", "/v2/clock")
        assert (refused.status_code, refused.json()["code"]) == (429, 42910000)
        assert int(refused.headers["X-RateLimit-Reset"]) > 1_700_000_000
        assert venue.call("GET", "/v2/stocks/quotes/latest", symbols="AAPL").status_code != 429


def test_an_order_before_the_open_waits_for_it() -> None:
    """Sent at 8:30 it is accepted, and new at 9:30; a DAY order is gone after the close, a GTC order is not."""
    with venue_here(start=MONDAY - 2 * HOUR) as venue:
        early = venue.order(type="limit", limit_price=50).json()
        lasting = venue.order(type="limit", limit_price=50, time_in_force="gtc", symbol="MSFT").json()
        assert early["status"] == "accepted"
        venue.tick(bid=[99, 100], ask=[101, 100], ts=MONDAY)
        assert venue.call("GET", f"/v2/orders/{early['id']}").json()["status"] == "new"
        assert early["expires_at"] == "2026-01-05T21:00:00Z"
        venue.tick(bid=[99, 100], ask=[101, 100], ts=MONDAY + 6 * HOUR)
        assert venue.call("GET", f"/v2/orders/{early['id']}").json()["status"] == "expired"
        assert venue.call("GET", f"/v2/orders/{lasting['id']}").json()["status"] in ("new", "accepted")


def test_the_lists_of_orders_and_activities_are_paged_and_filtered() -> None:
    """status, limit, direction, symbols, after and until; activities by page_token, each exactly once."""
    with venue_here() as venue:
        venue.tick("AAPL", bid=[99, 1000], ask=[101, 1000])
        venue.tick("MSFT", bid=[99, 1000], ask=[101, 1000])
        for n in range(6):
            venue.order("AAPL" if n % 2 else "MSFT", client_order_id=f"c{n}")
            venue.tick("AAPL", bid=[99, 1000], ask=[101, 1000 + n])
        venue.order(type="limit", limit_price=5, client_order_id="open")

        def ids(**params: Any) -> list[str]:
            return [each["client_order_id"] for each in venue.call("GET", "/v2/orders", **params).json()]

        assert ids() == ["open"]
        assert ids(status="closed", direction="asc", symbols="AAPL") == ["c1", "c3", "c5"]
        assert ids(status="all", limit=2) == ["open", "c5"]
        third = venue.call("GET", "/v2/orders:by_client_order_id", client_order_id="c3").json()["submitted_at"]
        assert ids(status="all", direction="asc", after=third) == ["c4", "c5", "open"]
        assert ids(status="all", direction="asc", until=third) == ["c0", "c1", "c2"]
        seen, token = [], None
        while page := venue.call("GET", "/v2/account/activities/FILL", page_size=4, page_token=token).json():
            seen += [each["id"] for each in page]
            token = page[-1]["id"]
        assert len(seen) == len(set(seen)) == 6 and seen == sorted(seen, reverse=True)


moves = st.lists(
    st.tuples(st.sampled_from([1, -1]), st.integers(1, 500), st.integers(1, 10**6), st.integers(0, 99)), max_size=12
)


@settings(max_examples=60, deadline=None)
@given(moves, st.data())
def test_cash_and_positions_are_the_sum_of_the_fills_that_stand(
    moves: list[tuple[int, int, int, int]], data: Any
) -> None:
    """By decimals, exactly; also after any of them was busted."""
    (share,) = Instruments([equity("AAPL")])
    account = Account("K", "id", "PA1", Decimal(10_000), 0)
    order = Order("o", "K", "c", share, 1, "market", "day", Decimal(1), 0)
    for n, (side, qty, cents, fee) in enumerate(moves):
        amounts = Decimal(qty), Decimal(cents) / 100, Decimal(fee) / 100
        account.book(Fill(str(n), n, order, share, side, *amounts, Decimal(0), Decimal(0)))
    if moves and data.draw(st.booleans()):
        gone = data.draw(st.sampled_from(account.fills))
        gone.busted = True
        account.rebuild(gone)
    standing = [each for each in account.fills if not each.busted]
    assert account.held(share) == sum(f.side * f.qty for f in standing)
    assert account.cash == 10_000 - sum(f.side * f.qty * f.price + f.fee for f in standing)
    assert account.fees == sum(f.fee for f in standing)


@given(st.floats(-1e9, 1e9, allow_nan=False))
def test_numbers_on_the_wire_are_plain_digits(number: float) -> None:
    """No exponent, no float noise beyond nine places, and the same number back."""
    assert "E" not in text(exact(number)).upper()
    assert abs(Decimal(text(exact(number))) - Decimal(repr(number))) <= Decimal("5e-10")


@given(st.integers(0, 4 * 10**18))
def test_times_keep_their_nanoseconds(ts: int) -> None:
    """RFC 3339 to the nanosecond and back."""
    from gpi.tools.venue.money import instant

    assert instant(stamp(ts), "t") == ts


def test_nothing_is_opened_for_nothing() -> None:
    """Whatever has no price yet, or is sold short in a combination, is paid for before it is accepted."""
    with venue_here([equity("AAPL"), equity("MSFT"), CALL, HIGHER, PUT]) as venue:
        for words in ({"side": "sell"}, {"side": "buy"}, {"side": "sell", "type": "trailing_stop", "trail_percent": 1}):
            refused = venue.order("MSFT", qty=10**6, **words)
            assert (refused.status_code, refused.json()["message"]) == (422, 'no market price for "MSFT"')
        legs = [{"symbol": each.symbol, "ratio_qty": "1", "side": side} for each, side in ((CALL, "buy"), (PUT, "buy"))]
        combined = {"symbol": None, "side": None, "order_class": "mleg", "legs": legs}
        assert venue.order(qty=1, **combined).status_code == 422, "no leg has a price"
        venue.tick(bid=[99, 1000], ask=[101, 1000])
        for each, px in ((CALL, 3.0), (HIGHER, 1.0), (PUT, 2.0)):
            venue.tick(each.symbol, bid=[px, 9000], ask=[px + 0.1, 9000])
        assert venue.order(qty=10_000, **combined).json()["message"] == "insufficient buying power"
        sold = [{**leg, "side": "sell"} for leg in legs]
        assert venue.order(qty=1000, **{**combined, "legs": sold}).json()["message"] == "insufficient buying power"
        credit = [{"symbol": CALL.symbol, "ratio_qty": 1, "side": "sell"},
                  {"symbol": HIGHER.symbol, "ratio_qty": 1, "side": "buy"}]  # fmt: skip
        wide = {**combined, "legs": credit, "type": "limit", "limit_price": -1.5}
        assert venue.order(qty=300, **wide).status_code == 403, "it can lose 10 a share less the credit: 255,000"
        assert venue.order(qty=10, **wide).status_code == 200
        after = Decimal(venue.call("GET", "/v2/account").json()["non_marginable_buying_power"])
        assert 100_000 - 10 * 100 * 10 <= after <= 100_000 - 10 * 100 * 8


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 20), st.sampled_from("CP"), st.integers(-3, 3)), min_size=1, max_size=4),
    st.integers(0, 400),
)
def test_what_options_tie_up_together_covers_every_end(held: list[tuple[int, str, int]], spot: int) -> None:
    """With just so much free cash, no price of the underlying at their end takes more, if calls are covered."""
    holdings = [
        Holding(option(f"AAPL260116{right}{strike * 10_000:08d}"), Decimal(qty), Decimal(2), Decimal(10**9))
        for strike, right, qty in held
        if qty
    ]
    if sum(each.qty for each in holdings if each.option.right == "C") < 0 or all(each.qty > 0 for each in holdings):
        return
    tied = together(holdings)
    value = sum(each.qty * 200 for each in holdings)
    ends = sum(
        each.qty * 100 * max(0, (spot - Decimal(each.option.strike)) * (1 if each.option.right == "C" else -1))
        for each in holdings
    )
    assert tied - value + ends >= 0
