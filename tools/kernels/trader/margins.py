"""The gate for orders of several legs: judged whole, in the order of REASONS, because all legs fill or none.

Well formed: 2 to 4 options on one underlying, none twice, whole ratios without a common factor, one net limit.
The limits on position hold for every leg, that on exposure for all of them together. Cash has to stand for the most
that the whole can lose when it ends, whatever the underlying does: a spread's debit, or its width less the credit.

OPTION_RULES, besides those of `limits.judge_option`: no leg is left naked that neither the other legs, nor positions,
shares or cash cover; and the net has the sign that the quotes say: nothing is paid for what pays, nor asked for what
costs.
"""

from gpi.formats.words import (
    BUY,
    CASH_RESERVE,
    DAILY_LOSS,
    EXPOSURE,
    FOK,
    GTC,
    INSUFFICIENT_QTY,
    KILL_ACTIVE,
    MALFORMED,
    MARKET_STATE,
    MLEG,
    MSG_RATE,
    OPEN_ORDERS,
    OPTION_RULES,
    POSITION_LIMIT,
    PRICE_COLLAR,
    RECONCILING,
    SELL,
    STALE_DATA,
    TRADING_STATE,
)
from gpi.tools.kernels.exchange.options import intrinsic
from gpi.tools.kernels.jit import jit
from gpi.tools.kernels.orders import ACTIVE, MAX_LEGS, NEW, OPEN, STANDING, Array, Engine
from gpi.tools.kernels.trader.exposure import touch
from gpi.tools.kernels.trader.limits import GRID, flips, naked, on_grid, reduces, too_fast


@jit
def judge_legs(e: Engine, intents: Array, k: int) -> int:
    """The first check that the order which begins at intent `k` fails, as an index of REASONS; 0 when it may go.

    One that may go has `covered` and `tied` of its intents filled in.
    """
    n = intents[k].legs
    if e.account.killed:
        return KILL_ACTIVE
    if e.account.state == STANDING:
        return TRADING_STATE
    if not legs_formed(e, intents, k):
        return TRADING_STATE if e.account.state != ACTIVE else MALFORMED
    closing = True
    for j in range(n):
        closing = closing and reduces(intents[k + j], e.instruments[intents[k + j].instrument_id])
    if e.account.state != ACTIVE and not closing:
        return TRADING_STATE
    reason = judge_market(e, intents, k)
    if reason:
        return reason
    if not closing:
        reason = judge_risk(e, intents, k)
        if reason:
            return reason
    if too_fast(e):
        return MSG_RATE
    if e.account.open_orders + n > e.gate.max_open_orders:
        return OPEN_ORDERS
    return judge_cover(e, intents, k)


@jit
def legs_formed(e: Engine, intents: Array, k: int) -> bool:
    """Are the intents from `k` on the legs of one order: options on one underlying, balanced, with one net price?"""
    first = intents[k]
    n, shared = first.legs, 0
    if not 2 <= n <= MAX_LEGS or k + n > intents.shape[0]:
        return False
    for j in range(n):
        intent = intents[k + j]
        i = intent.instrument_id
        if intent.what != NEW or intent.order_type != MLEG or (j > 0 and intent.legs != -j):
            return False
        if i < 0 or i >= e.instruments.shape[0] or (e.gate.known > 0 and i >= e.gate.known):
            return False
        it, one = e.instruments[i], e.instruments[first.instrument_id]
        if it.right == 0 or it.group != one.group or it.multiplier != one.multiplier:
            return False
        if abs(intent.side) != 1 or intent.ratio < 1 or not GTC <= intent.tif <= FOK or intent.tif != first.tif:
            return False
        units = intent.qty / intent.ratio
        if (
            not 0.0 < intent.qty < 1e15
            or abs(units * first.ratio - first.qty) > GRID
            or not on_grid(units, it.lot_size)
        ):
            return False
        if (intent.px == intent.px or first.px == first.px) and not intent.px == first.px:
            return False
        if (
            intent.px == intent.px
            and intent.px != 0.0
            and not (abs(intent.px) < 1e15 and on_grid(abs(intent.px), it.tick_size))
        ):
            return False
        for other in range(j):
            if intents[k + other].instrument_id == i:
                return False
        shared = common(shared, intent.ratio)
    return bool(shared == 1)


@jit
def common(a: int, b: int) -> int:
    """The greatest common divisor."""
    while b > 0:
        a, b = b, a % b
    return int(a)


@jit
def net_of(instruments: Array, intents: Array, k: int, which: int) -> float:
    """What a unit costs when each leg pays the side it must cross (1), the mid (0), or the side it would like (-1)."""
    net = 0.0
    for j in range(intents[k].legs):
        intent = intents[k + j]
        it = instruments[intent.instrument_id]
        px = it.mid if which == 0 else it.ask_px if intent.side * which > 0 else it.bid_px
        net += intent.side * intent.ratio * px
    return float(net)


@jit
def judge_market(e: Engine, intents: Array, k: int) -> int:
    """Fresh quotes and an open market for every leg, a net price within the collar, nothing blocked; 0 passes."""
    first = intents[k]
    n, worth = first.legs, 0.0
    for j in range(n):
        it = e.instruments[intents[k + j].instrument_id]
        two_sided = it.bid_px == it.bid_px and it.ask_px == it.ask_px
        if e.clock.now - it.quote_ts > e.gate.stale_ns or (it.phase == OPEN and not two_sided):
            return STALE_DATA
        worth += intents[k + j].ratio * it.mid
    for j in range(n):
        if e.instruments[intents[k + j].instrument_id].phase != OPEN:
            return MARKET_STATE
    px = first.px if first.px == first.px else net_of(e.instruments, intents, k, 1)
    if not abs(px - net_of(e.instruments, intents, k, 0)) <= e.gate.price_collar * worth:
        return PRICE_COLLAR
    for j in range(n):
        it = e.instruments[intents[k + j].instrument_id]
        if it.blocked and not reduces(intents[k + j], it):
            return RECONCILING
    return 0


@jit
def judge_risk(e: Engine, intents: Array, k: int) -> int:
    """Position of every leg, exposure and buying power of all, and the day's loss; 0 passes."""
    n, worst = intents[k].legs, e.account.gross
    for j in range(n):
        intent = intents[k + j]
        it = e.instruments[intent.instrument_id]
        longest = it.position + it.buying + (intent.qty if intent.side == BUY else 0.0)
        shortest = it.position - it.selling - (intent.qty if intent.side == SELL else 0.0)
        unit = it.mid * it.multiplier
        if not (longest if intent.side == BUY else -shortest) * unit <= e.gate.position_limit * e.account.equity:
            return POSITION_LIMIT
        if intent.side == SELL and not shortest >= -GRID * intent.qty and not e.gate.allow_short:
            return POSITION_LIMIT
        before = max(abs(it.position + it.buying), abs(it.position - it.selling))
        worst += (max(abs(longest), abs(shortest)) - before) * unit
    if not worst <= e.gate.gross_exposure * e.account.equity:
        return EXPOSURE
    intent = intents[k]
    units, multiplier = intent.qty / intent.ratio, e.instruments[intent.instrument_id].multiplier
    tied = most_lost(e.instruments, intents, k) * multiplier
    if not e.account.cash - e.account.buy_cost - units * tied >= e.gate.cash_reserve * e.account.equity:
        return CASH_RESERVE
    tie(intents, k, tied)
    return DAILY_LOSS if e.account.loss_day else 0


@jit
def tie(intents: Array, k: int, tied: float) -> None:
    """Charge what a unit ties up to the first leg that buys: working orders that buy count against the cash."""
    for j in range(intents[k].legs):
        intents[k + j].tied = 0.0
    for j in range(intents[k].legs):
        if intents[k + j].side == BUY:
            intents[k + j].tied = tied / intents[k + j].ratio
            return


@jit
def most_lost(instruments: Array, intents: Array, k: int) -> float:
    """The most a unit can lose at its end, per share: over all prices of the underlying, of the legs that add risk.

    What has no bound (more calls sold than bought) is left to the rule on cover: then it is what is paid.
    """
    first = intents[k]
    paid = first.px if first.px == first.px else net_of(instruments, intents, k, 1)
    least, slope = payoff(instruments, intents, k, 0.0), 0.0
    for j in range(first.legs):
        it = instruments[intents[k + j].instrument_id]
        least = min(least, payoff(instruments, intents, k, it.strike))
        if it.right > 0 and not reduces(intents[k + j], it):
            slope += intents[k + j].side * intents[k + j].ratio
    return max(0.0, paid if slope < 0.0 else paid - least)


@jit
def payoff(instruments: Array, intents: Array, k: int, px: float) -> float:
    """What a unit's legs that add risk are worth with the underlying at `px` when they end."""
    worth = 0.0
    for j in range(intents[k].legs):
        intent = intents[k + j]
        it = instruments[intent.instrument_id]
        if not reduces(intent, it):
            worth += intent.side * intent.ratio * intrinsic(it.right, it.strike, px)
    return float(worth)


@jit
def judge_cover(e: Engine, intents: Array, k: int) -> int:
    """What holds for options besides, for the whole: 0 passes. Fills in whether the legs cover each other."""
    n, px = intents[k].legs, intents[k].px
    if (px > 0.0 and net_of(e.instruments, intents, k, 1) < 0.0) or (
        px < 0.0 and net_of(e.instruments, intents, k, -1) > 0.0
    ):
        return OPTION_RULES
    for j in range(n):
        intent = intents[k + j]
        it = e.instruments[intent.instrument_id]
        if e.gate.no_flip and flips(intent, it):
            return INSUFFICIENT_QTY
        if reduces(intent, it):
            continue
        if it.last_trade > 0 and e.clock.now >= it.last_trade - e.gate.option_expiry_ns:
            return OPTION_RULES
        reach = it.position + it.buying if intent.side == BUY else it.selling - it.position
        if not reach + intent.qty <= e.gate.max_contracts:
            return OPTION_RULES
    covered = 1 if self_covered(e.instruments, intents, k, 1) and self_covered(e.instruments, intents, k, -1) else 0
    for j in range(n):
        intents[k + j].covered = covered
    if e.gate.allow_naked or covered:
        return 0
    bare = False
    for j in range(n):
        touch(e, intents[k + j].instrument_id)
        e.instruments[intents[k + j].instrument_id].position += intents[k + j].side * intents[k + j].qty
    for j in range(n):
        bare = bare or (intents[k + j].side == SELL and naked(e, intents[k + j].instrument_id))
    for j in range(n):
        e.instruments[intents[k + j].instrument_id].position -= intents[k + j].side * intents[k + j].qty
    return OPTION_RULES if bare else 0


@jit
def self_covered(instruments: Array, intents: Array, k: int, right: int) -> bool:
    """Do the legs of one right buy as many contracts as they sell, that end no earlier than any that is sold?"""
    shorts, latest = 0.0, 0
    for j in range(intents[k].legs):
        intent = intents[k + j]
        it = instruments[intent.instrument_id]
        if it.right == right and intent.side == SELL:
            shorts += intent.qty
            latest = max(latest, it.last_trade)
    for j in range(intents[k].legs):
        intent = intents[k + j]
        it = instruments[intent.instrument_id]
        if it.right == right and intent.side == BUY and it.last_trade >= latest:
            shorts -= intent.qty
    return bool(shorts <= GRID)
