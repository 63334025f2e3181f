"""Momentum: learn online what the tick features say about the next seconds, take when it pays for the spread.

An example, no promise of profit. A linear model predicts the return of the mid over `horizon_s` in bps from
the ten tick features, standardised by running moments. It learns by normalised stochastic gradient steps
(NLMS, Widrow and Hoff 1960) and only from labels that have matured: a sample is held back until its horizon
has passed, so nothing is learned from the future. It takes liquidity when the expected edge exceeds
half-spread, fees and a margin, leaves when the horizon is over or the forecast has turned. Its own realised
P&L has momentum too: `form`, a fading mean of wins and losses, makes orders larger after wins and smaller
after losses.

Needs the ten tick features of the column `features` (`gpi featurize`).
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from gpi.formats.features import TICK_FEATURES
from gpi.formats.words import BUY, SECOND, SELL
from gpi.tools.kernels.jit import borrowing
from gpi.tools.kernels.orders import ACTIVE, OPEN, Array, take

WIDTH: Final = len(TICK_FEATURES)
PENDING: Final = 64
NEEDS: Final = (f"features[{', '.join(TICK_FEATURES)}]",)


@dataclass(frozen=True, slots=True)
class Parameters:
    """What can be set with `--param name=value`."""

    horizon_s: float = 5.0
    """Over which the return is predicted and a position held."""
    rate: float = 0.02
    """Step of the gradient, 0..1."""
    warm_up: float = 200.0
    """Matured labels before the first order."""
    margin: float = 1.5
    """Expected edge over cost."""
    size_fraction: float = 0.05
    """Equity per position, before `form`."""
    form_weight: float = 0.1
    """Of the latest win or loss in `form`."""


MEMORY: Final = np.dtype(
    (np.record, [
        *[(name, np.int64) for name in ("at", "count", "sampled", "labels", "entered")],
        ("bias", np.float64), ("form", np.float64), ("realized", np.float64), ("moments", np.float64),
        ("centre", np.float64, (WIDTH,)), ("spread", np.float64, (WIDTH,)), ("weight", np.float64, (WIDTH,)),
        ("x", np.float64, (WIDTH,)), ("when", np.int64, (PENDING,)), ("mid", np.float64, (PENDING,)),
        ("held", np.float64, (PENDING * WIDTH,)),
    ])
)  # fmt: skip
"""Ring of samples waiting for their label (`when`, `mid`, `held`), running moments, the model."""


@borrowing
def standardise(m: Any, features: Array) -> bool:
    """Write the features as z-scores, cut at 3, into `m.x`; False while any of them is undefined."""
    width = min(WIDTH, features.shape[0])
    for k in range(width):
        if not abs(features[k]) < 1e30:
            return False
    m.moments = min(m.moments + 1.0, 10_000.0)
    for k in range(width):
        away = features[k] - m.centre[k]
        m.centre[k] += away / m.moments
        m.spread[k] += (away * (features[k] - m.centre[k]) - m.spread[k]) / m.moments
        deviation = np.sqrt(m.spread[k]) if m.spread[k] > 1e-18 else 0.0
        score = (features[k] - m.centre[k]) / deviation if deviation > 0.0 else 0.0
        m.x[k] = max(-3.0, min(3.0, score))
    return bool(width > 0)


@borrowing
def learn(m: Any, p: Any, now: int, mid: float) -> None:
    """One gradient step for every sample whose horizon has passed."""
    horizon = int(p.horizon_s * SECOND)
    while m.count > 0 and now - m.when[m.at] >= horizon:
        first = m.at * WIDTH
        label = (mid / m.mid[m.at] - 1.0) * 1e4
        said, power = m.bias, 1.0
        for k in range(WIDTH):
            said += m.weight[k] * m.held[first + k]
            power += m.held[first + k] ** 2
        step = p.rate * max(-50.0, min(50.0, label - said)) / power
        m.bias += step
        for k in range(WIDTH):
            m.weight[k] += step * m.held[first + k]
        m.at = (m.at + 1) % PENDING
        m.count -= 1
        m.labels += 1


@borrowing
def hold_back(m: Any, p: Any, now: int, mid: float) -> None:
    """Keep the present sample until its label matures, at most PENDING of them in a horizon."""
    if m.count >= PENDING or now - m.sampled < int(p.horizon_s * SECOND) // (PENDING - 1):
        return
    slot = (m.at + m.count) % PENDING
    m.when[slot] = now
    m.mid[slot] = mid
    for k in range(WIDTH):
        m.held[slot * WIDTH + k] = m.x[k]
    m.count += 1
    m.sampled = now


@borrowing
def decide(
    memory: Array,
    params: Array,
    view: Array,
    inputs: Array,
    market: Array,
    orders: Array,
    n_orders: int,
    intents: Array,
) -> int:
    """Learn, predict, then enter or leave with an immediate-or-cancel order; returns the intents written."""
    v, p = view[0], params[0]
    m = memory[v.instrument_id]
    if v.phase != OPEN or not (v.bid_px == v.bid_px and v.ask_px == v.ask_px):
        return 0
    learn(m, p, v.ts, v.mid)
    if v.realized != m.realized:
        m.form += p.form_weight * ((1.0 if v.realized > m.realized else -1.0) - m.form)
        m.realized = v.realized
    if not standardise(m, inputs[0].features):
        return 0
    hold_back(m, p, v.ts, v.mid)
    edge = m.bias
    for k in range(WIDTH):
        edge += m.weight[k] * m.x[k]
    if n_orders > 0 or v.killed:
        return 0
    if v.position != 0.0:
        side = SELL if v.position > 0.0 else BUY
        if v.ts - m.entered >= int(p.horizon_s * SECOND) or side * edge > 0.0:
            return take(intents, 0, side, abs(v.position), v.bid_px if side == SELL else v.ask_px)
        return 0
    cost = 0.5 * (v.ask_px - v.bid_px) / v.mid * 1e4 + v.taker_bps
    if v.state != ACTIVE or m.labels < p.warm_up or abs(edge) <= p.margin * cost:
        return 0
    size = p.size_fraction * max(0.25, 1.0 + m.form) * v.equity / (v.mid * v.multiplier)
    if not v.lot_size < np.inf:
        return 0  # an index cannot be traded
    if v.lot_size > 0.0:
        size = np.floor(size / v.lot_size + 1e-9) * v.lot_size
    if not size > 0.0:
        return 0
    m.entered = v.ts
    side = BUY if edge > 0.0 else SELL
    return take(intents, 0, side, size, v.ask_px if side == BUY else v.bid_px)
