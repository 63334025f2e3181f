"""Auctions: OPG and CLS orders are gathered and filled at the official print.

The opening print is the first trade on an exchange at or after the opening bell, the closing print the first at or
after the closing bell (or, where a CLOSED status ends the day first, the last trade before it). Market orders and
limits better than the print fill at it; limits at the print share what its size leaves, oldest first. That is
conservative where our size is small beside the auction's; the imbalance we would have added is not modelled.
"""

import numpy as np

from gpi.formats.words import CLS, EXPIRED, OPG, TAKER
from gpi.tools.kernels.exchange.responses import end, fill
from gpi.tools.kernels.jit import borrowing
from gpi.tools.kernels.orders import GATHERED, LATE, REGULAR, Engine


@borrowing
def uncross(e: Engine, i: int, ts: int, tif: int, px: float,
            size: float) -> None:  # fmt: skip
    """Fill the gathered orders of one kind at the print; what it does not reach has ended."""
    it = e.instruments[i]
    left = size
    for head in (it.buys, it.sells):
        for at_print in range(2):
            slot = head
            while slot >= 0:
                o, this = e.pool[slot], slot
                slot = o.next
                if o.place != GATHERED or o.tif != tif:
                    continue
                better = np.inf if o.px != o.px else o.side * (o.px - px)
                if not at_print and better > it.near:
                    fill(e, this, ts, o.leaves, px, TAKER)
                elif at_print:
                    got = min(o.leaves, left) if better >= -it.near else 0.0
                    if got > 0.0:
                        left -= got
                        fill(e, this, ts, got, px, TAKER)
                    if o.leaves > 0.0:
                        end(e, this, ts, EXPIRED, 0)


@borrowing
def on_trade(e: Engine, i: int, ts: int, px: float, size: float) -> None:
    """A trade on an exchange: is it the print that an auction waits for?"""
    it = e.instruments[i]
    if e.clock.part == REGULAR and it.last_ts < e.clock.opened:
        it.opening_px = px
        uncross(e, i, ts, OPG, px, size)
    elif e.clock.part == LATE:
        uncross(e, i, ts, CLS, px, size)
        it.auctions = 0


@borrowing
def on_close(e: Engine, i: int, ts: int) -> None:
    """The session is over without a closing print: the last trade is the official price."""
    it = e.instruments[i]
    if it.last_px > 0.0:
        uncross(e, i, ts, CLS, it.last_px, it.last_sz)
    it.auctions = 0
