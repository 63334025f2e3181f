"""Scenarios: what kind of market is simulated. Frozen numbers; `dataclasses.replace` makes another.

The defaults are a calm day of a large US share, set by comparison with the LOBSTER samples of AMZN and AAPL of
2012-06-21 (docs/market.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from gpi.formats.errors import UsageError


@dataclass(frozen=True, slots=True)
class Scenario:
    """A market. Times in seconds of event time, moves as fractions, distances in gaps (the usual space of levels)."""

    name: str = "calm"

    # the listing, drawn per symbol from its name and the seed
    price_low: float = 40.0  # dollars
    price_high: float = 400.0
    tick_size: float = 0.01
    gap_bps: float = 0.9  # a gap, in basis points of the price; never less than a tick
    rate: float = 6.0  # events per second and symbol, in the mean
    rate_spread: float = 0.5  # the symbols' rates are rate * exp(+-rate_spread)

    # arrivals: shares of all events set off by others, and how fast the excitement fades (per second)
    fast_share: float = 0.55
    fast_decay: float = 150.0
    slow_share: float = 0.25
    slow_decay: float = 0.3
    u_shape: float = 0.0  # activity 1 + u at the ends of a session, 1 - u/2 in its middle
    session_s: float = 23_400.0

    # the value traders lean towards
    volatility: float = 0.012  # of the value over a session
    beta: float = 0.6  # correlation of a symbol's value with the common factor
    cell_s: float = 1.0  # grid of the random walks
    mood_rate: float = 1e-3  # per cell: how fast log-volatility comes back
    mood_common: float = 0.012  # its noise per cell, shared by all symbols
    mood_own: float = 0.012  # and each symbol's own
    grip: float = 12.0  # gaps between mid and value at which everybody informed leans one way
    informed: float = 0.35  # share of market orders that follow the value when it leans fully
    tilt: float = 0.35  # how far limit orders and cancels lean

    # the flow
    market: float = 0.07  # share of market orders
    contagion: float = 0.8  # how much trades breed trades
    persist: float = 0.6  # chance that the parent order that traded last trades again
    parent_tail: float = 1.5  # Pareto exponent of a parent's number of trades
    sweep: float = 0.1  # share of market orders that may walk the book
    inside: float = 0.5  # chance of a limit order inside a wide spread
    width: float = 4.0  # gaps: a spread that is neither narrow nor wide
    join: float = 0.35  # share of limit orders at levels that stand
    reach: float = 3.0  # median distance behind the best, gaps
    rank: float = 0.45  # chance that a cancel looks one level deeper
    levels: float = 24.0  # levels a side tends to hold
    resilience: float = 0.3  # how much liquidity refills the side that was just taken
    lot: float = 100.0  # shares
    crumb: float = 0.05  # lots: what a cancel leaves less than, it takes along

    # the shock
    hit: int = 0  # how many of the first symbols it happens to; 0: all
    shock_s: float = 60.0
    news: float = 0.0  # the value moves by this at once, for good
    programme: float = 0.0  # a parent order trades until the mid has moved by this
    programme_s: float = 600.0  # or this long
    programme_share: float = 0.4  # of the events are its market orders
    programme_size: float = 4.0  # times as large as others'
    withdrawal: float = 0.8  # share of limit orders in its way that become cancels
    shock_pace: float = 6.0  # times as many events while it runs

    # price bands (Limit Up-Limit Down); 0: none
    band: float = 0.0
    limit_s: float = 15.0  # in the limit state before a pause
    pause_s: float = 300.0
    reference_s: float = 300.0  # memory of the reference price


SCENARIOS: Final = {
    "calm": Scenario(),
    "flash-crash": Scenario(name="flash-crash", news=-0.02, programme=-0.06),
    "halt": Scenario(name="halt", hit=1, news=-0.09, band=0.05, grip=6.0),
}


def scenario(name: str) -> Scenario:
    """The scenario of this name. Raises UsageError, naming the nearest."""
    if name not in SCENARIOS:
        near = get_close_matches(name, SCENARIOS, 1, 0.0)[0]
        raise UsageError(f"there is no scenario {name!r}: did you mean {near!r}? (known: {', '.join(SCENARIOS)})")
    return SCENARIOS[name]
