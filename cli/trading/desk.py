"""What `gpi trade` and `gpi backtest` share: a session as a tool of the pipe, and its last words."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gpi.cli.io import Tool
from gpi.cli.running import Run, running
from gpi.cli.terminal import say
from gpi.tools.desk.options import Options

if TYPE_CHECKING:
    from collections.abc import Callable

    from gpi.tools.backtest.setup import Setup
    from gpi.tools.desk.session import Desk, Opening

Answers = Annotated[
    Path | None, typer.Option(help="Repeat a live run: its answers.parquet, what the broker told it, row by row.")
]
OutDir = Annotated[Path | None, typer.Option("--out", help="Run directory: orders, fills, equity, metrics, manifest.")]


def desk(options: Options, out: Path | None, kill_file: Path | None, answers: Path | None = None) -> Tool:
    """The tool of a trading command. Raises UsageError for a strategy, parameter or limit that is not right."""
    from gpi.tools.desk.broker import Paper, Recorded
    from gpi.tools.desk.setting import setup_of

    setup = setup_of(options, external=answers is not None)
    broker = Paper(kill_file) if answers is None else Recorded(answers, kill_file)
    return tool(
        setup, options.fees, lambda instruments, fitted: broker, out, lambda line: say(f"gpi: {line}", err=True)
    )


def tool(setup: "Setup", fees: str, opening: "Opening", out: Path | None, tell: "Callable[[str], None]") -> Tool:
    """A session of that setup at the broker that `opening` makes, as a tool of the pipe."""
    from gpi.tools.desk.session import Desk

    run = running()
    made = Desk(setup, fees, opening, out, run, tell)
    return Tool(made.trade, {"strategy": setup.strategy.digest}, partial(_conclude, made, run), in_any_case=True)


def _conclude(desk: "Desk", run: Run) -> None:
    """The summary, the broker's last words, then what went wrong (exit 4 or 5), if anything did."""
    from gpi.cli.summary import summary

    if desk.session is None or desk.broker is None:
        return
    if run.left:
        desk.say("whoever read the orders has left: they are cancelled, and trading has ended")
    summary(desk.session, desk.metrics, run.latencies, desk.out)
    for line in desk.broker.last_words(float(desk.session.account.cash)):
        desk.say(line)
    failure = desk.failure()
    if failure is not None:
        raise failure
