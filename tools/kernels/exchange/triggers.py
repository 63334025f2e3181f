"""Stops: orders that sleep until the last trade reaches their price, and those whose price follows the market.

- A trade on an exchange triggers, never a quote, and only while the instrument trades (Alpaca: not outside the
  regular session).
- A sell stop is reached from above, a buy stop from below. One that is already reached when it arrives is triggered
  at once.
- A trailing stop stands `trail` (currency, or a fraction) behind the best trade since it arrived.
- What is triggered goes to the book at the end of the same tick, against the book that the tick left.
"""

from gpi.formats.words import TRAILING, TRIGGERED
from gpi.tools.kernels.exchange.responses import respond
from gpi.tools.kernels.jit import borrowing
from gpi.tools.kernels.orders import DORMANT, READY, REGULAR, Array, Engine


@borrowing
def trail_behind(pool: Array, slot: int, px: float) -> None:
    """Move a trailing stop's price after a trade at `px`: only ever towards the market."""
    o = pool[slot]
    if px != px:
        return
    wanted = px + o.side * (o.trail * px if o.trail_fraction else o.trail)
    if o.stop_px != o.stop_px or o.side * (wanted - o.stop_px) < 0.0:
        o.stop_px = wanted


@borrowing
def reached(pool: Array, slot: int, px: float, near: float) -> bool:
    """Has a trade at `px` reached the stop price?"""
    o = pool[slot]
    return bool(o.side * (px - o.stop_px) >= -near)


@borrowing
def set_stop(e: Engine, slot: int, ts: int) -> None:
    """A stop order goes to sleep at the venue, or is triggered by the last trade."""
    o = e.pool[slot]
    it = e.instruments[o.instrument_id]
    o.place = DORMANT
    it.stops = 1
    if o.order_type == TRAILING:
        trail_behind(e.pool, slot, it.last_px if it.last_px > 0.0 else it.mid)
    elif it.last_px > 0.0 and reached(e.pool, slot, it.last_px, it.near) and awake(e, o.instrument_id):
        trigger(e, slot, ts)


@borrowing
def awake(e: Engine, i: int) -> bool:
    """Do stops trigger now? Not outside the regular session of what keeps hours."""
    return bool(not (e.venue.hours and e.instruments[i].listed) or e.clock.part == REGULAR)


@borrowing
def trigger(e: Engine, slot: int, ts: int) -> None:
    """A stop is reached: from now on it is the order behind it."""
    o = e.pool[slot]
    o.place = READY
    e.venue.waking += 1
    respond(e, slot, ts, TRIGGERED, o.qty, o.stop_px, 0)


@borrowing
def on_trade(e: Engine, i: int, ts: int, px: float) -> None:
    """A trade on an exchange: trailing stops follow it, stops that it reaches are triggered, in the lists' order."""
    it = e.instruments[i]
    if not awake(e, i):
        return
    found = 0
    for head in (it.buys, it.sells):
        slot = head
        while slot >= 0:
            o = e.pool[slot]
            if o.place == DORMANT:
                found = 1
                if o.order_type == TRAILING:
                    trail_behind(e.pool, slot, px)
                if reached(e.pool, slot, px, it.near):
                    trigger(e, slot, ts)
            slot = o.next
    it.stops = found
