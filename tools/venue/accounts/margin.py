"""Margin: what an account is worth, what its positions and orders tie up, and what it may still buy.

The rule, simpler than any broker's and on the safe side: with equity E, shares tie up |value| / M (M is
max_margin_multiplier, 1 below 2,000 of equity), coins and long options their whole value, short puts their strike
in cash, short calls nothing when shares cover them and otherwise 20 % of the underlying plus the premium; options that
cover each other no more than can be lost (tools.venue.spreads). An opening order ties up the same for what is
unfilled: a buy at its limit or the ask, a short sale at the higher of its limit and 103 % of the ask, a combination
what its legs would. buying_power = M x (E - tied up), never below zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final, NamedTuple

from gpi.formats.instruments import Instrument
from gpi.tools.venue.accounts.account import Account
from gpi.tools.venue.accounts.orders import Order
from gpi.tools.venue.accounts.prices import Prices
from gpi.tools.venue.accounts.spreads import Holding, together
from gpi.tools.venue.money import ZERO, exact, text
from gpi.tools.venue.refusals import Refusal, forbidden

SHORT_COLLAR: Final = Decimal("1.03")  # of the ask, for the value of a short sale
LEVERAGE_FROM: Final = Decimal(2000)  # equity below which nothing is lent
UNCOVERED: Final = Decimal("0.20")  # of the underlying, for an uncovered call
MAINTENANCE: Final = Decimal("0.30")


class Worth(NamedTuple):
    """An account at the market's prices."""

    equity: Decimal
    long_value: Decimal
    short_value: Decimal  # negative
    tied: Decimal  # by positions
    orders: Decimal  # by working orders
    multiplier: Decimal

    @property
    def free(self) -> Decimal:
        """What nothing ties up."""
        return max(ZERO, self.equity - self.tied - self.orders)

    @property
    def buying_power(self) -> Decimal:
        """In shares, with what is lent."""
        return self.free * self.multiplier


def worth(account: Account, prices: Prices) -> Worth:
    """The account now."""
    long, short = ZERO, ZERO
    for position in account.positions.values():
        value = position.qty * prices.mark(position.instrument, position.average) * position.multiplier
        long, short = (long + value, short) if value > 0 else (long, short + value)
    equity = account.cash + long + short
    multiplier = Decimal(str(account.config["max_margin_multiplier"])) if equity >= LEVERAGE_FROM else Decimal(1)
    held = [(p.instrument, p.qty, prices.mark(p.instrument, p.average)) for p in account.positions.values()]
    plain = (_tied(account, prices, i, qty, px, multiplier) for i, qty, px in held if i.asset_class != "option")
    tied = sum(plain, ZERO) + together(_options(account, prices))
    orders = sum((_order(account, prices, order, multiplier) for order in account.working.values()), ZERO)
    return Worth(equity, long, short, tied, orders, multiplier)


def _tied(
    account: Account, prices: Prices, instrument: Instrument, qty: Decimal, price: Decimal, multiplier: Decimal
) -> Decimal:
    """What `qty` of an instrument at `price` ties up."""
    value = abs(qty) * price * exact(instrument.multiplier)
    if instrument.asset_class == "option" and qty < 0:
        return short_option(account, prices, instrument, -qty, price)
    if instrument.asset_class in ("option", "crypto"):
        return value
    return value / multiplier


def short_option(account: Account, prices: Prices, instrument: Instrument, qty: Decimal, price: Decimal) -> Decimal:
    """What a short of `qty` contracts ties up."""
    size = exact(instrument.multiplier)
    if instrument.right == "P":
        return exact(instrument.strike) * size * qty
    shares = prices.named(instrument.underlying)
    covered = max(ZERO, account.held(shares)) // size if shares else ZERO
    bare = max(ZERO, qty - covered)
    under = prices.mark(shares, exact(instrument.strike)) if shares else exact(instrument.strike)
    return bare * size * (under * UNCOVERED + price)


def opening(account: Account, instrument: Instrument, side: int, qty: Decimal) -> Decimal:
    """How much of an order adds to the position instead of closing it."""
    held = account.held(instrument)
    return qty if held * side >= 0 else max(ZERO, qty - abs(held))


def price_of(prices: Prices, order: Order) -> Decimal:
    """The price an order is valued at."""
    assert order.instrument is not None
    limit = order.limit_price or order.stop_price
    if order.side > 0:
        return limit or prices.ask(order.instrument) or ZERO
    return max(limit or ZERO, (prices.ask(order.instrument) or ZERO) * SHORT_COLLAR)


def _order(account: Account, prices: Prices, order: Order, multiplier: Decimal) -> Decimal:
    """What a working order ties up. Exits of a bracket tie up nothing: they close."""
    if order.instrument is None:
        return _combination(account, prices, order)
    if order.parent is not None:
        return ZERO
    qty = opening(account, order.instrument, order.side, order.leaves)
    if not qty:
        return ZERO
    return _tied(account, prices, order.instrument, order.side * qty, price_of(prices, order), multiplier)


def _options(account: Account, prices: Prices, more: Mapping[int, Decimal] | None = None) -> list[Holding]:
    """The options of an account, and `more` of some (instrument id -> signed quantity), as what they tie up."""
    found = {i: (p.instrument, p.qty, p.average) for i, p in account.positions.items() if p.instrument.right}
    for i, qty in (more or {}).items():
        option, held, average = found.get(i, (prices.instrument(i), ZERO, ZERO))
        found[i] = option, held + qty, average
    return [
        Holding(option, qty, price, _tied(account, prices, option, qty, price, Decimal(1)))
        for option, qty, average in found.values()
        if qty
        for price in [prices.mark(option, average)]
    ]


def _combination(account: Account, prices: Prices, order: Order) -> Decimal:
    """What a multi-leg order ties up: what its options will tie up more than now, and what it pays above the middle."""
    legs = [(leg.instrument, leg.side * (leg.ratio_qty or ZERO)) for leg in order.legs if leg.instrument is not None]
    more: dict[int, Decimal] = {}
    net = middle = ZERO
    for option, ratio in legs:
        more[option.id] = more.get(option.id, ZERO) + ratio * order.leaves
        mark = prices.mark(option, ZERO)
        middle += ratio * mark
        net += ratio * ((prices.ask(option) if ratio > 0 else prices.bid(option)) or mark)
    net = net if order.limit_price is None else order.limit_price
    size = exact(legs[0][0].multiplier) if legs else ZERO
    added = together(_options(account, prices, more)) - together(_options(account, prices))
    return max(ZERO, added + (net - middle) * order.leaves * size)


def afford(account: Account, prices: Prices, order: Order, instead_of: Order | None = None) -> None:
    """Raise Refusal 403 when the account cannot pay for the order. `instead_of` is the one it replaces."""
    now = worth(account, prices)
    free = now.equity - now.tied - now.orders
    if instead_of is not None:
        free += _order(account, prices, instead_of, now.multiplier)
    wanted = _order(account, prices, order, now.multiplier)
    if wanted <= max(ZERO, free):
        return
    lent = now.multiplier if order.instrument is not None and order.instrument.asset_class == "equity" else Decimal(1)
    more: dict[str, Any] = {
        "buying_power": text(max(ZERO, free) * lent),
        "cost_basis": text((wanted * lent).quantize(Decimal("0.01"))),
    }
    raise forbidden("insufficient buying power", **more, symbol=order.symbol)


def available(
    account: Account, instrument: Instrument, side: int, without: Iterable[Order] = ()
) -> tuple[Decimal, list[Order]]:
    """What of the position an order of this side may close, and the orders that hold the rest.

    Orders of one bracket or OCO hold once: only one of them can fill.
    """
    skipped = {order.id for order in without}
    held: dict[str, Decimal] = {}
    related = []
    for order in account.working.values():
        if order.instrument is None or order.instrument.id != instrument.id or order.side != side:
            continue
        if order.id in skipped or (order.status == "held" and order.parent is not None and order.parent.open):
            continue
        group = order.parent.id if order.parent else order.id
        held[group] = max(held.get(group, ZERO), order.leaves)
        related.append(order)
    return abs(account.held(instrument)) - sum(held.values(), ZERO), related


def closable(account: Account, order: Order, shortable: bool, without: Iterable[Order] = ()) -> None:
    """Raise Refusal 403 when an order sells more than there is, or sells short what may not be."""
    instrument, held = order.instrument, account.held(order.instrument) if order.instrument else ZERO
    if instrument is None:
        return
    if held * order.side < 0:
        free, related = available(account, instrument, order.side, without)
        if order.size <= free:
            return
        raise _insufficient(account, order, instrument, free, related)
    if order.side > 0 or order.parent is not None:
        return
    if instrument.asset_class == "crypto":
        raise forbidden(f"insufficient balance for {instrument.symbol} (requested: {text(order.size)}, available: 0)")
    if instrument.asset_class == "option":
        _uncovered(account, order, instrument)
    elif account.config["no_shorting"]:
        raise forbidden("account is not allowed to short")
    elif not shortable:
        raise Refusal(422, 42210000, f'asset "{order.symbol}" cannot be sold short')
    elif order.size != order.size.to_integral_value():
        raise Refusal(422, 42210000, "fractional orders cannot be sold short")


def _uncovered(account: Account, order: Order, instrument: Instrument) -> None:
    """Level 3: covered calls and cash-secured puts; anything barer only inside a multi-leg order."""
    if instrument.right == "P":
        return  # its strike is tied up in cash: `afford` sees to it
    shares = next((p.qty for p in account.positions.values() if p.instrument.symbol == instrument.underlying), ZERO)
    written = sum(
        (-p.qty for p in account.positions.values() if _same_calls(p.instrument, instrument) and p.qty < 0), ZERO
    )
    working = sum((o.leaves for o in account.working.values() if _sells_calls(o, instrument) and o is not order), ZERO)
    if (written + working + order.size) * exact(instrument.multiplier) > shares:
        raise forbidden("account not eligible to trade uncovered option contracts")


def _same_calls(one: Instrument, other: Instrument) -> bool:
    return one.asset_class == "option" and one.right == "C" and one.underlying == other.underlying


def _sells_calls(order: Order, other: Instrument) -> bool:
    return order.side < 0 and order.instrument is not None and _same_calls(order.instrument, other)


def _insufficient(
    account: Account, order: Order, instrument: Instrument, free: Decimal, related: list[Order]
) -> Refusal:
    held = abs(account.held(instrument))
    free = max(ZERO, free)
    words = f"insufficient qty available for order (requested: {text(order.size)}, available: {text(free)})"
    return forbidden(
        words,
        available=text(free),
        existing_qty=text(held),
        held_for_orders=text(held - free),
        related_orders=[each.id for each in related],
        symbol=order.symbol,
    )
