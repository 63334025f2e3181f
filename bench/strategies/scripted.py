"""A strategy for bench/matching_race.py: it sends what the row's four features say, and nothing of its own.

Features: side of a new order (0: none), its price in hundredths, its size in lots, the number of an order to cancel
(0: none). Orders are numbered 1, 2, 3, ... in the order in which they are sent, as the engine does.
"""

from gpi.formats.words import GTC, LIMIT
from gpi.tools.kernels.jit import borrowing
from gpi.tools.kernels.orders import Array, cancel, intend

NEEDS = ("features",)
LOTS = (1e-5, 1e-4)


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
    """Read the script; returns the number of intents."""
    n, features = 0, inputs[0].features
    if features[3] > 0.0:
        for j in range(n_orders):
            if orders[j].order_id == int(features[3]):
                n = cancel(intents, n, int(features[3]))
    if features[0] != 0.0:
        lot = LOTS[view[0].instrument_id]
        n = intend(intents, n, int(features[0]), LIMIT, GTC, lot * features[2], round(float(features[1])) / 100.0)
    return n
