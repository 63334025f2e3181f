"""Options fill inside the quote: at the share of the spread `instrument.spread_share` (see `.options`).

- An order that can trade takes the displayed size of the side it crosses, once, at the travelled price: never outside
  the quote, never beyond its limit. Without a quote nothing fills. What is left looks again at the next quotes.
- A resting order fills when the travelled price of a new quote reaches its limit, at its limit, or at the far side
  where the quote has gone through it. Trades fill nothing: a print tells little of a quote this wide.
"""

import numpy as np

from gpi.formats.words import ACCEPTED, BUY, EXPIRED, FOK, IOC, MAKER, MARKET_STATE, REJECTED, TAKER
from gpi.tools.kernels.exchange.matching import consume, take_resting
from gpi.tools.kernels.exchange.options import leg_price
from gpi.tools.kernels.exchange.responses import SMALL, end, fill, respond
from gpi.tools.kernels.jit import jit
from gpi.tools.kernels.orders import OPEN, RESTING, SWEEPING, WHOLE, Array, Engine
from gpi.tools.kernels.shared import Record


@jit
def travelled(it: Record, ladder: Array, side: int) -> float:
    """What an order of one leg would trade at now; NaN where nothing is quoted."""
    tick = it.tick_size if it.tick_size > 0.0 else 0.01
    return leg_price(side, ladder[0, 0], ladder[2, 0], it.spread_share, tick)


@jit
def reached(it: Record, px: float, side: int, limit: float) -> bool:
    """Does a price satisfy an order's limit (NaN: none)?"""
    return bool(px == px and not side * (px - limit) > it.near)


@jit
def left(ladder: Array, row: int, near: float) -> float:
    """What of the best displayed size is not taken yet."""
    found = ladder[row + 1, 0]
    for at in range(ladder.shape[1]):
        if abs(ladder[row + 4, at] - ladder[row, 0]) <= near:
            found -= ladder[row + 5, at]
    return float(found)


@jit
def take(e: Engine, it: Record, ladder: Array, slot: int, ts: int, px: float, liquidity: int) -> None:
    """Fill an order whose price is reached, as far as the displayed size goes."""
    o = e.pool[slot]
    row = 2 if o.side == BUY else 0
    got = o.leaves if e.venue.policy == WHOLE else consume(ladder, row, 0, o.leaves, it.near)
    if not got > 0.0:
        return
    if liquidity == MAKER:
        far = ladder[row, 0]
        px = o.px if o.side * (far - o.px) >= 0.0 else far
    fill(e, slot, ts, got, px, liquidity)


@jit
def arrive(e: Engine, ladder: Array, slot: int, ts: int) -> None:
    """A new order for an option reaches the venue."""
    o = e.pool[slot]
    if e.instruments[o.instrument_id].phase != OPEN:
        end(e, slot, ts, REJECTED, MARKET_STATE)
        return
    respond(e, slot, ts, ACCEPTED, o.qty, o.px, 0)
    meet(e, ladder, slot, ts)


@jit
def meet(e: Engine, ladder: Array, slot: int, ts: int) -> None:
    """An accepted order trades at once, waits, or, if it may not wait, expires."""
    o = e.pool[slot]
    it = e.instruments[o.instrument_id]
    o.place = SWEEPING
    o.queue = 0.0
    if it.phase != OPEN:
        return
    px = travelled(it, ladder, o.side)
    now = reached(it, px, o.side, o.px)
    if o.tif == FOK and e.venue.policy != WHOLE:
        now = now and left(ladder, 2 if o.side == BUY else 0, it.near) >= o.leaves * (1.0 - SMALL)
    if e.venue.crossing and o.tif != FOK:
        take_resting(e, slot, ts, px if now else o.side * np.inf, it.near)
    if now and o.leaves > 0.0:
        take(e, it, ladder, slot, ts, px, TAKER)
    if o.leaves > 0.0:
        if o.tif == IOC or o.tif == FOK:
            end(e, slot, ts, EXPIRED, 0)
        elif not now and o.px == o.px:
            o.place = RESTING


@jit
def on_quote(e: Engine, ladder: Array, i: int, ts: int) -> None:
    """A quote tick whose book already stands in the ladder: what it reaches fills, best price first, then oldest."""
    it = e.instruments[i]
    if it.phase != OPEN:
        return
    for head in (it.buys, it.sells):
        slot = head
        while slot >= 0:
            o, this = e.pool[slot], slot
            slot = o.next
            if o.place != SWEEPING and o.place != RESTING:
                continue
            px = travelled(it, ladder, o.side)
            if reached(it, px, o.side, o.px):
                take(e, it, ladder, this, ts, px, MAKER if o.place == RESTING else TAKER)
            elif o.px == o.px:
                o.place = RESTING
