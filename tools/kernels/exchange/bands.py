"""Limit up - limit down: price bands about a five-minute mean, the limit state, the pause.

Source: the Plan to Address Extraordinary Market Volatility (NMS Plan, Release 34-67091, as amended), Appendix A.
- The reference price is the mean of the trades of the last five minutes, in steps of 30 seconds; it moves only when
  the mean is 1% or more away. The first trade of a day, and after a pause, sets it.
- Bands: above 3 dollars 5% (tier 1) or 10% (tier 2), from 0.75 to 3 dollars 20%, below that the lesser of 0.15 dollars
  and 75%; doubled in the last 25 minutes of the regular session for tier 1 and below 3 dollars.
- Nothing executes outside the bands: levels there count as not displayed, trades there fill nobody.
- An offer at or below the lower band, or a bid at or above the upper, is a limit state; after 15 seconds of it the
  instrument pauses for five minutes and then needs a fresh quote.

What the plan takes from the previous close (which percentage holds) is taken from the reference price.
"""

import numpy as np

from gpi.formats.words import SECOND
from gpi.tools.kernels.exchange import breakers
from gpi.tools.kernels.jit import borrowing
from gpi.tools.kernels.orders import BAND_STEPS, OPEN, REGULAR, STOPPED, WAITING, Array, Engine
from gpi.tools.kernels.shared import Record

STEP = 30 * SECOND
LIMIT_STATE = 15 * SECOND
PAUSE = 300 * SECOND
LAST_MINUTES = 25 * 60 * SECOND


@borrowing
def width(px: float, tier: int, doubled: bool) -> float:
    """How far from a reference price the bands are, in currency."""
    if px > 3.0:
        found = px * (0.05 if tier == 1 else 0.10)
        return found * 2.0 if doubled and tier == 1 else found
    found = px * 0.2 if px >= 0.75 else min(0.15, 0.75 * px)
    return found * 2.0 if doubled else found


@borrowing
def set_bands(e: Engine, it: Record, ts: int) -> None:
    """Bands about the reference price."""
    doubled = e.clock.part == REGULAR and e.clock.bell - ts <= LAST_MINUTES
    wide = width(it.reference, it.band_tier, doubled)
    it.band_low = it.reference - wide
    it.band_high = it.reference + wide


@borrowing
def on_trade(e: Engine, i: int, ts: int, px: float) -> None:
    """A trade within the bands moves the five-minute mean; one of the breaker's index may stop the market."""
    it = e.instruments[i]
    if i == e.breaker.index - 1:
        breakers.on_trade(e, ts, px)
    if it.band_tier == 0 or not px > 0.0:
        return
    step = ts // STEP
    if not it.reference > 0.0:
        it.reference = px
        it.window_at = step
        it.band_sums[:] = 0.0
        it.band_counts[:] = 0.0
        set_bands(e, it, ts)
    if outside(it, px):
        return
    if step != it.window_at:
        turn(e, it, step, ts)
    it.band_sums[step % BAND_STEPS] += px
    it.band_counts[step % BAND_STEPS] += 1.0


@borrowing
def turn(e: Engine, it: Record, step: int, ts: int) -> None:
    """Another 30 seconds have begun: what is older than five minutes is forgotten, the reference may move."""
    total, count = 0.0, 0.0
    for k in range(BAND_STEPS):
        total += it.band_sums[k]
        count += it.band_counts[k]
    if count > 0.0 and abs(total / count - it.reference) >= 0.01 * it.reference:
        it.reference = total / count
    set_bands(e, it, ts)
    for past in range(it.window_at + 1, min(step, it.window_at + BAND_STEPS) + 1):
        it.band_sums[past % BAND_STEPS] = 0.0
        it.band_counts[past % BAND_STEPS] = 0.0
    it.window_at = step


@borrowing
def outside(it: Record, px: float) -> bool:
    """Is a price beyond the bands, as far as there are any?"""
    return bool(it.reference > 0.0 and (px < it.band_low - it.near or px > it.band_high + it.near))


@borrowing
def on_quote(e: Engine, ladder: Array, i: int, ts: int) -> None:
    """A fresh book: a limit state begins, goes on or ends; what lies outside the bands is not there."""
    it = e.instruments[i]
    if it.pause_until > 0:
        if ts < it.pause_until:
            forget(ladder)
            return
        it.pause_until = 0
        it.reference = 0.0
        e.venue.pauses += 1
        if it.phase == STOPPED:
            it.phase = WAITING
    if it.band_tier == 0 or not it.reference > 0.0:
        return
    if ladder[2, 0] <= it.band_low + it.near or ladder[0, 0] >= it.band_high - it.near:
        if it.limit_since == 0:
            it.limit_since = ts
        elif ts - it.limit_since >= LIMIT_STATE and it.phase == OPEN:
            it.phase = STOPPED
            it.pause_until = ts + PAUSE
            e.venue.pauses += 1
            it.limit_since = 0
            forget(ladder)
            return
    else:
        it.limit_since = 0
    for row in (0, 2):
        kept = 0
        for k in range(ladder.shape[1]):
            px, size = ladder[row, k], ladder[row + 1, k]
            if px != px or outside(it, px):
                continue
            ladder[row, kept] = px
            ladder[row + 1, kept] = size
            kept += 1
        for k in range(kept, ladder.shape[1]):
            ladder[row, k] = np.nan
            ladder[row + 1, k] = 0.0


@borrowing
def forget(ladder: Array) -> None:
    """Nothing is displayed."""
    ladder[0, :] = np.nan
    ladder[1, :] = 0.0
    ladder[2, :] = np.nan
    ladder[3, :] = 0.0
    ladder[5, :] = 0.0
    ladder[7, :] = 0.0
