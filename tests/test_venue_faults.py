"""The venue's faults: each does what its name says, as often as it was told, and the truth stays whole."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from gpi.formats.errors import UsageError
from gpi.formats.instruments import equity, option
from gpi.tools.venue.faults import Faults
from gpi.tools.venue.switches import SWITCHES, parsed, scenario
from tests.venues import MONDAY, Ready, until, updates, venue_here

CALL = option("AAPL260116C00190000")
ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def venue() -> Iterator[Ready]:
    """A share and an option, quoted."""
    with venue_here([equity("AAPL"), CALL]) as ready:
        ready.tick(bid=[99, 1000], ask=[101, 1000])
        ready.tick(CALL.symbol, bid=[3.1, 50], ask=[3.2, 50])
        yield ready


def _torn(call: Any) -> bool:
    try:
        call()
    except (requests.exceptions.ConnectionError, requests.exceptions.ChunkedEncodingError):
        return True
    return False


def test_a_504_after_the_order_was_accepted_leaves_the_order(venue: Ready) -> None:
    """The caller sees an error; the id finds the order; the second request is unharmed."""
    venue.control(fault={"name": "status", "status": 504, "count": 1})
    assert venue.order(client_order_id="ghost").status_code == 504
    found = venue.call("GET", "/v2/orders:by_client_order_id", client_order_id="ghost")
    assert found.json()["status"] == "filled"
    assert venue.order(client_order_id="next").status_code == 200
    assert [each["client_order_id"] for each in venue.account()["orders"]] == ["ghost", "next"]


def test_without_an_id_alpacas_client_places_the_order_again_and_again(venue: Ready) -> None:
    """What makes the 504 dangerous: alpaca-py repeats POST /orders on its own."""
    from alpaca.trading.requests import MarketOrderRequest

    venue.control(fault={"name": "status", "status": 504, "count": 1})
    client = venue.trading()
    client._retry, client._retry_wait = 3, 0
    client.submit_order(MarketOrderRequest(symbol="AAPL", qty=1, side="buy", time_in_force="day"))
    assert len(venue.account()["orders"]) == 2


@pytest.mark.parametrize("name", ["reset", "cut"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_torn_connection_says_nothing_about_the_order(venue: Ready, name: str, when: str) -> None:
    """Torn before, there is no order; torn after or in the middle of the answer, there is one."""
    venue.control(fault={"name": name, "place": f"rest.orders.post.{when}", "count": 1})
    assert _torn(lambda: venue.order(client_order_id="torn"))
    assert len(venue.account()["orders"]) == (0 if when == "before" else 1)


def test_a_hanging_answer_outlives_its_clients_patience(venue: Ready) -> None:
    """The request times out at the client, the order stands, and the venue goes on."""
    venue.control(fault={"name": "hang", "count": 1})
    with pytest.raises(requests.exceptions.ReadTimeout):
        body = {"symbol": "AAPL", "side": "buy", "qty": 1, "type": "market", "time_in_force": "day"}
        requests.post(f"{venue.url}/v2/orders", json=body, headers=venue.headers, timeout=0.2)
    assert len(venue.account()["orders"]) == 1
    assert venue.call("GET", "/v2/account").status_code == 200


def test_pages_of_html_and_storms(venue: Ready) -> None:
    """An HTML body instead of JSON; 429 for everybody until the storm is cleared, with a Reset to wait for."""
    venue.control(fault={"name": "html", "place": "rest.account.get.after", "status": 502, "count": 1})
    page = venue.call("GET", "/v2/account")
    assert page.status_code == 502 and page.text.startswith("<html>")
    venue.control(fault={"name": "storm"})
    stormy = [venue.call("GET", "/v2/account"), venue.order(), venue.call("GET", "/v2/clock")]
    assert [each.status_code for each in stormy] == [429, 429, 429]
    assert all(each.headers["X-RateLimit-Remaining"] == "0" for each in stormy)
    assert venue.control(clear="storm")["clear"] == 1
    assert venue.order().status_code == 200


def test_an_unknown_word_in_the_reply_does_not_undo_the_order(venue: Ready) -> None:
    """alpaca-py raises on a status it does not know, although the order is live; extra fields harm nobody."""
    from alpaca.trading.requests import MarketOrderRequest
    from pydantic import ValidationError

    client = venue.trading()
    wish = MarketOrderRequest(symbol="AAPL", qty=1, side="buy", time_in_force="day")
    venue.control(fault={"name": "extra-fields", "count": 1})
    assert client.submit_order(wish).symbol == "AAPL"
    venue.control(fault={"name": "unknown-enum", "count": 1})
    with pytest.raises(ValidationError):
        client.submit_order(wish)
    assert len(venue.account()["orders"]) == 2


def test_a_cancel_that_loses_and_a_replacement_that_is_rejected(venue: Ready) -> None:
    """204 and then filled; 200 and then rejected, the old order still working."""
    venue.control(fault={"name": "cancel-loses", "count": 1}, clear="none")
    raced = venue.order(type="limit", limit_price=50).json()
    assert venue.call("DELETE", f"/v2/orders/{raced['id']}").status_code == 204
    assert venue.call("GET", f"/v2/orders/{raced['id']}").json()["status"] == "filled"
    venue.control(fault={"name": "late-reject", "count": 1})
    old = venue.order(type="limit", limit_price=51).json()
    new = venue.call("PATCH", f"/v2/orders/{old['id']}", {"limit_price": 52})
    assert new.status_code == 200
    assert venue.call("GET", f"/v2/orders/{new.json()['id']}").json()["status"] == "rejected"
    assert venue.call("GET", f"/v2/orders/{old['id']}").json()["status"] == "new"


def test_a_lost_fill_is_lost_only_on_the_stream(venue: Ready) -> None:
    """The socket is healthy and silent about one fill; REST and the truth have it."""
    with updates(venue) as heard:
        venue.control(fault={"name": "lose", "place": "stream.updates.send", "after": 2, "count": 1})
        venue.order(client_order_id="a")
        venue.order(client_order_id="b")
        until(lambda: any(each.order.client_order_id == "b" and each.event == "fill" for each in heard))
    told = [(each.order.client_order_id, each.event) for each in heard]
    assert ("a", "fill") not in told and ("a", "new") in told
    assert [each["client_order_id"] for each in venue.account()["fills"]] == ["a", "b"]


def test_messages_are_doubled_swapped_and_empty(venue: Ready) -> None:
    """duplicate, reorder, null-data: the client hears of it as it was done."""
    with updates(venue) as heard:
        venue.control(fault={"name": "duplicate", "place": "stream.updates.send", "count": 1})
        venue.control(fault={"name": "reorder", "place": "stream.updates.send", "after": 1, "count": 1})
        venue.control(fault={"name": "null-data", "count": 1})
        venue.order()
        until(lambda: len(heard) >= 4)
    assert [each.event for each in heard] == ["pending_new", "pending_new", "fill", "new"]


def test_a_dropped_stream_comes_back_without_the_fill(venue: Ready) -> None:
    """The real client reconnects; what was dropped is never told; REST knows."""
    with updates(venue) as heard:
        venue.control(fault={"name": "drop", "place": "stream.updates.send", "after": 2, "count": 1})
        venue.order(client_order_id="a")
        until(lambda: venue.state()["counters"]["stream.updates.connected"] == 2)
        until(lambda: venue.state()["listening"].get(venue.key_id))
        venue.order(client_order_id="b")
        until(lambda: any(each.order.client_order_id == "b" and each.event == "fill" for each in heard))
    assert not [each for each in heard if each.order.client_order_id == "a" and each.event == "fill"]
    assert len(venue.call("GET", "/v2/account/activities/FILL").json()) == 2


def test_a_mute_stream_stays_connected(venue: Ready) -> None:
    """Nothing arrives, nothing ends."""
    with updates(venue) as heard:
        venue.control(fault={"name": "mute", "place": "stream.updates.send", "count": 1})
        venue.order()
        venue.order()
        assert len(venue.account()["fills"]) == 2
        assert heard == [] and venue.state()["counters"]["stream.updates.connected"] == 1


def test_a_halt_stops_trading_until_it_is_over(venue: Ready) -> None:
    """Orders sent into a halt wait; after it they trade; a pause ends by the clock of the feed."""
    venue.control(halt="AAPL")
    order = venue.order().json()
    assert order["status"] == "accepted"
    venue.tick(bid=[99, 1000], ask=[101, 1000])
    assert venue.account()["fills"] == []
    venue.control(resume="AAPL")
    venue.tick(bid=[98, 1000], ask=[100, 1000])
    assert venue.call("GET", f"/v2/orders/{order['id']}").json()["status"] == "filled"
    venue.control(luld={"symbol": "AAPL", "seconds": 60})
    venue.order()
    venue.tick(bid=[98, 1000], ask=[100, 1000], ts=MONDAY + 30 * 10**9)
    assert len(venue.account()["fills"]) == 1
    venue.tick(bid=[98, 1000], ask=[100, 1000], ts=MONDAY + 90 * 10**9)
    venue.tick(bid=[98, 1000], ask=[100, 1000], ts=MONDAY + 91 * 10**9)
    assert len(venue.account()["fills"]) == 2


def test_busts_and_corrections_move_cash_and_position(venue: Ready) -> None:
    """A busted fill is as if it had never been; a corrected one as if at the other price; the stream says so."""
    before = Decimal(venue.account()["cash"])
    with updates(venue) as heard:
        venue.order(qty=10, client_order_id="a")
        venue.control(correct={"price": "100.50"})
        assert Decimal(venue.account()["cash"]) == before - 10 * Decimal("100.50")
        assert venue.account()["orders"][0]["filled_avg_price"] == "100.5"
        venue.control(bust={"client_order_id": "a"})
        until(lambda: len(heard) >= 5)
    assert [each.event for each in heard][-2:] == ["trade_correct", "trade_bust"]
    after = venue.account()
    assert Decimal(after["cash"]) == before and after["positions"] == {}
    assert venue.call("GET", "/v2/account/activities/FILL").json() == []


def test_strangers_orders_and_positions(venue: Ready) -> None:
    """A manual order and a transferred position appear without anybody having asked for them."""
    venue.control(external={"symbol": "AAPL", "side": "buy", "qty": 2})
    venue.control(external={"symbol": "AAPL", "qty": 5, "position": 1})
    account = venue.account()
    assert [each["from"] for each in account["orders"]] == ["external"]
    assert account["positions"]["AAPL"]["qty"] == "7"
    assert Decimal(account["cash"]) == 100_000 - 2 * 101


def test_a_short_call_is_assigned_at_the_strike(venue: Ready) -> None:
    """100 shares held, one call written: assigned, both are gone and the strike has been paid."""
    venue.order(qty=100)
    assert venue.order(CALL.symbol, "sell").status_code == 200
    held = Decimal(venue.account()["cash"])
    venue.control(assign={"symbol": CALL.symbol, "now": 1})
    after = venue.account()
    assert after["positions"] == {} and Decimal(after["cash"]) == held + 100 * 190
    assert [each["cash"] for each in after["adjustments"]] == ["19000"]


def test_an_option_that_ends_in_the_money_becomes_shares(venue: Ready) -> None:
    """Bought at 3.2, struck at 90, the share at 100 when it ends: 100 shares at 90. Out of the money: nothing."""
    near, far = option("AAPL260105C00090000"), option("AAPL260105C00150000")
    with venue_here([equity("AAPL"), near, far]) as day:
        day.tick(bid=[99, 1000], ask=[101, 1000])
        for each in (near, far):
            day.tick(each.symbol, bid=[3.1, 50], ask=[3.2, 50])
            assert day.order(each.symbol, qty=2).status_code == 200
        held = Decimal(day.account()["cash"])
        day.tick(bid=[99, 1000], ask=[101, 1000], ts=MONDAY + 6 * 3600 * 10**9)
        after = day.account()
        assert {name: each["qty"] for name, each in after["positions"].items()} == {"AAPL": "200"}
        assert Decimal(after["cash"]) == held - 200 * 90
        assert after["positions"]["AAPL"]["avg_entry_price"] == "90"


def test_the_told_clock_may_be_wrong(venue: Ready) -> None:
    """/v2/clock and the Date header are an hour off; orders are not."""
    honest = venue.call("GET", "/v2/clock")
    venue.control(skew={"seconds": 3600})
    skewed = venue.call("GET", "/v2/clock")
    assert skewed.json()["timestamp"] > honest.json()["timestamp"]
    assert skewed.headers["Date"] != honest.headers["Date"]
    assert venue.order().json()["submitted_at"].startswith("2026-01-05T15:30")


def test_right_keys_may_be_refused_on_the_stream(venue: Ready) -> None:
    """auth-failed on trade_updates: unauthorized, and then authorized again."""
    import asyncio

    import aiohttp

    async def ask() -> str:
        async with aiohttp.ClientSession() as session, session.ws_connect(f"{venue.ws}/stream") as socket:
            await socket.send_json({"action": "auth", "key": venue.key_id, "secret": venue.secret})
            answered = json.loads((await socket.receive()).data)
            return str(answered["data"]["status"])

    venue.control(fault={"name": "auth-failed", "place": "stream.updates.auth", "count": 1})
    assert [asyncio.run(ask()), asyncio.run(ask())] == ["unauthorized", "authorized"]


def test_many_clients_at_once_lose_nothing(venue: Ready) -> None:
    """Orders from several threads: each answered, each booked, cash to the cent."""

    def send(n: int) -> None:
        for k in range(20):
            assert venue.order(client_order_id=f"{n}-{k}").status_code == 200

    threads = [threading.Thread(target=send, args=(n,)) for n in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    account = venue.account()
    assert len({each["client_order_id"] for each in account["orders"]}) == 80
    assert Decimal(account["cash"]) == 100_000 - sum(
        Decimal(each["qty"]) * Decimal(each["price"]) + Decimal(each["fee"]) for each in account["fills"]
    )


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32), st.floats(0.01, 0.99), st.integers(1, 200), st.integers(0, 20))
def test_faults_strike_as_their_seed_says(seed: int, probability: float, asked: int, after: int) -> None:
    """The same seed gives the same strikes, whatever other faults are on; count and after are kept exactly."""

    def strikes(*others: str) -> list[bool]:
        faults = Faults(lambda: 0, seed)
        faults.set("reset", place="here", probability=probability, after=after)
        for name in others:
            faults.set(name, place="there", probability=0.5)
        found = []
        for _ in range(asked):
            found.append(faults.hit("here") is not None)
            faults.hit("there")
        return found

    assert strikes() == strikes("drop", "mute")
    assert not any(strikes()[:after])
    faults = Faults(lambda: 0, seed)
    faults.set("reset", place="here", count=3, after=after)
    hits = [faults.hit("here") is not None for _ in range(asked)]
    assert hits == [after <= n < after + 3 for n in range(asked)]


def test_what_the_rules_refuse_does_not_stop_the_feed(venue: Ready) -> None:
    """A stranger's order that cannot be, and one for a symbol that is not listed: counted, and the day goes on."""
    for words in ({"symbol": "AAPL", "qty": 10**9}, {"symbol": "NOPE"}):
        venue.control(fault={"name": "external", **words, "at": MONDAY + 1})
    venue.tick(bid=[99, 1000], ask=[101, 1000], ts=MONDAY + 10**9)
    venue.tick(bid=[99, 1000], ask=[101, 1000], ts=MONDAY + 2 * 10**9)
    state = venue.state()
    assert state["counters"]["refused.external"] == 2
    assert state["accounts"][venue.key_id]["orders"] == []


def test_switches_are_written_on_the_command_line_and_in_files(tmp_path: Path) -> None:
    """NAME:k=v and [[fault]] tables; unknown names and unreadable words are refused with the fix."""
    assert parsed("status:status=504,count=1") == ("status", {"status": "504", "count": "1"})
    path = tmp_path / "day.toml"
    path.write_text('[[fault]]\nname = "halt"\nsymbol = "SPY"\nat = 2026-01-05T14:31:00Z\nseconds = 30\n')
    ((name, words),) = scenario(path)
    fault = Faults(lambda: 0).set(name, **words)
    assert (fault.at, fault.count, fault.detail) == (1_767_623_460_000_000_000, 1, {"symbol": "SPY", "seconds": 30})
    for wrong in ({"probability": 2}, {"count": "often"}, {"at": "yesterday"}):
        with pytest.raises(UsageError):
            Faults(lambda: 0).set("halt", **wrong)
    with pytest.raises(UsageError, match="no fault 'explode'"):
        Faults(lambda: 0).set("explode")
    with pytest.raises(UsageError, match="key=value"):
        parsed("drop:often")


def test_every_switch_is_documented_with_an_example() -> None:
    """docs/venue.md names each one as it is written on the command line."""
    text = (ROOT / "docs" / "venue.md").read_text()
    assert [name for name in SWITCHES if f"`{name}" not in text and f"{name}:" not in text] == []


def test_a_wrong_option_ends_before_anything_listens() -> None:
    """Usage errors: exit 2, and the message names the fix."""
    for options, words in (
        (["--fault", "explode"], "no fault"),
        (["--slow", "never"], "choose"),
        (["--speed", "0"], "--speed"),
        (["--cash", "-1"], "no amount of cash"),
        (["--cash", "1e13"], "no amount of cash"),
        (["--account", ":5"], "KEY:CASH"),
        (["--account", "A:1", "--account", "A:2"], "each key once"),
    ):
        command = [sys.executable, "-m", "gpi.cli.main", "venue", *options]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd=ROOT, timeout=60)
        assert done.returncode == 2 and words in done.stderr, done.stderr
