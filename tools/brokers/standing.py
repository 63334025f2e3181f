"""Standing: what the session is told of the account itself, its cash, its positions and how the day began."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Final

from gpi.formats.execution import CASH, DAY, POSITION, ExecutionReport
from gpi.formats.words import DAY_NS
from gpi.tools.brokers.blotter import Blotter
from gpi.tools.brokers.executions import ZERO
from gpi.tools.brokers.journal import Day

HALF_A_CENT: Final = Decimal("0.005")


class Standing:
    """`told` is where answers about positions and cash go."""

    def __init__(self, blotter: Blotter, say: Callable[[str], None]) -> None:
        self.blotter, self.say = blotter, say
        self.told: list[ExecutionReport] = []
        self.ids: dict[str, int] = {}  # instrument_id by symbol key
        self.cash, self.equity, self.last_equity = ZERO, ZERO, ZERO
        self.cash_told = ZERO  # what the session holds, less what executions have spent since
        self.cash_apart = ZERO  # by how much the broker's was away from that in the last look
        self.begun = False  # the session was told how things stand
        self.last_word = False  # nothing works any more: one look is enough to set the cash right
        self.away = ZERO  # what the account holds that the session does not know, at the start
        self.marks: dict[str, Decimal] = {}  # what one is worth by the broker's mark, by key
        self.cash_due = False  # the session's cash must be set right: what moved it was no fill of ours
        self.held: dict[str, tuple[Decimal, Decimal]] = {}  # (quantity, average price) by key, as last told
        self.opening: Callable[[str, Decimal], bool] | None = None  # while starting: is this position claimed?

    def begin(self, now_ns: int, day: Day | None) -> list[ExecutionReport]:
        """What a session is told first: the cash, every position at the broker's mark, and how the day began.

        `day` is the UTC day as a former run left it; None: no run was there, and it began with what the broker says
        that the last one ended with, if that was more than there is now.
        """
        self.opening, self.begun = None, True
        self.told.clear()
        told = [self.cash_answer(now_ns, ZERO)]
        told += [self._position(key, now_ns) for key in self.held if key in self.ids]
        for key in sorted(set(self.held) & set(self.ids) - set(self.marks)):
            self.say(f"the broker has no price for {key}: what is held of it counts at its cost")
        known, self.away = self._counted(True), self._counted(False)
        equity = self.cash + known + self.away
        began = max(equity, self.last_equity) if day is None else day.equity
        started = now_ns if day is None else day.number * DAY_NS
        lost = False if day is None else day.lost
        if began > equity:
            self.say(f"the day began with {began:,.2f}: its loss so far counts towards the limit")
        return [*told, ExecutionReport(started, DAY, qty=float(lost), px=float(began - self.away))]

    def _counted(self, known: bool) -> Decimal:
        """What the positions are worth, by the broker's marks, that the session knows or does not know."""
        found = ZERO
        for key, (qty, px) in self.held.items():
            if (key in self.ids) is known:
                found += qty * self.marks.get(key, px) * Decimal(repr(self.blotter.dues.row(key).multiplier))
        return found

    def cash_answer(self, ts: int, beside: Decimal) -> ExecutionReport:
        """The broker's cash, from which on executions are counted again; `beside` of it was no order's doing."""
        self.cash_due, self.cash_apart = False, ZERO
        self.cash_told = self.cash + self.blotter.dues.spent
        return ExecutionReport(ts, CASH, qty=float(beside), px=float(self.cash))

    def _position(self, key: str, ts: int = 0, late: bool = False) -> ExecutionReport:
        qty, px = map(float, self.held.get(key, (ZERO, ZERO)))
        worth = float(self.marks[key]) if key in self.marks else float("nan")
        return ExecutionReport(
            ts, POSITION, instrument_id=self.ids[key], qty=qty, px=px, leaves=qty if late else 0.0, fee=worth
        )

    def announced(self, ids: dict[str, int]) -> None:
        """More instruments: what is held in them is told."""
        new = set(ids) - set(self.ids)
        self.ids = ids
        for key in sorted(new & set(self.held)):
            self.told.append(self._position(key, late=True))
            self.cash_due = True

    def tell(self, key: str) -> None:
        """What is held in a symbol of the stream; the cash is asked for and told, too."""
        if key in self.ids:
            self.told.append(self._position(key))
            self.cash_due = True

    def cash_compared(self) -> bool:
        """Cash that our executions do not explain, in two looks alike: the session is told. True: a second look is due.

        No more than was charged is a matter of fees, and lost or won; more than that came or went beside the trading.
        """
        dues = self.blotter.dues
        apart = self.cash - (self.cash_told - dues.spent)
        if abs(apart) < HALF_A_CENT:
            self.cash_apart = ZERO
        elif apart == self.cash_apart or self.last_word:
            beside = apart if abs(apart) > abs(dues.fees) else ZERO
            self.blotter.counts["cash set right"] += 1
            self.say(f"the broker's cash is {apart:+,.2f} away from what our fills make: the session is told")
            self.told.append(self.cash_answer(0, beside))
        else:
            self.cash_apart = apart
            return True
        return False
