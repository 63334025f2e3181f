"""Scenarios: what kind of market is simulated. Frozen numbers; `dataclasses.replace` makes another.

The defaults are a calm day of a large US share, set by comparison with the LOBSTER samples of AMZN and AAPL
of 2012-06-21 (docs/market.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from gpi.formats.errors import UsageError


@dataclass(frozen=True, slots=True)
class Scenario:
    """A market. Times are seconds of event time, moves fractions, distances gaps (usual space of levels).

    Session volatility, arrival rates and shares are means; every symbol has its own mood and hour of the day.
    """

    name: str = "calm"

    # the listing, drawn per symbol from its name and the seed
    price_low: float = 40.0  # dollars
    price_high: float = 400.0
    tick_size: float = 0.01
    gap_bps: float = 0.9  # a gap, in basis points of the price; never less than a tick
    rate: float = 6.0  # events per second and symbol, in the mean
    rate_spread: float = 0.5  # the symbols' rates are rate * exp(+-rate_spread)

    # arrivals: shares of all events set off by others, and how fast the excitement fades (per second)
    fast_share: float = 0.6
    fast_decay: float = 1000.0
    slow_share: float = 0.28
    slow_decay: float = 0.3
    u_shape: float = 0.5  # activity 1 + u at the ends of a session, 1 - u/2 in its middle
    session_s: float = 23_400.0

    # the value traders lean towards
    volatility: float = 0.012  # of the value over a session
    beta: float = 0.75  # correlation of a symbol's value with the common factor
    cell_s: float = 1.0  # grid of the random walks
    mood_rate: float = 1e-3  # per cell: how fast log-volatility comes back
    mood_common: float = 0.02  # its noise per cell, shared by all symbols
    mood_own: float = 0.015  # and each symbol's own
    grip: float = 7.0  # gaps between mid and value at which everybody informed leans one way
    informed: float = 0.12  # share of market orders that follow the value when it leans fully
    alarm: float = 10.0  # times that lean at which activity and informed orders stop growing
    tilt: float = 0.75  # how far limit orders and cancels lean

    # the flow
    market: float = 0.07  # share of market orders
    contagion: float = 0.8  # how much trades breed trades
    persist: float = 0.95  # chance that the parent order that traded last trades again
    parent_tail: float = 1.5  # Pareto exponent of a parent's number of trades
    sweep: float = 0.02  # share of market orders that may walk the book
    inside: float = 0.24  # chance of a limit order inside a wide spread
    width: float = 6.0  # gaps: a spread that is neither narrow nor wide
    join: float = 0.25  # share of limit orders at levels that stand
    reach: float = 2.2  # mean distance behind the best of new limit orders, gaps, and of cancels, levels
    fickle: float = 1.0  # cancels per limit order on a side with levels a gap apart
    fade: float = 0.8  # least share of a level that a cancel takes
    resilience: float = 0.4  # how much liquidity refills the side that was just taken
    lot: float = 100.0  # shares
    crumb: float = 0.05  # lots: what a cancel leaves less than, it takes along

    # the shock
    hit: int = 0  # how many of the first symbols it happens to; 0: all
    shock_s: float = 60.0
    news: float = 0.0  # the value moves by this at once, for good
    programme: float = 0.0  # a parent order trades until the mid has moved by this
    programme_s: float = 600.0  # or this long
    programme_share: float = 0.1  # of the events are its market orders
    programme_size: float = 2.0  # lots each
    withdrawal: float = 0.3  # share of limit orders in its way that become cancels
    shock_pace: float = 3.0  # times as many events while it runs

    # price bands (Limit Up-Limit Down); 0: none
    band: float = 0.0
    limit_s: float = 15.0  # in the limit state before a pause
    clear_s: float = 1.0  # out of it before that is forgotten
    pause_s: float = 300.0
    reference_s: float = 300.0  # memory of the reference price


SCENARIOS: Final = {
    "calm": Scenario(),
    "flash-crash": Scenario(name="flash-crash", news=-0.02, programme=-0.06),
    "halt": Scenario(name="halt", hit=1, news=-0.09, programme=-0.07, programme_s=60.0, band=0.05, alarm=60.0),
}


def scenario(name: str) -> Scenario:
    """The scenario of this name. Raises UsageError, naming the nearest."""
    if name not in SCENARIOS:
        near = get_close_matches(name, SCENARIOS, 1, 0.0)[0]
        raise UsageError(f"there is no scenario {name!r}: did you mean {near!r}? (known: {', '.join(SCENARIOS)})")
    return SCENARIOS[name]
