"""What `gpi trade --broker alpaca` does: a session on a live stream, whose orders go to a broker outside."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpi.cli import warming
from gpi.cli.desk import Terms, fitted_fees, prepared
from gpi.cli.io import Tool
from gpi.cli.running import Run, running
from gpi.cli.terminal import say

if TYPE_CHECKING:
    from gpi.formats.answers import Answer
    from gpi.formats.frame import Frame
    from gpi.tools.backtest.run import Run as RunDirectory
    from gpi.tools.backtest.session import Session
    from gpi.tools.backtest.setup import Setup
    from gpi.tools.brokers.alpaca import Alpaca
    from gpi.tools.brokers.rest import Keys
    from gpi.tools.stage import Stream

WIND_DOWN_S = 10.0
FLUSH_S = 1.0
SETTLED_S = 12.0  # a little more than the longest that a request may take


@dataclass(frozen=True, slots=True)
class Account:
    """Which account, and how: the options of `gpi trade` that only a real broker needs."""

    live: bool = False
    number: str | None = None
    url: str | None = None
    key_file: Path | None = None
    journal: Path | None = None
    kill_file: Path | None = None
    claims: tuple[str, ...] = ()
    take_over: bool = False
    pace: float = 1.0


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
        _say(f"reconciled: cash {cash:,.2f}, equity {equity:,.2f}; trading")
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
            _say(f"{self.out} goes on as {into}{kept}")
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
                self._hear(session, broker.answers(), directory)
                if directory is not None:
                    directory.saw(frame)
                traded = step(frame)
                if frame.notes:
                    broker.announce(session.instruments)
                if directory is not None:
                    directory.add(traded)  # in its log before anything of it is sent
                broker.ask(session.asks())
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
        d = session.account
        day = (int(d.day), float(d.day_equity), int(d.loss_day))
        if day != self.day:
            self.day = day
            broker.day_is(day[0], day[1], bool(day[2]))

    def _lost(self) -> None:
        """On a quiet feed, too, the end of the broker is the end of trading."""
        if self.broker is not None and self.broker.failure is not None:
            self.run.terminated = True

    def _hear(self, session: "Session", answers: list["Answer"], directory: "RunDirectory | None") -> None:
        if answers:
            if directory is not None:
                directory.heard(int(session.account.row), answers)
            session.answer(answers)

    def _wind_down(
        self, session: "Session", broker: "Alpaca", directory: "RunDirectory | None", complete: bool
    ) -> list["Frame"]:
        try:
            told = [session.wind_down()]  # before anything more is heard: a repetition of the run does the same
            broker.ask(session.asks())
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
            self.metrics = directory.close(complete and broker.failure is None)
        return [each.orders for each in told]

    def conclude(self) -> None:
        """The summary, the broker's figures beside ours, then what went wrong (exit 4 or 5), if anything did."""
        from gpi.cli.summary import summary

        if self.session is None or self.broker is None:
            return
        if self.run.left:
            _say("whoever read the orders has left: they are cancelled, and trading has ended")
        summary(self.session, self.metrics, self.run.latencies, self.out)
        cash, equity = self.broker.cash
        apart = round(float(cash) - float(self.session.account.cash), 2) + 0.0  # never -0.00
        _say(f"broker: cash {cash:,.2f}, equity {equity:,.2f}; the session's cash is {apart:+,.2f} away from it")
        odd = ", ".join(f"{name} {count:,}" for name, count in self.broker.counts().items())
        if odd:
            _say(f"met on the way: {odd}")
        failure = self.broker.failure or self.session.breach()
        if failure is not None:
            raise failure


def live(terms: Terms, out: Path | None, account: Account) -> Tool:
    """The tool of `gpi trade --broker alpaca`. Raises UsageError for options that are not right."""
    from gpi.formats.errors import UsageError
    from gpi.tools.brokers.rest import LIVE, host

    if account.live:
        if not account.number:
            raise UsageError("--live trades real money: say which account with --account NUMBER")
        if host(True, account.url) != LIVE:
            _say(f"a rehearsal: everything that --live asks for, but the orders go to {account.url}")
        _typed(account.number)
    if account.pace != 1.0 and account.url is None:
        raise UsageError("--pace is for a venue that replays a day: give its --url, too")
    warming.before_a_session(_say)
    found_keys(account)  # now, not when the first tick comes: a missing key is known before the market opens
    setup = prepared(replace(terms, rules=(*terms.rules[:-1], "alpaca")), external=True)
    made = LiveDesk(setup, terms.fees, out, account, running())
    return Tool(made.trade, {"strategy": setup.strategy.digest}, made.conclude, in_any_case=True)


def opened(account: Account, instruments: Any, setup: "Setup", charged: bool = False) -> "Alpaca":
    """The broker, reconciled and ready; what will trade is printed and journaled first."""
    from gpi.tools.brokers.alpaca import Alpaca
    from gpi.tools.brokers.guards import Guards

    keys, url = found_keys(account)
    facts = attested(setup)
    limits = ", ".join(f"{name} {value:g}" for name, value in facts["limits"].items())
    _say(f"attested: code {facts['code'][:16]}, configuration {facts['config'][:16]}, {url}; limits: {limits}")
    told = replace(broker_terms(account), attested=facts, stale_s=facts["limits"]["stale_data_s"], charged=charged)
    broker = Alpaca(keys, url, instruments, told, _say, Guards.at(account.pace))
    broker.open()
    return broker


def broker_terms(account: Account) -> Any:
    """The options as the broker takes them."""
    import os

    from gpi.tools.brokers.startup import Terms as BrokerTerms
    from gpi.tools.brokers.wire import key

    state = Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state").expanduser() / "gpi"
    return BrokerTerms(
        state,
        account.live,
        account.number,
        account.journal,
        account.kill_file,
        frozenset(map(key, account.claims)),
        account.take_over,
    )


def found_keys(account: Account) -> tuple["Keys", str]:
    """(keys, host); from here on what this process makes is its owner's alone: journal, run directory, kill file.

    Raises UsageError for live keys with --paper, or paper keys with --live.
    """
    from gpi.cli.keys import alpaca_keys
    from gpi.formats.errors import UsageError
    from gpi.formats.trust import secluded
    from gpi.tools.brokers.rest import Keys, host, loopback

    secluded()
    url = host(account.live, account.url)
    found = alpaca_keys(url, account.key_file)
    start = found.key_id.reveal()[:2]
    if not loopback(url) and start == ("PK" if account.live else "AK"):
        raise UsageError(f"these are {'paper keys: --live needs live keys' if account.live else 'live keys: --live'}")
    return Keys(found.key_id, found.secret), url


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


def pull_kill(account: Account) -> None:
    """Kill from outside: the kill file, every order cancelled, trading suspended; returns when no order can follow.

    Raises VenueError if the broker did not confirm it.
    """
    from gpi.formats.errors import VenueError
    from gpi.formats.trust import private_folder
    from gpi.tools.brokers.deadman import cancel, kill
    from gpi.tools.brokers.rest import Rest
    from gpi.tools.brokers.startup import kill_files
    from gpi.tools.brokers.switch import settled

    keys, url = found_keys(account)
    rest = Rest(keys, url)
    files = kill_files(rest, broker_terms(account), url)
    for path in files:
        private_folder(path.parent)
        path.touch(0o600)
        _say(f"killed: {path}")
    done = kill(rest)
    for path in files:
        if settled(path, SETTLED_S):
            _say(f"no order leaves any more, none is on its way ({path})")
        else:
            _say(f"the trader of {path} gives no sign (is it stopped?): it sends nothing new when it goes on")
    if not (done and cancel(rest, None)):  # once more: what was on its way at the first look has arrived
        raise VenueError("the broker did not confirm that every order is cancelled and trading suspended: look there")
    _say(
        "every order is cancelled, and trading is suspended at the broker; `gpi trade --broker alpaca --rearm` ends it"
    )


def rearm(account: Account) -> None:
    """A person says that it is over: the kill file and flag go, and the broker trades again."""
    from gpi.formats.errors import VenueError
    from gpi.tools.brokers.deadman import suspend
    from gpi.tools.brokers.journal import Journal
    from gpi.tools.brokers.rest import Rest
    from gpi.tools.brokers.startup import journal_path, kill_file_of, number_of

    keys, url = found_keys(account)
    rest = Rest(keys, url)
    terms = broker_terms(account)
    journal = Journal(journal_path(terms, number_of(rest, terms), url))
    journal.lower_flag("kill")
    journal.commit()
    journal.close()
    kill_file_of(rest, terms, url).unlink(missing_ok=True)
    if not suspend(rest, False):
        raise VenueError("the broker did not lift the suspension: try again, or on its page")
    _say("armed again")


def _typed(number: str) -> None:
    """Have the account number typed on the terminal. Raises UsageError where there is none, or another is typed."""
    from gpi.formats.errors import UsageError

    try:
        with open("/dev/tty", "w", encoding="utf-8") as asked:  # one file for both would have to be seekable
            asked.write("This trades real money. Type the account number to go on: ")
        with open("/dev/tty", encoding="utf-8") as answered:
            typed = answered.readline().strip()
    except OSError:
        raise UsageError("--live asks for the account number on a terminal, and there is none") from None
    if typed != number:
        raise UsageError("that is not the account of --account: nothing was sent")


def _say(line: str) -> None:
    say(f"gpi trade: {line}", err=True)
