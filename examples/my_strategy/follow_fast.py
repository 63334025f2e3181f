"""Follow the book: a compiled strategy. Its plain twin is `follow.py`."""

from dataclasses import dataclass

import numpy as np

from gpi.tools.kernels.jit import borrowing
from gpi.tools.kernels.orders import BUY, OPEN, SELL, Array, take


@dataclass(frozen=True)
class Parameters:
    """Set with `--param name=value`."""

    threshold: float = 0.6
    qty: float = 100.0
    hold_s: float = 5.0


# What the strategy remembers: one record per instrument, zero at the start, saved with the session.
MEMORY = np.dtype((np.record, [("entered", np.int64)]))


@borrowing
def decide(
    memory: Array,
    params: Array,
    view: Array,
    inputs: Array,
    market: Array,
    orders: Array,
    n_orders: int,
    intents: Array,
) -> int:
    """One tick: wait for our orders, leave when it is time, enter when the book leans."""
    v, p = view[0], params[0]
    m = memory[v.instrument_id]
    if v.phase != OPEN or n_orders > 0 or not v.bid_px < v.ask_px:
        return 0
    if v.position != 0.0:
        if v.ts - m.entered < int(p.hold_s * 1e9):
            return 0
        side = SELL if v.position > 0.0 else BUY
        return take(intents, 0, side, abs(v.position), v.bid_px if side == SELL else v.ask_px)
    if abs(v.imbalance) <= p.threshold:
        return 0
    m.entered = v.ts
    side = BUY if v.imbalance > 0.0 else SELL
    return take(intents, 0, side, p.qty, v.ask_px if side == BUY else v.bid_px)
