"""Spreads: what options on one underlying tie up together, where some cover others.

Alone, a long option ties up its value, a short one what `margin.short_option` says. Together they tie up no more than
can be lost: the worst that all of them can be worth at their end, over all strikes, and what they are worth now on
top, for that is in the equity. Calls sold and covered by nothing have no worst, and stay by themselves.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

from gpi.formats.instruments import Instrument
from gpi.tools.venue.money import ZERO, exact


class Holding(NamedTuple):
    """So many contracts (signed), worth `price` each per share, tying up `alone` by themselves."""

    option: Instrument
    qty: Decimal
    price: Decimal
    alone: Decimal


def together(holdings: Iterable[Holding]) -> Decimal:
    """What they tie up, underlying by underlying."""
    groups: dict[str, list[Holding]] = defaultdict(list)
    for each in holdings:
        groups[each.option.underlying].append(each)
    return sum((_group(held) for held in groups.values()), ZERO)


def _group(held: list[Holding]) -> Decimal:
    alone = sum((each.alone for each in held), ZERO)
    if all(each.qty > 0 for each in held) or _calls(held) < 0:
        return alone
    value = sum((each.qty * each.price * exact(each.option.multiplier) for each in held), ZERO)
    strikes = {ZERO, *(exact(each.option.strike) for each in held)}
    worst = min(_worth_at(held, spot) for spot in strikes)
    return min(alone, value - min(ZERO, worst))


def _calls(held: list[Holding]) -> Decimal:
    """How many shares rise with them for ever: below zero, the loss has no end."""
    return sum((each.qty * exact(each.option.multiplier) for each in held if each.option.right == "C"), ZERO)


def _worth_at(held: list[Holding], spot: Decimal) -> Decimal:
    """All of them at their end."""
    total = ZERO
    for each in held:
        apart = spot - exact(each.option.strike) if each.option.right == "C" else exact(each.option.strike) - spot
        total += each.qty * max(ZERO, apart) * exact(each.option.multiplier)
    return total
