"""What an option is worth by the venue's own quotes: implied volatility and Greeks for chains and snapshots.

European, without dividends, at one rate: good enough for a screen, and consistent with the quotes it is told beside.
The option's middle price is taken; the underlying's middle, or its last trade.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from gpi.formats.instruments import Instrument, Instruments
from gpi.formats.market.calendar import expiry_session
from gpi.tools.kernels.data import writing as w
from gpi.tools.kernels.models import black_scholes as bs
from gpi.tools.venue.data.store import Store

RATE: Final = 0.04  # per annum
YEAR_NS: Final = 365 * 86400 * 10**9


class Greeks(NamedTuple):
    """theta per day; vega and rho per percentage point."""

    volatility: float
    delta: float
    gamma: float
    theta: float
    vega: float
    rho: float


def middle(store: Store, instrument: Instrument) -> float:
    """The middle of the latest two-sided quote, else the last trade; NaN without either."""
    quote, trade = store.latest(instrument.id, w.QUOTE), store.latest(instrument.id, w.TRADE)
    if quote is not None and quote[1][w.N_BID_PX] > 0 and quote[1][w.N_ASK_PX] > 0:
        return float(quote[1][w.N_BID_PX] + quote[1][w.N_ASK_PX]) / 2
    return float(trade[1][w.N_PX]) if trade is not None else float("nan")


def underlying(instruments: Instruments, option: Instrument) -> Instrument | None:
    """The share or index an option is written on, if the venue has it (SPXW is on SPX)."""
    for name in (option.underlying, option.underlying.rstrip("W")):
        if name in instruments:
            return instruments.named(name)
    return None


def valued(store: Store, option: Instrument, now: int) -> Greeks | None:
    """Volatility and Greeks of an option, or None where its quotes imply none."""
    under = underlying(store.instruments, option)
    if under is None or option.expiry is None:
        return None
    years = (expiry_session(option.expiry).close - now) / YEAR_NS
    spot, price = middle(store, under), middle(store, option)
    right = 1 if option.right == "C" else -1
    if not (spot > 0 and price > 0 and years > 0):
        return None
    sigma = float(bs.implied(right, spot, option.strike, years, RATE, price))
    if not np.isfinite(sigma):
        return None
    out = np.empty(5)
    bs.greeks(right, spot, option.strike, years, RATE, sigma, out)
    return Greeks(sigma, *(float(x) for x in out))
