"""Sell a vertical spread for a credit, buy it back when most of the credit is earned: orders of two legs, compiled.

Its plain twin is `vertical_plain.py`. Instruments are told by their ids in the stream.
"""

from dataclasses import dataclass

import numpy as np

from gpi.tools.kernels.jit import borrowing
from gpi.tools.kernels.orders import BUY, DAY, OPEN, SELL, Array, leg


@dataclass(frozen=True)
class Parameters:
    """Set with `--param name=value`."""

    sold: float = 0.0  # instrument_id of the option that is sold
    bought: float = 1.0  # and of the one that covers it
    units: float = 1.0
    give: float = 0.4  # from the mid (0) towards the sides that must be crossed (1)
    keep: float = 0.5  # bought back at this share of the credit


# What the strategy remembers: one record per instrument, zero at the start, saved with the session.
MEMORY = np.dtype((np.record, [("bid", "f8"), ("ask", "f8"), ("position", "f8"), ("cost", "f8"), ("done", "i8")]))


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
    """One tick: remember the leg's quote; when both stand and nothing works, open the spread or close it."""
    v, p = view[0], params[0]
    sold, bought = int(p.sold), int(p.bought)
    if v.instrument_id != sold and v.instrument_id != bought:
        return 0
    m = memory[v.instrument_id]
    m.bid, m.ask, m.position, m.cost = v.bid_px, v.ask_px, v.position, v.avg_px
    short, cover = memory[sold], memory[bought]
    if v.phase != OPEN or n_orders > 0 or short.done or not (short.bid > 0.0 and cover.bid > 0.0):
        return 0
    mid = 0.5 * (cover.bid + cover.ask - short.bid - short.ask)  # of a unit that is opened: a credit is negative
    if short.position == 0.0 and cover.position == 0.0:
        net = mid + p.give * (cover.ask - short.bid - mid)
        side = BUY
    elif short.position < 0.0 and cover.position > 0.0:
        net = -mid + p.give * (short.ask - cover.bid + mid)
        side = SELL
        if not net <= p.keep * (short.cost - cover.cost):
            return 0
        short.done = 1
    else:
        return 0
    net = np.floor(net / v.tick_size) * v.tick_size
    n = leg(intents, 0, 0, sold, -side, 1, p.units, net, DAY)
    return leg(intents, n, 1, bought, side, 1, p.units, net, DAY)
