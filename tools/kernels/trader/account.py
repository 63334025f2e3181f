"""The account as the trader knows it: cash, positions at average cost, marks, equity rows.

Identity kept by construction and tested with decimals:
cash = start - sum(side * qty * px * multiplier) - sum(fee).
"""

import numpy as np

from gpi.formats.words import DAY_NS, MAKER, SECOND, SELL
from gpi.tools.kernels.jit import borrowing
from gpi.tools.kernels.orders import REDUCING, Array, Engine
from gpi.tools.kernels.trader.exposure import total, touch, weigh

DUST = 1e-9  # of a fill: what floats leave of a closed position


@borrowing
def fee(e: Engine, side: int, liquidity: int, qty: float, notional: float) -> float:
    """The venue's fee for a fill in account currency; negative is a rebate."""
    bps = e.fees[0].maker_bps if liquidity == MAKER else e.fees[0].taker_bps
    charge = e.fees[0].per_share * qty
    if side == SELL:
        bps = bps + e.fees[0].sell_bps
        charge = charge + e.fees[0].sell_per_share * qty
    return float(notional * bps * 1e-4 + charge)


@borrowing
def settle(e: Engine, i: int, side: int, qty: float, px: float, paid: float) -> None:
    """Book a fill: average cost when adding, realised P&L when reducing, both when turning round."""
    it = e.instruments[i]
    held, signed = it.position, side * qty
    if held * signed >= 0.0:
        it.avg_px = (it.avg_px * abs(held) + px * qty) / (abs(held) + qty)
        it.position = held + signed
    else:
        closed = min(qty, abs(held))
        gain = closed * (px - it.avg_px) * it.multiplier * (1.0 if held > 0.0 else -1.0)
        it.realized += gain
        e.account.realized += gain
        it.position = held + signed
        if abs(it.position) <= DUST * qty:
            it.position = 0.0
            it.avg_px = 0.0
        elif it.position * held < 0.0:
            it.avg_px = px
    e.account.cash -= signed * px * it.multiplier + paid
    e.account.fees += paid
    mark(e, i)


@borrowing
def mark(e: Engine, i: int) -> None:
    """Value instrument `i` at its mid; one without a mid yet is worth its cost."""
    it = e.instruments[i]
    price = it.mid if it.mid == it.mid else it.avg_px
    worth = 0.0 if it.position == 0.0 else it.position * price * it.multiplier
    e.account.holdings += worth - it.value
    e.account.exposure += abs(worth) - abs(it.value)
    it.value = worth
    if it.position != 0.0:
        touch(e, i)
    if it.reach != 0.0 or it.position != 0.0 or it.position != e.market[i].position or it.n_buys > 0 or it.n_sells > 0:
        weigh(e, i)
    e.account.equity = e.account.cash + e.account.holdings
    if e.account.equity > e.account.peak:
        e.account.peak = e.account.equity


@borrowing
def new_day(e: Engine, now: int) -> None:
    """Start the daily loss afresh when the event time enters another UTC day.

    The day is measured from the last equity of the day before, so that a gap overnight counts: call it before
    anything of the new day is booked or marked.
    """
    day = now // DAY_NS
    if day != e.clock.day:
        e.clock.day = day
        e.account.day_equity = e.account.equity
        e.account.loss_day = 0


@borrowing
def watch_loss(e: Engine) -> None:
    """Latch the daily loss: from the breach to the end of the UTC day only reductions pass."""
    if (
        e.account.loss_day == 0
        and not e.account.day_equity - e.account.equity <= e.gate.daily_loss * e.account.day_equity
    ):
        e.account.loss_day = 1


@borrowing
def trading_state(e: Engine) -> int:
    """The state a strategy sees: the operator's, or REDUCING after a daily loss."""
    return int(max(e.account.state, REDUCING if e.account.loss_day else 0))


@borrowing
def snapshot(e: Engine) -> None:
    """Write an equity row, after summing the holdings again so that float drift cannot grow."""
    total(e)
    e.account.equity = e.account.cash + e.account.holdings
    out = e.equity[e.cursor.n_equity]
    out.ts_event = e.clock.now
    out.cash = e.account.cash
    out.equity = e.account.equity
    out.exposure = e.account.exposure
    out.realized = e.account.realized
    out.fees = e.account.fees
    out.drawdown = 1.0 - e.account.equity / e.account.peak if e.account.peak > 0.0 else 0.0
    e.cursor.n_equity += 1
    e.clock.second = e.clock.now // SECOND
    e.account.filled = 0


@borrowing
def closing_gains(e: Engine, instrument_id: Array, side: Array, qty: Array, px: Array, out: Array) -> None:
    """The realised P&L of each fill before fees; NaN where it closes nothing. Takes fresh records."""
    for k in range(out.shape[0]):
        i = instrument_id[k]
        closes = e.instruments[i].position * side[k] < 0.0
        before = e.account.realized
        settle(e, i, side[k], qty[k], px[k], 0.0)
        out[k] = e.account.realized - before if closes else np.nan
