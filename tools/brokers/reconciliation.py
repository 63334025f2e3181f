"""Reconciliation: what the broker says by REST against what we believe, on a timer and after every connection.

Open orders every 5 s, executions, positions and the account every 30 s and after every (re)connection, executions at
once when an order claims more than is known. Missing executions are recovered once; what is not ours is EXTERNAL.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from gpi.formats.execution import NEW, OrderRequest
from gpi.tools.brokers.alpaca import wire
from gpi.tools.brokers.alpaca.rest import Reply
from gpi.tools.brokers.blotter import Blotter
from gpi.tools.brokers.bucket import LOOK, RESOLVE
from gpi.tools.brokers.clerk import Clerk
from gpi.tools.brokers.executions import ZERO
from gpi.tools.brokers.guards import SKEW_BLOCK_S, SKEW_WARN_S, skew
from gpi.tools.brokers.holds import HALTED, Holds
from gpi.tools.brokers.inquiries import Outcome
from gpi.tools.brokers.journal import FEE
from gpi.tools.brokers.life import LIVE, Life
from gpi.tools.brokers.looks import BARRED, marks, positions, readable, stamp, told_time
from gpi.tools.brokers.outbox import Job, Outbox
from gpi.tools.brokers.standing import Standing

PAGE: Final = 100
MOST_OPEN: Final = 500
OVERLAP_NS: Final = 2_000_000_000
BEFORE_NS: Final = 60_000_000_000  # how long before its order an execution may be stamped, at most
GAP_S: Final = 0.5
SETTLE_S: Final = 1.0
FULL: Final = ("orders", "activities", "positions", "account")
CLOCK: Final = "this clock and the broker's"
PARTING: Final = "the last look"


class Reconciliation(Standing):
    """Looks out, comparisons in."""

    def __init__(
        self, blotter: Blotter, holds: Holds, clerk: Clerk, outbox: Outbox, say: Callable[[str], None],
        every_s: tuple[float, float] = (5.0, 30.0), now: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__(blotter, say)
        self.holds, self.clerk, self.outbox = holds, clerk, outbox
        self.orders_s, self.full_s = every_s
        self.same_day = False  # True: not a venue that replays another day; its clock is to be ours
        self.since_ns = 0  # every execution before this is known
        self._next_orders, self._next_full, self._next_gap = now + self.orders_s, now + self.full_s, now
        self._suspects: dict[str, Decimal] = {}
        self._skewed = False
        self._asked: dict[str, dict[str, Decimal]] = {}
        self._waiting: dict[str, list[str]] = {}  # cause of a hold: looks it waits for, one after the other

    def after_connection(self, cause: str) -> None:
        """Everything is looked at once, one look after the other, each until it is answered; then `cause` is lifted."""
        self._waiting[cause] = list(FULL)
        self.look(FULL[0], RESOLVE)

    def part(self) -> bool:
        """Nothing works any more: look at everything once more; True when that has been answered, all of it."""
        if not self.last_word:
            self.last_word = True
            self.after_connection(PARTING)
        return PARTING not in self._waiting

    def disconnected(self, cause: str) -> None:
        """The stream is down again: what was asked for its sake is asked anew when it is back."""
        self._waiting.pop(cause, None)

    def full(self, lane: int = LOOK) -> None:
        """Look at everything, the clock included."""
        for what in (*FULL, "clock") if self.same_day else FULL:
            self.look(what, lane)

    def look(self, what: str, lane: int = LOOK) -> None:
        """Queue one look."""
        path, data = self._question(what)
        self.outbox.add(Job(lane, what, "GET", path, data))

    def _question(self, what: str, page: str = "") -> tuple[str, Any]:
        if what == "orders":
            return "/orders", {"status": "open", "limit": MOST_OPEN, "direction": "desc"}
        if what == "activities":
            asked = {"direction": "asc", "page_size": PAGE}
            if self.since_ns:
                gaps = [life.request.ts_event - BEFORE_NS for life in self.blotter.gaps.values()]
                asked["after"] = stamp(max(min([self.since_ns - OVERLAP_NS, *gaps]), 0))
            return "/account/activities/FILL", {**asked, "page_token": page} if page else asked
        return f"/{what}", None

    def due(self, now: float) -> None:
        """What time brings."""
        if now >= self._next_orders:
            self._next_orders = now + self.orders_s
            self.look("orders")
        if now >= self._next_full:
            self._next_full = now + self.full_s
            self.full()
        if (self.blotter.gaps or self.blotter.unsettled or self.cash_due) and now >= self._next_gap:
            self._next_gap = now + GAP_S
            if self.blotter.gaps:
                self.look("activities", RESOLVE)
            if self.blotter.unsettled:
                self.look("positions", RESOLVE)
            if self.cash_due:
                self.look("account", RESOLVE)

    def sending(self, job: Job) -> None:
        """A look goes out: remember what was believed when it was asked."""
        if job.what in ("positions", "account"):
            self._asked[job.what] = dict(self.blotter.expected)
        elif job.what == "orders":
            live = [each for each in self.blotter.open if each.state == LIVE and not each.end]
            self._asked["orders"] = {each.client_id: ZERO for each in live}

    def replied(self, job: Job, outcome: Outcome, now: float) -> None:
        """Fold what a look has found; one that cannot be read, whatever its status, is made again."""
        if not isinstance(outcome, Reply) or outcome.status != 200 or not readable(job.what, outcome.body):
            if any(job.what == waiting[0] for waiting in self._waiting.values()):
                self.outbox.add(job)  # the bucket spaces these; a hold stays until one succeeds
            return
        if job.what == "orders":
            self._orders(outcome.body, now)
        elif job.what == "activities":
            if not self._activities(job, outcome.body):
                return
        elif job.what == "positions":
            self._positions(outcome.body, now)
        elif job.what == "account":
            self._account(outcome.body, now)
        elif job.what == "clock":
            self._clock(outcome)
        for cause, waiting in list(self._waiting.items()):
            if waiting[0] == job.what:
                del waiting[0]
                if waiting:
                    self.look(waiting[0], RESOLVE)
                else:
                    del self._waiting[cause]
                    self.holds.free(cause)

    def _orders(self, body: Any, now: float) -> None:
        rows: list[Any] = body
        told = [each for each in map(wire.order, rows) if each is not None]
        before = set(self.blotter.external)
        for each in told:
            life = self.blotter.order(each)
            if life is not None:
                self.clerk.inquiries.settled(life, now)
                if life.mute and life.open and not life.end and not life.withdrawing:
                    self.clerk.withdraw(life, each.ts, now)
            elif each.client_id.startswith(self.blotter.owner):
                self._orphan(each, now)
        there = {each.broker_id for each in told}
        if len(rows) < MOST_OPEN:
            for gone in [broker_id for broker_id in self.blotter.external if broker_id not in there]:
                del self.blotter.external[gone]
            for client_id in self._asked.pop("orders", {}):
                life = self.blotter.of(client_id)
                if life.broker_id not in there and life.open and not life.end:
                    self.clerk.inquiries.watch(life, now, 0.0)
        self.external_orders(before)

    def _orphan(self, told: wire.Told, now: float) -> None:
        """An order with our journal's tag that the journal does not know: it lost its last rows. Cancelled."""
        self.blotter.external.pop(told.broker_id, None)
        self.blotter.counts["order adopted"] += 1
        self.say(f"an order of a former run in {told.symbol} is cancelled: {told.client_id}")
        request = OrderRequest(NEW, told.ts, 0, self.ids.get(wire.key(told.symbol), -1), told.symbol, told.side)
        life = Life(request, told.client_id, None, told.qty, mute=True)
        self.clerk.journal.intend(told.client_id, request, {}, told.ts, "found at the broker")
        self.blotter.place(life)
        self.blotter.order(told)
        self.clerk.withdraw(life, told.ts, now)

    def external_orders(self, before: set[str]) -> None:
        """Block the symbols of open orders that are not ours, and free those whose orders are gone."""
        for broker_id in set(self.blotter.external) - before:
            each = self.blotter.external[broker_id]
            self.say(f"EXTERNAL order {broker_id} in {each.symbol}: {each.symbol} adds no exposure while it is open")
        keys = {wire.key(each.symbol) for each in self.blotter.external.values()}
        for key in keys:
            self.holds.block(key, "external order")
        for key in [key for key, causes in self.holds.blocks.items() if "external order" in causes and key not in keys]:
            self.holds.unblock(key, "external order")

    def _activities(self, job: Job, body: Any) -> bool:
        """True when the last page was read."""
        rows = [row for row in body if isinstance(row, dict)]
        newest = 0
        for row in rows:
            if self.blotter.activity(row):
                self.blotter.counts["execution recovered"] += 1
            newest = max(newest, wire.nanoseconds(row.get("transaction_time")))
        if len(rows) >= PAGE and rows[-1].get("id"):
            path, data = self._question("activities", str(rows[-1]["id"]))
            self.outbox.add(job._replace(path=path, data=data))
            return False
        self.since_ns = max(self.since_ns, newest)
        return True

    def _positions(self, body: Any, now: float) -> None:
        believed = self._asked.pop("positions", {})
        held = self.held = positions(body)
        self.marks = marks(body)
        for key in sorted(set(held) | set(self.blotter.expected) | set(self.blotter.outside)):
            qty, _ = held.get(key, (ZERO, ZERO))
            expected = self.blotter.expected.get(key, ZERO)
            if expected != believed.get(key, ZERO):
                continue  # executed while the broker was asked: the next look will tell
            self._compare(key, qty, expected)
        self._next_full = min(self._next_full, now + SETTLE_S) if self._suspects else self._next_full

    def _compare(self, key: str, qty: Decimal, expected: Decimal) -> None:
        apart = qty - expected - self.blotter.outside.get(key, ZERO)
        if key in self.blotter.unsettled:
            self.blotter.unsettled.discard(key)
            self.tell(key)
        if apart == 0:
            self._suspects.pop(key, None)
        elif (self.opening or self._suspects.get(key) == apart) and not self.blotter.gaps:
            self._suspects.pop(key, None)
            if self.blotter.fee_in_kind(key, apart):
                self.clerk.journal.claim(key, apart, time.time_ns(), FEE)
                self.tell(key)
            else:
                self.adopt(key, qty)
        else:
            self._suspects[key] = apart

    def adopt(self, key: str, qty: Decimal) -> None:
        """The broker's position is the truth: the session is told; what is not of our orders blocks the symbol."""
        outside = qty - self.blotter.expected.get(key, ZERO)
        if self.opening is not None and self.opening(key, outside):
            self.blotter.expected[key] = qty
            return
        self.blotter.outside[key] = outside
        self.tell(key)
        if outside:
            self.holds.block(key, "external position")
            self.say(f"EXTERNAL position of {outside} in {key}: no new exposure there until --claim {key}")
        else:
            self.blotter.outside.pop(key)
            self.holds.unblock(key, "external position")

    def _clock(self, reply: Reply) -> None:
        """More than 50 ms apart is said; more than a second halts until it is less. The way there is allowed for."""
        apart = skew(told_time(reply.body), reply.sent, reply.back)
        surely = abs(apart) - (reply.back - reply.sent) / 2e9
        if surely > SKEW_BLOCK_S:
            if CLOCK not in self.holds.causes:
                self.say(f"halted: this clock is {-apart:.3f} s ahead of the broker's")
            self.holds.hold(CLOCK, HALTED)
            return
        self.holds.free(CLOCK)
        if surely > SKEW_WARN_S and not self._skewed:
            self.say(f"this clock is {-apart * 1000:.0f} ms ahead of the broker's")
        self._skewed = surely > SKEW_WARN_S

    def _account(self, body: Any, now: float) -> None:
        self.cash = wire.number(body.get("cash")) or ZERO
        self.equity = wire.number(body.get("equity")) or ZERO
        self.last_equity = wire.number(body.get("last_equity")) or ZERO
        unmoved = self._asked.pop("account", None) == self.blotter.expected
        if unmoved and not self.blotter.gaps:
            if self.cash_due:
                self.told.append(self.cash_answer(0, ZERO))
            elif self.begun and self.blotter.dues.charged and not self._suspects:
                if self.cash_compared():
                    self._next_full = min(self._next_full, now + SETTLE_S)
        flags = [name for name in BARRED if body.get(name) is True]
        if flags:
            self.holds.hold("account", HALTED)
            self.say(f"halted: the broker says {', '.join(flags)}")
        else:
            self.holds.free("account")
