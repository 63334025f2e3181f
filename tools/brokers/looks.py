"""Looks: what the body of a reply says about the account, and whether it says anything at all."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from gpi.tools.brokers.alpaca import wire
from gpi.tools.brokers.executions import ZERO

BARRED: Final = ("trading_blocked", "account_blocked", "trade_suspended_by_user")


def readable(what: str, body: Any) -> bool:
    """Whether a look's body is an answer: an empty page of a proxy must not pass for an empty account."""
    if what == "account":
        return isinstance(body, dict) and wire.number(body.get("cash")) is not None
    if what == "clock":
        return told_time(body) > 0
    if not isinstance(body, list):
        return False
    return what != "positions" or all(isinstance(row, dict) and _held(row) is not None for row in body)


def told_time(body: Any) -> int:
    """The broker's time in ns, 0 where it tells none."""
    return wire.nanoseconds(body.get("timestamp")) if isinstance(body, dict) else 0


def _held(row: dict[str, Any]) -> tuple[str, Decimal] | None:
    qty = wire.number(row.get("qty"))
    if qty is None or not row.get("symbol"):
        return None
    return wire.key(str(row["symbol"])), -abs(qty) if row.get("side") == "short" else qty


def positions(body: list[dict[str, Any]]) -> dict[str, tuple[Decimal, Decimal]]:
    """(quantity, average price) by symbol key; a short is negative whatever sign its quantity has."""
    held = {}
    for row in body:
        found = _held(row)
        if found is not None:
            held[found[0]] = (found[1], wire.number(row.get("avg_entry_price")) or ZERO)
    return held


def marks(body: list[dict[str, Any]]) -> dict[str, Decimal]:
    """What one of each position is worth by the broker's own mark, by symbol key; none where it tells none."""
    found = {}
    for row in body:
        price = wire.number(row.get("current_price")) or wire.number(row.get("lastday_price"))
        if price and row.get("symbol"):
            found[wire.key(str(row["symbol"]))] = price
    return found


def stamp(ns: int) -> str:
    """ns UTC as RFC 3339."""
    whole, rest = divmod(ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"
