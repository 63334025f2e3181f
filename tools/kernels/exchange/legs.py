"""Orders of 2 to 4 legs at the venue: all legs trade at once, or none (`.options.fill_order`).

Every leg is an order of the pool, its place COMBINED; `mate` leads round the legs, `parent` is the first one's id.

- A unit trades where every leg's other side is quoted and the net of the travelled prices is no worse than the limit
  `net` (a debit; a credit is negative; NaN: none). As many whole units fill as every leg's displayed size allows, less
  what our orders took of it, each size once; with WHOLE and PAPER sizes are not looked at.
- What is left looks again at every quote of one of its legs, the oldest order first, after the plain orders there.
- Where one leg does not trade (a halt, no quote, another part of the day) the order waits; it is not rejected.
- The end of one leg, a withdrawal or an expiry, is the end of all.
"""

import numpy as np

from gpi.formats.words import ACCEPTED, BUY, EXPIRED, FOK, IOC, TAKER
from gpi.tools.kernels.exchange.hours import may_trade
from gpi.tools.kernels.exchange.inside import left
from gpi.tools.kernels.exchange.matching import consume
from gpi.tools.kernels.exchange.options import fill_order
from gpi.tools.kernels.exchange.responses import end, fill, respond
from gpi.tools.kernels.jit import jit
from gpi.tools.kernels.orders import COMBINED, NEVER, OPEN, PAPER, WHOLE, Array, Engine


@jit
def first_of(pool: Array, slot: int) -> int:
    """The slot of an order's first leg, from that of any of its legs at the venue."""
    here = slot
    while pool[here].order_id != pool[slot].parent:
        here = pool[here].mate
    return int(here)


@jit
def arrive(e: Engine, slot: int, ts: int) -> None:
    """An order of several legs reaches the venue, named by its first: it trades, waits, or expires."""
    here = slot
    for _ in range(e.pool[slot].legs):
        o = e.pool[here]
        o.place = COMBINED
        e.instruments[o.instrument_id].combined = 1
        respond(e, here, ts, ACCEPTED, o.qty, o.net, 0)
        here = o.mate
    work(e, slot, ts)
    if e.pool[slot].place == COMBINED and (e.pool[slot].tif == IOC or e.pool[slot].tif == FOK):
        end(e, slot, ts, EXPIRED, 0)


@jit
def work(e: Engine, first: int, ts: int) -> None:
    """Trade as many whole units of an order as can trade now."""
    o = e.pool[first]
    n, here, unlimited = o.legs, first, e.venue.policy == WHOLE or e.venue.policy == PAPER
    for k in range(n):
        leg = e.pool[here]
        it, ladder = e.instruments[leg.instrument_id], e.ladders[leg.instrument_id]
        if it.phase != OPEN or not may_trade(e, here, it.listed):
            return
        e.combo.side[k] = leg.side
        e.combo.ratio[k] = leg.ratio
        e.combo.bid[k] = ladder[0, 0]
        e.combo.ask[k] = ladder[2, 0]
        e.combo.shown[k] = np.inf if unlimited else left(ladder, 2 if leg.side == BUY else 0, it.near)
        e.combo.tick[k] = it.tick_size if it.tick_size > 0.0 else 0.01
        here = leg.mate
    wanted = np.floor(o.leaves / o.ratio + 0.5)
    c = e.combo
    units, net = fill_order(
        c.side[:n],
        c.ratio[:n],
        c.bid[:n],
        c.ask[:n],
        c.shown[:n],
        wanted,
        o.net,
        e.venue.spread_shares,
        c.tick[:n],
        c.px[:n],
    )
    if not units > 0.0 or (o.tif == FOK and units < wanted):
        return
    for k in range(n):
        leg = e.pool[here]
        qty = min(units * leg.ratio, leg.leaves)
        if not unlimited:
            i = leg.instrument_id
            consume(e.ladders[i], 2 if leg.side == BUY else 0, 0, qty, e.instruments[i].near)
        fill(e, here, ts, qty, e.combo.px[k], TAKER)
        here = leg.mate


@jit
def on_quote(e: Engine, i: int, ts: int) -> None:
    """A fresh book of one instrument: the orders with a leg there look again, oldest first."""
    it, done = e.instruments[i], 0
    while True:
        slot, oldest = -1, NEVER
        for head in (it.buys, it.sells):
            here = head
            while here >= 0:
                o = e.pool[here]
                if o.place == COMBINED and done < o.parent < oldest:
                    slot, oldest = here, o.parent
                here = o.next
        if slot < 0:
            break
        done = oldest
        work(e, first_of(e.pool, slot), ts)
    it.combined = 1 if done else 0
