"""SQL that somebody else wrote: it reads what it is told to read, and does nothing else."""

import os
import signal
import subprocess
import time
from pathlib import Path

import duckdb
import pytest

from gpi.cli import asking
from gpi.cli.asking import answered, connected
from gpi.cli.running import running
from gpi.formats.errors import UsageError
from tests.shell import GPI, ROOT, environment, gpi

COPIED = "COPY (SELECT 1 AS a) TO 'PATH/x.csv'"
WRITES = [
    COPIED,
    f"WITH x AS ({COPIED}) FROM x",
    f"WITH x AS ({COPIED}) SELECT 1",
    f"EXPLAIN ANALYZE {COPIED}",
    f"SELECT 1; {COPIED}",
    "SELECT * FROM query('" + COPIED.replace("'", "''") + "')",
    "SELECT * FROM query('WITH x AS (" + COPIED.replace("'", "''") + ") FROM x')",
    "FROM json_execute_serialized_sql(json_serialize_sql('WITH x AS (" + COPIED.replace("'", "''") + ") FROM x'))",
    "SELECT (WITH x AS (" + COPIED + ") SELECT count(*) FROM x)",
    "COPY (PIVOT (SELECT 1 a, 2 b) ON a USING sum(b)) TO 'PATH/x.csv'",
    "EXPORT DATABASE 'PATH/x'",
    "ATTACH 'PATH/x.db'",
    "CREATE TABLE t AS SELECT 1",
    "FROM enable_logging(storage = 'file', storage_path = 'PATH/x')",
    "PRAGMA enable_profiling",
    "SET profile_output = 'PATH/x'",
    "CALL enable_logging()",
]
ELSEWHERE = [
    "INSTALL httpfs",
    "LOAD httpfs",
    "FROM 'http://127.0.0.1:1/a.csv'",
    "FROM read_csv('https://127.0.0.1:1/a.csv')",
    "FROM 's3://bucket/a.parquet'",
    "FROM read_text('/proc/self/environ')",
    "FROM read_csv('/proc/self/environ', header = false, columns = {'a': 'VARCHAR'}, delim = '|')",
    "FROM read_text('PATH/../../../../../../proc/self/environ')",
    "FROM read_text('PATH/link')",
    "FROM glob('/proc/self/*')",
    "SELECT getenv('HOME')",
    "FROM hidden",
    "FROM sqlite_scan('PATH/a', 'b')",
    "SET enable_external_access = true",
]


def asked(sql: str, *rights: str) -> list[dict[str, object]]:
    """The rows of an answer."""
    import pyarrow as pa

    hidden = pa.table({"a": ["a local variable"]})
    assert hidden.num_rows
    with connected(frozenset(rights)) as desk:
        return list(answered(desk, sql, "none").read_all().to_pylist())


@pytest.mark.parametrize("sql", [*WRITES, *ELSEWHERE])
def test_a_query_that_does_more_than_read_is_refused(tmp_path: Path, sql: str) -> None:
    """And leaves nothing behind."""
    (tmp_path / "link").symlink_to("/proc/self/environ")
    with pytest.raises(UsageError):
        asked(sql.replace("PATH", str(tmp_path)))
    assert [each.name for each in tmp_path.iterdir()] == ["link"]


def test_files_are_read_by_name_as_ever(tmp_path: Path) -> None:
    """Paths, globs, folders of a lake; text of any name; relative to where we are."""
    (tmp_path / "d=1").mkdir()
    (tmp_path / "d=1" / "a.csv").write_text("a,b\n1,2\n")
    (tmp_path / "a.json").write_text('{"a": 3}')
    assert asked(f"FROM '{tmp_path}/d=1/a.csv'") == [{"a": 1, "b": 2, "d": 1}]
    assert asked(f"FROM read_csv('{tmp_path}/**/*.csv', hive_partitioning = true)") == [{"a": 1, "b": 2, "d": 1}]
    assert asked(f"FROM '{tmp_path}/a.json'") == [{"a": 3}]
    assert asked(f"SELECT count(*) n FROM glob('{os.path.relpath(tmp_path)}/*')") == [{"n": 1}]


@pytest.mark.parametrize(
    "sql",
    ["SHOW TABLES", "DESCRIBE SELECT 1", "SUMMARIZE SELECT 1 a", "FROM range(3)", "VALUES (1)", "-- a\nSELECT 1",
     "WITH RECURSIVE t AS (SELECT 1 x UNION ALL SELECT x + 1 FROM t WHERE x < 5) FROM t",
     "PIVOT (SELECT 1 a, 2 b) ON a IN (1) USING sum(b)", "SELECT 'COPY', 'DELETE' AS \"INSERT\""],
)  # fmt: skip
def test_whatever_reads_is_answered(sql: str) -> None:
    """All the ways to ask."""
    asked(sql)


def test_a_flag_opens_what_it_names_and_no_more(tmp_path: Path) -> None:
    """Writing is not attaching."""
    asked(f"COPY (SELECT 1 AS a) TO '{tmp_path}/x.csv'", "write")
    assert (tmp_path / "x.csv").read_text() == "a\n1\n"
    with pytest.raises(UsageError, match="--allow attach"):
        asked(f"ATTACH '{tmp_path}/x.db'", "write")
    with pytest.raises(UsageError, match="--allow network"):
        asked("INSTALL httpfs", "write", "attach")
    asked(f"ATTACH '{tmp_path}/x.db'", "attach")
    assert b"choose of write" in gpi("query", "SELECT 1", "--allow", "all", check=2).stderr


def test_a_query_without_end_is_given_up_by_ctrl_c_and_spills_nothing_here(tmp_path: Path) -> None:
    """Exit 130; neither `.tmp` nor anything else stays in the working directory."""
    endless = "WITH RECURSIVE t AS (SELECT 1 x UNION ALL SELECT x + 1 FROM t) SELECT count(*) FROM t"
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    child = subprocess.Popen(
        [*GPI, "query", endless, "--to", "csv"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        env=environment(TMPDIR=str(scratch), PYTHONPATH=str(ROOT)),
    )
    for _ in range(600):
        if any(scratch.iterdir()):
            break
        time.sleep(0.05)
    time.sleep(0.5)
    child.send_signal(signal.SIGINT)
    try:
        _, said = child.communicate(timeout=60)
    finally:
        child.kill()
    assert child.returncode == 130, said
    assert list(tmp_path.iterdir()) == [scratch] and not any(scratch.iterdir())


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet", "table"])
def test_what_a_form_cannot_hold_is_refused_in_words_and_leaves_nothing(tmp_path: Path, form: str) -> None:
    """Every type there is: intervals, unions, dates beyond Python's; nothing half-written stays."""
    where = [] if form == "table" else ["--out", tmp_path / f"x.{form}"]
    done = gpi("query", "FROM test_all_types()", "--to", form, *where)
    assert done.returncode == 2 and b"CAST" in done.stderr and b"Traceback" not in done.stderr, done.stderr
    assert list(tmp_path.iterdir()) == []


def test_two_columns_of_one_name_both_arrive() -> None:
    """The second gets a number that no other has, and a note says so."""
    assert asked("SELECT 1 a, 2 a, 3 a_1, 4 a") == [{"a": 1, "a_2": 2, "a_1": 3, "a_3": 4}]
    done = gpi("query", "SELECT 1 a, 2 a", "--to", "jsonl")
    assert done.stdout == b'{"a": 1, "a_1": 2}\n' and b"a_1 (another a)" in done.stderr


def test_ctrl_c_that_was_swallowed_ends_a_question_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """It came in the middle of an import, or of a callback, which drop what is raised in them."""
    monkeypatch.setattr(running(), "interrupted", True)
    connection = duckdb.connect()
    endless = "WITH RECURSIVE t AS (SELECT 1 x UNION ALL SELECT x + 1 FROM t) SELECT count(*) FROM t"
    with pytest.raises(KeyboardInterrupt):
        asking._interruptible(connection, lambda: connection.execute(endless).fetchall())
    connection.close()


def test_several_statements_that_answer_are_allowed_together() -> None:
    """With --allow write: each is done to its end, the last is the answer."""
    sql = "SELECT * FROM range(100000); SELECT 2 AS b"
    assert gpi("query", "--allow", "write", sql, "--to", "csv", check=0).stdout.split() == [b'"b"', b"2"]


@pytest.mark.parametrize("sql, said", [
    ("INSTALL httpfs", b"that is INSTALL"), ("LOAD httpfs", b"that is LOAD"),
    ("SELECT * FROM nosuch", b"LINE 1: SELECT * FROM nosuch"), ("SELECT 1,\n nosuch", b"LINE 2:  nosuch"),
    ("SELECT 1,\n\n FROM (", b"LINE 3:  FROM ("),
])  # fmt: skip
def test_an_error_speaks_of_what_was_asked(sql: str, said: bytes) -> None:
    """In its words, at its line; nothing of how it is looked at."""
    told = gpi("query", sql, check=2).stderr
    assert said in told and b"EXPLAIN" not in told
