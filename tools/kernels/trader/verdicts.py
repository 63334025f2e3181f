"""The gate asked again about orders already sent, from what their rows of orders/1 tell."""

import numpy as np

from gpi.formats.words import (
    ACCEPTED,
    BUY,
    CANCEL,
    FILLED,
    MALFORMED,
    MARKET,
    MLEG,
    REDUCED,
    REFUSE,
    REPLACE,
    REPLACED,
    STOP_LIMIT,
    SUBMIT,
    TRIGGERED,
)
from gpi.tools.kernels.jit import jit
from gpi.tools.kernels.orders import INSTRUMENTS, OPEN, POOL, Array, Engine
from gpi.tools.kernels.shared import Placed, at_places
from gpi.tools.kernels.trader.account import new_day, watch_loss
from gpi.tools.kernels.trader.exposure import weigh
from gpi.tools.kernels.trader.limits import judge


@jit
def remember(e: Engine, live: Array, intent: Array, i: int, order_id: int) -> None:
    """A sent order works from now on, whatever we think of it."""
    it, o = e.instruments[i], live[e.account.open_orders]
    e.account.open_orders += 1
    o.order_id = order_id
    o.instrument_id = i
    o.side = intent[0].side
    o.leaves = intent[0].qty
    o.unit_cost = (it.mid if intent[0].order_type == MARKET else intent[0].px) * it.multiplier
    if o.side == BUY:
        it.n_buys += 1
        it.buying += o.leaves
        e.account.buy_cost += o.leaves * o.unit_cost
    else:
        it.n_sells += 1
        it.selling += o.leaves
    weigh(e, i)


@jit
def forget(e: Engine, live: Array, order_id: int, leaves: float) -> None:
    """An order works with `leaves` from now on; with 0 it is gone."""
    for k in range(e.account.open_orders):
        o = live[k]
        if o.order_id != order_id:
            continue
        i = o.instrument_id
        it, done = e.instruments[i], o.leaves - leaves
        o.leaves = leaves
        gone = 1 if leaves <= 0.0 else 0
        if o.side == BUY:
            it.n_buys -= gone
            it.buying = it.buying - done if it.n_buys > 0 else 0.0
            e.account.buy_cost -= done * o.unit_cost
        else:
            it.n_sells -= gone
            it.selling = it.selling - done if it.n_sells > 0 else 0.0
        if gone:
            e.account.open_orders -= 1
            live[k] = live[e.account.open_orders]
        weigh(e, i)
        return


class OrderRows(Placed):
    """What the rows of orders/1 tell a judge: (rows,) each."""

    ARRAYS = {
        **{name: (np.dtype(np.int64), 1) for name in ("ts_event", "order_id")},
        "instrument_id": (np.dtype(np.int32), 1),
        **{name: (np.dtype(np.int8), 1) for name in ("action", "side", "order_type", "tif")},
        **{name: (np.dtype(np.float64), 1) for name in ("qty", "px", "leaves", "mid", "position", "cash", "equity")},
    }

    ts_event: Array
    order_id: Array
    instrument_id: Array
    action: Array
    side: Array
    order_type: Array
    tif: Array
    qty: Array
    px: Array
    leaves: Array
    mid: Array
    position: Array
    cash: Array
    equity: Array


orders_at = at_places(OrderRows)


@jit
def run(
    e: Engine, live: Array, intent: Array, columns: int, body: Array, start: int, verdict: Array, reason: Array
) -> int:
    """Judge rows start..; returns the first row not done and why in `cursor.stop` (0: all done).

    `columns`: the address of the batch's `OrderRows`, `body` its bytes.
    """
    o = orders_at(columns, body)
    for row in range(start, o.ts_event.shape[0]):
        i = o.instrument_id[row]
        nobody = i < 0 or (e.gate.known > 0 and i >= e.gate.known)
        e.cursor.stop = INSTRUMENTS if i >= e.instruments.shape[0] and not nobody else 0
        if e.account.open_orders >= live.shape[0]:
            e.cursor.stop = POOL
        if e.cursor.stop:
            return row
        verdict[row] = 1
        reason[row] = 0
        e.clock.now = o.ts_event[row]
        if e.clock.row == 0:
            e.account.equity = o.equity[row]
        new_day(e, e.clock.now)  # from the last equity that a row of the day before told
        e.clock.row += 1
        e.account.cash = o.cash[row]
        e.account.equity = o.equity[row]
        watch_loss(e)
        act = o.action[row]
        if nobody and act == SUBMIT:
            verdict[row] = 0
            reason[row] = MALFORMED
            e.sent[e.rings.sent_at] = e.clock.now
            e.rings.sent_at = (e.rings.sent_at + 1) % e.sent.shape[0]
        if nobody or act == REFUSE or act == CANCEL or act == ACCEPTED or TRIGGERED <= act <= REPLACE:
            continue
        it = e.instruments[i]
        it.position = o.position[row]
        it.mid = o.mid[row]
        weigh(e, i)
        if act == SUBMIT:
            it.bid_px = o.mid[row]
            it.ask_px = o.mid[row]
            it.quote_ts = e.clock.now
            it.phase = OPEN
            w = intent[0]
            w.side = o.side[row]
            w.order_type = o.order_type[row] if o.order_type[row] != MLEG else MARKET  # its price is that of all legs
            w.tif = o.tif[row]
            w.qty = o.qty[row]
            w.px = o.px[row] if o.px[row] == o.px[row] or o.order_type[row] != STOP_LIMIT else o.mid[row]
            w.stop_px = o.px[row]  # a row tells one price; where a stop stands is not judged
            w.trail = 0.5
            w.trail_fraction = 1
            found = judge(e, w, i)
            reason[row] = found
            verdict[row] = 0 if found else 1
            e.sent[e.rings.sent_at] = e.clock.now
            e.rings.sent_at = (e.rings.sent_at + 1) % e.sent.shape[0]
            remember(e, live, intent, i, o.order_id[row])
        else:
            forget(
                e,
                live,
                o.order_id[row],
                o.leaves[row] if act == FILLED or act == REPLACED or act == REDUCED else 0.0,
            )
    return int(o.ts_event.shape[0])
