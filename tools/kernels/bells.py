"""Ringing the bells: a venue is taken from one part of the trading day to the next, at the times a calendar tells."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gpi.tools.kernels import exchange, hours
from gpi.tools.kernels.memory import LONG_AGO
from gpi.tools.kernels.orders import NEVER, REGULAR, Array

Calendar = Callable[[int], tuple[int, int]]
"""(part of the day at `ts`, when the next part begins), ns; parts as in `orders`: SHUT EARLY REGULAR LATE."""


def toll(
    desk: Array, instruments: Array, ladders: Array, pool: Array, wire: Array, ts: int, calendar: Calendar | None
) -> None:
    """Ring every bell up to `ts`; what was sent to the venue before a bell reaches it before."""
    d: Any = desk[0]
    if calendar is None:
        d.bell = NEVER
        return
    if d.bell == LONG_AGO:
        d.part, d.bell = calendar(ts)
        d.opened = ts if d.part == REGULAR else LONG_AGO
    while d.bell <= ts:
        bell = int(d.bell)
        if not d.external:
            exchange.arrivals(desk, instruments, ladders, pool, wire, bell)
        part, following = calendar(bell)
        if d.external:
            d.part = part
        else:
            hours.ring(desk, instruments, pool, wire, bell, part)
        d.bell = following
