"""The batch loop around a strategy's `decide`. One copy per strategy is generated from this very file.

Numba neither caches a function that takes another as an argument nor calls it cheaply, but it does cache
and inline a function that imports another by name. So the line that imports `decide` is replaced, and the
copy is kept beside the compiled kernels (`gpi.tools.strategies.loading`).
"""

from gpi.tools.kernels.jit import borrowing
from gpi.tools.kernels.orders import Array, engine_at
from gpi.tools.kernels.ticks import ticks_at
from gpi.tools.kernels.trader.engine import after, before, short_of
from gpi.tools.kernels.trader.gathering import gather
from gpi.tools.kernels.trader.idle import decide


@borrowing
def run(
    engine: int,
    columns: int,
    body: Array,
    start: int,
    memory: Array,
    params: Array,
    inputs: Array,
    record: int,
    pieces: Array,
) -> int:
    """Trade rows start.. of a batch; returns the first row not done, and why in `cursor.stop` (0: all done).

    `engine` and `columns` are the addresses of an `Engine` and of the `Ticks` of the batch, whose bytes are `body`.
    `inputs` is one record at the address `record`, filled for every row from `pieces` (`gathering`).
    """
    e, ticks = engine_at(engine), ticks_at(columns, body)
    for row in range(start, ticks.ts_event.shape[0]):
        i = ticks.instrument_id[row]
        e.cursor.stop = short_of(e, ticks.ts_event[row], i)
        if e.cursor.stop:
            return row
        n_orders = before(e, ticks, row, i)
        gather(record, pieces, row)
        n = decide(memory, params, e.seen, inputs, e.market, e.mine, n_orders, e.intents)
        after(e, n, i)
    return int(ticks.ts_event.shape[0])
