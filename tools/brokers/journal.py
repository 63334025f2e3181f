"""The order journal: every intent before it is sent, every execution once, everything the broker said.

SQLite with a write-ahead log and synchronous=FULL: what was committed survives a power loss, and a log torn in the
middle opens as a prefix of what was committed. Rows are collected, and `commit` makes a wake-up's rows durable
together; nothing may be sent, and no answer told, before it has returned.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import secrets
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NamedTuple

from gpi.formats.errors import UsageError, VenueError
from gpi.formats.execution import OrderRequest
from gpi.formats.trust import private_folder, tightened, trusted
from gpi.tools.brokers.tables import SCHEMA, alone

FEE: Final = "fee in kind"  # claims.why: coins that the broker kept as its fee
BESIDE: Final = ("", "-wal", "-shm", ".lock")
NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
MUST: Final = ("INSERT INTO", "INSERT OR REPLACE")  # statements that keep one row, or have failed
MOST_PENDING: Final = 100_000  # rows kept for a journal that cannot be written for a while
MOST_RAW: Final = 65_536  # characters kept of one message


class Day(NamedTuple):
    """A UTC day, as days since 1970: the account's equity when it began; was its loss limit reached?"""

    number: int
    equity: Decimal
    lost: bool


def _ours(path: Path) -> int:
    return os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)


class JournalError(VenueError):
    """The journal cannot be written: disk full, read-only, unreadable. Nothing more may be sent."""


class Journal:
    """One account's journal, open for one trader at a time. Not for two threads at once.

    Its files are ours alone; those that were not are made so, and `say` is told. Raises UsageError where another trader
    holds it, another user can write it or it is not as gpi made it, JournalError where it cannot be read or written.
    """

    def __init__(self, path: Path, say: Callable[[str], object] = lambda line: None) -> None:
        self.path, self.epoch = path, 0
        self._pending: list[tuple[str, tuple[Any, ...]]] = []
        private_folder(path.parent)
        trusted(path, "the order journal")
        for suffix in BESIDE:
            tightened(path.with_name(path.name + suffix), say)
        self._lock = self._locked(path.with_name(path.name + ".lock"))
        try:
            os.close(_ours(path))  # before SQLite makes it, and beside it what takes its mode: -wal and -shm
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._begin()
        except (sqlite3.Error, OSError) as wrong:
            self.close()
            raise JournalError(self._why("used", wrong)) from wrong
        except UsageError:
            self.close()
            raise

    def _begin(self) -> None:
        self._db.execute("PRAGMA trusted_schema=OFF")
        alone(self._db, str(self.path))
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=2000"):
            self._db.execute(f"PRAGMA {pragma}")
        self._db.executescript(f"BEGIN IMMEDIATE;{SCHEMA}COMMIT;")  # all tables or none, whenever this process dies
        self._db.execute("INSERT OR IGNORE INTO about VALUES ('id', ?)", (secrets.token_hex(4),))
        self.id = str(self.first("SELECT value FROM about WHERE name = 'id'")[0])

    def _why(self, what: str, wrong: Exception) -> str:
        """The words of a JournalError, and what to do where there may be no room: SQLite says "disk I/O error"."""
        told = f"the order journal {self.path} cannot be {what}: {wrong}"
        code = getattr(wrong, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR) or getattr(wrong, "errno", 0) in NO_ROOM:
            return f"{told}; is there no room left? Make room in {self.path.absolute().parent}, then start again"
        return told

    @staticmethod
    def _locked(path: Path) -> int:
        try:
            fd = _ours(path)
        except OSError as wrong:
            raise JournalError(f"the order journal cannot be locked: {wrong}") from wrong
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            raise UsageError(f"another trader holds this account ({path}): one trader per account") from None
        return fd

    def first(self, query: str, *values: Any) -> Any:
        """The first row of a query, or None."""
        return self._db.execute(query, values).fetchone()

    def rows(self, query: str, *values: Any) -> list[Any]:
        """All rows of a query."""
        return self._db.execute(query, values).fetchall()

    def check(self) -> None:
        """Raise JournalError unless the whole file is sound."""
        try:
            found = self.first("PRAGMA integrity_check")[0]
        except sqlite3.Error as wrong:
            raise JournalError(f"the order journal {self.path} is damaged: {wrong}") from wrong
        if found != "ok":
            raise JournalError(f"the order journal {self.path} is damaged: {found}")

    def begin_run(self, now: int, account: str, url: str, attested: dict[str, Any]) -> int:
        """A new epoch: order ids start again at 1 under it, so no client_order_id ever comes twice."""
        self._write(
            "INSERT INTO runs (started, account, url, attested, pid) VALUES (?, ?, ?, ?, ?)",
            now, account, url, json.dumps(attested, sort_keys=True), os.getpid(),
        )  # fmt: skip
        self.commit()
        self.epoch = int(self.first("SELECT max(epoch) FROM runs")[0])
        return self.epoch

    def end_run(self, now: int) -> None:
        """The trader said goodbye."""
        self._write("UPDATE runs SET ended = ? WHERE epoch = ?", now, self.epoch)
        self.commit()

    def client_id(self, account: str, order_id: int) -> str:
        """The id of one order of this epoch: deterministic, shorter than 128 characters, never used again."""
        return f"{self.tag(account)}{order_id}"

    def tag(self, account: str) -> str:
        """What the client_order_ids of this epoch begin with."""
        return f"{owner(account)}{self.id}-{self.epoch}-"

    def intend(
        self, client_id: str, request: OrderRequest, body: dict[str, Any] | None, now: int, note: str = ""
    ) -> None:
        """One intent; `request` None: it was refused before it was sent, and `note` says why.

        Of an order that the journal has already (a former run's, thought to have ended) only the state changes.
        """
        self._write(
            "INSERT INTO orders (client_id, epoch, order_id, symbol, instrument_id, side, ask, request, intended,"
            " state, changed, note) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (client_id) DO UPDATE SET state = 'intent', changed = excluded.changed, note = excluded.note",
            client_id, self.epoch, request.order_id, request.symbol, request.instrument_id, request.side,
            json.dumps(request._asdict()), json.dumps(body), now, "refused" if body is None else "intent", now, note,
        )  # fmt: skip

    def changed(self, client_id: str, state: str, broker_id: str | None, filled: Any, now: int, note: str = "") -> None:
        """What an order has come to."""
        self._write(
            "UPDATE orders SET state = ?, broker_id = coalesce(?, broker_id), filled = ?, changed = ?,"
            " note = CASE WHEN ? = '' THEN note ELSE ? END WHERE client_id = ?",
            state, broker_id, str(filled), now, note, note, client_id,
        )  # fmt: skip

    def cancelling(self, client_id: str, now: int) -> None:
        """The withdrawal of an order was asked for."""
        self._write("UPDATE orders SET cancel_asked = ? WHERE client_id = ?", now, client_id)

    def executed(self, client_id: str, symbol: str, execution: Any) -> None:
        """One execution, once: a second row with its id changes nothing."""
        e = execution
        self._write(
            "INSERT OR IGNORE INTO executions VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0)",
            e.execution_id, client_id, symbol, e.ts, str(e.qty), str(e.px), str(e.cumulative), e.source,
        )  # fmt: skip

    def busted(self, execution_id: str) -> None:
        """The exchange took an execution back."""
        self._write("UPDATE executions SET busted = 1 WHERE execution_id = ?", execution_id)

    def amended(self, execution_id: str, qty: Any, px: Any) -> None:
        """The exchange corrected an execution."""
        self._write("UPDATE executions SET qty = ?, px = ? WHERE execution_id = ?", str(qty), str(px), execution_id)

    def heard(self, source: str, raw: str, now: int) -> None:
        """A message as it came (the caller has taken secrets out)."""
        values = (self.epoch, now, source, raw[:MOST_RAW])
        self._write("INSERT INTO events (epoch, received, source, raw) VALUES (?, ?, ?, ?)", *values)

    def claim(self, symbol: str, qty: Any, now: int, why: str) -> None:
        """A position that is not of our fills is ours from now on."""
        self._write("INSERT INTO claims (symbol, qty, made, why) VALUES (?, ?, ?, ?)", symbol, str(qty), now, why)

    def day(self, number: int) -> Day | None:
        """A UTC day (days since 1970) as the last run of it left it; None: there was none."""
        found = self.first("SELECT equity, lost FROM days WHERE day = ?", number)
        return None if found is None else Day(number, Decimal(found[0]), bool(found[1]))

    def day_is(self, day: Day) -> None:
        """With what a day began, and whether its loss limit has been reached."""
        self._write("INSERT OR REPLACE INTO days VALUES (?, ?, ?)", day.number, str(day.equity), int(day.lost))

    def flag(self, name: str) -> str | None:
        """The value of a flag that survives restarts, such as `kill`."""
        found = self.first("SELECT value FROM flags WHERE name = ?", name)
        return None if found is None else str(found[0])

    def raise_flag(self, name: str, value: str, now: int) -> None:
        """Set a flag."""
        self._write("INSERT OR REPLACE INTO flags VALUES (?, ?, ?)", name, value, now)

    def lower_flag(self, name: str) -> None:
        """Take a flag back."""
        self._write("DELETE FROM flags WHERE name = ?", name)

    def _write(self, statement: str, *values: Any) -> None:
        self._pending.append((statement, values))

    def commit(self) -> None:
        """Make everything since the last commit durable, at once.

        On JournalError none of it is, and all of it is tried again with the next commit.
        """
        if not self._pending:
            return
        try:
            self._db.execute("BEGIN IMMEDIATE")
            for statement, values in self._pending:
                kept = self._db.execute(statement, values).rowcount
                if kept != 1 and statement.startswith(MUST):
                    raise sqlite3.IntegrityError(f"{kept} rows were kept of one ({statement[:40]})")
            self._db.execute("COMMIT")
        except sqlite3.Error as wrong:
            self._roll_back()
            del self._pending[:-MOST_PENDING]
            raise JournalError(self._why("written", wrong)) from wrong
        self._pending.clear()

    def _roll_back(self) -> None:
        try:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
        except sqlite3.Error:
            pass  # sqlite has rolled back on its own

    def close(self) -> None:
        """Let the account go."""
        with suppress(sqlite3.Error, AttributeError):  # one that could not be opened has none
            self._db.close()
        os.close(self._lock)


def owner(account: str) -> str:
    """What the client_order_ids of every gpi trader of an account begin with, whatever its journal."""
    return f"gpi-{account}-"
