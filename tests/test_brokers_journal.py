"""The order journal: what was committed is there, whatever happens to its process or its last bytes."""

import os
import random
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from gpi.formats.errors import UsageError
from gpi.formats.execution import NEW, OrderRequest
from gpi.tools.brokers.journal import Journal, JournalError
from gpi.tools.brokers.tables import SCHEMA

WRITER = """
import sys
from pathlib import Path
from gpi.formats.execution import NEW, OrderRequest
from gpi.tools.brokers.journal import Journal
journal = Journal(Path(sys.argv[1]))
journal.begin_run(1, "A", "", {})
n = 0
while True:
    for _ in range(1 + n % 5):
        n += 1
        journal.intend(journal.client_id("A", n), OrderRequest(NEW, n, n, 0, "AAA", 1), {"qty": "1"}, n)
    journal.commit()
    print(journal.epoch, n, flush=True)
"""


def filled(path: Path, commits: int) -> list[int]:
    """A journal with that many commits, still open in its log; the number of rows after each commit."""
    journal, rows, n = Journal(path), [0], 0
    journal.begin_run(1, "A", "", {})
    for k in range(commits):
        for _ in range(1 + k % 3):
            n += 1
            journal.intend(journal.client_id("A", n), OrderRequest(NEW, n, n, 0, "AAA", 1), {"qty": "1"}, n)
        journal.commit()
        rows.append(n)
    for suffix in ("", "-wal"):
        shutil.copy(f"{path}{suffix}", f"{path}.kept{suffix}")
    journal.close()
    return rows


def test_every_acknowledged_row_survives_kill_9(tmp_path: Path) -> None:
    """Killed at random moments, again and again: nothing that was said to be durable is missing."""
    dice, path, promised = random.Random(7), tmp_path / "j", {}
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    for _ in range(6):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True, env=environment
        ) as process:
            assert process.stdout
            for _ in range(dice.randint(1, 40)):
                epoch, n = process.stdout.readline().split()
            process.kill()
            said = process.stdout.read().splitlines()
        promised[int(epoch)] = int((said[-1] if said and len(said[-1].split()) == 2 else f"{epoch} {n}").split()[1])
        journal = Journal(path)
        journal.check()
        for run, most in promised.items():
            found = journal.rows("SELECT order_id FROM orders WHERE epoch = ? ORDER BY order_id", run)
            assert [row[0] for row in found][:most] == list(range(1, most + 1))
        journal.close()
    assert len(promised) == 6, "every life has an epoch of its own"


def test_a_torn_log_opens_as_a_prefix_of_what_was_committed(tmp_path: Path) -> None:
    """Cut at any byte: sound, and ending between two commits."""
    dice, path = random.Random(3), tmp_path / "j"
    whole = set(filled(path, 30))
    log = Path(f"{path}.kept-wal").read_bytes()
    for n in range(150):
        torn = tmp_path / f"t{n}"
        shutil.copy(f"{path}.kept", torn)
        Path(f"{torn}-wal").write_bytes(log[: dice.randint(0, len(log))])
        journal = Journal(torn)
        journal.check()
        found = [row[0] for row in journal.rows("SELECT order_id FROM orders ORDER BY order_id")]
        assert found == list(range(1, len(found) + 1)) and len(found) in whole
        journal.close()


def test_ids_never_come_twice(tmp_path: Path) -> None:
    """Not in another run of one journal, not in another journal of one account."""
    seen = set()
    for name in ("a", "a", "b", "b"):
        journal = Journal(tmp_path / name)
        journal.begin_run(1, "PA1234567", "", {})
        made = {journal.client_id("PA1234567", n) for n in range(1, 50)}
        assert not made & seen and all(len(each) <= 128 for each in made)
        assert {journal.client_id("PA1234567", n) for n in range(1, 50)} == made
        seen |= made
        journal.close()


def test_one_trader_at_a_time(tmp_path: Path) -> None:
    """The second one is told so, and does not touch it."""
    journal = Journal(tmp_path / "j")
    with pytest.raises(UsageError, match="one trader per account"):
        Journal(tmp_path / "j")
    journal.close()
    Journal(tmp_path / "j").close()


def test_a_disk_that_is_full_fails_the_commit_and_a_later_one_makes_up_for_it(tmp_path: Path) -> None:
    """Nothing of a failed commit is there; nothing of it is lost, either."""
    journal = Journal(tmp_path / "j")
    journal.begin_run(1, "A", "", {})
    pages = journal.first("PRAGMA page_count")[0]
    journal._db.execute(f"PRAGMA max_page_count = {pages}")
    for n in range(1, 400):
        journal.intend(journal.client_id("A", n), OrderRequest(NEW, n, n, 0, "AAA", 1), {"qty": "1"}, n)
    with pytest.raises(JournalError, match="full"):
        journal.commit()
    assert journal.first("SELECT count(*) FROM orders")[0] == 0
    journal._db.execute("PRAGMA max_page_count = 100000")
    journal.commit()
    assert journal.first("SELECT count(*) FROM orders")[0] == 399
    journal.close()


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    """Not a journal, or one with holes: named, not overwritten."""
    path = tmp_path / "j"
    path.write_bytes(b"this is no database at all" * 100)
    with pytest.raises(JournalError):
        Journal(path)
    assert path.read_bytes().startswith(b"this is no database")


def test_power_is_asked_for_at_every_commit(tmp_path: Path) -> None:
    """synchronous=FULL and a write-ahead log; the file is its owner's alone."""
    journal = Journal(tmp_path / "j")
    assert journal.first("PRAGMA synchronous")[0] == 2
    assert journal.first("PRAGMA journal_mode")[0] == "wal"
    assert (tmp_path / "j").stat().st_mode & 0o077 == 0
    journal.close()
    with sqlite3.connect(tmp_path / "j") as again:
        assert again.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    again.close()


CHANGES = [
    "CREATE TRIGGER forget BEFORE INSERT ON orders BEGIN SELECT RAISE(IGNORE); END",
    "CREATE TRIGGER fill AFTER INSERT ON about BEGIN DELETE FROM flags; END",
    "CREATE VIEW looks AS SELECT 1",
    "CREATE TABLE more (x)",
    "CREATE UNIQUE INDEX once ON events (source)",
    "ALTER TABLE flags ADD COLUMN x",
    "DROP TABLE flags; CREATE TABLE flags (name TEXT PRIMARY KEY, value TEXT, since INTEGER CHECK (since < 0))",
    "DROP TABLE flags; CREATE VIEW flags AS SELECT 'kill' AS name, '' AS value, 0 AS since WHERE 0",
    "DROP INDEX of_order; CREATE INDEX of_order ON executions (symbol)",
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_journal_that_is_not_as_it_was_made_is_not_believed(tmp_path: Path, change: str) -> None:
    """A trigger, a view, a table or an index of somebody else's: named, with the fix, and nothing is written."""
    path = tmp_path / "j"
    Journal(path).close()
    db = sqlite3.connect(path)
    db.executescript(change)
    db.close()
    before = path.read_bytes()
    with pytest.raises(UsageError, match=r"gpi (makes|does not make).*not believed.*(copy|move it away)"):
        Journal(path)
    assert path.read_bytes() == before
    with pytest.raises(UsageError, match="not believed"):  # not "another trader holds this account"
        Journal(path)


def test_a_journal_of_an_older_release_that_lacks_a_table_is_completed(tmp_path: Path) -> None:
    """What is missing is made; line breaks in what made the rest do not matter."""
    path = tmp_path / "j"
    Journal(path).close()
    db = sqlite3.connect(path)
    db.executescript("DROP TABLE days; DROP TABLE flags;")
    db.execute(
        "CREATE TABLE flags (name TEXT PRIMARY KEY,\n  value TEXT NOT NULL, since INTEGER NOT NULL) WITHOUT ROWID"
    )
    db.close()
    journal = Journal(path)
    assert journal.day(1) is None
    journal.close()


def test_a_row_that_was_not_kept_fails_the_commit(tmp_path: Path) -> None:
    """A trigger of later than the opening: an intent that is not in the journal is not sent."""
    journal = Journal(tmp_path / "j")
    journal.begin_run(1, "A", "", {})
    journal._db.execute(CHANGES[0])
    journal.intend(journal.client_id("A", 1), OrderRequest(NEW, 1, 1, 0, "AAA", 1), {"qty": "1"}, 1)
    with pytest.raises(JournalError, match="0 rows were kept of one"):
        journal.commit()
    journal._db.execute("DROP TRIGGER forget")
    journal.commit()
    assert journal.first("SELECT count(*) FROM orders")[0] == 1
    journal.close()


CRAMPED = """
import resource, signal, sys
from pathlib import Path
from gpi.tools.brokers.journal import Journal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
room = int(sys.argv[2])
if room < 100_000:
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
journal = Journal(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
for n in range(1000):
    journal.heard("rest", "x" * 1000, n)
journal.commit()
"""


@pytest.mark.parametrize("room", [2_000, 20_000, 200_000])
def test_a_journal_without_room_says_so(tmp_path: Path, room: int) -> None:
    """At the opening, and later: SQLite alone says "disk I/O error"."""
    words = [sys.executable, "-c", CRAMPED, str(tmp_path / "j"), str(room)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    said = done.stderr.splitlines()[-1]
    assert "JournalError" in said and "no room" in said and f"Make room in {tmp_path}" in said, done.stderr


def test_a_journal_has_all_its_tables_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whenever its maker dies: the last table cannot be made here, and the first is not there either."""
    path = tmp_path / "orders.sqlite"
    monkeypatch.setattr("gpi.tools.brokers.journal.SCHEMA", SCHEMA + "CREATE TABLE orders (twice TEXT);")
    with pytest.raises(JournalError, match="already exists"):
        Journal(path)
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT name FROM sqlite_master").fetchall() == []
    db.close()
    monkeypatch.undo()
    Journal(path).close()
