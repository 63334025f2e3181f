"""Ledgers: every account of the venue, and what the exchange's events mean to each."""

from __future__ import annotations

import random
from collections.abc import Iterable
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from gpi.formats.market.calendar import day_of, next_close, session
from gpi.formats.market.settlement import ending
from gpi.formats.secrets import Secret
from gpi.formats.words import ACCEPTED, CANCELED, DAY_NS, EXPIRED, FILLED, HELD, REDUCED, REJECTED, REPLACED, TRIGGERED
from gpi.tools.venue.accounts.account import Account, Fill
from gpi.tools.venue.accounts.charges import Charges
from gpi.tools.venue.accounts.orders import Order
from gpi.tools.venue.accounts.prices import Prices
from gpi.tools.venue.alpaca.assets import Assets
from gpi.tools.venue.alpaca.updates import Updates
from gpi.tools.venue.exchange import Event
from gpi.tools.venue.money import exact

if TYPE_CHECKING:
    from gpi.tools.venue.world import World

VERSION_BITS: Final = 0xF000 << 64 | 0xC000 << 48  # of a UUID: version and variant
VERSION_4: Final = 0x4000 << 64 | 0x8000 << 48
GTC_DAYS: Final = 90
ENDED: Final = {CANCELED: "canceled", EXPIRED: "expired", REJECTED: "rejected", REPLACED: "replaced"}


class Ledgers:
    """All accounts by key id, and all orders by the exchange's id."""

    def __init__(self, world: World, cash: dict[str, Decimal], charges: Charges, seed: int, by_calendar: bool) -> None:
        self.world = world
        self.assets = Assets(world.instruments)
        self.prices = Prices(world.exchange, self.assets)
        self.charges = charges
        self.updates = Updates(world)
        self.by_calendar = by_calendar
        self.waiting: list[Order] = []  # accepted while the market is closed
        self.by_exchange: dict[int, Order] = {}
        self._dice = random.Random(f"{seed}/ids")
        self._moment = 0
        self._expiry: int | None = None  # ns; the earliest expiry of a working order
        self.close_at: int | None = None
        now = world.clock.now()
        self.accounts = {k: Account(k, self.uuid(), f"PA{i:010d}", c, now) for i, (k, c) in enumerate(cash.items(), 1)}

    def uuid(self) -> str:
        """A new id, from the venue's seed."""
        bits = self._dice.getrandbits(128) & ~VERSION_BITS | VERSION_4
        digits = f"{bits:032x}"  # five times as fast as uuid.UUID, and the same
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"

    def moment(self) -> int:
        """Venue time for a new order, ns; never the same twice, so that `after` misses none in a list."""
        self._moment = max(self.world.clock.now(), self._moment + 1)
        return self._moment

    def __getitem__(self, key_id: str) -> Account:
        """The account of a key."""
        return self.accounts[key_id]

    def settle(self, events: Iterable[Event]) -> None:
        """Book what the exchange reported, in order, and tell the trade_updates sockets."""
        for event in events:
            order = self.by_exchange.get(event.order_id)
            if order is not None:
                self._booked(order, event)

    def _booked(self, order: Order, event: Event) -> None:
        event = event._replace(ts=order.at(event.ts))
        if event.action == FILLED:
            self.filled(order, event.ts, event.qty, event.px, event.leaves == 0.0, event.liquidity)
        elif event.action == ACCEPTED:
            self._live(order, event.ts)
        elif event.action == HELD and order.status in ("pending_new", "accepted"):
            order.status = "held" if order.parent else "accepted"
        elif event.action == TRIGGERED:
            order.updated_at = event.ts
        elif event.action == REDUCED:
            order.qty, order.updated_at = exact(event.qty), event.ts
            self.updates.tell(order, "restated", event.ts)
        elif event.action in ENDED:
            self.end(order, event.ts, ENDED[event.action])
            if order.parent is not None and order.of_several:  # a leg's end is the end of the whole
                self.end(order.parent, event.ts, ENDED[event.action])

    def _live(self, order: Order, ts: int) -> None:
        if order.open and order.status not in ("new", "partially_filled"):
            order.status, order.updated_at = "new", ts
            self.updates.tell(order, "new", ts)

    def filled(self, order: Order, ts: int, qty: float, px: float, whole: bool, liquidity: int = 2) -> Fill:
        """One execution: order, account, activity, update."""
        assert order.instrument is not None
        account, ts = self.accounts[order.key_id], order.at(ts)
        size, price = exact(qty), exact(px)
        if whole and order.qty is not None:
            size = order.qty - order.filled_qty  # what floats left of it
        order.filled_qty += size
        order.cost += size * price
        order.updated_at = ts
        if whole:
            order.status, order.filled_at = "filled", ts
            account.working.pop(order.id, None)
        elif order.open:
            order.status = "partially_filled"
        fee = self.charges.fee(order.key_id, order.instrument, ts, order.side, liquidity, size, price)
        leaves = order.size - order.filled_qty
        fill = Fill(self.uuid(), ts, order, order.instrument, order.side, size, price, fee, leaves, order.filled_qty)
        account.book(fill)
        self.world.counters["fills"] += 1
        self.updates.filled(fill, account.held(order.instrument))
        if order.parent is not None and order.of_several:
            self._combo_filled(order.parent, ts)
        return fill

    def _combo_filled(self, top: Order, ts: int) -> None:
        """The top of a multi-leg order is filled as far as its least filled leg."""
        done = min(leg.filled_qty // (leg.ratio_qty or 1) for leg in top.legs)
        if done > top.filled_qty:
            top.filled_qty = done
            top.cost = sum((leg.side * leg.cost for leg in top.legs), Decimal(0))
            top.updated_at = ts = top.at(ts)
            if top.filled_qty >= top.size:
                top.status, top.filled_at = "filled", ts
                self.accounts[top.key_id].working.pop(top.id, None)

    def end(self, order: Order, ts: int, status: str) -> None:
        """An order is over without being filled; the legs that waited for it are, too."""
        if not order.open:
            return
        ts = order.at(ts)
        order.status, order.updated_at = status, ts
        when = {"canceled": "canceled_at", "expired": "expired_at", "rejected": "failed_at", "replaced": "replaced_at"}
        setattr(order, when[status], ts)
        self.accounts[order.key_id].working.pop(order.id, None)
        if order in self.waiting:
            self.waiting.remove(order)
        self.updates.tell(order, status, ts)
        for leg in order.legs:
            if leg.open and status != "replaced" and (leg.status == "held" or order.instrument is None):
                if not (leg.exchange_id and self.world.exchange.cancel(leg.exchange_id)):
                    self.end(leg, ts, "canceled")

    def passed(self) -> None:
        """Time has passed: what waited for the open goes to the book, what has expired leaves it."""
        now = self.world.clock.now()
        if self._expiry is not None and now >= self._expiry:
            self._expire(now)
        if self.close_at is None or now >= self.close_at:
            if self.close_at is not None:
                self._day_over(now)
            self.close_at = next_close(now)

    def _expire(self, now: int) -> None:
        left: list[int] = []
        for account in self.accounts.values():
            for order in list(account.working.values()):
                if order.expires_at is not None and now >= order.expires_at and order.parent is None:
                    self.expire(order, now)
                elif order.expires_at is not None:
                    left.append(order.expires_at)
        self._expiry = min(left, default=None)

    def expire(self, order: Order, now: int) -> None:
        """Its time in force has ended it."""
        for each in (order, *order.legs):
            if each.open:
                self.end(each, now, "expired")  # first: the exchange's own word for it is then old news
                if each.exchange_id:
                    self.world.exchange.cancel(each.exchange_id)

    def expires(self, order: Order, now: int) -> None:
        """Give it the time at which it expires; coins have none."""
        if order.instrument is not None and order.instrument.asset_class == "crypto":
            return
        if not self.by_calendar:
            return
        if order.tif == "gtc":
            order.expires_at = next_close(now + GTC_DAYS * DAY_NS - DAY_NS)
        else:
            close = next_close(now)
            today = session(day_of(close))
            order.expires_at = today.late_close if today is not None and order.extended else close
        option = order.instrument
        if option is not None and option.expiry is not None:  # nothing outlives its contract
            order.expires_at = min(order.expires_at, ending(option.underlying, option.expiry).last_trade)
        self._expiry = order.expires_at if self._expiry is None else min(self._expiry, order.expires_at)

    def _day_over(self, now: int) -> None:
        for account in self.accounts.values():
            account.last_equity = account.history[-1][1] if account.history else account.cash

    def key_added(self, key_id: str, secret: Secret, cash: Decimal) -> Account:
        """Another account while the venue runs."""
        self.world.keys[key_id] = secret
        made = Account(key_id, self.uuid(), f"PA{len(self.accounts) + 1:010d}", cash, self.world.clock.now())
        self.accounts[key_id] = made
        return made

    def state(self) -> dict[str, Any]:
        """The truth, for /gpi/state: see tools.venue.truth."""
        return {"accounts": len(self.accounts)}
