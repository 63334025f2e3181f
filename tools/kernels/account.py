"""The account as the trader knows it: cash, positions at average cost, marks, equity rows.

Identity kept by construction and tested with decimals:
cash = start - sum(side * qty * px * multiplier) - sum(fee).
"""

import numpy as np

from gpi.tools.kernels.jit import borrowing
from gpi.tools.kernels.orders import DAY_NS, MAKER, REDUCING, SECOND, SELL, Array

DUST = 1e-9  # of a fill: what floats leave of a closed position


@borrowing
def fee(desk: Array, side: int, liquidity: int, qty: float, notional: float) -> float:
    """The venue's fee for a fill in account currency; negative is a rebate."""
    d = desk[0]
    bps = d.maker_bps if liquidity == MAKER else d.taker_bps
    charge = d.per_share * qty
    if side == SELL:
        bps = bps + d.sell_bps
        charge = charge + d.sell_per_share * qty
    return float(notional * bps * 1e-4 + charge)


@borrowing
def settle(desk: Array, instruments: Array, i: int, side: int, qty: float, px: float, paid: float) -> None:
    """Book a fill: average cost when adding, realised P&L when reducing, both when turning round."""
    d, it = desk[0], instruments[i]
    held, signed = it.position, side * qty
    if held * signed >= 0.0:
        it.avg_px = (it.avg_px * abs(held) + px * qty) / (abs(held) + qty)
        it.position = held + signed
    else:
        closed = min(qty, abs(held))
        gain = closed * (px - it.avg_px) * it.multiplier * (1.0 if held > 0.0 else -1.0)
        it.realized += gain
        d.realized += gain
        it.position = held + signed
        if abs(it.position) <= DUST * qty:
            it.position = 0.0
            it.avg_px = 0.0
        elif it.position * held < 0.0:
            it.avg_px = px
    d.cash -= signed * px * it.multiplier + paid
    d.fees += paid
    mark(desk, instruments, i)


@borrowing
def mark(desk: Array, instruments: Array, i: int) -> None:
    """Value instrument `i` at its mid; one without a mid yet is worth its cost."""
    d, it = desk[0], instruments[i]
    price = it.mid if it.mid == it.mid else it.avg_px
    worth = 0.0 if it.position == 0.0 else it.position * price * it.multiplier
    d.holdings += worth - it.value
    d.exposure += abs(worth) - abs(it.value)
    it.value = worth
    d.equity = d.cash + d.holdings
    if d.equity > d.peak:
        d.peak = d.equity


@borrowing
def new_day(desk: Array, now: int) -> None:
    """Start the daily loss afresh when the event time enters another UTC day.

    The day is measured from the last equity of the day before, so that a gap overnight counts: call it before
    anything of the new day is booked or marked.
    """
    d = desk[0]
    day = now // DAY_NS
    if day != d.day:
        d.day = day
        d.day_equity = d.equity
        d.loss_day = 0


@borrowing
def watch_loss(desk: Array) -> None:
    """Latch the daily loss: from the breach to the end of the UTC day only reductions pass."""
    d = desk[0]
    if d.loss_day == 0 and not d.day_equity - d.equity <= d.daily_loss * d.day_equity:
        d.loss_day = 1


@borrowing
def trading_state(desk: Array) -> int:
    """The state a strategy sees: the operator's, or REDUCING after a daily loss."""
    d = desk[0]
    return int(max(d.state, REDUCING if d.loss_day else 0))


@borrowing
def snapshot(desk: Array, instruments: Array, equity_out: Array) -> None:
    """Write an equity row, after summing the holdings again so that float drift cannot grow."""
    d = desk[0]
    holdings, exposure = 0.0, 0.0
    for i in range(instruments.shape[0]):
        holdings += instruments[i].value
        exposure += abs(instruments[i].value)
    d.holdings = holdings
    d.exposure = exposure
    d.equity = d.cash + holdings
    out = equity_out[d.n_equity]
    out.ts_event = d.now
    out.cash = d.cash
    out.equity = d.equity
    out.exposure = exposure
    out.realized = d.realized
    out.fees = d.fees
    out.drawdown = 1.0 - d.equity / d.peak if d.peak > 0.0 else 0.0
    d.n_equity += 1
    d.second = d.now // SECOND
    d.filled = 0


@borrowing
def closing_gains(
    desk: Array, instruments: Array, instrument_id: Array, side: Array, qty: Array, px: Array, out: Array
) -> None:
    """The realised P&L of each fill before fees; NaN where it closes nothing. Takes fresh records."""
    for k in range(out.shape[0]):
        i = instrument_id[k]
        closes = instruments[i].position * side[k] < 0.0
        before = desk[0].realized
        settle(desk, instruments, i, side[k], qty[k], px[k], 0.0)
        out[k] = desk[0].realized - before if closes else np.nan
