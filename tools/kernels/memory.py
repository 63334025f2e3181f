"""The arrays of a venue and a trader: how they start and how they grow. Capacities only; meanings stand in `orders`."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from gpi.tools.kernels.orders import INSTRUMENT, MESSAGE, NEVER, ORDER, REQUESTS, RESPONSES, WAITING, Array

LONG_AGO: Final = -(1 << 60)
LADDER_ROWS: Final = 8  # px and size of bids and asks, then px and size of what our orders took of bids and asks
FRESH: Final[dict[str, Any]] = {
    "bid_px": np.nan, "ask_px": np.nan, "mid": np.nan, "buys": -1, "sells": -1, "phase": WAITING, "quote_ts": LONG_AGO,
    "due": NEVER, "under": -1,
}  # fmt: skip


def more_slots(pool: Array, desk: Array, capacity: int) -> Array:
    """An order pool of `capacity`; the new slots join the free list of the desk."""
    d = desk[0]
    grown = np.zeros(capacity, ORDER)
    grown[: len(pool)] = pool
    grown["next"][len(pool) : capacity - 1] = np.arange(len(pool) + 1, capacity)
    grown["next"][capacity - 1] = d.free
    d.free = len(pool)
    d.free_slots += capacity - len(pool)
    return grown


def more_messages(wire: Array, desk: Array, capacity: int) -> Array:
    """Both rings of the wire with `capacity`, oldest message first."""
    d = desk[0]
    grown = np.zeros((len(wire), capacity), MESSAGE)
    grown[2:, : wire.shape[1]] = wire[2:]
    for ring, at in ((REQUESTS, d.request_at), (RESPONSES, d.response_at)):
        grown[ring, : wire.shape[1]] = np.roll(wire[ring], -int(at))
    d.request_at = d.response_at = 0
    return grown


def more_instruments(instruments: Array, capacity: int) -> Array:
    """Instrument records for ids below `capacity`; the new ones have no terms yet."""
    grown = np.zeros(capacity, INSTRUMENT)
    grown[: len(instruments)] = instruments
    fresh = grown[len(instruments) :]
    for name, value in FRESH.items():
        fresh[name] = value
    return grown


def more_ladders(ladders: Array, capacity: int) -> Array:
    """Ladders for ids below `capacity`; the new ones are empty."""
    grown = np.zeros((capacity, LADDER_ROWS, ladders.shape[2]))
    grown[:, ::2] = np.nan
    grown[: len(ladders)] = ladders
    return grown


def nearness(tick_size: Array) -> Array:
    """Recorded prices carry float noise (585.9100000000001): equal means within a quarter tick."""
    return np.where(tick_size > 0, 0.25 * tick_size, 1e-9)
