"""What `gpi trade` and `gpi backtest` share: the options of a session, the session on a stream, its last words."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gpi.cli.io import Tool
from gpi.cli.running import Run, running
from gpi.cli.terminal import say
from gpi.tools.desk.options import Options

if TYPE_CHECKING:
    from gpi.formats.frame import Frame
    from gpi.tools.backtest.answered import Repeated
    from gpi.tools.backtest.run import Run as RunDirectory
    from gpi.tools.backtest.session import Session
    from gpi.tools.backtest.setup import Setup
    from gpi.tools.stage import Stream

Answers = Annotated[
    Path | None, typer.Option(help="Repeat a live run: its answers.parquet, what the broker told it, row by row.")
]
OutDir = Annotated[Path | None, typer.Option("--out", help="Run directory: orders, fills, equity, metrics, manifest.")]


@dataclass
class Desk:
    """A session on a stream: its frames, its run directory, and what is said at the end."""

    setup: "Setup"
    fees: str
    out: Path | None
    kill_file: Path | None
    run: Run
    answers: Path | None = None
    session: "Session | None" = None
    metrics: dict[str, Any] | None = None

    def trade(self, stream: "Stream") -> "Stream":
        """Orders of the session over the stream; the run directory is written beside."""
        from gpi.formats.orders import ORDERS
        from gpi.tools.backtest.session import Session
        from gpi.tools.desk.setting import fitted_fees
        from gpi.tools.stage import Stream

        setup = fitted_fees(self.setup, self.fees, stream)
        session = self.session = Session(stream.schema, setup, self.kill_file)
        self.run.watchers.append(session.watch)
        directory = self._directory(session, stream)
        if directory is not None:
            self.run.watchers.append(directory.tell)  # on a quiet feed, too, what was told is soon kept
        schema = ORDERS.with_metadata({**(stream.schema.metadata or {}), **ORDERS.metadata})
        return Stream(schema, self._frames(stream, session, directory))

    def _directory(self, session: "Session", stream: "Stream") -> "RunDirectory | None":
        from gpi.tools.backtest.run import Run as RunDirectory

        return None if self.out is None else RunDirectory(self.out, session, stream.schema)

    def _frames(self, stream: "Stream", session: "Session", directory: "RunDirectory | None") -> Iterator["Frame"]:
        trader = self._trader(session)
        step = self.run.latencies.measured("trade", trader.step)
        complete = False
        try:
            for frame in stream.frames:
                if directory is not None:
                    directory.saw(frame)
                traded = step(frame)
                if directory is not None:
                    directory.add(traded)
                yield traded.orders
            complete = True
        finally:
            # However it ends (a dead upstream, a reader that left, Ctrl-C): orders are cancelled, the run is told.
            last = trader.finish()
            if directory is not None:
                directory.add(last)
                self.metrics = directory.close(complete)
        yield last.orders

    def _trader(self, session: "Session") -> "Session | Repeated":
        from gpi.tools.backtest.answered import Repeated, Script

        return session if self.answers is None else Repeated(session, Script.read(self.answers))

    def conclude(self) -> None:
        """The summary, then the breach (exit 4) if there was one."""
        from gpi.cli.summary import summary

        if self.session is None:
            return
        if self.run.left:
            say("gpi: whoever read the orders has left: they are cancelled, and trading has ended", err=True)
        summary(self.session, self.metrics, self.run.latencies, self.out)
        breach = self.session.breach()
        if breach is not None:
            raise breach


def desk(options: Options, out: Path | None, kill_file: Path | None, answers: Path | None = None) -> Tool:
    """The tool of a trading command. Raises UsageError for a strategy, parameter or limit that is not right."""
    from gpi.tools.desk.setting import setup_of

    setup = setup_of(options, external=answers is not None)
    made = Desk(setup, options.fees, out, kill_file, running(), answers)
    return Tool(made.trade, {"strategy": setup.strategy.digest}, made.conclude, in_any_case=True)
