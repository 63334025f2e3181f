"""A Python strategy at work: the engine's view becomes a `View`, what happened to its orders calls of its hooks."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Final

from gpi.formats.errors import UsageError
from gpi.formats.words import SECOND
from gpi.tools.kernels.orders import VIEW
from gpi.tools.strategies.around import Around
from gpi.tools.strategies.told import Fill, OrderEvent
from gpi.tools.strategies.view import View

FORMAT: Final = struct.Struct("<" + "".join("q" if VIEW[name].kind == "i" else "d" for name in VIEW.names or ()))
N_ORDERS: Final = list(VIEW.names or ()).index("n_orders")
unpacked, made = FORMAT.unpack_from, tuple.__new__


class Deciding:
    """A Python strategy at work: `decide` is called after every tick, and gives the number of intents."""

    def __init__(self, strategy: Any) -> None:
        self.around = Around()
        self._on_tick: Callable[[View], None] = strategy.on_tick
        self._on_start: Any = getattr(strategy, "on_start", None)
        self._on_end = getattr(strategy, "on_end", None)
        self._on_fill, self._on_order = getattr(strategy, "on_fill", None), getattr(strategy, "on_order", None)
        self._on_timer = getattr(strategy, "on_timer", None)
        self._every = round(float(getattr(strategy, "TIMER_S", 1.0)) * SECOND)
        if self._on_timer is not None and self._every <= 0:
            raise UsageError("TIMER_S is a number of seconds above 0")
        self._hears = self._on_fill is not None or self._on_order is not None
        self._hooked = self._hears or self._on_timer is not None or self._on_start is not None
        self._seen, self._due = [0, 0], 0
        self._waiting: list[tuple[Callable[..., None], Any]] = []

    def decide(self, row: int) -> int:
        """Show the strategy the tick that the engine has just taken in."""
        around = self.around
        numbers = unpacked(around.bytes)
        around.row = row
        around.tick = tick = around.tick + 1
        around.written[0] = 0
        own = around.orders(numbers[N_ORDERS]) if numbers[N_ORDERS] else ()
        view: View = made(View, numbers + (own, around, tick))  # noqa: RUF005 - to join two tuples is faster
        if self._hooked:
            self._before(view)
        self._on_tick(view)
        return around.written[0]

    def _before(self, view: View) -> None:
        if self._on_start is not None:
            start, self._on_start = self._on_start, None
            start(view)
        if self._hears:
            self.listen()
            for hook, told in self._waiting:
                hook(told, view)
            self._waiting.clear()
        if self._on_timer is not None and view.ts >= self._due:
            if self._due:
                self._on_timer(view)
            self._due = (view.ts // self._every + 1) * self._every

    def begun(self) -> None:
        """A run of rows begins: what was told before has been collected."""
        self._seen = [0, 0]

    def listen(self) -> None:
        """Keep for the strategy what the engine has told of its orders since it was last asked."""
        if not self._hears:
            return
        e = self.around.e
        told = (int(e.cursor.n_orders), int(e.cursor.n_fills))
        for at in range(self._seen[0], told[0]):
            if self._on_order is not None:
                row = e.orders[at].item()
                self._waiting.append((self._on_order, OrderEvent(*row)))
        for at in range(self._seen[1], told[1]):
            if self._on_fill is not None:
                self._waiting.append((self._on_fill, Fill(*e.fills[at].item())))
        self._seen = list(told)

    def end(self) -> None:
        """The stream has ended and everything is told."""
        if self._on_end is not None:
            self._on_end()
