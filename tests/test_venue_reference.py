"""Reference pages and indicators: what the vendors' own clients read there, and twins that count on their fingers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from gpi.formats.instruments import crypto, equity, index, option
from gpi.tools.kernels.data.conditions import LETTERS, NUMBERS
from gpi.tools.venue.alpaca import codes as alpaca_codes
from gpi.tools.venue.data.bars import MINUTE
from gpi.tools.venue.data.past import DAY, Past
from gpi.tools.venue.polygon import codes, indicators
from tests.conformance_table import PAGES
from tests.test_venue_history import day_start, table
from tests.venues import MONDAY, Ready, venue_here

CALL, PUT, OLD = option("AAPL260116C00190000"), option("AAPL260116P00185000"), option("AAPL251219C00190000")
SPX = option("SPX260116C06000000")
LISTED = (equity("AAPL"), equity("SPY", "ARCA"), crypto("BTC/USD"), index("SPX"), CALL, PUT, OLD, SPX)
CLOSES = st.lists(st.floats(1, 1000), min_size=0, max_size=80)


@pytest.fixture(scope="module")
def venue() -> Iterator[Ready]:
    """Shares, a coin, an index and options, with 90 days behind them."""
    past = Past({"AAPL": {DAY: table([day_start(n) for n in range(90, 0, -1)]),
                          MINUTE: table([MONDAY - k * MINUTE for k in range(60, -60, -1)], 300.0)}})  # fmt: skip
    past.begins(MONDAY)
    with venue_here(LISTED, past=past) as ready:
        yield ready


def rest(venue: Ready) -> Any:
    """massive's own client."""
    from massive import RESTClient

    return RESTClient(venue.secret, base=venue.url, retries=0)


def polygon(venue: Ready, path: str) -> tuple[int, dict[str, Any]]:
    """Status and body of one page of Polygon's."""
    told = requests.get(venue.url + path, headers={"Authorization": f"Bearer {venue.secret}"}, timeout=20)
    return told.status_code, told.json()


def alpaca(venue: Ready, path: str, **words: Any) -> Any:
    """One page of Alpaca's."""
    told = venue.call("GET", path, **words)
    assert told.status_code == 200, told.text
    return told.json()


# --- indicators ------------------------------------------------------------------------------------------------------


def naive_average(prices: list[float], window: int, weight: float, at: int) -> float:
    """The mean of the first window, then step by step."""
    if at < window - 1:
        return math.nan
    now = sum(prices[:window]) / window
    for price in prices[window : at + 1]:
        now = weight * price + (1 - weight) * now
    return now


@given(CLOSES, st.integers(1, 20))
@settings(max_examples=80, deadline=None)
def test_averages_are_what_a_twin_finds(prices: list[float], window: int) -> None:
    """SMA and EMA at every bar, NaN until a window is full."""
    simple, smooth = (made(np.array(prices, float), window) for made in (indicators.sma, indicators.ema))
    for k in range(len(prices)):
        mean = sum(prices[k - window + 1 : k + 1]) / window if k >= window - 1 else math.nan
        assert simple[k] == pytest.approx(mean, rel=1e-9, nan_ok=True)
        assert smooth[k] == pytest.approx(naive_average(prices, window, 2 / (window + 1), k), rel=1e-9, nan_ok=True)


@given(CLOSES, st.integers(1, 20))
@settings(max_examples=80, deadline=None)
def test_the_rsi_is_what_a_twin_finds(prices: list[float], window: int) -> None:
    """Wilder's means of gains and losses."""
    found = indicators.rsi(np.array(prices, float), window)
    gains = [max(b - a, 0.0) for a, b in zip(prices, prices[1:], strict=False)]
    losses = [max(a - b, 0.0) for a, b in zip(prices, prices[1:], strict=False)]
    for k in range(len(prices)):
        up, down = (naive_average(each, window, 1 / window, k - 1) for each in (gains, losses))
        if math.isnan(up):
            assert math.isnan(found[k])
        elif up + down > 1e-9:
            assert found[k] == pytest.approx(100 - 100 / (1 + up / down) if down else 100.0, abs=1e-6)


@given(st.lists(st.floats(1, 1000), min_size=40, max_size=90), st.integers(1, 89))
@settings(max_examples=60, deadline=None)
def test_no_value_changes_when_more_bars_come(prices: list[float], cut: int) -> None:
    """Every indicator of a prefix is the prefix of the indicator: nothing looks ahead."""
    cut = min(cut, len(prices))
    for kind in ("sma", "ema", "rsi", "macd"):
        words = {"window": "5", "short_window": "3", "long_window": "6", "signal_window": "4"}
        whole, _ = indicators.worked_out(kind, np.array(prices), words)
        part, _ = indicators.worked_out(kind, np.array(prices[:cut]), words)
        for name, values in part.items():
            np.testing.assert_allclose(values, whole[name][:cut], rtol=1e-12)
    line = indicators.ema(np.array(prices), 3) - indicators.ema(np.array(prices), 6)
    known = np.isfinite(whole["value"])
    np.testing.assert_allclose(whole["value"][known], line[known])
    np.testing.assert_allclose(whole["histogram"][known], (whole["value"] - whole["signal"])[known])


def test_massives_client_reads_indicators(venue: Ready) -> None:
    """Values newest first, the bars they are made of when asked for, pages that fit together, refusals in words."""
    client = rest(venue)
    days = client.get_sma("AAPL", timespan="day", window=10, limit=5, expand_underlying=True)
    assert len(days.values) == 5 and days.values[0].timestamp > days.values[1].timestamp
    assert len(days.underlying.aggregates) == 14
    closes = [bar.close for bar in days.underlying.aggregates]
    assert days.values[0].value == pytest.approx(sum(closes[:10]) / 10)
    underlying = polygon(venue, days.underlying.url.removeprefix(venue.url))[1]
    assert [bar["c"] for bar in underlying["results"]] == closes
    macd = client.get_macd("AAPL", short_window=3, long_window=6, signal_window=4, limit=1)
    assert macd.values[0].histogram == pytest.approx(macd.values[0].value - macd.values[0].signal)
    assert client.get_rsi("AAPL", window=5, limit=1).values[0].value is not None
    assert client.get_ema("AAPL", timestamp_lt="2025-12-01", limit=1).values[0].timestamp < 1764547200000
    path, found = "/v1/indicators/ema/AAPL?window=3&limit=40&order=asc", []
    while path:
        status, body = polygon(venue, path)
        assert status == 200
        found += [row["timestamp"] for row in body["results"]["values"]]
        path = body.get("next_url", "").removeprefix(venue.url)
    assert len(found) == 91 - 2 and found == sorted(set(found))
    assert polygon(venue, "/v1/indicators/sma/NOPE")[1]["results"]["values"] == []
    for wrong in ("window=0", "timespan=eon", "series_type=vwap", "limit=5001", "timestamp=never"):
        status, body = polygon(venue, f"/v1/indicators/sma/AAPL?{wrong}")
        assert status == 400 and body["status"] == "ERROR"


def test_an_indicator_knows_nothing_of_what_is_yet_to_come(venue: Ready) -> None:
    """The past has minutes after the feed's beginning: no value is of their time."""
    values = polygon(venue, "/v1/indicators/sma/AAPL?timespan=minute&window=2&limit=5000")[1]["results"]["values"]
    assert values and max(row["timestamp"] for row in values) * 10**6 < MONDAY


# --- Polygon's reference ---------------------------------------------------------------------------------------------


def test_massives_client_reads_tickers_and_contracts(venue: Ready) -> None:
    """Every ticker of the venue is listed once, by pages; contracts by their filters; what is not there is 404."""
    client = rest(venue)
    assert {each.ticker for each in client.list_tickers(limit=1)} == {"AAPL", "SPY", "X:BTCUSD", "I:SPX"}
    assert [each.ticker for each in client.list_tickers(market="crypto")] == ["X:BTCUSD"]
    assert [each.ticker for each in client.list_tickers(search="aap")] == ["AAPL"]
    assert client.get_ticker_details("SPY").primary_exchange == "ARCX"
    assert {each.code for each in client.get_ticker_types(asset_class="stocks")} >= {"CS", "ETF"}
    found = list(client.list_options_contracts("AAPL", limit=1))
    assert [each.ticker for each in found] == ["O:AAPL260116C00190000", "O:AAPL260116P00185000"]
    assert (found[0].cfi, found[1].cfi) == ("OCASPS", "OPASPS")
    assert client.get_options_contract("O:SPX260116C06000000").exercise_style == "european"
    gone = list(client.list_options_contracts("AAPL", expired=True))
    assert [each.ticker for each in gone] == ["O:AAPL251219C00190000"]
    assert len(list(client.list_options_contracts("AAPL", strike_price_gt=186))) == 1
    for path in ("tickers/NOPE", "options/contracts/O:NOPE", "options/contracts/AAPL"):
        status, body = polygon(venue, f"/v3/reference/{path}")
        assert status == 404 and body["status"] == "NOT_FOUND"
    for wrong in ("tickers?limit=0", "tickers?sort=nothing", "options/contracts?strike_price.gt=x",
                  "conditions?asset_class=x", "tickers?cursor=x"):  # fmt: skip
        status, body = polygon(venue, f"/v3/reference/{wrong}")
        assert status == 400 and body["status"] == "ERROR"


def test_conditions_and_exchanges_are_the_tapes_own(venue: Ready) -> None:
    """The codes the project's kernels leave out of prices are those that do not update the last price there."""
    client = rest(venue)
    found = {each.id: each for each in client.list_conditions(asset_class="stocks", data_type="trade", limit=20)}
    for number in NUMBERS & found.keys():
        assert not found[number].update_rules.consolidated.updates_open_close or number in (38,), found[number]
    letters = [set(each) for (kind, _), each in alpaca_codes.CONDITIONS.items() if kind == "trade"]
    assert set(LETTERS) <= set().union(*letters)
    assert [each.id for each in client.list_conditions(asset_class="crypto")] == [0, 1, 2]
    exchanges = [(each.id, each.mic) for each in client.get_exchanges(asset_class="stocks")]
    assert len(exchanges) == len(codes.EXCHANGES) and (1, "XASE") in exchanges
    assert client.get_exchanges(asset_class="crypto") == []
    for empty in (client.list_dividends("AAPL"), client.list_splits("AAPL"), client.list_ticker_news("AAPL")):
        assert list(empty) == []


# --- Alpaca's lesser pages -------------------------------------------------------------------------------------------


def test_the_clock_of_many_markets_tells_their_phases(venue: Ready) -> None:
    """At 10:30 of a session New York is in its core; coins never close; any other time can be asked for."""
    (nyse, coin) = alpaca(venue, "/v3/clock", markets="NYSE,CRYPTO")["clocks"]
    assert (nyse["phase"], nyse["is_market_day"], nyse["market"]["mic"]) == ("core", True, "XNYS")
    assert nyse["phase_until"] == nyse["next_market_close"] == "2026-01-05T16:00:00-05:00"
    assert coin["phase"] == "core" and coin["market"]["timezone"] == "UTC"
    for time, phase, until in (
        ("2026-01-05T10:00:00Z", "pre", "2026-01-05T09:30:00-05:00"),
        ("2026-01-05T22:00:00Z", "post", "2026-01-05T20:00:00-05:00"),
        ("2026-01-03T15:00:00Z", "closed", "2026-01-05T04:00:00-05:00"),
        ("2026-01-02T05:00:00-05:00", "pre", "2026-01-02T09:30:00-05:00"),
    ):
        (told,) = alpaca(venue, "/v3/clock", markets="XNYS", time=time)["clocks"]
        assert (told["phase"], told["phase_until"]) == (phase, until), time
    days = alpaca(venue, "/v3/calendar/NYSE", start="2025-12-24", end="2025-12-26")["calendar"]
    assert [day["date"] for day in days] == ["2025-12-24", "2025-12-26"]
    assert days[0]["core_end"] == "2025-12-24T13:00:00-05:00"
    assert len(alpaca(venue, "/v3/calendar/CRYPTO", start="2025-12-24", end="2025-12-26")["calendar"]) == 3
    for path, words in (("/v3/clock", {"markets": "MOON"}), ("/v3/clock", {"time": "soon"}), ("/v3/calendar/MOON", {}),
                        ("/v3/calendar/NYSE", {"start": "2020-01-01", "end": "2026-01-01"})):  # fmt: skip
        told = venue.call("GET", path, **words)
        assert told.status_code == 422 and set(told.json()) == {"code", "message"}


def test_what_the_feed_does_not_say_is_an_empty_list_and_what_cannot_be_is_refused(venue: Ready) -> None:
    """Auctions, currencies, news, wallets: their envelopes; transfers 403; logos a placeholder, or 404."""
    assert alpaca(venue, "/v2/stocks/auctions", symbols="AAPL") == {"auctions": {}, "next_page_token": None}
    assert alpaca(venue, "/v2/stocks/AAPL/auctions")["auctions"] == []
    assert alpaca(venue, "/v1beta1/forex/latest/rates", currency_pairs="USDJPY") == {"rates": {}}
    assert alpaca(venue, "/v1beta1/forex/rates", currency_pairs="USDJPY")["rates"] == {}
    assert alpaca(venue, "/v1beta1/news")["news"] == []
    assert alpaca(venue, "/v2/wallets") == alpaca(venue, "/v2/wallets/transfers") == []
    assert venue.call("POST", "/v2/wallets/transfers", {"amount": "1"}).status_code == 403
    assert venue.call("GET", "/v2/wallets/transfers/x").status_code == 404
    logo = venue.call("GET", "/v1beta1/logos/AAPL")
    assert logo.headers["Content-Type"] == "image/png" and logo.content.startswith(b"\x89PNG")
    assert venue.call("GET", "/v1beta1/logos/AAPL", placeholder="false").status_code == 404
    assert venue.call("GET", "/v1beta1/logos/NOPE").status_code == 404
    assert alpaca(venue, "/v2/stocks/meta/exchanges")["V"] == "IEX"
    assert alpaca(venue, "/v2/stocks/meta/conditions/trade", tape="C")["@"] == "Regular Sale"
    assert venue.call("GET", "/v2/stocks/meta/conditions/trade", tape="D").status_code == 422
    assert alpaca(venue, "/v1beta1/options/meta/conditions/trade") == {"I": "Automatic Execution"}


@pytest.mark.parametrize("path", PAGES)
def test_a_page_that_is_not_offered_says_so_in_the_words_of_its_vendor(venue: Ready, path: str) -> None:
    """With the status that the table of docs/conformance.md names: code and message, or Polygon's status."""
    wanted, _ = PAGES[path]
    if path.startswith(("/v1/", "/vX/", "/stocks/", "/v3/r")):
        status, body = polygon(venue, path)
        assert (status, body["status"]) == (wanted, "NOT_FOUND")
    else:
        told = venue.call("POST" if wanted == 403 else "GET", path, {} if wanted == 403 else None)
        assert told.status_code == wanted and set(told.json()) == {"code", "message"}


@pytest.mark.parametrize("kind, words", [
    ("sma", {"window": "5"}), ("ema", {"window": "5"}), ("rsi", {"window": "5"}),
    ("macd", {"short_window": "3", "long_window": "6", "signal_window": "4"}),
    ("macd", {"short_window": "6", "long_window": "3", "signal_window": "1"}),
])  # fmt: skip
def test_an_indicator_says_of_how_many_bars_its_first_value_is_made(kind: str, words: dict[str, str]) -> None:
    """As many as stand up to it."""
    values, bars = indicators.worked_out(kind, 100 + np.sin(np.arange(40.0)), words)
    assert all(int(np.flatnonzero(np.isfinite(each))[0]) + 1 == bars for each in values.values())


@pytest.mark.parametrize("path, name", [
    ("/v2/aggs/ticker/AAPL/range/1/day/2025-12-01/2026-01-05", "sort"), ("/v3/trades/AAPL", "order"),
    ("/v3/quotes/AAPL", "order"), ("/v1/indicators/sma/AAPL", "order"), ("/v3/reference/tickers", "order"),
    ("/v3/reference/options/contracts", "order"), ("/v3/snapshot", "order"), ("/v3/snapshot/options/AAPL", "order"),
])  # fmt: skip
def test_an_order_that_is_none_is_refused_on_every_route(venue: Ready, path: str, name: str) -> None:
    """Up or down, in Polygon's words; nothing is taken for the usual."""
    for word in ("asc", "desc"):
        assert polygon(venue, f"{path}?{name}={word}")[0] == 200
    code, body = polygon(venue, f"{path}?{name}=up")
    assert code == 400 and body["error"] == f"invalid {name}: must be asc or desc"
