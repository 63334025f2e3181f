"""Black and Scholes: price, Greeks and implied volatility of a European option without dividends.

Black, Scholes, "The Pricing of Options and Corporate Liabilities", JPE 81(3), 1973; the Greeks as in Hull, "Options,
Futures, and Other Derivatives", ch. 19. `right` is 1 for a call, -1 for a put; years and rates are per annum.
"""

import math

import numpy as np

from gpi.tools.kernels.jit import jit
from gpi.tools.kernels.orders import Array

LOWEST, HIGHEST = 1e-4, 10.0  # between them an implied volatility is looked for


@jit
def _cdf(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


@jit
def price(right: int, spot: float, strike: float, years: float, rate: float, sigma: float) -> float:
    """The value of the option."""
    spread = sigma * math.sqrt(years)
    d1 = (math.log(spot / strike) + rate * years) / spread + 0.5 * spread
    return right * (spot * _cdf(right * d1) - strike * math.exp(-rate * years) * _cdf(right * (d1 - spread)))


@jit
def implied(right: int, spot: float, strike: float, years: float, rate: float, value: float) -> float:
    """The volatility at which the option is worth `value`; NaN where there is none. By bisection: it cannot fail."""
    low, high = LOWEST, HIGHEST
    if not (spot > 0.0 and strike > 0.0 and years > 0.0):
        return np.nan
    if not price(right, spot, strike, years, rate, low) <= value <= price(right, spot, strike, years, rate, high):
        return np.nan
    for _ in range(60):
        middle = 0.5 * (low + high)
        if price(right, spot, strike, years, rate, middle) < value:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


@jit
def greeks(right: int, spot: float, strike: float, years: float, rate: float, sigma: float, out: Array) -> None:
    """delta, gamma, theta (per day), vega and rho (per percentage point) into `out` (5,)."""
    root = math.sqrt(years)
    d1 = (math.log(spot / strike) + (rate + 0.5 * sigma * sigma) * years) / (sigma * root)
    d2 = d1 - sigma * root
    density = math.exp(-0.5 * d1 * d1) / math.sqrt(2.0 * math.pi)
    later = strike * math.exp(-rate * years)
    out[0] = right * _cdf(right * d1)
    out[1] = density / (spot * sigma * root)
    out[2] = (-spot * density * sigma / (2.0 * root) - right * rate * later * _cdf(right * d2)) / 365.0
    out[3] = spot * density * root / 100.0
    out[4] = right * later * years * _cdf(right * d2) / 100.0
