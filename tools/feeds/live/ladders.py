"""A coin's book as the vendor's updates leave it, and as the best levels of one row.

An update that cannot be believed changes nothing, but what it would have said is missing from then on: the next row of
that book says so (GAP), unless a whole book came before it.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from typing import Any, Final

from gpi.formats.quarantine import Reason
from gpi.formats.words import DEPTH, GAP, QUOTE, SNAPSHOT
from gpi.tools.feeds.live.items import MALFORMED, Odd, Values, number

PATIENCE: Final = 20  # updates in a row that leave a book crossed, before its older levels give way
NOBODY: Final = (math.nan, 0.0)


class Side:
    """Levels of one side: price -> (size, number of the update that told it), best first."""

    def __init__(self, sign: int) -> None:
        self._sign = sign  # -1: the highest price is the best
        self._keys: list[float] = []  # sign * price, ascending
        self.levels: dict[float, tuple[float, int]] = {}

    def put(self, px: float, told: tuple[float, int] | None) -> tuple[float, int] | None:
        """Set a level, or take it away; what it was before."""
        before = self.levels.pop(px, None)
        if told is not None:
            self.levels[px] = told
            if before is None:
                insort(self._keys, self._sign * px)
        elif before is not None:
            del self._keys[bisect_left(self._keys, self._sign * px)]
        return before

    def best(self, depth: int) -> list[tuple[float, float]]:
        """The best levels, (price, size)."""
        return [(px, self.levels[px][0]) for px in (self._sign * key for key in self._keys[:depth])]


class Ladders:
    """Both sides of one coin's book."""

    def __init__(self) -> None:
        self._sides = (Side(-1), Side(1))
        self._undo: list[tuple[Side, float, tuple[float, int] | None]] = []
        self._before = self._sides
        self._updates = 0
        self._crossed = 0  # updates in a row that left it so
        self.lost = False  # something is missing since the last row

    def fold(self, item: Values, whole: bool) -> None:
        """Take an update, or the whole book. Raises Odd, and then nothing has changed."""
        self._before, self._undo = self._sides, []
        told = [_levels(item.get("b", [])), _levels(item.get("a", []))]
        self._updates += 1
        if whole:
            self._sides = (Side(-1), Side(1))
        for side, changes in zip(self._sides, told, strict=True):
            for px, size in changes:
                self._undo.append((side, px, side.put(px, (size, self._updates) if size > 0 else None)))

    def undo(self) -> None:
        """As before the last `fold`; nothing where there was none."""
        self._sides = self._before
        for side, px, before in reversed(self._undo):
            side.put(px, before)
        self._undo = []

    def row(self, depth: int, whole: bool) -> Values:
        """The best prices and `depth` levels a side. Raises Odd for a crossed book: its vendor is not done yet."""
        bids, asks = (side.best(max(1, depth)) for side in self._sides)
        if bids and asks and bids[0][0] > asks[0][0]:
            self._crossed += 1
            if self._crossed <= PATIENCE:
                raise Odd(Reason.CROSSED)
            self._uncross()
            bids, asks = (side.best(max(1, depth)) for side in self._sides)
        self._crossed = 0
        found: Values = {"kind": QUOTE | (DEPTH if depth else 0)}
        found["marks"] = SNAPSHOT if whole else GAP if self.lost else 0
        for name, side in (("bid", bids), ("ask", asks)):
            found[f"{name}_px"], found[f"{name}_sz"] = (side or [NOBODY])[0]
        if depth:
            for name, side in (("bids", bids), ("asks", asks)):
                padded = side + [NOBODY] * (depth - len(side))
                found |= {f"{name}_px": [px for px, _ in padded], f"{name}_sz": [size for _, size in padded]}
        return found

    def _uncross(self) -> None:
        """A level whose end was never told stands in the way: the older one goes, until nothing crosses."""
        bids, asks = self._sides
        while (b := bids.best(1)) and (a := asks.best(1)) and b[0][0] > a[0][0]:
            older = bids.levels[b[0][0]][1] <= asks.levels[a[0][0]][1]
            side, px = (bids, b[0][0]) if older else (asks, a[0][0])
            self._undo.append((side, px, side.put(px, None)))
        self.lost = True


def _levels(told: Any) -> list[tuple[float, float]]:
    """Levels of a book, [price, size] or {"p", "s"}. Raises Odd for anything else, or numbers that cannot be."""
    if not isinstance(told, list):
        raise Odd(MALFORMED)
    found = []
    for each in told:
        pair = {"p": each[0], "s": each[1]} if isinstance(each, list) and len(each) == 2 else each
        if not isinstance(pair, dict):
            raise Odd(MALFORMED)
        px, size = number(pair, "p"), number(pair, "s")
        if not math.isfinite(px) or not math.isfinite(size):
            raise Odd(Reason.NOT_FINITE)
        if px < 0 or size < 0:
            raise Odd(Reason.NEGATIVE)
        found.append((px, size))
    return found
