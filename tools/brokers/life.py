"""One order's life, from intent to its end, folded from replies, updates, looks and activities in any order.

What the session is told follows from the facts: accepted once, every execution once, the end once and only when
every execution that the broker has claimed is known. Facts that come twice, late or reordered change nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from gpi.formats.answers import Answer, Ask
from gpi.formats.orders import ACCEPTED, CANCELED, FILLED, REASONS, REJECTED, REPLACED
from gpi.tools.brokers.executions import Execution, Executions
from gpi.tools.brokers.wire import Told

INTENT: Final = "intent"  # journaled, not sent
SENT: Final = "sent"  # on its way
UNKNOWN: Final = "unknown"  # sent, and no readable answer came
LIVE: Final = "live"  # the broker has it
DONE: Final = "done"  # it has ended, and every execution is known
REFUSED: Final = "refused"  # it never lived: our own checks, or the broker's


def reason(name: str) -> int:
    """The index of a reason's name; that of BROKER_REFUSED for one we have no word for."""
    return REASONS.index(name if name in REASONS else "BROKER_REFUSED")


@dataclass
class Life:
    """An order of ours. `mute`: of a former run, which nobody hears of."""

    ask: Ask
    client_id: str
    request: dict[str, Any] | None
    qty: Decimal
    mute: bool = False
    state: str = INTENT
    broker_id: str = ""
    executions: Executions = field(default_factory=Executions)
    end: int = 0  # the action that ended it
    end_ts: int = 0
    reason: int = 0
    withdrawing: bool = False  # the session asked for its cancel
    answers: list[Answer] = field(default_factory=list)
    _accepted: bool = False
    _ended: bool = False

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

    def told(self, order: Told) -> None:
        """Fold what the broker says of the order."""
        self.broker_id = self.broker_id or order.broker_id
        self.executions.claim(order.filled)
        if self.state == REFUSED:
            self.end = 0  # it was called rejected, and it was not
        if order.end and not self.end:
            self.end, self.end_ts = order.end, order.ts
        if order.status != "rejected" or order.filled:
            self._accept(order.ts)
        if self.state in (INTENT, SENT, UNKNOWN, REFUSED):
            self.state = LIVE
        self._close()

    def fill(self, execution: Execution) -> bool:
        """Fold an execution; True if it is news."""
        news = self.executions.add(execution)
        if news:
            self._accept(execution.ts)
            leaves = float(self.leaves)
            self._say(FILLED, execution.ts, float(execution.qty), float(execution.px), leaves)
        self._close()
        return news

    def refused(self, why: int, ts: int) -> None:
        """It never lived: REJECTED is told. Not for an order that may be at the broker."""
        if self.state == REFUSED:
            return
        self.state, self.end, self.end_ts, self.reason = REFUSED, REJECTED, ts, why
        self._tell_end(REJECTED, ts)

    def kept(self, why: int, ts: int) -> None:
        """A replacement came to nothing: the order is told as it is."""
        px = self.ask.px if self.ask.px == self.ask.px else self.ask.stop_px
        self._say(REPLACED, ts, float(self.qty), px, float(self.leaves), why)

    def dropped(self, action: int, ts: int) -> None:
        """It ended here before it was ever sent: CANCELED or EXPIRED."""
        self.state, self.end, self.end_ts = REFUSED, action, ts
        self._tell_end(action, ts)

    def _accept(self, ts: int) -> None:
        if not self._accepted:
            self._accepted = True
            self._say(ACCEPTED, ts, float(self.qty), float("nan"), float(self.qty))

    def _close(self) -> None:
        whole = self.executions.filled >= self.qty > 0
        if whole and not self.end:
            self.end = FILLED
        if self.end and not self.executions.missing and self.state == LIVE:
            if self.end == FILLED and not whole and not (self.executions.busted or self.executions.corrected):
                return  # filled, says the broker, and the executions that make it whole are still to come
            self.state = DONE
            action = CANCELED if self.end == REJECTED and self.executions.filled else self.end
            if action != FILLED:
                self._tell_end(action, self.end_ts)

    def _tell_end(self, action: int, ts: int) -> None:
        if not self._ended:
            self._ended = True
            self._say(action, ts, float(self.qty), float("nan"), float(self.leaves))

    def _say(self, action: int, ts: int, qty: float, px: float, leaves: float, why: int = 0) -> None:
        if self.mute:
            return
        ask = self.ask
        self.answers.append(
            Answer(
                ts, action, ask.order_id, ask.instrument_id, ask.side, qty, px, leaves,
                reason=self.reason if action == REJECTED else why,
            )
        )  # fmt: skip
