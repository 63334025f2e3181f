"""Dues: what the broker charges for each execution of the account, and the cash that all of them leave.

The day's charges add up over all runs of the day, so executions of former runs are counted again at the start.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from gpi.formats.errors import BadInput
from gpi.formats.instruments import Instrument, crypto, equity, option
from gpi.formats.market.accruals import Accrual
from gpi.formats.words import TAKER
from gpi.tools.brokers.alpaca import wire
from gpi.tools.brokers.executions import ZERO, Execution


class Dues:
    """`charged`: False where the session charges itself by fees of its own choice; then no fee is known here."""

    def __init__(self, charged: bool = True) -> None:
        self.charged = charged
        self.spent = ZERO  # by all executions since the start of this run: cost and fees
        self.fees = ZERO  # of them
        self._accrual = Accrual()
        self._rows: dict[str, Instrument] = {}

    def announced(self, instruments: Iterable[Instrument]) -> None:
        """The instruments of the stream, by which size and class are known."""
        self._rows = {wire.key(row.symbol): row for row in instruments}

    def before(self, symbol: str, ts: int, side: int, qty: Decimal, px: Decimal) -> None:
        """An execution of a former run: charged then, part of its day's sums now."""
        self._accrual.fee(self.row(symbol), ts, side, TAKER, qty, px)

    def charge(self, symbol: str, side: int, execution: Execution) -> Decimal | None:
        """The fee of an execution of this run, each counted once by its caller; None where none is known here.

        Alpaca does not tell who made and who took: coins are charged as taken.
        """
        row, e = self.row(symbol), execution
        fee = self._accrual.fee(row, e.ts, side, TAKER, e.qty, e.px) if self.charged else ZERO
        self.fees += fee
        self.spent += side * e.qty * e.px * Decimal(repr(row.multiplier)) + fee
        return fee if self.charged else None

    def row(self, symbol: str) -> Instrument:
        """The instrument of a symbol; one that the stream does not carry is known by how it is spelled."""
        found = self._rows.get(wire.key(symbol))
        if found is None:
            found = self._rows[wire.key(symbol)] = _spelled(symbol)
        return found


def _spelled(symbol: str) -> Instrument:
    if "/" in symbol:
        return crypto(symbol)
    try:
        return option(symbol)
    except BadInput:
        return equity(symbol)
