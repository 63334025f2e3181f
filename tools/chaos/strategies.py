"""Strategies made to be in the way of faults: `gpi trade --strategy .../tools/chaos/strategies.py:Churn`.

None of them looks at the future or throws dice: the same ticks give the same wishes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np

from gpi.formats.words import SECOND

HERE: Final = str(Path(__file__).resolve())


def named(strategy: str) -> str:
    """What --strategy is given."""
    return f"{HERE}:{strategy}"


class Churn:
    """A few working orders at once: resting far away, resting near, crossing; withdrawn when they are old.

    Never short, and never on both sides of a symbol, as an account's rules demand.
    """

    careful = True

    def __init__(self, every: float = 5, qty: float = 10, most: float = 4, hold_s: float = 2.0) -> None:
        self.every, self.qty, self.most, self.hold_ns = int(every), qty, int(most), int(hold_s * SECOND)
        self.ticks = 0
        self.born: dict[int, int] = {}

    def on_tick(self, view: Any) -> None:
        """Every few ticks one wish, of the next kind in turn, towards a flat position."""
        self.ticks += 1
        if len(self.born) > 1_000:  # those of long ago; memory stays flat
            self.born = dict(list(self.born.items())[-500:])
        for order in view.orders:
            if view.ts - self.born.setdefault(order.order_id, view.ts) > self.hold_ns and not order.canceling:
                view.cancel(order.order_id)
        if self.ticks % self.every or view.phase != 1 or not view.bid_px < view.ask_px or view.state == 2:
            return
        side, qty = self._wanted(view)
        if len(view.orders) >= self.most or qty <= 0 or (self.careful and any(o.side != side for o in view.orders)):
            return
        want, turn = (view.buy if side > 0 else view.sell), (self.ticks // self.every) % 4
        touch, far = (view.bid_px, view.ask_px) if side > 0 else (view.ask_px, view.bid_px)
        if turn == 0:
            want(qty, far, tif="day")  # crosses
        elif turn == 1:
            want(qty, touch, tif="day")
        elif turn == 2:
            want(qty, _round(view.mid * (1 - 0.01 * side), max(view.tick_size, 0.01)), tif="day")
        else:
            want(qty, far, tif="ioc")

    def _wanted(self, view: Any) -> tuple[int, float]:
        """(side, quantity): what is held and not yet offered goes first."""
        if not self.careful:
            return (1 if view.position <= 0 else -1), self.qty
        free = view.position - view.selling
        return (-1, min(self.qty, free)) if view.position > 0 else (1, self.qty)


class Hoard(Churn):
    """Holds about five times its quantity of everything, and trades around it."""

    def _wanted(self, view: Any) -> tuple[int, float]:
        return (1 if view.position + view.buying < 5 * self.qty else -1), self.qty


class Clumsy(Churn):
    """Sells more than it has and crosses its own orders: what a broker refuses."""

    careful = False


class Rest:
    """`most` orders that rest far below 100 and are never withdrawn."""

    def __init__(self, qty: float = 1, most: float = 5, px: float = 95.0) -> None:
        self.qty, self.most, self.px, self.sent = qty, int(most), px, 0

    def on_tick(self, view: Any) -> None:
        """One more, a cent lower each, until there are enough."""
        if self.sent < self.most and view.phase == 1 and view.bid_px < view.ask_px and view.state == 0:
            self.sent += 1
            view.buy(self.qty, _round(self.px - 0.01 * self.sent, 0.01), tif="gtc")


class Flood:
    """`burst` orders at every tick, whatever anybody says."""

    def __init__(self, burst: float = 10, qty: float = 1) -> None:
        self.burst, self.qty, self.sent = int(burst), qty, 0

    def on_tick(self, view: Any) -> None:
        """As many wishes as the view takes."""
        if not view.bid_px < view.ask_px:
            return
        for _ in range(self.burst):
            self.sent += 1
            view.buy(self.qty, _round(view.bid_px - 0.01 * (self.sent % 200), 0.01))


class Trusting:
    """Buys as many as the model says, whatever the model says: no check of its own."""

    NEEDS = ("direction",)

    def __init__(self, size: float = 100) -> None:
        self.size = size

    def on_tick(self, view: Any) -> None:
        """A size and a price straight from the outlook."""
        if view.bid_px < view.ask_px:
            size = float(np.floor(view.outlook.p_up * self.size))
            view.buy(size, float(np.round(view.ask_px * (1 + 1e-6 * view.outlook.volatility), 2)), tif="ioc")


class Once:
    """One order that crosses, then quiet."""

    def __init__(self, side: float = 1, qty: float = 10) -> None:
        self.side, self.qty, self.done = side, qty, False

    def on_tick(self, view: Any) -> None:
        """The order, at the first good quote while trading is allowed."""
        if self.done or view.phase != 1 or view.state or not view.bid_px < view.ask_px:
            return
        self.done = True
        (view.buy if self.side > 0 else view.sell)(self.qty, _round(view.mid * (1 + 0.02 * self.side), 0.01), tif="day")


def _round(px: float, tick: float) -> float:
    return round(round(px / tick) * tick, 6)
