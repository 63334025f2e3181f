"""What `gpi trade` and `gpi backtest` share: the options of a session, the session on a stream, its last words."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gpi.cli.io import Tool
from gpi.cli.running import Run, running
from gpi.cli.terminal import say

if TYPE_CHECKING:
    from gpi.formats.frame import Frame
    from gpi.tools.backtest.answered import Repeated
    from gpi.tools.backtest.run import Run as RunDirectory
    from gpi.tools.backtest.session import Session
    from gpi.tools.backtest.setup import Setup
    from gpi.tools.stage import Stream

Strategy = Annotated[str, typer.Option(help="market_making, momentum, an installed one, file.py or file.py:Class.")]
Param = Annotated[list[str] | None, typer.Option("--param", help="A strategy parameter, name=number; repeat.")]
Limits = Annotated[Path | None, typer.Option(help="Risk limits (TOML); else the shipped, conservative ones.")]
Fees = Annotated[
    str,
    typer.Option(help="Fees by date: zero, alpaca_equity, alpaca_option, alpaca_index_option, binance_spot ...; auto."),
]
Cash = Annotated[float, typer.Option(min=0, help="Starting cash.")]
OrderMs = Annotated[float, typer.Option(min=0, help="Order latency, ms of event time.")]
FeedMs = Annotated[float, typer.Option(min=0, help="Feed latency, ms.")]
ResponseMs = Annotated[float, typer.Option(min=0, help="Latency of fills and acknowledgements, ms.")]
OutDir = Annotated[Path | None, typer.Option("--out", help="Run directory: orders, fills, equity, metrics, manifest.")]
Answers = Annotated[
    Path | None, typer.Option(help="Repeat a live run: its answers.parquet, what the broker told it, row by row.")
]
Fill = Annotated[
    str, typer.Option(help="How recorded liquidity fills: conservative, queue, whole, fifo, alpaca-paper.")
]
Hours = Annotated[
    bool, typer.Option("--hours", help="Plain orders of shares and options sleep outside the regular session.")
]
SelfTrade = Annotated[str, typer.Option(help="An order that could meet our own: allow, refuse, cancel-oldest.")]
AccountRules = Annotated[
    str, typer.Option(help="alpaca: an order closes no more than is held and free; coins are not sold short. Else any.")
]
Luld = Annotated[int, typer.Option(min=0, max=2, help="Limit up - limit down bands of this tier on shares; 0: none.")]
Latency = Annotated[
    list[str] | None,
    typer.Option(
        help="2ms, lognormal:floor=1ms,median=2ms,sigma=0.5, FILE.parquet (recorded) or quantiles:FILE.parquet, for "
        "orders, cancels and answers; order=..., cancel=..., response=... or feed=... for one; repeat."
    ),
]
Breaker = Annotated[
    str | None, typer.Option(help="Market-wide breakers: SYMBOL:PREVIOUS_CLOSE of the index (SPY:585.20); 7, 13, 20 %.")
]
Unshortable = Annotated[str | None, typer.Option(help="Symbols that nobody lends (AAPL,MSFT): no short of them.")]
Seed = Annotated[int, typer.Option(help="Of what is drawn: partial fills of alpaca-paper.")]
OptionSlippage = Annotated[
    str | None, typer.Option(help="Options: share of the spread a fill travels, by legs; 1: all of it.")
]
KillRow = Annotated[int | None, typer.Option(help="Pull the kill switch at this row, as a recorded run did.")]


@dataclass(frozen=True, slots=True)
class Terms:
    """The options of a session, as given."""

    strategy: str
    param: list[str] | None
    limits: Path | None
    fees: str
    cash: float
    latency_ms: tuple[float, float, float]  # feed, order, response
    kill_row: int | None
    answers: Path | None = None
    rules: tuple[str, bool, str, int, int, str | None, str] = ("conservative", False, "allow", 0, 0, None, "any")
    """Fill, hours, self-trade, LULD, seed, option slippage, account rules."""
    latency: list[str] | None = None
    unshortable: str | None = None
    breaker: str | None = None


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


def desk(terms: Terms, out: Path | None, kill_file: Path | None) -> Tool:
    """The tool of a trading command. Raises UsageError for a strategy, parameter or limit that is not right."""
    setup = prepared(terms, external=terms.answers is not None)
    made = Desk(setup, terms.fees, out, kill_file, running(), terms.answers)
    return Tool(made.trade, {"strategy": setup.strategy.digest}, made.conclude, in_any_case=True)


def prepared(terms: Terms, external: bool) -> "Setup":
    """The setup of a session by its options. Raises UsageError for a strategy, parameter or limit that is not right."""
    from gpi.formats.errors import UsageError
    from gpi.formats.fees import SCHEDULES
    from gpi.tools.backtest.delays import fitted, parsed
    from gpi.tools.backtest.setup import Latency, Rules, Setup
    from gpi.tools.risk.limits import read
    from gpi.tools.strategies.loading import load, parameters

    if terms.fees not in (*SCHEDULES, "auto"):
        raise UsageError(f"--fees {terms.fees}: choose auto, {', '.join(SCHEDULES)}")
    if not all(isfinite(number) for number in (*terms.latency_ms, terms.cash)):
        raise UsageError("cash and latencies must be finite numbers")
    latency, delays = fitted(parsed(terms.latency or []), *(round(ms * 1e6) for ms in terms.latency_ms))
    unlent = tuple(each.strip() for each in (terms.unshortable or "").split(",") if each.strip())
    strategy = load(terms.strategy, parameters(terms.param or []))
    fill, hours, apart, bands, seed, slippage, account = terms.rules
    return Setup(
        strategy,
        read(terms.limits),
        latency=Latency(*latency),
        cash=terms.cash,
        seed=seed,
        kill_row=terms.kill_row,
        delays=delays,
        rules=Rules(
            fill,
            hours=hours,
            self_trade=apart,
            bands=bands,
            account=account,
            unlent=unlent,
            breaker=breaker_of(terms.breaker),
            **shares(slippage),
        ),  # fmt: skip
        external=external,
    )


def fitted_fees(setup: "Setup", fees: str, stream: "Stream") -> "Setup":
    """The setup with the dated fee schedule of that name; auto: Binance's for crypto, Alpaca's for the rest, by what
    an instrument is where the stream carries several kinds."""
    from dataclasses import replace

    from gpi.formats.instruments import Instruments
    from gpi.tools.backtest.contracts import SCHEDULED, scheduled

    if fees == "auto":
        kinds = {scheduled(row) for row in Instruments.of(stream.schema) if row.asset_class != "index"}
        fees = "auto" if len(kinds) > 1 else SCHEDULED[next(iter(kinds), 0)]
    return replace(setup, schedule=fees)


def breaker_of(told: str | None) -> tuple[str, float] | None:
    """The index and its previous close of `--breaker`. Raises UsageError for what is no SYMBOL:PRICE."""
    from gpi.formats.errors import UsageError

    if told is None:
        return None
    symbol, _, close = told.rpartition(":")
    try:
        price = float(close)
    except ValueError:
        price = float("nan")
    if not symbol or not 0.0 < price < float("inf"):
        raise UsageError(f"--breaker {told}: the index and its previous close, such as SPY:585.20")
    return symbol, price


def shares(told: str | None) -> dict[str, Any]:
    """The rule that `--option-slippage` sets, if it is given. Raises UsageError for what are no numbers."""
    from gpi.formats.errors import UsageError

    if told is None:
        return {}
    try:
        return {"option_slippage": tuple(float(each) for each in told.split(","))}
    except ValueError:
        raise UsageError(f"--option-slippage {told}: numbers by number of legs, such as 0.75,0.66,0.56,0.53") from None
