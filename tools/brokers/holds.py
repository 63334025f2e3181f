"""Holds: why not everything may be traded now. The strongest reason wins, and only changes are told."""

from __future__ import annotations

from typing import Final

from gpi.formats.execution import BLOCK, STATE, ExecutionReport

ACTIVE, REDUCING, HALTED = 0, 1, 2
STARTING: Final = "not reconciled yet"


class Holds:
    """Causes that hold trading back: as a whole (by name, with a level) and per symbol key (by name)."""

    def __init__(self) -> None:
        self.causes: dict[str, int] = {STARTING: HALTED}
        self.blocks: dict[str, set[str]] = {}
        self._told_level = HALTED
        self._told_blocks: set[str] = set()

    @property
    def level(self) -> int:
        """0 active, 1 reducing, 2 halted."""
        return max(self.causes.values(), default=ACTIVE)

    def hold(self, cause: str, level: int) -> None:
        """From now on, until `free`."""
        self.causes[cause] = level

    def free(self, cause: str) -> None:
        """This cause is gone; others may remain."""
        self.causes.pop(cause, None)

    def block(self, key: str, cause: str) -> None:
        """Nothing that adds exposure in this symbol."""
        self.blocks.setdefault(key, set()).add(cause)

    def unblock(self, key: str, cause: str) -> None:
        """This cause is gone; others may remain."""
        causes = self.blocks.get(key)
        if causes is not None:
            causes.discard(cause)
            if not causes:
                del self.blocks[key]

    def refuses(self, key: str, side: int, qty: float, position: float) -> str:
        """Why an order may not be sent; "" when it may. Reducing a position is allowed below HALTED."""
        if self.level == HALTED:
            return "TRADING_STATE"
        if self.level == REDUCING or key in self.blocks:
            reduces = side * position < 0 and qty <= abs(position)
            if not reduces:
                return "RECONCILING" if key in self.blocks else "TRADING_STATE"
        return ""

    def news(self, now: int, ids: dict[str, int]) -> list[ExecutionReport]:
        """What changed since the last call; `ids`: instrument_id by symbol key. Unknown symbols are told later."""
        told = []
        current = {key for key in self.blocks if key in ids}
        for key in sorted(current - self._told_blocks):
            told.append(ExecutionReport(now, BLOCK, instrument_id=ids[key], qty=1.0))
        for key in sorted(self._told_blocks - current):
            told.append(ExecutionReport(now, BLOCK, instrument_id=ids[key], qty=0.0))
        self._told_blocks = current
        if self.level != self._told_level:
            self._told_level = self.level
            told.append(ExecutionReport(now, STATE, qty=float(self.level)))
        return told
