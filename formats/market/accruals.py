"""What an account at Alpaca is charged, fill by fill and exactly: for a venue's books and a live trader's alike."""

from __future__ import annotations

from datetime import date
from decimal import ROUND_CEILING, Decimal
from functools import lru_cache
from typing import Final, NamedTuple

from gpi.formats.instruments import Instrument
from gpi.formats.market.calendar import day_of
from gpi.formats.market.fees import SCHEDULES
from gpi.formats.market.settlement import settlement
from gpi.formats.words import MAKER

CENT: Final = Decimal("0.01")
NANO: Final = Decimal("1e-9")
ZERO: Final = Decimal(0)


def charged_as(row: Instrument) -> str:
    """The schedule by which Alpaca charges trades of an instrument."""
    if row.asset_class == "index":
        return "zero"
    if row.asset_class == "option" and not settlement(row.underlying).physical:
        return "alpaca_index_option"
    return f"alpaca_{row.asset_class}"


class _Rates(NamedTuple):
    """Fees as decimals, basis points as fractions."""

    maker: Decimal
    taker: Decimal
    share: Decimal
    sold: Decimal
    activity: Decimal
    activity_cap: Decimal
    audit: Decimal
    clearing: Decimal
    clearing_cap: Decimal


@lru_cache(256)
def _rates(name: str, day: date) -> _Rates:
    fees = SCHEDULES[name].at(day)
    of_notional = (fees.maker_bps, fees.taker_bps, fees.sell_bps)
    maker, taker, sold = (Decimal(repr(bps)) / 10_000 for bps in of_notional)
    rest = (
        fees.per_share,
        fees.sell_per_share,
        fees.sell_cap,
        fees.audit_per_share,
        fees.clearing_per_share,
        fees.clearing_cap,
    )
    share, activity, activity_cap, audit, clearing, clearing_cap = (Decimal(repr(each)) for each in rest)
    return _Rates(maker, taker, share, sold, activity, activity_cap, audit, clearing, clearing_cap)


class Accrual:
    """What one account at Alpaca is charged, fill by fill, in exact decimals.

    Of every kind (ORF, section 31, TAF, CAT) a trading day's sum is rounded up to the cent, shares and options each on
    their own, so a fill costs what it adds to the rounded sums: whatever the order of the fills and however they are
    cut, a day costs the same. Clearing is rounded up fill by fill; commissions of coins are exact to nine places.
    A fill counts for the New York day of its own time, not of the time at which somebody hears of it.
    """

    def __init__(self) -> None:
        self._days: dict[tuple[str, date], list[Decimal]] = {}

    def fee(self, row: Instrument, ts: int, side: int, liquidity: int, qty: Decimal, px: Decimal) -> Decimal:
        """The fee of one fill, account currency; ts in ns, side 1 or -1, liquidity MAKER or TAKER."""
        day, name = day_of(ts), charged_as(row)
        if name == "zero":
            return ZERO
        rates, notional = _rates(name, day), qty * px * Decimal(repr(row.multiplier))
        added = [
            rates.share * qty,
            notional * rates.sold if side < 0 else ZERO,
            _capped(rates.activity * qty, rates.activity_cap) if side < 0 else ZERO,
            rates.audit * qty,
        ]
        sums = self._days.setdefault((row.asset_class, day), [ZERO] * len(added))
        before = sum(map(_up, sums), ZERO)
        sums[:] = [one + more for one, more in zip(sums, added, strict=True)]
        commission = notional * (rates.maker if liquidity == MAKER else rates.taker)
        clearing = _up(_capped(rates.clearing * qty, rates.clearing_cap))
        return (commission + sum(map(_up, sums), ZERO) - before + clearing).quantize(NANO).normalize() + ZERO


def _capped(amount: Decimal, cap: Decimal) -> Decimal:
    return min(amount, cap) if cap else amount


def _up(amount: Decimal) -> Decimal:
    return amount.quantize(CENT, ROUND_CEILING)
