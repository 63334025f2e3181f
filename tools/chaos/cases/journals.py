"""F02: the tail of the order journal torn off at any byte."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any, Final

from gpi.formats.execution import OrderRequest
from gpi.tools.chaos.lab import Lab
from gpi.tools.chaos.rows import Case, Row

COMMITS: Final = 30
CUTS: Final = 50  # of one journal's life
Contents = tuple[tuple[Any, ...], ...]


def torn_journals(lab: Lab, case: Case) -> None:
    """A journal lives, is copied in the middle of it as a power cut would leave it, and its log is cut anywhere."""
    live, dice = case.folder / "live", case.dice
    live.mkdir()
    journal = lab.room("journal")(live / "orders.db")
    journal.begin_run(1, "PA1", "http://127.0.0.1:1", {})
    acked: list[Contents] = [(), _contents(live / "orders.db")]
    checkpointed = dice.randrange(COMMITS + 10)  # in some lives the log is folded into the file on the way
    for number in range(1, COMMITS + 1):
        _write(journal, number, dice.randint(1, 4))
        journal.commit()
        acked.append(_contents(live / "orders.db"))
        if number == checkpointed:
            journal.rows("PRAGMA wal_checkpoint(PASSIVE)")
    torn = case.folder / "torn"
    torn.mkdir()
    wal = (live / "orders.db-wal").read_bytes()
    base = (live / "orders.db").read_bytes()
    known = {contents: at for at, contents in enumerate(acked)}
    for _ in range(min(CUTS, case.units)):
        size = dice.choice((dice.randrange(len(wal) + 1), dice.randrange(max(1, len(wal) - 9000), len(wal) + 1)))
        tail = dice.randbytes(dice.randrange(600)) if dice.random() < 0.3 else b""  # what a dying disk writes
        _judge(lab, case, torn, base, wal[:size] + tail, known)
    journal.close()


def _judge(lab: Lab, case: Case, torn: Path, base: bytes, wal: bytes, known: dict[Contents, int]) -> None:
    """It opens, is sound, and holds what was committed up to some commit."""
    for old in torn.iterdir():
        old.unlink()
    (torn / "orders.db").write_bytes(base)
    (torn / "orders.db-wal").write_bytes(wal)
    case.seen.count("torn logs")
    try:
        journal = lab.room("journal")(torn / "orders.db")
    except Exception as wrong:
        case.seen.violate(f"a log of {len(wal)} bytes: the journal does not open", str(wrong))
        return
    try:
        journal.check()
        found = _contents(torn / "orders.db")
        if case.seen.expect(found in known, f"a log of {len(wal)} bytes: contents are no prefix of what was acked"):
            case.seen.count("commits found", known[found])
        journal.begin_run(2, "PA1", "http://127.0.0.1:1", {})  # and it takes the next run
    finally:
        journal.close()


def _write(journal: Any, number: int, rows: int) -> None:
    for row in range(rows):
        order_id = number * 10 + row
        client_id = journal.client_id("PA1", order_id)
        journal.intend(
            client_id, OrderRequest(1, number, order_id, 0, "SPY", 1, 1, 1, 10.0, 100.0), {"symbol": "SPY"}, number
        )
        if row % 2:
            journal.changed(client_id, "live", f"broker-{order_id}", 5, number)


def _contents(path: Path) -> Contents:
    """Every order the journal knows, as any reader finds it."""
    with sqlite3.connect(path) as db:
        rows = db.execute("SELECT client_id, state, coalesce(broker_id, ''), filled FROM orders ORDER BY client_id")
        found = tuple(rows.fetchall())
    db.close()
    return found


ROWS: Final = (
    Row(
        "F02",
        "the journal's log cut at a random byte, sometimes with rubbish behind the cut",
        "opens, integrity_check ok, contents = a prefix of what was acked",
        torn_journals,
        short=100,
        long=1000,
        units=CUTS,
    ),
)
