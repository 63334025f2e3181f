"""When a session's kernel has to stop: where a part of the trading day begins, and where an option series ends.

A series stops at its last moment of trading and is settled when its price is made, at the first tick after; a bit later
while orders for it are under way, and, of series settled at the opening, until the underlying has opened.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from gpi.formats.calendar import part_of
from gpi.tools.backtest.setup import Setup
from gpi.tools.kernels import exchange, expiries
from gpi.tools.kernels.bells import toll
from gpi.tools.kernels.memory import LONG_AGO
from gpi.tools.kernels.orders import NEVER, SECOND, Array
from gpi.tools.kernels.trader import deliver
from gpi.tools.stage import State

VENUE: Final = ("desk", "instruments", "ladders", "pool", "wire")
PATIENCE: Final = 6 * 3600 * SECOND  # how long a series settled at the opening waits for its underlying


def following(state: State) -> int:
    """When something happens to a series next, ns; NEVER without any."""
    return int(state["instruments"]["due"].min(initial=NEVER))


def rows(state: State) -> int:
    """How many rows `ring` can write at most."""
    d, them = state["desk"][0], state["instruments"]
    held = np.count_nonzero((them["right"] != 0) & ((them["position"] != 0.0) | (them["buys"] >= 0)))
    return 2 * len(them[them["sells"] >= 0]) + 2 * int(held) + int(d.responses + 2 * d.open_orders) * 4 + 8


def ring(state: State, setup: Setup, ts: int, listed: bool, out: tuple[Array, ...]) -> None:
    """Everything that happens up to `ts`, in order; rows that tell of it go to `out`."""
    d = state["desk"][0]
    venue: Any = tuple(state[name] for name in VENUE)
    calendar = part_of if listed else None
    day: Any = (*venue, ts, calendar)
    d.bell = d.day_bell
    if d.bell == LONG_AGO:
        toll(*day)
    while not d.external and (at := following(state)) <= ts:
        until: Any = (*venue, at)
        sounded: Any = (*until, calendar)
        toll(*sounded)
        exchange.arrivals(*until)
        told: Any = (venue[0], venue[1], venue[3], venue[4], out[0], out[1], at + d.feed_ns)
        d.filled += deliver(*told)
        for i in np.flatnonzero(state["instruments"]["due"] == at).tolist():
            _happen(venue, setup, i, at, ts, out)
    toll(*day)
    d.day_bell = d.bell
    d.bell = min(d.bell, NEVER if d.external else following(state))


def _happen(venue: Any, setup: Setup, i: int, at: int, ts: int, out: tuple[Array, ...]) -> None:
    d, it = venue[0][0], venue[1][i]
    if it.stage == 0:
        series: Any = (*venue, i, at)
        expiries.stop(*series)
        it.stage, it.due = 1, max(at, it.settled)
    elif it.buys >= 0 or it.sells >= 0:
        it.due = at + SECOND
    elif it.position != 0.0 and it.settled > it.last_trade and at < it.settled + PATIENCE and not _opened(venue[1], it):
        it.due = min(it.settled + PATIENCE, (ts // SECOND + 1) * SECOND)
    else:
        now = max(at + d.feed_ns, d.now)
        given: Any = (venue[0], venue[1], out[0], out[1], i, now, setup.rules.exercised, setup.seed)
        expiries.settled(*given)
        it.stage, it.due = 2, NEVER


def _opened(instruments: Array, it: Any) -> bool:
    """Has the underlying been heard of since the opening? One that is not in the stream never will be."""
    if not 0 <= it.under < len(instruments):
        return True
    under = instruments[it.under]
    return bool(max(under.quote_ts, under.last_ts) >= it.settled)
