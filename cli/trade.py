"""gpi trade: strategy, risk gate and broker in one process."""

from dataclasses import replace
from typing import Annotated

import typer

from gpi.cli.io import Tool, trading
from gpi.cli.trading import desk, live
from gpi.tools.desk.account import Account
from gpi.tools.desk.options import Options

app = typer.Typer(rich_markup_mode=None, add_completion=False)

HERE = (
    "choose where orders go: --paper (filled here), or --broker alpaca with --paper or --live; --url, --account, "
    "--key-file, --journal, --claim, --take-over, --pace, --kill and --rearm go with --broker alpaca"
)


@app.command(
    epilog="Example: gpi replay day.parquet --speed realtime | gpi featurize | gpi embed | "
    "gpi trade --paper --strategy market_making --out runs/today. At a broker: gpi capture --source alpaca "
    "--symbols SPY,NVDA | gpi featurize | gpi embed | gpi trade --broker alpaca --paper --out runs/today; end all: "
    "gpi trade --broker alpaca --paper --kill, and when it is over, --rearm; take what is held: --claim SPY"
)
@trading
def trade(
    options: Options,
    where: Account,
    paper: Annotated[bool, typer.Option("--paper", help="Play money: the local kernel, or --broker's.")] = False,
    broker: Annotated[str | None, typer.Option(help="alpaca: send the orders there.")] = None,
    kill: Annotated[bool, typer.Option("--kill", help="Cancel all at the broker, suspend trading, end.")] = False,
    rearm: Annotated[bool, typer.Option("--rearm", help="End a kill: trading may start again.")] = False,
    out: desk.OutDir = None,
) -> Tool:
    """Trade a stream of ticks. Every order passes the risk gate; the orders go down the pipe.

    The engine of `gpi backtest`: a recorded stream gives the same again (`gpi verify`). --broker: docs/trading_live.md.
    """
    from gpi.formats.errors import UsageError

    if broker is None:
        if (
            not paper
            or kill
            or rearm
            or replace(where, claim=where.claim or None) != Account(kill_file=where.kill_file)
        ):
            raise UsageError(HERE)
        return desk.desk(options, out, where.kill_file)
    if broker != "alpaca":
        raise UsageError(f"--broker {broker}: only alpaca so far")
    if paper == where.real:
        raise UsageError("choose the account: --broker alpaca --paper, or --broker alpaca --live --account NUMBER")
    if kill or rearm:
        live.switch(where, kill)
        raise typer.Exit()
    return live.live(options, out, where)
