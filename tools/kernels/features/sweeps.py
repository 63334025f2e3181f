"""Which side a trade took, and what it did to the price: Lee-Ready signs and Kyle's lambda.

Trades of one instant are one sweep: an aggressive order that hit several resting ones moves the
price once. Lambda is the slope of the mid's move from before one sweep to before the next on the
signed size of the first, by least squares with weights that decay from sweep to sweep.
"""

import math

import numpy as np

from gpi.tools.kernels.jit import jit
from gpi.tools.kernels.shared import Record

SWEEPS = [
    ("trade_px", np.float64),
    ("uptick", np.int64),  # direction of the last change of the trade price
    ("sweeps", np.int64),
    ("sweep_time", np.int64),  # ns
    ("sweep_mid", np.float64),  # the mid before it
    ("sweep_size", np.float64),  # signed
    ("impacts", np.int64),  # pairs in the regression, and its decayed moments
    ("weight", np.float64),
    ("size_mean", np.float64),
    ("move_mean", np.float64),
    ("size_scatter", np.float64),
    ("covariation", np.float64),
]
IMPACT_DECAY = 0.995  # weight of one sweep's impact at the next sweep: a memory of 200 sweeps
IMPACTS_NEEDED = 20  # before lambda is defined


@jit
def aggressor(m: Record, side: int, price: float) -> int:
    """The side that took liquidity: as reported, else by Lee & Ready (1991).

    Above the mid before the trade it bought, below it sold; at the mid (or without one) the last
    change of the trade price decides; 0 when there has been none.
    """
    if price > m.trade_px:
        m.uptick = 1
    elif price < m.trade_px:
        m.uptick = -1
    m.trade_px = price
    if side != 0:
        return side
    if price > m.mid:
        return 1
    if price < m.mid:
        return -1
    return int(m.uptick)


@jit
def see_impact(m: Record) -> None:
    """Regress the mid's move since the last sweep on that sweep's signed size (Kyle 1985)."""
    move = m.mid - m.sweep_mid
    if not math.isfinite(move):
        return
    m.impacts += 1
    m.weight = IMPACT_DECAY * m.weight + 1.0
    deviation = m.sweep_size - m.size_mean
    m.size_mean += deviation / m.weight
    m.move_mean += (move - m.move_mean) / m.weight
    m.size_scatter = IMPACT_DECAY * m.size_scatter + deviation * (m.sweep_size - m.size_mean)
    m.covariation = IMPACT_DECAY * m.covariation + deviation * (move - m.move_mean)


@jit
def signed_size(m: Record, side: int, price: float, size: float) -> float:
    """A trade's size with its aggressor's sign, after adding it to its sweep."""
    signed = size * aggressor(m, side, price)
    if m.sweeps == 0 or m.sweep_time != m.now:
        if m.sweeps > 0:
            see_impact(m)
        m.sweeps += 1
        m.sweep_time = m.now
        m.sweep_mid = m.mid
        m.sweep_size = 0.0
    m.sweep_size += signed
    return float(signed)


@jit
def impact(m: Record) -> float:
    """Kyle's lambda: price per unit of signed size; NaN before enough sweeps of differing sizes."""
    if m.impacts < IMPACTS_NEEDED or m.size_scatter <= 0.0:
        return math.nan
    return float(m.covariation / m.size_scatter)
