"""One tick through venue, account, gate: the engine behind backtest and paper trading.

Per tick, in this order:
1. requests due by now reach the venue and meet the book as it stood (`venue`);
2. the tick changes the book and fills resting orders (`venue`);
3. responses due by now reach the trader: fills, acknowledgements, ends (`deliver`);
4. the trader sees the tick, the account is marked (`before`), the strategy decides (the loop around);
5. every intent passes the gate, what passes goes in flight (`after`).

The trader stands `feed_ns` behind the venue; a response takes at least as long as the feed (both travel the
same wire), so what the trader knows at a tick never depends on a later one.
"""

from typing import Any

from gpi.tools.kernels.account import mark, new_day, snapshot, trading_state, watch_loss
from gpi.tools.kernels.delays import hears
from gpi.tools.kernels.exchange import arrivals, tick, worst
from gpi.tools.kernels.jit import borrowing, inlined
from gpi.tools.kernels.limits import judge, judge_kin, own_in_the_way
from gpi.tools.kernels.margins import judge_legs
from gpi.tools.kernels.orders import (
    AMEND,
    BELL,
    CANCEL,
    DEPTH,
    FOREIGN,
    FULL,
    INSTRUMENTS,
    MAX_INTENTS,
    MAX_LEGS,
    MLEG,
    NEW,
    NOBODY,
    PARENT_CHILD,
    POOL,
    QUOTE,
    REFUSE_NEWEST,
    ROOM,
    SECOND,
    SELF_TRADE,
    WIRE,
    WITHDRAW,
    Array,
)
from gpi.tools.kernels.trader import (
    alter,
    deliver,
    found,
    kill,
    own,
    recall,
    refuse,
    request,
    submit,
    submit_legs,
    tell_order,
    withdraw_all,
)


@inlined
def short_of(
    desk: Array, ladders: Array, wire: Array, behind: Array,
    orders_out: Array, fills_out: Array, equity_out: Array, ts: int, i: int,
) -> int:  # fmt: skip
    """What must happen before a row of instrument `i` can be done whole, at worst (0: nothing): growth, or a bell."""
    d = desk[0]
    if i < 0:
        return FOREIGN
    if i >= ladders.shape[0]:
        return INSTRUMENTS
    if d.free_slots < MAX_INTENTS:
        return POOL
    if 2 * d.kept >= behind.shape[0]:
        return FULL
    answers = worst(d.requests + d.open_orders, ladders.shape[2])
    asked = d.requests + d.open_orders + MAX_INTENTS
    if max(d.responses + answers, asked) >= wire.shape[1]:
        return WIRE
    told = d.responses + answers + d.open_orders + MAX_INTENTS
    if d.n_orders + told > orders_out.shape[0] or d.n_fills + told > fills_out.shape[0]:
        return ROOM
    if d.n_equity + 2 > equity_out.shape[0]:
        return ROOM
    return BELL if ts >= d.bell else 0


@inlined
def before(
    desk: Array, instruments: Array, ladders: Array, pool: Array, wire: Array, behind: Array, view: Array,
    mine: Array, orders_out: Array, fills_out: Array, equity_out: Array,
    ts: int, i: int, kind: int, side: int, flags: int,
    bid_px: float, bid_sz: float, ask_px: float, ask_sz: float, trade_px: float, trade_sz: float,
    bids_px: Array, bids_sz: Array, asks_px: Array, asks_sz: Array, events: Array, row: int,
) -> int:  # fmt: skip
    """Everything up to the decision on one tick; returns how many of our orders stand in `mine` (WORKING)."""
    d = desk[0]
    told = ts + d.feed_ns
    now = max(told, d.now)
    if d.feed_varies:
        told = hears(desk, wire, ts)
        now = max(told, d.now)
        if ts < d.fed:
            d.late += 1
            ts = d.fed
        else:
            d.fed = ts
            told = now
    elif now != told:
        d.late += 1
        ts = now - d.feed_ns
    new_day(desk, now)
    if d.requests > 0 and not d.external:
        arrivals(desk, instruments, ladders, pool, wire, ts)
    filled = 0
    if d.responses > 0:  # what arrives before this tick is booked at the prices before it
        filled = deliver(desk, instruments, pool, wire, orders_out, fills_out, now - 1)
    tick(
        desk, instruments, ladders, pool, wire, ts, i, kind, side, flags,
        bid_px, bid_sz, ask_px, ask_sz, trade_px, trade_sz, bids_px, bids_sz, asks_px, asks_sz, row,
        behind, events,
    )  # fmt: skip
    if kind & (QUOTE | DEPTH):
        mark(desk, instruments, i)
        if told < now:  # an old quote is old, however late it comes: the gate refuses what is decided on it
            instruments[i].quote_ts = told
    d.now = now
    if d.responses > 0:
        filled += deliver(desk, instruments, pool, wire, orders_out, fills_out, now)
    watch_loss(desk)
    d.filled += filled
    filled = d.filled  # with what a bell brought
    if d.filled or d.now // SECOND != d.second:
        snapshot(desk, instruments, equity_out)
    if d.row >= d.kill_row and not d.killed:
        kill(desk, instruments, pool, wire, orders_out)
    d.row += 1
    look(desk, instruments, view, i)
    v = view[0]
    v.kind = kind
    v.side = side
    v.tick_flags = flags
    v.trade_px = trade_px
    v.trade_sz = trade_sz
    v.fills = filled
    v.n_orders = own(instruments, pool, mine, i)
    return int(v.n_orders)


@borrowing
def look(desk: Array, instruments: Array, view: Array, i: int) -> None:
    """Write what the trader knows of instrument `i` and of its account into the view."""
    d, it, v = desk[0], instruments[i], view[0]
    v.ts = d.now
    v.instrument_id = i
    v.phase = it.phase
    v.state = trading_state(desk)
    v.killed = d.killed
    v.no_flip = d.no_flip
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


@inlined
def after(
    desk: Array,
    instruments: Array,
    pool: Array,
    wire: Array,
    sent: Array,
    intents: Array,
    n: int,
    i: int,
    orders_out: Array,
) -> None:
    """Judge `n` intents decided on a tick of instrument `i` and send what passes."""
    for k in range(min(n, MAX_INTENTS, intents.shape[0])):
        wish = intents[k]
        target = i if wish.instrument_id < 0 else wish.instrument_id
        if wish.what == NEW:
            if wish.parent or wish.rival:
                follow(desk, instruments, pool, wire, sent, intents[:n], k, target, orders_out)
                continue
            reason = judge(desk, instruments, sent, wish, target)
            if not reason and desk[0].self_trade:
                reason = keep_apart(desk, instruments, pool, wire, wish, target, orders_out)
            if reason:
                refuse(desk, instruments, wish, target, reason, orders_out)
            else:
                submit(desk, instruments, pool, wire, sent, wish, target, orders_out)
        elif wish.what == AMEND:
            alter(desk, instruments, pool, wire, sent, wish, target, orders_out)
        else:
            recall(desk, instruments, pool, wire, wish, target, orders_out)


@borrowing
def follow(
    desk: Array, instruments: Array, pool: Array, wire: Array, sent: Array, intents: Array, k: int, i: int,
    orders_out: Array,
) -> None:  # fmt: skip
    """Judge and send an order with a parent or a rival, which may be an order of this very decision."""
    wish = intents[k]
    if wish.order_type == MLEG:
        combine(desk, instruments, pool, wire, sent, intents, k, i, orders_out)
        return
    if wish.parent < 0:
        wish.parent = made_by(intents, k + wish.parent)
    if wish.rival < 0:
        wish.rival = made_by(intents, k + wish.rival)
    parent, rival = found(instruments, pool, i, wish.parent), found(instruments, pool, i, wish.rival)
    reason = PARENT_CHILD
    if wish.parent != NOBODY and wish.rival != NOBODY and 0 <= i < instruments.shape[0]:
        reason = judge_kin(desk, instruments, pool, sent, wish, i, parent, rival, -1)
    if reason:
        refuse(desk, instruments, wish, i, reason, orders_out)
    else:
        submit(desk, instruments, pool, wire, sent, wish, i, orders_out)


@borrowing
def combine(
    desk: Array, instruments: Array, pool: Array, wire: Array, sent: Array, intents: Array, k: int, i: int,
    orders_out: Array,
) -> None:  # fmt: skip
    """Judge and send an order of several legs, whole, at its first; later legs are done with it."""
    wish = intents[k]
    first = k + wish.legs
    if wish.legs < 0 and first >= 0 and intents[first].order_type == MLEG and intents[first].legs > -wish.legs:
        return
    legs = min(max(wish.legs, 1), MAX_LEGS, intents.shape[0] - k)
    for j in range(legs):
        if intents[k + j].instrument_id < 0:
            intents[k + j].instrument_id = i
    reason = judge_legs(desk, instruments, sent, intents, k)
    if not reason:
        submit_legs(desk, instruments, pool, wire, sent, intents, k, orders_out)
        return
    for j in range(legs):
        refuse(desk, instruments, intents[k + j], intents[k + j].instrument_id, reason, orders_out)


@borrowing
def made_by(intents: Array, k: int) -> int:
    """The order that intent `k` of this decision became; NOBODY when it became none."""
    if k < 0 or intents[k].what != NEW or intents[k].order_id == 0:
        return NOBODY
    return int(intents[k].order_id)


@borrowing
def keep_apart(desk: Array, instruments: Array, pool: Array, wire: Array, wish: Any, i: int, orders_out: Array) -> int:
    """An order that could meet our own: refused, or what stands in its way is cancelled first."""
    if desk[0].self_trade == REFUSE_NEWEST:
        return SELF_TRADE if own_in_the_way(instruments, pool, wish, i, desk[0].no_flip) >= 0 else 0
    slot = own_in_the_way(instruments, pool, wish, i, 0)
    while slot >= 0:
        pool[slot].canceling = 1
        tell_order(desk, instruments, pool, orders_out, desk[0].now, slot, CANCEL, 0)
        request(desk, pool, wire, slot, WITHDRAW)
        slot = own_in_the_way(instruments, pool, wish, i, 0)
    return 0


@borrowing
def finish(
    desk: Array,
    instruments: Array,
    ladders: Array,
    pool: Array,
    wire: Array,
    orders_out: Array,
    fills_out: Array,
    equity_out: Array,
) -> None:
    """The stream has ended: what is in flight arrives, every open order is cancelled, a last equity row.

    Outside, the orders were cancelled by `wind_down`, and what was answered is on the wire.
    """
    d = desk[0]
    if d.external:
        deliver(desk, instruments, pool, wire, orders_out, fills_out, d.now)
        snapshot(desk, instruments, equity_out)
        return
    for last in range(2):
        if last:
            withdraw_all(desk, instruments, pool, wire, orders_out)
        arrivals(desk, instruments, ladders, pool, wire, max(d.now + d.order_ns, d.last_request))
        until = max(d.now + d.order_ns + d.response_ns, d.last_response)
        deliver(desk, instruments, pool, wire, orders_out, fills_out, until)
        d.now = until
    snapshot(desk, instruments, equity_out)
