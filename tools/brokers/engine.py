"""Engine: one wake-up after the other, in one thread that owns the journal and everything that is known.

requests, replies and updates are folded, then committed to the journal, then told and sent. If the journal cannot be
written, nothing new is sent and what was asked is answered as rejected; cancels still go out.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from gpi.formats.errors import GpiError, RiskBreach, VenueError
from gpi.formats.execution import AMEND, NEW, ExecutionReport, OrderRequest
from gpi.formats.instruments import Instruments
from gpi.formats.secrets import masked
from gpi.formats.words import DAY_NS
from gpi.tools.brokers import startup
from gpi.tools.brokers.alpaca import wire
from gpi.tools.brokers.alpaca.rest import Reply
from gpi.tools.brokers.bucket import ORDER, Bucket
from gpi.tools.brokers.clerk import Clerk
from gpi.tools.brokers.deadman import Deadman
from gpi.tools.brokers.guards import Guards
from gpi.tools.brokers.holds import HALTED, REDUCING, STARTING, Holds
from gpi.tools.brokers.journal import JournalError
from gpi.tools.brokers.life import INTENT, LIVE, reason
from gpi.tools.brokers.outbox import Job, Outbox
from gpi.tools.brokers.reconciliation import Reconciliation
from gpi.tools.brokers.startup import Opened, Terms

BEAT_S: Final = 0.5
SOCKET: Final = "the stream is down"
BARRED: Final = "keys"

Give = Callable[[Job], None]


class Engine:
    """What is known and decided about one account. `give` carries a request out; `say` takes a line for a person."""

    def __init__(
        self, opened: Opened, terms: Terms, man: Deadman, guards: Guards, give: Give, say: Callable[[str], None]
    ) -> None:
        self.journal, self.blotter, self.switch = opened.journal, opened.blotter, opened.switch
        self.terms, self.say, self._give, self._man = terms, say, give, man
        self.failure: GpiError | None = None
        self.out: deque[ExecutionReport] = deque()
        self.started = threading.Event()
        self.killed = False
        self.holds = Holds()
        self.holds.hold(SOCKET, REDUCING)
        self.outbox = Outbox(Bucket())
        self._guards = guards
        guards.stale_s = math.inf if opened.own_time else terms.stale_s
        account, now = opened.account, time.monotonic()
        parts = (self.blotter, self.holds, self.journal, self.outbox)
        self.clerk = Clerk(*parts, guards, account, say, terms.grace_s)
        self.desk = Reconciliation(self.blotter, self.holds, self.clerk, self.outbox, say, terms.every_s, now)
        self.desk.since_ns = opened.since_ns
        self.desk.same_day = not opened.own_time
        self._clock_day = opened.clock_ns // DAY_NS
        self._beaten = 0.0
        self._looked_twice = False
        self._unclaimed = set(terms.claims) - {"ALL"}
        self.parted = False  # every order has ended, and after that the broker told how things stand
        self._finishing: list[threading.Event] = []
        self._waiting: dict[int, OrderRequest] = {}  # asked and not yet in the journal
        for life in opened.leftovers:
            self.blotter.place(life)
            if not life.open:
                continue  # it has ended: it is here for its legs
            self.holds.block(wire.key(life.request.symbol), f"unknown {life.client_id}")
            self.clerk.inquiries.watch(life, now, 0.0)

    def announce(self, instruments: Instruments) -> None:
        """The instruments of the stream; new ones are added with the time."""
        self.clerk.instruments = {row.id: row for row in instruments}
        self.blotter.dues.announced(instruments)
        self.desk.announced({wire.key(row.symbol): row.id for row in instruments})

    def wait(self) -> float:
        """Seconds until something is due to be sent."""
        return self.outbox.wait(time.monotonic())

    def hear(self, what: str, data: Any) -> None:
        """Fold one thing: asks, a reply, a frame, the link's state, or the wish to finish (an Event)."""
        now_ns, now = time.time_ns(), time.monotonic()
        if what == "asks":
            self._waiting.update({request.order_id: request for request in data if request.what in (NEW, AMEND)})
            self.clerk.requests(data, now_ns, now)
        elif what == "reply":
            job, outcome, left = data
            if left and job.lane == ORDER:
                self.journal.heard(f"left {job.method} {job.client_id}", "", left)
            self._replied(job, outcome, now_ns, now)
        elif what == "frame":
            self.journal.heard("stream", masked(data), now_ns)
            self._frame(data, now)
        elif what == "finish":
            self._finishing.append(data)
            self.clerk.stop(now_ns, now)
        elif what == "day":
            self.journal.day_is(data._replace(equity=data.equity + self.desk.away))
        elif what == "instruments":
            self.announce(data)
        else:
            self._linked(what, data)

    def turn(self) -> None:
        """After the hearing: what time brings, the commit, the telling, the sending."""
        now_ns, now = time.time_ns(), time.monotonic()
        self._look_after(now_ns, now)
        self.clerk.due(now_ns, now)
        self.desk.due(now)
        self._settle(now_ns)
        for job in self.outbox.due(now):
            self.clerk.sending(job) if job.client_id else self.desk.sending(job)
            self._give(job)
        if self.killed and not self.outbox.sending:
            self.switch.effective()
        if self._finishing and not self.blotter.open and self.outbox.idle:
            if BARRED in self.holds.causes:
                self.release()  # nobody answers a key that is refused
            elif self.desk.part():
                self.parted = True
                self.release()

    @property
    def at_risk(self) -> bool:
        """Whether an order of ours may be open at the broker."""
        return any(life.open and life.state != INTENT for life in self.blotter.open)

    def release(self) -> None:
        """Whoever waits for the end waits no more."""
        for each in self._finishing:
            each.set()
        self._finishing.clear()

    def _replied(self, job: Job, outcome: Reply | VenueError, now_ns: int, now: float) -> None:
        self.outbox.done(job)
        if isinstance(outcome, Reply):
            self.outbox.bucket.heard(outcome.status, outcome.headers, outcome.server, now)
        if job.what in ("new", "replace", "cancel", "resolve"):
            text = outcome.text if isinstance(outcome, Reply) else str(outcome)
            self.journal.heard(f"{job.method} {job.client_id}", masked(text), now_ns)
        if job.client_id:
            self.clerk.replied(job, outcome, now)
        else:
            self.desk.replied(job, outcome, now)

    def _frame(self, text: str, now: float) -> None:
        before, known = set(self.blotter.external), self.blotter.executed
        life = self.blotter.message(text)
        if life is not None:
            self.clerk.inquiries.settled(life, now)
        if self.blotter.executed > known and self._guards.executed(now):
            self.clerk.halt("EXEC_THROTTLE", "too many executions within a minute")
        if set(self.blotter.external) != before:
            self.desk.external_orders(before)

    def _linked(self, what: str, data: Any) -> None:
        if what == "up":
            self.holds.hold(SOCKET, REDUCING)
            self.desk.after_connection(SOCKET)
        elif what == "down":
            if self.started.is_set() and SOCKET not in self.holds.causes:
                self.say(f"the stream of order updates is down ({data}): no new exposure until it is back")
            self.holds.hold(SOCKET, REDUCING)
            self.desk.disconnected(SOCKET)
        elif what == "barred":
            self.holds.hold(BARRED, HALTED)
            self.failure = VenueError(f"{data}: check the keys")
            self.started.set()

    def _look_after(self, now_ns: int, now: float) -> None:
        """The kill file, the dead-man, and the beginning of trading once everything is reconciled."""
        if not self.killed and self.switch.pulled:
            self.killed = True
            self.holds.hold("kill", HALTED)
            self.failure = RiskBreach(f"the kill switch was pulled ({self.switch.file}): all orders cancelled")
            self.journal.raise_flag("kill", str(self.switch.file), now_ns)
            self.journal.heard("kill", str(self.switch.file), now_ns)
            self.clerk.stop(now_ns, now)
        if now - self._beaten >= BEAT_S:
            self._beaten = now
            if not self._man.beat() and not self.killed and "dead-man" not in self.holds.causes:
                self.holds.hold("dead-man", HALTED)
                self.failure = VenueError("the dead-man process is gone: orders were cancelled, none sent since")
                self.clerk.stop(now_ns, now)
        if not self.started.is_set() and SOCKET not in self.holds.causes:
            self._begin(now_ns)

    def _begin(self, now_ns: int) -> None:
        if any(life.mute and life.state == LIVE for life in self.blotter.open):
            return  # orders of a former run are still being cancelled
        if not self._looked_twice:
            self._looked_twice = True
            self.desk.opening = self._claimed
            self.holds.hold(SOCKET, REDUCING)
            self.desk.after_connection(SOCKET)
            return
        for key in sorted(self._unclaimed):
            self.say(f"--claim {key}: the account holds nothing foreign of it")
        self.holds.free(STARTING)
        self.out.extend(self.desk.begin(now_ns, self.journal.day(self._clock_day)))
        self.out.extend(self.holds.news(now_ns, self.desk.ids))
        self.started.set()

    def _claimed(self, key: str, outside: Any) -> bool:
        if key not in self.terms.claims and "ALL" not in self.terms.claims:
            return False
        self._unclaimed.discard(key)
        self.journal.claim(key, outside, time.time_ns(), "--claim")
        return True

    def _settle(self, now_ns: int) -> None:
        """Commit what happened, then tell it. What cannot be committed is not sent."""
        told = self.blotter.reports()
        try:
            startup.write(self.journal, self.blotter, now_ns)
            self.journal.commit()
        except JournalError as wrong:
            self._broken(wrong)
            told += self.blotter.reports()
        else:
            self.blotter.forget()
        if self.blotter.legs:
            self._man.mind(self.blotter.legs)
            self.blotter.legs = []
        self._waiting.clear()
        self.out.extend(told)
        if self.started.is_set():
            self.out.extend(self.desk.told)
            self.out.extend(self.holds.news(now_ns, self.desk.ids))
        self.desk.told.clear()

    def _broken(self, wrong: JournalError) -> None:
        """Fail closed: what was asked and is not durable is rejected, nothing new is sent; cancels still go out."""
        self.failure = self.failure or wrong
        self.holds.hold("journal", HALTED)
        for request in self._waiting.values():
            found = self.blotter.numbered.get(request.order_id)
            for each in found.line if found is not None else ():
                life = each.top if each.top is not None and each.top.combined else each
                if life.state == INTENT:
                    self.outbox.withdraw(life.client_id)
                    life.refused(reason("BROKER_REFUSED"), request.ts_event)
                    self.blotter.touch(life)
