"""What the venue answers, and how an order ends there: with its family."""

import numpy as np

from gpi.tools.kernels.delays import reaches_trader
from gpi.tools.kernels.jit import borrowing
from gpi.tools.kernels.orders import (
    CANCELED,
    FILLED,
    GONE,
    IN_FLIGHT,
    MLEG,
    READY,
    REDUCED,
    RESPONSES,
    WITHHELD,
    Array,
)

SMALL = 1e-9  # of the order's size: an unfilled rest below this is float noise


@borrowing
def respond(
    desk: Array, pool: Array, wire: Array, slot: int, ts: int, kind: int, qty: float, px: float, extra: int
) -> None:
    """Send a response towards the trader; `extra` is the liquidity of a fill or the reason of a rejection."""
    d, o = desk[0], pool[slot]
    at = d.response_at + d.responses
    m = wire[RESPONSES, at if at < wire.shape[1] else at - wire.shape[1]]
    d.responses += 1
    m.due = ts + d.response_ns if d.delays == 0 else reaches_trader(desk, wire, ts)
    m.ts = ts
    m.kind = kind
    m.slot = slot
    m.order_id = o.order_id
    m.liquidity = extra
    m.reason = extra
    m.qty = qty
    m.px = px
    m.leaves = o.leaves
    m.fee = np.nan


@borrowing
def fill(desk: Array, pool: Array, wire: Array, slot: int, ts: int, qty: float, px: float, liquidity: int) -> None:
    """Execute `qty` of an order at the venue."""
    o = pool[slot]
    o.leaves -= qty
    if o.leaves <= SMALL * o.qty:
        o.leaves = 0.0
        o.place = GONE
    respond(desk, pool, wire, slot, ts, FILLED, qty, px, liquidity)
    if o.family:
        filled_family(desk, pool, wire, slot, ts, qty)


@borrowing
def end(desk: Array, pool: Array, wire: Array, slot: int, ts: int, kind: int, reason: int) -> None:
    """An order is gone without having filled: its legs go with it, and so does its rival."""
    o = pool[slot]
    o.place = GONE
    respond(desk, pool, wire, slot, ts, kind, o.qty, o.px, reason)
    if o.family:
        ended_family(desk, pool, wire, slot, ts, kind)


@borrowing
def standing(pool: Array, slot: int, order_id: int) -> bool:
    """Is the order with this id still in this slot, at the venue and not gone?"""
    if slot < 0 or order_id <= 0:
        return False
    o = pool[slot]
    return bool(o.order_id == order_id and o.place != GONE and o.place != IN_FLIGHT)


@borrowing
def leg_of(pool: Array, slot: int, which: int) -> int:
    """The slot of an order's first or second leg, wherever it is; -1 without."""
    o = pool[slot]
    leg = o.leg_too if which else o.leg
    if leg < 0 or pool[leg].parent != o.order_id or pool[leg].order_id == 0 or pool[leg].place == GONE:
        return -1
    return int(leg)


@borrowing
def filled_family(desk: Array, pool: Array, wire: Array, slot: int, ts: int, qty: float) -> None:
    """A fill shrinks or ends the rival; a parent that has filled whole wakes its legs."""
    o = pool[slot]
    if standing(pool, o.rival_slot, o.rival):
        r = pool[o.rival_slot]
        if o.leaves == 0.0 or r.leaves - qty <= SMALL * r.qty:
            r.place = GONE
            respond(desk, pool, wire, o.rival_slot, ts, CANCELED, r.qty, r.px, 0)
        else:
            r.leaves -= qty
            r.qty -= qty
            respond(desk, pool, wire, o.rival_slot, ts, REDUCED, r.qty, r.px if r.px == r.px else r.stop_px, 0)
    if o.leaves == 0.0:
        for which in range(2):
            leg = leg_of(pool, slot, which)
            if leg >= 0:
                pool[leg].parent_end = 1
                if pool[leg].place == WITHHELD:
                    pool[leg].place = READY
                    desk[0].waking += 1


@borrowing
def ended_family(desk: Array, pool: Array, wire: Array, slot: int, ts: int, kind: int) -> None:
    """An order that ended unfilled takes its rival and its withheld legs along; a leg of several, all the others."""
    o = pool[slot]
    if o.order_type == MLEG:
        here = o.mate
        while here != slot:
            pool[here].place = GONE
            respond(desk, pool, wire, here, ts, kind, pool[here].qty, pool[here].net, 0)
            here = pool[here].mate
        return
    if standing(pool, o.rival_slot, o.rival):
        r = pool[o.rival_slot]
        r.place = GONE
        respond(desk, pool, wire, o.rival_slot, ts, CANCELED, r.qty, r.px, 0)
    for which in range(2):
        leg = leg_of(pool, slot, which)
        if leg >= 0:
            pool[leg].parent_end = 2
            if pool[leg].place == WITHHELD:
                pool[leg].place = GONE
                respond(desk, pool, wire, leg, ts, CANCELED, pool[leg].qty, pool[leg].px, 0)
