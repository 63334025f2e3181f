"""The trader: our open orders, what is sent, what comes back, and the rows that tell of it.

An order has a slot in the pool from the moment it is sent until its end is known; per instrument and side
the slots are linked, best price first, then oldest.
"""

import numpy as np

from gpi.formats.words import (
    ACCEPTED,
    CANCEL,
    CLS,
    DAY,
    FILLED,
    HELD,
    LIMIT,
    MALFORMED,
    MARKET,
    MLEG,
    REDUCED,
    REFUSE,
    REPLACE,
    REPLACED,
    STOP,
    STOP_LIMIT,
    SUBMIT,
    TRAILING,
    TRIGGERED,
    UNKNOWN_ORDER,
)
from gpi.tools.kernels.exchange.delays import reaches_venue
from gpi.tools.kernels.exchange.listing import link, unlink, working
from gpi.tools.kernels.jit import borrowing, inlined
from gpi.tools.kernels.orders import AMEND, IN_FLIGHT, NEW, REQUESTS, RESPONSES, WITHDRAW, Array, Engine
from gpi.tools.kernels.shared import Record
from gpi.tools.kernels.trader.account import fee, settle
from gpi.tools.kernels.trader.fees import accrue
from gpi.tools.kernels.trader.limits import judge, judge_kin


@inlined
def tell(e: Engine, ts: int, i: int) -> int:
    """Begin a row of orders/1 with the account's view; returns its index."""
    n = e.cursor.n_orders
    out = e.orders[n]
    out.ts_event = ts
    out.instrument_id = i
    out.cash = e.account.cash
    out.equity = e.account.equity
    out.mid = np.nan
    out.position = 0.0
    out.parent = 0
    if 0 <= i < e.instruments.shape[0]:
        out.mid = e.instruments[i].mid
        out.position = e.instruments[i].position
    e.cursor.n_orders = n + 1
    return int(n)


@inlined
def tell_order(
    e: Engine,
    ts: int,
    slot: int,
    action: int,
    reason: int,
) -> int:
    """A row of orders/1 about a live order; returns its index."""
    o = e.pool[slot]
    n = tell(e, ts, o.instrument_id)
    out = e.orders[n]
    out.order_id = o.order_id
    out.action = action
    out.side = o.side
    out.order_type = o.order_type
    out.tif = o.tif
    out.reason = reason
    out.qty = o.told_qty
    out.px = o.told_px
    out.leaves = o.seen
    if o.special:
        out.parent = o.parent
    return n


@borrowing
def release(e: Engine, slot: int) -> None:
    """An order has ended and the trader knows: unlink it and free its slot."""
    o = e.pool[slot]
    unlink(e, slot)
    working(e, slot, -(o.seen + o.pending), -1)
    o.seen = 0.0
    o.pending = 0.0
    o.order_id = 0
    o.next = e.rings.free
    e.rings.free = slot
    e.rings.free_slots += 1
    e.account.open_orders -= 1


@borrowing
def request(e: Engine, slot: int, kind: int) -> int:
    """Send a new order, a cancel or a replacement towards the venue; returns its place on the wire."""
    at = e.rings.request_at + e.rings.requests
    at = at if at < e.transit.shape[1] else at - e.transit.shape[1]
    m = e.transit[REQUESTS, at]
    e.rings.requests += 1
    m.due = e.clock.now + e.delays.order_ns if e.delays.varies == 0 else reaches_venue(e, e.clock.now, kind)
    m.kind = kind
    m.slot = slot
    m.order_id = e.pool[slot].order_id
    return int(at)


@borrowing
def refuse(e: Engine, intent: Record, i: int, reason: int) -> None:
    """Write down an intent that was stopped at the gate."""
    out = e.orders[tell(e, e.clock.now, i)]
    new = intent.what == NEW or intent.what == AMEND
    out.order_id = 0 if intent.what == NEW else intent.order_id
    out.action = REFUSE
    out.side = intent.side if new and -1 <= intent.side <= 1 else 0
    out.order_type = intent.order_type if new and 0 <= intent.order_type <= MLEG else 0
    out.tif = intent.tif if new and 0 <= intent.tif <= CLS else 0
    out.reason = reason
    out.qty = intent.qty if new else 0.0
    out.px = intent.px if new else np.nan
    out.leaves = 0.0


@borrowing
def submit(
    e: Engine,
    intent: Record,
    i: int,
) -> None:
    """Give a passed intent an id and a slot and send it."""
    slot = place(e, intent, i)
    intent.order_id = e.pool[slot].order_id
    count_sent(e)
    tell_order(e, e.clock.now, slot, SUBMIT, 0)
    request(e, slot, NEW)


@borrowing
def submit_legs(e: Engine, intents: Array, k: int) -> None:
    """Send a passed order of several legs, which begins at intent `k`: one message, a row for each leg."""
    slot = place_legs(e, intents, k)
    count_sent(e)
    request(e, slot, NEW)
    for _ in range(e.pool[slot].legs):
        tell_order(e, e.clock.now, slot, SUBMIT, 0)
        slot = e.pool[slot].mate


@borrowing
def place_legs(e: Engine, intents: Array, k: int) -> int:
    """Give every leg of an order an id and a slot, in a ring; returns the first one's slot."""
    n, first, last = intents[k].legs, -1, -1
    for j in range(n):
        intent = intents[k + j]
        slot = place(e, intent, intent.instrument_id)
        if j == 0:
            first = slot
        else:
            e.pool[last].mate = slot
        e.pool[slot].legs = n
        e.pool[slot].parent = e.pool[first].order_id
        e.pool[slot].mate = first
        intent.order_id = e.pool[slot].order_id
        last = slot
    return int(first)


@borrowing
def count_sent(e: Engine) -> None:
    """A message has gone out now: the gate counts them."""
    e.sent[e.rings.sent_at] = e.clock.now
    e.rings.sent_at = e.rings.sent_at + 1 if e.rings.sent_at + 1 < e.sent.shape[0] else 0


@borrowing
def place(e: Engine, intent: Record, i: int) -> int:
    """Give an order an id and a slot among the open orders of its instrument; returns the slot."""
    slot = e.rings.free
    o = e.pool[slot]
    e.rings.free = o.next
    e.rings.free_slots -= 1
    e.account.open_orders += 1
    o.order_id = e.rings.next_id
    e.rings.next_id += 1
    o.instrument_id = i
    o.book = intent.book
    o.side = intent.side
    o.order_type = intent.order_type
    o.tif = intent.tif
    o.place = IN_FLIGHT
    o.canceling = 0
    o.accepted = 0
    priced = intent.order_type == LIMIT or intent.order_type == STOP_LIMIT
    o.px = intent.px if priced else np.nan
    o.rank = intent.side * intent.px if priced else np.inf
    o.unit_cost = (intent.px if priced else e.instruments[i].ask_px) * e.instruments[i].multiplier
    o.special = 0
    o.family = 0
    o.uncounted = 0
    o.amending = 0
    o.pending = 0.0
    o.extended = intent.extended
    o.since = e.clock.now
    o.told_px = o.px
    o.told_qty = intent.qty
    if intent.order_type > MARKET or intent.tif > DAY or intent.parent or intent.sibling or intent.extended:
        specify(e, slot, intent)
    o.qty = intent.qty
    o.leaves = intent.qty
    o.seen = intent.qty
    o.queue = 0.0
    link(e, slot)
    working(e, slot, o.qty, 1)
    return int(slot)


@borrowing
def specify(e: Engine, slot: int, intent: Record) -> None:
    """What an order has that is more than a plain limit or market order: its stop, its family."""
    o = e.pool[slot]
    it = e.instruments[o.instrument_id]
    o.special = 1
    o.begun = 0
    o.parent_end = 0
    o.stop_px = intent.stop_px if intent.order_type != TRAILING else np.nan
    o.trail = intent.trail
    o.trail_fraction = intent.trail_fraction
    o.covered = 0
    if intent.order_type == MLEG:
        o.family = 1
        o.told_px = intent.px
        o.net = intent.px
        o.ratio = intent.ratio
        o.covered = intent.covered
        o.unit_cost = intent.tied
    elif intent.order_type == STOP:
        o.told_px = intent.stop_px
        o.unit_cost = max(it.ask_px, intent.stop_px) * it.multiplier
    o.parent = intent.parent
    o.sibling = intent.sibling
    o.parent_slot = found(e, o.instrument_id, intent.parent)
    o.sibling_slot = found(e, o.instrument_id, intent.sibling)
    o.leg = -1
    o.leg_too = -1
    if o.parent_slot >= 0:
        p = e.pool[o.parent_slot]
        if not p.family:
            p.family = 1
            p.sibling = 0
            p.sibling_slot = -1
            p.leg = -1
            p.leg_too = -1
        if p.leg < 0:
            p.leg = slot
        else:
            p.leg_too = slot
        o.family = 1
        o.uncounted = 1
    if o.sibling_slot >= 0:
        r = e.pool[o.sibling_slot]
        if not r.family:
            r.leg = -1
            r.leg_too = -1
        r.family = 1
        r.sibling = o.order_id
        r.sibling_slot = slot
        o.family = 1
        o.uncounted = 1


@borrowing
def found(e: Engine, i: int, order_id: int) -> int:
    """The slot of one of our open orders of instrument `i`; -1 when it has none of this id."""
    if order_id > 0 and 0 <= i < e.instruments.shape[0]:
        for head in (e.instruments[i].buys, e.instruments[i].sells):
            here = head
            while here >= 0:
                if e.pool[here].order_id == order_id:
                    return int(here)
                here = e.pool[here].next
    return -1


@borrowing
def adopt(e: Engine, order_id: int, i: int, side: int) -> int:
    """A slot for an order that had ended, or was never ours to send: an answer about it came late."""
    slot = e.rings.free
    o = e.pool[slot]
    e.rings.free = o.next
    e.rings.free_slots -= 1
    e.account.open_orders += 1
    o.order_id = order_id
    o.instrument_id = i
    o.side = side
    o.order_type = MARKET
    o.tif = 0
    o.place = IN_FLIGHT
    o.canceling = 1
    o.accepted = 1
    o.px = np.nan
    o.rank = -np.inf
    o.unit_cost = 0.0
    o.qty = 0.0
    o.leaves = 0.0
    o.told_px = np.nan
    o.told_qty = 0.0
    o.pending = 0.0
    o.special = 0
    o.family = 0
    o.uncounted = 0
    o.amending = 0
    o.seen = 0.0
    o.queue = 0.0
    link(e, slot)
    working(e, slot, 0.0, 1)
    return int(slot)


@borrowing
def recall(e: Engine, intent: Record, i: int) -> None:
    """Send a cancel. One that is under way already is not sent twice; an unknown order is refused."""
    slot = found(e, i, intent.order_id)
    if slot < 0:
        refuse(e, intent, i, UNKNOWN_ORDER)
    elif not e.pool[slot].canceling:
        call_back(e, slot)


@borrowing
def call_back(e: Engine, slot: int) -> None:
    """Send the cancel of an order; of one of several legs it is the first's, and a row is told for each."""
    o, here, legs = e.pool[slot], slot, 1
    if o.order_type == MLEG:
        legs = o.legs
    for _ in range(legs):
        leg = e.pool[here]
        if legs > 1 and (leg.order_id == 0 or leg.order_type != MLEG or leg.parent != o.parent):
            return  # its end is known already: so will be the others'
        leg.canceling = 1
        tell_order(e, e.clock.now, here, CANCEL, 0)
        if legs == 1 or leg.order_id == leg.parent:
            request(e, here, WITHDRAW)
        here = leg.mate


@borrowing
def alter(e: Engine, intent: Record, i: int) -> None:
    """Send a replacement, once the gate has judged the order as it would be, in the place of the one that works.

    Until the answer is here, both count, the larger of the two.
    """
    slot = found(e, i, intent.order_id)
    if slot < 0 or e.pool[slot].canceling or e.pool[slot].order_type == MLEG:
        gone = slot < 0 or e.pool[slot].canceling
        refuse(e, intent, i, UNKNOWN_ORDER if gone else MALFORMED)
        return
    o = e.pool[slot]
    qty, works = (o.told_qty if intent.qty != intent.qty else intent.qty), o.seen + o.pending
    left = o.seen + qty - o.told_qty
    intent.side = o.side
    intent.order_type = o.order_type
    intent.tif = o.tif
    intent.extended = o.extended
    intent.trail_fraction = o.trail_fraction
    intent.parent = o.parent if o.special else 0
    intent.sibling = o.sibling if o.family else 0
    intent.qty = left if left > 0.0 else o.seen  # as much as has filled already: it cancels the rest
    same_px, same_stop, same_trail = (
        intent.px != intent.px,
        intent.stop_px != intent.stop_px,
        intent.trail != intent.trail,
    )
    intent.px = o.told_px if same_px else intent.px
    intent.stop_px = o.stop_px if same_stop and o.special else intent.stop_px
    intent.trail = o.trail if same_trail and o.special else intent.trail
    working(e, slot, -works, 0)
    e.account.open_orders -= 1
    if o.uncounted:
        reason = judge_kin(e, intent, i, o.parent_slot, o.sibling_slot, slot)
    else:
        reason = judge(e, intent, i)
    e.account.open_orders += 1
    if reason:
        working(e, slot, works, 0)
        refuse(e, intent, i, reason)
        return
    o.pending = max(o.pending, left - o.seen)
    o.amending += 1
    if o.px == o.px:
        o.unit_cost = max(o.unit_cost, intent.px * e.instruments[i].multiplier)
    working(e, slot, o.seen + o.pending, 0)
    count_sent(e)
    out = e.orders[tell_order(e, e.clock.now, slot, REPLACE, 0)]
    out.qty = qty
    out.px = intent.px
    at = request(e, slot, AMEND)
    m = e.transit[REQUESTS, at]
    m.qty = qty
    m.px = np.nan if same_px else intent.px
    m.stop_px = np.nan if same_stop else intent.stop_px
    m.trail = np.nan if same_trail else intent.trail


@borrowing
def replaced(e: Engine, slot: int, kind: int, qty: float, px: float, leaves: float) -> None:
    """The venue took a replacement, or shrank a sibling: from now on the order is what it says."""
    o = e.pool[slot]
    working(e, slot, -(o.seen + o.pending), 0)
    o.seen = leaves
    o.told_qty = qty
    o.told_px = px
    if kind == REPLACED and o.amending > 0:
        o.amending -= 1
    if e.venue.external and o.px == o.px and px == px and px != o.px:  # no venue here keeps the order's price
        unlink(e, slot)
        o.px = px
        o.rank = o.side * px
        link(e, slot)
    if o.amending == 0:
        o.pending = 0.0
        if o.px == o.px:
            o.unit_cost = px * e.instruments[o.instrument_id].multiplier
    working(e, slot, o.seen + o.pending, 0)


@borrowing
def count_legs(e: Engine, slot: int) -> None:
    """A parent has filled: its legs work from now on, of two siblings the first."""
    for which in range(2):
        leg = e.pool[slot].leg_too if which else e.pool[slot].leg
        if leg >= 0 and e.pool[leg].parent == e.pool[slot].order_id and e.pool[leg].order_id and e.pool[leg].uncounted:
            if which == 0 or e.pool[leg].sibling == 0:
                e.pool[leg].uncounted = 0
                working(e, leg, e.pool[leg].seen + e.pool[leg].pending, 1)


@borrowing
def withdraw_all(e: Engine) -> None:
    """Send a cancel for every open order that is not being cancelled already."""
    for i in range(e.instruments.shape[0]):
        for head in (e.instruments[i].buys, e.instruments[i].sells):
            slot = head
            while slot >= 0:
                if not e.pool[slot].canceling:
                    call_back(e, slot)
                slot = e.pool[slot].next


@borrowing
def kill(e: Engine) -> None:
    """The kill switch: cancel everything; the gate refuses from here on."""
    e.account.killed = 1
    withdraw_all(e)


@borrowing
def deliver(e: Engine, until: int) -> int:
    """Responses due by `until` reach the trader; returns how many fills were among them."""
    filled = 0
    while e.rings.responses > 0 and e.transit[RESPONSES, e.rings.response_at].due <= until:
        m = e.transit[RESPONSES, e.rings.response_at]
        e.rings.response_at = e.rings.response_at + 1 if e.rings.response_at + 1 < e.transit.shape[1] else 0
        e.rings.responses -= 1
        o = e.pool[m.slot]
        i = o.instrument_id
        if m.kind == FILLED:
            filled += 1
            working(e, m.slot, m.leaves - o.seen, 0)
            o.seen = m.leaves
            paid = m.fee
            if paid != paid:
                notional = m.qty * m.px * e.instruments[i].multiplier
                if e.fees[0].dated:
                    f = e.fees[e.instruments[i].fees]
                    paid = accrue(f, f, f.day, o.side, m.liquidity, m.qty, notional)
                else:
                    paid = fee(e, o.side, m.liquidity, m.qty, notional)
            settle(e, i, o.book, o.side, m.qty, m.px, paid)
            row = e.fills[e.cursor.n_fills]
            e.cursor.n_fills += 1
            row.ts_event = m.ts
            row.instrument_id = i
            row.order_id = o.order_id
            row.side = o.side
            row.liquidity = m.liquidity
            row.qty = m.qty
            row.px = m.px
            row.fee = paid
            row.position = e.instruments[i].position
            row.cash = e.account.cash
            row.parent = o.parent if o.special else 0
        reason = m.reason if m.kind != FILLED else 0
        out = e.orders[tell_order(e, m.due, m.slot, m.kind, reason)]
        if m.kind == FILLED or m.kind == REPLACED or m.kind == REDUCED:
            out.qty = m.qty
            out.px = m.px
            out.leaves = m.leaves
        if m.kind == ACCEPTED:
            o.accepted = 1
        elif m.kind == REPLACED or m.kind == REDUCED:
            replaced(e, m.slot, m.kind, m.qty, m.px, m.leaves)
        elif m.kind == FILLED and m.leaves > 0.0 or m.kind == TRIGGERED or m.kind == HELD:
            pass
        else:
            if m.kind == FILLED and o.family:
                count_legs(e, m.slot)
            release(e, m.slot)
    return filled


@borrowing
def own(e: Engine, i: int) -> int:
    """Copy our open orders of instrument `i` into `mine`, buys first, best price first; returns how many."""
    mine, n = e.mine, 0
    for side in range(2):
        slot = e.instruments[i].buys if side == 0 else e.instruments[i].sells
        while slot >= 0 and n < mine.shape[0]:
            o, w = e.pool[slot], mine[n]
            w.order_id = o.order_id
            w.side = o.side
            w.order_type = o.order_type
            w.tif = o.tif
            w.accepted = o.accepted
            w.canceling = o.canceling
            w.px = o.told_px
            w.qty = o.told_qty
            w.leaves = o.seen
            w.stop_px = o.stop_px if o.special else np.nan
            n += 1
            slot = o.next
    return n
