"""Alpaca as a broker: the face that a trading desk sees. It never waits: queues in, queue out, threads behind."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from gpi.formats.errors import GpiError, VenueError
from gpi.formats.execution import ExecutionReport, OrderRequest
from gpi.formats.instruments import Instruments
from gpi.formats.secrets import masked
from gpi.tools.brokers import startup
from gpi.tools.brokers.alpaca.rest import Keys, Rest
from gpi.tools.brokers.alpaca.updates import Updates
from gpi.tools.brokers.deadman import Deadman
from gpi.tools.brokers.engine import Engine
from gpi.tools.brokers.guards import Guards
from gpi.tools.brokers.hands import Hands
from gpi.tools.brokers.journal import Day, JournalError
from gpi.tools.brokers.life import INTENT
from gpi.tools.brokers.startup import Terms

NAMED: Final = 5  # orders that a line for a person names
TICK_S: Final = 0.1
START_S: Final = 15.0
MOST_AT_ONCE: Final = 2_000


class Alpaca:
    """A broker for one account. `say` takes a line for a person; it is called from the broker's thread too."""

    def __init__(
        self,
        keys: Keys,
        url: str,
        instruments: Instruments,
        terms: Terms,
        say: Callable[[str], None],
        guards: Guards | None = None,
    ) -> None:
        self.keys, self.url, self.terms, self.say = keys, url, terms, say
        self._instruments, self._guards = instruments, guards or Guards()
        self._inbox: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._main, name="gpi-broker", daemon=True)
        self._failed: GpiError | None = None

    def open(self) -> None:
        """Reconcile, then trade: afterwards `answers` has cash, positions and state 0.

        Raises UsageError for the wrong account or a second trader, RiskBreach after a kill that nobody has undone,
        VenueError where the broker cannot be reached or trading cannot begin.
        """
        rest = Rest(self.keys, self.url)
        opened = startup.open_account(rest, self.terms, self.url)
        rest.close()
        for warning in opened.warnings:
            self.say(warning)
        self.account, self.journal = opened.account, opened.journal
        self._man = Deadman(
            self.keys, self.url, self.journal.tag(self.account), opened.switch.file, self.terms.patience_s
        )
        back, switch = (lambda *reply: self._inbox.put(("reply", reply))), str(opened.switch.file)
        self._hands = Hands(self.keys, self.url, back, switch)
        self._updates = Updates(self.keys, self.url, lambda what, data: self._inbox.put((what, data)))
        self.engine = Engine(opened, self.terms, self._man, self._guards, self._hands.give, self.say)
        self.engine.announce(self._instruments)
        try:
            self._hands.start()
            self._updates.start()
            self._thread.start()
            self._man.wait_ready(START_S)
            if not self.engine.started.wait(START_S) or self.failure:
                raise self.failure or VenueError("the broker's stream of order updates did not come up: not trading")
        except BaseException:
            self.close()
            raise

    @property
    def failure(self) -> GpiError | None:
        """Why trading ended early, if it did: a RiskBreach after a kill, a VenueError for the rest."""
        return self._failed or self.engine.failure

    @property
    def kill_file(self) -> Any:
        """The file whose appearance kills."""
        return self.engine.switch.file

    @property
    def cash(self) -> tuple[Any, Any]:
        """(cash, equity) as the broker last said, decimals."""
        return self.engine.desk.cash, self.engine.desk.equity

    def announce(self, instruments: Instruments) -> None:
        """The instruments of the stream, when there are new ones."""
        self._inbox.put(("instruments", instruments))

    def day_is(self, number: int, equity: float, lost: bool) -> None:
        """The session's UTC day (days since 1970), its equity when it began, and whether its loss limit was reached.

        Kept in the journal, so that a restart goes on with it. Never waits.
        """
        self._inbox.put(("day", Day(number, Decimal(repr(equity)), lost)))

    def send(self, requests: list[OrderRequest]) -> None:
        """Take what a session wants. Never waits."""
        if requests:
            self._inbox.put(("asks", requests))

    def reports(self) -> list[ExecutionReport]:
        """What there is to tell, in order. Never waits."""
        told, out = [], self.engine.out
        while out:
            told.append(out.popleft())
        return told

    def counts(self) -> dict[str, int]:
        """Odd things met, by name."""
        return dict(self.engine.blotter.counts)

    def finish(self, timeout_s: float = 10.0) -> list[ExecutionReport]:
        """Cancel what is open, wait until every order has ended, look at the account; then what is left to tell.

        What the broker did not say by then is a failure: `unknown` names the orders.
        """
        done = threading.Event()
        self._inbox.put(("finish", done))
        if self._thread.is_alive() and not done.wait(timeout_s) and self.failure is None:
            self._failed = VenueError(self._unanswered(timeout_s))
        return self.reports()

    def _unanswered(self, timeout_s: float) -> str:
        left = self.unknown()
        if not left:
            return f"the broker did not answer for {timeout_s:g} s at the end: cash and positions are as it last said"
        names = ", ".join(f"{each['client_order_id']} ({each['symbol']})" for each in left[:NAMED])
        more = f" and {len(left) - NAMED:,} more" if len(left) > NAMED else ""
        return (
            f"{len(left):,} orders did not end within {timeout_s:g} s, and how they stand is not known: {names}{more}; "
            "the dead-man goes on cancelling them"
        )

    @property
    def parted(self) -> bool:
        """Whether cash and positions are the broker's word of the end; else what it said some time before."""
        return self.engine.parted

    def unknown(self) -> list[dict[str, Any]]:
        """The orders that may be open at the broker, for all that is known here: what a person has to look at."""
        return [
            {
                "client_order_id": life.client_id, "broker_order_id": life.broker_id, 
                "symbol": life.request.symbol, "side": life.request.side,
                "qty": str(life.qty), "filled": str(life.executions.filled), "state": life.state,
            }
            for life in self.engine.blotter.open
            if life.state != INTENT
        ]  # fmt: skip

    def close(self) -> None:
        """Stop; a clean goodbye to the dead-man only if no order of ours may be open."""
        self._inbox.put(("stop", None))
        if self._thread.is_alive():
            self._thread.join(START_S)
        self._updates.stop()
        self._hands.stop()
        if self.engine.killed or self.engine.at_risk:
            self._man.leave()
        else:
            self._man.goodbye()
        self.journal.end_run(time.time_ns())
        try:
            self.journal.commit()
        except JournalError as wrong:
            self._failed = self._failed or wrong
        self.journal.close()
        self.engine.switch.effective()  # the hands have stopped: nothing leaves any more

    def _main(self) -> None:
        try:
            while self._wake():
                self.engine.turn()
        except Exception as wrong:
            self._failed = VenueError(f"the broker's thread failed: {type(wrong).__name__}: {masked(str(wrong))}")
            raise
        finally:
            self.engine.started.set()
            self.engine.release()

    def _wake(self) -> bool:
        """Wait for something to happen, hear all of it; False when it is time to stop."""
        try:
            what, data = self._inbox.get(timeout=min(TICK_S, self.engine.wait()))
            for _ in range(MOST_AT_ONCE):
                if what == "stop":
                    return False
                self.engine.hear(what, data)
                what, data = self._inbox.get_nowait()
        except queue.Empty:
            pass
        return True
