"""When things happen on a simulated market, and what they are worth.

Every symbol draws from a generator of its own and the common factor from another, on a fixed grid of cells,
so that the path of a symbol does not depend on who else is simulated nor on how the stream is cut.
"""

import math
from typing import Any

import numpy as np

from gpi.tools.kernels.chance import normal, uniform
from gpi.tools.kernels.jit import inlined, jit
from gpi.tools.kernels.shared import Record

SYMBOL = np.dtype(
    (
        np.record,
        [
            ("rng", "i8"),
            ("rate", "f8"),  # events per second in an ordinary moment
            ("gap", "f8"),  # usual distance between levels, ticks
            ("sigma", "f8"),  # volatility of the value per square root of a cell
            ("beta", "f8"),  # correlation of the value with the factor
            ("lot", "i8"),  # shares
            ("per_unit", "f8"),  # ticks per unit of currency
            ("hit", "i8"),  # 1: the shock happens to this symbol
            ("ts", "i8"),  # of its last event, ns
            ("cell", "i8"),
            ("cell_end", "i8"),  # ns
            ("fast", "f8"),  # excitations, events per second
            ("slow", "f8"),
            ("alarm", "f8"),  # how far from its value it is quoted, 1 .. the scenario's alarm
            ("heat", "f8"),  # share of trades among recent events
            ("echo", "f8"),  # sign of recent trades
            ("value", "f8"),  # ticks
            ("seen", "f8"),  # the factor when `value` last moved
            ("mood", "f8"),  # log of its own part of the volatility
            ("pace", "f8"),  # volatility and activity now, 1 in the mean
            ("left", "i8"),  # shares a sweeping order still wants
            ("left_row", "i8"),
            ("parent", "i8"),  # parent order that traded last
            ("phase", "i8"),
            ("shock", "i8"),  # 0 to come, 1 the programme runs, 2 over
            ("anchor", "f8"),  # mid when the shock began, ticks
            ("until", "i8"),  # the programme's last moment, ns
            ("reference", "f8"),  # price bands lie around it, ticks
            ("adopted", "i8"),  # when it was taken, ns
            ("limit_since", "i8"),  # limit state since, ns; 0: not in it
            ("limit_last", "i8"),  # its last moment so far, ns
            ("mean_px", "f8"),  # fading sum of trade prices and their number
            ("mean_n", "f8"),
            ("mean_ts", "i8"),
            ("key", "i8"),  # what the last event did: level, trade and how it is told
            ("row", "i8"),  # where `key` stands: 0 bids, 1 asks
            ("trade_key", "i8"),
            ("trade_sz", "i8"),
            ("trade_side", "i8"),
        ],
    )
)
MARKET = np.dtype(
    (
        np.record,
        [("rng", "i8"), ("cell", "i8"), ("factor", "f8"), ("mood", "f8"), ("pace", "f8"), ("seq", "i8")],
    )
)
NS = 1e-9


@jit
def tomorrow(market: Record, p: Record, cell: int) -> None:
    """Carry the common factor and the common log-volatility to `cell`."""
    while market.cell < cell:
        market.cell += 1
        market.factor += normal(market) * math.sqrt(market.pace)
        market.mood += -p.mood_rate * market.mood + p.mood_common * normal(market)
        market.pace = math.exp(market.mood)


@jit
def revalue(m: Record, market: Record, p: Record, cell: int) -> None:
    """Carry a symbol's log-volatility and value to `cell`; the cells it slept through are one step."""
    slept = float(cell - m.cell)
    m.cell, m.cell_end = cell, p.start + (cell + 1) * p.cell_ns
    keep = math.exp(-p.mood_rate * slept)
    m.mood = m.mood * keep + p.mood_own / math.sqrt(2.0 * p.mood_rate) * math.sqrt(1.0 - keep * keep) * normal(m)
    m.pace = math.exp(m.mood) * market.pace * hour_of(p, cell)
    own = normal(m) * math.sqrt(slept * m.pace * (1.0 - m.beta * m.beta))
    m.value += m.value * m.sigma * (own + m.beta * (market.factor - m.seen))
    m.value = max(m.value, 40.0 * floor_of(m))
    m.seen = market.factor


@jit
def floor_of(m: Record) -> Any:
    """Ticks below which nobody sells, so that the bid side keeps prices above zero."""
    return 32.0 * (1.0 + m.gap)


@jit
def hour_of(p: Record, cell: int) -> Any:
    """Activity by time of day, 1 in the mean: 1 + u at both ends of a session, 1 - u / 2 in its middle."""
    x = 2.0 * (cell * p.cell_s / p.session_s % 1.0) - 1.0
    return 1.0 + p.u_shape * (1.5 * x * x - 0.5)


@inlined
def wait(m: Record, p: Record) -> Any:
    """Nanoseconds to the symbol's next event: the first of the base process and the two excitations.

    Exact, by inversion of each one's survival (Dassios, Zhao, "Exact simulation of Hawkes process with
    exponentially decaying intensity", Electronic Communications in Probability 18, 2013).
    """
    push = p.shock_pace if m.shock == 1 else 1.0
    base = m.rate * (1.0 - p.fast_share - p.slow_share) * m.pace * m.alarm * push
    first = -math.log(uniform(m)) / base
    d = 1.0 + p.fast_decay * math.log(uniform(m)) / m.fast
    if d > 0.0:
        first = min(first, -math.log(d) / p.fast_decay)
    d = 1.0 + p.slow_decay * math.log(uniform(m)) / m.slow
    if d > 0.0:
        first = min(first, -math.log(d) / p.slow_decay)
    return 1 + int(min(first, 1e6) * 1e9)


@inlined
def excited(m: Record, p: Record, ts: int) -> None:
    """Let the excitations fade until `ts` and add this event's."""
    elapsed = (ts - m.ts) * NS
    m.ts = ts
    m.fast = m.fast * math.exp(-p.fast_decay * elapsed) + p.fast_share * p.fast_decay
    m.slow = m.slow * math.exp(-p.slow_decay * elapsed) + p.slow_share * p.slow_decay
