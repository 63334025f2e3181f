"""When a session's kernel has to stop: where a part of the trading day begins, and where an option series ends.

A series stops at its last moment of trading and is settled when its price is made, at the first tick after; a bit later
while orders for it are under way, and, of series settled at the opening, until the underlying has opened.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from gpi.formats.market.calendar import part_of
from gpi.formats.words import SECOND
from gpi.tools.backtest.setup import Setup
from gpi.tools.kernels.exchange import step as exchange
from gpi.tools.kernels.exchange.bells import toll
from gpi.tools.kernels.memory import LONG_AGO
from gpi.tools.kernels.orders import NEVER, Array, Engine
from gpi.tools.kernels.trader import expiries
from gpi.tools.kernels.trader.sending import deliver
from gpi.tools.stage import State

PATIENCE: Final = 6 * 3600 * SECOND  # how long a series settled at the opening waits for its underlying


def following(state: State) -> int:
    """When something happens to a series next, ns; NEVER without any."""
    return int(state["instruments"]["due"].min(initial=NEVER))


def rows(state: State) -> int:
    """How many rows `ring` can write at most."""
    them, under_way = state["instruments"], state["rings"][0].responses + 2 * state["account"][0].open_orders
    held = np.count_nonzero((them["right"] != 0) & ((them["position"] != 0.0) | (them["buys"] >= 0)))
    return 2 * len(them[them["sells"] >= 0]) + 2 * int(held) + int(under_way) * 4 + 8


def ring(state: State, setup: Setup, ts: int, listed: bool, out: Mapping[str, Array]) -> None:
    """Everything that happens up to `ts`, in order; rows that tell of it go to `out`, the engine's tables."""
    e = Engine({**state, **out})
    calendar = part_of if listed else None
    e.clock.bell = e.clock.day_bell
    if e.clock.bell == LONG_AGO:
        toll(e, ts, calendar)
    while not e.venue.external and (at := following(state)) <= ts:
        toll(e, at, calendar)
        exchange.arrivals(e, at)
        e.account.filled += deliver(e, int(at + e.delays.feed_ns))
        for i in np.flatnonzero(state["instruments"]["due"] == at).tolist():
            _happen(e, setup, i, at, ts)
    toll(e, ts, calendar)
    e.clock.day_bell = e.clock.bell
    e.clock.bell = min(e.clock.bell, NEVER if e.venue.external else following(state))


def _happen(e: Engine, setup: Setup, i: int, at: int, ts: int) -> None:
    it = e.instruments[i]
    if it.stage == 0:
        expiries.stop(e, i, at)
        it.stage, it.due = 1, max(at, it.settled)
    elif it.buys >= 0 or it.sells >= 0:
        it.due = at + SECOND
    elif (
        it.position != 0.0 and it.settled > it.last_trade and at < it.settled + PATIENCE
        and not _opened(e.instruments, it)
    ):  # fmt: skip
        it.due = min(it.settled + PATIENCE, (ts // SECOND + 1) * SECOND)
    else:
        now = int(max(at + e.delays.feed_ns, e.clock.now))
        expiries.settled(e, i, now, setup.rules.exercised, setup.seed)
        it.stage, it.due = 2, NEVER


def _opened(instruments: Array, it: Any) -> bool:
    """Has the underlying been heard of since the opening? One that is not in the stream never will be."""
    if not 0 <= it.under < len(instruments):
        return True
    under = instruments[it.under]
    return bool(max(under.quote_ts, under.last_ts) >= it.settled)
