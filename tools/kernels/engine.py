"""One tick through venue, account, gate: the engine behind backtest and paper trading.

Per tick, in this order:
1. requests due by now reach the venue and meet the book as it stood (`venue`);
2. the tick changes the book and fills resting orders (`venue`);
3. responses due by now reach the trader: fills, acknowledgements, ends (`deliver`);
4. the trader sees the tick, the account is marked (`before`), the strategy decides (the loop around);
5. every intent passes the gate, what passes goes in flight (`after`).

The trader stands `feed_ns` behind the venue; a response takes at least as long as the feed (both travel the same
wire), so what the trader knows at a tick never depends on a later one.
"""

import numpy as np

from gpi.tools.kernels.account import fee, mark, new_day, settle, snapshot, trading_state, watch_loss
from gpi.tools.kernels.jit import jit
from gpi.tools.kernels.limits import judge
from gpi.tools.kernels.matching import arrive, clear, crossed, expire_day, on_quote, on_trade, show_best, withdraw
from gpi.tools.kernels.orders import (
    ACCEPTED,
    BUY,
    CANCEL,
    CANCELED,
    CLOSED,
    FILLED,
    FOREIGN,
    GAP,
    HALTED,
    IN_FLIGHT,
    INSTRUMENTS,
    MARKET,
    MAX_INTENTS,
    NEW,
    OPEN,
    PAUSED,
    POOL,
    QUOTE,
    REFUSE,
    REQUESTS,
    RESPONSES,
    ROOM,
    SECOND,
    STATUS,
    STOPPED,
    SUBMIT,
    TRADE,
    UNKNOWN_ORDER,
    WAITING,
    WIRE,
    WITHDRAW,
    Array,
)


@jit
def short_of(desk: Array, ladders: Array, wire: Array, orders_out: Array, fills_out: Array, equity_out: Array, i: int) -> int:
    """What must grow before a row of instrument `i` can be done whole (0: nothing). Counted for the worst case."""
    d = desk[0]
    if i < 0:
        return FOREIGN
    if i >= ladders.shape[0]:
        return INSTRUMENTS
    if d.free_slots < MAX_INTENTS:
        return POOL
    answers = (d.requests + d.open_orders + 1) * (2 * ladders.shape[2] + 3)
    asked = d.requests + d.open_orders + MAX_INTENTS
    if max(d.responses + answers, asked) >= wire.shape[1]:
        return WIRE
    told = d.responses + answers + d.open_orders + MAX_INTENTS
    if d.n_orders + told > orders_out.shape[0] or d.n_fills + told > fills_out.shape[0]:
        return ROOM
    if d.n_equity + 2 > equity_out.shape[0]:
        return ROOM
    return 0


@jit
def tell(desk: Array, instruments: Array, orders_out: Array, ts: int, i: int) -> int:
    """Begin a row of orders/1 with the account's view; returns its index."""
    d, n = desk[0], desk[0].n_orders
    out = orders_out[n]
    out.ts_event = ts
    out.instrument_id = i
    out.cash = d.cash
    out.equity = d.equity
    out.mid = np.nan
    out.position = 0.0
    if 0 <= i < instruments.shape[0]:
        out.mid = instruments[i].mid
        out.position = instruments[i].position
    d.n_orders = n + 1
    return int(n)


@jit
def tell_order(desk: Array, instruments: Array, pool: Array, orders_out: Array, ts: int, slot: int, action: int, reason: int) -> int:
    """A row of orders/1 about a live order; returns its index."""
    o = pool[slot]
    n = tell(desk, instruments, orders_out, ts, o.instrument_id)
    out = orders_out[n]
    out.order_id = o.order_id
    out.action = action
    out.side = o.side
    out.order_type = o.order_type
    out.tif = o.tif
    out.reason = reason
    out.qty = o.qty
    out.px = o.px
    out.leaves = o.seen
    return n


@jit
def link(instruments: Array, pool: Array, slot: int) -> None:
    """Put an order into its instrument's list: best price first, then oldest."""
    o = pool[slot]
    it = instruments[o.instrument_id]
    before = -1
    here = it.buys if o.side == BUY else it.sells
    while here >= 0 and pool[here].rank >= o.rank:
        before = here
        here = pool[here].next
    o.prev = before
    o.next = here
    if here >= 0:
        pool[here].prev = slot
    if before >= 0:
        pool[before].next = slot
    elif o.side == BUY:
        it.buys = slot
    else:
        it.sells = slot


@jit
def release(desk: Array, instruments: Array, pool: Array, slot: int) -> None:
    """An order has ended and the trader knows: unlink it and free its slot."""
    d, o = desk[0], pool[slot]
    it = instruments[o.instrument_id]
    if o.next >= 0:
        pool[o.next].prev = o.prev
    if o.prev >= 0:
        pool[o.prev].next = o.next
    elif o.side == BUY:
        it.buys = o.next
    else:
        it.sells = o.next
    working(desk, instruments, pool, slot, -o.seen, -1)
    o.seen = 0.0
    o.order_id = 0
    o.next = d.free
    d.free = slot
    d.free_slots += 1
    d.open_orders -= 1


@jit
def working(desk: Array, instruments: Array, pool: Array, slot: int, qty: float, orders: int) -> None:
    """Change what works for an instrument by `qty` and `orders`; exactly zero when nothing works."""
    d, o = desk[0], pool[slot]
    it = instruments[o.instrument_id]
    if o.side == BUY:
        it.n_buys += orders
        d.open_buys += orders
        it.buying = it.buying + qty if it.n_buys > 0 else 0.0
        d.buy_cost = d.buy_cost + qty * o.unit_cost if d.open_buys > 0 else 0.0
    else:
        it.n_sells += orders
        it.selling = it.selling + qty if it.n_sells > 0 else 0.0


@jit
def request(desk: Array, pool: Array, wire: Array, slot: int, kind: int) -> None:
    """Send a new order or a cancel towards the venue."""
    d = desk[0]
    m = wire[REQUESTS, (d.request_at + d.requests) % wire.shape[1]]
    d.requests += 1
    m.due = d.now + d.order_ns
    m.kind = kind
    m.slot = slot
    m.order_id = pool[slot].order_id


@jit
def arrivals(desk: Array, instruments: Array, ladders: Array, pool: Array, wire: Array, until: int) -> None:
    """Requests due by `until` reach the venue, each at its own time."""
    d = desk[0]
    while d.requests > 0 and wire[REQUESTS, d.request_at].due <= until:
        m = wire[REQUESTS, d.request_at]
        d.request_at = (d.request_at + 1) % wire.shape[1]
        d.requests -= 1
        if pool[m.slot].order_id != m.order_id:
            continue
        if m.kind == NEW:
            arrive(desk, instruments, pool, wire, ladders[pool[m.slot].instrument_id], m.slot, m.due)
        else:
            withdraw(desk, pool, wire, m.slot, m.due, CANCELED)


@jit
def deliver(desk: Array, instruments: Array, pool: Array, wire: Array, orders_out: Array, fills_out: Array, until: int) -> int:
    """Responses due by `until` reach the trader; returns how many fills were among them."""
    d, filled = desk[0], 0
    while d.responses > 0 and wire[RESPONSES, d.response_at].due <= until:
        m = wire[RESPONSES, d.response_at]
        d.response_at = (d.response_at + 1) % wire.shape[1]
        d.responses -= 1
        o = pool[m.slot]
        i = o.instrument_id
        if m.kind == FILLED:
            filled += 1
            working(desk, instruments, pool, m.slot, m.leaves - o.seen, 0)
            o.seen = m.leaves
            paid = fee(desk, o.side, m.liquidity, m.qty, m.qty * m.px * instruments[i].multiplier)
            settle(desk, instruments, i, o.side, m.qty, m.px, paid)
            row = fills_out[d.n_fills]
            d.n_fills += 1
            row.ts_event = m.ts
            row.instrument_id = i
            row.order_id = o.order_id
            row.side = o.side
            row.liquidity = m.liquidity
            row.qty = m.qty
            row.px = m.px
            row.fee = paid
            row.position = instruments[i].position
            row.cash = d.cash
        reason = m.reason if m.kind != FILLED else 0
        out = orders_out[tell_order(desk, instruments, pool, orders_out, m.due, m.slot, m.kind, reason)]
        if m.kind == FILLED:
            out.qty = m.qty
            out.px = m.px
        if m.kind == ACCEPTED:
            o.accepted = 1
        elif m.kind != FILLED or m.leaves == 0.0:
            release(desk, instruments, pool, m.slot)
    return filled


@jit
def status(desk: Array, instruments: Array, ladders: Array, pool: Array, wire: Array, i: int, ts: int, flags: int) -> None:
    """A STATUS tick: stop matching, or wait for a fresh quote after a stop."""
    it = instruments[i]
    if flags & (HALTED | PAUSED | CLOSED):
        it.phase = STOPPED
        clear(ladders[i])
        if flags & CLOSED:
            expire_day(desk, pool, wire, it.buys, ts)
            expire_day(desk, pool, wire, it.sells, ts)
    elif it.phase == STOPPED:
        it.phase = WAITING


@jit
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


@jit
def show_depth(ladder: Array, bids_px: Array, bids_sz: Array, asks_px: Array, asks_sz: Array) -> None:
    """Replace the whole book by the levels of a DEPTH row; a level without a price or size ends its side."""
    clear(ladder)
    for k in range(ladder.shape[1]):
        if not (bids_px[k] == bids_px[k] and bids_sz[k] > 0.0):
            break
        ladder[0, k] = bids_px[k]
        ladder[1, k] = bids_sz[k]
    for k in range(ladder.shape[1]):
        if not (asks_px[k] == asks_px[k] and asks_sz[k] > 0.0):
            break
        ladder[2, k] = asks_px[k]
        ladder[3, k] = asks_sz[k]


@jit
def kill(desk: Array, instruments: Array, pool: Array, wire: Array, orders_out: Array) -> None:
    """The kill switch: cancel everything that is not being cancelled already; the gate refuses from here on."""
    desk[0].killed = 1
    for i in range(instruments.shape[0]):
        for head in (instruments[i].buys, instruments[i].sells):
            slot = head
            while slot >= 0:
                if not pool[slot].canceling:
                    pool[slot].canceling = 1
                    tell_order(desk, instruments, pool, orders_out, desk[0].now, slot, CANCEL, 0)
                    request(desk, pool, wire, slot, WITHDRAW)
                slot = pool[slot].next


@jit
def before(
    desk: Array, instruments: Array, ladders: Array, pool: Array, wire: Array, view: Array, mine: Array,
    orders_out: Array, fills_out: Array, equity_out: Array,
    ts: int, i: int, kind: int, side: int, flags: int,
    bid_px: float, bid_sz: float, ask_px: float, ask_sz: float, trade_px: float, trade_sz: float,
    bids_px: Array, bids_sz: Array, asks_px: Array, asks_sz: Array, row: int,
) -> int:  # fmt: skip
    """Everything up to the strategy's decision on one tick; returns how many of `mine` (WORKING) are filled."""
    d, it, ladder = desk[0], instruments[i], ladders[i]
    if ts < d.now - d.feed_ns:
        d.late += 1
        ts = d.now - d.feed_ns
    if d.requests > 0:
        arrivals(desk, instruments, ladders, pool, wire, ts)
    if flags & GAP:
        clear(ladder)
        if it.phase == OPEN:
            it.phase = WAITING
    if kind & STATUS:
        status(desk, instruments, ladders, pool, wire, i, ts, flags)
    if kind & TRADE and (it.buys >= 0 or it.sells >= 0):
        on_trade(desk, instruments, pool, wire, i, ts, side, flags, trade_px, trade_sz)
    quoted = kind & (QUOTE | DEPTH)
    if quoted:
        if kind & DEPTH and bids_px.shape[1] == ladder.shape[1] and row < bids_px.shape[0]:
            show_depth(ladder, bids_px[row], bids_sz[row], asks_px[row], asks_sz[row])
        else:
            show_best(ladder, 0, 1, bid_px, bid_sz, it.near)
            show_best(ladder, 2, -1, ask_px, ask_sz, it.near)
    filled = 0
    if d.responses > 0:
        filled = deliver(desk, instruments, pool, wire, orders_out, fills_out, ts + d.feed_ns)
    d.now = ts + d.feed_ns
    if quoted:
        observe(instruments, ladder, i, ts)
        if it.buys >= 0 or it.sells >= 0:
            on_quote(desk, instruments, pool, wire, ladder, i, ts)
        mark(desk, instruments, i)
    new_day(desk)
    watch_loss(desk)
    d.filled += filled
    if d.filled or d.now // SECOND != d.second:
        snapshot(desk, instruments, equity_out)
    if d.row >= d.kill_row and not d.killed:
        kill(desk, instruments, pool, wire, orders_out)
    d.row += 1
    look(desk, instruments, view, i)
    v = view[0]
    v.kind = kind
    v.side = side
    v.flags = flags
    v.trade_px = trade_px
    v.trade_sz = trade_sz
    v.fills = filled
    v.n_orders = own(instruments, pool, mine, i)
    return int(v.n_orders)


@jit
def look(desk: Array, instruments: Array, view: Array, i: int) -> None:
    """Write what the trader knows of instrument `i` and of its account into the view."""
    d, it, v = desk[0], instruments[i], view[0]
    v.ts = d.now
    v.instrument_id = i
    v.phase = it.phase
    v.state = trading_state(desk)
    v.killed = d.killed
    v.bid_px = it.bid_px
    v.bid_sz = it.bid_sz
    v.ask_px = it.ask_px
    v.ask_sz = it.ask_sz
    v.mid = it.mid
    v.imbalance = it.imbalance
    v.position = it.position
    v.avg_px = it.avg_px
    v.realized = it.realized
    v.buying = it.buying
    v.selling = it.selling
    v.cash = d.cash
    v.equity = d.equity
    v.total_realized = d.realized
    v.exposure = d.exposure
    v.maker_bps = d.maker_bps
    v.taker_bps = d.taker_bps
    v.tick_size = it.tick_size
    v.lot_size = it.lot_size
    v.multiplier = it.multiplier


@jit
def own(instruments: Array, pool: Array, mine: Array, i: int) -> int:
    """Copy the open orders of instrument `i` into `mine`: buys, then sells, best price first; returns how many."""
    n = 0
    for side in range(2):
        slot = instruments[i].buys if side == 0 else instruments[i].sells
        while slot >= 0 and n < mine.shape[0]:
            o, w = pool[slot], mine[n]
            w.order_id = o.order_id
            w.side = o.side
            w.order_type = o.order_type
            w.tif = o.tif
            w.accepted = o.accepted
            w.canceling = o.canceling
            w.px = o.px
            w.qty = o.qty
            w.leaves = o.seen
            n += 1
            slot = o.next
    return n


@jit
def after(desk: Array, instruments: Array, pool: Array, wire: Array, sent: Array, intents: Array, n: int, i: int, orders_out: Array) -> None:
    """Judge `n` intents decided on a tick of instrument `i` and send what passes."""
    for k in range(min(n, MAX_INTENTS, intents.shape[0])):
        wish = intents[k]
        target = i if wish.instrument_id < 0 else wish.instrument_id
        if wish.what == NEW:
            reason = judge(desk, instruments, sent, wish, target)
            if reason:
                refuse(desk, instruments, wish, target, reason, orders_out)
            else:
                submit(desk, instruments, pool, wire, sent, wish, target, orders_out)
        else:
            recall(desk, instruments, pool, wire, wish, target, orders_out)


@jit
def refuse(desk: Array, instruments: Array, wish: Array, i: int, reason: int, orders_out: Array) -> None:
    """Write down an intent that was stopped at the gate."""
    out = orders_out[tell(desk, instruments, orders_out, desk[0].now, i)]
    new = wish.what == NEW
    out.order_id = 0 if new else wish.order_id
    out.action = REFUSE
    out.side = wish.side if new and -1 <= wish.side <= 1 else 0
    out.order_type = wish.order_type if new and 0 <= wish.order_type <= 2 else 0
    out.tif = wish.tif if new and 0 <= wish.tif <= 3 else 0
    out.reason = reason
    out.qty = wish.qty if new else 0.0
    out.px = wish.px if new else np.nan
    out.leaves = 0.0


@jit
def submit(desk: Array, instruments: Array, pool: Array, wire: Array, sent: Array, wish: Array, i: int, orders_out: Array) -> None:
    """Give a passed intent an id and a slot and send it."""
    d = desk[0]
    slot = d.free
    o = pool[slot]
    d.free = o.next
    d.free_slots -= 1
    d.open_orders += 1
    o.order_id = d.next_id
    d.next_id += 1
    o.instrument_id = i
    o.side = wish.side
    o.order_type = wish.order_type
    o.tif = wish.tif
    o.place = IN_FLIGHT
    o.canceling = 0
    o.accepted = 0
    o.px = np.nan if wish.order_type == MARKET else wish.px
    o.rank = np.inf if wish.order_type == MARKET else wish.side * wish.px
    o.unit_cost = (instruments[i].ask_px if wish.order_type == MARKET else wish.px) * instruments[i].multiplier
    o.qty = wish.qty
    o.leaves = wish.qty
    o.seen = wish.qty
    o.queue = 0.0
    link(instruments, pool, slot)
    working(desk, instruments, pool, slot, o.qty, 1)
    sent[d.sent_at] = d.now
    d.sent_at = (d.sent_at + 1) % sent.shape[0]
    tell_order(desk, instruments, pool, orders_out, d.now, slot, SUBMIT, 0)
    request(desk, pool, wire, slot, NEW)


@jit
def recall(desk: Array, instruments: Array, pool: Array, wire: Array, wish: Array, i: int, orders_out: Array) -> None:
    """Send a cancel. One that is under way already is not sent twice; an unknown order is refused."""
    slot = -1
    if 0 <= i < instruments.shape[0] and wish.order_id > 0:
        for side in range(2):
            here = instruments[i].buys if side == 0 else instruments[i].sells
            while here >= 0 and slot < 0:
                if pool[here].order_id == wish.order_id:
                    slot = here
                here = pool[here].next
    if slot < 0:
        refuse(desk, instruments, wish, i, UNKNOWN_ORDER, orders_out)
    elif not pool[slot].canceling:
        pool[slot].canceling = 1
        tell_order(desk, instruments, pool, orders_out, desk[0].now, slot, CANCEL, 0)
        request(desk, pool, wire, slot, WITHDRAW)


@jit
def finish(desk: Array, instruments: Array, ladders: Array, pool: Array, wire: Array, orders_out: Array, fills_out: Array, equity_out: Array) -> None:
    """The stream has ended: what is in flight arrives, every open order is cancelled, a last equity row."""
    d = desk[0]
    for last in range(2):
        if last:
            kill(desk, instruments, pool, wire, orders_out)
        arrivals(desk, instruments, ladders, pool, wire, d.now + d.order_ns)
        until = d.now + d.order_ns + d.response_ns
        deliver(desk, instruments, pool, wire, orders_out, fills_out, until)
        d.now = until
    snapshot(desk, instruments, equity_out)
