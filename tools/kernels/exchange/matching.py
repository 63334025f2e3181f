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
- A sweep that ran out of visible levels stays SWEEPING: the next quotes fill it at their prices, as a taker. So
  does a market order that is not immediate-or-cancel.

Three policies differ in one thing each. LIKELY: of what leaves the queue without a trade, a part stood before us,
after the idea of hftbacktest's ProbQueueModel; the more of it behind us, the smaller the part (`advance`). WHOLE:
an order that is reached fills whole, whatever the size (hftbacktest's NoPartialFillExchange). FIFO: the queue is known
order by order (`queues`).
"""

import numpy as np

from gpi.formats.words import (
    ACCEPTED,
    BUY,
    DAY,
    EXPIRED,
    FOK,
    HIDDEN,
    IOC,
    MAKER,
    MARKET_STATE,
    OFF_EXCHANGE,
    REJECTED,
    SELL,
    TAKER,
)
from gpi.tools.kernels.exchange.responses import SMALL, end, ended_family, fill, respond
from gpi.tools.kernels.jit import borrowing, inlined
from gpi.tools.kernels.orders import GATHERED, GONE, IN_FLIGHT, LIKELY, OPEN, RESTING, SWEEPING, WHOLE, Array, Engine
from gpi.tools.kernels.shared import Record


@borrowing
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


@inlined
def crossed(ladder: Array, near: float) -> bool:
    """Is the bid above the offer?"""
    return bool(ladder[0, 0] > ladder[2, 0] + near)


@borrowing
def clear(ladder: Array) -> None:
    """Forget the displayed book."""
    for k in range(ladder.shape[1]):
        ladder[0, k] = np.nan
        ladder[1, k] = 0.0
        ladder[2, k] = np.nan
        ladder[3, k] = 0.0
    ladder[5, :] = 0.0
    ladder[7, :] = 0.0


@borrowing
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


@borrowing
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


@inlined
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


@borrowing
def take_displayed(e: Engine, ladder: Array, slot: int, ts: int, near: float, liquidity: int) -> bool:
    """Fill an order from the other side, level by level; True if it ate all it could see and may find more behind.

    A taker pays the prices it finds, a maker gets its own.
    """
    o = e.pool[slot]
    row = 2 if o.side == BUY else 0
    for k in range(ladder.shape[1]):
        level = ladder[row, k]
        if level != level or o.side * (level - o.px) > near:  # px is NaN for a market order: no limit
            return False
        got = o.leaves if e.venue.policy == WHOLE else consume(ladder, row, k, o.leaves, near)
        if got > 0.0:
            fill(e, slot, ts, got, level if liquidity == TAKER else o.px, liquidity)
            if o.leaves == 0.0:
                return False
    return True


@borrowing
def take_resting(e: Engine, slot: int, ts: int, bound: float, near: float) -> None:
    """Fill an order from the resting orders of other accounts, best and oldest first, at prices better than `bound`."""
    o = e.pool[slot]
    it = e.instruments[o.instrument_id]
    here = it.sells if o.side == BUY else it.buys
    while here >= 0 and o.leaves > 0.0:
        r, this = e.pool[here], here
        here = r.next
        if (r.place != RESTING and r.place != SWEEPING) or r.px != r.px or r.account == o.account:
            continue
        if o.side * (r.px - o.px) > near or o.side * (r.px - bound) >= -near:
            return
        got = min(o.leaves, r.leaves)
        fill(e, this, ts, got, r.px, MAKER)
        fill(e, slot, ts, got, r.px, TAKER)


@borrowing
def take_from_all(e: Engine, ladder: Array, slot: int, ts: int, near: float) -> bool:
    """Fill an order from the display and from other accounts' orders, best price first; at one price the display
    comes first, as if all of it had been there before us. True as in `take_displayed`."""
    o = e.pool[slot]
    row, deeper = (2 if o.side == BUY else 0), not crossed(ladder, near)
    for k in range(ladder.shape[1] if deeper else 0):
        level = ladder[row, k]
        if level != level or o.side * (level - o.px) > near:
            deeper = False
            break
        take_resting(e, slot, ts, level, near)
        got = min(o.leaves, consume(ladder, row, k, o.leaves, near)) if o.leaves > 0.0 else 0.0
        if got > 0.0:
            fill(e, slot, ts, got, level, TAKER)
        if o.leaves == 0.0:
            return False
    if not deeper:
        take_resting(e, slot, ts, o.side * np.inf, near)
    return deeper and o.leaves > 0.0


@borrowing
def available(ladder: Array, side: int, px: float, wanted: float, near: float) -> bool:
    """Could an order fill whole at once from what is displayed and not yet taken?"""
    row, found, levels = (2 if side == BUY else 0), 0.0, ladder.shape[1]
    for k in range(levels):
        level = ladder[row, k]
        if level != level or side * (level - px) > near:
            return False
        found += ladder[row + 1, k]
        for at in range(levels):
            if abs(ladder[row + 4, at] - level) <= near:
                found -= ladder[row + 5, at]
        if found >= wanted * (1.0 - SMALL):
            return True
    return False


@borrowing
def arrive(e: Engine, ladder: Array, slot: int, ts: int) -> None:
    """A new order reaches the venue: reject, take, rest or expire. Plain ones stay in this function: it is hot."""
    o = e.pool[slot]
    it = e.instruments[o.instrument_id]
    if it.phase != OPEN:
        end(e, slot, ts, REJECTED, MARKET_STATE)
        return
    respond(e, slot, ts, ACCEPTED, o.qty, o.px, 0)
    if o.special or e.venue.unusual:
        meet(e, ladder, slot, ts)
        return
    deeper = False if crossed(ladder, it.near) else take_displayed(e, ladder, slot, ts, it.near, TAKER)
    if o.leaves > 0.0:
        stay(e, it, ladder, slot, ts, deeper)


@inlined
def stay(e: Engine, it: Record, ladder: Array, slot: int, ts: int, deeper: bool) -> None:
    """What is left of an order that has met the display: it expires, sweeps on, or rests behind what is shown."""
    o = e.pool[slot]
    o.joined = it.joins
    if o.tif == IOC:
        end(e, slot, ts, EXPIRED, 0)
    elif deeper or o.px != o.px:
        o.place = SWEEPING
        o.queue = 0.0
    else:
        o.place = RESTING
        o.queue = displayed(ladder, o.side, o.px, it.near)
        o.shown = o.queue
        o.traded = 0.0


@borrowing
def meet(e: Engine, ladder: Array, slot: int, ts: int) -> None:
    """An accepted order meets the book: take, rest or expire. Where nothing can trade now, the next quotes fill it."""
    o = e.pool[slot]
    it = e.instruments[o.instrument_id]
    if it.phase != OPEN:
        o.place = SWEEPING
        o.joined = it.joins
        return
    no_book = crossed(ladder, it.near)
    if o.tif == FOK and (no_book or not available(ladder, o.side, o.px, o.leaves, it.near)):
        end(e, slot, ts, EXPIRED, 0)
        return
    if e.venue.crossing:
        deeper = take_from_all(e, ladder, slot, ts, it.near)
    else:
        deeper = False if no_book else take_displayed(e, ladder, slot, ts, it.near, TAKER)
    if o.leaves > 0.0:
        stay(e, it, ladder, slot, ts, deeper)


@borrowing
def withdraw(e: Engine, slot: int, ts: int, kind: int) -> None:
    """A cancel reaches the venue; a fill that came first has won the race and nothing happens."""
    o = e.pool[slot]
    if o.place == GONE or o.place == IN_FLIGHT:
        return
    o.place = GONE
    respond(e, slot, ts, kind, o.qty, o.px, 0)
    if o.family:
        ended_family(e, slot, ts, kind)


@borrowing
def expire_day(e: Engine, head: int, ts: int) -> None:
    """End of the session: DAY orders of one list are gone."""
    slot = head
    while slot >= 0:
        if e.pool[slot].tif == DAY and e.pool[slot].place != GATHERED:
            withdraw(e, slot, ts, EXPIRED)
        slot = e.pool[slot].next


@borrowing
def trade_fills(
    e: Engine,
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
        o, this = e.pool[slot], slot
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
            o.traded += left
        got = min(o.leaves, reach)
        if got > SMALL * max(o.qty, left):  # less is what floats leave of a queue that a trade ate exactly
            if e.venue.policy == WHOLE:
                got = o.leaves
            else:
                left -= got
            if o.px == o.px:
                fill(e, this, ts, got, o.px, MAKER)
            else:
                fill(e, this, ts, got, px, TAKER)
    return left


@borrowing
def on_trade(
    e: Engine,
    i: int,
    ts: int,
    side: int,
    flags: int,
    px: float,
    size: float,
) -> None:
    """A trade tick: it meets the side its aggressor hit, or both where the aggressor is unknown."""
    it = e.instruments[i]
    if it.phase != OPEN or flags & OFF_EXCHANGE or not (size > 0.0 and px > 0.0):
        return
    hidden, left = bool(flags & HIDDEN), size
    if side != BUY:
        left = trade_fills(e, it.buys, ts, px, left, it.near, hidden)
    if side != SELL and left > 0.0:
        trade_fills(e, it.sells, ts, px, left, it.near, hidden)


@borrowing
def weight(size: float, power: float) -> float:
    """How much a part of a queue counts where it is guessed who left: a power of it, or its logarithm."""
    return float(np.log(1.0 + size) if power == 0.0 else size**power)


@borrowing
def advance(queue: float, before: float, traded: float, now: float, power: float) -> float:
    """What is ahead of us after a level went from `before` to `now`, of which `traded` was seen to trade.

    The rest left from before or behind us with odds as the weights of the two parts, and never more than stood there.
    Cite: hftbacktest, ProbQueueModel (power and logarithm functions). A level not seen before tells nothing.
    """
    if before == np.inf or now == np.inf or not before - now - traded > 0.0:
        return queue
    left = before - now - traded
    behind = max(0.0, before - traded - queue)
    ahead, after = weight(queue, power), weight(behind, power)
    share = ahead / (ahead + after) if ahead + after > 0.0 else 0.0
    return max(0.0, queue - max(left * share, left - behind))


@borrowing
def quote_fills(e: Engine, ladder: Array, head: int, ts: int, near: float) -> None:
    """One list of orders meets a refreshed book: crossing liquidity fills, queues can only shorten."""
    slot = head
    while slot >= 0:
        o, this = e.pool[slot], slot
        slot = o.next
        if o.place == SWEEPING:
            deeper = take_displayed(e, ladder, this, ts, near, TAKER)
            if not deeper and o.leaves > 0.0 and o.px == o.px:
                # It has rested at the front of its price since it ate the book; nobody can have come before it.
                o.place = RESTING
        elif o.place == RESTING:
            if o.side * (ladder[2 if o.side == BUY else 0, 0] - o.px) <= near:
                take_displayed(e, ladder, this, ts, near, MAKER)
            if o.leaves > 0.0:
                shown = displayed(ladder, o.side, o.px, near)
                if e.venue.policy == LIKELY:
                    o.queue = advance(o.queue, o.shown, o.traded, shown, e.venue.likely_power)
                    o.shown = shown
                    o.traded = 0.0
                o.queue = min(o.queue, shown)


@inlined
def on_quote(e: Engine, ladder: Array, i: int, ts: int) -> None:
    """A quote tick whose book already stands in the ladder."""
    it = e.instruments[i]
    if it.phase != OPEN or crossed(ladder, it.near):
        return
    if it.buys >= 0:
        quote_fills(e, ladder, it.buys, ts, it.near)
    if it.sells >= 0:
        quote_fills(e, ladder, it.sells, ts, it.near)
