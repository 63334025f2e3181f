"""How Alpaca documents that its paper engine fills: against the national best bid and offer, whatever its size.

- An order fills when it is marketable, at the best price on the other side; a resting limit when that side
  reaches it. Trades fill nothing, there is no queue, and the displayed size is not looked at.
- One fill in ten is partial, of a random size; what is left is looked at again at the next quote.
- An order that cannot trade yet (no quote, a halt) waits; it is not rejected.

Source: docs.alpaca.markets, "Paper Trading". The draws come from `desk.rng`, so a seed gives the same fills again.
"""

from typing import Any

import numpy as np

from gpi.tools.kernels.chance import uniform
from gpi.tools.kernels.jit import borrowing
from gpi.tools.kernels.matching import crossed, take_resting
from gpi.tools.kernels.orders import ACCEPTED, BUY, EXPIRED, FOK, IOC, MAKER, OPEN, RESTING, TAKER, Array
from gpi.tools.kernels.responses import end, fill, respond

PARTIAL = 0.1  # of all fills


@borrowing
def portion(desk: Array, leaves: float, lot: float) -> float:
    """How much of an order fills this time: all of it, or now and then a random number of whole lots."""
    d: Any = desk[0]
    if uniform(d) > PARTIAL:
        return leaves
    drawn = leaves * uniform(d)
    if lot > 0.0:
        drawn = max(lot, np.floor(drawn / lot) * lot)
    return float(min(leaves, drawn))


@borrowing
def meet_best(
    desk: Array, pool: Array, wire: Array, ladder: Array, slot: int, ts: int, near: float, lot: float, liquidity: int
) -> None:
    """Fill an order at the best price of the other side if it reaches it."""
    o = pool[slot]
    best = ladder[2 if o.side == BUY else 0, 0]
    if best != best or o.side * (best - o.px) > near:
        return
    got = o.leaves if o.tif == FOK else portion(desk, o.leaves, lot)
    fill(desk, pool, wire, slot, ts, got, best, liquidity)


@borrowing
def arrive(desk: Array, instruments: Array, pool: Array, wire: Array, ladder: Array, slot: int, ts: int) -> None:
    """A new order reaches the paper venue."""
    o = pool[slot]
    respond(desk, pool, wire, slot, ts, ACCEPTED, o.qty, o.px, 0)
    meet(desk, instruments, pool, wire, ladder, slot, ts)


@borrowing
def meet(desk: Array, instruments: Array, pool: Array, wire: Array, ladder: Array, slot: int, ts: int) -> None:
    """An accepted order trades at once, waits, or, if it may not wait, expires."""
    o = pool[slot]
    it = instruments[o.instrument_id]
    o.place = RESTING
    if it.phase == OPEN and not crossed(ladder, it.near):
        best = ladder[2 if o.side == BUY else 0, 0]
        if desk[0].crossing:
            take_resting(desk, instruments, pool, wire, slot, ts, best if best == best else o.side * np.inf, it.near)
        if o.leaves > 0.0:
            meet_best(desk, pool, wire, ladder, slot, ts, it.near, it.lot_size, TAKER)
        if o.leaves > 0.0 and desk[0].crossing and not o.side * (best - o.px) <= it.near:
            take_resting(desk, instruments, pool, wire, slot, ts, o.side * np.inf, it.near)
    if o.leaves > 0.0 and (o.tif == IOC or o.tif == FOK):
        end(desk, pool, wire, slot, ts, EXPIRED, 0)


@borrowing
def on_quote(desk: Array, instruments: Array, pool: Array, wire: Array, ladder: Array, i: int, ts: int) -> None:
    """A quote tick whose book already stands in the ladder: whatever is marketable fills, oldest best price first."""
    it = instruments[i]
    if it.phase != OPEN or crossed(ladder, it.near):
        return
    for head in (it.buys, it.sells):
        slot = head
        while slot >= 0:
            o, this = pool[slot], slot
            slot = o.next
            if o.place == RESTING:
                meet_best(desk, pool, wire, ladder, this, ts, it.near, it.lot_size, MAKER if o.px == o.px else TAKER)
