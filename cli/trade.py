"""gpi trade: strategy, risk gate and broker in one process."""

from pathlib import Path
from typing import Annotated

import typer

from gpi.cli import desk
from gpi.cli.io import Tool, trading

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(
    epilog="Example: gpi replay day.parquet --speed realtime | gpi featurize | gpi embed | "
    "gpi trade --paper --strategy market_making --out runs/today"
)
@trading
def trade(
    paper: Annotated[bool, typer.Option("--paper", help="Fill orders by the local matching kernel.")] = False,
    strategy: desk.Strategy = "market_making",
    param: desk.Param = None,
    limits: desk.Limits = None,
    fees: desk.Fees = "auto",
    cash: desk.Cash = 1_000_000.0,
    feed_ms: desk.FeedMs = 0.0,
    order_ms: desk.OrderMs = 1.0,
    response_ms: desk.ResponseMs = 1.0,
    out: desk.OutDir = None,
    kill_file: Annotated[
        Path | None, typer.Option(help="When this file appears: cancel everything, refuse the rest, exit 4.")
    ] = None,
    kill_row: desk.KillRow = None,
) -> Tool:
    """Trade a stream of ticks. Every order passes the risk gate; the orders go down the pipe.

    The same engine as `gpi backtest`, on event time: a recorded stream gives the same orders and fills again,
    which `gpi verify` proves.
    """
    from gpi.formats.errors import UsageError

    if not paper:
        raise UsageError("choose where orders go: gpi trade --paper (the only broker so far)")
    terms = desk.Terms(strategy, param, limits, fees, cash, (feed_ms, order_ms, response_ms), kill_row)
    return desk.desk(terms, out, kill_file)
