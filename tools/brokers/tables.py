"""The tables of the order journal, and whether a file holds these and nothing else.

A trigger, a view or a table that was altered can unmake what a commit has said is kept, or tell other rows than were
written. So nothing of a file is believed, and nothing written to it, before its schema is the one that is made here.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from gpi.formats.errors import UsageError

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS runs (
    epoch INTEGER PRIMARY KEY AUTOINCREMENT, started INTEGER NOT NULL, ended INTEGER, account TEXT NOT NULL,
    url TEXT NOT NULL, attested TEXT NOT NULL, pid INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS orders (
    client_id TEXT PRIMARY KEY, epoch INTEGER NOT NULL, order_id INTEGER NOT NULL, symbol TEXT NOT NULL,
    instrument_id INTEGER NOT NULL, side INTEGER NOT NULL, ask TEXT NOT NULL, request TEXT NOT NULL,
    intended INTEGER NOT NULL, state TEXT NOT NULL, broker_id TEXT, filled TEXT NOT NULL DEFAULT '0',
    cancel_asked INTEGER, changed INTEGER NOT NULL, note TEXT NOT NULL DEFAULT '') WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS unfinished ON orders (state) WHERE state NOT IN ('done', 'refused');
CREATE INDEX IF NOT EXISTS numbered ON orders (broker_id) WHERE broker_id IS NOT NULL;
CREATE TABLE IF NOT EXISTS executions (
    execution_id TEXT PRIMARY KEY, client_id TEXT NOT NULL, symbol TEXT NOT NULL, ts INTEGER NOT NULL,
    qty TEXT NOT NULL, px TEXT NOT NULL, cumulative TEXT NOT NULL, source TEXT NOT NULL,
    busted INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS of_order ON executions (client_id);
CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, received INTEGER NOT NULL, source TEXT NOT NULL,
    raw TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS claims (
    id INTEGER PRIMARY KEY, symbol TEXT NOT NULL, qty TEXT NOT NULL, made INTEGER NOT NULL, why TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS days (day INTEGER PRIMARY KEY, equity TEXT NOT NULL, lost INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS flags (name TEXT PRIMARY KEY, value TEXT NOT NULL, since INTEGER NOT NULL) WITHOUT ROWID;
"""


def alone(db: sqlite3.Connection, name: str) -> None:
    """Raise UsageError where the database `name` holds anything but (some of) our tables and indexes."""
    with sqlite3.connect(":memory:") as fresh:
        fresh.executescript(SCHEMA)
        ours = _made(fresh)
    fresh.close()
    for key, told in _made(db).items():
        kind, found = key
        if key not in ours:
            wrong = f"a {kind} {found!r} that gpi does not make"
        elif told != ours[key]:
            wrong = f"another {kind} {found!r} than gpi makes"
        else:
            continue
        raise UsageError(
            f"the order journal {name} holds {wrong[:120]}: somebody changed it, and it is not believed. Put a copy of "
            "yours back, or move it away and start with an empty one (--take-over, --claim: docs/trading_live.md)"
        )


def _made(db: sqlite3.Connection) -> dict[tuple[str, str], tuple[str, str]]:
    """(type, name) -> (the table, what made it) of everything in a schema."""
    rows = db.execute("SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_master").fetchall()
    return {(str(kind), str(name)): (str(table), " ".join(str(sql).split())) for kind, name, table, sql in rows}
