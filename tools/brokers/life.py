"""One order's life, from intent to its end, folded from replies, updates, looks and activities in any order.

What the session is told follows from the facts: accepted once, every execution once, the end once and only when
every execution that the broker has claimed is known. Facts that come twice, late or reordered change nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from gpi.formats.execution import ExecutionReport, OrderRequest
from gpi.formats.words import ACCEPTED, CANCELED, FILLED, REASONS, REDUCED, REJECTED, REPLACED
from gpi.tools.brokers.alpaca.wire import Told
from gpi.tools.brokers.executions import Execution, Executions

INTENT: Final = "intent"  # journaled, not sent
SENT: Final = "sent"  # on its way
UNKNOWN: Final = "unknown"  # sent, and no readable answer came
LIVE: Final = "live"  # the broker has it
DONE: Final = "done"  # it has ended, and every execution is known
WAITING: Final = ("pending_new", "accepted", "pending_replace", "held")  # a replacement that may yet be rejected
Charge = Callable[[Execution], Decimal | None]
REFUSED: Final = "refused"  # it never lived: our own checks, or the broker's


def reason(name: str) -> int:
    """The index of a reason's name; that of BROKER_REFUSED for one we have no word for."""
    return REASONS.index(name if name in REASONS else "BROKER_REFUSED")


@dataclass(eq=False)
class Life:
    """An order of ours at the broker. `mute`: of a former run, which nobody hears of.

    A replacement is an order of its own there, and the session's order goes on in it: `before` is the order in whose
    place it is to come, `after` the one that is to come in its place. The session is told by the first of them.
    """

    request: OrderRequest
    client_id: str
    body: dict[str, Any] | None
    qty: Decimal
    mute: bool = False
    combined: bool = False  # of several legs, which alone trade and of which alone the session knows
    state: str = INTENT
    broker_id: str = ""
    executions: Executions = field(default_factory=Executions)
    end: int = 0  # the action that ended it
    end_ts: int = 0
    reason: int = 0
    withdrawing: bool = False  # the session asked for its cancel
    top: Life | None = field(default=None, repr=False)  # of a leg: the order that was sent with it
    legs: list[Life] = field(default_factory=list, repr=False)
    before: Life | None = field(default=None, repr=False)
    after: Life | None = field(default=None, repr=False)
    took: bool = False  # it is there in the place of the one before
    reports: list[ExecutionReport] = field(default_factory=list)
    versions: int = 0  # how many replacements were asked for, of the first
    _accepted: bool = False
    _ended: bool = False
    _told_end: bool = False  # of the first: the session's order has ended

    @property
    def open(self) -> bool:
        """Whether it may still be at the broker, or on its way there."""
        return self.state not in (DONE, REFUSED)

    @property
    def leaves(self) -> Decimal:
        """What is unfilled."""
        return max(Decimal(0), self.qty - self.executions.filled)

    @property
    def told_end(self) -> bool:
        """Whether the session believes that it has ended."""
        return self._ended

    @property
    def first(self) -> Life:
        """The order that the session asked for, before all replacements."""
        return self if self.before is None else self.before.first

    @property
    def current(self) -> Life:
        """The order that stands for it now."""
        return self.after.current if self.after is not None and self.after.took else self

    @property
    def line(self) -> list[Life]:
        """It and all its replacements, those that came to nothing left out."""
        found, each = [], self.first
        while True:
            found.append(each)
            if each.after is None:
                return found
            each = each.after

    @property
    def filled_before(self) -> Decimal:
        """What the broker has said was filled of the orders before this one."""
        return Decimal(0) if self.before is None else self.before.executions.claimed + self.before.filled_before

    @property
    def kin(self) -> list[Life]:
        """All orders that a change of this one may change."""
        top = (self.top or self).first
        return list(dict.fromkeys([*top.line, *top.legs, *self.line, self]))

    def becomes(self, state: str) -> None:
        """It and its legs are on their way, or not."""
        self.state = state
        for leg in self.legs:
            if not leg.broker_id:
                leg.state = state

    def told(self, order: Told) -> None:
        """Fold what the broker says of the order."""
        if (self.top or self.legs) and self.broker_id and 0 < order.qty < self.qty:
            self.qty = order.qty  # its sibling has filled in part
            self._say(REDUCED, order.ts, float(self.qty + self.filled_before), self._px, float(self.leaves))
        elif order.qty > 0 and (self.before or self.mute):
            self.qty = min(self.qty, order.qty) if self.broker_id else order.qty
        self.broker_id = self.broker_id or order.broker_id
        if not self.combined:
            self.executions.claim(order.filled)
        if self.state == REFUSED:
            self.end = 0  # it was called rejected, and it was not
            if self.before is not None and self.before.after is None:
                self.before.after = self
        if order.end and not self.end:
            self.end, self.end_ts = order.end, order.ts
        if order.status != "rejected" or order.filled:
            self._accept(order.ts, order.status)
        if self.state in (INTENT, SENT, UNKNOWN, REFUSED):
            self.state = LIVE
        if order.status == "replaced" and self.after is not None:
            self.after.take(order.ts)
        self._close()

    def fill(self, execution: Execution, charge: Charge = lambda _: None) -> bool:
        """Fold an execution; True if it is news, and then it is charged."""
        news = self.executions.add(execution)
        if news:
            self._accept(execution.ts)
            leaves, fee = float(self.current.leaves), charge(execution)
            told = float("nan") if fee is None else float(fee)
            self._say(FILLED, execution.ts, float(execution.qty), float(execution.px), leaves, fee=told)
        self._close()
        return news

    def take(self, ts: int) -> None:
        """It stands in the place of the order before it: REPLACED is told, once."""
        if self.before is not None and self.before.after is self and not self.took:
            self.took = True
            self._replaced(ts, 0)

    def over(self) -> Life:
        """As it was when it had ended and everything had been told: for an order read from the journal."""
        self._accepted = self._ended = self._told_end = True
        whole = self.executions.filled >= self.qty > 0
        self.end = REJECTED if self.state == REFUSED else FILLED if whole else CANCELED
        return self

    def refused(self, why: int, ts: int) -> None:
        """It never lived: REJECTED is told. Not for an order that may be at the broker."""
        if self.state == REFUSED:
            return
        self.state, self.end, self.end_ts, self.reason = REFUSED, REJECTED, ts, why
        if self.before is not None:
            self._came_to_nothing(why, ts)
        else:
            self._tell_end(REJECTED, ts)
        for leg in self.legs:
            if not leg.broker_id:
                leg.refused(why, ts)

    def kept(self, why: int, ts: int) -> None:
        """A replacement came to nothing: the order is told as it is."""
        self.current._replaced(ts, why)

    def dropped(self, action: int, ts: int) -> None:
        """It ended here before it was ever sent: CANCELED or EXPIRED."""
        self.state, self.end, self.end_ts = REFUSED, action, ts
        if self.before is not None:
            self._came_to_nothing(reason("BROKER_REFUSED"), ts)
        else:
            self._tell_end(action, ts)
        for leg in self.legs:
            leg.dropped(action, ts)

    def _came_to_nothing(self, why: int, ts: int) -> None:
        """The order before it goes on, or its end is the end after all."""
        assert self.before is not None
        self._ended, was = True, self.before
        was.after = None
        if was.open:
            was.kept(why, ts)
        else:
            was._finish()

    @property
    def _px(self) -> float:
        return self.request.px if self.request.px == self.request.px else self.request.stop_px

    def _replaced(self, ts: int, why: int) -> None:
        self._say(REPLACED, ts, float(self.qty + self.filled_before), self._px, float(self.leaves), why)

    def _accept(self, ts: int, status: str = "") -> None:
        if self.before is not None:
            if status not in WAITING:
                self.take(ts)
        elif not self._accepted:
            self._accepted = True
            self._say(ACCEPTED, ts, float(self.qty), float("nan"), float(self.qty))

    def _close(self) -> None:
        whole = self.executions.filled >= self.qty > 0
        if whole and not self.end:
            self.end = FILLED
        if self.end and not self.executions.missing and self.state == LIVE:
            if (
                self.end == FILLED
                and not whole
                and not (self.combined or self.executions.busted or self.executions.corrected)
            ):
                return  # filled, says the broker, and the executions that make it whole are still to come
            self.state = DONE
            if self.end == REJECTED and self.before is not None and not self.took:
                self._came_to_nothing(reason("BROKER_REFUSED"), self.end_ts)
            else:
                self._finish()

    def _finish(self) -> None:
        """Tell the end of the session's order, if this one's is the end: nothing of the line is open any more."""
        line = self.line
        if not any(each.open for each in line):
            last = line[-1]
            action = CANCELED if last.end == REJECTED and any(each.executions.filled for each in line) else last.end
            if action != FILLED:
                last._tell_end(action, last.end_ts)

    def _tell_end(self, action: int, ts: int) -> None:
        first = self.first
        self._ended = True
        if not first._told_end:
            first._told_end = True
            self._say(action, ts, float(self.qty + self.filled_before), float("nan"), float(self.leaves))

    def _say(
        self, action: int, ts: int, qty: float, px: float, leaves: float, why: int = 0, fee: float = float("nan")
    ) -> None:
        if self.mute or self.combined:
            return
        request = self.request
        self.first.reports.append(
            ExecutionReport(
                ts, action, request.order_id, request.instrument_id, request.side, qty, px, leaves, fee,
                reason=self.reason if action == REJECTED else why,
            )
        )  # fmt: skip
