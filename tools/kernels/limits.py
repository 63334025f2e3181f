"""The gate: every new order is checked against the limits in the fixed order of `formats.orders.REASONS`.

Judged is what the trader knows, with every working order at its worst: all buys filled or all sells filled.
A *reduction* (it can only shrink the position, even if everything working on its side fills first) passes
the limits on exposure and loss, never the sanity checks. Cancels do not come here: a risk check must never
keep an order alive. Every limit is written as what must hold, so that a NaN never passes.
"""

from typing import Any

import numpy as np

from gpi.tools.kernels.jit import jit
from gpi.tools.kernels.orders import (
    ACTIVE,
    BUY,
    CASH_RESERVE,
    DAILY_LOSS,
    DAY,
    EXPOSURE,
    GTC,
    IOC,
    KILL_ACTIVE,
    LIMIT,
    MALFORMED,
    MARKET,
    MARKET_STATE,
    MSG_RATE,
    OPEN,
    OPEN_ORDERS,
    POSITION_LIMIT,
    PRICE_COLLAR,
    RECONCILING,
    SECOND,
    SELL,
    STALE_DATA,
    STANDING,
    TRADING_STATE,
    Array,
)

GRID = 1e-6  # of an order: float noise in a position


@jit
def on_grid(value: float, step: float) -> bool:
    """Is `value` one or more whole `step`s? Anything is when the step is 0, nothing when it is infinite."""
    if step <= 0.0:
        return True
    steps = value / step
    whole = np.floor(steps + 0.5)
    return bool(whole >= 1.0 and abs(steps - whole) <= 1e-4)


@jit
def well_formed(wish: Any, it: Any) -> bool:
    """Finite, positive, on the tick and lot grid, and of a known side, type and time in force."""
    if wish.side != BUY and wish.side != SELL:
        return False
    if not 0.0 < wish.qty < 1e15 or not on_grid(wish.qty, it.lot_size):
        return False
    if wish.tif != GTC and wish.tif != IOC and wish.tif != DAY:
        return False
    if wish.order_type == MARKET:
        return True
    return bool(wish.order_type == LIMIT and 0.0 < wish.px < 1e15 and on_grid(wish.px, it.tick_size))


@jit
def reduces(wish: Any, it: Any) -> bool:
    """Can this order only shrink the position, with all that works on its side?"""
    if wish.side == BUY:
        return bool(it.position + it.buying + wish.qty <= GRID * wish.qty)
    return bool(it.position - it.selling - wish.qty >= -GRID * wish.qty)


@jit
def gross(instruments: Array, skip: int) -> float:
    """Worst-case gross exposure of every instrument but one: the larger of all buys and all sells filled."""
    total = 0.0
    for i in range(instruments.shape[0]):
        it = instruments[i]
        if i != skip and (it.position != 0.0 or it.n_buys > 0 or it.n_sells > 0):
            price = it.mid if it.mid == it.mid else it.avg_px
            total += max(abs(it.position + it.buying), abs(it.position - it.selling)) * price * it.multiplier
    return total


@jit
def too_fast(desk: Array, sent: Array) -> bool:
    """Have `order_rate` orders gone out within the last second of event time?"""
    d = desk[0]
    if d.order_rate <= 0:
        return True
    oldest = sent[d.sent_at]
    return bool(d.now - oldest < SECOND)


@jit
def judge_money(desk: Array, instruments: Array, wish: Any, i: int) -> int:
    """Position, exposure, cash and loss of an order that adds risk; 0 passes."""
    d, it = desk[0], instruments[i]
    longest = it.position + it.buying + (wish.qty if wish.side == BUY else 0.0)
    shortest = it.position - it.selling - (wish.qty if wish.side == SELL else 0.0)
    reach = longest if wish.side == BUY else -shortest
    unit = it.mid * it.multiplier
    if not reach * unit <= d.position_limit * d.equity:
        return POSITION_LIMIT
    if not d.allow_short and wish.side == SELL and not shortest >= -GRID * wish.qty:
        return POSITION_LIMIT
    worst = gross(instruments, i) + max(abs(longest), abs(shortest)) * unit
    if not worst <= d.gross_exposure * d.equity:
        return EXPOSURE
    if wish.side == BUY:
        px = wish.px if wish.order_type == LIMIT else it.ask_px
        cost = wish.qty * px * it.multiplier
        if not d.cash - d.buy_cost - cost >= d.cash_reserve * d.equity:
            return CASH_RESERVE
    if d.loss_day:
        return DAILY_LOSS
    return 0


@jit
def judge(desk: Array, instruments: Array, sent: Array, wish: Any, i: int) -> int:
    """The first check a new order for instrument `i` fails, as an index of REASONS; 0 when it may go."""
    d = desk[0]
    if d.killed:
        return KILL_ACTIVE
    if d.state == STANDING:
        return TRADING_STATE
    if i < 0 or i >= instruments.shape[0] or (d.known > 0 and i >= d.known):  # nobody announced it
        return TRADING_STATE if d.state != ACTIVE else MALFORMED
    it = instruments[i]
    formed = well_formed(wish, it)
    reduction = formed and reduces(wish, it)
    if d.state != ACTIVE and not reduction:
        return TRADING_STATE
    if not formed:
        return MALFORMED
    two_sided = it.bid_px == it.bid_px and it.ask_px == it.ask_px
    if d.now - it.quote_ts > d.stale_ns or (it.phase == OPEN and not two_sided):
        return STALE_DATA
    if it.phase != OPEN:
        return MARKET_STATE
    px = wish.px if wish.order_type == LIMIT else (it.ask_px if wish.side == BUY else it.bid_px)
    if not abs(px - it.mid) <= d.price_collar * it.mid:
        return PRICE_COLLAR
    if it.blocked and not reduction:
        return RECONCILING
    if not reduction:
        reason = judge_money(desk, instruments, wish, i)
        if reason:
            return reason
    if too_fast(desk, sent):
        return MSG_RATE
    if d.open_orders >= d.max_open_orders:
        return OPEN_ORDERS
    return 0
