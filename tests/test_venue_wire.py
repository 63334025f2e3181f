"""What every answer has, and what words of a query mean: ids, slashes, bare days, keys, contracts."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import requests
from websockets.sync.client import connect

from gpi.formats.instruments import crypto, equity, option
from tests.venues import MONDAY, Ready, venue_here

CALL = "AAPL260116C00190000"
DAY, HOUR = 86_400 * 10**9, 3600 * 10**9


@pytest.fixture(scope="module")
def venue() -> Iterator[Ready]:
    """Friday and Monday, each with trades at 10:30 and, in New York late on the day before UTC's, at 19:30."""
    with venue_here([equity("AAPL"), option(CALL), equity("MSFT"), crypto("BTC/USD")], MONDAY - 3 * DAY) as ready:
        for day in (-3, 0):
            for hours, px in ((0, 190), (9, 191)):
                for symbol in ("AAPL", CALL, "BTC/USD", "MSFT"):
                    at = MONDAY + day * DAY + hours * HOUR
                    ready.tick(symbol, bid=[px, 50], ask=[px + 1, 50], trade=[px, 7, "buy"], ts=at)
                ready.tick("MSFT", bid=[px, 50], ask=[px + 1, 50], ts=at + 61 * 10**9)  # the minute is over for all
        yield ready


def times(found: Any) -> list[int]:
    """The hours (UTC, from Monday's midnight) of rows."""
    began = datetime(2026, 1, 5, tzinfo=UTC).timestamp()
    return [int((datetime.fromisoformat(row["t"][:19] + "+00:00").timestamp() - began) // 3600) for row in found]


@pytest.mark.parametrize("what", ["bars", "trades", "quotes"])
def test_a_bare_day_at_the_end_is_in(venue: Ready, what: str) -> None:
    """For shares it is New York's, evening and all; for coins UTC's; a time is that instant, at either end."""
    words = {"symbols": "AAPL", "start": "2026-01-05", "end": "2026-01-05", "limit": 100}
    assert times(venue.call("GET", f"/v2/stocks/{what}", **words).json()[what]["AAPL"]) == [15, 24]
    words["end"] = "2026-01-05T15:30:00Z"
    assert times(venue.call("GET", f"/v2/stocks/{what}", **words).json()[what]["AAPL"]) == [15]
    coins = {"symbols": "BTC/USD", "start": "2026-01-05", "end": "2026-01-05"}
    assert times(venue.call("GET", f"/v1beta3/crypto/us/{what}", **coins).json()[what]["BTC/USD"]) == [15]
    if what != "quotes":
        words = {"symbols": CALL, "start": "2026-01-05", "end": "2026-01-05"}
        assert times(venue.call("GET", f"/v1beta1/options/{what}", **words).json()[what][CALL]) == [15, 24]


def test_bars_of_days_from_day_to_day(venue: Ready) -> None:
    """Both ends are in, at Alpaca and at Polygon; a coin's day is UTC's."""
    words = {"timeframe": "1Day", "start": "2026-01-02", "end": "2026-01-05"}
    assert len(venue.call("GET", "/v2/stocks/AAPL/bars", **words).json()["bars"]) == 2
    assert len(venue.call("GET", "/v2/aggs/ticker/AAPL/range/1/day/2026-01-02/2026-01-05").json()["results"]) == 2
    assert len(venue.call("GET", "/v2/aggs/ticker/X:BTCUSD/range/1/day/2026-01-05/2026-01-05").json()["results"]) == 1


def test_bare_days_at_polygon_bound_whole_days(venue: Ready) -> None:
    """timestamp, and its lte, lt, gte, gt."""

    def count(**words: str) -> int:
        asked = {f"timestamp{'.' if word else ''}{word}": day for word, day in words.items()}
        return len(venue.call("GET", "/v3/trades/AAPL", **asked).json()["results"])

    assert [count(**{"": "2026-01-05"}), count(lte="2026-01-05"), count(lt="2026-01-05")] == [2, 4, 2]
    assert [count(gte="2026-01-05"), count(gt="2026-01-02"), count(gt="2026-01-05")] == [2, 2, 0]


def test_coins_need_no_key_and_nothing_else_does_without(venue: Ready) -> None:
    """Alpaca's crypto market data is for anybody; wrong keys are wrong there, too."""
    for path in ("bars", "latest/quotes", "latest/orderbooks", "snapshots", "trades", "latest/trades"):
        found = requests.get(f"{venue.url}/v1beta3/crypto/us/{path}?symbols=BTC/USD", timeout=30)
        assert found.status_code == 200, path
        wrong = requests.get(found.url, headers={"APCA-API-KEY-ID": "no", "APCA-API-SECRET-KEY": "no"}, timeout=30)
        assert wrong.status_code == 401
    for path in ("/v2/stocks/bars?symbols=AAPL", "/v2/account", "/v3/trades/X:BTCUSD", "/v1beta3/crypto"):
        assert requests.get(venue.url + path, timeout=30).status_code == 401


def test_every_answer_has_an_id_of_its_own(venue: Ready) -> None:
    """Orders, refusals, 401, 404, 405, 429, Polygon's, control's."""
    asked = [
        venue.call("GET", "/v2/account"), venue.call("DELETE", "/v2/orders/x"), venue.call("GET", "/nothing"),
        venue.call("PUT", "/v2/orders"), venue.order(qty=-1), venue.call("GET", "/v3/trades/AAPL"),
        venue.call("GET", "/v3/nothing"), requests.get(f"{venue.url}/v2/account", timeout=30),
        requests.get(f"{venue.url}/gpi/state", timeout=30),
    ]  # fmt: skip
    with venue_here(rate_limit=1) as slow:
        asked += [slow.call("GET", "/v2/clock") for _ in range(2)]
    assert asked[-1].status_code == 429
    ids = [each.headers["X-Request-ID"] for each in asked]
    assert len(set(ids)) == len(ids) and all(len(each) == 32 for each in ids)


def test_a_slash_behind_an_address_changes_nothing(venue: Ready) -> None:
    """REST and sockets."""
    for path in ("/v2/account", "/v2/orders", "/v2/assets/BTC/USD", "/v2/stocks/AAPL/trades/latest", "/v2/watchlists"):
        assert venue.call("GET", f"{path}/").json() == venue.call("GET", path).json()
        assert requests.get(f"{venue.url}{path}/", timeout=30).status_code == 401
    for path, says in (("/stream/", None), ("/v2/iex/", "connected"), ("/stocks/", "connected")):
        with connect(venue.ws + path) as socket:
            assert socket.response is not None and socket.response.headers["X-Request-ID"]
            if says is None:
                says = '"authorized"'
                socket.send(json.dumps({"action": "auth", "key": venue.key_id, "secret": venue.secret}))
            said = socket.recv(timeout=30)
            assert says in (said.decode() if isinstance(said, bytes) else said)


def test_shares_with_options_say_so(venue: Ready) -> None:
    """`attributes`, and the filter."""
    assert venue.call("GET", "/v2/assets/AAPL").json()["attributes"] == ["options_enabled"]
    assert venue.call("GET", "/v2/assets/MSFT").json()["attributes"] == []
    found = venue.call("GET", "/v2/assets", attributes="options_enabled").json()
    assert [each["symbol"] for each in found] == ["AAPL"]


def test_contracts_have_their_figures(venue: Ready) -> None:
    """Open interest is what has been traded; the close is that of the day before, with its day."""
    found = venue.call("GET", f"/v2/options/contracts/{CALL}").json()
    assert (found["open_interest"], found["open_interest_date"]) == ("28", "2026-01-05")
    path = f"/v3/snapshot/options/AAPL/O:{CALL}"
    told = requests.get(venue.url + path, headers={"Authorization": f"Bearer {venue.secret}"}, timeout=20).json()
    assert told["results"]["open_interest"] == 28  # and Polygon's pages say the same
    assert (found["close_price"], found["close_price_date"]) == ("191", "2026-01-02")
