"""Every question that the venue answers, with odd values: each is answered or refused in words, and nothing mishaps."""

import json
import re
from collections.abc import Iterator
from http.client import HTTPConnection
from itertools import product
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp import web
from multidict import MultiDict

from gpi.formats.instruments import crypto, equity, option
from gpi.tools.venue.venue import ROUTED
from tests.venues import Ready, venue_here

CALL = "AAPL260116C00190000"
ODD = (
    "", "x", "-1", "0", "1e999", "nan", "9" * 5000, "²", "1,1,,x", "\x00",
    "💥", "0001-01-01", "1677-01-01", "2262-05-01", "9999-12-31", "2026-02-30", "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59.999999999-14:00", "1899-12-31", "2099-12-31", "2098-12-31T23:59:59Z", "9" * 18, "-" + "9" * 18,
    "2026-01-05", "YWFhfDl8OQ==", "YWFhfC05OTk5OTk5OTk5OTk5OTk5OTk5OTk5fDk5OTk5OTk5OTk5OTk5OTk5OTk5OQ==",
)  # fmt: skip
PLACES = {
    "market": ("NYSE", "CRYPTO", "stocks"), "kind": ("sma", "macd"), "unit": ("minute", "year"), "amount": ("1",),
    "first": ("2026-01-05",), "last": ("2026-01-06",), "day": ("2026-01-05",), "underlying": ("AAPL",),
    "direction": ("gainers",), "locale": ("us",), "loc": ("us",), "feed": ("iex",),
}  # fmt: skip
"""What stands in a path; whatever else does is one of SYMBOLS."""
SYMBOLS = ("AAPL", CALL, "BTCUSD", "X:BTCUSD", f"O:{CALL}")
SOCKETS = re.compile(r"/gpi/.*|/stream|/v2/(iex|sip|test)|/v1beta1/(indicative|opra)|/v1beta3/crypto/us|"
                     r"/(stocks|options|crypto|indices)")  # fmt: skip


class Heard(MultiDict[str]):
    """A query that remembers what it was asked for."""

    asked: set[str] = set()

    def get(self, key: str, default: Any = None) -> Any:
        self.asked.add(key)
        return super().get(key, default)

    def getall(self, key: str, default: Any = None) -> Any:
        self.asked.add(key)
        return super().getall(key, default)

    def __contains__(self, key: object) -> bool:
        self.asked.add(str(key))
        return super().__contains__(key)


@pytest.fixture
def venue() -> Iterator[Ready]:
    """A share, an option and a coin, traded."""
    with venue_here([equity("AAPL"), option(CALL), crypto("BTC/USD")]) as ready:
        for symbol in ("AAPL", CALL, "BTC/USD"):
            ready.tick(symbol, bid=[9.9, 100], ask=[10.1, 100], trade=[10, 5])
        yield ready


def paths(world: Any, most: int) -> list[str]:
    """Every path of a GET, with at most so many of the words that may stand in each of its places."""
    found = []
    for routes in ROUTED:
        for each in routes(world):
            if isinstance(each, web.RouteDef) and each.method == "GET" and SOCKETS.fullmatch(each.path) is None:
                names = re.findall(r"{(\w+)[^}]*}", each.path)
                shape = re.sub(r"{(\w+)[^}]*}", r"{\1}", each.path)
                for words in product(*(PLACES.get(name, SYMBOLS)[:most] for name in names)):
                    given = {name: quote(word, safe="") for name, word in zip(names, words, strict=True)}
                    found.append(shape.format(**given))
    return sorted(set(found))


def test_no_question_breaks_the_venue(venue: Ready, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each word that a page reads of its query, with each odd value; the pages show which words those are."""
    line = HTTPConnection(venue.url.removeprefix("http://"), timeout=30)
    venue.closing.append(line.close)

    def call(asked: str) -> None:
        line.request("GET", asked, None, venue.headers)
        told = line.getresponse()
        words = told.read()
        assert told.status < 500, (asked, words)
        if told.status >= 400 and words:
            assert json.loads(words), asked

    def query(request: web.BaseRequest) -> Heard:
        return Heard(request.rel_url.query)

    monkeypatch.setattr(web.BaseRequest, "query", property(query))
    for path in paths(venue.world, len(SYMBOLS)):
        call(path)
    tried = 0
    for path in paths(venue.world, 1):
        known, done = {"start", "end"}, set()
        while fresh := known - done - {"apiKey"}:
            for name, value in product(sorted(fresh), ODD):
                Heard.asked = set()
                call(f"{path}?{name}={quote(value)}")
                known |= Heard.asked
                tried += 1
            done |= fresh
    assert tried > 4_000
    assert venue.state()["counters"].get("mishaps", 0) == 0


def test_no_day_or_number_in_a_path_breaks_the_venue(venue: Ready) -> None:
    """The same values where a day, a number or a word stands in a path."""
    line = HTTPConnection(venue.url.removeprefix("http://"), timeout=30)
    venue.closing.append(line.close)
    for value in ODD:
        for shape in (
            "/v1/open-close/AAPL/{}", "/v1/open-close/crypto/BTC/USD/{}", "/v2/aggs/grouped/locale/us/market/stocks/{}",
            "/v2/aggs/grouped/locale/global/market/crypto/{}",
            "/v2/aggs/ticker/AAPL/range/{}/day/2026-01-05/2026-01-06", "/v2/aggs/ticker/AAPL/range/1/day/{}/2026-01-06",
            "/v2/aggs/ticker/AAPL/range/1/year/2026-01-05/{}",
            "/v3/calendar/{}",
        ):  # fmt: skip
            line.request("GET", shape.format(quote(value, safe="")), None, venue.headers)
            told = line.getresponse()
            assert (told.status, told.read())[0] < 500, (shape, value)
    assert venue.state()["counters"].get("mishaps", 0) == 0
