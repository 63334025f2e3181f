"""What `gpi trade --broker alpaca` does: a session on a live stream, whose orders go to a broker outside."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpi.cli import warming
from gpi.cli.account import Account, broker_terms, found_keys, tell, typed
from gpi.cli.io import Tool
from gpi.cli.running import Run, running
from gpi.tools.desk.options import Options

if TYPE_CHECKING:
    from gpi.formats.execution import ExecutionReport
    from gpi.formats.frame import Frame
    from gpi.tools.backtest.run import Run as RunDirectory
    from gpi.tools.backtest.session import Session
    from gpi.tools.backtest.setup import Setup
    from gpi.tools.brokers.alpaca.broker import Alpaca
    from gpi.tools.stage import Stream

WIND_DOWN_S = 10.0
FLUSH_S = 1.0


@dataclass
class LiveDesk:
    """A session on a live stream, its broker and its run directory."""

    setup: "Setup"
    fees: str
    out: Path | None
    account: Account
    run: Run
    session: "Session | None" = None
    broker: "Alpaca | None" = None
    metrics: dict[str, Any] | None = None
    day: tuple[int, float, int] = (0, 0.0, 0)  # the session's UTC day, its equity at the start, its limit reached
    _done: threading.Event = field(default_factory=threading.Event)
    _flusher: threading.Thread | None = None

    def trade(self, stream: "Stream") -> "Stream":
        """Orders of the session over the stream; the run directory is written beside."""
        from gpi.formats.instruments import Instruments
        from gpi.formats.orders import ORDERS
        from gpi.tools.backtest.session import Session
        from gpi.tools.desk.setting import fitted_fees
        from gpi.tools.stage import Stream

        setup = fitted_fees(self.setup, self.fees, stream)
        by_alpaca = self.fees == "auto" or self.fees.startswith("alpaca")
        broker = self.broker = opened(self.account, Instruments.of(stream.schema), setup, by_alpaca)
        try:
            session = self.session = Session(stream.schema, setup, broker.kill_file)
            self.run.watchers += [session.watch, self._lost]
            directory = None if self.out is None else self._directory(session, stream, broker)
        except BaseException:
            broker.close()
            raise
        cash, equity = broker.cash
        tell(f"reconciled: cash {cash:,.2f}, equity {equity:,.2f}; trading")
        schema = ORDERS.with_metadata({**(stream.schema.metadata or {}), **ORDERS.metadata})
        return Stream(schema, self._frames(stream, session, broker, directory))

    def _directory(self, session: "Session", stream: "Stream", broker: "Alpaca") -> "RunDirectory":
        """The run directory, or the next part of the one that is there: what a former trader told is recovered first.

        Raises UsageError where that one was no former part of this.
        """
        from gpi.tools.backtest.manifest import as_dict
        from gpi.tools.backtest.recovery import follows
        from gpi.tools.backtest.run import Run as RunDirectory

        assert self.out is not None
        whose = {"account": broker.account, "url": broker.url}
        into, found = follows(self.out, as_dict(session.setup), whose)
        if into != self.out:
            kept = "" if found is None else f", {found.rows['fills']:,} fills of the former part recovered"
            tell(f"{self.out} goes on as {into}{kept}")
            self.out = into
        made = RunDirectory(into, session, stream.schema, {"broker": whose}, each=True)
        self._flusher = threading.Thread(target=self._flush, args=(made,), name="gpi-run-log", daemon=True)
        self._flusher.start()
        return made

    def _flush(self, directory: "RunDirectory") -> None:
        """Have the log on the disk every FLUSH_S; the order journal is flushed with every commit of its own."""
        while not self._done.wait(FLUSH_S):
            directory.sync()

    def _frames(
        self, stream: "Stream", session: "Session", broker: "Alpaca", directory: "RunDirectory | None"
    ) -> Iterator["Frame"]:
        step = self.run.latencies.measured("trade", session.step)
        complete = False
        try:
            for frame in stream.frames:
                self._hear(session, broker.reports(), directory)
                if directory is not None:
                    directory.saw(frame)
                traded = step(frame)
                if frame.notes:
                    broker.announce(session.instruments)
                if directory is not None:
                    directory.add(traded)  # in its log before anything of it is sent
                broker.send(session.requests())
                self._told_day(session, broker)
                yield traded.orders
                if broker.failure is not None:
                    break
            complete = broker.failure is None
        finally:
            # However it ends: every order is cancelled, and the run is told how each of them ended.
            last = self._wind_down(session, broker, directory, complete)
        yield from last

    def _told_day(self, session: "Session", broker: "Alpaca") -> None:
        """A restart does not begin the day afresh: the journal knows how it began."""
        account = session.account
        day = (int(session.clock.day), float(account.day_equity), int(account.loss_day))
        if day != self.day:
            self.day = day
            broker.day_is(day[0], day[1], bool(day[2]))

    def _lost(self) -> None:
        """On a quiet feed, too, the end of the broker is the end of trading."""
        if self.broker is not None and self.broker.failure is not None:
            self.run.terminated = True

    def _hear(self, session: "Session", reports: list["ExecutionReport"], directory: "RunDirectory | None") -> None:
        if reports:
            if directory is not None:
                directory.heard(int(session.clock.row), reports)
            session.hear(reports)

    def _wind_down(
        self, session: "Session", broker: "Alpaca", directory: "RunDirectory | None", complete: bool
    ) -> list["Frame"]:
        try:
            told = [session.wind_down()]  # before anything more is heard: a repetition of the run does the same
            broker.send(session.requests())
            self._hear(session, broker.finish(WIND_DOWN_S), directory)
        finally:
            broker.close()
            self._done.set()
            if self._flusher is not None:
                self._flusher.join()
        told.append(session.finish())
        if directory is not None:
            for each in told:
                directory.add(each)
            ended = {"parted": broker.parted, "unknown": broker.unknown(), "failure": str(broker.failure or "")}
            self.metrics = directory.close(complete and broker.failure is None, about={"broker_at_the_end": ended})
        return [each.orders for each in told]

    def conclude(self) -> None:
        """The summary, the broker's figures beside ours, then what went wrong (exit 4 or 5), if anything did."""
        from gpi.cli.summary import summary

        if self.session is None or self.broker is None:
            return
        if self.run.left:
            tell("whoever read the orders has left: they are cancelled, and trading has ended")
        summary(self.session, self.metrics, self.run.latencies, self.out)
        cash, equity = self.broker.cash
        apart = round(float(cash) - float(self.session.account.cash), 2) + 0.0  # never -0.00
        when = "" if self.broker.parted else " as it last said, before the end"
        tell(f"broker{when}: cash {cash:,.2f}, equity {equity:,.2f}; the session's cash is {apart:+,.2f} away from it")
        for each in self.broker.unknown():
            tell(
                f"UNKNOWN at the broker: {each['client_order_id']} {each['symbol']}, {each['filled']} of "
                f"{each['qty']} filled as far as is known: look there"
            )
        odd = ", ".join(f"{name} {count:,}" for name, count in self.broker.counts().items())
        if odd:
            tell(f"met on the way: {odd}")
        failure = self.broker.failure or self.session.breach()
        if failure is not None:
            raise failure


def live(options: Options, out: Path | None, account: Account) -> Tool:
    """The tool of `gpi trade --broker alpaca`. Raises UsageError for options that are not right."""
    from gpi.formats.errors import UsageError
    from gpi.tools.brokers.alpaca.rest import LIVE, host
    from gpi.tools.desk.setting import setup_of

    if account.live:
        if not account.number:
            raise UsageError("--live trades real money: say which account with --account NUMBER")
        if host(True, account.url) != LIVE:
            tell(f"a rehearsal: everything that --live asks for, but the orders go to {account.url}")
        typed(account.number)
    if account.pace != 1.0 and account.url is None:
        raise UsageError("--pace is for a venue that replays a day: give its --url, too")
    found_keys(account)  # now, not when the first tick comes: a missing key is known before the market opens
    setup = setup_of(replace(options, account_rules="alpaca"), external=True)
    warming.before_a_session(tell)
    made = LiveDesk(setup, options.fees, out, account, running())
    return Tool(made.trade, {"strategy": setup.strategy.digest}, made.conclude, in_any_case=True)


def opened(account: Account, instruments: Any, setup: "Setup", charged: bool = False) -> "Alpaca":
    """The broker, reconciled and ready; what will trade is printed and journaled first."""
    from gpi.tools.brokers.alpaca.broker import Alpaca
    from gpi.tools.brokers.guards import Guards

    keys, url = found_keys(account)
    facts = attested(setup)
    limits = ", ".join(f"{name} {value:g}" for name, value in facts["limits"].items())
    tell(f"attested: code {facts['code'][:16]}, configuration {facts['config'][:16]}, {url}; limits: {limits}")
    told = replace(broker_terms(account), attested=facts, stale_s=facts["limits"]["stale_data_s"], charged=charged)
    broker = Alpaca(keys, url, instruments, told, tell, Guards.at(account.pace))
    broker.open()
    return broker


def attested(setup: "Setup") -> dict[str, Any]:
    """What will trade: a digest of this program's sources and of the configuration, and the limits themselves."""
    import json

    import xxhash

    import gpi.cli
    from gpi.formats.version import __version__
    from gpi.tools.backtest.manifest import as_dict

    root = Path(gpi.cli.__path__[0]).parent
    sources = xxhash.xxh3_128()
    for room in ("cli", "formats", "tools"):
        for path in sorted((root / room).rglob("*.py")):
            sources.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes())
    told = as_dict(setup)
    config = xxhash.xxh3_128(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()
    return {"gpi": __version__, "code": sources.hexdigest(), "config": config, "limits": told["limits"]}
