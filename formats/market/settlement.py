"""How a listed option ends: style, delivery, the last moment it trades and the moment that decides its worth.

Equity and fund options are American, settled by delivery of shares, worth what the close of expiry says. Index options
named here are paid in cash; SPX, NDX, RUT, DJX and VIX of the standard roots stop trading the session before and are
settled at the opening prices of the expiry day ("AM"), the others at its close ("PM"). Sources: Cboe's contract
specifications. A root that is not listed here is taken for a share's or a fund's.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final, NamedTuple

from gpi.formats.market.calendar import INDEX_OPTION_EXTRA, expiry_session, session


class Settlement(NamedTuple):
    """The terms of a root."""

    american: bool = True
    physical: bool = True
    am: bool = False
    late: bool = False
    """Trades 15 minutes longer than shares, except on the day it expires."""


SHARES: Final = Settlement()
AM_INDEX: Final = Settlement(american=False, physical=False, am=True, late=True)
PM_INDEX: Final = Settlement(american=False, physical=False, late=True)
ROOTS: Final = {
    **dict.fromkeys(("SPX", "NDX", "RUT", "DJX", "VIX"), AM_INDEX),
    **dict.fromkeys(("SPXW", "XSP", "NDXP", "RUTW", "XEO", "MRUT", "XND"), PM_INDEX),
    "OEX": Settlement(american=True, physical=False, late=True),
    **dict.fromkeys(("SPY", "QQQ", "IWM", "DIA", "EEM", "EFA", "VXX", "UVXY"), Settlement(late=True)),
}
"""The funds among them are the best known of those that trade late; Cboe lists some more."""
INDICES: Final = {"SPXW": "SPX", "NDXP": "NDX", "RUTW": "RUT", "XEO": "OEX"}
"""Roots whose index has another name."""


class Ending(NamedTuple):
    """When an option stops trading and when the price that settles it is made, ns UTC."""

    last_trade: int
    settled: int


def settlement(root: str) -> Settlement:
    """The terms of an option root, as it stands before the expiry in an OCC symbol."""
    return ROOTS.get(root, SHARES)


def underlying(root: str) -> str:
    """The symbol of what an option of this root is on.

    >>> underlying("SPXW"), underlying("AAPL")
    ('SPX', 'AAPL')
    """
    return INDICES.get(root, root)


def ending(root: str, expiry: date) -> Ending:
    """When an option of this root and expiry stops trading and is settled.

    >>> from datetime import date
    >>> ending("SPX", date(2021, 1, 15)).settled < ending("SPXW", date(2021, 1, 15)).settled
    True
    """
    last = expiry_session(expiry)
    if not settlement(root).am:
        return Ending(last.close, last.close)
    before = expiry_session(last.day - timedelta(1))
    return Ending(before.close + INDEX_OPTION_EXTRA, last.open)


def open_until(root: str, expiry: date, day: date) -> int | None:
    """When trading in an option ends on this day, ns UTC; None when it does not trade: closed, expired, settling."""
    today, last = session(day), ending(root, expiry).last_trade
    if today is None or today.open >= last:
        return None
    late = INDEX_OPTION_EXTRA if settlement(root).late else 0
    return min(today.close + late, last)
