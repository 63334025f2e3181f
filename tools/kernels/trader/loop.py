"""The batch loop around a strategy's `decide`. One copy per strategy is generated from this very file.

Numba neither caches a function that takes another as an argument nor calls it cheaply, but it does cache
and inline a function that imports another by name. So the line that imports `decide` is replaced, and the
copy is kept beside the compiled kernels (`gpi.tools.strategies.loading`).
"""

from gpi.tools.kernels.jit import borrowing
from gpi.tools.kernels.orders import Array, Engine
from gpi.tools.kernels.trader.engine import after, before, short_of
from gpi.tools.kernels.trader.gathering import gather
from gpi.tools.kernels.trader.idle import decide


@borrowing
def run(
    e: Engine, memory: Array, params: Array, inputs: Array, record: int, pieces: Array,
    ts: Array, instrument_id: Array, kind: Array, side: Array, flags: Array,
    bid_px: Array, bid_sz: Array, ask_px: Array, ask_sz: Array, trade_px: Array, trade_sz: Array,
    bids_px: Array, bids_sz: Array, asks_px: Array, asks_sz: Array, events: Array, start: int,
) -> int:  # fmt: skip
    """Trade rows start.. of a batch; returns the first row not done, and why in `cursor.stop` (0: all done).

    `inputs` is one record at the address `record`, filled for every row from `pieces` (`gathering`).
    """
    for row in range(start, ts.shape[0]):
        i = instrument_id[row]
        e.cursor.stop = short_of(e, ts[row], i)
        if e.cursor.stop:
            return row
        n_orders = before(
            e, ts[row], i, kind[row], side[row], flags[row],
            bid_px[row], bid_sz[row], ask_px[row], ask_sz[row], trade_px[row], trade_sz[row],
            bids_px, bids_sz, asks_px, asks_sz, events, row,
        )  # fmt: skip
        gather(record, pieces, row)
        n = decide(memory, params, e.seen, inputs, e.market, e.mine, n_orders, e.intents)
        after(e, n, i)
    return len(ts)
