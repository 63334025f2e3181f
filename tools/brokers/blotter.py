"""Blotter: all orders of an account, ours and others', and the positions that our executions add up to.

It folds facts and keeps lists of what follows: answers for the session, rows for the journal, orders that need a
look. It knows no clock, no socket and no file.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final, NamedTuple

from gpi.formats.execution import ExecutionReport
from gpi.tools.brokers.alpaca import wire
from gpi.tools.brokers.alpaca.wire import Told
from gpi.tools.brokers.dues import Dues
from gpi.tools.brokers.executions import ZERO, Execution
from gpi.tools.brokers.life import INTENT, Life

IN_KIND: Final = Decimal("0.005")  # of the coins bought: more than any tier of Alpaca's fees
KEPT: Final = 1_000  # ended orders kept in memory; older ones are in the journal alone
PLAIN = frozenset({
    "new", "canceled", "expired", "done_for_day", "replaced", "accepted", "rejected", "pending_new", "stopped",
    "pending_cancel", "pending_replace", "calculated", "suspended", "restated", "order_replace_rejected",
    "order_cancel_rejected", "held",
})  # fmt: skip


class Work(NamedTuple):
    """What the journal has to write since the last time."""

    touched: list[Life]
    executions: list[tuple[Life, Execution]]
    amended: list[tuple[Life, str]]  # executions taken back or corrected


class Blotter:
    """Orders by client id and broker id. `expected`: position by symbol key, from claims and executions.

    `recall` finds an order that was forgotten, by client id or broker id: memory does not grow with the orders.
    """

    def __init__(
        self,
        owner: str = "gpi-",
        recall: Callable[[str, str], Life | None] = lambda *_: None,
        dues: Dues | None = None,
    ) -> None:
        self.owner, self._recall, self.dues = owner, recall, dues or Dues(charged=False)
        self.lives: dict[str, Life] = {}
        self.numbered: dict[int, Life] = {}  # of this run, by the session's order_id
        self.external: dict[str, Told] = {}  # open orders that are not ours, by broker id
        self.expected: dict[str, Decimal] = {}
        self.outside: dict[str, Decimal] = {}  # position by symbol key that is not of our executions
        self.fees: dict[str, Decimal] = {}  # by symbol key: coins that the broker may yet keep of what was bought
        self.counts: Counter[str] = Counter()
        self.unsettled: set[str] = set()  # symbol keys whose position must be asked for: a bust, a correction
        self.gaps: dict[str, Life] = {}  # claimed more than is known
        self.legs: list[str] = []  # broker ids of legs, learned since they were last taken
        self._strays: list[dict[str, Any]] = []
        self._brokers: dict[str, Life] = {}
        self._open: dict[str, Life] = {}
        self._over: dict[str, Life] = {}  # ended, the one touched last at the end
        self._touched: dict[str, Life] = {}
        self._executions: list[tuple[Life, Execution]] = []
        self._amended: list[tuple[Life, str]] = []
        self.executed = 0  # executions that were news

    def place(self, life: Life) -> None:
        """A new order, not sent yet."""
        self.lives[life.client_id] = life
        if not (life.mute or life.combined) and life.before is None:
            self.numbered[life.request.order_id] = life
        if life.broker_id:
            self._brokers[life.broker_id] = life
        self.touch(life)

    def touch(self, life: Life) -> None:
        """Something about this order changed, and maybe about those that it replaces or that replace it."""
        kin = life.kin if life.before or life.after or life.legs or life.top else (life,)
        over = not any(each.open for each in kin)
        for each in kin:
            self._touched[each.client_id] = each
            self._over.pop(each.client_id, None)
            if over:
                self._over[each.client_id] = each
            if each.open:
                self._open[each.client_id] = each
            else:
                self._open.pop(each.client_id, None)
            if each.executions.missing or (each.end and each.open):
                self.gaps[each.client_id] = each
            else:
                self.gaps.pop(each.client_id, None)

    @property
    def open(self) -> list[Life]:
        """Our orders that are not over, oldest first."""
        return list(self._open.values())

    def find(self, client_id: str, broker_id: str = "") -> Life | None:
        """An order of ours by either id, recalled if it was forgotten; None: not ours."""
        life = self.lives.get(client_id) or self._brokers.get(broker_id or client_id)
        if life is None and (life := self._recall(client_id, broker_id)) is not None:
            self.place(life)
        return life

    def of(self, client_id: str) -> Life:
        """An order that is certainly ours. Raises KeyError for any other."""
        life = self.find(client_id)
        if life is None:
            raise KeyError(client_id)
        return life

    def forget(self) -> None:
        """Let go of all but the newest ended orders. Only when everything about them has been written and told."""
        while len(self._over) > KEPT:
            life = self._over.pop(next(iter(self._over)))
            self.lives.pop(life.client_id, None)
            self._brokers.pop(life.broker_id, None)
            if self.numbered.get(life.request.order_id) is life:
                del self.numbered[life.request.order_id]

    def order(self, told: Told) -> Life | None:
        """Fold an order object; None where it is not ours."""
        if told.status not in wire.STATUSES:
            self.counts[f"status {told.status or 'absent'}"] += 1
        life = self.find(told.client_id, told.broker_id)
        if life is None:
            if not self._awaits(wire.key(told.symbol)):
                self._foreign(told)
            return None
        self._brokers.setdefault(told.broker_id, life)
        life.told(told)
        for each in told.legs if life.legs else ():
            self._bind(life, each)
        self.touch(life)
        return life

    def _bind(self, top: Life, told: Told) -> None:
        """A leg as its order tells it: known by now, or the one of its kind whose id is not known yet."""
        leg = self.find(told.client_id, told.broker_id)
        if leg is None:
            free = [each for each in top.legs if not each.broker_id and _is(each, told, top.combined)]
            if not free:
                return
            leg = free[0]
            self._brokers[told.broker_id] = leg
            self.legs.append(told.broker_id)
            self.external.pop(told.broker_id, None)
        leg.told(told)
        self.touch(leg)

    def _awaits(self, key: str) -> bool:
        """Whether a leg in this symbol may be at the broker under an id that is not known yet."""
        return any(
            each.top is not None
            and not each.broker_id
            and each.state != INTENT
            and wire.key(each.request.symbol) == key
            for each in self._open.values()
        )

    def recall(self) -> None:
        """Updates that came before the reply that tells whose they are: fold them once that is known."""
        waiting, self._strays = self._strays, []
        for data in waiting:
            self.update(data)

    def _foreign(self, told: Told) -> None:
        if told.end or told.status == "done_for_day":
            self.external.pop(told.broker_id, None)
        else:
            self.external[told.broker_id] = told

    def message(self, text: str) -> Life | None:
        """Fold a frame of the trade_updates socket, whatever it holds."""
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict) or found.get("stream") != "trade_updates":
            if not isinstance(found, dict) or found.get("stream") not in ("authorization", "listening"):
                self.counts["frame unreadable"] += 1
            return None
        return self.update(found.get("data"))

    def update(self, data: Any) -> Life | None:
        """Fold the data of a trade_updates message, whatever it holds; the order it was about, if ours."""
        if not isinstance(data, dict):
            self.counts["update without data"] += 1
            return None
        event = str(data.get("event"))
        told = wire.order(data.get("order"))
        if told is None:
            self.counts["update without order"] += 1
            return None
        life = self.order(told)
        if life is None and self._awaits(wire.key(told.symbol)):
            self._strays.append(data)
            return None
        if event in ("fill", "partial_fill"):
            self._fill(life, wire.execution(data), told)
        elif event in ("trade_bust", "trade_correct"):
            self._amend(life, data, event)
        elif event not in PLAIN:
            self.counts[f"event {event}"] += 1
        return life

    def _fill(self, life: Life | None, execution: Execution | None, told: Told) -> None:
        if execution is None:
            self.counts["fill without execution"] += 1
        elif life is not None:
            self._executed(life, execution)
        else:
            self.unsettled.add(wire.key(told.symbol))

    def activity(self, data: Any) -> bool:
        """Fold a row of the fill activities; True if it was news of one of our orders."""
        found = wire.activity(data)
        if found is None:
            self.counts["activity unreadable"] += 1
            return False
        life = self.find("", found[0])
        return life is not None and self._executed(life, found[1])

    def _executed(self, life: Life, execution: Execution) -> bool:
        if life.combined:
            return False  # its legs' executions are the ones
        before = life.executions.filled
        news = life.fill(execution, lambda each: self.dues.charge(life.request.symbol, life.request.side, each))
        if news:
            self.executed += 1
            if life.mute:  # nobody hears of it as a fill: the position and the cash are asked for and told
                self.unsettled.add(wire.key(life.request.symbol))
            self._move(life, life.executions.filled - before)
            self._executions.append((life, execution))
        self.touch(life)
        return news

    def _amend(self, life: Life | None, data: dict[str, Any], event: str) -> None:
        which = str(data.get("previous_execution_id") or data.get("execution_id") or "")
        self.counts[event] += 1
        if life is None or not which:
            return
        before = life.executions.filled
        if event == "trade_bust":
            life.executions.bust(which)
        else:
            life.executions.correct(which, wire.number(data.get("qty")), wire.number(data.get("price")))
        self._amended.append((life, which))
        self._move(life, life.executions.filled - before)
        self.unsettled.add(wire.key(life.request.symbol))
        self.touch(life)

    def fee_in_kind(self, key: str, apart: Decimal) -> bool:
        """Whether a position is short by no more than the fees of what was bought; then that is what is expected."""
        if not 0 < -apart <= self.fees.get(key, ZERO):
            return False
        self.fees[key] += apart
        self.expected[key] = self.expected.get(key, ZERO) + apart
        return True

    def _move(self, life: Life, by: Decimal) -> None:
        key = wire.key(life.request.symbol)
        if life.request.side > 0 and "/" in life.request.symbol:
            self.fees[key] = self.fees.get(key, ZERO) + IN_KIND * by
        self.expected[key] = self.expected.get(key, ZERO) + life.request.side * by

    def position(self, key: str) -> Decimal:
        """What is held in a symbol, ours and not."""
        return self.expected.get(key, ZERO) + self.outside.get(key, ZERO)

    def reports(self) -> list[ExecutionReport]:
        """What the session has to hear of its orders, drained, in order of folding per order."""
        if self._strays:
            self.recall()
        told = [report for life in self._touched.values() for report in _drained(life)]
        return told

    def work(self) -> Work:
        """What the journal has to write, drained; ask for `answers` first."""
        made = Work(list(self._touched.values()), self._executions, self._amended)
        self._touched, self._executions, self._amended = {}, [], []
        return made


def _drained(life: Life) -> list[ExecutionReport]:
    told, life.reports = life.reports, []
    return told


def _is(leg: Life, told: Told, by_symbol: bool) -> bool:
    """Whether this is the leg that is told: exits differ in kind, legs of a combination in what they trade."""
    if by_symbol:
        return wire.key(leg.request.symbol) == wire.key(told.symbol)
    return wire.TYPES[leg.request.order_type] == told.type
