"""Clerk: decides what is sent for each ask, and what each reply means. One thread, no socket, time handed in.

Never twice: a POST is sent once. What came back unreadable leaves the order unknown, its symbol blocked, until the
broker is asked by client_order_id; that there is none is believed after a grace time and a second look.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from gpi.formats.execution import AMEND, NEW, OrderRequest
from gpi.formats.instruments import Instrument
from gpi.formats.words import CANCELED, EXPIRED
from gpi.tools.brokers import refusals
from gpi.tools.brokers.alpaca import wire
from gpi.tools.brokers.alpaca.rest import NotSent, Reply
from gpi.tools.brokers.amendments import amend
from gpi.tools.brokers.blotter import Blotter
from gpi.tools.brokers.bucket import ORDER
from gpi.tools.brokers.families import combination, grouped, order_body, split
from gpi.tools.brokers.gate import flips, refuses
from gpi.tools.brokers.guards import Guards
from gpi.tools.brokers.holds import ACTIVE, HALTED, Holds
from gpi.tools.brokers.inquiries import GRACE_S, Inquiries, Outcome
from gpi.tools.brokers.journal import Journal
from gpi.tools.brokers.life import INTENT, LIVE, SENT, Life, reason
from gpi.tools.brokers.outbox import Job, Outbox


class Clerk:
    """Orders out, replies in. `say` takes a line for a person."""

    def __init__(
        self,
        blotter: Blotter,
        holds: Holds,
        journal: Journal,
        outbox: Outbox,
        guards: Guards,
        account: str,
        say: Callable[[str], None],
        grace_s: float = GRACE_S,
    ) -> None:
        self.blotter, self.holds, self.journal, self.outbox = blotter, holds, journal, outbox
        self.guards, self.account, self.say = guards, account, say
        self.inquiries = Inquiries(blotter, holds, outbox, say, grace_s)
        self.instruments: Mapping[int, Instrument] = {}
        self._once_more: dict[str, tuple[Job, list[str]]] = {}
        self._tried: set[str] = set()

    def requests(self, requests: list[OrderRequest], now_ns: int, now: float) -> None:
        """Everything that the session wanted in one go."""
        for family in grouped(requests):
            request = family[0]
            if request.what == NEW:
                self._new(family, now_ns, now)
            elif request.what == AMEND:
                amend(self, request, now_ns, now)
            else:
                self._withdraw(request, now_ns, now)

    def _new(self, family: list[OrderRequest], now_ns: int, now: float) -> None:
        request = family[0]
        client_id = self.journal.client_id(self.account, request.order_id)
        if request.legs:
            family, client_id = [request, *split(request)], f"{client_id}m"  # the first leg has that id
        key = wire.key(request.symbol)
        why, note, body = self._checked(family, client_id, key, now_ns, now)
        qty = Decimal(body["qty"]) if body else Decimal(0)
        life = Life(request, client_id, body, qty, combined=bool(request.legs))
        self.journal.intend(client_id, request, body, now_ns, note or why)
        for each in family[1:]:
            leg_id, size = self.journal.client_id(self.account, each.order_id), Decimal(str(each.qty))
            leg = Life(each, leg_id, {"leg_of": client_id}, size if request.legs else qty, top=life)
            life.legs.append(leg)
            sent = None if body is None else leg.body
            self.journal.intend(leg.client_id, each, sent, now_ns, note or why)
        for each_life in (life, *life.legs):
            self.blotter.place(each_life)
        if body is None or why:
            life.refused(reason(why), request.ts_event)
            self.blotter.touch(life)
            return
        self.outbox.add(Job(ORDER, "new", "POST", "/orders", body, client_id, key, now))

    def _checked(
        self, family: list[OrderRequest], client_id: str, key: str, now_ns: int, now: float
    ) -> tuple[str, str, dict[str, Any] | None]:
        """(reason, note, request); without a reason it may be sent."""
        request = family[0]
        self.throttle(now)
        for each in family[1:] if request.legs else family[:1]:
            if why := refuses(self.holds, self.blotter, each, wire.key(each.symbol)):
                return why, "", None
        if note := self.stale(request, now_ns):
            return "STALE_DATA", note, None
        instrument = self.instruments.get(request.instrument_id)
        if instrument is None:
            return "MALFORMED", "an instrument that was never announced", None
        try:
            whole = combination(request, client_id, self._positions(family)) if request.legs else None
            body = whole or order_body(family, instrument, client_id)
        except wire.Unsendable as wrong:
            return "MALFORMED", str(wrong), None
        if flips(self.blotter, request, key, Decimal(body["qty"])):
            return "INSUFFICIENT_QTY", "a fill or an order on its way to the session holds it", None
        twin = self.guards.duplicate(request, client_id, now)
        if twin and (before := self.blotter.lives.get(twin)) and before.open:
            return "DUPLICATE_ORDER", f"the same as {twin}", None
        return "", "", body

    def _positions(self, family: list[OrderRequest]) -> dict[str, Decimal]:
        keys = [wire.key(each.symbol) for each in family]
        return {key: self.blotter.position(key) for key in keys}

    def throttle(self, now: float) -> None:
        """One more order or replacement was asked for: too many within a second halt."""
        if self.guards.runaway(now):
            self.halt("EXEC_THROTTLE", f"more than {self.guards.asks_per_s} new orders within a second")

    def stale(self, request: OrderRequest, now_ns: int) -> str:
        """What to say of a decision on old ticks, "" of others; the first one is told to a person, too."""
        if note := self.guards.stale(request, now_ns):
            if not self.blotter.counts["stale decision"]:
                self.say(f"not sent: {note}. Is the feed delayed, behind, or a recording?")
            self.blotter.counts["stale decision"] += 1
        return note

    def halt(self, name: str, why: str) -> None:
        """Nothing new until a person starts the trader again."""
        if name not in self.holds.causes:
            self.holds.hold(name, HALTED)
            self.say(f"halted: {why}; nothing new is sent until somebody starts the trader again")

    def _withdraw(self, request: OrderRequest, now_ns: int, now: float) -> None:
        first = self.blotter.numbered.get(request.order_id)
        for life in first.line if first is not None else ():
            whole = life.top if life.top is not None and life.top.combined else life
            if whole.open:
                self.withdraw(whole, now_ns, now)

    def withdraw(self, life: Life, now_ns: int, now: float) -> None:
        """Have an order cancelled: here if it was not sent, else by asking the broker until it has ended."""
        if not life.withdrawing:
            life.withdrawing = True
            self.journal.cancelling(life.client_id, now_ns)
        parked = self._once_more.pop(life.client_id, None) is not None
        if life.state == INTENT and (self.outbox.withdraw(life.client_id) or parked):
            life.dropped(CANCELED, life.request.ts_event)
            self.blotter.touch(life)
        elif life.state == LIVE and not life.end:
            self.inquiries.cancel(life, now)

    def sending(self, job: Job) -> None:
        """A job goes out now."""
        if job.what in ("new", "replace"):
            life = self.blotter.of(job.client_id)
            life.becomes(SENT)
            self.blotter.touch(life)

    def replied(self, job: Job, outcome: Outcome, now: float) -> None:
        """What came of a request about one order."""
        life = self.blotter.of(job.client_id)
        if job.what in ("new", "replace"):
            self._placed(life, job, outcome, now)
            if life.before is not None and life.state != INTENT:
                self._look_at(life.before, life, now)
        elif job.what == "cancel":
            self.inquiries.cancelled(life, job, outcome, now)
        else:
            self.inquiries.looked(life, outcome, now)
        self.blotter.touch(life)

    def _placed(self, life: Life, job: Job, outcome: Outcome, now: float) -> None:
        if life.state != SENT:
            return  # the stream was faster, and told more
        if isinstance(outcome, NotSent):
            life.refused(reason("BROKER_REFUSED"), life.request.ts_event)
        elif not isinstance(outcome, Reply):
            self.inquiries.lost(life, now)
        elif outcome.status == 429:
            life.becomes(INTENT)
            self.outbox.add(job, first=True)
            if life.withdrawing and self.outbox.withdraw(life.client_id):
                life.dropped(CANCELED, life.request.ts_event)
        elif outcome.status in (200, 201) and (told := wire.order(outcome.body)) and told.client_id == life.client_id:
            self.guards.accepted()
            self.blotter.order(told)
            self.inquiries.settled(life, now)
        elif refusals.uncertain(outcome) or refusals.taken(outcome):
            self.inquiries.lost(life, now)
        else:
            self._refused(life, job, outcome, now)

    def _look_at(self, before: Life, life: Life, now: float) -> None:
        """The reply to a replacement says little of the order it replaces: unless all is clear, that is looked at."""
        if before.open and not before.end and life.state != LIVE:
            self.inquiries.watch(before, now)

    def _refused(self, life: Life, job: Job, reply: Reply, now: float) -> None:
        blocking = [b for b in refusals.in_the_way(reply) if self._leaving(b)]
        if blocking and life.client_id not in self._tried and not life.withdrawing:
            self._tried.add(life.client_id)
            life.becomes(INTENT)
            self._once_more[life.client_id] = (job._replace(since=now), blocking)
            return
        life.refused(reason(refusals.reason(reply)), life.request.ts_event)
        self.say(f"{life.request.symbol}: order {life.request.order_id} refused: {reply.message}")
        if reply.status == 401:
            self.halt("keys", "the broker does not know the key any more")
        if life.before is not None and refusals.too_late(reply):
            return  # a fill or a cancel has won: the look at the order will tell
        if refusals.unheard(reply, self.blotter.position(wire.key(life.request.symbol))):
            return  # a fill came first: nobody's mistake, and nothing of a storm
        if self.guards.rejected():
            self.halt("REJECT_STORM", f"{self.guards.rejects} orders in a row were refused")

    def _leaving(self, broker_id: str) -> bool:
        return any(each.broker_id == broker_id and each.withdrawing for each in self.blotter.open)

    def due(self, now_ns: int, now: float) -> None:
        """What time brings: looks at orders, orders gone stale, orders whose way is free."""
        self.inquiries.due(now)
        for job in self.outbox.stale(now):
            self._expired(job.client_id)
        self._judge_again()
        for client_id, (job, blocking) in list(self._once_more.items()):
            if not any(self._leaving(broker_id) for broker_id in blocking):
                del self._once_more[client_id]
                self.outbox.add(job._replace(since=now))

    def _judge_again(self) -> None:
        """What waits to be sent was judged when it was asked for: what may not be sent any more is refused."""
        if self.holds.level == ACTIVE and not self.holds.blocks:
            return
        for job in self.outbox.orders:
            life = self.blotter.of(job.client_id)
            why = refuses(self.holds, self.blotter, life.request, job.symbol, life)
            if why:
                self.outbox.withdraw(job.client_id)
                life.refused(reason(why), life.request.ts_event)
                self.blotter.touch(life)

    def _expired(self, client_id: str) -> None:
        life = self.blotter.of(client_id)
        life.dropped(EXPIRED, life.request.ts_event)
        self.blotter.touch(life)

    def stop(self, now_ns: int, now: float) -> None:
        """Nothing unsent goes out any more, and everything open is cancelled."""
        for job in self.outbox.drop_orders():
            life = self.blotter.of(job.client_id)
            life.dropped(CANCELED, life.request.ts_event)
            self.blotter.touch(life)
        for life in self.blotter.open:
            self.withdraw(life, now_ns, now)
