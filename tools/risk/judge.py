"""Judge orders again: a stage that appends to every row of orders/1 what the limits say about it.

A SUBMIT row carries the account's view at that moment (mid, position, cash, equity), so limits can be tried
on yesterday's orders, or somebody else's, without the market. The gate is the very one that trades
(`gpi.tools.kernels.trader.limits`). What the rows cannot show is taken as good: quotes are fresh, the market is
open, any tick size is allowed. An order counts as sent whatever the verdict, because it was. A day's loss is
measured from the last row of the day before. An instrument that the stream's table does not have is MALFORMED.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa

from gpi.formats.frame import Frame
from gpi.formats.instruments import Instruments, checked_id
from gpi.formats.orders import ORDERS, VERDICT, VERDICT_REASON
from gpi.tools.columns import Columns
from gpi.tools.kernels import memory
from gpi.tools.kernels.orders import INSTRUMENTS, INTENT, NEVER, ORDER, Array, Engine
from gpi.tools.kernels.trader import verdicts
from gpi.tools.stage import Stage, State, adds

READ: Final = (
    "ts_event", "instrument_id", "order_id", "action", "side", "order_type", "tif",
    "qty", "px", "leaves", "mid", "position", "cash", "equity",
)  # fmt: skip
ADDED: Final = (VERDICT, VERDICT_REASON)


def judged(limits: Array) -> Stage:
    """Append `verdict` and `verdict_reason` to orders/1. Rows other than SUBMIT pass.

    Raises BadInput for an instrument_id from MAX_INSTRUMENTS on in a stream without an instrument table.
    """
    announced, table = Instruments(), Columns(verdicts.OrderRows)

    def gives(schema: pa.Schema) -> pa.Schema:
        nonlocal announced
        announced = Instruments.of(schema)
        return adds(*ADDED)(schema)

    def step(state: State, frame: Frame) -> Frame:
        if announced.heard(frame.notes) is not None:
            _announce(state, announced)
        out = frame.widened(ADDED)
        columns, row = table.over(frame), 0
        while row < frame.rows:
            given: Any = [state["live"], state["intent"], *columns, row, out["verdict"], out["verdict_reason"]]
            row = verdicts.run(Engine(state), *given)
            if row < frame.rows:
                _grow(state, int(frame["instrument_id"][row]))
        return out

    return Stage(
        name="risk-check",
        needs=pa.schema([ORDERS.field(name) for name in READ]),
        gives=gives,
        start=lambda: _start(limits, announced),
        step=step,
        per_symbol=False,
    )


def _start(limits: Array, announced: Instruments) -> State:
    state: State = memory.blank()
    gate, given = state["gate"][0], limits[0]
    for name in ("position_limit", "gross_exposure", "cash_reserve", "daily_loss", "price_collar"):
        gate[name] = given[name]
    gate.allow_short, gate.max_open_orders = given.allow_short, given.max_open_orders
    gate.order_rate, gate.stale_ns = given.order_rate_per_s, NEVER >> 1
    state["live"], state["intent"] = np.zeros(16, ORDER), np.zeros(1, INTENT)
    state["sent"] = np.full(max(1, int(given.order_rate_per_s)), memory.LONG_AGO, np.int64)
    _announce(state, announced)
    return state


def _announce(state: State, table: Instruments) -> None:
    first = int(state["gate"][0].known)
    if len(table) > len(state["instruments"]):
        _more_instruments(state, max(len(table), 2 * first))
    state["instruments"]["multiplier"][first : len(table)] = [table[i].multiplier for i in range(first, len(table))]
    state["gate"][0].known = max(first, len(table))


def _grow(state: State, instrument_id: int) -> None:
    if state["cursor"][0].stop == INSTRUMENTS:
        _more_instruments(state, max(checked_id(instrument_id) + 1, 2 * len(state["instruments"])))
    else:
        live = state["live"]
        state["live"] = np.concatenate([live, np.zeros(len(live), live.dtype)])


def _more_instruments(state: State, capacity: int) -> None:
    known = len(state["instruments"])
    memory.more_instruments(state, capacity)
    state["instruments"]["multiplier"][known:] = 1.0
