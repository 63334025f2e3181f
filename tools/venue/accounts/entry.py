"""Entry: a ticket becomes an order, is judged by the account's rules, and goes to the exchange with its exits."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any, Final

from gpi.formats import words
from gpi.formats.instruments import Instrument
from gpi.tools.venue.accounts.account import Account
from gpi.tools.venue.accounts.ledgers import Ledgers
from gpi.tools.venue.accounts.margin import afford, closable
from gpi.tools.venue.accounts.orders import Order, wire
from gpi.tools.venue.accounts.rules import check, permitted, regular
from gpi.tools.venue.accounts.tickets import Ticket
from gpi.tools.venue.accounts.washes import wash
from gpi.tools.venue.exchange import Leg, Request
from gpi.tools.venue.money import ZERO, floored, real
from gpi.tools.venue.refusals import forbidden, malformed, unprocessable

TYPES: Final = {
    "market": words.MARKET,
    "limit": words.LIMIT,
    "stop": words.STOP,
    "stop_limit": words.STOP_LIMIT,
    "trailing_stop": words.TRAILING,
}
TIFS: Final = {
    "day": words.DAY, "gtc": words.GTC, "ioc": words.IOC, "fok": words.FOK, "opg": words.OPG, "cls": words.CLS,
}  # fmt: skip
OPEN: Final = 1  # phase of a quote
HUNDRED: Final = Decimal(100)


def submit(ledgers: Ledgers, account: Account, ticket: Ticket, source: str = "api") -> dict[str, Any]:
    """A new order; its JSON as it is answered, before the book has said anything. Raises Refusal."""
    now = ledgers.moment()
    if account.config["suspend_trade"]:
        raise forbidden("new orders are rejected by user request: trading is suspended")
    if ticket.client_order_id and ticket.client_order_id in account.by_client:
        raise malformed("client_order_id must be unique")
    price = ledgers.prices.now(ticket.instrument) if ticket.instrument else None
    check(ticket, ledgers.assets, now, price, ledgers.by_calendar)
    permitted(ticket, account.config)
    order = made(ledgers, account, ticket, now)
    order.source = source
    if order.instrument is not None:
        if ticket.order_class == "oco" and account.held(order.instrument) * order.side >= 0:
            raise unprocessable("oco orders must be exit orders")
        closable(account, order, ledgers.assets.terms(order.instrument).shortable)
        wash(account, order)
        if ledgers.prices.ask(order.instrument) is None:
            _unpriced(order, account.held(order.instrument))
    elif order.type == "market":
        for leg in order.legs:
            assert leg.instrument is not None
            if ledgers.prices.now(leg.instrument) is None:
                _unpriced(order, ZERO)
    afford(account, ledgers.prices, order)
    account.add(order)
    for leg in order.legs:
        account.add(leg)
    ledgers.expires(order, now)
    waits = order.instrument is not None and must_wait(ledgers, order)
    order.status = "accepted" if waits else "pending_new"
    answered = wire(order)
    ledgers.updates.tell(order, order.status, now)
    fault = ledgers.world.faults.hit("orders.submit", symbol=order.symbol)
    if fault is not None:
        ledgers.end(order, now, "rejected")
    elif waits:
        ledgers.waiting.append(order)
    else:
        enter(ledgers, order)
    return answered


def must_wait(ledgers: Ledgers, order: Order) -> bool:
    """Whether the book would not have it yet: the market is closed, halted, or has no quote. What cannot wait goes."""
    instrument = order.instrument
    if instrument is None or order.tif in ("opg", "cls", "ioc", "fok"):
        return False
    if ledgers.world.exchange.quote(instrument.id).phase != OPEN:
        return True
    by_hours = ledgers.by_calendar and not order.extended
    return by_hours and not regular(ledgers.world.clock.now(), instrument.asset_class, ledgers.by_calendar)


def made(ledgers: Ledgers, account: Account, ticket: Ticket, now: int) -> Order:
    """The order of a ticket, with its legs; known to nobody yet."""
    order = Order(
        ledgers.uuid(), account.key_id, ticket.client_order_id or ledgers.uuid(), ticket.instrument, ticket.side,
        ticket.type, ticket.tif, ticket.qty, now, ticket.notional, ticket.limit, ticket.stop, ticket.trail_price,
        ticket.trail_percent, ticket.extended, ticket.order_class, ticket.intent,
    )  # fmt: skip
    if ticket.notional is not None and ticket.instrument is not None:
        order.qty = _sized(ledgers, ticket, ticket.instrument)
    for leg in ticket.legs:
        size = leg.ratio * (ticket.qty or 0)
        legged = Order(
            ledgers.uuid(), account.key_id, ledgers.uuid(), leg.instrument, leg.side, ticket.type, ticket.tif, size,
            now, order_class="mleg", intent=leg.intent, ratio_qty=leg.ratio, parent=order,
        )  # fmt: skip
        order.legs.append(legged)
    if ticket.order_class in ("bracket", "oto") and ticket.take_profit is not None:
        order.legs.append(_exit(ledgers, order, "limit", ticket.take_profit, None))
    if ticket.order_class and ticket.stop_loss is not None:
        kind = "stop" if ticket.stop_loss_limit is None else "stop_limit"
        order.legs.append(_exit(ledgers, order, kind, ticket.stop_loss_limit, ticket.stop_loss))
    return order


def _exit(ledgers: Ledgers, entry: Order, kind: str, limit: Decimal | None, stop: Decimal | None) -> Order:
    """A take-profit or stop-loss; an OCO's stop has the same side as its top, a bracket's exits the other."""
    side = entry.side if entry.order_class == "oco" else -entry.side
    return Order(
        ledgers.uuid(), entry.key_id, ledgers.uuid(), entry.instrument, side, kind, entry.tif, entry.qty,
        entry.submitted_at, limit_price=limit, stop_price=stop, order_class=entry.order_class, status="held",
        parent=entry,
    )  # fmt: skip


def _sized(ledgers: Ledgers, ticket: Ticket, instrument: Instrument) -> Decimal:
    """The quantity a notional order stands for at the market's price, rounded down to nine places."""
    price = ticket.limit or (ledgers.prices.ask if ticket.side > 0 else ledgers.prices.bid)(instrument)
    price = price or ledgers.prices.now(instrument)
    if price is None or ticket.notional is None:
        raise unprocessable("no market price for a notional order")
    qty = floored(ticket.notional / (price * Decimal(repr(instrument.multiplier))))
    if qty <= 0:
        raise malformed("notional must be >= 1.00")
    return qty


def _unpriced(order: Order, held: Decimal) -> None:
    """An order at whatever price, without a market, has no value to check against the account, unless it closes."""
    if order.type in ("market", "trailing_stop") and held * order.side >= 0:
        raise unprocessable(f'no market price for "{order.symbol}"')


def enter(ledgers: Ledgers, order: Order) -> None:
    """To the exchange, exits behind it; what it says is settled at once."""
    if order.instrument is None:
        _send_legs(ledgers, order)
        return
    _send(ledgers, order, parent=0, sibling=0)
    oco = order.order_class == "oco"
    other = order if oco else None  # the exit that ends this one
    for leg in order.legs:
        if not leg.open:
            continue  # it went with its entry
        if other is not None and not other.open:
            ledgers.end(leg, ledgers.world.exchange.now, "canceled")  # the other exit has filled already
            continue
        _send(ledgers, leg, 0 if oco else order.exchange_id, other.exchange_id if other else 0)
        other = leg


def _send_legs(ledgers: Ledgers, order: Order) -> None:
    """Hand a multi-leg order to the exchange: the engine's function fills all its legs, or none."""
    legs = [
        Leg(leg.instrument.id, leg.side, int(leg.ratio_qty))
        for leg in order.legs
        if leg.instrument is not None and leg.ratio_qty is not None
    ]
    for each in (order, *order.legs):
        each.status = "new"
    ledgers.updates.tell(order, "new", order.submitted_at)
    exchange, net = ledgers.world.exchange, real(order.limit_price)
    account = list(ledgers.accounts).index(order.key_id) + 1
    ids = exchange.submit_legs(legs, float(order.size), net, TIFS[order.tif], account)
    for leg, exchange_id in zip(order.legs, ids, strict=True):
        leg.exchange_id = exchange_id
        ledgers.by_exchange[exchange_id] = leg
    ledgers.settle(exchange.events())


def _send(ledgers: Ledgers, order: Order, parent: int, sibling: int) -> None:
    """Hand one order to the exchange, and settle what it says."""
    exchange = ledgers.world.exchange
    order.exchange_id = exchange.submit(request(ledgers, order, parent, sibling))
    ledgers.by_exchange[order.exchange_id] = order
    ledgers.settle(exchange.events())


def request(ledgers: Ledgers, order: Order, parent: int = 0, sibling: int = 0) -> Request:
    """The order in the exchange's words."""
    assert order.instrument is not None
    trail, fraction = math.nan, False
    if order.trail_price is not None:
        trail = float(order.trail_price)
    elif order.trail_percent is not None:
        trail, fraction = float(order.trail_percent / HUNDRED), True
    return Request(
        order.instrument.id,
        order.side,
        TYPES[order.type],
        TIFS[order.tif],
        float(order.size),
        real(order.limit_price),
        real(order.stop_price),
        trail,
        fraction,
        order.extended,
        parent,
        sibling,
        list(ledgers.accounts).index(order.key_id) + 1,
    )
