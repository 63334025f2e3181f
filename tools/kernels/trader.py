"""The trader: our open orders, what is sent, what comes back, and the rows that tell of it.

An order has a slot in the pool from the moment it is sent until its end is known; per instrument and side
the slots are linked, best price first, then oldest.
"""

from typing import Any

import numpy as np

from gpi.tools.kernels.account import fee, settle
from gpi.tools.kernels.jit import inlined, jit
from gpi.tools.kernels.orders import (
    ACCEPTED,
    BUY,
    CANCEL,
    FILLED,
    IN_FLIGHT,
    MARKET,
    NEW,
    REFUSE,
    REQUESTS,
    RESPONSES,
    SUBMIT,
    UNKNOWN_ORDER,
    WITHDRAW,
    Array,
)


@inlined
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


@inlined
def tell_order(
    desk: Array,
    instruments: Array,
    pool: Array,
    orders_out: Array,
    ts: int,
    slot: int,
    action: int,
    reason: int,
) -> int:
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
    at = d.request_at + d.requests
    m = wire[REQUESTS, at if at < wire.shape[1] else at - wire.shape[1]]
    d.requests += 1
    m.due = d.now + d.order_ns
    m.kind = kind
    m.slot = slot
    m.order_id = pool[slot].order_id


@jit
def refuse(desk: Array, instruments: Array, wish: Any, i: int, reason: int, orders_out: Array) -> None:
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
def submit(
    desk: Array,
    instruments: Array,
    pool: Array,
    wire: Array,
    sent: Array,
    wish: Any,
    i: int,
    orders_out: Array,
) -> None:
    """Give a passed intent an id and a slot and send it."""
    d = desk[0]
    slot = place(desk, instruments, pool, wish, i)
    sent[d.sent_at] = d.now
    d.sent_at = d.sent_at + 1 if d.sent_at + 1 < sent.shape[0] else 0
    tell_order(desk, instruments, pool, orders_out, d.now, slot, SUBMIT, 0)
    request(desk, pool, wire, slot, NEW)


@jit
def place(desk: Array, instruments: Array, pool: Array, wish: Any, i: int) -> int:
    """Give an order an id and a slot among the open orders of its instrument; returns the slot."""
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
    return int(slot)


@jit
def adopt(desk: Array, instruments: Array, pool: Array, order_id: int, i: int, side: int) -> int:
    """A slot for an order that had ended, or was never ours to send: an answer about it came late."""
    d = desk[0]
    slot = d.free
    o = pool[slot]
    d.free = o.next
    d.free_slots -= 1
    d.open_orders += 1
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
    o.seen = 0.0
    o.queue = 0.0
    link(instruments, pool, slot)
    working(desk, instruments, pool, slot, 0.0, 1)
    return int(slot)


@jit
def recall(desk: Array, instruments: Array, pool: Array, wire: Array, wish: Any, i: int, orders_out: Array) -> None:
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
def withdraw_all(desk: Array, instruments: Array, pool: Array, wire: Array, orders_out: Array) -> None:
    """Send a cancel for every open order that is not being cancelled already."""
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
def kill(desk: Array, instruments: Array, pool: Array, wire: Array, orders_out: Array) -> None:
    """The kill switch: cancel everything; the gate refuses from here on."""
    desk[0].killed = 1
    withdraw_all(desk, instruments, pool, wire, orders_out)


@jit
def deliver(
    desk: Array, instruments: Array, pool: Array, wire: Array, orders_out: Array, fills_out: Array, until: int
) -> int:
    """Responses due by `until` reach the trader; returns how many fills were among them."""
    d, filled = desk[0], 0
    while d.responses > 0 and wire[RESPONSES, d.response_at].due <= until:
        m = wire[RESPONSES, d.response_at]
        d.response_at = d.response_at + 1 if d.response_at + 1 < wire.shape[1] else 0
        d.responses -= 1
        o = pool[m.slot]
        i = o.instrument_id
        if m.kind == FILLED:
            filled += 1
            working(desk, instruments, pool, m.slot, m.leaves - o.seen, 0)
            o.seen = m.leaves
            paid = m.fee
            if paid != paid:
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
def own(instruments: Array, pool: Array, mine: Array, i: int) -> int:
    """Copy our open orders of instrument `i` into `mine`, buys first, best price first; returns how many."""
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
