"""The quoting rule of the races, as a gpi kernel strategy; bench/peers/*.py say the same in the peers' words.

On the first event of an instrument after each tenth of a second: cancel everything, then bid at the best bid
and offer at the best ask, one unit each. The position is not limited, so that every engine sends about as many
orders however it fills them.
"""

from dataclasses import dataclass

from gpi.formats.words import BUY, GTC, LIMIT, SELL
from gpi.tools.kernels.jit import borrowing
from gpi.tools.kernels.orders import OPEN, Array, cancel, intend, record

MEMORY = record("due", "")


@dataclass(frozen=True, slots=True)
class Parameters:
    """What the rule needs to know."""

    every_ns: float = 1e8
    """Between two quotings."""
    unit: float = 0.01
    """Size of an order."""
    most: float = 1e6
    """Position beyond which a side is not quoted."""


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
    """Cancel and quote again when it is time; returns the number of intents."""
    v, p = view[0], params[0]
    m = memory[v.instrument_id]
    if v.ts < m.due or v.phase != OPEN or not (v.bid_px == v.bid_px and v.ask_px == v.ask_px):
        return 0
    m.due = v.ts + int(p.every_ns)
    n = 0
    for j in range(n_orders):
        if not orders[j].canceling:
            n = cancel(intents, n, orders[j].order_id)
    if v.position < p.most:
        n = intend(intents, n, BUY, LIMIT, GTC, p.unit, v.bid_px)
    if v.position > -p.most:
        n = intend(intents, n, SELL, LIMIT, GTC, p.unit, v.ask_px)
    return n


class Slow:
    """The same rule as a plain Python strategy."""

    def __init__(self, every_ns: float = 1e8, unit: float = 0.01, most: float = 1e6) -> None:
        self.every_ns, self.unit, self.most = int(every_ns), unit, most
        self.due: dict[int, int] = {}

    def on_tick(self, view) -> None:  # type: ignore[no-untyped-def]
        """Cancel and quote again when it is time."""
        if view.ts < self.due.get(view.instrument_id, 0) or view.phase != OPEN or not view.ask_px > view.bid_px:
            return
        self.due[view.instrument_id] = view.ts + self.every_ns
        for order in view.orders:
            if not order.canceling:
                view.cancel(order.order_id)
        if view.position < self.most:
            view.buy(self.unit, view.bid_px)
        if view.position > -self.most:
            view.sell(self.unit, view.ask_px)
