"""Market making: quote around a fair price, lean against the inventory. No promise of profit.

The fair price is the mid, skewed by the imbalance of the displayed book and by the encoder's direction
where the stream has one. Around it stand the quotes of Avellaneda and Stoikov (2008, "High-frequency
trading in a limit order book", eqs. 29-30), in ticks and in units of one order:

    reservation r = s - q * gamma * sigma^2 * tau
    half-spread   = gamma * sigma^2 * tau / 2 + ln(1 + gamma / k) / gamma

with q the inventory in orders, sigma^2 the mid's variance in ticks^2 per second (an exponentially weighted
mean of squared changes, or the encoder's forecast), tau the holding horizon in seconds, k the decay of
fills with distance in 1/ticks. Quotes are rounded outward to the tick, never cross, and are replaced only
when they are off by more than `requote_ticks` or `requote_spread`, because a replaced order loses its place
in the queue.
"""

import math
from dataclasses import dataclass
from typing import Any, Final

from gpi.formats.words import BUY, GTC, LIMIT, QUOTE, SECOND, SELL
from gpi.tools.kernels.jit import borrowing
from gpi.tools.kernels.orders import ACTIVE, OPEN, REDUCING, Array, cancel, intend, record


@dataclass(frozen=True, slots=True)
class Parameters:
    """What can be set with `--param name=value`."""

    gamma: float = 0.05
    """Aversion to inventory, per order held."""
    k: float = 0.8
    """How fast fills decay with distance, 1/ticks."""
    tau_s: float = 5.0
    """Holding horizon, seconds."""
    size_fraction: float = 0.01
    """Equity per order."""
    max_inventory: float = 8.0
    """Orders held on one side before that side is no longer quoted."""
    skew: float = 0.5
    """Half-spreads that a fully one-sided book moves the fair price."""
    direction: float = 0.5
    """Half-spreads that a certain forecast moves the fair price."""
    half_life_s: float = 30.0
    """Of the variance's memory."""
    horizon_s: float = 5.0
    """Over which `volatility` in the stream is predicted."""
    requote_ticks: float = 1.0
    """A quote this close to where it should be keeps its place..."""
    requote_spread: float = 0.25
    """...or this close in half-spreads."""


WANTS: Final = ("direction", "volatility")
MEMORY: Final = record("last_ts", "last_mid variance")


@borrowing
def variance(m: Any, p: Any, ts: int, mid: float, tick: float) -> None:
    """Exponentially weighted variance of the mid, ticks^2 per second, however irregular the ticks are."""
    if m.last_ts == 0:
        m.last_ts = ts
        m.last_mid = mid
        return
    elapsed = (ts - m.last_ts) / SECOND
    if elapsed <= 0.0:
        return
    moved = (mid - m.last_mid) / tick
    fade = math.exp(-elapsed * math.log(2.0) / p.half_life_s)
    m.variance = fade * m.variance + (1.0 - fade) * moved * moved / elapsed
    m.last_ts = ts
    m.last_mid = mid


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
    """Keep one quote a side where Avellaneda-Stoikov wants it; returns the number of intents written."""
    v, p = view[0], params[0]
    if v.phase != OPEN or v.killed or not (v.bid_px == v.bid_px and v.ask_px == v.ask_px):
        return 0
    if not v.lot_size < math.inf:
        return 0  # an index cannot be traded
    if not (v.kind & QUOTE or v.fills):
        return 0  # nothing that the quotes depend on has changed
    m = memory[v.instrument_id]
    tick = v.tick_size if v.tick_size > 0.0 else 1e-4 * v.mid
    variance(m, p, v.ts, v.mid, tick)
    size = p.size_fraction * v.equity / (v.mid * v.multiplier)
    lot = v.lot_size
    size = math.floor(size / lot + 1e-9) * lot if lot > 0.0 else size
    if not size > 0.0:
        return 0
    x, sigma2 = inputs[0], m.variance
    if x.volatility == x.volatility:
        expected = x.volatility * 1e-4 * v.mid / tick
        sigma2 = expected * expected / p.horizon_s
    half = 0.5 * (v.ask_px - v.bid_px) / tick
    fair = v.mid / tick + p.skew * v.imbalance * half
    if x.direction[0] == x.direction[0]:
        fair += p.direction * (x.direction[2] - x.direction[0]) * half
    held = v.position / size
    risk = p.gamma * sigma2 * p.tau_s
    reservation = fair - held * risk
    reach = 0.5 * risk + math.log(1.0 + p.gamma / p.k) / p.gamma
    bid = min(math.floor(reservation - reach + 1e-9), round(v.ask_px / tick) - 1.0) * tick
    ask = max(math.ceil(reservation + reach - 1e-9), round(v.bid_px / tick) + 1.0) * tick
    buys = v.state == ACTIVE and held < p.max_inventory or v.state == REDUCING and v.position <= -size
    sells = v.state == ACTIVE and held > -p.max_inventory or v.state == REDUCING and v.position >= size
    near = (max(p.requote_ticks, p.requote_spread * half) + 0.25) * tick
    n = quote(BUY, bid, room(v, BUY, size), buys, near, orders, n_orders, intents, 0)
    return quote(SELL, ask, room(v, SELL, size), sells, near, orders, n_orders, intents, n)


@borrowing
def room(v: Any, side: int, size: float) -> float:
    """What of `size` an account takes that lets no order close more than is held and not held by working orders."""
    if not v.no_flip or v.position * side >= 0.0:
        return size
    free = min(size, abs(v.position) - (v.buying if side == BUY else v.selling))
    return float(math.floor(free / v.lot_size + 1e-9) * v.lot_size if v.lot_size > 0.0 else free)


@borrowing
def quote(
    side: int,
    px: float,
    size: float,
    wanted: bool,
    near: float,
    orders: Array,
    n_orders: int,
    intents: Array,
    n: int,
) -> int:
    """Cancel our orders of one side that are off, send one if none stays; returns the count of intents."""
    stands = False
    for j in range(n_orders):
        o = orders[j]
        if o.side != side or o.canceling:
            continue
        if wanted and not stands and abs(o.px - px) <= near:
            stands = True
        else:
            n = cancel(intents, n, o.order_id)
    if wanted and not stands and px > 0.0 and size > 0.0:
        n = intend(intents, n, side, LIMIT, GTC, size, px)
    return n
