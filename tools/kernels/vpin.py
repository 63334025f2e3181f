"""VPIN: how one-sided the last volume buckets were, by bulk volume classification.

Easley, Lopez de Prado & O'Hara (2012), "Flow toxicity and liquidity in a high-frequency world",
RFS 25(5). Trades are poured into buckets of equal volume V; a bucket whose price moved by d has
V * Z(d / sigma) bought and the rest sold, so |sold - bought| / V = P(|X| < |d| / sigma), and

    VPIN = sum |sold - bought| / (n V) = mean over the last n buckets of P(|X| < |d| / sigma)

with sigma the sample deviation of those same n moves: nothing later than the last bucket.
"""

import math
from typing import Any

import numpy as np

from gpi.tools.kernels.distributions import within
from gpi.tools.kernels.jit import jit

VPIN = [
    ("bucket", np.float64),  # volume; 0: not known yet
    ("poured", np.float64),  # volume in the open bucket
    ("close", np.float64),  # the last closed bucket's last price
    ("filled", np.int64),  # buckets so far
    ("sampled", np.int64),  # trades that went into finding the bucket
    ("vpin", np.float64),
]
SAMPLE = 100  # trades that fix an instrument's bucket when none is given ...
TRADES_PER_BUCKET = 50.0  # ... at this many of their mean size


@jit
def toxicity(moves: Any, freedom: float) -> float:
    """VPIN of the price moves (n,) of the last n buckets; 0 when the price stood still."""
    mean = 0.0
    for move in moves:
        mean += move / moves.size
    scatter = 0.0
    for move in moves:
        scatter += (move - mean) ** 2
    deviation = math.sqrt(scatter / (moves.size - 1))
    if deviation == 0.0:
        return 0.0
    found = 0.0
    for move in moves:
        found += within(move / deviation, freedom)
    return float(found / moves.size)


@jit
def pour(m: Any, moves: Any, price: float, size: float, freedom: float) -> None:
    """Pour one trade into the buckets; a large one fills several, all but the first unmoved."""
    if m.bucket == 0.0:
        m.sampled += 1
        m.poured += size
        if m.sampled == SAMPLE:
            m.bucket = TRADES_PER_BUCKET * m.poured / SAMPLE
            m.poured = 0.0
            m.close = price
        return
    if m.close != m.close:
        m.close = price
    m.poured += size
    if m.poured < m.bucket:
        return
    left = math.fmod(m.poured, m.bucket)
    closed = round((m.poured - left) / m.bucket)
    m.poured = left
    for _ in range(min(closed, moves.size + 1)):  # more unmoved buckets would change nothing
        moves[m.filled % moves.size] = price - m.close
        m.close = price
        m.filled += 1
    if m.filled >= moves.size:
        m.vpin = toxicity(moves, freedom)
