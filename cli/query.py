"""gpi query: SQL over runs and lake."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import duckdb

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(
    epilog='Example: gpi query "SELECT run, count(*) fills, sum(fee) fees FROM fills GROUP BY run" '
    "--runs runs/. Views: orders fills equity metrics (of every run), ticks (the lake)."
)
def query(
    sql: Annotated[str, typer.Argument(help="One SELECT; nothing: list the views and their columns.")] = "",
    runs: Annotated[Path, typer.Option(help="Where run directories are, at any depth.")] = Path("runs"),
    lake: Annotated[Path, typer.Option(help="The Parquet lake.")] = Path("lake"),
    to: Annotated[str | None, typer.Option("--to", help="arrow, parquet, csv, jsonl or table.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="A file, by its suffix.")] = None,
) -> None:
    """Ask DuckDB. Views over the Parquet that runs and captures leave are ready; any file can be read by name."""
    import duckdb

    from gpi.cli.outputs import form_of, write_query
    from gpi.formats.errors import UsageError

    with duckdb.connect() as connection:
        connection.sql("SET TimeZone = 'UTC'")
        views = _views(connection, runs, lake)
        asked = sql or _listing(views)
        try:
            answer = connection.sql(asked)
        except duckdb.Error as error:
            have = ", ".join(views) or f"none: no runs under {runs}/, no lake under {lake}/"
            raise UsageError(f"{error}\n(views: {have})") from None
        if answer is None:
            raise UsageError("that statement gives no rows: gpi query answers SELECTs")
        write_query(answer.to_arrow_table(), form_of(to, str(out) if out else None, 1), out)


def _views(connection: "duckdb.DuckDBPyConnection", runs: Path, lake: Path) -> list[str]:
    """Make a view of everything that is there; the names made. A run is named by its path below `runs`."""
    made = []
    run = f"regexp_replace(replace(filename, {_quoted(runs)} || '/', ''), '/?[^/]+$', '') AS run"
    for name in ("orders", "fills", "equity"):
        if next(runs.glob(f"**/{name}.parquet"), None):
            files = _quoted(runs / "**" / f"{name}.parquet")
            made.append(name)
            connection.execute(
                f"CREATE VIEW {name} AS SELECT {run}, * EXCLUDE filename "
                f"FROM read_parquet({files}, filename = true, union_by_name = true)"
            )
    if next(runs.glob("**/performance_metrics.json"), None):
        files = _quoted(runs / "**" / "performance_metrics.json")
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
