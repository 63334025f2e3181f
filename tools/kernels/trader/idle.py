"""The strategy that does nothing: what the engine costs by itself."""

from gpi.tools.kernels.jit import borrowing
from gpi.tools.kernels.orders import Array


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
    """No intents."""
    return 0
