"""Charges: the fee of every fill by the dated schedules, rounded by the same kernel as a trader's own account."""

from __future__ import annotations

from dataclasses import asdict
from decimal import Decimal
from functools import lru_cache
from typing import Any

import numpy as np

from gpi.formats.calendar import day_of
from gpi.formats.errors import UsageError
from gpi.formats.fees import SCHEDULES
from gpi.formats.instruments import Instrument
from gpi.tools.kernels.fees import TALLY, accrue, fees_record
from gpi.tools.venue.money import exact

CHOICES = ("alpaca", "zero")


class Charges:
    """`alpaca`: the schedule of each asset class; `zero`: nothing.

    Alpaca's documentation says that paper accounts are charged nothing; those seen in 2026 were charged as live ones
    are (formats/fees.py), so `alpaca` holds for paper, too.
    """

    def __init__(self, choice: str = "alpaca") -> None:
        if choice not in CHOICES:
            raise UsageError(f"--fees {choice}: choose {' or '.join(CHOICES)}")
        self._choice = choice
        self._tallies: dict[tuple[str, str], Any] = {}  # account, asset class -> what the day has accrued

    def fee(
        self, key_id: str, instrument: Instrument, ts: int, side: int, liquidity: int, qty: float, px: float
    ) -> Decimal:
        """The fee of one fill, account currency."""
        if self._choice == "zero" or instrument.asset_class == "index":
            return Decimal(0)
        day = day_of(ts)
        tally = self._tallies.setdefault((key_id, instrument.asset_class), np.zeros(1, TALLY))
        notional = qty * px * instrument.multiplier
        fees = _fees(f"alpaca_{instrument.asset_class}", day.toordinal())
        return exact(accrue(fees[0], tally[0], day.toordinal(), side, liquidity, qty, notional))


@lru_cache(64)
def _fees(name: str, ordinal: int) -> Any:
    from_day = type(day_of(0)).fromordinal(ordinal)
    return fees_record(asdict(SCHEDULES[name].at(from_day)))
