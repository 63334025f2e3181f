"""What was missed on a socket, asked for over REST, in the words the socket would have used.

The answers become messages of the socket, so they take the same road as everything else: journal, decoder, stream.
Alpaca has no quotes of options in its history, Polygon none of coins: those symbols stay lost, and are said to be.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, Protocol

import msgpack
import numpy as np

from gpi.formats.errors import VenueError
from gpi.formats.imports.later import pandas_later
from gpi.formats.secrets import Secret, masked
from gpi.formats.words import TRADE
from gpi.tools.feeds.live.polygon import package
from gpi.tools.replies import Bounded, Bounds, pools

with pandas_later():
    from alpaca.data.historical import StockHistoricalDataClient

TIMEOUT_S: Final = (3.0, 10.0)  # to connect, to read: alpaca-py itself has none, a hung request would never return
PAGE: Final = Bounds(64 << 20, 60.0, time.monotonic)  # 50,000 quotes of Polygon are 15 MB
DEADLINE_PAGES: Final = 500  # of one symbol group; more is a day, which belongs into a lake
GROUP: Final = 50  # symbols asked for at once
BATCH: Final = 500  # items of a message
MILLION: Final = 1_000_000


class Refilled(NamedTuple):
    """Messages as the socket would have sent them, the symbols that could not be asked for, and why."""

    messages: list[bytes]
    lost: list[str]
    why: str


class Refiller(Protocol):
    """REST of one vendor. Blocks: call it in a thread."""

    def since(self, start_ns: int) -> Refilled:
        """Everything subscribed that happened from `start_ns` on."""

    def between(self, symbol: str, kind: int, first: int, last: int, start_ns: int) -> Refilled:
        """One symbol's messages (TRADE or QUOTE) with the sequence numbers first..last, not before `start_ns`."""


class AlpacaRest:
    """Historical trades and quotes from Alpaca's market data; `wanted` is channel -> symbols."""

    def __init__(
        self, asset: str, feed: str, url: str | None, keys: tuple[Secret, Secret], wanted: Mapping[str, Sequence[str]]
    ) -> None:
        key, secret = (each.reveal() for each in keys)
        self._client = StockHistoricalDataClient(key, secret, raw_data=True, url_override=url)
        self._client._retry = 0  # its retries sleep for 3 s each; the gap waits
        for scheme in ("http://", "https://"):
            self._client._session.mount(scheme, Bounded(TIMEOUT_S, PAGE))
        self._version, self._path, self._feed = {
            "stocks": ("v2", "/stocks", feed or "iex"),
            "options": ("v1beta1", "/options", ""),
            "crypto": ("v1beta3", "/crypto/us", ""),
        }[asset]
        self._wanted = wanted
        self._lacking = {"orderbooks"} | ({"quotes"} if asset == "options" else set())

    def since(self, start_ns: int) -> Refilled:
        """Trades and quotes of every subscribed symbol."""
        return _gathered(self._parts(start_ns))

    def between(self, symbol: str, kind: int, first: int, last: int, start_ns: int) -> Refilled:
        """Alpaca numbers nothing."""
        return Refilled([], [symbol], "Alpaca has no sequence")

    def _parts(self, start_ns: int) -> Iterator[tuple[Sequence[str], Callable[[], list[bytes]]]]:
        for channel, symbols in self._wanted.items():
            if channel == "statuses":
                continue  # REST has none; the state of trading is told again with the next status
            for at in range(0, len(symbols), GROUP):
                group = symbols[at : at + GROUP]

                def ask(channel: str = channel, group: Sequence[str] = group) -> list[bytes]:
                    if channel in self._lacking or "*" in group:
                        raise VenueError(f"no history of {channel}")
                    return _packed(self._items(channel, group, start_ns))

                yield group, ask

    def _items(self, channel: str, symbols: Sequence[str], start_ns: int) -> Iterator[dict[str, Any]]:
        query = {"symbols": ",".join(symbols), "start": rfc3339(start_ns), "limit": 10_000, "sort": "asc"}
        query |= {"feed": self._feed} if self._feed else {}
        for _ in range(DEADLINE_PAGES):
            page: Any = self._client.get(f"{self._path}/{channel}", query, api_version=self._version)
            for symbol, items in (page.get(channel) or {}).items():
                for item in items:
                    yield {"T": channel[0], "S": symbol, **item, "t": _stamp(item["t"])}
            token = page.get("next_page_token")
            if not token:
                return
            query["page_token"] = token
        raise VenueError("the gap is too long to be refilled")


class PolygonRest:
    """Trades and quotes from Polygon's v3; `wanted` is channel (T, Q, XT) -> the socket's tickers."""

    def __init__(self, url: str | None, key: Secret, wanted: Mapping[str, Sequence[str]]) -> None:
        base = {"base": url} if url else {}
        rest = package().RESTClient
        self._client = rest(key.reveal(), connect_timeout=TIMEOUT_S[0], read_timeout=TIMEOUT_S[1], retries=1, **base)
        self._client.client.pool_classes_by_scheme = pools(PAGE)
        self._wanted = wanted

    def since(self, start_ns: int) -> Refilled:
        """Trades and quotes of every subscribed ticker."""
        parts = [
            ((symbol,), lambda channel=channel, symbol=symbol: self._asked(channel, symbol, start_ns))
            for channel, symbols in self._wanted.items()
            if channel != "LULD"
            for symbol in symbols
        ]
        return _gathered(parts)

    def between(self, symbol: str, kind: int, first: int, last: int, start_ns: int) -> Refilled:
        """The messages with these numbers, and no others."""
        channel = next((c for c in self._wanted if (c in ("T", "XT")) == (kind == TRADE)), "T")

        def ask() -> list[bytes]:
            items = [each for each in self._items(channel, symbol, start_ns) if first <= each["q"] <= last]
            items.sort(key=lambda each: int(each["q"]))
            return _texts(items)

        made = _gathered([((symbol,), ask)])
        found = sum(len(json.loads(message)) for message in made.messages)
        return made if found else Refilled([], [symbol], made.why or "REST has none of them")

    def _asked(self, channel: str, symbol: str, start_ns: int) -> list[bytes]:
        return _texts(self._items(channel, symbol, start_ns))

    def _items(self, channel: str, symbol: str, start_ns: int) -> Iterator[dict[str, Any]]:
        if channel not in ("T", "Q", "XT") or symbol == "*":
            raise VenueError(f"no history of {channel}")
        ticker = "X:" + symbol.replace("-", "") if channel == "XT" else symbol
        path = f"/v3/{'quotes' if channel == 'Q' else 'trades'}/{ticker}"
        query: dict[str, Any] = {"timestamp.gte": start_ns, "order": "asc", "sort": "timestamp", "limit": 50_000}
        for _ in range(DEADLINE_PAGES):
            answer = self._client._get(path=path, params=query, raw=True)
            page = json.loads(answer.data)  # their own iterator takes bad JSON for the end
            for item in page.get("results") or ():
                yield _polygon(channel, symbol, item)
            following = page.get("next_url")
            if not following:
                return
            path, query = following[following.index("/v3/") :], {}
        raise VenueError("the gap is too long to be refilled")


def _polygon(channel: str, symbol: str, item: Mapping[str, Any]) -> dict[str, Any]:
    ts = int(item.get("sip_timestamp") or item["participant_timestamp"]) // MILLION  # the socket tells milliseconds
    name = "pair" if channel == "XT" else "sym"
    made: dict[str, Any] = {"ev": channel, name: symbol, "t": ts, "q": item.get("sequence_number", 0)}
    if channel == "Q":
        words = ("bid_exchange", "bid_price", "bid_size", "ask_exchange", "ask_price", "ask_size")
        return made | {
            short: item.get(word, 0) for short, word in zip(("bx", "bp", "bs", "ax", "ap", "as"), words, strict=True)
        }
    made |= {"p": item["price"], "s": item.get("size", 0), "x": item.get("exchange", 0), "i": str(item.get("id", ""))}
    return made | ({"c": item["conditions"]} if item.get("conditions") else {})


def _gathered(parts: Any) -> Refilled:
    """Part by part: what could be had, and the symbols of the parts that could not."""
    messages: list[bytes] = []
    lost: dict[str, None] = {}
    why = ""
    for symbols, ask in parts:
        try:
            messages += ask()
        except Exception as error:  # whatever a vendor's client raises, the symbols are lost, and said to be
            lost.update(dict.fromkeys(symbols))
            why = why or masked(f"{type(error).__name__}: {error}"[:200])
    return Refilled(messages, list(lost), why)


def _packed(items: Iterator[dict[str, Any]]) -> list[bytes]:
    kept = list(items)
    return [bytes(msgpack.packb(kept[at : at + BATCH])) for at in range(0, len(kept), BATCH)]


def _texts(items: Any) -> list[bytes]:
    kept = list(items)
    return [json.dumps(kept[at : at + BATCH], separators=(",", ":")).encode() for at in range(0, len(kept), BATCH)]


def _stamp(text: str) -> msgpack.Timestamp:
    """RFC 3339 with nanoseconds as the socket's timestamp."""
    ns = int(np.datetime64(text.rstrip("Z"), "ns").astype(np.int64))
    return msgpack.Timestamp(ns // 1_000_000_000, ns % 1_000_000_000)


def rfc3339(ns: int) -> str:
    """A time in UTC, to the nanosecond."""
    seconds, rest = divmod(ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"
