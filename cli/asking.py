"""One question to DuckDB: what a statement may do, and a question that never ends can be given up.

A SELECT of DuckDB can write: `WITH x AS (COPY ... TO 'f') FROM x` is one, and table functions run SQL of their own.
So there are three walls: files are reached only below the root's ordinary folders (not /proc, which shows the
environment), without network and without extensions; the statement must be of the kind SELECT; and its plan, made
before it runs, must hold nothing that writes or that hides another statement.
"""

import contextlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa

from gpi.cli.running import running
from gpi.cli.terminal import say
from gpi.formats.errors import UsageError

WRITE, ATTACH, NETWORK = "write", "attach", "network"
RIGHTS: Final = (WRITE, ATTACH, NETWORK)
NEEDS: Final = {"ATTACH": ATTACH, "DETACH": ATTACH, "LOAD": NETWORK, "EXTENSION": NETWORK}  # of other kinds: write
DEEDS: Final = ("COPY", "INSERT", "UPDATE", "DELETE", "MERGE_INTO", "CREATE", "EXECUTE", "EXTERNAL_RESOURCE", "EXPORT")
STRANGE: Final = ("proc", "sys", "dev")  # folders of the root that hold no files
PATIENCE_S: Final = 2.0  # for DuckDB to give up a question
LOOK_S: Final = 0.2  # at whether somebody gave it up
BATCH_ROWS: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Desk:
    """A connection and what may be asked of it."""

    connection: duckdb.DuckDBPyConnection
    rights: frozenset[str]


def allowed(words: str) -> frozenset[str]:
    """The rights named in --allow. Raises UsageError for a word that is none."""
    rights = frozenset(word.strip() for word in words.split(",") if word.strip())
    for word in sorted(rights - set(RIGHTS)):
        raise UsageError(f"--allow {word}: choose of {', '.join(RIGHTS)}, separated by commas")
    return rights


@contextlib.contextmanager
def connected(rights: frozenset[str]) -> Iterator[Desk]:
    """A database in memory that may do no more than `rights`; what it spills goes to a folder that is then removed."""
    spill = tempfile.mkdtemp(prefix="gpi-query-")
    network = "true" if NETWORK in rights else "false"
    settings = {
        "python_enable_replacements": "false",  # a name in the SQL would find our own variables
        "allow_community_extensions": "false",
        "allow_persistent_secrets": network,
        "autoinstall_known_extensions": network,
        "autoload_known_extensions": network,
        "temp_directory": spill,
        "max_temp_directory_size": f"{shutil.disk_usage(spill).free // 2 >> 20}MiB",
    }
    connection = duckdb.connect(config=settings)
    try:
        connection.execute("SET TimeZone = 'UTC'")
        if not rights & {ATTACH, NETWORK}:
            connection.execute(f"SET allowed_directories = [{', '.join(map(_quoted, _folders()))}]")
            connection.execute("SET enable_external_access = false")
        if WRITE not in rights:
            connection.execute("SET lock_configuration = true")
        yield Desk(connection, rights)
    finally:
        with contextlib.suppress(duckdb.Error):  # still busy, if it was given up
            connection.close()
        shutil.rmtree(spill, ignore_errors=True)


def _folders() -> list[Path]:
    """Where files are: the folders of the root, without those that show the system and its processes."""
    return [each for each in sorted(Path("/").iterdir()) if each.is_dir() and each.name not in STRANGE]


def _quoted(path: Path) -> str:
    escaped = os.fspath(path).replace("'", "''")
    return f"'{escaped}'"


def answered(desk: Desk, sql: str, views: str) -> pa.RecordBatchReader:
    """The rows of a statement, as they are asked for. Raises UsageError for what is wrong with it, or not allowed."""
    with _worded(views):
        statements = desk.connection.extract_statements(sql)
        if not statements:
            raise UsageError("there is no statement: gpi query answers one SELECT")
        if len(statements) > 1 and WRITE not in desk.rights:
            raise UsageError(
                f"that is {len(statements)} statements: gpi query answers one SELECT (--allow {WRITE}: any)"
            )
        for statement in statements:
            _judge(desk, statement)
        for statement in statements[:-1]:
            _interruptible(desk.connection, lambda each=statement: _carried_out(desk.connection, each))
        asked = _interruptible(desk.connection, lambda: desk.connection.sql(statements[-1].query))
        if asked is None:
            return pa.table({"done": pa.array([True])}).to_reader()
        rows = _interruptible(desk.connection, lambda: asked.to_arrow_reader(BATCH_ROWS))
    return _told_apart(pa.RecordBatchReader.from_batches(rows.schema, _batches(desk, rows, views)))


def _carried_out(connection: duckdb.DuckDBPyConnection, statement: duckdb.Statement) -> None:
    """All of it: DuckDB begins nothing else while rows of an answer wait."""
    connection.execute(statement)
    while connection.fetchmany(BATCH_ROWS):
        pass


def _batches(desk: Desk, rows: pa.RecordBatchReader, views: str) -> Iterator[pa.RecordBatch]:
    while True:
        with _worded(views):
            batch = _interruptible(desk.connection, lambda: next(iter(rows), None))
        if batch is None:
            return
        yield batch


def _told_apart(rows: pa.RecordBatchReader) -> pa.RecordBatchReader:
    """The same rows, no name twice: by its names a row would lose a column, and a file could not be asked for it."""
    names: list[str] = []
    for name in rows.schema.names:
        free, n = name, 0
        while free in names or (n and free in rows.schema.names):
            n += 1
            free = f"{name}_{n}"
        names.append(free)
    given = [f"{new} (another {old})" for old, new in zip(rows.schema.names, names, strict=True) if old != new]
    if not given:
        return rows
    say(f"note: a name stands for two columns: here is {', '.join(given[:8])}; AS names them", err=True)
    schema = pa.schema([field.with_name(name) for field, name in zip(rows.schema, names, strict=True)])
    renamed = (pa.RecordBatch.from_arrays(batch.columns, schema=schema) for batch in rows)
    return pa.RecordBatchReader.from_batches(schema, renamed)


@contextlib.contextmanager
def fitting(form: str) -> Iterator[None]:
    """Around writing an answer. Raises UsageError for values that the form, or Python, has no way to write."""
    try:
        yield
    except (pa.ArrowException, ArithmeticError, ValueError, TypeError) as error:
        words = " ".join(str(error).split())[:200]
        raise UsageError(
            f"--to {form} cannot hold every value ({words}): CAST(column AS VARCHAR), or --to arrow"
        ) from None


@contextlib.contextmanager
def _worded(views: str) -> Iterator[None]:
    try:
        yield
    except (duckdb.Error, pa.ArrowException, RecursionError) as error:
        raise UsageError(f"{error}\n(views: {views})") from None


def _judge(desk: Desk, statement: duckdb.Statement) -> None:
    """Raise UsageError for a statement that may not run here."""
    kind = statement.type.name
    if kind != "SELECT":
        need = NEEDS.get(kind, WRITE)
        if need not in desk.rights:
            hint = " (a PIVOT is one SELECT with ON column IN (values))" if kind == "MULTI" else ""
            said = statement.query.split(maxsplit=1)[0].upper() if kind == "LOAD" else kind  # INSTALL is one, too
            raise UsageError(f"gpi query answers one SELECT, and that is {said}{hint}: --allow {need} permits it")
    elif WRITE not in desk.rights:
        for step in _plan(desk.connection, statement.query):
            if any(deed in step for deed in DEEDS):
                raise UsageError(f"that SELECT would do more than read ({step}): --allow {WRITE} permits it")


def _plan(connection: duckdb.DuckDBPyConnection, sql: str) -> list[str]:
    """The names of the steps that DuckDB would take, table functions by their own."""
    asked = f"EXPLAIN (FORMAT json)\n{sql}"  # a line of its own: an error shows the line of what was asked, no more
    try:
        ((_, told),) = _interruptible(connection, lambda: connection.execute(asked).fetchall())
    except duckdb.Error as error:
        raise duckdb.Error(re.sub(r"\bLINE (\d+):", lambda line: f"LINE {int(line[1]) - 1}:", str(error))) from None
    steps, waiting = [], list(json.loads(told))
    while waiting:
        step = waiting.pop()
        steps.append(str(step["name"]).upper())
        waiting += step["children"]
    return steps


def _interruptible(connection: duckdb.DuckDBPyConnection, work: Any) -> Any:
    """What `work` gives, done in another thread: DuckDB does not look at signals, and Ctrl-C must end it."""
    import threading

    done: list[Any] = []

    def working() -> None:
        try:
            done.append((work(), None))
        except BaseException as error:  # carried to the thread that waits
            done.append((None, error))

    thread = threading.Thread(target=working, daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            thread.join(LOOK_S)
            if running().interrupted:
                raise KeyboardInterrupt
    except KeyboardInterrupt:
        with contextlib.suppress(duckdb.Error):
            connection.interrupt()
        thread.join(PATIENCE_S)
        raise
    result, error = done[0]
    if error is not None:
        raise error
    return result
