"""Options at the venue: fills inside the quote by an assumption that can be set, and what becomes of them at expiry.

Fills. The recorded quote cannot tell how deep inside it an order would have traded. The assumption is that of ORATS'
backtester: an order travels a fraction of the spread, from the side it would like to the side it must cross: 75 % with
one leg, 66 % with two, 56 % with three, 53 % with four or more (blog.orats.com, "The tale of two backtests", gives
the 66 % and the meaning; the other three are its documentation's figures, quoted from memory). `TRAVEL` is that
setting; 1 takes the far side, 0.5 the mid. A side that is not quoted cannot be taken: no quote, no fill. Where only
the side to be taken is quoted, it is taken as it stands. Prices are whole ticks, rounded against the order, inside
the quote.

Expiry. In the money by at least a cent, a long contract is exercised and a short one assigned (OCC's exercise by
exception). Physical delivery moves `multiplier` shares at the strike; cash settlement pays the intrinsic value of the
settlement price. Where fewer are exercised than are open, the short side is assigned at random in proportion. Before
expiry nothing is exercised, but American calls may be on the eve of an ex-dividend day (`early_assigned`).

Draws are hashes of (seed, number), so they do not depend on what was drawn before.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from gpi.tools.kernels.exchange.latency import uniform
from gpi.tools.kernels.jit import jit
from gpi.tools.kernels.orders import MAX_LEGS, PAPER, Array, record
from gpi.tools.kernels.shared import Record

TRAVEL: Final = np.array([0.75, 0.66, 0.56, 0.53])
"""The fraction of the spread an order of 1, 2, 3, 4 or more legs travels: (4,), or any length from 1 on."""
THRESHOLD: Final = 0.01
"""In the money by this much per unit of the underlying, an option is exercised at expiry without being asked."""
TINY: Final = 1e-12  # instead of nothing travelled: 0 switches fills inside the quote off
CALL, PUT = 1, -1
NOISE = 1e-9  # of a tick: what floats add to a whole tick is not a further tick

EXACT = 1e8  # ticks are whole multiples of its inverse

CONTRACT: Final = record("right american physical", "strike multiplier")
"""What an option is: right CALL or PUT, american 0/1 (early exercise), physical 0/1 (shares or cash)."""


def spread_shares(shares: Sequence[float], policy: int) -> Array:
    """What orders of 1, 2, 3, 4 legs travel under a policy (`venue.policy`): (4,); alpaca-paper takes the far side.

    Raises ValueError for what are no shares of a spread.
    """
    if not len(shares) or not all(0.0 <= share <= 1.0 for share in shares):
        raise ValueError("shares of the spread from 0 to 1, by number of legs, such as 0.75,0.66")
    found = [1.0 if policy == PAPER else float(shares[min(n, len(shares) - 1)]) for n in range(MAX_LEGS)]
    return np.array(found)


def travel_alone(shares: Array) -> float:
    """`instrument.spread_share` of an option by `spread_shares`; 0, options fill as shares do."""
    return max(float(shares[0]), TINY) if shares[0] < 1.0 else 0.0


@jit
def leg_price(side: int, bid: float, ask: float, spread_share: float, tick: float) -> float:
    """What one leg trades at: NaN where it cannot. `side` 1 buys, -1 sells; absent prices are NaN or 0."""
    here, there = (ask, bid) if side > 0 else (bid, ask)
    if not here > 0.0:
        return np.nan
    if not there > 0.0:
        return float(here)
    if bid > ask:
        return np.nan
    px = there + spread_share * (here - there)
    steps = np.ceil(px / tick - NOISE) if side > 0 else np.floor(px / tick + NOISE)
    px = np.floor(steps * tick * EXACT + 0.5) / EXACT  # the float nearest to the decimal
    return float(max(bid, min(px, ask)))


@jit
def fill_order(
    side: Array,
    ratio: Array,
    bid: Array,
    ask: Array,
    size: Array,
    qty: float,
    limit: float,
    spread_share: Array,
    tick: Array,
    prices: Array,
) -> tuple[float, float]:
    """How much of an order of n legs fills now, and at what net price per unit: all legs or none.

    `side` (n,) 1 or -1, `ratio` (n,) contracts per unit, `bid`, `ask` (n,) quotes, `size` (n,) contracts displayed on
    the side each leg takes (inf: do not look), `qty` units wanted, `limit` the highest net debit accepted (a credit is
    negative; NaN: a market order), `tick` (n,). Writes each leg's price into `prices` (n,). Returns (units, net);
    (0, NaN) where a leg has no quote, the net price is beyond the limit, or no whole unit is displayed.
    """
    n = side.shape[0]
    step = spread_share[min(n, spread_share.shape[0]) - 1]
    net, units, noise = 0.0, qty, 0.0
    for k in range(n):
        px = leg_price(side[k], bid[k], ask[k], step, tick[k])
        if px != px:
            return 0.0, np.nan
        prices[k] = px
        net += side[k] * ratio[k] * px
        noise += ratio[k] * NOISE * tick[k]
        if not size[k] >= ratio[k]:  # NaN too
            return 0.0, np.nan
        units = min(units, np.floor(size[k] / ratio[k]))
    if not units > 0.0 or net > limit + noise:
        return 0.0, np.nan
    return float(units), float(net)


@jit
def intrinsic(right: int, strike: float, px: float) -> float:
    """What exercising one unit of the underlying is worth at this price."""
    return float(max(0.0, right * (px - strike)))


@jit
def exercised(right: int, strike: float, px: float) -> bool:
    """Is it exercised at expiry without being asked?"""
    return intrinsic(right, strike, px) >= THRESHOLD - NOISE


@jit
def expire(contract: Record, position: float, assigned: float, px: float) -> tuple[float, float]:
    """(cash, shares) that a position of `position` contracts becomes at expiry with the underlying at `px`.

    `contract` is a CONTRACT record. `px` is the settlement price: the close, or for AM-settled indices the special
    opening quotation. `assigned` is how many of a short position's contracts were (see `assigned_of`); ignored for
    long ones, which exercise by exception, and for cash settlement, where everybody is paid.
    """
    worth = intrinsic(contract.right, contract.strike, px)
    if not contract.physical:
        return float(position * worth * contract.multiplier), 0.0
    if not exercised(contract.right, contract.strike, px):
        return 0.0, 0.0
    gone = position if position > 0.0 else -min(assigned, -position)
    shares = gone * contract.right * contract.multiplier
    return float(0.0 - shares * contract.strike), float(shares)


@jit
def assigned_of(short: int, open_interest: int, exercises: int, seed: int, number: int) -> int:
    """How many of our `short` contracts are among those drawn for `exercises`, out of `open_interest` short in all.

    Every open contract is equally likely, without replacement (the hypergeometric distribution). `number` is that
    of the draw: one a contract and day.
    """
    left, drawn, ours = open_interest, min(exercises, open_interest), 0
    for k in range(min(short, open_interest)):
        if uniform(seed, (number << 20) + k, 0) * left < drawn:
            ours += 1
            drawn -= 1
        left -= 1
    return ours


@jit
def early_assigned(
    contract: Record, short: int, spot: float, px: float, dividend: float, hazard: float, seed: int, number: int
) -> int:
    """How many of our `short` calls are assigned on the eve of an ex-dividend day.

    Holders of American calls gain by exercising when the dividend exceeds the time value left in the price `px`;
    each that does so finds one of our contracts with probability `hazard` (0 switches it off).
    """
    if not contract.american or contract.right != CALL or hazard <= 0.0:
        return 0
    worth = intrinsic(contract.right, contract.strike, spot)
    if worth < THRESHOLD or not dividend > px - worth:
        return 0
    ours = 0
    for k in range(short):
        if uniform(seed, (number << 20) + k, 1) < hazard:
            ours += 1
    return ours
