"""Charges: the fee of every fill by the dated schedules, an account's days added up as its broker adds them up."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal

from gpi.formats.errors import UsageError
from gpi.formats.instruments import Instrument
from gpi.formats.market.accruals import Accrual

CHOICES = ("alpaca", "zero")


class Charges:
    """`alpaca`: the schedule of each asset class; `zero`: nothing.

    Alpaca's documentation says that paper accounts are charged nothing; those seen in 2026 were charged as live ones
    are (formats/market/fees.py), so `alpaca` holds for paper, too.
    """

    def __init__(self, choice: str = "alpaca") -> None:
        if choice not in CHOICES:
            raise UsageError(f"--fees {choice}: choose {' or '.join(CHOICES)}")
        self._choice = choice
        self._accounts: defaultdict[str, Accrual] = defaultdict(Accrual)

    def fee(
        self, key_id: str, instrument: Instrument, ts: int, side: int, liquidity: int, qty: Decimal, px: Decimal
    ) -> Decimal:
        """The fee of one fill, account currency."""
        if self._choice == "zero":
            return Decimal(0)
        return self._accounts[key_id].fee(instrument, ts, side, liquidity, qty, px)
