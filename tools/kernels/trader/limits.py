"""The gate: every new order is checked against the limits in the fixed order of `formats.orders.REASONS`.

Judged is what the trader knows, with every working order at its worst: all buys filled or all sells filled.
A *reduction* (it can only shrink the position, even if everything working on its side fills first) passes
the limits on exposure and loss, never the sanity checks. Cancels do not come here: a risk check must never
keep an order alive. Every limit is written as what must hold, so that a NaN never passes.
"""

import numpy as np

from gpi.formats.words import (
    BUY,
    CASH_RESERVE,
    CLS,
    DAILY_LOSS,
    DAY,
    EXPOSURE,
    GTC,
    INSUFFICIENT_QTY,
    KILL_ACTIVE,
    LIMIT,
    MALFORMED,
    MARKET,
    MARKET_STATE,
    MSG_RATE,
    OPEN_ORDERS,
    OPTION_RULES,
    PARENT_CHILD,
    POSITION_LIMIT,
    PRICE_COLLAR,
    RECONCILING,
    SECOND,
    SELL,
    SHORT_LOCATE,
    STALE_DATA,
    STOP,
    STOP_LIMIT,
    TRADING_STATE,
    TRAILING,
)
from gpi.tools.kernels.jit import borrowing
from gpi.tools.kernels.orders import ACTIVE, OPEN, STANDING, Engine
from gpi.tools.kernels.shared import Record
from gpi.tools.kernels.trader.exposure import touch

GRID = 1e-6  # of an order: float noise in a position


@borrowing
def on_grid(value: float, step: float) -> bool:
    """Is `value` one or more whole `step`s? Anything is when the step is 0, nothing when it is infinite."""
    if step <= 0.0:
        return True
    steps = value / step
    whole = np.floor(steps + 0.5)
    return bool(whole >= 1.0 and abs(steps - whole) <= 1e-4)


@borrowing
def well_formed(intent: Record, it: Record) -> bool:
    """Finite, positive, on the tick and lot grid, and of a known side, type and time in force."""
    if intent.side != BUY and intent.side != SELL:
        return False
    if not 0.0 < intent.qty < 1e15 or not on_grid(intent.qty, it.lot_size):
        return False
    if not GTC <= intent.tif <= CLS:
        return False
    if intent.order_type == MARKET:
        return not intent.extended
    if intent.order_type == LIMIT:
        if intent.extended and intent.tif != DAY and intent.tif != GTC:
            return False
        step = it.tick_size if intent.px >= 1.0 else step_at(it, intent.px)
        return bool(0.0 < intent.px < 1e15 and on_grid(intent.px, step))
    return well_formed_stop(intent, it)


@borrowing
def step_at(it: Record, px: float) -> float:
    """The price step: listed shares below a dollar are quoted in hundredths of a cent (Regulation NMS, rule 612)."""
    return 1e-4 if it.listed and px < 1.0 and it.tick_size == 0.01 and it.multiplier == 1.0 else float(it.tick_size)


@borrowing
def well_formed_stop(intent: Record, it: Record) -> bool:
    """A stop has a price, a trailing one a distance; it waits, so it is good for the day or until cancelled."""
    if intent.extended or (intent.tif != DAY and intent.tif != GTC):
        return False
    if intent.order_type == TRAILING:
        return bool(0.0 < intent.trail < (1.0 if intent.trail_fraction else 1e15))
    if not (0.0 < intent.stop_px < 1e15 and on_grid(intent.stop_px, step_at(it, intent.stop_px))):
        return False
    if intent.order_type == STOP:
        return True
    return bool(
        intent.order_type == STOP_LIMIT and 0.0 < intent.px < 1e15 and on_grid(intent.px, step_at(it, intent.px))
    )


@borrowing
def worst_price(intent: Record, it: Record) -> float:
    """What an order would pay or get at worst: its limit; a stop fills about its stop price, a trailing one below."""
    if intent.order_type == LIMIT or intent.order_type == STOP_LIMIT:
        return float(intent.px)
    best = it.ask_px if intent.side == BUY else it.bid_px
    return float(max(best, intent.stop_px) if intent.order_type == STOP and intent.side == BUY else best)


@borrowing
def collared(e: Engine, intent: Record, it: Record) -> bool:
    """Is the price of a stop order within the collar: of a stop-limit, about its own stop?

    A stop price may be as far as it likes: it protects, and it trades where the market then is.
    """
    if intent.order_type == STOP or intent.order_type == TRAILING:
        return True
    centre = intent.stop_px if intent.order_type == STOP_LIMIT else it.mid
    return bool(abs(worst_price(intent, it) - centre) <= e.gate.price_collar * centre)


@borrowing
def reduces(intent: Record, it: Record) -> bool:
    """Can this order only shrink the position, with all that works on its side?"""
    if intent.side == BUY:
        return bool(it.position + it.buying + intent.qty <= GRID * intent.qty)
    return bool(it.position - it.selling - intent.qty >= -GRID * intent.qty)


@borrowing
def too_fast(e: Engine) -> bool:
    """Have `order_rate` orders gone out within the last second of event time?"""
    if e.gate.order_rate <= 0:
        return True
    oldest = e.sent[e.rings.sent_at]
    return bool(e.clock.now - oldest < SECOND)


@borrowing
def judge_money(e: Engine, intent: Record, i: int) -> int:
    """Position, exposure, cash and loss of an order that adds risk; 0 passes."""
    it = e.instruments[i]
    longest = it.position + it.buying + (intent.qty if intent.side == BUY else 0.0)
    shortest = it.position - it.selling - (intent.qty if intent.side == SELL else 0.0)
    reach = longest if intent.side == BUY else -shortest
    unit = it.mid * it.multiplier
    if not reach * unit <= e.gate.position_limit * e.account.equity:
        return POSITION_LIMIT
    if intent.side == SELL and not shortest >= -GRID * intent.qty:
        if not e.gate.allow_short:
            return POSITION_LIMIT
        if it.unshortable:
            return SHORT_LOCATE
    worst = e.account.gross - it.reach + max(abs(longest), abs(shortest)) * unit
    if not worst <= e.gate.gross_exposure * e.account.equity:
        return EXPOSURE
    if intent.side == BUY:
        px = intent.px if intent.order_type == LIMIT else worst_price(intent, it)
        cost = intent.qty * px * it.multiplier
        if not e.account.cash - e.account.buy_cost - cost >= e.gate.cash_reserve * e.account.equity:
            return CASH_RESERVE
    if e.account.loss_day:
        return DAILY_LOSS
    return 0


@borrowing
def judge(e: Engine, intent: Record, i: int) -> int:
    """The first check a new order for instrument `i` fails, as an index of REASONS; 0 when it may go."""
    if e.account.killed:
        return KILL_ACTIVE
    if e.account.state == STANDING:
        return TRADING_STATE
    if i < 0 or i >= e.instruments.shape[0] or (e.gate.known > 0 and i >= e.gate.known):  # nobody announced it
        return TRADING_STATE if e.account.state != ACTIVE else MALFORMED
    it = e.instruments[i]
    formed = well_formed(intent, it)
    reduction = formed and reduces(intent, it)
    if e.account.state != ACTIVE and not reduction:
        return TRADING_STATE
    if not formed:
        return MALFORMED
    two_sided = it.bid_px == it.bid_px and it.ask_px == it.ask_px
    if e.clock.now - it.quote_ts > e.gate.stale_ns or (it.phase == OPEN and not two_sided):
        return STALE_DATA
    if it.phase != OPEN:
        return MARKET_STATE
    if intent.order_type > MARKET:
        if not collared(e, intent, it):
            return PRICE_COLLAR
    else:
        px = intent.px if intent.order_type == LIMIT else (it.ask_px if intent.side == BUY else it.bid_px)
        if not abs(px - it.mid) <= e.gate.price_collar * it.mid:
            return PRICE_COLLAR
    if it.blocked and not reduction:
        return RECONCILING
    if not reduction:
        reason = judge_money(e, intent, i)
        if reason:
            return reason
    if too_fast(e):
        return MSG_RATE
    if e.account.open_orders >= e.gate.max_open_orders:
        return OPEN_ORDERS
    reason = judge_option(e, intent, i, reduction) if it.right else 0
    return INSUFFICIENT_QTY if e.gate.no_flip and not reason and flips(intent, it) else reason


@borrowing
def flips(intent: Record, it: Record) -> bool:
    """Does this order close more than is held, less what the working orders of its side hold already?"""
    held = it.buying if intent.side == BUY else it.selling
    return bool(it.position * intent.side < 0.0 and intent.qty > abs(it.position) - held + GRID * intent.qty)


@borrowing
def judge_option(e: Engine, intent: Record, i: int, reduction: bool) -> int:
    """What holds for options besides: not too many, none opened shortly before the end, no short without cover."""
    it = e.instruments[i]
    if not reduction:
        if it.last_trade > 0 and e.clock.now >= it.last_trade - e.gate.option_expiry_ns:
            return OPTION_RULES
        reach = it.position + it.buying if intent.side == BUY else it.selling - it.position
        if not reach + intent.qty <= e.gate.max_contracts:
            return OPTION_RULES
    if intent.side == SELL and not e.gate.allow_naked:
        touch(e, i)
        before = it.selling
        it.selling = before + intent.qty
        bare = naked(e, i)
        it.selling = before
        return OPTION_RULES if bare else 0
    return 0


@borrowing
def naked(e: Engine, i: int) -> bool:
    """Are options of this one's right and underlying short, all working sales filled, that nothing covers?

    Covered by as many options of the same right that end no earlier than any that is short, calls also by shares, puts
    by cash for the highest strike. Selling such a cover is judged the same; selling shares that cover is not. What
    works in orders whose own legs cover each other is none of this.
    """
    it, shorts, latest, strike = e.instruments[i], 0.0, 0, 0.0
    first = e.chains[it.group, 0 if it.right > 0 else 1]
    k = first
    while k >= 0:
        x = e.instruments[k]
        worst = x.position - x.selling + x.spread_selling
        if worst < -GRID:
            shorts -= worst
            latest = max(latest, x.last_trade)
            strike = max(strike, x.strike)
        k = x.next_in_chain
    if shorts == 0.0:
        return False
    k = first
    while k >= 0:
        x = e.instruments[k]
        if x.last_trade >= latest:
            shorts -= max(0.0, x.position - x.selling + x.spread_selling)
        k = x.next_in_chain
    if it.right > 0 and 0 <= it.under < e.instruments.shape[0]:
        under = e.instruments[it.under]
        shorts -= max(0.0, under.position - under.selling) * under.multiplier / it.multiplier
    if shorts <= GRID:
        return False
    return bool(it.right > 0 or not shorts * strike * it.multiplier <= e.account.cash - e.account.buy_cost)


@borrowing
def judge_kin(e: Engine, intent: Record, i: int, parent: int, sibling: int, itself: int) -> int:
    """The first check that an order with a parent or a sibling fails; `itself` is its slot when it is being replaced.

    A leg undoes what its parent does and is no larger, two legs that are not siblings no larger together; of two
    siblings only one can fill, so the second is on the first one's side and no larger. Such an order adds no risk, and
    is not held to the limits on it, nor to the collar: an exit may be far away. Nothing of the sort is known:
    PARENT_CHILD.
    """
    if e.account.killed:
        return KILL_ACTIVE
    if e.account.state == STANDING:
        return TRADING_STATE
    it = e.instruments[i]
    if not well_formed(intent, it):
        return MALFORMED
    if intent.parent and itself < 0:
        if parent < 0 or e.pool[parent].canceling or e.pool[parent].side != -intent.side:
            return PARENT_CHILD
        p, others = e.pool[parent], 0.0
        if p.family:
            for leg in (p.leg, p.leg_too):
                if leg >= 0 and leg != itself and leg != sibling:
                    others += e.pool[leg].told_qty
            if p.leg >= 0 and p.leg_too >= 0:
                return PARENT_CHILD
        if intent.qty + others > p.told_qty * (1.0 + GRID):
            return PARENT_CHILD
    if intent.sibling:
        if sibling < 0 and itself < 0:
            return PARENT_CHILD
        if sibling >= 0 and e.pool[sibling].order_id == intent.sibling:
            r = e.pool[sibling]
            if r.canceling or r.side != intent.side or intent.qty > r.told_qty * (1.0 + GRID):
                return PARENT_CHILD
    if too_fast(e):
        return MSG_RATE
    if e.account.open_orders >= e.gate.max_open_orders:
        return OPEN_ORDERS
    return 0


@borrowing
def own_in_the_way(e: Engine, intent: Record, i: int, leaving: int) -> int:
    """The slot of our own open order that a new one could meet, the best first; -1 when there is none.

    Alpaca's rule for wash trades: a market order against anything, a limit against what it crosses, a stop against any
    limit. What belongs to a family is exempt, and so are trailing stops. `leaving` 1: an order counts until its cancel
    is confirmed.
    """
    if intent.order_type == TRAILING:
        return -1
    it = e.instruments[i]
    here = it.sells if intent.side == BUY else it.buys
    while here >= 0:
        o = e.pool[here]
        priced = intent.order_type == LIMIT and o.px == o.px
        exempt = o.family or o.order_type == TRAILING or (o.canceling and not leaving)
        if not exempt and (not priced or intent.side * (intent.px - o.px) >= -it.near):
            return int(here)
        here = o.next
    return -1
