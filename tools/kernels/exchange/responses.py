"""What the venue answers, and how an order ends there: with its family."""

import numpy as np

from gpi.formats.words import CANCELED, FILLED, MLEG, REDUCED
from gpi.tools.kernels.exchange.delays import reaches_trader
from gpi.tools.kernels.jit import borrowing
from gpi.tools.kernels.orders import GONE, IN_FLIGHT, READY, RESPONSES, WITHHELD, Array, Engine

SMALL = 1e-9  # of the order's size: an unfilled rest below this is float noise


@borrowing
def respond(e: Engine, slot: int, ts: int, kind: int, qty: float, px: float, extra: int) -> None:
    """Send a response towards the trader; `extra` is the liquidity of a fill or the reason of a rejection."""
    o = e.pool[slot]
    at = e.rings.response_at + e.rings.responses
    m = e.transit[RESPONSES, at if at < e.transit.shape[1] else at - e.transit.shape[1]]
    e.rings.responses += 1
    m.due = ts + e.delays.response_ns if e.delays.varies == 0 else reaches_trader(e, ts)
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
def fill(e: Engine, slot: int, ts: int, qty: float, px: float, liquidity: int) -> None:
    """Execute `qty` of an order at the venue."""
    o = e.pool[slot]
    o.leaves -= qty
    if o.leaves <= SMALL * o.qty:
        o.leaves = 0.0
        o.place = GONE
    respond(e, slot, ts, FILLED, qty, px, liquidity)
    if o.family:
        filled_family(e, slot, ts, qty)


@borrowing
def end(e: Engine, slot: int, ts: int, kind: int, reason: int) -> None:
    """An order is gone without having filled: its legs go with it, and so does its sibling."""
    o = e.pool[slot]
    o.place = GONE
    respond(e, slot, ts, kind, o.qty, o.px, reason)
    if o.family:
        ended_family(e, slot, ts, kind)


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
def filled_family(e: Engine, slot: int, ts: int, qty: float) -> None:
    """A fill shrinks or ends the sibling; a parent that has filled whole wakes its legs."""
    o = e.pool[slot]
    if standing(e.pool, o.sibling_slot, o.sibling):
        r = e.pool[o.sibling_slot]
        if o.leaves == 0.0 or r.leaves - qty <= SMALL * r.qty:
            r.place = GONE
            respond(e, o.sibling_slot, ts, CANCELED, r.qty, r.px, 0)
        else:
            r.leaves -= qty
            r.qty -= qty
            respond(e, o.sibling_slot, ts, REDUCED, r.qty, r.px if r.px == r.px else r.stop_px, 0)
    if o.leaves == 0.0:
        for which in range(2):
            leg = leg_of(e.pool, slot, which)
            if leg >= 0:
                e.pool[leg].parent_end = 1
                if e.pool[leg].place == WITHHELD:
                    e.pool[leg].place = READY
                    e.venue.waking += 1


@borrowing
def ended_family(e: Engine, slot: int, ts: int, kind: int) -> None:
    """An order that ended unfilled takes its sibling and its withheld legs along; a leg of several, all the others."""
    o = e.pool[slot]
    if o.order_type == MLEG:
        here = o.mate
        while here != slot:
            e.pool[here].place = GONE
            respond(e, here, ts, kind, e.pool[here].qty, e.pool[here].net, 0)
            here = e.pool[here].mate
        return
    if standing(e.pool, o.sibling_slot, o.sibling):
        r = e.pool[o.sibling_slot]
        r.place = GONE
        respond(e, o.sibling_slot, ts, CANCELED, r.qty, r.px, 0)
    for which in range(2):
        leg = leg_of(e.pool, slot, which)
        if leg >= 0:
            e.pool[leg].parent_end = 2
            if e.pool[leg].place == WITHHELD:
                e.pool[leg].place = GONE
                respond(e, leg, ts, CANCELED, e.pool[leg].qty, e.pool[leg].px, 0)
