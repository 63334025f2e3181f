"""The invariants: what the trader wrote down against what the venue knows."""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from gpi.tools.chaos.rows import Seen

CENT: Final = Decimal("0.01")
ZERO: Final = Decimal(0)
Row = dict[str, Any]


class Book:
    """A trader's order journal as it lies on the disk, read without its lock."""

    def __init__(self, path: Path) -> None:
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
            db.row_factory = sqlite3.Row
            begun = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] > 0  # all tables are there, or none

            def rows(query: str) -> list[Row]:
                return [dict(row) for row in db.execute(f"SELECT {query}")] if begun else []

            self.orders: dict[str, Row] = {row["client_id"]: row for row in rows("* FROM orders")}
            self.executions: dict[str, Row] = {row["execution_id"]: row for row in rows("* FROM executions")}
            self.claims: list[Row] = rows("* FROM claims")
            self.flags: dict[str, str] = {row["name"]: row["value"] for row in rows("* FROM flags")}
            self.runs: list[Row] = rows("* FROM runs")
            facts = "received, source FROM events WHERE source = 'kill' OR source LIKE 'left %'"
            self.facts: list[tuple[int, str]] = [(row["received"], row["source"]) for row in rows(facts)]
        db.close()

    def filled(self, client_id: str) -> tuple[Decimal, Decimal]:
        """(quantity, quantity times price) of an order's executions that stand."""
        rows = [e for e in self.executions.values() if e["client_id"] == client_id and not e["busted"]]
        qty = sum((Decimal(e["qty"]) for e in rows), ZERO)
        return qty, sum((Decimal(e["qty"]) * Decimal(e["px"]) for e in rows), ZERO)

    def open(self) -> list[Row]:
        """Orders that are not over."""
        return [each for each in self.orders.values() if each["state"] not in ("done", "refused")]

    def within(self, later: Book) -> list[str]:
        """What this journal held and a later one does not: rows lost."""
        lost = [f"order {key}" for key in self.orders if key not in later.orders]
        lost += [f"execution {key}" for key in self.executions if key not in later.executions]
        return lost


def compare(book: Book, account: Row, seen: Seen, settled: bool = True) -> None:
    """I1 to I5. `settled`: the trader has had time to hear of every fill; else only I1 and I2 can hold."""
    ours = [order for order in account["orders"] if order["from"] == "api" and not order.get("replaces")]
    seen.count("venue orders", len(ours))
    for order in ours:
        known = book.orders.get(order["client_order_id"])
        if known is None or known["state"] == "refused" and order["status"] not in ("rejected",):
            state = "absent" if known is None else known["state"]
            seen.violate("I1", f"venue order {order['client_order_id']} ({order['status']}), in the journal {state}")
    twice = [c for c, n in Counter(order["client_order_id"] for order in ours).items() if n > 1]
    seen.expect(not twice, f"I2: intents with two orders: {twice}")
    if settled:
        _orders(book, ours, seen)
        _positions(book, account, seen)
        _cash(book, account, seen)


def _orders(book: Book, ours: list[Row], seen: Seen) -> None:
    for order in ours:
        client_id = order["client_order_id"]
        if client_id not in book.orders:
            continue
        qty, value = book.filled(client_id)
        wanted = Decimal(order["filled_qty"] or 0)
        seen.expect(qty == wanted, f"I3: {client_id}: filled {qty} in the journal, {wanted} at the venue")
        cost = Decimal(order["cost"] or 0)
        if qty == wanted and qty:
            off = abs(value - cost) / qty
            seen.expect(off < Decimal("0.000001"), f"I3: {client_id}: average {value / qty}, venue {cost / wanted}")
    fills = sum((Decimal(order["filled_qty"] or 0) for order in ours), ZERO)
    seen.count("shares filled", int(fills))


def _positions(book: Book, account: Row, seen: Seen) -> None:
    held: dict[str, Decimal] = defaultdict(Decimal)
    for each in book.executions.values():
        order = book.orders.get(each["client_id"])
        if order is not None and not each["busted"]:
            held[key(each["symbol"])] += order["side"] * Decimal(each["qty"])
    for each in book.claims:
        held[key(each["symbol"])] += Decimal(each["qty"])
    truth = {key(symbol): _signed(position) for symbol, position in account["positions"].items()}
    for symbol in sorted({*held, *truth}):
        one, other = held.get(symbol, ZERO), truth.get(symbol, ZERO)
        seen.expect(one == other, f"I4: {symbol}: {one} by the journal's fills, {other} at the venue")
    summed: dict[str, Decimal] = defaultdict(Decimal)
    for fill in account["fills"]:
        if not fill["busted"]:
            summed[key(fill["symbol"])] += Decimal(fill["qty"]) * (1 if fill["side"] == "buy" else -1)
    for symbol in sorted({*summed, *truth}):
        one, other = summed.get(symbol, ZERO), truth.get(symbol, ZERO)
        seen.expect(one == other, f"I4: {symbol}: {one} by the venue's fills, {other} its position")


def _cash(book: Book, account: Row, seen: Seen) -> None:
    spent = ZERO
    for each in book.executions.values():
        order = book.orders.get(each["client_id"])
        if order is not None and not each["busted"]:
            spent += order["side"] * Decimal(each["qty"]) * Decimal(each["px"])
    wanted, fees = Decimal(account["cash"]), Decimal(account["fees"])
    found = Decimal(account["start"]) - spent - fees
    seen.expect(abs(found - wanted) < CENT, f"I5: cash {found} by the journal's fills and fees {fees}, venue {wanted}")


def _signed(position: Row) -> Decimal:
    qty = abs(Decimal(position["qty"]))
    return -qty if position.get("side") == "short" else qty


def key(symbol: str) -> str:
    """A symbol without what spellings differ in."""
    return symbol.replace("/", "").replace(" ", "").upper()
