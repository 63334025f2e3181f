"""What each vendor calls an instrument: on its sockets, in its REST paths, and back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from gpi.formats.instruments import Instrument, Instruments, format_occ

CLASSES: Final = ("equity", "option", "crypto", "index")  # in the order of their codes
MONEY: Final = ("USDT", "USDC", "USD", "EUR", "GBP", "BTC", "ETH")  # what a pair may be quoted in, longest first


def code(instrument: Instrument) -> int:
    """The class of an instrument as a number: its place in CLASSES."""
    return CLASSES.index(instrument.asset_class)


def pair(symbol: str, between: str) -> str:
    """A coin pair with something between: BTCUSDT, BTC/USDT and BTC-USDT are one pair.

    >>> pair("ETHBTC", "/")
    'ETH/BTC'
    """
    for mark in ("/", "-"):
        if mark in symbol:
            return symbol.replace(mark, between)
    for money in MONEY:
        if symbol.endswith(money) and len(symbol) > len(money):
            return f"{symbol[: -len(money)]}{between}{money}"
    return symbol


def occ(instrument: Instrument) -> str:
    """An option's OCC symbol without padding: AAPL240621C00190000."""
    if instrument.expiry is None or instrument.right is None:
        return instrument.symbol.replace(" ", "")
    return format_occ(instrument.underlying, instrument.expiry, instrument.right, instrument.strike, padded=False)


def alpaca(instrument: Instrument) -> str:
    """Alpaca's symbol, the same everywhere in market data."""
    if instrument.asset_class == "option":
        return occ(instrument)
    return pair(instrument.symbol, "/") if instrument.asset_class == "crypto" else instrument.symbol


def polygon(instrument: Instrument) -> str:
    """Polygon's symbol on its sockets."""
    if instrument.asset_class == "option":
        return "O:" + occ(instrument)
    if instrument.asset_class == "crypto":
        return pair(instrument.symbol, "-")
    return "I:" + instrument.symbol if instrument.asset_class == "index" else instrument.symbol


def polygon_ticker(instrument: Instrument) -> str:
    """Polygon's ticker in REST, where pairs are X:BTCUSD."""
    return "X:" + pair(instrument.symbol, "") if instrument.asset_class == "crypto" else polygon(instrument)


class Directory:
    """Finds instruments by a vendor's names; grows with the table."""

    def __init__(self, instruments: Instruments) -> None:
        self._instruments = instruments
        self._known = 0
        self._ids: dict[str, int] = {}

    def find(self, name: str) -> Instrument | None:
        """The instrument with this name at any of the vendors, or None. X:BTC-USD and BTC/USD are found alike."""
        if self._known != len(self._instruments):
            for each in list(self._instruments)[self._known :]:
                for known in {alpaca(each), polygon(each), polygon_ticker(each), each.symbol}:
                    self._ids.setdefault(_key(known), each.id)
            self._known = len(self._instruments)
        found = self._ids.get(_key(name))
        return None if found is None else self._instruments[found]

    def all(self, names: Iterable[str]) -> list[Instrument]:
        """Those that exist, in the order of the names."""
        return [found for name in names if (found := self.find(name)) is not None]


def _key(name: str) -> str:
    return name.strip().upper().removeprefix("X:").replace("/", "").replace("-", "")
