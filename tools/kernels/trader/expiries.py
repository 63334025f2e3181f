"""Option series end: first their orders, then the positions, worthless, as cash, or as shares at the strike.

A settlement is booked as a fill without order and fee: the option leaves at what a unit of it is paid (0 where it is
worthless or becomes shares), shares come or go at the strike. So cash is still the start less what all fills cost.
The underlying's price is its mid, else its last trade, as in `gpi.tools.venue`. Where nobody tells it, or not since
hours before the option's own last quote, that quote is paid in cash, and the row's reason says NO_UNDERLYING.
"""

import numpy as np

from gpi.formats.words import BUY, EXPIRED, NO_UNDERLYING, SECOND, SELL, SETTLED
from gpi.tools.kernels.exchange.matching import clear
from gpi.tools.kernels.exchange.options import assigned_of, expire, intrinsic
from gpi.tools.kernels.exchange.responses import end
from gpi.tools.kernels.jit import jit
from gpi.tools.kernels.orders import GONE, IN_FLIGHT, STOPPED, Array, Engine
from gpi.tools.kernels.shared import Record
from gpi.tools.kernels.trader.account import settle
from gpi.tools.kernels.trader.sending import tell

STALE = 6 * 3600 * SECOND
OPEN_INTEREST = 1_000_000  # nobody told it: of many, a share is exercised


@jit
def stop(e: Engine, i: int, ts: int) -> None:
    """A series trades no longer: its orders at the venue expire, what arrives later is rejected."""
    it = e.instruments[i]
    it.phase = STOPPED
    clear(e.ladders[i])
    for head in (it.buys, it.sells):
        slot = head
        while slot >= 0:
            this = slot
            slot = e.pool[slot].next
            if e.pool[this].place != IN_FLIGHT and e.pool[this].place != GONE:
                end(e, this, ts, EXPIRED, 0)


@jit
def spot_of(instruments: Array, i: int, since: int) -> float:
    """What the underlying costs: its mid, else its last trade; NaN where nobody has told since."""
    if i < 0 or i >= instruments.shape[0]:
        return np.nan
    it = instruments[i]
    if max(it.quote_ts, it.last_ts) < since:
        return np.nan
    if it.bid_px > 0.0 and it.ask_px > 0.0:
        return float(0.5 * (it.bid_px + it.ask_px))
    return float(it.last_px) if it.last_px > 0.0 else np.nan


@jit
def quoted(it: Record) -> float:
    """What an option's own last quote says it is worth: the mid; nothing where nobody bids."""
    if not it.bid_px > 0.0:
        return 0.0
    return float(0.5 * (it.bid_px + it.ask_px)) if it.ask_px > 0.0 else float(it.bid_px)


@jit
def change(e: Engine, i: int, book: int, ts: int, by: float, px: float, reason: int) -> None:
    """A book's position changes at `px`, without an order: the account, a row of fills, a row of orders."""
    side, qty = (BUY if by > 0.0 else SELL), abs(by)
    settle(e, i, book, side, qty, px, 0.0)
    row = e.fills[e.cursor.n_fills]
    e.cursor.n_fills += 1
    row.ts_event = ts
    row.instrument_id = i
    row.order_id = 0
    row.side = side
    row.liquidity = 0
    row.qty = qty
    row.px = px
    row.fee = 0.0
    row.position = e.instruments[i].position
    row.cash = e.account.cash
    row.parent = 0
    out = e.orders[tell(e, ts, i)]
    out.order_id = 0
    out.action = SETTLED
    out.side = side
    out.order_type = 0
    out.tif = 0
    out.reason = reason
    out.qty = qty
    out.px = px
    out.leaves = 0.0
    e.account.filled += 1


@jit
def settled(e: Engine, i: int, ts: int, exercised: float, seed: int) -> None:
    """What a held series has become; of the contracts in the money a share `exercised` is: shorts are drawn."""
    for book in range(e.positions.shape[0]):
        if e.positions[book, i].position != 0.0:
            end_of(e, i, book, ts, exercised, seed)


@jit
def end_of(e: Engine, i: int, book: int, ts: int, exercised: float, seed: int) -> None:
    """What has become of the contracts of one book."""
    it, held = e.instruments[i], e.positions[book, i].position
    spot = spot_of(e.instruments, it.under, it.quote_ts - STALE)
    if spot != spot:
        change(e, i, book, ts, -held, quoted(it), NO_UNDERLYING)
        return
    if not it.physical:
        change(e, i, book, ts, -held, intrinsic(it.right, it.strike, spot), 0)
        return
    ours = 0
    if held < 0.0:
        ours = assigned_of(int(-held), OPEN_INTEREST, int(exercised * OPEN_INTEREST + 0.5), seed, i)
    shares = expire(it, held, float(ours), spot)[1]
    change(e, i, book, ts, -held, 0.0, 0)
    if shares != 0.0:
        change(e, it.under, book, ts, shares, it.strike, 0)
