"""Judge orders again: a stage that appends to every row of orders/1 what the limits say about it.

A SUBMIT row carries the account's view at that moment (mid, position, cash, equity), so limits can be tried
on yesterday's orders, or somebody else's, without the market. The gate is the very one that trades
(`gpi.tools.kernels.limits`). What the rows cannot show is taken as good: quotes are fresh, the market is
open, any tick size is allowed. An order counts as sent whatever the verdict, because it was. A day's loss is
measured from the last row of the day before. An instrument that the stream's table does not have is MALFORMED.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa

from gpi.formats.frame import Frame
from gpi.formats.instruments import KEY, Instruments, checked_id
from gpi.formats.orders import ORDERS
from gpi.tools.kernels import verdicts
from gpi.tools.kernels.orders import DESK, INSTRUMENT, INSTRUMENTS, INTENT, NEVER, ORDER, Array
from gpi.tools.stage import Stage, State, adds

VERDICT: Final = pa.field("verdict", pa.int8(), nullable=False)  # 1 pass, 0 refuse
VERDICT_REASON: Final = pa.field("verdict_reason", pa.int16(), nullable=False)  # index of orders.REASONS
READ: Final = (
    "ts_event", "instrument_id", "order_id", "action", "side", "order_type", "tif",
    "qty", "px", "leaves", "mid", "position", "cash", "equity",
)  # fmt: skip
ADDED: Final = (VERDICT, VERDICT_REASON)
LONG_AGO: Final = -(1 << 60)


def judged(limits: Array) -> Stage:
    """Append `verdict` and `verdict_reason` to orders/1. Rows other than SUBMIT pass.

    Raises BadInput for an instrument_id from MAX_INSTRUMENTS on in a stream without an instrument table.
    """
    announced = Instruments()

    def gives(schema: pa.Schema) -> pa.Schema:
        nonlocal announced
        announced = Instruments.of(schema)
        return adds(*ADDED)(schema)

    def step(state: State, frame: Frame) -> Frame:
        if frame.notes and KEY in frame.notes:
            _announce(state, Instruments.from_json(frame.notes[KEY]))
        out = frame.widened(ADDED)
        columns = [frame[name] for name in READ]
        row = 0
        while row < frame.rows:
            memory = [state[name] for name in ("desk", "instruments", "live", "sent", "wish")]
            given: Any = [*memory, *columns, row, out["verdict"], out["verdict_reason"]]
            row = verdicts.run(*given)
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
    desk, given = np.zeros(1, DESK), limits[0]
    d = desk[0]
    for name in ("position_limit", "gross_exposure", "cash_reserve", "daily_loss", "price_collar"):
        d[name] = given[name]
    d.allow_short, d.max_open_orders = given.allow_short, given.max_open_orders
    d.order_rate, d.stale_ns, d.kill_row, d.day = given.order_rate_per_s, NEVER >> 1, NEVER, LONG_AGO
    state: State = {
        "desk": desk,
        "instruments": np.zeros(0, INSTRUMENT),
        "live": np.zeros(16, ORDER),
        "sent": np.full(max(1, int(given.order_rate_per_s)), LONG_AGO, np.int64),
        "wish": np.zeros(1, INTENT),
    }
    _announce(state, announced)
    return state


def _announce(state: State, table: Instruments) -> None:
    if len(table) > len(state["instruments"]):
        _more_instruments(state, len(table))
    state["instruments"]["multiplier"][: len(table)] = [row.multiplier for row in table]
    state["desk"][0].known = max(state["desk"][0].known, len(table))


def _grow(state: State, instrument_id: int) -> None:
    if state["desk"][0].stop == INSTRUMENTS:
        _more_instruments(state, max(checked_id(instrument_id) + 1, 2 * len(state["instruments"])))
    else:
        live = state["live"]
        state["live"] = np.concatenate([live, np.zeros(len(live), live.dtype)])


def _more_instruments(state: State, capacity: int) -> None:
    grown = np.zeros(capacity, INSTRUMENT)
    grown["multiplier"], grown["mid"], grown["quote_ts"] = 1.0, np.nan, LONG_AGO
    grown[: len(state["instruments"])] = state["instruments"]
    state["instruments"] = grown
