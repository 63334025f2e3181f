"""The gate asked again about orders already sent, from what their rows of orders/1 tell."""

from gpi.tools.kernels.account import new_day, watch_loss
from gpi.tools.kernels.jit import jit
from gpi.tools.kernels.limits import judge
from gpi.tools.kernels.orders import (
    ACCEPTED,
    BUY,
    CANCEL,
    FILLED,
    INSTRUMENTS,
    MALFORMED,
    MARKET,
    MLEG,
    OPEN,
    POOL,
    REDUCED,
    REFUSE,
    REPLACE,
    REPLACED,
    STOP_LIMIT,
    SUBMIT,
    TRIGGERED,
    Array,
)


@jit
def remember(desk: Array, instruments: Array, live: Array, wish: Array, i: int, order_id: int) -> None:
    """A sent order works from now on, whatever we think of it."""
    d, it, o = desk[0], instruments[i], live[desk[0].open_orders]
    d.open_orders += 1
    o.order_id = order_id
    o.instrument_id = i
    o.side = wish[0].side
    o.leaves = wish[0].qty
    o.unit_cost = (it.mid if wish[0].order_type == MARKET else wish[0].px) * it.multiplier
    if o.side == BUY:
        it.n_buys += 1
        it.buying += o.leaves
        d.buy_cost += o.leaves * o.unit_cost
    else:
        it.n_sells += 1
        it.selling += o.leaves


@jit
def forget(desk: Array, instruments: Array, live: Array, order_id: int, leaves: float) -> None:
    """An order works with `leaves` from now on; with 0 it is gone."""
    d = desk[0]
    for k in range(d.open_orders):
        o = live[k]
        if o.order_id != order_id:
            continue
        it, done = instruments[o.instrument_id], o.leaves - leaves
        o.leaves = leaves
        gone = 1 if leaves <= 0.0 else 0
        if o.side == BUY:
            it.n_buys -= gone
            it.buying = it.buying - done if it.n_buys > 0 else 0.0
            d.buy_cost -= done * o.unit_cost
        else:
            it.n_sells -= gone
            it.selling = it.selling - done if it.n_sells > 0 else 0.0
        if gone:
            d.open_orders -= 1
            live[k] = live[d.open_orders]
        return


@jit
def run(
    desk: Array, instruments: Array, live: Array, sent: Array, wish: Array,
    ts: Array, instrument_id: Array, order_id: Array, action: Array,
    side: Array, order_type: Array, tif: Array,
    qty: Array, px: Array, leaves: Array, mid: Array, position: Array, cash: Array, equity: Array,
    start: int, verdict: Array, reason: Array,
) -> int:  # fmt: skip
    """Judge rows start..; returns the first row not done and why in `desk.stop` (0: all done)."""
    d = desk[0]
    for row in range(start, ts.shape[0]):
        i = instrument_id[row]
        nobody = i < 0 or (d.known > 0 and i >= d.known)
        d.stop = INSTRUMENTS if i >= instruments.shape[0] and not nobody else 0
        if d.open_orders >= live.shape[0]:
            d.stop = POOL
        if d.stop:
            return row
        verdict[row] = 1
        reason[row] = 0
        d.now = ts[row]
        if d.row == 0:
            d.equity = equity[row]
        new_day(desk, d.now)  # from the last equity that a row of the day before told
        d.row += 1
        d.cash = cash[row]
        d.equity = equity[row]
        watch_loss(desk)
        act = action[row]
        if nobody and act == SUBMIT:
            verdict[row] = 0
            reason[row] = MALFORMED
            sent[d.sent_at] = d.now
            d.sent_at = (d.sent_at + 1) % sent.shape[0]
        if nobody or act == REFUSE or act == CANCEL or act == ACCEPTED or TRIGGERED <= act <= REPLACE:
            continue
        it = instruments[i]
        it.position = position[row]
        it.mid = mid[row]
        if act == SUBMIT:
            it.bid_px = mid[row]
            it.ask_px = mid[row]
            it.quote_ts = d.now
            it.phase = OPEN
            w = wish[0]
            w.side = side[row]
            w.order_type = order_type[row] if order_type[row] != MLEG else MARKET  # its price is that of all legs
            w.tif = tif[row]
            w.qty = qty[row]
            w.px = px[row] if px[row] == px[row] or order_type[row] != STOP_LIMIT else mid[row]
            w.stop_px = px[row]  # a row tells one price; where a stop stands is not judged
            w.trail = 0.5
            w.trail_fraction = 1
            found = judge(desk, instruments, sent, w, i)
            reason[row] = found
            verdict[row] = 0 if found else 1
            sent[d.sent_at] = d.now
            d.sent_at = (d.sent_at + 1) % sent.shape[0]
            remember(desk, instruments, live, wish, i, order_id[row])
        else:
            forget(
                desk,
                instruments,
                live,
                order_id[row],
                leaves[row] if act == FILLED or act == REPLACED or act == REDUCED else 0.0,
            )
    return len(ts)
