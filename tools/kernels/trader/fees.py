"""Charging a fill: every kind of fee on its own, capped per fill, rounded as the broker rounds.

`fees` is any record with the fields of `gpi.formats.market.fees.Fees`
(`sell_cap audit_per_share clearing_per_share clearing_cap rounding` besides the five it always had). `charge` is the
drop-in for `gpi.tools.kernels.trader.account.fee`; where the broker rounds per day, `accrue` books the same fees so
that at every moment of the day the sum charged is the sum accrued, rounded up: what Alpaca shows at the day's end,
without a correction then, and whatever the order of fills. Clearing is rounded fill by fill even then, as Alpaca books
it.
"""

from typing import Final

import numpy as np

from gpi.formats.words import MAKER, SELL
from gpi.tools.kernels.jit import borrowing
from gpi.tools.kernels.orders import Array, record
from gpi.tools.kernels.shared import Record

NAMES: Final = (
    "maker_bps", "taker_bps", "per_share", "sell_bps", "sell_per_share", "sell_cap", "audit_per_share",
    "clearing_per_share", "clearing_cap",
)  # fmt: skip
FEES: Final = record("rounding", " ".join(NAMES))
"""One record of `gpi.formats.market.fees.Fees`."""
TALLY: Final = record("day", "levy section_31 activity audit")
"""What has been accrued on `day` (any day number), per kind, unrounded."""

EXACT, UP_EACH_FILL, UP_EACH_DAY = 0, 1, 2  # gpi.formats.market.fees; a test compares them
CENT_NOISE = 1e-9  # cents: far below what a rate times a price can miss a cent by, far above what floats do


def fees_record(values: dict[str, float]) -> Array:
    """One FEES record, shape (1,), of `dataclasses.asdict(fees)`."""
    made = np.zeros(1, FEES)
    for name, value in values.items():
        made[0][name] = value
    return made


@borrowing
def cents_up(amount: float) -> float:
    """An amount rounded up to the cent; what float noise adds to a whole cent is not a further cent."""
    cents = amount * 100.0
    return float(np.ceil(cents - CENT_NOISE - 1e-14 * abs(cents)) / 100.0)


@borrowing
def levies(fees: Record, side: int, qty: float, notional: float) -> tuple[float, float, float, float, float]:
    """The unrounded charges of a fill: per share, section 31, activity (TAF), audit trail, clearing."""
    section_31, activity = 0.0, 0.0
    if side == SELL:
        section_31 = notional * fees.sell_bps * 1e-4
        activity = fees.sell_per_share * qty
        if fees.sell_cap > 0.0 and activity > fees.sell_cap:
            activity = fees.sell_cap
    clearing = fees.clearing_per_share * qty
    if fees.clearing_cap > 0.0 and clearing > fees.clearing_cap:
        clearing = fees.clearing_cap
    return fees.per_share * qty, section_31, activity, fees.audit_per_share * qty, clearing


@borrowing
def commission(fees: Record, liquidity: int, notional: float) -> float:
    """Maker or taker basis points of the notional; negative is a rebate. Never rounded."""
    return float(notional * (fees.maker_bps if liquidity == MAKER else fees.taker_bps) * 1e-4)


@borrowing
def charge(fees: Record, side: int, liquidity: int, qty: float, notional: float) -> float:
    """The fee of one fill in account currency; negative is a rebate.

    `qty` in shares or contracts, `notional` = qty x price x multiplier. Rounded when `fees.rounding` says so per fill;
    fees that are rounded per day are left exact here (see `accrue`), but for clearing.
    """
    paid = commission(fees, liquidity, notional)
    a, b, c, d, e = levies(fees, side, qty, notional)
    if fees.rounding == UP_EACH_FILL:
        return float(paid + cents_up(a) + cents_up(b) + cents_up(c) + cents_up(d) + cents_up(e))
    return float(paid + a + b + c + d + (cents_up(e) if fees.rounding == UP_EACH_DAY else e))


@borrowing
def accrue(fees: Record, tally: Record, day: int, side: int, liquidity: int, qty: float, notional: float) -> float:
    """The fee of one fill where the broker rounds what a day has accrued; otherwise the same as `charge`.

    `tally` is a TALLY record, of this account; a new `day` empties it. The charges of a day add up to its
    accrued fees, each kind rounded up to the cent, after every fill; clearing is rounded fill by fill.
    """
    if fees.rounding != UP_EACH_DAY:
        return charge(fees, side, liquidity, qty, notional)
    if tally.day != day:
        tally.day = day
        tally.levy, tally.section_31, tally.activity, tally.audit = 0.0, 0.0, 0.0, 0.0
    before = _rounded(tally)
    a, b, c, d, e = levies(fees, side, qty, notional)
    tally.levy += a
    tally.section_31 += b
    tally.activity += c
    tally.audit += d
    return float(commission(fees, liquidity, notional) + _rounded(tally) - before + cents_up(e))


@borrowing
def _rounded(tally: Record) -> float:
    both = cents_up(tally.levy) + cents_up(tally.audit)
    return float(both + cents_up(tally.section_31) + cents_up(tally.activity))
