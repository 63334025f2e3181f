"""Expiries: an option that has ended leaves the account, worthless, as shares at the strike, or as cash.

In the money by a cent or more it is exercised (long) or assigned (short), as the clearing house does by itself. Nobody
is told on trade_updates: the account's positions and cash just change, as at Alpaca.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from gpi.formats.market.settlement import ending, settlement, underlying
from gpi.tools.venue.accounts.account import Account, Moved, Position
from gpi.tools.venue.alpaca.assets import wire_symbol
from gpi.tools.venue.money import ZERO, exact, text

if TYPE_CHECKING:
    from gpi.tools.venue.accounts.ledgers import Ledgers

LEAST: Final = Decimal("0.01")  # in the money by less, an option is let expire


def expired(ledgers: Ledgers, now: int) -> None:
    """Settle every held option whose time is over."""
    for account in ledgers.accounts.values():
        for position in list(account.positions.values()):
            option = position.instrument
            if option.expiry is not None and now >= ending(option.underlying, option.expiry).settled:
                _settle(ledgers, account, position, now)


def _settle(ledgers: Ledgers, account: Account, position: Position, now: int) -> None:
    option, qty, size = position.instrument, position.qty, position.multiplier
    under = ledgers.assets.find(underlying(option.underlying))
    price = None if under is None else ledgers.prices.now(under)
    strike, call = exact(option.strike), option.right == "C"
    worth = ZERO if price is None else max(ZERO, (price - strike) if call else (strike - price))
    for order in [each for each in account.working.values() if each.instrument is option]:
        ledgers.expire(order, now)
    account.transfer(option, -qty, ZERO)
    symbol, lapses = wire_symbol(option), qty > 0 and option.id in account.lapsing
    if worth < LEAST or lapses:
        account.moved.append(Moved(now, "OPEXP", ZERO, symbol, -qty, ZERO, f"{symbol} expired"))
        return
    kind = "OPEXC" if qty > 0 else "OPASN"
    what = f"{text(abs(qty))} {option.symbol.replace(' ', '')} at {text(strike)}"
    if under is None or not settlement(option.underlying).physical or under.asset_class == "index":
        cash, why = qty * worth * size, f"cash settlement of {what}"
        account.adjust(now, cash, why, Moved(now, "OPCSH", cash, symbol, -qty, worth, why))
        return
    moved = qty * size if call else -qty * size  # signed shares
    account.transfer(under, moved, strike)
    cash, why = -moved * strike, f"{'exercise' if qty > 0 else 'assignment'} of {what}"
    account.adjust(now, cash, why, Moved(now, kind, cash, symbol, -qty, strike, why))
