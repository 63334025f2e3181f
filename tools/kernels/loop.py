"""The batch loop around a strategy's `decide`. One copy per strategy is generated from this very file.

Numba neither caches a function that takes another as an argument nor calls it cheaply, but it does cache
and inline a function that imports another by name. So the line that imports `decide` is replaced, and the
copy is kept beside the compiled kernels (`gpi.tools.strategies.loading`).
"""

from gpi.tools.kernels.engine import after, before, short_of
from gpi.tools.kernels.idle import decide
from gpi.tools.kernels.jit import borrowing
from gpi.tools.kernels.orders import Array


@borrowing
def run(
    desk: Array, instruments: Array, ladders: Array, pool: Array, wire: Array, sent: Array, behind: Array,
    memory: Array, params: Array, view: Array, mine: Array, intents: Array,
    ts: Array, instrument_id: Array, kind: Array, side: Array, flags: Array,
    bid_px: Array, bid_sz: Array, ask_px: Array, ask_sz: Array, trade_px: Array, trade_sz: Array,
    bids_px: Array, bids_sz: Array, asks_px: Array, asks_sz: Array, events: Array, features: Array,
    outlook: Array, orders_out: Array, fills_out: Array, equity_out: Array, start: int,
) -> int:  # fmt: skip
    """Trade rows start.. of a batch; returns the first row not done, and why in `desk.stop` (0: all done)."""
    for row in range(start, ts.shape[0]):
        i = instrument_id[row]
        desk[0].stop = short_of(desk, ladders, wire, behind, orders_out, fills_out, equity_out, ts[row], i)
        if desk[0].stop:
            return row
        n_orders = before(
            desk, instruments, ladders, pool, wire, behind, view, mine, orders_out, fills_out, equity_out,
            ts[row], i, kind[row], side[row], flags[row],
            bid_px[row], bid_sz[row], ask_px[row], ask_sz[row], trade_px[row], trade_sz[row],
            bids_px, bids_sz, asks_px, asks_sz, events, row,
        )  # fmt: skip
        seen = features[min(row, features.shape[0] - 1)]
        expected = outlook[min(row, outlook.shape[0] - 1)]
        n = decide(memory, params, view, seen, expected, mine, n_orders, intents)
        after(desk, instruments, pool, wire, sent, intents, n, i, orders_out)
    return len(ts)
