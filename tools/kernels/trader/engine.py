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

import numpy as np

from gpi.formats.words import CANCEL, DEPTH, MLEG, PARENT_CHILD, QUOTE, SECOND, SELF_TRADE
from gpi.tools.kernels.exchange.delays import hears
from gpi.tools.kernels.exchange.step import arrivals, tick, worst
from gpi.tools.kernels.jit import borrowing, inlined
from gpi.tools.kernels.orders import (
    AMEND,
    BELL,
    FOREIGN,
    FULL,
    INSTRUMENTS,
    MAX_INTENTS,
    MAX_LEGS,
    NEW,
    NOBODY,
    POOL,
    REFUSE_NEWEST,
    ROOM,
    TRANSIT,
    WITHDRAW,
    Array,
    Engine,
    engine_at,
)
from gpi.tools.kernels.shared import Record
from gpi.tools.kernels.ticks import Ticks, ticks_at
from gpi.tools.kernels.trader.account import mark, new_day, snapshot, trading_state, watch_loss
from gpi.tools.kernels.trader.limits import judge, judge_kin, own_in_the_way
from gpi.tools.kernels.trader.margins import judge_legs
from gpi.tools.kernels.trader.sending import (
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
    e: Engine, ts: int, i: int,
) -> int:  # fmt: skip
    """What must happen before a row of instrument `i` can be done whole, at worst (0: nothing): growth, or a bell."""
    if i < 0:
        return FOREIGN
    if i >= e.ladders.shape[0]:
        return INSTRUMENTS
    if e.rings.free_slots < MAX_INTENTS:
        return POOL
    if 2 * e.rings.kept >= e.behind.shape[0]:
        return FULL
    answers = worst(e.rings.requests + e.account.open_orders, e.ladders.shape[2])
    asked = e.rings.requests + e.account.open_orders + MAX_INTENTS
    if max(e.rings.responses + answers, asked) >= e.transit.shape[1]:
        return TRANSIT
    told = e.rings.responses + answers + e.account.open_orders + MAX_INTENTS
    if e.cursor.n_orders + told > e.orders.shape[0] or e.cursor.n_fills + told > e.fills.shape[0]:
        return ROOM
    if e.cursor.n_equity + 2 > e.equity.shape[0]:
        return ROOM
    return BELL if ts >= e.clock.bell else 0


@inlined
def before(e: Engine, ticks: Ticks, row: int, i: int) -> int:
    """Everything up to the decision on one tick, a row of instrument `i`.

    Returns how many of our orders in that instrument stand in `mine` (WORKING).
    """
    ts, kind = ticks.ts_event[row], ticks.kind[row]
    told = ts + e.delays.feed_ns
    now = max(told, e.clock.now)
    if e.delays.feed_varies:
        told = hears(e, ts)
        now = max(told, e.clock.now)
        if ts < e.clock.fed:
            e.clock.late += 1
            ts = e.clock.fed
        else:
            e.clock.fed = ts
            told = now
    elif now != told:
        e.clock.late += 1
        ts = now - e.delays.feed_ns
    new_day(e, now)
    if e.rings.requests > 0 and not e.venue.external:
        arrivals(e, ts)
    filled = 0
    if e.rings.responses > 0:  # what arrives before this tick is booked at the prices before it
        filled = deliver(e, now - 1)
    tick(e, ticks, row, i, ts)
    if kind & (QUOTE | DEPTH):
        mark(e, i)
        if told < now:  # an old quote is old, however late it comes: the gate refuses what is decided on it
            e.instruments[i].quote_ts = told
    e.clock.now = now
    if e.rings.responses > 0:
        filled += deliver(e, now)
    watch_loss(e)
    e.account.filled += filled
    filled = e.account.filled  # with what a bell brought
    if e.account.filled or e.clock.now // SECOND != e.clock.second:
        snapshot(e)
    if e.clock.row >= e.account.kill_row and not e.account.killed:
        kill(e)
    e.clock.row += 1
    look(e, i)
    v = e.seen[0]
    v.kind = kind
    v.side = ticks.side[row]
    v.tick_flags = ticks.flags[row]
    v.trade_px = ticks.trade_px[row]
    v.trade_sz = ticks.trade_sz[row]
    v.fills = filled
    v.n_orders = own(e, i)
    return int(v.n_orders)


@borrowing
def sight(engine: int, columns: int, body: Array, row: int) -> int:
    """One row up to the decision, for a strategy outside; -1, and why in `cursor.stop`, when it cannot be done yet.

    `engine` is the address of an `Engine`, `columns` of the `Ticks` of the batch, whose bytes are `body`.
    """
    e, ticks = engine_at(engine), ticks_at(columns, body)
    i = ticks.instrument_id[row]
    e.cursor.stop = short_of(e, ticks.ts_event[row], i)
    if e.cursor.stop:
        return -1
    return before(e, ticks, row, i)


@borrowing
def act(engine: int, n: int, i: int) -> None:
    """`after`, for a strategy outside."""
    after(engine_at(engine), n, i)


@borrowing
def look(e: Engine, i: int) -> None:
    """Write what the trader knows of instrument `i` and of its account into the view, and what it may see of `i`."""
    it, v, m = e.instruments[i], e.seen[0], e.market[i]
    m.phase = it.phase
    m.bid_px = it.bid_px
    m.bid_sz = it.bid_sz
    m.ask_px = it.ask_px
    m.ask_sz = it.ask_sz
    m.mid = it.mid
    m.last_px = it.last_px if it.last_px > 0.0 else np.nan
    m.last_sz = it.last_sz
    v.ts = e.clock.now
    v.instrument_id = i
    v.phase = it.phase
    v.state = trading_state(e)
    v.killed = e.account.killed
    v.no_flip = e.gate.no_flip
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
    v.cash = e.account.cash
    v.equity = e.account.equity
    v.total_realized = e.account.realized
    v.exposure = e.account.exposure
    v.maker_bps = e.fees[0].maker_bps
    v.taker_bps = e.fees[0].taker_bps
    v.tick_size = it.tick_size
    v.lot_size = it.lot_size
    v.multiplier = it.multiplier


@inlined
def after(
    e: Engine,
    n: int,
    i: int,
) -> None:
    """Judge `n` intents decided on a tick of instrument `i` and send what passes."""
    intents = e.intents
    for k in range(min(n, MAX_INTENTS)):
        intent = intents[k]
        target = i if intent.instrument_id < 0 else intent.instrument_id
        if intent.what == NEW:
            if intent.parent or intent.sibling:
                follow(e, intents[:n], k, target)
                continue
            reason = judge(e, intent, target)
            if not reason and e.gate.self_trade:
                reason = keep_apart(e, intent, target)
            if reason:
                refuse(e, intent, target, reason)
            else:
                submit(e, intent, target)
        elif intent.what == AMEND:
            alter(e, intent, target)
        else:
            recall(e, intent, target)


@borrowing
def follow(
    e: Engine, intents: Array, k: int, i: int,
) -> None:  # fmt: skip
    """Judge and send an order with a parent or a sibling, which may be an order of this very decision."""
    intent = intents[k]
    if intent.order_type == MLEG:
        combine(e, intents, k, i)
        return
    if intent.parent < 0:
        intent.parent = made_by(intents, k + intent.parent)
    if intent.sibling < 0:
        intent.sibling = made_by(intents, k + intent.sibling)
    parent, sibling = found(e, i, intent.parent), found(e, i, intent.sibling)
    reason = PARENT_CHILD
    if intent.parent != NOBODY and intent.sibling != NOBODY and 0 <= i < e.instruments.shape[0]:
        reason = judge_kin(e, intent, i, parent, sibling, -1)
    if reason:
        refuse(e, intent, i, reason)
    else:
        submit(e, intent, i)


@borrowing
def combine(
    e: Engine, intents: Array, k: int, i: int,
) -> None:  # fmt: skip
    """Judge and send an order of several legs, whole, at its first; later legs are done with it."""
    intent = intents[k]
    first = k + intent.legs
    if intent.legs < 0 and first >= 0 and intents[first].order_type == MLEG and intents[first].legs > -intent.legs:
        return
    legs = min(max(intent.legs, 1), MAX_LEGS, intents.shape[0] - k)
    for j in range(legs):
        if intents[k + j].instrument_id < 0:
            intents[k + j].instrument_id = i
    reason = judge_legs(e, intents, k)
    if not reason:
        submit_legs(e, intents, k)
        return
    for j in range(legs):
        refuse(e, intents[k + j], intents[k + j].instrument_id, reason)


@borrowing
def made_by(intents: Array, k: int) -> int:
    """The order that intent `k` of this decision became; NOBODY when it became none."""
    if k < 0 or intents[k].what != NEW or intents[k].order_id == 0:
        return NOBODY
    return int(intents[k].order_id)


@borrowing
def keep_apart(e: Engine, intent: Record, i: int) -> int:
    """An order that could meet our own: refused, or what stands in its way is cancelled first."""
    if e.gate.self_trade == REFUSE_NEWEST:
        return SELF_TRADE if own_in_the_way(e, intent, i, e.gate.no_flip) >= 0 else 0
    slot = own_in_the_way(e, intent, i, 0)
    while slot >= 0:
        e.pool[slot].canceling = 1
        tell_order(e, e.clock.now, slot, CANCEL, 0)
        request(e, slot, WITHDRAW)
        slot = own_in_the_way(e, intent, i, 0)
    return 0


@borrowing
def finish(
    e: Engine,
) -> None:
    """The stream has ended: what is in flight arrives, every open order is cancelled, a last equity row.

    Outside, the orders were cancelled by `wind_down`, and what was answered is on the wire.
    """
    if e.venue.external:
        deliver(e, e.clock.now)
        snapshot(e)
        return
    for last in range(2):
        if last:
            withdraw_all(e)
        arrivals(e, max(e.clock.now + e.delays.order_ns, e.delays.last_request))
        until = max(e.clock.now + e.delays.order_ns + e.delays.response_ns, e.delays.last_response)
        deliver(e, until)
        e.clock.now = until
    snapshot(e)
