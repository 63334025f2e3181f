"""gpi replay: recorded files as one stream of ticks."""

from typing import Annotated

import typer

from gpi.cli.io import Tool, source
from gpi.cli.recorded import recorded

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(epilog="Example: gpi replay lake/ --symbols @tier1 --speed 10 | gpi featurize --to table")
@source
def replay(
    sources: Annotated[list[str], typer.Argument(metavar="SOURCE...", help="Files, globs or a lake folder.")],
    speed: Annotated[str, typer.Option(help="max, realtime, or N times realtime.")] = "max",
    batch: Annotated[int | None, typer.Option(min=1, help="Rows per frame; else as recorded, or 8192.")] = None,
    symbols: Annotated[str | None, typer.Option(help="Only these: AAPL,MSFT or @tier1.")] = None,
    quarantine: Annotated[str | None, typer.Option(help="Write the dirty rows here (JSON lines).")] = None,
    as_written: Annotated[
        bool, typer.Option("--as-written", help="One file that gpi wrote: every column, its rows trusted.")
    ] = False,
    by_order: Annotated[
        bool, typer.Option("--by-order", help="With the columns of single orders, for --fill fifo (LOBSTER).")
    ] = False,
    since: Annotated[
        str | None, typer.Option(help="From then on: 2013-10-07 (New York's midnight), 2013-10-07T15:00:00Z.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Until just before then.")] = None,
) -> Tool:
    """Replay recorded files (gpi's own or a vendor's), merged by ts_event, as one stream of ticks.

    Dirty rows (NaN, negative, crossed, out of order, duplicate) are set aside, counted by reason and reported.
    """
    return Tool(*recorded(sources, speed, batch, symbols, quarantine, as_written, by_order, since, until))
