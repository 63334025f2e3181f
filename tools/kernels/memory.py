"""The arrays of a venue and a trader: how they start and how they grow. Capacities only; meanings stand in `orders`."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from gpi.tools.kernels.exchange.queues import table
from gpi.tools.kernels.orders import (
    CASH,
    FEE_TABLE,
    INSTRUMENT,
    INTENT,
    MARKET_VIEW,
    MAX_INTENTS,
    MESSAGE,
    NEVER,
    ORDER,
    POSITION,
    REQUESTS,
    RESPONSES,
    VIEW,
    WAITING,
    Array,
    Engine,
)
from gpi.tools.kernels.shared import Record

LONG_AGO: Final = -(1 << 60)
LADDER_ROWS: Final = 8  # px and size of bids and asks, then px and size of what our orders took of bids and asks
FIRST_MESSAGES: Final = 256
FRESH: Final[dict[str, Any]] = {
    "bid_px": np.nan, "ask_px": np.nan, "mid": np.nan, "buys": -1, "sells": -1, "phase": WAITING, "quote_ts": LONG_AGO,
    "due": NEVER, "under": -1,
}  # fmt: skip


def blank(levels: int = 1) -> dict[str, Array]:
    """What an `Engine` shares, empty: one book, currency and fee table, no instrument, no slot, no rows.

    `levels` of every book. Nothing has been seen yet: all times are LONG_AGO.
    """
    state = {name: np.zeros(1, dtype) for name, dtype in Engine.RECORDS.items()}
    state |= {name: np.zeros((0,) * ndim, dtype) for name, (dtype, ndim) in Engine.ARRAYS.items()}
    state |= {
        "fees": np.zeros(1, FEE_TABLE),
        "cash": np.ones(1, CASH),
        "positions": np.zeros((1, 0), POSITION),
        "ladders": np.zeros((0, LADDER_ROWS, levels)),
        "transit": np.zeros((2, FIRST_MESSAGES), MESSAGE),
        "behind": table(),
        "chains": np.full((1, 2), -1, np.int64),
        "sent": np.full(1, LONG_AGO, np.int64),
        "seen": np.zeros(1, VIEW),
        "intents": np.zeros(MAX_INTENTS, INTENT),
    }
    clock, account, rings = state["clock"][0], state["account"][0], state["rings"][0]
    clock.now = clock.day = clock.second = clock.bell = clock.day_bell = clock.opened = LONG_AGO
    state["cash"]["amount"] = 0.0
    account.kill_row, rings.next_id, rings.free = NEVER, 1, -1
    state["breaker"][0].until = LONG_AGO
    return state


def more_slots(pool: Array, rings: Record, capacity: int) -> Array:
    """An order pool of `capacity`; the new slots join the free list."""
    grown = np.zeros(capacity, ORDER)
    grown[: len(pool)] = pool
    grown["next"][len(pool) : capacity - 1] = np.arange(len(pool) + 1, capacity)
    grown["next"][capacity - 1] = rings.free
    rings.free = len(pool)
    rings.free_slots += capacity - len(pool)
    return grown


def more_messages(transit: Array, rings: Record, capacity: int) -> Array:
    """Both rings of the wire with `capacity`, oldest message first."""
    grown = np.zeros((len(transit), capacity), MESSAGE)
    grown[2:, : transit.shape[1]] = transit[2:]
    for ring, at in ((REQUESTS, rings.request_at), (RESPONSES, rings.response_at)):
        grown[ring, : transit.shape[1]] = np.roll(transit[ring], -int(at))
    rings.request_at = rings.response_at = 0
    return grown


def more_instruments(state: dict[str, Array], capacity: int) -> None:
    """Make room for ids below `capacity`: records without terms yet, empty books, nobody active."""
    known = len(state["instruments"])
    grown = np.zeros(capacity, INSTRUMENT)
    grown[:known] = state["instruments"]
    fresh = grown[known:]
    for name, value in FRESH.items():
        fresh[name] = value
    state["instruments"] = grown
    positions = np.zeros((len(state["positions"]), capacity), POSITION)
    positions[:, :known] = state["positions"]
    state["positions"] = positions
    state["ladders"] = _more_ladders(state["ladders"], capacity)
    state["active"] = np.concatenate([state["active"], np.zeros(capacity - known, np.int64)])
    market = np.zeros(capacity, MARKET_VIEW)
    market[:known] = state["market"]
    for name in ("bid_px", "ask_px", "mid", "last_px"):
        market[name][known:] = np.nan
    market["instrument_id"], market["under"][known:] = np.arange(capacity), -1
    state["market"] = market
    chains = np.full((capacity + 1, 2), -1, np.int64)
    chains[: len(state["chains"])] = state["chains"]
    state["chains"] = chains


def _more_ladders(ladders: Array, capacity: int) -> Array:
    grown = np.zeros((capacity, LADDER_ROWS, ladders.shape[2]))
    grown[:, ::2] = np.nan
    grown[: len(ladders)] = ladders
    return grown


def nearness(tick_size: Array) -> Array:
    """Recorded prices carry float noise (585.9100000000001): equal means within a quarter tick."""
    return np.where(tick_size > 0, 0.25 * tick_size, 1e-9)
