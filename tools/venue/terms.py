"""The terms of trade of an instrument table, written where the exchange's kernel reads them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy.typing as npt

from gpi.formats.errors import UsageError
from gpi.formats.instruments import Instrument
from gpi.tools.kernels import memory
from gpi.tools.kernels.exchange.options import spread_shares

Array = npt.NDArray[Any]


def shares_of(slippage: Sequence[float], policy: int) -> Array:
    """What orders for options travel, by number of legs: (4,). Raises UsageError for what are no shares."""
    try:
        return spread_shares(slippage, policy)
    except ValueError as wrong:
        raise UsageError(f"--option-slippage: {wrong}") from None


def write_terms(them: Array, rows: Sequence[Instrument], spread_share: float, tier: int) -> None:
    """Write sizes, hours, the LULD tier of shares and the travel of options into (n,) records of INSTRUMENT."""
    for name in ("tick_size", "lot_size", "multiplier"):
        them[name] = [getattr(row, name) for row in rows]
    them["near"] = memory.nearness(them["tick_size"])
    them["listed"] = [row.asset_class in ("equity", "option") for row in rows]
    them["band_tier"] = [tier * (row.asset_class == "equity") for row in rows]
    them["spread_share"] = [spread_share * (row.asset_class == "option") for row in rows]
