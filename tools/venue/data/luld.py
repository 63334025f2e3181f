"""Limit up, limit down: the price bands of a share at the moment it is paused.

Plan to Address Extraordinary Market Volatility (NMS plan, 2012): bands a percentage around the mean price of the last
five minutes; 5 % for shares of tier 1 above $3. The feed carries no bands, so they are worked out from its trades,
and told when a pause begins.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from gpi.formats.words import PAUSED
from gpi.tools.kernels.data import writing as w

Array = npt.NDArray[Any]
WINDOW_NS: Final = 5 * 60 * 10**9
SHARE: Final = 0.05


def bands(ints: Array, nums: Array) -> tuple[float, float] | None:
    """The lower and upper band from trades (ints, nums) of the last five minutes; None without any."""
    px, sz = nums[:, w.N_PX], nums[:, w.N_SZ]
    if not len(ints) or not sz.sum() > 0:
        return None
    reference = float((px * sz).sum() / sz.sum())
    return round(reference * (1 - SHARE), 2), round(reference * (1 + SHARE), 2)


def paused(ints: Array) -> Array:
    """Which items are the beginning of a volatility pause."""
    return np.flatnonzero((ints[:, w.I_CHANNEL] == w.STATUS) & (ints[:, w.I_FLAGS] & PAUSED != 0))


def item(status: Array, low: float, high: float) -> tuple[Array, Array]:
    """The bands as an item that goes with a status."""
    ints, nums = status.copy(), np.zeros(w.NUMS)
    ints[w.I_CHANNEL] = w.LULD
    nums[w.N_BID_PX], nums[w.N_ASK_PX] = low, high
    return ints, nums
