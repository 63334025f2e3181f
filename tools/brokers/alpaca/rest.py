"""Alpaca's REST through alpaca-py: its signing and transport, our timeouts, no retries, replies as they came."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from gpi.formats.errors import UsageError, VenueError
from gpi.formats.imports.later import pandas_later
from gpi.formats.secrets import Secret
from gpi.tools.brokers.alpaca.last_moment import Late, Pulled, look, pools
from gpi.tools.brokers.alpaca.patience import WHOLE_S, within
from gpi.tools.replies import Bounded, Bounds, TooMuch

with pandas_later():
    from alpaca.common.exceptions import APIError
    from alpaca.trading.client import TradingClient

CONNECT_S: Final = 3.05
READ_S: Final = 5.0
MOST: Final = 8 << 20  # bytes of a reply; 500 orders, each with its legs, are 2 MB
UNREADABLE: Final = (ValueError, RecursionError, MemoryError)  # what JSON from a stranger ends in
ANOTHER_DAY_S: Final = 86_400.0
PAPER: Final = "https://paper-api.alpaca.markets"
LIVE: Final = "https://api.alpaca.markets"
LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


class Keys(NamedTuple):
    """What signs requests."""

    key_id: Secret
    secret: Secret


class Reply(NamedTuple):
    """What came back: status, body (JSON, or None where it was none), text, headers, the broker's clock (epoch s)."""

    status: int
    body: Any = None
    text: str = ""
    headers: Mapping[str, str] = {}
    server: float = 0.0
    sent: int = 0  # ns, our clock: when it was asked for, and when the reply had been read
    back: int = 0

    @property
    def message(self) -> str:
        """The broker's words, for people."""
        found = self.body.get("message") if isinstance(self.body, dict) else None
        return str(found or self.text[:200] or f"HTTP {self.status}")


class NotSent(VenueError):
    """No connection could be made: the broker never saw the request."""


class Unanswered(VenueError):
    """The request left and no readable answer came: whether it was carried out is not known."""


class _Impatient(Bounded):
    """Gives every request the timeouts that alpaca-py leaves out; sends none after `until` or `switch`."""

    def __init__(self) -> None:
        self.until, self.switch, self.left = math.inf, "", 0
        super().__init__((CONNECT_S, READ_S), Bounds(MOST, WHOLE_S, time.monotonic))

    def pools(self) -> dict[str, Any]:
        """Connections that look before they send."""
        return pools(self._look, self._bounds)

    def _look(self) -> None:
        self.left = look(self.until, self.switch)


class Rest:
    """One connection to the broker, for one thread. Loopback hosts are asked directly, past any proxy."""

    def __init__(self, keys: Keys, url: str) -> None:
        self._client = TradingClient(
            keys.key_id.reveal(), keys.secret.reveal(), paper=url != LIVE, raw_data=True, url_override=url.rstrip("/")
        )
        self._client._retry, self._client._retry_codes = 0, []
        session = self._client._session
        self._adapter = _Impatient()
        for scheme in ("http://", "https://"):
            session.mount(scheme, self._adapter)
        session.trust_env = not loopback(url)
        session.hooks["response"].append(self._keep)
        self._last: Any = None

    def _keep(self, response: Any, *rest: Any, **more: Any) -> None:
        self._last = response

    @property
    def left(self) -> int:
        """When the last piece of the last request left (ns), 0 where none did: a look before it found no kill file."""
        return self._adapter.left

    def call(self, method: str, path: str, data: Any = None, until: float = math.inf, switch: str = "") -> Reply:
        """One request, once, and not after `until` (seconds of the steady clock), nor once the file `switch` is there.

        Raises NotSent or Unanswered; errors of the broker are replies like any other.
        """
        self._last = None
        self._adapter.until, self._adapter.switch, self._adapter.left = until, switch, 0
        sent, late = time.time_ns(), threading.Event()
        try:
            look(until, switch)
            with within(WHOLE_S) as late:
                self._client._request(method, path, data)
        except APIError:
            pass
        except UNREADABLE:
            if self._last is None:
                raise Unanswered(f"{method} {path}: no reply") from None
        except Late:
            raise Unanswered("it was too old when its turn came (this machine slept?): not sent") from None
        except Pulled:  # a request that was cut between its headers and its body counts for nothing
            self._adapter.left = 0
            raise NotSent(f"{method} {path}: the kill switch was pulled before it left") from None
        except Exception as wrong:  # whatever reading a reply ends in: the request may have been carried out
            raise _failure(wrong, method, path) from None
        response: Any = self._last
        if late.is_set():  # what was read by then looks like a reply that is whole
            raise Unanswered(f"{method} {path}: more than {WHOLE_S:g} s")
        if response is None:
            raise Unanswered(f"{method} {path}: no reply")
        text = response.text
        try:
            body = response.json() if text else None
        except UNREADABLE:
            body = None
        clock = server_clock(response.headers)
        return Reply(response.status_code, body, text, response.headers, clock, sent, time.time_ns())

    def close(self) -> None:
        """Let the connections go."""
        self._client._session.close()


def _failure(wrong: Exception, method: str, path: str) -> VenueError:
    """The error without the request it carries (its headers hold the secret)."""
    seen: list[Any] = [wrong]
    for each in seen:
        inner = [getattr(each, "reason", None), each.__cause__, each.__context__, *getattr(each, "args", ())]
        seen += [e for e in inner if isinstance(e, BaseException) and e not in seen]
    if any(isinstance(each, (NewConnectionError, ConnectTimeoutError)) for each in seen):
        return NotSent(f"{method} {path}: the broker cannot be reached")
    told = next((str(each) for each in seen if isinstance(each, TooMuch)), type(wrong).__name__)
    return Unanswered(f"{method} {path}: {told}")


def server_clock(headers: Any) -> float:
    """The broker's clock by its Date header, in epoch seconds; ours where it says none, or replays another day."""
    ours = time.time()
    try:
        told = parsedate_to_datetime(headers["Date"]).timestamp()
    except (LookupError, TypeError, ValueError, ArithmeticError):
        return ours
    return told if abs(told - ours) < ANOTHER_DAY_S else ours


def loopback(url: str) -> bool:
    """Whether a URL stays on this machine."""
    return urlsplit(url).hostname in LOOPBACK


def host(live: bool, url: str | None) -> str:
    """Where orders go. Raises UsageError for a --url that is not on this machine: --live with one is a rehearsal."""
    if url is None:
        return LIVE if live else PAPER
    if urlsplit(url).scheme != "http" or not loopback(url):
        raise UsageError(f"--url {url}: only a venue on this machine, such as http://127.0.0.1:8700")
    return url.rstrip("/")


def stream_url(url: str) -> str:
    """The trade_updates socket beside a REST host."""
    return url.replace("http", "ws", 1).rstrip("/") + "/stream"
