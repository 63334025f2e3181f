"""A strategy for measuring: one immediate-or-cancel order at the bid on every tick, which never fills."""

from gpi.formats.words import BUY
from gpi.tools.kernels.jit import borrowing
from gpi.tools.kernels.orders import OPEN, Array, take


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
    """An order a tick, passed by the gate and sent."""
    v = view[0]
    if v.phase != OPEN:
        return 0
    return take(intents, 0, BUY, 1.0, v.bid_px)
