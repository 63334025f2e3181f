"""The venue's half of a tick: what reaches it, what the book does to the orders there. No trader, no account.

The trading engine (`gpi.tools.kernels.trader.engine`) puts a trader behind it; the local exchange
(`gpi.tools.venue.exchange`) a wire. Both fill orders by these very functions. What is not used costs a look at a
flag: an instrument without stops, auctions and bands, a session without special orders.
"""

from gpi.formats.words import (
    ACCEPTED,
    CANCELED,
    CLS,
    DEPTH,
    GAP,
    HELD,
    MARKET_STATE,
    MLEG,
    OFF_EXCHANGE,
    OPG,
    QUOTE,
    REJECTED,
    REPLACED,
    STATUS,
    STOP,
    TRADE,
)
from gpi.tools.kernels.exchange import auctions, bands, inside, legs, paper, queues, triggers
from gpi.tools.kernels.exchange.hours import may_trade
from gpi.tools.kernels.exchange.listing import link, unlink
from gpi.tools.kernels.exchange.matching import arrive, clear, keep_taken, meet, on_quote, on_trade, show_best, withdraw
from gpi.tools.kernels.exchange.quotes import observe, show_depth, status
from gpi.tools.kernels.exchange.responses import SMALL, end, leg_of, respond, standing
from gpi.tools.kernels.jit import borrowing, inlined
from gpi.tools.kernels.orders import (
    AMEND,
    ASLEEP,
    BELL,
    DORMANT,
    FOREIGN,
    FULL,
    GATHERED,
    GONE,
    IN_FLIGHT,
    INSTRUMENTS,
    LATE,
    OPEN,
    PAPER,
    PAUSES,
    READY,
    REGULAR,
    REQUESTS,
    RESTING,
    SWEEPING,
    TRANSIT,
    WAITING,
    WITHDRAW,
    WITHHELD,
    Array,
    Engine,
    engine_at,
)
from gpi.tools.kernels.ticks import Ticks, ticks_at


@inlined
def worst(orders: int, levels: int) -> int:
    """The most responses that `orders` orders can cause within one tick: fills of every level, and what they wake."""
    return (orders + 1) * (4 * levels + 10)


@borrowing
def enter(e: Engine, slot: int, ts: int) -> None:
    """A new order reaches the venue."""
    o = e.pool[slot]
    it = e.instruments[o.instrument_id]
    if o.special:
        enter_special(e, slot, ts)
    elif e.venue.hours and not may_trade(e, slot, it.listed):
        o.place = ASLEEP
        respond(e, slot, ts, ACCEPTED, o.qty, o.px, 0)
    elif e.venue.policy == PAPER:
        paper.arrive(e, e.ladders[o.instrument_id], slot, ts)
    elif it.spread_share > 0.0:
        inside.arrive(e, e.ladders[o.instrument_id], slot, ts)
    else:
        arrive(e, e.ladders[o.instrument_id], slot, ts)
    if e.venue.waking:
        wake(e, o.instrument_id, ts)


@borrowing
def enter_special(e: Engine, slot: int, ts: int) -> None:
    """An order that is more than a plain limit or market order reaches the venue."""
    o = e.pool[slot]
    if o.order_type == MLEG:
        legs.arrive(e, slot, ts)
        return
    if o.parent:
        if o.parent_end == 0 and standing(e.pool, o.parent_slot, o.parent):
            o.place = WITHHELD
            respond(e, slot, ts, HELD, o.qty, o.px, 0)
            return
        if o.parent_end != 1:
            end(e, slot, ts, CANCELED, 0)
            return
    if (
        o.sibling
        and o.sibling_slot >= 0
        and e.pool[o.sibling_slot].order_id == o.sibling
        and e.pool[o.sibling_slot].place == GONE
    ):
        end(e, slot, ts, CANCELED, 0)
        return
    begin(e, slot, ts, True)


@borrowing
def begin(e: Engine, slot: int, ts: int, new: bool) -> None:
    """An order begins to work at the venue, having arrived (`new`) or been woken: a stop, an auction's, or at once."""
    o = e.pool[slot]
    it, ladder = e.instruments[o.instrument_id], e.ladders[o.instrument_id]
    if o.tif == OPG or o.tif == CLS:
        late = e.clock.part == LATE or (o.tif == OPG and e.clock.part == REGULAR and it.last_ts >= e.clock.opened)
        if late or not it.listed:
            end(e, slot, ts, REJECTED, MARKET_STATE)
            return
        o.place = GATHERED
        it.auctions = 1
        respond(e, slot, ts, ACCEPTED, o.qty, o.px, 0)
    elif o.order_type >= STOP:
        respond(e, slot, ts, ACCEPTED, o.qty, o.px, 0)
        triggers.set_stop(e, slot, ts)
    elif e.venue.hours and not may_trade(e, slot, it.listed):
        o.place = ASLEEP
        respond(e, slot, ts, ACCEPTED, o.qty, o.px, 0)
    elif e.venue.policy == PAPER:
        paper.arrive(e, ladder, slot, ts)
    elif new and it.spread_share > 0.0:
        inside.arrive(e, ladder, slot, ts)
    elif new:
        arrive(e, ladder, slot, ts)
    else:
        respond(e, slot, ts, ACCEPTED, o.qty, o.px, 0)
        meet_book(e, ladder, slot, ts)


@borrowing
def wake(e: Engine, i: int, ts: int) -> None:
    """Orders of one instrument that became live go to the book, oldest first: triggered stops, legs of what filled."""
    e.venue.waking = 0
    while True:
        slot, oldest = -1, 0
        for head in (e.instruments[i].buys, e.instruments[i].sells):
            here = head
            while here >= 0:
                o = e.pool[here]
                if o.place == READY and (slot < 0 or o.order_id < oldest):
                    slot, oldest = here, o.order_id
                here = o.next
        if slot < 0:
            e.venue.waking = 0
            return
        unlink(e, slot)  # behind those that stood at its price before it woke
        link(e, slot)
        launch(e, slot, ts)


@borrowing
def launch(e: Engine, slot: int, ts: int) -> None:
    """One woken order: a leg begins its life, a triggered stop meets the book."""
    o = e.pool[slot]
    if o.parent and o.parent_end == 1 and not o.begun:
        o.begun = 1
        o.place = SWEEPING  # until `begin` says otherwise
        begin(e, slot, ts, False)
    elif e.venue.policy == PAPER:
        o.place = RESTING
        paper.meet(e, e.ladders[o.instrument_id], slot, ts)
    else:
        o.place = SWEEPING
        meet_book(e, e.ladders[o.instrument_id], slot, ts)


@borrowing
def meet_book(e: Engine, ladder: Array, slot: int, ts: int) -> None:
    """An accepted order meets the book, an option's inside the quote."""
    if e.instruments[e.pool[slot].instrument_id].spread_share > 0.0:
        inside.meet(e, ladder, slot, ts)
    else:
        meet(e, ladder, slot, ts)


@borrowing
def amend(
    e: Engine, slot: int, ts: int,
    qty: float, px: float, stop_px: float, trail: float, new_id: int,
) -> None:  # fmt: skip
    """A replacement reaches the venue (NaN: as it was); a fill that came first has won, an end too.

    The place in the queue is kept when nothing but the size shrinks. A size that has filled already cancels the rest.
    With `new_id` the rest goes on as an order of its own (0: the same order).
    """
    o = e.pool[slot]
    if o.place == GONE or o.place == IN_FLIGHT or o.order_type == MLEG:
        return
    left = o.leaves if qty != qty else qty - (o.qty - o.leaves)
    if not left > SMALL * o.qty:
        end(e, slot, ts, CANCELED, 0)
        return
    moved = (px == px and px != o.px) or stop_px == stop_px or trail == trail
    grown = left > o.leaves
    o.qty += left - o.leaves
    o.leaves = left
    if moved:
        unlink(e, slot)
        if px == px and o.px == o.px:
            o.px = px
            o.rank = o.side * px
        o.stop_px = o.stop_px if stop_px != stop_px else stop_px
        o.trail = o.trail if trail != trail else trail
        link(e, slot)
    elif grown:
        unlink(e, slot)
        link(e, slot)
    respond(e, slot, ts, REPLACED, o.qty, o.px if o.px == o.px else o.stop_px, 0)
    if new_id:
        rename(e.pool, slot, new_id)
        respond(e, slot, ts, ACCEPTED, o.qty, o.px, 0)
    if not (moved or grown):
        return
    if o.place == DORMANT:
        triggers.set_stop(e, slot, ts)
    elif o.place == RESTING or o.place == SWEEPING:
        if e.venue.policy == PAPER:
            paper.meet(e, e.ladders[o.instrument_id], slot, ts)
        else:
            meet_book(e, e.ladders[o.instrument_id], slot, ts)
    if e.venue.waking:
        wake(e, o.instrument_id, ts)


@borrowing
def rename(pool: Array, slot: int, new_id: int) -> None:
    """The rest of an order becomes an order of its own; its family follows."""
    o = pool[slot]
    if o.family:
        if standing(pool, o.sibling_slot, o.sibling):
            pool[o.sibling_slot].sibling = new_id
        for which in range(2):
            leg = leg_of(pool, slot, which)
            if leg >= 0:
                pool[leg].parent = new_id
    o.order_id = new_id
    o.qty = o.leaves


@borrowing
def arrivals(e: Engine, until: int) -> None:
    """Requests due by `until` reach the venue, each at its own time."""
    while e.rings.requests > 0 and e.transit[REQUESTS, e.rings.request_at].due <= until:
        m = e.transit[REQUESTS, e.rings.request_at]
        e.rings.request_at = e.rings.request_at + 1 if e.rings.request_at + 1 < e.transit.shape[1] else 0
        e.rings.requests -= 1
        if e.pool[m.slot].order_id != m.order_id:
            continue
        if m.kind == WITHDRAW:
            withdraw(e, m.slot, m.due, CANCELED)
        elif m.kind == AMEND or e.pool[m.slot].special or e.venue.unusual:
            receive(e, e.rings.request_at, m.due)
        else:  # the hot path: every call in between costs an order 10 ns
            arrive(e, e.ladders[e.pool[m.slot].instrument_id], m.slot, m.due)


@borrowing
def receive(e: Engine, after: int, ts: int) -> None:
    """The request before place `after` of the ring, when it is more than a plain order or a cancel."""
    m = e.transit[REQUESTS, (after if after > 0 else e.transit.shape[1]) - 1]
    if m.kind == AMEND:
        amend(e, m.slot, ts, m.qty, m.px, m.stop_px, m.trail, 0)
    else:
        enter(e, m.slot, ts)


@inlined
def tick(e: Engine, ticks: Ticks, row: int, i: int, ts: int) -> None:
    """One tick, a row of instrument `i`, changes its book at `ts` and fills the orders that wait there.

    `ticks.events`: what the rows say about single orders, none unless the policy is FIFO.
    """
    kind, flags, trade_px, trade_sz = ticks.kind[row], ticks.flags[row], ticks.trade_px[row], ticks.trade_sz[row]
    it, ladder = e.instruments[i], e.ladders[i]
    if flags & GAP:
        clear(ladder)
        if it.phase == OPEN:
            it.phase = WAITING
    if kind & STATUS:
        status(e, i, ts, flags)
    resting = not e.venue.external and (it.buys >= 0 or it.sells >= 0)
    named = row < ticks.events.shape[0] and ticks.events[row].act > 0
    if named and resting and it.spread_share == 0.0:
        fills = not flags & OFF_EXCHANGE and not (e.venue.banded and bands.outside(it, ticks.events[row].px))
        queues.on_event(e, i, ts, ticks.events[row], fills)
    if kind & TRADE:
        if (
            resting
            and not named
            and e.venue.policy != PAPER
            and it.spread_share == 0.0
            and not (e.venue.banded and bands.outside(it, trade_px))
        ):
            on_trade(e, i, ts, ticks.side[row], flags, trade_px, trade_sz)
        if not flags & OFF_EXCHANGE and trade_px > 0.0:
            if it.auctions:
                auctions.on_trade(e, i, ts, trade_px, trade_sz)
            if it.stops and it.phase == OPEN:
                triggers.on_trade(e, i, ts, trade_px)
            if e.venue.banded:
                bands.on_trade(e, i, ts, trade_px)
            it.last_ts = ts
            it.last_px = trade_px
            it.last_sz = trade_sz
    if kind & (QUOTE | DEPTH):
        if kind & DEPTH and ticks.bids_px.shape[1] == ladder.shape[1] and row < ticks.bids_px.shape[0]:
            show_depth(ladder, ticks.bids_px[row], ticks.bids_sz[row], ticks.asks_px[row], ticks.asks_sz[row])
        else:
            show_best(ladder, 0, 1, ticks.bid_px[row], ticks.bid_sz[row], it.near)
            show_best(ladder, 2, -1, ticks.ask_px[row], ticks.ask_sz[row], it.near)
        if e.venue.banded:
            bands.on_quote(e, ladder, i, ts)
        if ladder[5, 0] > 0.0 or ladder[7, 0] > 0.0:
            keep_taken(ladder, it.near)
        observe(e.instruments, ladder, i, ts)
        if resting:
            if e.venue.policy == PAPER:
                paper.on_quote(e, ladder, i, ts)
            elif it.spread_share > 0.0:
                inside.on_quote(e, ladder, i, ts)
            else:
                on_quote(e, ladder, i, ts)
            if it.combined:
                legs.on_quote(e, i, ts)
    if e.venue.waking:
        wake(e, i, ts)


@borrowing
def fold(engine: int, columns: int, body: Array, start: int) -> int:
    """Rows start.. of a batch, without a trader; returns the first row not done, and why in `cursor.stop`.

    `engine` is the address of an `Engine`, `columns` of the `Ticks` of the batch, whose bytes are `body`.
    PAUSES: the last row done began or ended pauses.
    """
    e, ticks = engine_at(engine), ticks_at(columns, body)
    for row in range(start, ticks.ts_event.shape[0]):
        i, ts = ticks.instrument_id[row], ticks.ts_event[row]
        e.cursor.stop = FOREIGN if i < 0 else INSTRUMENTS if i >= e.ladders.shape[0] else 0
        if e.rings.responses + worst(e.account.open_orders, e.ladders.shape[2]) >= e.transit.shape[1]:
            e.cursor.stop = TRANSIT
        if 2 * e.rings.kept >= e.behind.shape[0]:
            e.cursor.stop = FULL
        if e.cursor.stop:
            return row
        if ts >= e.clock.bell:
            e.cursor.stop = BELL
            return row
        e.clock.now = max(ts, e.clock.now)
        tick(e, ticks, row, i, e.clock.now)
        if e.venue.pauses:
            e.venue.pauses = 0
            e.cursor.stop = PAUSES
            return row + 1
    return int(ticks.ts_event.shape[0])
