"""What to capture, in the user's words, and what follows from it: topics, link, REST, instruments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import urlsplit, urlunsplit

from gpi.formats.errors import UsageError
from gpi.formats.instruments import Instruments
from gpi.formats.secrets import Secret
from gpi.tools.feeds.live import alpaca, polygon
from gpi.tools.feeds.live.decoding import Decoder, warm
from gpi.tools.feeds.live.intake import Intake
from gpi.tools.feeds.live.link import Link
from gpi.tools.feeds.live.refill import AlpacaRest, PolygonRest, Refiller
from gpi.tools.feeds.live.venue_time import VenueTime, clock_of
from gpi.tools.feeds.live.wire_names import Vendor, instrument, wire

Asset = Literal["stocks", "options", "crypto"]
ASSETS: Final = ("stocks", "options", "crypto")
SKEW_NS: Final = 60 * 1_000_000_000  # our clock may be so far behind the vendor's
PAST_NS: Final = 7 * 86_400 * 1_000_000_000  # what a refill brings after a long weekend is no older
DEFAULT: Final = ("trades", "quotes", "statuses")


@dataclass(frozen=True, slots=True)
class Subscription:
    """One feed of one vendor. `url`: another host (a venue), for sockets and REST; None: the vendor's own."""

    vendor: Vendor
    asset: Asset
    symbols: tuple[str, ...]  # as the user wrote them; "*" for everything the feed has
    channels: tuple[str, ...] = ()  # trades quotes statuses books; none: the usual ones that the feed has
    feed: str = ""
    url: str | None = None

    def instruments(self) -> Instruments:
        """The instruments named, in order. Raises BadInput or UsageError for a name that cannot be one."""
        return Instruments(instrument(self.asset, name) for name in self.symbols if name != "*")

    def wanted(self) -> dict[str, list[str]]:
        """The vendor's channels -> its names of the symbols. Raises UsageError for a channel the feed has not."""
        known = (alpaca.CHANNELS if self.vendor == "alpaca" else polygon.CHANNELS)[self.asset]
        for name in self.channels:
            if name not in known:
                raise UsageError(f"--channels {name}: {self.vendor} {self.asset} have {', '.join(known)}")
        chosen = self.channels or tuple(name for name in DEFAULT if name in known)
        names = ["*"] if "*" in self.symbols else [wire(self.vendor, each) for each in self.instruments()]
        return {known[name]: names for name in chosen}

    def link(self, keys: Sequence[Secret]) -> Link:
        """How to talk to it; `keys`: id and secret of Alpaca, or Polygon's one key."""
        if self.vendor == "alpaca":
            pair = (keys[0], keys[1])
            return alpaca.AlpacaLink(self.asset, self.feed, _sockets(self.url), pair, self.wanted())
        return polygon.PolygonLink(self.asset, self.feed, _sockets(self.url), keys[0], self.wanted())

    def rest(self, keys: Sequence[Secret]) -> Refiller:
        """Where what was missed can be had."""
        url = _rest(self.url)
        if self.vendor == "alpaca":
            return AlpacaRest(self.asset, self.feed, url, (keys[0], keys[1]), self.wanted())
        return PolygonRest(url, keys[0], self.wanted())

    def venue_time(self, keys: Sequence[Secret], every_s: float) -> VenueTime:
        """The clock of the venue at `url`, asked every so many seconds of silence."""
        assert self.url is not None
        return VenueTime(clock_of(_with(self.url, {"ws": "http", "wss": "https"}), keys), every_s)

    @property
    def key(self) -> str:
        """A name for this feed, for its journal's folder."""
        host = (urlsplit(self.url).netloc if self.url else "").replace(":", "-")
        return "-".join(word for word in (self.vendor, self.asset, self.feed, host) if word)

    @property
    def live(self) -> bool:
        """Whether this is the vendor's own feed, so that its times are near those of receipt."""
        return self.url is None

    def intake(self, levels: int, live: bool) -> Intake:
        """What makes rows of its messages, with `levels` of a coin's book; `live` as it was when they were received.

        Polygon numbers the messages of shares and options, not those of coins.
        """
        warm()
        instruments = self.instruments()
        limits = {"future_ns": SKEW_NS, "past_ns": PAST_NS} if live else {}
        decoder = Decoder(self.vendor, self.asset, instruments, levels, **limits)
        return Intake(
            decoder, instruments, decoder.schema, sequenced=self.vendor == "polygon" and self.asset != "crypto"
        )

    def about(self, levels: int) -> dict[str, Any]:
        """For the journal: enough to decode it again."""
        return {
            "gpi.journal": 1,
            "vendor": self.vendor,
            "asset": self.asset,
            "feed": self.feed,
            "symbols": list(self.symbols),
            "channels": list(self.channels),
            "levels": levels,
            "live": self.live,
        }

    @classmethod
    def of(cls, about: Mapping[str, Any]) -> Subscription:
        """From a journal's words. Raises KeyError, TypeError or ValueError where they are not a capture's."""
        known = about["vendor"] in ("alpaca", "polygon") and about["asset"] in ASSETS
        if not known or not all(isinstance(word, str) for word in (*about["symbols"], *about["channels"])):
            raise ValueError("no feed of ours")
        return cls(
            about["vendor"], about["asset"], tuple(about["symbols"]), tuple(about["channels"]), about.get("feed", "")
        )


def _sockets(url: str | None) -> str | None:
    return None if url is None else _with(url, {"http": "ws", "https": "wss"})


def _rest(url: str | None) -> str | None:
    return None if url is None else _with(url, {"ws": "http", "wss": "https"})


def _with(url: str, schemes: Mapping[str, str]) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https", "ws", "wss") or not parts.netloc:
        raise UsageError(f"--url {url}: give scheme and host, such as http://127.0.0.1:8700")
    return urlunsplit((schemes.get(parts.scheme, parts.scheme), parts.netloc, "", "", ""))
