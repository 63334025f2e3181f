"""VPIN: how one-sided the last volume buckets were, by bulk volume classification.

Easley, Lopez de Prado & O'Hara (2012), "Flow toxicity and liquidity in a high-frequency world",
RFS 25(5). Trades gather into bars; of a bar whose price moved by d, the share Z(d / sigma) counts
as bought and the rest as sold. Bars are poured into buckets of equal volume V, and

    VPIN = sum |sold - bought| / (n V)   over the last n full buckets.

Bars end in volume, not clock, time: at a tenth of a bucket. Sigma is the deviation of the bars'
moves so far, fading with a memory of 100 bars, so that nothing later than the bar is used.
"""

import math

import numpy as np

from gpi.tools.kernels.features.distributions import within
from gpi.tools.kernels.jit import jit
from gpi.tools.kernels.shared import Array, Record

VPIN = [
    ("bucket", np.float64),  # V, volume; 0: not known yet
    ("sampled", np.int64),  # trades that went into finding V
    ("bar_volume", np.float64),  # of the open bar
    ("close", np.float64),  # the last price of the last bar
    ("bar_weight", np.float64),  # decayed count, mean and squared deviation of the bars' moves
    ("bar_mean", np.float64),
    ("bar_scatter", np.float64),
    ("poured", np.float64),  # volume in the open bucket
    ("net", np.float64),  # bought less sold in the open bucket
    ("buckets", np.int64),  # full buckets so far
    ("vpin", np.float64),
]
SAMPLE = 100  # trades that fix an instrument's bucket when none is given ...
TRADES_PER_BUCKET = 50.0  # ... at this many of their mean size
BARS_PER_BUCKET = 10.0
BAR_DECAY = 0.99  # weight of one bar's move at the next bar


@jit
def net_share(move: float, sigma: float, freedom: float) -> float:
    """Bought less sold as a share of a bar's volume, 2 Z(move / sigma) - 1; 0 without a sigma."""
    if sigma <= 0.0:
        return 0.0
    return math.copysign(within(move / sigma, freedom), move)


@jit
def bar_sigma(m: Record, move: float) -> float:
    """The deviation of the bars' moves, this one included."""
    m.bar_weight = BAR_DECAY * m.bar_weight + 1.0
    deviation = move - m.bar_mean
    m.bar_mean += deviation / m.bar_weight
    m.bar_scatter = BAR_DECAY * m.bar_scatter + deviation * (move - m.bar_mean)
    return math.sqrt(m.bar_scatter / m.bar_weight)


@jit
def fill_bucket(m: Record, tilts: Array, i: int, net: float) -> None:
    """Close a bucket with `net` volume bought; `tilts` (instruments, n) keeps the last n."""
    tilts[i, m.buckets % tilts.shape[1]] = abs(net) / m.bucket
    m.buckets += 1


@jit
def pour(m: Record, tilts: Array, i: int, share: float, volume: float) -> None:
    """Pour a bar, `share` of it net bought, into the buckets."""
    missing = m.bucket - m.poured
    if volume < missing:
        m.poured += volume
        m.net += share * volume
        return
    fill_bucket(m, tilts, i, m.net + share * missing)
    volume -= missing
    kept = tilts.shape[1]
    for _ in range(min(int(volume // m.bucket), kept)):  # more would only overwrite these
        fill_bucket(m, tilts, i, share * m.bucket)
    m.poured = volume % m.bucket
    m.net = share * m.poured
    if m.buckets >= kept:
        m.vpin = 0.0
        for k in range(kept):
            m.vpin += tilts[i, k] / kept


@jit
def see_volume(m: Record, tilts: Array, i: int, price: float, size: float, freedom: float) -> None:
    """Add a trade to its bar, or to the sample that finds the bucket."""
    m.bar_volume += size
    if m.bucket == 0.0:
        m.sampled += 1
        if m.sampled == SAMPLE:
            m.bucket = TRADES_PER_BUCKET * m.bar_volume / SAMPLE
            m.bar_volume = 0.0
        return
    if m.close != m.close:
        m.close = price
    if m.bar_volume * BARS_PER_BUCKET >= m.bucket:
        move = price - m.close
        pour(m, tilts, i, net_share(move, bar_sigma(m, move), freedom), m.bar_volume)
        m.close = price
        m.bar_volume = 0.0
