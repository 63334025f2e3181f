"""The account as the trader knows it: cash, positions at average cost, marks, equity rows.

Identity kept by construction and tested with decimals:
cash = start - sum(side * qty * px * multiplier) - sum(fee).
"""

import numpy as np

from gpi.formats.words import DAY_NS, MAKER, SECOND, SELL
from gpi.tools.kernels.jit import borrowing, inlined
from gpi.tools.kernels.orders import REDUCING, Array, Engine
from gpi.tools.kernels.shared import Record
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


@inlined
def booked(held: Record, multiplier: float, signed: float, px: float) -> float:
    """Fold a fill into what is held: average cost when adding, realised P&L when reducing, both when turning round.

    `held` has position, avg_px and realized; returns what was realised.
    """
    before, qty, gain = held.position, abs(signed), 0.0
    if before * signed >= 0.0:
        held.avg_px = (held.avg_px * abs(before) + px * qty) / (abs(before) + qty)
        held.position = before + signed
    else:
        closed = min(qty, abs(before))
        gain = closed * (px - held.avg_px) * multiplier * (1.0 if before > 0.0 else -1.0)
        held.realized += gain
        held.position = before + signed
        if abs(held.position) <= DUST * qty:
            held.position = 0.0
            held.avg_px = 0.0
        elif held.position * before < 0.0:
            held.avg_px = px
    return gain


@borrowing
def settle(e: Engine, i: int, book: int, side: int, qty: float, px: float, paid: float) -> None:
    """Book a fill of a book's order: in the book, in the account's sum of them, and in the cash of its currency."""
    it, cash = e.instruments[i], e.cash[e.instruments[i].currency]
    signed = side * qty
    e.account.realized += booked(it, it.multiplier, signed, px) * cash.rate
    booked(e.positions[book, i], it.multiplier, signed, px)
    e.positions[book, i].fees += paid
    moved = signed * px * it.multiplier + paid
    cash.amount -= moved
    e.account.cash -= moved * cash.rate
    e.account.fees += paid * cash.rate
    mark(e, i)


@borrowing
def mark(e: Engine, i: int) -> None:
    """Value instrument `i` at its mid; one without a mid yet is worth its cost."""
    it = e.instruments[i]
    price = it.mid if it.mid == it.mid else it.avg_px
    worth = 0.0 if it.position == 0.0 else it.position * price * it.multiplier * e.cash[it.currency].rate
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
        settle(e, i, 0, side[k], qty[k], px[k], 0.0)
        out[k] = e.account.realized - before if closes else np.nan
