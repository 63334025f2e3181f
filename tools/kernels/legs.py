"""Orders of 2 to 4 legs at the venue: all legs trade at once, or none (`gpi.tools.kernels.options.fill_order`).

Every leg is an order of the pool, its place COMBINED; `mate` leads round the legs, `parent` is the first one's id.

- A unit trades where every leg's other side is quoted and the net of the travelled prices is no worse than the limit
  `net` (a debit; a credit is negative; NaN: none). As many whole units fill as every leg's displayed size allows, less
  what our orders took of it, each size once; with WHOLE and PAPER sizes are not looked at.
- What is left looks again at every quote of one of its legs, the oldest order first, after the plain orders there.
- Where one leg does not trade (a halt, no quote, another part of the day) the order waits; it is not rejected.
- The end of one leg, a withdrawal or an expiry, is the end of all.
"""

import numpy as np

from gpi.tools.kernels.hours import may_trade
from gpi.tools.kernels.inside import left
from gpi.tools.kernels.jit import jit
from gpi.tools.kernels.matching import consume
from gpi.tools.kernels.options import fill_order
from gpi.tools.kernels.orders import (
    ACCEPTED,
    BUY,
    COMBINED,
    EXPIRED,
    FOK,
    IOC,
    NEVER,
    OPEN,
    PAPER,
    TAKER,
    WHOLE,
    Array,
)
from gpi.tools.kernels.responses import end, fill, respond


@jit
def first_of(pool: Array, slot: int) -> int:
    """The slot of an order's first leg, from that of any of its legs at the venue."""
    here = slot
    while pool[here].order_id != pool[slot].parent:
        here = pool[here].mate
    return int(here)


@jit
def arrive(desk: Array, instruments: Array, ladders: Array, pool: Array, wire: Array, slot: int, ts: int) -> None:
    """An order of several legs reaches the venue, named by its first: it trades, waits, or expires."""
    here = slot
    for _ in range(pool[slot].legs):
        o = pool[here]
        o.place = COMBINED
        instruments[o.instrument_id].combined = 1
        respond(desk, pool, wire, here, ts, ACCEPTED, o.qty, o.net, 0)
        here = o.mate
    work(desk, instruments, ladders, pool, wire, slot, ts)
    if pool[slot].place == COMBINED and (pool[slot].tif == IOC or pool[slot].tif == FOK):
        end(desk, pool, wire, slot, ts, EXPIRED, 0)


@jit
def work(desk: Array, instruments: Array, ladders: Array, pool: Array, wire: Array, first: int, ts: int) -> None:
    """Trade as many whole units of an order as can trade now."""
    d, o = desk[0], pool[first]
    n, here, unlimited = o.legs, first, d.policy == WHOLE or d.policy == PAPER
    for k in range(n):
        leg = pool[here]
        it, ladder = instruments[leg.instrument_id], ladders[leg.instrument_id]
        if it.phase != OPEN or not may_trade(desk, pool, here, it.bourse):
            return
        d.leg_side[k] = leg.side
        d.leg_ratio[k] = leg.ratio
        d.leg_bid[k] = ladder[0, 0]
        d.leg_ask[k] = ladder[2, 0]
        d.leg_size[k] = np.inf if unlimited else left(ladder, 2 if leg.side == BUY else 0, it.near)
        d.leg_tick[k] = it.tick_size if it.tick_size > 0.0 else 0.01
        here = leg.mate
    wanted = np.floor(o.leaves / o.ratio + 0.5)
    units, net = fill_order(
        d.leg_side[:n], d.leg_ratio[:n], d.leg_bid[:n], d.leg_ask[:n], d.leg_size[:n], wanted, o.net, d.travels,
        d.leg_tick[:n], d.leg_px[:n],
    )  # fmt: skip
    if not units > 0.0 or (o.tif == FOK and units < wanted):
        return
    for k in range(n):
        leg = pool[here]
        qty = min(units * leg.ratio, leg.leaves)
        if not unlimited:
            i = leg.instrument_id
            consume(ladders[i], 2 if leg.side == BUY else 0, 0, qty, instruments[i].near)
        fill(desk, pool, wire, here, ts, qty, d.leg_px[k], TAKER)
        here = leg.mate


@jit
def on_quote(desk: Array, instruments: Array, ladders: Array, pool: Array, wire: Array, i: int, ts: int) -> None:
    """A fresh book of one instrument: the orders with a leg there look again, oldest first."""
    it, done = instruments[i], 0
    while True:
        slot, oldest = -1, NEVER
        for head in (it.buys, it.sells):
            here = head
            while here >= 0:
                o = pool[here]
                if o.place == COMBINED and done < o.parent < oldest:
                    slot, oldest = here, o.parent
                here = o.next
        if slot < 0:
            break
        done = oldest
        work(desk, instruments, ladders, pool, wire, first_of(pool, slot), ts)
    it.combined = 1 if done else 0
