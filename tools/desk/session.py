"""A session on a stream: its frames, its broker, its run directory, and an honest end, however it comes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from gpi.formats.errors import GpiError
from gpi.formats.execution import ExecutionReport
from gpi.formats.frame import Frame
from gpi.formats.instruments import Instruments
from gpi.formats.orders import ORDERS
from gpi.tools.backtest.manifest import as_dict
from gpi.tools.backtest.recovery import follows
from gpi.tools.backtest.run import Run
from gpi.tools.backtest.session import Session
from gpi.tools.backtest.setup import Setup
from gpi.tools.backtest.traded import NOTHING, Traded, joined
from gpi.tools.desk.broker import Broker
from gpi.tools.desk.setting import fitted_fees
from gpi.tools.monitor.latency import Latencies
from gpi.tools.stage import Stream

WIND_DOWN_S: Final = 10.0
FLUSH_S: Final = 1.0

Opening = Callable[[Instruments, Setup], Broker]
"""Makes the broker of a session, ready: for the stream's instruments and the setup, its fees fitted."""


class Host(Protocol):
    """What a session needs of the process that carries it out."""

    latencies: Latencies
    watchers: list[Callable[[], object]]
    """Called now and then while nothing comes."""
    terminated: bool
    """Set it, and the stream ends."""


@dataclass
class Desk:
    """A session on a stream. `say` takes a line for a person; `out` is where the run is written, if it is."""

    setup: Setup
    fees: str
    opening: Opening
    out: Path | None
    host: Host
    say: Callable[[str], None]
    session: Session | None = None
    broker: Broker | None = None
    metrics: dict[str, Any] | None = None
    day: tuple[int, float, int] = (0, 0.0, 0)  # the session's UTC day, its equity at the start, its limit reached
    _done: threading.Event = field(default_factory=threading.Event)
    _flusher: threading.Thread | None = None

    def trade(self, stream: Stream) -> Stream:
        """Orders of the session over the stream; the run directory is written beside.

        Raises UsageError where the run directory or the setup is not right, what `opening` raises.
        """
        setup = fitted_fees(self.setup, self.fees, stream)
        broker = self.broker = self.opening(Instruments.of(stream.schema), setup)
        try:
            session = self.session = Session(stream.schema, setup, broker.kill_file)
            self.host.watchers += [session.watch, self._lost]
            directory = self._directory(session, stream, broker)
            step = self.host.latencies.measured("trade", broker.step(session))
        except BaseException:
            broker.close()
            raise
        for line in broker.first_words():
            self.say(line)
        schema = ORDERS.with_metadata({**(stream.schema.metadata or {}), **ORDERS.metadata})
        return Stream(schema, self._frames(stream, session, broker, step, directory))

    def failure(self) -> GpiError | None:
        """What went wrong, if anything did: the broker's failure first, then the session's breach."""
        ours = None if self.session is None else self.session.breach()
        return (None if self.broker is None else self.broker.failure) or ours

    def _directory(self, session: Session, stream: Stream, broker: Broker) -> Run | None:
        """The run directory; at a broker outside the next part of the one that is there, a former trader's recovered.

        Raises UsageError where that one was no former part of this.
        """
        whose = dict(broker.whose())
        if self.out is None:
            return None
        if not whose:
            made = Run(self.out, session, stream.schema)
            self.host.watchers.append(made.tell)  # on a quiet feed, too, what was told is soon kept
            return made
        into, found = follows(self.out, as_dict(session.setup), whose)
        if into != self.out:
            kept = "" if found is None else f", {found.rows['fills']:,} fills of the former part recovered"
            self.say(f"{self.out} goes on as {into}{kept}")
            self.out = into
        made = Run(into, session, stream.schema, {"broker": whose}, each=True)
        self._flusher = threading.Thread(target=self._flush, args=(made,), name="gpi-run-log", daemon=True)
        self._flusher.start()
        return made

    def _flush(self, directory: Run) -> None:
        """Have the log on the disk every FLUSH_S; the order journal is flushed with every commit of its own."""
        while not self._done.wait(FLUSH_S):
            directory.sync()

    def _frames(
        self, stream: Stream, session: Session, broker: Broker, step: Callable[[Frame], Traded], directory: Run | None
    ) -> Iterator[Frame]:
        complete, outside = (
            False,
            bool(broker.whose()),
        )  # here nothing outlives the session, and a tick pays for no word
        try:
            for frame in stream.frames:
                _hear(session, broker.reports(), directory)
                if directory is not None:
                    directory.saw(frame)
                traded = step(frame)
                if frame.notes:
                    broker.announce(session.instruments)
                if directory is not None:
                    directory.add(traded)  # in its log before anything of it is sent
                broker.send(session.requests())
                if outside:
                    self._told_day(session, broker)
                yield traded.orders
                if broker.failure is not None:
                    break
            complete = broker.failure is None
        finally:
            # However it ends (a dead upstream, a reader that left, Ctrl-C): orders are cancelled, the run is told.
            last = self._wind_down(session, broker, directory, complete)
        yield last.orders

    def _told_day(self, session: Session, broker: Broker) -> None:
        """A restart does not begin the day afresh: the broker's journal knows how it began."""
        account = session.account
        day = (int(session.clock.day), float(account.day_equity), int(account.loss_day))
        if day != self.day:
            self.day = day
            broker.day_is(day[0], day[1], bool(day[2]))

    def _lost(self) -> None:
        """On a quiet feed, too, the end of the broker is the end of trading."""
        if self.broker is not None and self.broker.failure is not None:
            self.host.terminated = True

    def _wind_down(self, session: Session, broker: Broker, directory: Run | None, complete: bool) -> Traded:
        """Every order is cancelled, and the run is told how each of them ended."""
        try:
            told = [session.wind_down()]  # before anything more is heard: a repetition of the run does the same
            broker.send(session.requests())
            _hear(session, broker.finish(WIND_DOWN_S), directory)
        finally:
            broker.close()
            self._done.set()
            if self._flusher is not None:
                self._flusher.join()
        told.append(session.finish())
        last = joined([each for each in told if each is not NOTHING] or [NOTHING])
        if directory is not None:
            directory.add(last)
            ended = broker.ended()
            about = {"broker_at_the_end": dict(ended)} if ended else None
            self.metrics = directory.close(complete and broker.failure is None, about=about)
        return last


def _hear(session: Session, reports: list[ExecutionReport], directory: Run | None) -> None:
    if reports:
        if directory is not None:
            directory.heard(int(session.clock.row), reports)
        session.hear(reports)
