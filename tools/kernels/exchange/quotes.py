"""The book a tick leaves behind, for the venue and for the trader's view."""

import numpy as np

from gpi.formats.words import CLOSED, HALTED, PAUSED
from gpi.tools.kernels.exchange import auctions
from gpi.tools.kernels.exchange.matching import clear, crossed, expire_day
from gpi.tools.kernels.jit import borrowing, inlined
from gpi.tools.kernels.orders import OPEN, STOPPED, WAITING, Array, Engine


@borrowing
def status(e: Engine, i: int, ts: int, flags: int) -> None:
    """A STATUS tick: stop matching, or wait for a fresh quote after a stop."""
    it = e.instruments[i]
    if flags & (HALTED | PAUSED | CLOSED):
        it.phase = STOPPED
        clear(e.ladders[i])
        if flags & CLOSED and not e.venue.external:
            if it.auctions:
                auctions.on_close(e, i, ts)
            expire_day(e, it.buys, ts)
            expire_day(e, it.sells, ts)
    elif it.phase == STOPPED:
        it.phase = WAITING


@inlined
def observe(instruments: Array, ladder: Array, i: int, now: int) -> None:
    """The trader reads the refreshed book: best prices, mid, imbalance of the visible depth."""
    it = instruments[i]
    if crossed(ladder, it.near):
        it.bid_px = np.nan
        it.ask_px = np.nan
        it.bid_sz = 0.0
        it.ask_sz = 0.0
        return
    it.bid_px = ladder[0, 0]
    it.bid_sz = ladder[1, 0]
    it.ask_px = ladder[2, 0]
    it.ask_sz = ladder[3, 0]
    it.quote_ts = now
    if it.bid_px == it.bid_px and it.ask_px == it.ask_px:
        it.mid = 0.5 * (it.bid_px + it.ask_px)
        if it.phase == WAITING:
            it.phase = OPEN
    bids, asks = 0.0, 0.0
    for k in range(ladder.shape[1]):
        bids += ladder[1, k]
        asks += ladder[3, k]
    it.imbalance = (bids - asks) / (bids + asks) if bids + asks > 0.0 else 0.0


@borrowing
def show_depth(ladder: Array, bids_px: Array, bids_sz: Array, asks_px: Array, asks_sz: Array) -> None:
    """Replace the whole book by the levels of a DEPTH row; a level without a price or size ends its side."""
    show_side(ladder, 0, bids_px, bids_sz)
    show_side(ladder, 2, asks_px, asks_sz)


@borrowing
def show_side(ladder: Array, row: int, px: Array, size: Array) -> None:
    """Replace one side of the book, best first."""
    levels, n = ladder.shape[1], 0
    while n < levels and px[n] == px[n] and size[n] > 0.0:
        ladder[row, n] = px[n]
        ladder[row + 1, n] = size[n]
        n += 1
    for k in range(n, levels):
        ladder[row, k] = np.nan
        ladder[row + 1, k] = 0.0
