"""How Alpaca documents that its paper engine fills: against the national best bid and offer, whatever its size.

- An order fills when it is marketable, at the best price on the other side; a resting limit when that side
  reaches it. Trades fill nothing, there is no queue, and the displayed size is not looked at.
- One fill in ten is partial, of a random size; what is left is looked at again at the next quote.
- An order that cannot trade yet (no quote, a halt) waits; it is not rejected.

Source: docs.alpaca.markets, "Paper Trading". The draws come from `venue.rng`, so a seed gives the same fills again.
"""

import numpy as np

from gpi.formats.words import ACCEPTED, BUY, EXPIRED, FOK, IOC, MAKER, TAKER
from gpi.tools.kernels.chance import uniform
from gpi.tools.kernels.exchange.matching import crossed, take_resting
from gpi.tools.kernels.exchange.responses import end, fill, respond
from gpi.tools.kernels.jit import borrowing
from gpi.tools.kernels.orders import OPEN, RESTING, Array, Engine

PARTIAL = 0.1  # of all fills


@borrowing
def portion(e: Engine, leaves: float, lot: float) -> float:
    """How much of an order fills this time: all of it, or now and then a random number of whole lots."""
    if uniform(e.venue) > PARTIAL:
        return leaves
    drawn = leaves * uniform(e.venue)
    if lot > 0.0:
        drawn = max(lot, np.floor(drawn / lot) * lot)
    return float(min(leaves, drawn))


@borrowing
def meet_best(e: Engine, ladder: Array, slot: int, ts: int, near: float, lot: float, liquidity: int) -> None:
    """Fill an order at the best price of the other side if it reaches it."""
    o = e.pool[slot]
    best = ladder[2 if o.side == BUY else 0, 0]
    if best != best or o.side * (best - o.px) > near:
        return
    got = o.leaves if o.tif == FOK else portion(e, o.leaves, lot)
    fill(e, slot, ts, got, best, liquidity)


@borrowing
def arrive(e: Engine, ladder: Array, slot: int, ts: int) -> None:
    """A new order reaches the paper venue."""
    o = e.pool[slot]
    respond(e, slot, ts, ACCEPTED, o.qty, o.px, 0)
    meet(e, ladder, slot, ts)


@borrowing
def meet(e: Engine, ladder: Array, slot: int, ts: int) -> None:
    """An accepted order trades at once, waits, or, if it may not wait, expires."""
    o = e.pool[slot]
    it = e.instruments[o.instrument_id]
    o.place = RESTING
    if it.phase == OPEN and not crossed(ladder, it.near):
        best = ladder[2 if o.side == BUY else 0, 0]
        if e.venue.crossing:
            take_resting(e, slot, ts, best if best == best else o.side * np.inf, it.near)
        if o.leaves > 0.0:
            meet_best(e, ladder, slot, ts, it.near, it.lot_size, TAKER)
        if o.leaves > 0.0 and e.venue.crossing and not o.side * (best - o.px) <= it.near:
            take_resting(e, slot, ts, o.side * np.inf, it.near)
    if o.leaves > 0.0 and (o.tif == IOC or o.tif == FOK):
        end(e, slot, ts, EXPIRED, 0)


@borrowing
def on_quote(e: Engine, ladder: Array, i: int, ts: int) -> None:
    """A quote tick whose book already stands in the ladder: whatever is marketable fills, oldest best price first."""
    it = e.instruments[i]
    if it.phase != OPEN or crossed(ladder, it.near):
        return
    for head in (it.buys, it.sells):
        slot = head
        while slot >= 0:
            o, this = e.pool[slot], slot
            slot = o.next
            if o.place == RESTING:
                meet_best(e, ladder, this, ts, it.near, it.lot_size, MAKER if o.px == o.px else TAKER)
