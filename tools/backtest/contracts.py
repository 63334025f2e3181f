"""What the engine has to know of every instrument of a table besides its terms: is it an option, what does it cost?"""

from __future__ import annotations

from datetime import date
from functools import lru_cache
from typing import Final

from gpi.formats.instruments import Instrument, Instruments
from gpi.formats.market.settlement import Ending, ending, settlement, underlying

Contract = tuple[float, ...]
"""right (1 call, -1 put), strike, american, physical, underlying's id or -1, group, last trade, settled (s UTC); empty
for what is no option."""

SCHEDULED: Final = ("alpaca_equity", "alpaca_option", "alpaca_index_option", "binance_spot")
"""What `--fees auto` charges: names of `gpi.formats.market.fees.SCHEDULES`."""


def contracts(instruments: Instruments, first: int = 0) -> tuple[Contract, ...]:
    """The contract of every row of the table from id `first` on; nothing at all where none is an option."""
    rows = [instruments[i] for i in range(first, len(instruments))]
    if all(row.asset_class != "option" for row in rows):
        return ()
    return tuple(_contract(row, instruments) for row in rows)


def scheduled(row: Instrument) -> int:
    """Which of SCHEDULED an instrument is charged by."""
    if row.asset_class == "option":
        return 1 if settlement(row.underlying).physical else 2
    return 3 if row.asset_class == "crypto" else 0


def _contract(row: Instrument, instruments: Instruments) -> Contract:
    if row.asset_class != "option" or row.expiry is None or row.right is None:
        return ()
    terms, name = settlement(row.underlying), underlying(row.underlying)
    group = 1 + instruments.first_on(name)
    under = next((instruments.named(each).id for each in (name, f"I:{name}") if each in instruments), -1)
    last_trade, settled = (float(ns // 10**9) for ns in _ending(row.underlying, row.expiry))
    right = 1.0 if row.right == "C" else -1.0
    delivered = terms.physical and under >= 0 and instruments[under].asset_class != "index"
    return (right, row.strike, float(terms.american), float(delivered), float(under), float(group), last_trade, settled)


@lru_cache(maxsize=4096)
def _ending(root: str, expiry: date) -> Ending:
    return ending(root, expiry)
