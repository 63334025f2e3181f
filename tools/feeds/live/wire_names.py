"""What a vendor's sockets call an instrument, and the instrument that a user's or a vendor's word means."""

from __future__ import annotations

from typing import Final, Literal

from gpi.formats.errors import UsageError
from gpi.formats.instruments import Instrument, crypto, equity, format_occ, option

Vendor = Literal["alpaca", "polygon"]
MONEY: Final = ("USDT", "USDC", "USD", "EUR", "GBP", "BTC", "ETH")  # what a pair may be quoted in, longest first


def instrument(asset: str, name: str) -> Instrument:
    """The instrument of a symbol as users or vendors write it. Raises BadInput for what is no option.

    >>> instrument("crypto", "BTC-USD").symbol, instrument("options", "O:AAPL240621C00190000").symbol
    ('BTC/USD', 'AAPL  240621C00190000')
    """
    if asset == "options":
        return option(name)
    return crypto(pair(name, "/")) if asset == "crypto" else equity(name)


def wire(vendor: Vendor, one: Instrument) -> str:
    """The instrument on the vendor's socket.

    >>> wire("polygon", instrument("options", "AAPL240621C00190000")), wire("polygon", instrument("crypto", "BTC/USD"))
    ('O:AAPL240621C00190000', 'BTC-USD')
    """
    if one.asset_class == "option":
        assert one.expiry is not None and one.right is not None
        occ = format_occ(one.underlying, one.expiry, one.right, one.strike, padded=False)
        return occ if vendor == "alpaca" else f"O:{occ}"
    if one.asset_class == "crypto":
        return pair(one.symbol, "/" if vendor == "alpaca" else "-")
    return one.symbol


def pair(name: str, between: str) -> str:
    """A coin pair with something between its coins: X:BTCUSD, BTC/USD and BTC-USD are one pair. Raises UsageError."""
    plain = name.upper().removeprefix("X:")
    for mark in ("/", "-"):
        if mark in plain:
            return plain.replace(mark, between)
    for money in MONEY:
        if plain.endswith(money) and len(plain) > len(money):
            return f"{plain[: -len(money)]}{between}{money}"
    raise UsageError(f"{name} is not a pair of coins such as BTC/USD")
