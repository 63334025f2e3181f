"""One order's executions, however they arrive: late, twice, out of order, from the stream or by REST.

An execution is the same if its id is, or if the stream and the activities list tell of the same cumulative quantity
of the same order (the activities list has ids of its own). Nothing but a bust takes one back.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, NamedTuple

STREAM: Final = "stream"
ACTIVITY: Final = "activity"
ZERO: Final = Decimal(0)


class Execution(NamedTuple):
    """A fact: `qty` at `px`, after which `cumulative` of the order was filled (0: not told)."""

    execution_id: str
    ts: int  # ns
    qty: Decimal
    px: Decimal
    cumulative: Decimal
    source: str


@dataclass
class Executions:
    """What is known of one order's fills. `claimed`: the most that the broker ever said was filled.

    The order in which facts come makes no difference to what they add up to.
    """

    known: dict[str, Execution] = field(default_factory=dict)  # as first told, busted and corrected ones too
    busted: set[str] = field(default_factory=set)
    corrected: dict[str, tuple[Decimal | None, Decimal | None]] = field(default_factory=dict)
    claimed: Decimal = ZERO
    paired: dict[str, str] = field(default_factory=dict)  # ids under which known ones were told by the other source

    def standing(self) -> list[Execution]:
        """The executions that stand, as corrected."""
        found = []
        for each in self.known.values():
            if each.execution_id not in self.busted:
                qty, px = self.corrected.get(each.execution_id, (None, None))
                found.append(each._replace(qty=each.qty if qty is None else qty, px=each.px if px is None else px))
        return found

    @property
    def filled(self) -> Decimal:
        """The quantity that stands."""
        return sum((each.qty for each in self.standing()), ZERO)

    @property
    def value(self) -> Decimal:
        """The sum of quantity times price of what stands."""
        return sum((each.qty * each.px for each in self.standing()), ZERO)

    @property
    def missing(self) -> Decimal:
        """What the broker has claimed beyond the executions that are known."""
        return max(ZERO, self.claimed - sum((each.qty for each in self.known.values()), ZERO))

    def add(self, execution: Execution) -> bool:
        """Take one in; True if it is news, and stands."""
        if execution.qty <= 0 or not execution.execution_id:
            return False
        self.claim(execution.cumulative)
        if execution.execution_id in self.known or execution.execution_id in self.paired:
            return False
        twin = next((each for each in self.known.values() if self._same(execution, each)), None)
        if twin is not None:
            self.paired[execution.execution_id] = twin.execution_id
            return False
        self.known[execution.execution_id] = execution
        return execution.execution_id not in self.busted

    def _same(self, one: Execution, known: Execution) -> bool:
        """The same fill told by the other source, which calls it something else.

        Where one of them does not tell the order's cumulative quantity, size and price decide, once for each.
        """
        if one.source == known.source:
            return False
        if one.cumulative > 0 and known.cumulative > 0:
            return (one.cumulative, one.qty) == (known.cumulative, known.qty)
        return (one.qty, one.px) == (known.qty, known.px) and known.execution_id not in self.paired.values()

    def claim(self, filled: Decimal) -> None:
        """The broker says that this much is filled; a lower figure than before is an old one."""
        self.claimed = max(self.claimed, filled)

    def bust(self, execution_id: str) -> bool:
        """Take an execution back; True if it stood."""
        stood = execution_id in self.known and execution_id not in self.busted
        self.busted.add(execution_id)
        return stood

    def correct(self, execution_id: str, qty: Decimal | None, px: Decimal | None) -> bool:
        """Change what an execution was; True if it stands and differs from what was known."""
        news = self.corrected.get(execution_id) != (qty, px)
        self.corrected[execution_id] = (qty, px)
        return news and execution_id in self.known and execution_id not in self.busted
