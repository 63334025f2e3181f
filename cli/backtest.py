"""gpi backtest: the trading engine over recorded data."""

import typer

from gpi.cli.io import Tool, trading
from gpi.cli.trading import desk
from gpi.tools.desk.options import Options

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(
    epilog="Example: gpi replay lake/date=2026-11-19 | gpi featurize | gpi embed | "
    "gpi backtest --strategy momentum --param horizon_s=5 --out runs/a"
)
@trading
def backtest(options: Options, out: desk.OutDir = None, answers: desk.Answers = None) -> Tool:
    """Run a strategy over recorded ticks: queue position, latencies, fees, partial fills and halts included.

    The same engine as `gpi trade --paper`: the same stream gives the same orders and fills. From Python:
    `gpi.backtest(source, strategy, **options)`.
    """
    return desk.desk(options, out, None, answers)
