"""Fees in decimals, by the words of the brokers' pages."""

from decimal import ROUND_CEILING, Decimal

from gpi.formats.market.fees import UP_EACH_DAY, UP_EACH_FILL, Fees

CENT = Decimal("0.01")


def up(amount: Decimal) -> Decimal:
    """Rounded up to the cent."""
    return amount.quantize(CENT, ROUND_CEILING)


def capped(amount: Decimal, cap: float) -> Decimal:
    """At most the cap, if there is one."""
    return min(amount, Decimal(repr(cap))) if cap else amount


def kinds(fees: Fees, sell: bool, qty: Decimal, notional: Decimal) -> list[Decimal]:
    """The charges of one fill, unrounded, one per kind."""
    rate = {name: Decimal(repr(getattr(fees, name))) for name in Fees.__slots__}
    zero = Decimal(0)
    return [
        rate["per_share"] * qty,
        notional * rate["sell_bps"] / 10_000 if sell else zero,
        capped(rate["sell_per_share"] * qty, fees.sell_cap) if sell else zero,
        rate["audit_per_share"] * qty,
        capped(rate["clearing_per_share"] * qty, fees.clearing_cap),
    ]


def charge(fees: Fees, sell: bool, maker: bool, qty: Decimal, notional: Decimal) -> Decimal:
    """The fee of one fill."""
    bps = Decimal(repr(fees.maker_bps if maker else fees.taker_bps))
    charged = kinds(fees, sell, qty, notional)
    if fees.rounding == UP_EACH_FILL:
        charged = [up(each) for each in charged]
    if fees.rounding == UP_EACH_DAY:
        charged[-1] = up(charged[-1])
    return notional * bps / 10_000 + sum(charged)


def day(fees: Fees, fills: list[tuple[bool, Decimal, Decimal]]) -> Decimal:
    """What a day of fills (sell?, qty, notional) costs where each kind is summed, then rounded up; no commissions.

    Clearing, the last kind, is rounded up fill by fill.
    """
    *daily, clearing = zip(*(kinds(fees, *fill) for fill in fills), strict=True)
    return sum((up(sum(column, Decimal(0))) for column in daily), Decimal(0)) + sum(map(up, clearing), Decimal(0))
