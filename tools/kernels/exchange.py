"""The venue's half of a tick: what reaches it, what the book does to the orders there. No trader, no account.

The trading engine (`gpi.tools.kernels.engine`) puts a trader behind it; the local exchange
(`gpi.tools.venue.exchange`) a wire. Both fill orders by these very functions. What is not used costs a look at a
flag: an instrument without stops, auctions and bands, a session without special orders.
"""

from gpi.tools.kernels import auctions, bands, inside, legs, paper, queues, triggers
from gpi.tools.kernels.hours import may_trade
from gpi.tools.kernels.jit import borrowing, inlined
from gpi.tools.kernels.listing import link, unlink
from gpi.tools.kernels.matching import arrive, clear, keep_taken, meet, on_quote, on_trade, show_best, withdraw
from gpi.tools.kernels.orders import (
    ACCEPTED,
    AMEND,
    ASLEEP,
    BELL,
    CANCELED,
    CLS,
    DEPTH,
    DORMANT,
    FOREIGN,
    FULL,
    GAP,
    GATHERED,
    GONE,
    HELD,
    IN_FLIGHT,
    INSTRUMENTS,
    LATE,
    MARKET_STATE,
    MLEG,
    OFF_EXCHANGE,
    OPEN,
    OPG,
    PAPER,
    PAUSES,
    QUOTE,
    READY,
    REGULAR,
    REJECTED,
    REPLACED,
    REQUESTS,
    RESTING,
    STATUS,
    STOP,
    SWEEPING,
    TRADE,
    WAITING,
    WIRE,
    WITHDRAW,
    WITHHELD,
    Array,
)
from gpi.tools.kernels.quotes import observe, show_depth, status
from gpi.tools.kernels.responses import SMALL, end, leg_of, respond, standing


@inlined
def worst(orders: int, levels: int) -> int:
    """The most responses that `orders` orders can cause within one tick: fills of every level, and what they wake."""
    return (orders + 1) * (4 * levels + 10)


@borrowing
def enter(desk: Array, instruments: Array, ladders: Array, pool: Array, wire: Array, slot: int, ts: int) -> None:
    """A new order reaches the venue."""
    d, o = desk[0], pool[slot]
    it = instruments[o.instrument_id]
    if o.special:
        enter_special(desk, instruments, ladders, pool, wire, slot, ts)
    elif d.hours and not may_trade(desk, pool, slot, it.bourse):
        o.place = ASLEEP
        respond(desk, pool, wire, slot, ts, ACCEPTED, o.qty, o.px, 0)
    elif d.policy == PAPER:
        paper.arrive(desk, instruments, pool, wire, ladders[o.instrument_id], slot, ts)
    elif it.travel > 0.0:
        inside.arrive(desk, instruments, pool, wire, ladders[o.instrument_id], slot, ts)
    else:
        arrive(desk, instruments, pool, wire, ladders[o.instrument_id], slot, ts)
    if d.waking:
        wake(desk, instruments, ladders, pool, wire, o.instrument_id, ts)


@borrowing
def enter_special(
    desk: Array, instruments: Array, ladders: Array, pool: Array, wire: Array, slot: int, ts: int
) -> None:
    """An order that is more than a plain limit or market order reaches the venue."""
    o = pool[slot]
    if o.order_type == MLEG:
        legs.arrive(desk, instruments, ladders, pool, wire, slot, ts)
        return
    if o.parent:
        if o.parent_end == 0 and standing(pool, o.parent_slot, o.parent):
            o.place = WITHHELD
            respond(desk, pool, wire, slot, ts, HELD, o.qty, o.px, 0)
            return
        if o.parent_end != 1:
            end(desk, pool, wire, slot, ts, CANCELED, 0)
            return
    if o.rival and o.rival_slot >= 0 and pool[o.rival_slot].order_id == o.rival and pool[o.rival_slot].place == GONE:
        end(desk, pool, wire, slot, ts, CANCELED, 0)
        return
    begin(desk, instruments, ladders, pool, wire, slot, ts, True)


@borrowing
def begin(
    desk: Array, instruments: Array, ladders: Array, pool: Array, wire: Array, slot: int, ts: int, new: bool
) -> None:
    """An order begins to work at the venue, having arrived (`new`) or been woken: a stop, an auction's, or at once."""
    d, o = desk[0], pool[slot]
    it, ladder = instruments[o.instrument_id], ladders[o.instrument_id]
    if o.tif == OPG or o.tif == CLS:
        late = d.part == LATE or (o.tif == OPG and d.part == REGULAR and it.last_ts >= d.opened)
        if late or not it.bourse:
            end(desk, pool, wire, slot, ts, REJECTED, MARKET_STATE)
            return
        o.place = GATHERED
        it.auctions = 1
        respond(desk, pool, wire, slot, ts, ACCEPTED, o.qty, o.px, 0)
    elif o.order_type >= STOP:
        respond(desk, pool, wire, slot, ts, ACCEPTED, o.qty, o.px, 0)
        triggers.set_stop(desk, instruments, pool, wire, slot, ts)
    elif d.hours and not may_trade(desk, pool, slot, it.bourse):
        o.place = ASLEEP
        respond(desk, pool, wire, slot, ts, ACCEPTED, o.qty, o.px, 0)
    elif d.policy == PAPER:
        paper.arrive(desk, instruments, pool, wire, ladder, slot, ts)
    elif new and it.travel > 0.0:
        inside.arrive(desk, instruments, pool, wire, ladder, slot, ts)
    elif new:
        arrive(desk, instruments, pool, wire, ladder, slot, ts)
    else:
        respond(desk, pool, wire, slot, ts, ACCEPTED, o.qty, o.px, 0)
        meet_book(desk, instruments, pool, wire, ladder, slot, ts)


@borrowing
def wake(desk: Array, instruments: Array, ladders: Array, pool: Array, wire: Array, i: int, ts: int) -> None:
    """Orders of one instrument that became live go to the book, oldest first: triggered stops, legs of what filled."""
    desk[0].waking = 0
    while True:
        slot, oldest = -1, 0
        for head in (instruments[i].buys, instruments[i].sells):
            here = head
            while here >= 0:
                o = pool[here]
                if o.place == READY and (slot < 0 or o.order_id < oldest):
                    slot, oldest = here, o.order_id
                here = o.next
        if slot < 0:
            desk[0].waking = 0
            return
        unlink(instruments, pool, slot)  # behind those that stood at its price before it woke
        link(instruments, pool, slot)
        launch(desk, instruments, ladders, pool, wire, slot, ts)


@borrowing
def launch(desk: Array, instruments: Array, ladders: Array, pool: Array, wire: Array, slot: int, ts: int) -> None:
    """One woken order: a leg begins its life, a triggered stop meets the book."""
    o = pool[slot]
    if o.parent and o.parent_end == 1 and not o.begun:
        o.begun = 1
        o.place = SWEEPING  # until `begin` says otherwise
        begin(desk, instruments, ladders, pool, wire, slot, ts, False)
    elif desk[0].policy == PAPER:
        o.place = RESTING
        paper.meet(desk, instruments, pool, wire, ladders[o.instrument_id], slot, ts)
    else:
        o.place = SWEEPING
        meet_book(desk, instruments, pool, wire, ladders[o.instrument_id], slot, ts)


@borrowing
def meet_book(desk: Array, instruments: Array, pool: Array, wire: Array, ladder: Array, slot: int, ts: int) -> None:
    """An accepted order meets the book, an option's inside the quote."""
    if instruments[pool[slot].instrument_id].travel > 0.0:
        inside.meet(desk, instruments, pool, wire, ladder, slot, ts)
    else:
        meet(desk, instruments, pool, wire, ladder, slot, ts)


@borrowing
def amend(
    desk: Array, instruments: Array, ladders: Array, pool: Array, wire: Array, slot: int, ts: int,
    qty: float, px: float, stop_px: float, trail: float, new_id: int,
) -> None:  # fmt: skip
    """A replacement reaches the venue (NaN: as it was); a fill that came first has won, an end too.

    The place in the queue is kept when nothing but the size shrinks. A size that has filled already cancels the rest.
    With `new_id` the rest goes on as an order of its own (0: the same order).
    """
    o = pool[slot]
    if o.place == GONE or o.place == IN_FLIGHT or o.order_type == MLEG:
        return
    left = o.leaves if qty != qty else qty - (o.qty - o.leaves)
    if not left > SMALL * o.qty:
        end(desk, pool, wire, slot, ts, CANCELED, 0)
        return
    moved = (px == px and px != o.px) or stop_px == stop_px or trail == trail
    grown = left > o.leaves
    o.qty += left - o.leaves
    o.leaves = left
    if moved:
        unlink(instruments, pool, slot)
        if px == px and o.px == o.px:
            o.px = px
            o.rank = o.side * px
        o.stop_px = o.stop_px if stop_px != stop_px else stop_px
        o.trail = o.trail if trail != trail else trail
        link(instruments, pool, slot)
    elif grown:
        unlink(instruments, pool, slot)
        link(instruments, pool, slot)
    respond(desk, pool, wire, slot, ts, REPLACED, o.qty, o.px if o.px == o.px else o.stop_px, 0)
    if new_id:
        rename(pool, slot, new_id)
        respond(desk, pool, wire, slot, ts, ACCEPTED, o.qty, o.px, 0)
    if not (moved or grown):
        return
    if o.place == DORMANT:
        triggers.set_stop(desk, instruments, pool, wire, slot, ts)
    elif o.place == RESTING or o.place == SWEEPING:
        if desk[0].policy == PAPER:
            paper.meet(desk, instruments, pool, wire, ladders[o.instrument_id], slot, ts)
        else:
            meet_book(desk, instruments, pool, wire, ladders[o.instrument_id], slot, ts)
    if desk[0].waking:
        wake(desk, instruments, ladders, pool, wire, o.instrument_id, ts)


@borrowing
def rename(pool: Array, slot: int, new_id: int) -> None:
    """The rest of an order becomes an order of its own; its family follows."""
    o = pool[slot]
    if o.family:
        if standing(pool, o.rival_slot, o.rival):
            pool[o.rival_slot].rival = new_id
        for which in range(2):
            leg = leg_of(pool, slot, which)
            if leg >= 0:
                pool[leg].parent = new_id
    o.order_id = new_id
    o.qty = o.leaves


@borrowing
def arrivals(desk: Array, instruments: Array, ladders: Array, pool: Array, wire: Array, until: int) -> None:
    """Requests due by `until` reach the venue, each at its own time."""
    d = desk[0]
    while d.requests > 0 and wire[REQUESTS, d.request_at].due <= until:
        m = wire[REQUESTS, d.request_at]
        d.request_at = d.request_at + 1 if d.request_at + 1 < wire.shape[1] else 0
        d.requests -= 1
        if pool[m.slot].order_id != m.order_id:
            continue
        if m.kind == WITHDRAW:
            withdraw(desk, pool, wire, m.slot, m.due, CANCELED)
        elif m.kind == AMEND or pool[m.slot].special or d.unusual:
            receive(desk, instruments, ladders, pool, wire, d.request_at, m.due)
        else:  # the hot path: every call in between costs an order 10 ns
            arrive(desk, instruments, pool, wire, ladders[pool[m.slot].instrument_id], m.slot, m.due)


@borrowing
def receive(desk: Array, instruments: Array, ladders: Array, pool: Array, wire: Array, after: int, ts: int) -> None:
    """The request before place `after` of the ring, when it is more than a plain order or a cancel."""
    m = wire[REQUESTS, (after if after > 0 else wire.shape[1]) - 1]
    if m.kind == AMEND:
        amend(desk, instruments, ladders, pool, wire, m.slot, ts, m.qty, m.px, m.stop_px, m.trail, 0)
    else:
        enter(desk, instruments, ladders, pool, wire, m.slot, ts)


@inlined
def tick(
    desk: Array, instruments: Array, ladders: Array, pool: Array, wire: Array,
    ts: int, i: int, kind: int, side: int, flags: int,
    bid_px: float, bid_sz: float, ask_px: float, ask_sz: float, trade_px: float, trade_sz: float,
    bids_px: Array, bids_sz: Array, asks_px: Array, asks_sz: Array, row: int, behind: Array, events: Array,
) -> None:  # fmt: skip
    """One tick changes the book of its instrument and fills the orders that wait there.

    `events`: what the rows say about single orders (`gpi.tools.kernels.queues.EVENT`), none unless the policy is FIFO.
    """
    d, it, ladder = desk[0], instruments[i], ladders[i]
    if flags & GAP:
        clear(ladder)
        if it.phase == OPEN:
            it.phase = WAITING
    if kind & STATUS:
        status(desk, instruments, ladders, pool, wire, i, ts, flags)
    resting = not d.external and (it.buys >= 0 or it.sells >= 0)
    named = row < events.shape[0] and events[row].act > 0
    if named and resting and it.travel == 0.0:
        fills = not flags & OFF_EXCHANGE and not (d.banded and bands.outside(it, events[row].px))
        queues.on_event(desk, instruments, pool, wire, behind, i, ts, events[row], fills)
    if kind & TRADE:
        if (
            resting
            and not named
            and d.policy != PAPER
            and it.travel == 0.0
            and not (d.banded and bands.outside(it, trade_px))
        ):
            on_trade(desk, instruments, pool, wire, i, ts, side, flags, trade_px, trade_sz)
        if not flags & OFF_EXCHANGE and trade_px > 0.0:
            if it.auctions:
                auctions.on_trade(desk, instruments, pool, wire, i, ts, trade_px, trade_sz)
            if it.stops and it.phase == OPEN:
                triggers.on_trade(desk, instruments, pool, wire, i, ts, trade_px)
            if d.banded:
                bands.on_trade(desk, instruments, i, ts, trade_px)
            it.last_ts = ts
            it.last_px = trade_px
            it.last_sz = trade_sz
    if kind & (QUOTE | DEPTH):
        if kind & DEPTH and bids_px.shape[1] == ladder.shape[1] and row < bids_px.shape[0]:
            show_depth(ladder, bids_px[row], bids_sz[row], asks_px[row], asks_sz[row])
        else:
            show_best(ladder, 0, 1, bid_px, bid_sz, it.near)
            show_best(ladder, 2, -1, ask_px, ask_sz, it.near)
        if d.banded:
            bands.on_quote(desk, instruments, ladder, i, ts)
        if ladder[5, 0] > 0.0 or ladder[7, 0] > 0.0:
            keep_taken(ladder, it.near)
        observe(instruments, ladder, i, ts)
        if resting:
            if d.policy == PAPER:
                paper.on_quote(desk, instruments, pool, wire, ladder, i, ts)
            elif it.travel > 0.0:
                inside.on_quote(desk, instruments, pool, wire, ladder, i, ts)
            else:
                on_quote(desk, instruments, pool, wire, ladder, i, ts)
            if it.combined:
                legs.on_quote(desk, instruments, ladders, pool, wire, i, ts)
    if d.waking:
        wake(desk, instruments, ladders, pool, wire, i, ts)


@borrowing
def fold(
    desk: Array, instruments: Array, ladders: Array, pool: Array, wire: Array,
    ts: Array, instrument_id: Array, kind: Array, side: Array, flags: Array,
    bid_px: Array, bid_sz: Array, ask_px: Array, ask_sz: Array, trade_px: Array, trade_sz: Array,
    bids_px: Array, bids_sz: Array, asks_px: Array, asks_sz: Array, start: int, behind: Array, events: Array,
) -> int:  # fmt: skip
    """Rows start.. of a batch, without a trader; returns the first row not done, and why in `desk.stop`.

    PAUSES: the last row done began or ended pauses.
    """
    d = desk[0]
    for row in range(start, ts.shape[0]):
        i = instrument_id[row]
        d.stop = FOREIGN if i < 0 else INSTRUMENTS if i >= ladders.shape[0] else 0
        if d.responses + worst(d.open_orders, ladders.shape[2]) >= wire.shape[1]:
            d.stop = WIRE
        if 2 * d.kept >= behind.shape[0]:
            d.stop = FULL
        if d.stop:
            return row
        if ts[row] >= d.bell:
            d.stop = BELL
            return row
        d.now = max(ts[row], d.now)
        tick(
            desk, instruments, ladders, pool, wire, d.now, i, kind[row], side[row], flags[row],
            bid_px[row], bid_sz[row], ask_px[row], ask_sz[row], trade_px[row], trade_sz[row],
            bids_px, bids_sz, asks_px, asks_sz, row, behind, events,
        )  # fmt: skip
        if d.pauses:
            d.pauses = 0
            d.stop = PAUSES
            return row + 1
    return int(ts.shape[0])
