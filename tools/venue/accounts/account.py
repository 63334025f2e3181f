"""Account: cash, positions at average cost, orders and fills of one key, all in decimals.

Identity kept by construction: cash = start - sum(side x qty x price x multiplier) - sum(fee) + sum(adjustments).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from gpi.formats.instruments import Instrument
from gpi.tools.venue.accounts.orders import Order
from gpi.tools.venue.money import NANO, ZERO, exact

DUST: Final = Decimal("1e-9")


@dataclass(slots=True)
class Position:
    """Signed quantity, average entry price per unit, and the realised profit so far."""

    instrument: Instrument
    qty: Decimal = ZERO
    average: Decimal = ZERO
    realized: Decimal = ZERO

    @property
    def multiplier(self) -> Decimal:
        """Currency per unit of price and quantity."""
        return exact(self.instrument.multiplier)


@dataclass(slots=True)
class Fill:
    """One execution; `busted` when it was taken back, `corrected` when a later one replaces its price."""

    id: str
    ts: int
    order: Order
    instrument: Instrument
    side: int
    qty: Decimal
    price: Decimal
    fee: Decimal
    leaves: Decimal
    cumulative: Decimal
    busted: bool = False


@dataclass(frozen=True, slots=True)
class Moved:
    """What moved cash or a position and was no trade. `kind` is Alpaca's word (OPEXC, OPASN, OPEXP, JNLS)."""

    ts: int
    kind: str
    cash: Decimal
    symbol: str
    qty: Decimal
    price: Decimal
    why: str


@dataclass(slots=True)
class Watchlist:
    """A named list of symbols; times ns UTC."""

    id: str
    account_id: str
    name: str
    symbols: list[str]
    created_at: int
    updated_at: int


@dataclass
class Account:
    """One account. `config` holds the words of /v2/account/configurations."""

    key_id: str
    id: str
    number: str
    start: Decimal
    created_at: int
    cash: Decimal = ZERO
    fees: Decimal = ZERO
    positions: dict[int, Position] = field(default_factory=dict)  # instrument id ->
    orders: dict[str, Order] = field(default_factory=dict)  # order id ->, in order of arrival
    by_client: dict[str, Order] = field(default_factory=dict)
    working: dict[str, Order] = field(default_factory=dict)  # those still open
    fills: list[Fill] = field(default_factory=list)
    adjustments: list[tuple[int, Decimal, str]] = field(default_factory=list)  # (ns, cash, why): no order moved it
    moved: list[Moved] = field(default_factory=list)  # the same and what moved positions, as activities
    lapsing: set[int] = field(default_factory=set)  # instrument ids of options that must not be exercised
    watchlists: dict[str, Watchlist] = field(default_factory=dict)
    history: list[tuple[int, Decimal]] = field(default_factory=list)  # (ns, equity)
    last_equity: Decimal = ZERO
    config: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.cash = self.last_equity = self.start
        self.config = {
            "fractional_trading": True,
            "max_margin_multiplier": "4",
            "max_options_trading_level": 3,
            "no_shorting": False,
            "ptp_no_exception_entry": False,
            "suspend_trade": False,
            "trade_confirm_email": "all",
            "disable_overnight_trading": False,
        }

    def held(self, instrument: Instrument) -> Decimal:
        """The signed position."""
        found = self.positions.get(instrument.id)
        return found.qty if found else ZERO

    def add(self, order: Order) -> None:
        """Remember a new order."""
        self.orders[order.id] = order
        self.by_client.setdefault(order.client_order_id, order)
        self.working[order.id] = order

    def transfer(self, instrument: Instrument, qty: Decimal, price: Decimal) -> None:
        """A position from elsewhere: no order, no cash."""
        self._move(instrument, qty, price)

    def adjust(self, ts: int, amount: Decimal, why: str, told: Moved) -> None:
        """Cash that no order moved, and how it is told."""
        self.cash += amount
        self.adjustments.append((ts, amount, why))
        self.moved.append(told)

    def book(self, fill: Fill) -> None:
        """An execution: position, average cost, cash, fee."""
        self.fills.append(fill)
        self._move(fill.instrument, fill.side * fill.qty, fill.price)
        self.cash -= fill.side * fill.qty * fill.price * exact(fill.instrument.multiplier) + fill.fee
        self.fees += fill.fee

    def rebuild(self, counted: Fill) -> None:
        """Cash and positions again from the fills that stand: after `counted` was busted or corrected.

        Transfers are kept: they are what the positions hold beyond the fills, `counted` among them.
        """
        strange = {i: (p, p.qty - self._traded(i, counted)) for i, p in self.positions.items()}
        self.cash = self.start + sum((amount for _, amount, _ in self.adjustments), ZERO)
        self.fees, self.positions = ZERO, {}
        for position, qty in strange.values():
            if qty:
                self._move(position.instrument, qty, position.average)
        fills, self.fills = self.fills, []
        for fill in fills:
            if fill.busted:
                self.fills.append(fill)
            else:
                self.book(fill)

    def _traded(self, instrument_id: int, counted: Fill) -> Decimal:
        """What all fills made of a position, the busted ones that are out of it already left away."""
        mine = [f for f in self.fills if f.instrument.id == instrument_id and (f is counted or not f.busted)]
        return sum((f.side * f.qty for f in mine), ZERO)

    def _move(self, instrument: Instrument, signed: Decimal, price: Decimal) -> None:
        """Average cost when adding, realised profit when reducing, both when turning round."""
        p = self.positions.setdefault(instrument.id, Position(instrument))
        if p.qty * signed >= 0:
            p.average = ((p.average * abs(p.qty) + price * abs(signed)) / (abs(p.qty) + abs(signed))).quantize(NANO)
            p.qty += signed
            return
        closed = min(abs(signed), abs(p.qty))
        p.realized += closed * (price - p.average) * p.multiplier * (1 if p.qty > 0 else -1)
        turned = abs(signed) > abs(p.qty)
        p.qty += signed
        if abs(p.qty) < DUST:
            del self.positions[instrument.id]
        elif turned:
            p.average = price
