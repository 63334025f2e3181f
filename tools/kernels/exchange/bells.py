"""Ringing the bells: a venue is taken from one part of the trading day to the next, at the times a calendar tells."""

from __future__ import annotations

from collections.abc import Callable

from gpi.tools.kernels.exchange import hours
from gpi.tools.kernels.exchange import step as exchange
from gpi.tools.kernels.memory import LONG_AGO
from gpi.tools.kernels.orders import NEVER, REGULAR, Engine

Calendar = Callable[[int], tuple[int, int]]
"""(part of the day at `ts`, when the next part begins), ns; parts as in `orders`: SHUT EARLY REGULAR LATE."""


def toll(e: Engine, ts: int, calendar: Calendar | None) -> None:
    """Ring every bell up to `ts`; what was sent to the venue before a bell reaches it before."""
    if calendar is None:
        e.clock.bell = NEVER
        return
    if e.clock.bell == LONG_AGO:
        e.clock.part, e.clock.bell = calendar(ts)
        e.clock.opened = ts if e.clock.part == REGULAR else LONG_AGO
    while e.clock.bell <= ts:
        bell = int(e.clock.bell)
        if not e.venue.external:
            exchange.arrivals(e, bell)
        part, following = calendar(bell)
        if e.venue.external:
            e.clock.part = part
        else:
            hours.ring(e, bell, part)
        e.clock.bell = following
