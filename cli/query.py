"""gpi query: SQL over runs and lake."""

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gpi.cli.running import running
from gpi.cli.terminal import say

if TYPE_CHECKING:
    import duckdb

ALLOW = (
    "What one SELECT may not do, by comma: write (COPY TO, EXPORT, tables; several statements; settings), "
    "attach (other databases), network (http, s3; extensions are installed and loaded)."
)

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(
    epilog='Example: gpi query "SELECT run, count(*) fills, sum(fee) fees FROM fills GROUP BY run" '
    "--runs runs/. Views: orders fills equity metrics (of every run), ticks (the lake)."
)
def query(
    sql: Annotated[str, typer.Argument(help="One SELECT, which only reads; nothing: list the views.")] = "",
    runs: Annotated[Path, typer.Option(help="Where run directories are, at any depth.")] = Path("runs"),
    lake: Annotated[Path, typer.Option(help="The Parquet lake.")] = Path("lake"),
    to: Annotated[str | None, typer.Option("--to", help="arrow, parquet, csv, jsonl or table.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="A file, by its suffix.")] = None,
    allow: Annotated[str, typer.Option("--allow", help=ALLOW)] = "",
) -> None:
    """Ask DuckDB. Views over the Parquet that runs and captures leave are ready; any file can be read by name.

    One statement that reads: nothing is written, attached, installed or fetched, unless --allow says so.
    """
    running().interruptible()
    try:
        from gpi.cli.asking import allowed, answered, connected, fitting
        from gpi.cli.outputs import form_of, write_query

        with tempfile.TemporaryDirectory(prefix="gpi-query-") as told, connected(allowed(allow)) as desk:
            views = _views(desk.connection, [runs, _told(runs, Path(told))], lake)
            have = ", ".join(views) or f"none: no runs under {runs}/, no lake under {lake}/"
            form = form_of(to, str(out) if out else None, 1)
            with fitting(form):
                write_query(answered(desk, sql or _listing(views), have), form, out)
    except KeyboardInterrupt:
        os._exit(130)  # a thread of DuckDB's that does not hear would hold up any other way out


def _told(runs: Path, into: Path) -> Path:
    """What the runs that have not ended have told so far, as run directories in a folder of their own."""
    from gpi.formats.errors import BadInput
    from gpi.tools.backtest.told import NAME

    logs = sorted(runs.glob(f"**/{NAME}"))
    if not logs:
        return into

    from gpi.tools.backtest.recovery import restored  # brings the engine along: half a second

    for log in logs:
        to = into / log.parent.relative_to(runs)
        try:
            found = restored(log.parent, to)
        except (BadInput, OSError) as wrong:
            say(f"note: what {log.parent} told is left out: {wrong}", err=True)
            shutil.rmtree(to, ignore_errors=True)
            continue
        say(f"note: {log.parent} has not ended: what it told up to row {found.ticks:,} is there", err=True)
    return into


def _views(connection: "duckdb.DuckDBPyConnection", roots: list[Path], lake: Path) -> list[str]:
    """Make a view of everything that is there; the names made. A run is named by its path below one of `roots`."""
    made = []
    below = "filename"
    for root in roots:
        below = f"replace({below}, {_quoted(root)} || '/', '')"
    run = f"regexp_replace({below}, '/?[^/]+$', '') AS run"
    for name in ("orders", "fills", "equity"):
        if files := _files(roots, f"{name}.parquet"):
            made.append(name)
            connection.execute(
                f"CREATE VIEW {name} AS SELECT {run}, * EXCLUDE filename "
                f"FROM read_parquet({files}, filename = true, union_by_name = true)"
            )
    if files := _files(roots, "performance_metrics.json"):
        made.append("metrics")
        connection.execute(
            f"CREATE VIEW metrics AS SELECT {run}, * EXCLUDE filename "
            f"FROM read_json({files}, filename = true, union_by_name = true)"
        )
    if next(lake.glob("**/*.parquet"), None):
        made.append("ticks")
        connection.execute(
            f"CREATE VIEW ticks AS SELECT * FROM read_parquet({_quoted(lake / '**' / '*.parquet')}, "
            "hive_partitioning = true, union_by_name = true)"
        )
    return made


def _files(roots: list[Path], name: str) -> str:
    """All files of that name below the roots, as DuckDB takes them; "" where there is none."""
    found = [_quoted(root / "**" / name) for root in roots if next(root.glob(f"**/{name}"), None)]
    return f"[{', '.join(found)}]" if found else ""


def _quoted(path: Path) -> str:
    escaped = os.fspath(path).replace("'", "''")
    return f"'{escaped}'"


def _listing(views: list[str]) -> str:
    if not views:
        return "SELECT 'none' AS view, 'no runs and no lake here: --runs DIR, --lake DIR' AS columns"
    return (
        "SELECT table_name AS view, string_agg(column_name, ' ' ORDER BY ordinal_position) AS columns "
        "FROM information_schema.columns GROUP BY table_name ORDER BY table_name"
    )
