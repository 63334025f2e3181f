"""gpi replay: recorded files as one stream of ticks."""

from typing import Annotated

import typer

from gpi.cli.io import Tool, running, source

app = typer.Typer(rich_markup_mode=None)


@app.command(epilog="Example: gpi replay lake/ --symbols @tier1 --speed 10 | gpi featurize --to table")
@source
def replay(
    sources: Annotated[list[str], typer.Argument(metavar="SOURCE...", help="Files, globs or a lake folder.")],
    speed: Annotated[str, typer.Option(help="max, realtime, or N times realtime.")] = "max",
    batch: Annotated[int, typer.Option(min=1, help="Rows per frame.")] = 8192,
    symbols: Annotated[str | None, typer.Option(help="Only these: AAPL,MSFT or @tier1.")] = None,
    quarantine: Annotated[str | None, typer.Option(help="Write the dirty rows here (.parquet).")] = None,
) -> Tool:
    """Replay recorded files (gpi's own or a vendor's), merged by ts_event, as one stream of ticks.

    Dirty rows (NaN, negative, crossed, out of order, duplicate) are set aside, counted by reason and reported.
    """
    return recorded(sources, speed, batch, symbols, quarantine)


def recorded(
    sources: list[str],
    speed: str = "max",
    batch: int = 8192,
    symbols: str | None = None,
    quarantine: str | None = None,
) -> Tool:
    """The files as a source; raises UsageError or BadInput before the first row when they cannot be."""
    raise NotImplementedError
