"""gpi trade: strategy, risk gate and broker in one process."""

from pathlib import Path
from typing import Annotated

import typer

from gpi.cli import desk, live
from gpi.cli.account import Account, pull_kill, release
from gpi.cli.io import Tool, trading
from gpi.tools.desk.options import Options

app = typer.Typer(rich_markup_mode=None, add_completion=False)

HERE = (
    "choose where orders go: --paper (filled here), or --broker alpaca with --paper or --live; --url, --account, "
    "--key-file, --journal, --claim, --take-over, --pace, --kill and --rearm go with --broker alpaca"
)
Claim = Annotated[list[str] | None, typer.Option(help="Take this symbol's foreign position as ours; ALL; repeat.")]
KillFile = Annotated[
    Path | None, typer.Option(help="When this file appears: cancel everything, refuse the rest, exit 4.")
]


@app.command(
    epilog="Example: gpi replay day.parquet --speed realtime | gpi featurize | gpi embed | "
    "gpi trade --paper --strategy market_making --out runs/today. At a broker: gpi capture --source alpaca "
    "--symbols SPY,NVDA | gpi featurize | gpi embed | gpi trade --broker alpaca --paper --out runs/today; end all: "
    "gpi trade --broker alpaca --paper --kill, and when it is over, --rearm; take what is held: --claim SPY"
)
@trading
def trade(
    options: Options,
    paper: Annotated[bool, typer.Option("--paper", help="Play money: the local kernel, or --broker's.")] = False,
    broker: Annotated[str | None, typer.Option(help="alpaca: send the orders there.")] = None,
    real: Annotated[bool, typer.Option("--live", help="Real money, with --broker and --account.")] = False,
    account: Annotated[
        str | None, typer.Option(help="The account number that --live trades; it is asked again.")
    ] = None,
    url: Annotated[str | None, typer.Option(help="A venue on this machine instead of Alpaca (`gpi venue`).")] = None,
    key_file: Annotated[Path | None, typer.Option(help="Keys of the broker: TOML or JSON, mode 600.")] = None,
    journal: Annotated[Path | None, typer.Option(help="Order journal; else one per account, kept for good.")] = None,
    claim: Claim = None,
    take_over: Annotated[bool, typer.Option("--take-over", help="Cancel the orders of a trader that is dead.")] = False,
    pace: Annotated[float, typer.Option(min=1, help="How many times as fast the --url venue plays.")] = 1.0,
    kill: Annotated[bool, typer.Option("--kill", help="Cancel all at the broker, suspend trading, end.")] = False,
    rearm: Annotated[bool, typer.Option("--rearm", help="End a kill: trading may start again.")] = False,
    out: desk.OutDir = None,
    kill_file: KillFile = None,
) -> Tool:
    """Trade a stream of ticks. Every order passes the risk gate; the orders go down the pipe.

    The engine of `gpi backtest`: a recorded stream gives the same again (`gpi verify`). --broker: docs/trading_live.md.
    """
    from gpi.formats.errors import UsageError

    where = Account(real, account, url, key_file, journal, kill_file, tuple(claim or ()), take_over, pace)
    if broker is None:
        if not paper or kill or rearm or where != Account(kill_file=kill_file):
            raise UsageError(HERE)
        return desk.desk(options, out, kill_file)
    if broker != "alpaca":
        raise UsageError(f"--broker {broker}: only alpaca so far")
    if paper == real:
        raise UsageError("choose the account: --broker alpaca --paper, or --broker alpaca --live --account NUMBER")
    if kill or rearm:
        (pull_kill if kill else release)(where)
        raise typer.Exit()
    return live.live(options, out, where)
