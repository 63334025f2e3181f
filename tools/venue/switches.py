"""The table of switches: what each fault is called, where it strikes unless told, and how it is written."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from gpi.formats.errors import UsageError
from gpi.formats.written import toml_of


class Switch(NamedTuple):
    """Where it strikes by default, and what happens."""

    place: str
    what: str


SWITCHES: Final[dict[str, Switch]] = {
    # REST
    "status": Switch("rest.orders.post.after", "answer status=504 (or any) with an error body, the work done or not"),
    "hang": Switch("rest.orders.post.after", "never answer; the connection stays open (seconds=N: answer after N)"),
    "reset": Switch("rest.orders.post.after", "tear the TCP connection instead of answering"),
    "cut": Switch("rest.orders.post.after", "tear the TCP connection in the middle of the body"),
    "html": Switch("rest.*.after", "an HTML page instead of JSON, status=502"),
    "storm": Switch("rest.*.before", "429 for everything; duration in seconds of venue time, or seconds of the wall"),
    "unknown-enum": Switch("reply.order", "an order status nobody has heard of"),
    "extra-fields": Switch("reply.order", "fields nobody has heard of in an order"),
    "slow": Switch("rest.*.before", "wait seconds=N before working"),
    # what the order book does
    "late-reject": Switch("orders.replace", "PATCH answers 200, then the replacement is rejected"),
    "cancel-loses": Switch("orders.cancel", "DELETE answers 204, then the order fills instead"),
    "reject": Switch("orders.submit", "accepted, then rejected on the stream"),
    # sockets
    "mute": Switch("stream.*.send", "connected, still ponging, silent from now on"),
    "drop": Switch("stream.*.send", "tear the socket instead of sending"),
    "drop-after": Switch("stream.*.sent", "tear the socket after sending"),
    "close": Switch("stream.*.send", "close politely (code=1000) instead of sending"),
    "lose": Switch("stream.*.send", "this message is never sent; the socket is healthy"),
    "duplicate": Switch("stream.*.send", "this message is sent twice"),
    "reorder": Switch("stream.*.send", "this message is sent after the next one"),
    "delay": Switch("stream.*.send", "this message is sent seconds=N later, the rest on time"),
    "null-data": Switch("stream.updates.send", "an additional frame whose data is null"),
    "auth-failed": Switch("stream.*.auth", "right keys are refused"),
    "too-many": Switch("stream.*.connect", "over the connection limit (406, max_connections); seconds=90"),
    "slow-client": Switch("stream.data.send", "407 / slow_consumer, then the socket is closed"),
    # market data on the wire
    "nan": Switch("stream.data.item", "a quote or trade with a price of NaN (value=inf, -1, 0)"),
    "crossed": Switch("stream.data.item", "a quote whose bid is above its ask"),
    "malformed": Switch("stream.data.item", "an item without the keys the clients need"),
    "wrong-time": Switch("stream.data.item", "a time seconds=3600 away"),
    "unknown-type": Switch("stream.data.item", "an additional item of a type nobody has heard of"),
    "not-array": Switch("stream.data.send", "an additional frame that is no array"),
    "spike": Switch("stream.data.item", "a price factor=1000 away"),
    # the world
    "halt": Switch("world", "symbol=S is halted (seconds=N: resumes)"),
    "luld": Switch("world", "symbol=S in a volatility pause of seconds=300"),
    "mwcb": Switch("world", "market-wide circuit breaker level=1: all halted for seconds=900"),
    "resume": Switch("world", "symbol=S (or all) trades again"),
    "skew": Switch("world", "the told clock is seconds=N wrong"),
    "assign": Switch("world", "short option symbol=S is assigned qty=N at the next open (now=1: at once)"),
    "bust": Switch("world", "the last fill (client_order_id=C: its last fill) is busted"),
    "correct": Switch("world", "the last fill is corrected to price=P"),
    "external": Switch("world", "a manual order: symbol=S side=buy qty=N [limit_price=P]; position=1: a transfer"),
}

COMMON: Final = {"place": str, "probability": float, "count": int, "after": int, "at": str, "duration": float}
BOUNDS: Final = {  # a switch's own words that are numbers
    "seconds": (-1e12, 1e12), "status": (200, 599), "code": (1000, 4999), "factor": (1e-9, 1e9), "level": (1, 3),
}  # fmt: skip
ONCE: Final = {"world"}  # what happens to the world happens once unless a count is given


def typed(name: str, words: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A fault's common words as their types, and the rest. Raises UsageError for a word that is none."""
    common: dict[str, Any] = {}
    detail: dict[str, Any] = {}
    for key, value in words.items():
        if key in ("name", "fault"):
            continue
        try:
            if key == "at":
                common[key] = _instant(value)
            elif key in COMMON:
                common[key] = COMMON[key](value)
            elif key in BOUNDS:
                detail[key] = _within(value, *BOUNDS[key])
            else:
                detail[key] = _plain(value)
        except (TypeError, ValueError) as wrong:
            raise UsageError(f"fault {name}: {key}={value!r}: {wrong}") from None
    if SWITCHES[name].place in ONCE:
        common.setdefault("count", 1)
    if not 0.0 <= common.get("probability", 1.0) <= 1.0:
        raise UsageError(f"fault {name}: probability must be 0..1")
    return common, detail


def parsed(text: str) -> tuple[str, dict[str, Any]]:
    """A switch as written on the command line: NAME[:k=v,...].

    >>> parsed("status:status=504,count=1")
    ('status', {'status': '504', 'count': '1'})
    """
    name, _, rest = text.partition(":")
    words = {}
    for word in filter(None, rest.split(",")):
        key, equals, value = word.partition("=")
        if not equals:
            raise UsageError(f"--fault {text}: {word!r} is not key=value")
        words[key.strip()] = value.strip()
    return name, words


def scenario(path: Path) -> list[tuple[str, dict[str, Any]]]:
    """The [[fault]] tables of a scenario file, in order. Raises UsageError."""
    try:
        tables = toml_of(path)
    except (OSError, ValueError) as wrong:
        raise UsageError(f"--scenario {path}: {wrong}") from None
    found = []
    for table in tables.get("fault", ()):
        if "name" not in table:
            raise UsageError(f"--scenario {path}: a [[fault]] without name = ...")
        found.append((table["name"], {k: v for k, v in table.items() if k != "name"}))
    return found


def _instant(value: Any) -> int:
    """ns of event time: an integer, or a time in ISO 8601 (UTC unless it says otherwise)."""
    if isinstance(value, datetime):
        moment = value
    elif isinstance(value, int) or (isinstance(value, str) and value.isascii() and value.isdigit()):
        return int(value)
    else:
        moment = datetime.fromisoformat(str(value))
    if moment.tzinfo is None:
        from_utc = moment.isoformat() + "+00:00"
        moment = datetime.fromisoformat(from_utc)
    return int(moment.timestamp() * 1e6) * 1000


def _within(value: Any, least: float, most: float) -> Any:
    """A number within bounds, as it is. Raises ValueError."""
    number = _plain(value)
    if not isinstance(number, (int, float)) or not least <= number <= most:
        raise ValueError(f"must be {least:g} to {most:g}")
    return number


def _plain(value: Any) -> Any:
    """A word as a number where it is one."""
    if not isinstance(value, str):
        return value
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value
