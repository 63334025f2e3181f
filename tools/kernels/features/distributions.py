"""Probabilities that bulk volume classification needs, to 1e-12 of scipy's."""

import math

from gpi.tools.kernels.jit import jit

TERMS = 300  # of the continued fraction; it needs a few dozen
TINY = 1e-300


@jit
def continued_fraction(x: float, a: float, b: float) -> float:
    """The incomplete beta's continued fraction by Lentz's method (DLMF 8.17.22)."""
    c, d = 1.0, 1.0 - (a + b) * x / (a + 1.0)
    d = 1.0 / (d if abs(d) > TINY else TINY)
    value = d
    for k in range(1, TERMS):
        even = k * (b - k) * x / ((a + 2 * k - 1.0) * (a + 2 * k))
        odd = -(a + k) * (a + b + k) * x / ((a + 2 * k) * (a + 2 * k + 1.0))
        change = 1.0
        for term in (even, odd):
            d = 1.0 + term * d
            d = 1.0 / (d if abs(d) > TINY else TINY)
            c = 1.0 + term / c
            c = c if abs(c) > TINY else TINY
            change = c * d
            value *= change
        if abs(change - 1.0) < 1e-15:
            break
    return value


@jit
def incomplete_beta(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function I_x(a, b), 0 <= x <= 1 (DLMF 8.17.2)."""
    if x <= 0.0 or x >= 1.0:
        return 0.0 if x <= 0.0 else 1.0
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
        + a * math.log(x) + b * math.log(1.0 - x)
    )  # fmt: skip
    if x < (a + 1.0) / (a + b + 2.0):
        return front * continued_fraction(x, a, b) / a
    return 1.0 - front * continued_fraction(1.0 - x, b, a) / b


@jit
def within(z: float, freedom: float) -> float:
    """P(|X| < |z|) for Student's t with `freedom` degrees, the normal when they are infinite."""
    if freedom == math.inf:
        return math.erf(abs(z) / math.sqrt(2.0))
    return incomplete_beta(z * z / (freedom + z * z), 0.5, 0.5 * freedom)
