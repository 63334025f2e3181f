"""Orders of several legs by their definition: decimals, dicts, one exchange without latency."""

from decimal import Decimal
from typing import Any, NamedTuple

from tests.naive.options import Leg, fill_order

Quote = tuple[Decimal | None, int, Decimal | None, int]  # bid, its size, ask, its size
NOBODY: Quote = (None, 0, None, 0)


class Combo(NamedTuple):
    """What is wanted: (instrument, side, ratio) of each leg, units, the net limit, and whether it may wait."""

    legs: list[tuple[int, int, int]]
    units: int
    limit: Decimal | None
    tif: str


class Venue:
    """`fills`: (order, units, prices); what is displayed is given once while it stands at its price."""

    def __init__(self, spread_share: list[Decimal]) -> None:
        self.spread_share, self.quotes, self.open = spread_share, dict[int, Quote](), set[int]()
        self.taken: dict[tuple[int, int], tuple[Decimal, int]] = {}  # (instrument, side that takes): price, size
        self.waiting: dict[int, tuple[Combo, int]] = {}
        self.fills: list[tuple[int, int, list[Decimal]]] = []

    def shown(self, i: int, side: int) -> tuple[Decimal | None, int]:
        """What a taker of this side finds, and what of it is left."""
        bid, bid_sz, ask, ask_sz = self.quotes.get(i, NOBODY)
        px, size = (ask, ask_sz) if side > 0 else (bid, bid_sz)
        at, gone = self.taken.get((i, side), (None, 0))
        return px, size - (gone if at == px else 0)

    def quote(self, i: int, quote: Quote) -> None:
        """A fresh quote; every order with a leg there looks again, the oldest first."""
        self.quotes[i] = quote
        for side, (px, size) in ((1, quote[2:]), (-1, quote[:2])):
            at, gone = self.taken.pop((i, side), (None, 0))
            if at is not None and at == px:
                self.taken[i, side] = (at, min(gone, size))
        if quote[0] is not None and quote[2] is not None and quote[0] <= quote[2]:
            self.open.add(i)
        for number, (combo, _) in sorted(self.waiting.items()):
            if any(leg == i for leg, _, _ in combo.legs):
                self.work(number)

    def submit(self, number: int, combo: Combo) -> None:
        """It trades at once, and waits if it may."""
        self.waiting[number] = (combo, combo.units)
        self.work(number)
        if combo.tif in ("ioc", "fok"):
            self.waiting.pop(number, None)

    def work(self, number: int) -> None:
        """As many whole units as all legs together allow."""
        combo, left = self.waiting[number]
        if not all(i in self.open for i, _, _ in combo.legs):
            return
        legs: list[Any] = []
        for i, side, ratio in combo.legs:
            bid, _, ask, _ = self.quotes[i]
            legs.append(Leg(side, ratio, bid, ask, self.shown(i, side)[1]))
        units, prices = fill_order(legs, left, combo.limit, self.spread_share, Decimal("0.01"))
        if units == 0 or (combo.tif == "fok" and units < left):
            return
        for i, side, ratio in combo.legs:
            px, _ = self.shown(i, side)
            assert px is not None
            at, gone = self.taken.get((i, side), (px, 0))
            self.taken[i, side] = (px, units * ratio + (gone if at == px else 0))
        self.fills.append((number, units, prices))
        self.waiting[number] = (combo, left - units)
        if left == units:
            del self.waiting[number]
