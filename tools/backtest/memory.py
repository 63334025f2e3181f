"""The engine's memory: a State of numpy arrays, how it starts and how it grows."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np

from gpi.tools.backtest.setup import Setup, Terms
from gpi.tools.kernels.orders import (
    DESK,
    INSTRUMENT,
    MESSAGE,
    NEVER,
    ORDER,
    REQUESTS,
    RESPONSES,
    STANDING,
    WAITING,
    Array,
)
from gpi.tools.stage import State

LONG_AGO = -(1 << 60)
FIRST_SLOTS, FIRST_MESSAGES, FIRST_INSTRUMENTS = 64, 256, 4
LADDER_ROWS = 8  # px and size of bids and asks, then px and size of what our orders took of bids and asks

FRESH = {
    "bid_px": np.nan, "ask_px": np.nan, "mid": np.nan, "buys": -1, "sells": -1, "phase": WAITING, "quote_ts": LONG_AGO,
}  # fmt: skip
TERMS = ("tick_size", "lot_size", "multiplier")


def start(setup: Setup, levels: int, known: int = 0) -> State:
    """Fresh memory for a stream with `levels` book levels (1 without depth columns) and `known` instruments."""
    desk = np.zeros(1, DESK)
    d = desk[0]
    for name, value in {**asdict(setup.fees), **asdict(setup.latency)}.items():
        d[name] = value
    given = setup.limits[0]
    for name in ("position_limit", "gross_exposure", "cash_reserve", "daily_loss", "price_collar"):
        d[name] = given[name]
    d.allow_short, d.max_open_orders = given.allow_short, given.max_open_orders
    d.order_rate, d.stale_ns = given.order_rate_per_s, given.stale_data_s * 1e9
    d.start_cash = d.cash = d.equity = d.peak = d.day_equity = setup.cash
    d.day = d.second = d.now = LONG_AGO
    d.kill_row = NEVER if setup.kill_row is None else setup.kill_row
    d.next_id, d.free, d.state, d.known = 1, -1, setup.trading_state, known
    if setup.external:
        d.external, d.state = 1, STANDING  # until the broker says how things stand
    state: State = {
        "desk": desk,
        "sent": np.full(max(1, int(given.order_rate_per_s)), LONG_AGO, np.int64),
        "pool": np.zeros(0, ORDER),
        "wire": np.zeros((2, FIRST_MESSAGES), MESSAGE),
        "instruments": np.zeros(0, INSTRUMENT),
        "ladders": np.zeros((0, LADDER_ROWS, levels)),
        "memory": np.zeros(0, setup.strategy.memory),
    }
    more_slots(state, FIRST_SLOTS)
    more_instruments(state, setup, FIRST_INSTRUMENTS)
    return state


def more_slots(state: State, capacity: int) -> None:
    """Grow the order pool; the new slots join the free list."""
    old, d = state["pool"], state["desk"][0]
    pool = np.zeros(capacity, ORDER)
    pool[: len(old)] = old
    pool["next"][len(old) : capacity - 1] = np.arange(len(old) + 1, capacity)
    pool["next"][capacity - 1] = d.free
    d.free = len(old)
    d.free_slots += capacity - len(old)
    state["pool"] = pool


def more_messages(state: State, capacity: int) -> None:
    """Grow both rings of the wire, oldest message first."""
    old, d = state["wire"], state["desk"][0]
    wire = np.zeros((2, capacity), MESSAGE)
    for ring, at in ((REQUESTS, d.request_at), (RESPONSES, d.response_at)):
        wire[ring, : old.shape[1]] = np.roll(old[ring], -int(at))
    d.request_at = d.response_at = 0
    state["wire"] = wire


def more_instruments(state: State, setup: Setup, capacity: int) -> None:
    """Make room for instrument_ids below `capacity`."""
    old, ladders, memory = state["instruments"], state["ladders"], state["memory"]
    instruments = np.zeros(capacity, INSTRUMENT)
    instruments[: len(old)] = old
    fresh = instruments[len(old) :]
    for name, value in FRESH.items():
        fresh[name] = value
    state["instruments"] = instruments
    set_terms(state, setup, len(old))
    state["ladders"] = np.concatenate([ladders, _empty(capacity - len(old), ladders.shape[2])])
    grown = np.zeros(capacity, setup.strategy.memory)
    grown[: len(old)] = memory
    state["memory"] = grown


def set_terms(state: State, setup: Setup, first: int) -> None:
    """Write the terms of trade of the instruments from `first` on."""
    given, them = setup.terms or Terms(), state["instruments"][first:]
    for name, own, default in zip(
        TERMS, (given.tick_size, given.lot_size, given.multiplier), given.default, strict=True
    ):
        them[name] = default
        own = own[first : first + len(them)]
        them[name][: len(own)] = own
    # Recorded prices carry float noise (585.9100000000001): equal means within a quarter tick.
    them["near"] = np.where(them["tick_size"] > 0, 0.25 * them["tick_size"], 1e-9)


def _empty(count: int, levels: int) -> Array:
    ladders = np.zeros((count, LADDER_ROWS, levels))
    ladders[:, ::2] = np.nan
    return ladders
