"""Option fills and expiries in decimals, by the words of the module."""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import NamedTuple

CENT = Decimal("0.01")
ZERO = Decimal(0)


class Leg(NamedTuple):
    """One leg of an order; a price of None is a side nobody quotes."""

    side: int
    ratio: int
    bid: Decimal | None
    ask: Decimal | None
    size: int


def leg_price(leg: Leg, spread_share: Decimal, tick: Decimal) -> Decimal | None:
    """None: cannot trade."""
    taken = leg.ask if leg.side > 0 else leg.bid
    if taken is None:
        return None
    if leg.bid is None or leg.ask is None:
        return taken
    if leg.bid > leg.ask:
        return None
    spread = leg.ask - leg.bid
    raw = leg.bid + spread_share * spread if leg.side > 0 else leg.ask - spread_share * spread
    steps = (raw / tick).to_integral_value(ROUND_CEILING if leg.side > 0 else ROUND_FLOOR)
    return min(steps * tick, leg.ask) if leg.side > 0 else max(steps * tick, leg.bid)


def fill_order(
    legs: list[Leg], qty: int, limit: Decimal | None, spread_share: list[Decimal], tick: Decimal
) -> tuple[int, list[Decimal]]:
    """Units filled, and each leg's price."""
    step = spread_share[min(len(legs), len(spread_share)) - 1]
    prices = [leg_price(leg, step, tick) for leg in legs]
    units = min(qty, *(leg.size // leg.ratio for leg in legs))
    if any(px is None for px in prices) or units == 0:
        return 0, []
    known = [px for px in prices if px is not None]
    net = sum((leg.side * leg.ratio * px for leg, px in zip(legs, known, strict=True)), ZERO)
    return (0, []) if limit is not None and net > limit else (units, known)


def expire(
    call: bool, physical: bool, strike: Decimal, multiplier: int, position: int, px: Decimal
) -> tuple[Decimal, int]:
    """(cash, shares); every short contract in the money is assigned."""
    worth = max(ZERO, px - strike if call else strike - px)
    if not physical:
        return position * worth * multiplier, 0
    if worth < CENT:
        return ZERO, 0
    shares = position * multiplier * (1 if call else -1)
    return -shares * strike, shares
