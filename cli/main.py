"""gpi: the command. Lists its tools without importing any; each is loaded when it is named."""

from gpi.formats import searchpath  # noqa: F401  # isort: skip  # before anything that could be planted where we are

import errno
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer._click import Command, Context
from typer.core import TyperCommand, TyperGroup

from gpi.cli.terminal import say, screened
from gpi.formats.version import __version__

Loader = Callable[[], typer.Typer]
FRAMES = 1 << 15  # words: of a piece of twice as many, which the system gives as it is used


def _replay() -> typer.Typer:
    from gpi.cli.replay import app

    return app


def _capture() -> typer.Typer:
    from gpi.cli.capture import app

    return app


def _simulate() -> typer.Typer:
    from gpi.cli.simulate import app

    return app


def _featurize() -> typer.Typer:
    from gpi.cli.featurize import app

    return app


def _embed() -> typer.Typer:
    from gpi.cli.embed import app

    return app


def _index() -> typer.Typer:
    from gpi.cli.index import app

    return app


def _backtest() -> typer.Typer:
    from gpi.cli.backtest import app

    return app


def _trade() -> typer.Typer:
    from gpi.cli.trade import app

    return app


def _risk_check() -> typer.Typer:
    from gpi.cli.risk_check import app

    return app


def _train() -> typer.Typer:
    from gpi.cli.train import app

    return app


def _run() -> typer.Typer:
    from gpi.cli.run import app

    return app


def _query() -> typer.Typer:
    from gpi.cli.query import app

    return app


def _runs() -> typer.Typer:
    from gpi.cli.runs import app

    return app


def _verify() -> typer.Typer:
    from gpi.cli.verify import app

    return app


def _chaos() -> typer.Typer:
    from gpi.cli.chaos import app

    return app


def _venue() -> typer.Typer:
    from gpi.cli.venue import app

    return app


def _doctor() -> typer.Typer:
    from gpi.cli.doctor import app

    return app


COMMANDS: dict[str, tuple[Loader, str]] = {
    "capture": (_capture, "A live feed, journaled and published as ticks; gaps refilled or flagged."),
    "replay": (_replay, "Recorded files as one stream of ticks, merged by event time."),
    "simulate": (_simulate, "A seeded synthetic market: calm, flash-crash or halt."),
    "featurize": (_featurize, "Append the tick features to every tick."),
    "embed": (_embed, "Append an embedding and an outlook from a trained encoder."),
    "index": (_index, "The pattern bank: build, search, match, prune."),
    "trade": (_trade, "Trade a stream: strategy, risk gate and broker in one process."),
    "backtest": (_backtest, "The same engine over recorded data, as fast as it goes."),
    "risk-check": (_risk_check, "Judge a stream of orders, or report on a run."),
    "train": (_train, "Train an encoder from recorded features."),
    "run": (_run, 'A whole pipeline in one process: gpi run "replay F | featurize".'),
    "query": (_query, "SQL over runs and lake, with DuckDB."),
    "runs": (_runs, "Run directories: list them, show one, recover one that did not end."),
    "verify": (_verify, "Compare two runs row by row, or re-run one from its manifest."),
    "chaos": (_chaos, "Faults on purpose against the real commands, and what was lost: nothing."),
    "venue": (_venue, "A local exchange that Alpaca's and Polygon's own clients connect to; and its faults."),
    "doctor": (_doctor, "Check this machine: packages, kernels, pipes, model."),
}


def load(name: str) -> Command:
    """The real command of that name, its module imported now."""
    command = typer.main.get_command(COMMANDS[name][0]())
    command.name = name
    return command


class LazyGroup(TyperGroup):
    """Lists commands from the table and imports a tool only to run it or to show its help."""

    def list_commands(self, ctx: Context) -> list[str]:
        """The commands in the order of the pipeline."""
        return list(COMMANDS)

    def get_command(self, ctx: Context, cmd_name: str) -> Command | None:
        """A one-line stand-in, enough for the list of commands."""
        if cmd_name not in COMMANDS:
            return None
        return TyperCommand(cmd_name, help=COMMANDS[cmd_name][1], callback=None)

    def resolve_command(self, ctx: Context, args: list[str]) -> tuple[str | None, Command | None, list[str]]:
        """The real command; an unknown name is told with the nearest ones."""
        self.commands = {name: TyperCommand(name) for name in COMMANDS}  # for the suggestion
        name, command, rest = super().resolve_command(ctx, args)
        return (name, load(name), rest) if name in COMMANDS else (name, command, rest)


app = typer.Typer(
    cls=LazyGroup,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        say(f"gpi {__version__}")
        raise typer.Exit


@app.callback(
    epilog="Example: gpi simulate --symbols SPY,NVDA --out day.parquet; "
    "gpi replay day.parquet | gpi featurize | gpi embed | gpi trade --paper --out runs/day; gpi verify runs/day; "
    "gpi query 'SELECT run, sum(fee) FROM fills GROUP BY run'. "
    "Exit codes: 0 ok, 1 failed, 2 usage, 3 bad or truncated input, 4 risk limit or kill switch, "
    "5 network or venue, 130 interrupted, 141 the reader of our output left."
)
def gpi(
    ctx: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(envvar="GPI_CONFIG", help="Defaults of options, a table per command (TOML)."),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Generalized Pattern Intelligence: small commands that exchange Arrow streams, for research and trading."""
    if config is not None:
        from gpi.cli.config import defaults

        ctx.default_map = defaults(config)


def main(args: list[str] | None = None) -> Any:
    """Run the command line; exits with the codes of gpi.formats.errors."""
    from gpi.formats.errors import GpiError

    screened()
    try:
        return app(args)
    except GpiError as error:
        say(f"gpi: {error}", err=True, fg="red")
        sys.exit(error.exit_code)
    except OSError as error:  # a full disk, a folder that is not there: the system's own words name it
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        say(f"gpi: {error}{': make room there, or write elsewhere' if full else ''}", err=True, fg="red")
        sys.exit(GpiError.exit_code)


def roomy(work: Callable[[], Any]) -> Any:
    """Do the work with room for its frames.

    Python keeps frames in pieces of 16 kB and asks the system for the next one, and gives it back, at every call that
    crosses from one to another: a loop of small calls that stands there takes ten times as long. Which loop that is
    hangs on how deep it is called; in the engine's commands it was one in numba's import, for 0.15 s. A frame that says
    it needs half of a big piece leaves the other half to all that it calls.
    """
    return work()


roomy.__code__ = roomy.__code__.replace(co_stacksize=FRAMES)


def command() -> NoReturn:
    """`gpi` as a process: `main`, and out."""
    from gpi.tools.leaving import carried_out, leave

    leave(carried_out(lambda: roomy(main)))


if __name__ == "__main__":
    command()
