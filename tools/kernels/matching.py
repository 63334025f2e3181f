"""The venue: what recorded liquidity would have done to our orders, conservatively.

- The book is what the ticks display, less what our orders took from it. What they took of a level stays taken
  while the level stands at its price: a quote that shows the same size again, or less, gives nothing back, and
  one that shows more gives only what was added. A level that left the display has forgotten us.
- A resting order stands behind everything displayed at its price when it arrived (`queue`, infinite while
  its price is deeper than the visible book). Trades at its price eat the queue first; quotes can only
  shorten the queue (the risk-averse queue model of hftbacktest). A trade through its price, or a quote on
  its other side that crosses it, fills it at its own price.
- One tick's liquidity is shared between our orders in price-time order and never given twice.
- OFF_EXCHANGE trades fill nothing. HIDDEN trades never eat the displayed queue, but going through our price
  they fill.
- A book that is crossed cannot be trusted and counts as no book.
- A sweep that ran out of visible levels stays SWEEPING: the next quotes fill it at their prices, as a taker.
"""

import numpy as np

from gpi.tools.kernels.jit import jit
from gpi.tools.kernels.orders import (
    ACCEPTED,
    BUY,
    DAY,
    EXPIRED,
    FILLED,
    GONE,
    HIDDEN,
    IOC,
    LIMIT,
    MAKER,
    MARKET,
    MARKET_STATE,
    OFF_EXCHANGE,
    OPEN,
    REJECTED,
    RESPONSES,
    RESTING,
    SELL,
    SWEEPING,
    TAKER,
    Array,
)

SMALL = 1e-9  # of the order's size: an unfilled rest below this is float noise


@jit
def respond(
    desk: Array, pool: Array, wire: Array, slot: int, ts: int, kind: int, qty: float, px: float, extra: int
) -> None:
    """Send a response towards the trader; `extra` is the liquidity of a fill or the reason of a rejection."""
    d, o = desk[0], pool[slot]
    at = d.response_at + d.responses
    m = wire[RESPONSES, at if at < wire.shape[1] else at - wire.shape[1]]
    d.responses += 1
    m.due = ts + d.response_ns
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


@jit
def fill(desk: Array, pool: Array, wire: Array, slot: int, ts: int, qty: float, px: float, liquidity: int) -> None:
    """Execute `qty` of an order at the venue."""
    o = pool[slot]
    o.leaves -= qty
    if o.leaves <= SMALL * o.qty:
        o.leaves = 0.0
        o.place = GONE
    respond(desk, pool, wire, slot, ts, FILLED, qty, px, liquidity)


@jit
def displayed(ladder: Array, side: int, px: float, near: float) -> float:
    """Size shown at `px` on our side of a (8, levels) ladder: 0 if nobody is there, inf if too deep to see."""
    row = 0 if side == BUY else 2
    for k in range(ladder.shape[1]):
        level = ladder[row, k]
        if level != level:
            return 0.0
        better = side * (px - level)
        if better > near:
            return 0.0
        if better >= -near:
            return float(ladder[row + 1, k])
    return np.inf


@jit
def crossed(ladder: Array, near: float) -> bool:
    """Is the bid above the offer?"""
    return bool(ladder[0, 0] > ladder[2, 0] + near)


@jit
def clear(ladder: Array) -> None:
    """Forget the displayed book."""
    for k in range(ladder.shape[1]):
        ladder[0, k] = np.nan
        ladder[1, k] = 0.0
        ladder[2, k] = np.nan
        ladder[3, k] = 0.0
    ladder[5, :] = 0.0
    ladder[7, :] = 0.0


@jit
def consume(ladder: Array, row: int, k: int, wanted: float, near: float) -> float:
    """Take up to `wanted` of displayed level `k`; returns what of it was still there for us.

    What our orders took stands below the ladder's four rows as pairs (price, size), the ones taken first.
    """
    px, shown, levels, at = ladder[row, k], ladder[row + 1, k], ladder.shape[1], 0
    while at < levels and ladder[row + 5, at] > 0.0 and abs(ladder[row + 4, at] - px) > near:
        at += 1
    if at == levels:
        return 0.0
    left = shown - ladder[row + 5, at]
    if not left > SMALL * shown:
        return 0.0
    got = min(wanted, left)
    ladder[row + 4, at] = px
    ladder[row + 5, at] += got
    return float(got)


@jit
def keep_taken(ladder: Array, near: float) -> None:
    """After a quote: what we took stays taken where the level still stands, up to its size."""
    levels = ladder.shape[1]
    for row in (0, 2):
        kept = 0
        for at in range(levels):
            px, size = ladder[row + 4, at], ladder[row + 5, at]
            if not size > 0.0:
                break
            ladder[row + 5, at] = 0.0
            for k in range(levels):
                if abs(ladder[row, k] - px) <= near:
                    ladder[row + 4, kept] = px
                    ladder[row + 5, kept] = min(size, ladder[row + 1, k])
                    kept += 1
                    break


@jit
def show_best(ladder: Array, row: int, side: int, px: float, size: float, near: float) -> None:
    """Replace one side's best level and keep the visible levels behind it; a size that is not above 0 is nobody."""
    levels = ladder.shape[1]
    if px != px or not size > 0.0:
        for k in range(levels):
            ladder[row, k] = np.nan
            ladder[row + 1, k] = 0.0
        return
    behind = 0  # the first old level that is worse than the new best
    while (
        behind < levels and not side * (px - ladder[row, behind]) > near and ladder[row, behind] == ladder[row, behind]
    ):
        behind += 1
    if behind == 0:
        for k in range(levels - 1, 0, -1):
            ladder[row, k] = ladder[row, k - 1]
            ladder[row + 1, k] = ladder[row + 1, k - 1]
    elif behind > 1:
        for k in range(1, levels):
            old = k + behind - 1
            ladder[row, k] = ladder[row, old] if old < levels else np.nan
            ladder[row + 1, k] = ladder[row + 1, old] if old < levels else 0.0
    ladder[row, 0] = px
    ladder[row + 1, 0] = size


@jit
def take_displayed(
    desk: Array, pool: Array, wire: Array, ladder: Array, slot: int, ts: int, near: float, liquidity: int
) -> bool:
    """Fill an order from the other side, level by level; True if it ate all it could see and may find more behind.

    A taker pays the prices it finds, a maker gets its own.
    """
    o = pool[slot]
    row = 2 if o.side == BUY else 0
    for k in range(ladder.shape[1]):
        level = ladder[row, k]
        if level != level or (o.order_type == LIMIT and o.side * (level - o.px) > near):
            return False
        got = consume(ladder, row, k, o.leaves, near)
        if got > 0.0:
            fill(desk, pool, wire, slot, ts, got, level if liquidity == TAKER else o.px, liquidity)
            if o.leaves == 0.0:
                return False
    return True


@jit
def arrive(desk: Array, instruments: Array, pool: Array, wire: Array, ladder: Array, slot: int, ts: int) -> None:
    """A new order reaches the venue: reject, take, rest or expire."""
    o = pool[slot]
    it = instruments[o.instrument_id]
    if it.phase != OPEN:
        o.place = GONE
        respond(desk, pool, wire, slot, ts, REJECTED, o.qty, o.px, MARKET_STATE)
        return
    respond(desk, pool, wire, slot, ts, ACCEPTED, o.qty, o.px, 0)
    deeper = False if crossed(ladder, it.near) else take_displayed(desk, pool, wire, ladder, slot, ts, it.near, TAKER)
    if o.leaves == 0.0:
        return
    if o.order_type == MARKET or o.tif == IOC:
        o.place = GONE
        respond(desk, pool, wire, slot, ts, EXPIRED, o.qty, o.px, 0)
    elif deeper:
        o.place = SWEEPING
        o.queue = 0.0
    else:
        o.place = RESTING
        o.queue = displayed(ladder, o.side, o.px, it.near)


@jit
def withdraw(desk: Array, pool: Array, wire: Array, slot: int, ts: int, kind: int) -> None:
    """A cancel reaches the venue; a fill that came first has won the race and nothing happens."""
    o = pool[slot]
    if o.place == RESTING or o.place == SWEEPING:
        o.place = GONE
        respond(desk, pool, wire, slot, ts, kind, o.qty, o.px, 0)


@jit
def expire_day(desk: Array, pool: Array, wire: Array, head: int, ts: int) -> None:
    """End of the session: DAY orders of one list are gone."""
    slot = head
    while slot >= 0:
        if pool[slot].tif == DAY:
            withdraw(desk, pool, wire, slot, ts, EXPIRED)
        slot = pool[slot].next


@jit
def trade_fills(
    desk: Array,
    pool: Array,
    wire: Array,
    head: int,
    ts: int,
    px: float,
    size: float,
    near: float,
    hidden: bool,
) -> float:
    """One list of resting orders meets a trade of `size` at `px`; returns the size nobody of us got."""
    left, slot = size, head
    while slot >= 0 and left > 0.0:
        o, this = pool[slot], slot
        slot = o.next
        if o.place != RESTING and o.place != SWEEPING:
            continue
        through = o.side * (o.px - px)
        if through < -near:
            break
        reach = left
        if through <= near:
            if hidden:
                continue
            reach = left - o.queue
            o.queue = max(0.0, o.queue - left)
        got = min(o.leaves, reach)
        if got > 0.0:
            left -= got
            fill(desk, pool, wire, this, ts, got, o.px, MAKER)
    return left


@jit
def on_trade(
    desk: Array,
    instruments: Array,
    pool: Array,
    wire: Array,
    i: int,
    ts: int,
    side: int,
    flags: int,
    px: float,
    size: float,
) -> None:
    """A trade tick: it meets the side its aggressor hit, or both where the aggressor is unknown."""
    it = instruments[i]
    if it.phase != OPEN or flags & OFF_EXCHANGE or not (size > 0.0 and px > 0.0):
        return
    hidden, left = bool(flags & HIDDEN), size
    if side != BUY:
        left = trade_fills(desk, pool, wire, it.buys, ts, px, left, it.near, hidden)
    if side != SELL and left > 0.0:
        trade_fills(desk, pool, wire, it.sells, ts, px, left, it.near, hidden)


@jit
def quote_fills(desk: Array, pool: Array, wire: Array, ladder: Array, head: int, ts: int, near: float) -> None:
    """One list of orders meets a refreshed book: crossing liquidity fills, queues can only shorten."""
    slot = head
    while slot >= 0:
        o, this = pool[slot], slot
        slot = o.next
        if o.place == SWEEPING:
            if not take_displayed(desk, pool, wire, ladder, this, ts, near, TAKER) and o.leaves > 0.0:
                # It has rested at the front of its price since it ate the book; nobody can have come before it.
                o.place = RESTING
        elif o.place == RESTING:
            if o.side * (ladder[2 if o.side == BUY else 0, 0] - o.px) <= near:
                take_displayed(desk, pool, wire, ladder, this, ts, near, MAKER)
            if o.leaves > 0.0:
                o.queue = min(o.queue, displayed(ladder, o.side, o.px, near))


@jit
def on_quote(desk: Array, instruments: Array, pool: Array, wire: Array, ladder: Array, i: int, ts: int) -> None:
    """A quote tick whose book already stands in the ladder."""
    it = instruments[i]
    if it.phase != OPEN or crossed(ladder, it.near):
        return
    if it.buys >= 0:
        quote_fills(desk, pool, wire, ladder, it.buys, ts, it.near)
    if it.sells >= 0:
        quote_fills(desk, pool, wire, ladder, it.sells, ts, it.near)
