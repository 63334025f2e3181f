"""Polygon's sockets (Massive's since the rename) through their client: `massive`, or `polygon-api-client` if that is
what is installed. One conversation per client, max_reconnects=0: its own loop loses subscriptions and gives up.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from websockets.exceptions import ConnectionClosed

from gpi.formats.errors import MissingExtra, UsageError
from gpi.formats.secrets import Secret
from gpi.tools.feeds.live.link import SOCKET, Said, Step, Tap, dialled, topics

Asset = Literal["stocks", "options", "crypto"]
ENDPOINT: Final = "wss://socket.massive.com"
DELAYED: Final = "wss://delayed.massive.com"
CHANNELS: Final[dict[str, dict[str, str]]] = {
    "stocks": {"trades": "T", "quotes": "Q", "statuses": "LULD"},
    "options": {"trades": "T", "quotes": "Q"},
    "crypto": {"trades": "XT", "quotes": "XQ", "books": "XL2"},
}
STEPS: Final = {
    "connected": Step.CONNECTED,
    "auth_success": Step.AUTHENTICATED,
    "auth_failed": Step.BAD_KEY,
    "auth_timeout": Step.BAD_KEY,
    "max_connections": Step.BUSY,
    "slow_consumer": Step.SLOW,
    "error": Step.REFUSED,
}


def package() -> Any:
    """The vendor's package, by its new name or its old one. Raises MissingExtra.

    It reads its key from the environment while it is imported: the keys were taken out of there before.
    """
    for name in ("massive", "polygon"):
        with suppress(ModuleNotFoundError):
            return importlib.import_module(name)
    raise MissingExtra("Polygon's client is not installed: pip install massive (or polygon-api-client)")


def endpoint(feed: str, url: str | None) -> str:
    """Where the sockets are. Raises UsageError for a feed that does not exist."""
    if feed not in ("", "realtime", "delayed"):
        raise UsageError(f"--feed {feed}: Polygon has realtime and delayed")
    return (url or (DELAYED if feed == "delayed" else ENDPOINT)).rstrip("/").replace("http", "ws", 1)


class PolygonLink:
    """One of Polygon's sockets; `wanted` is channel (T, Q, LULD, XT, ...) -> tickers as the socket names them."""

    def __init__(
        self, asset: Asset, feed: str, url: str | None, key: Secret, wanted: Mapping[str, Sequence[str]]
    ) -> None:
        self.name = f"polygon {asset}"
        self.endpoint = endpoint(feed, url)
        self.desired = frozenset().union(*(topics(channel, symbols) for channel, symbols in wanted.items()))
        self._asset, self._key = asset, key
        self._client = package().WebSocketClient

    async def converse(self, tap: Tap) -> None:
        """One run of a fresh client; it returns after a clean close and raises ConnectionClosed after another."""
        parts = urlsplit(self.endpoint)
        client = self._client(
            api_key=self._key.reveal(),
            feed=parts.netloc,
            market=self._asset,
            raw=True,
            subscriptions=sorted(self.desired),
            max_reconnects=0,
            secure=parts.scheme == "wss",
        )
        options = {**SOCKET, **await dialled(self.endpoint), "create_connection": tap.modern}
        try:
            await client.connect(_unheard, **options)
        except ConnectionClosed:
            raise
        except Exception as error:
            if type(error).__name__ == "AuthError":  # the status message said so already
                raise ConnectionRefusedError(str(error)) from None
            raise

    def said(self, control: dict[str, Any]) -> Said:
        """The meaning of a status message; one topic is acknowledged at a time."""
        status, words = str(control.get("status")), str(control.get("message", ""))
        if status == "success" and words.startswith("subscribed to:"):
            named = words.removeprefix("subscribed to:").replace(" ", "").split(",")
            return Said(Step.SUBSCRIBED, frozenset(named))
        return Said(STEPS.get(status, Step.OTHER), words=f"{status}: {words}")


async def _unheard(_: Any) -> None:
    """The client wants a handler; the tap has heard everything already."""
