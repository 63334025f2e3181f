"""Alpaca's market-data sockets through alpaca-py: its handshake, its signing, its subscriptions; our receiving."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from gpi.formats.errors import UsageError
from gpi.formats.imports.later import pandas_later
from gpi.formats.secrets import Secret
from gpi.tools.feeds.live.link import SOCKET, Said, Step, Tap, dialled, topics

with pandas_later():
    from alpaca.data.enums import CryptoFeed, DataFeed, OptionsFeed
    from alpaca.data.live import CryptoDataStream, OptionDataStream, StockDataStream
    from alpaca.data.live.websocket import DataStream

Asset = Literal["stocks", "options", "crypto"]
PATHS: Final = {"stocks": "/v2/{feed}", "options": "/v1beta1/{feed}", "crypto": "/v1beta3/crypto/us"}
FEEDS: Final[dict[str, tuple[str, ...]]] = {"stocks": ("iex", "sip"), "options": ("indicative", "opra"), "crypto": ()}
ENDPOINT: Final = "wss://stream.data.alpaca.markets"
CHANNELS: Final[dict[str, dict[str, str]]] = {
    "stocks": {"trades": "trades", "quotes": "quotes", "statuses": "statuses"},
    "options": {"trades": "trades", "quotes": "quotes"},
    "crypto": {"trades": "trades", "quotes": "quotes", "books": "orderbooks"},
}
SUBSCRIBE: Final = {
    "trades": "subscribe_trades",
    "quotes": "subscribe_quotes",
    "statuses": "subscribe_trading_statuses",
    "orderbooks": "subscribe_orderbooks",
}
BAD_KEY, BUSY, SLOW = (401, 402, 404), (406,), (407,)
REFUSED: Final = (400, 405, 409, 410, 411, 412, 413)


def endpoint(asset: Asset, feed: str, url: str | None) -> str:
    """The socket's full address. Raises UsageError for a feed that this asset class does not have."""
    if feed and feed not in FEEDS[asset]:
        raise UsageError(f"--feed {feed}: {asset} have {' and '.join(FEEDS[asset]) or 'one feed only'}")
    path = PATHS[asset].format(feed=feed or next(iter(FEEDS[asset]), ""))
    return (url or ENDPOINT).rstrip("/").replace("http", "ws", 1) + path


class AlpacaLink:
    """One of Alpaca's three data sockets; `wanted` is channel -> symbols in Alpaca's words."""

    def __init__(
        self, asset: Asset, feed: str, url: str | None, keys: tuple[Secret, Secret], wanted: Mapping[str, Sequence[str]]
    ) -> None:
        self.name = f"alpaca {asset}"
        self.endpoint = endpoint(asset, feed, url)
        self.wanted = wanted
        self.desired = frozenset().union(*(topics(channel, symbols) for channel, symbols in wanted.items()))
        self._asset, self._feed, self._keys = asset, feed or "iex", keys

    async def converse(self, tap: Tap) -> None:
        """Connect, authenticate, subscribe with the SDK's own methods; then receive until the connection ends."""
        stream = self._stream({**SOCKET, **await dialled(self.endpoint), "create_protocol": tap.legacy})
        for channel, symbols in self.wanted.items():
            getattr(stream, SUBSCRIBE[channel])(_unheard, *symbols)
        await stream._start_ws()
        await stream._send_subscribe_msg()
        websocket: Any = stream._ws
        while True:
            await websocket.recv()  # the tap hears it; what the SDK would make of it is not needed

    def said(self, control: dict[str, Any]) -> Said:
        """The meaning of a control message; an acknowledgement lists everything that is subscribed."""
        kind, words = control.get("T"), str(control.get("msg", ""))
        if kind == "subscription":
            named = ((c, s) for c, s in control.items() if isinstance(s, (list, tuple)))
            return Said(Step.SUBSCRIBED, frozenset().union(*(topics(c, symbols) for c, symbols in named)))
        if kind == "success":
            return Said({"connected": Step.CONNECTED, "authenticated": Step.AUTHENTICATED}.get(words, Step.OTHER))
        code = control.get("code")
        words = f"{code} {words}"
        for step, codes in ((Step.BAD_KEY, BAD_KEY), (Step.BUSY, BUSY), (Step.SLOW, SLOW), (Step.REFUSED, REFUSED)):
            if code in codes:
                return Said(step, words=words)
        return Said(Step.OTHER, words=words)

    def _stream(self, options: dict[str, Any]) -> DataStream:
        key, secret = (each.reveal() for each in self._keys)
        given: dict[str, Any] = {"raw_data": True, "url_override": self.endpoint, "websocket_params": options}
        if self._asset == "stocks":
            return StockDataStream(key, secret, feed=DataFeed.IEX, **given)
        if self._asset == "options":
            return OptionDataStream(key, secret, feed=OptionsFeed.INDICATIVE, **given)
        return CryptoDataStream(key, secret, feed=CryptoFeed.US, **given)


async def _unheard(_: Any) -> None:
    """The SDK wants a handler; the tap has heard everything already."""
