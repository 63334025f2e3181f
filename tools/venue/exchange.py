"""Exchange: the matching kernel with a wire's face. Requests in, events out, ticks in between.

A request reaches the book at once (the wire in front of it adds the latency). Event time only: `now` is the time of
the last tick, or what `advance` told. Give every order its account: orders of different accounts meet each other,
best price first, then oldest; at one price what the market displays goes first, as if it had all been there before.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

from gpi.formats.errors import BadInput
from gpi.formats.frame import Frame
from gpi.formats.instruments import checked_id
from gpi.formats.words import CANCELED, CLS, DAY, GTC, HALTED, MLEG, REASONS, REJECTED
from gpi.tools.columns import NOTHING
from gpi.tools.kernels.exchange import matching, queues, quotes, responses
from gpi.tools.kernels.exchange import step as exchange
from gpi.tools.kernels.orders import BELL, FULL, MAX_LEGS, NEW, PAUSES, TRANSIT
from gpi.tools.kernels.trader import limits
from gpi.tools.kernels.trader import sending as trader
from gpi.tools.venue.floor import Floor
from gpi.tools.venue.requests import POLICIES, Event, Fill, Leg, Quote, Request

__all__ = ["POLICIES", "Event", "Exchange", "Fill", "Leg", "Quote", "Request"]
MALFORMED: Final = REASONS.index("MALFORMED")
PARENT_CHILD: Final = REASONS.index("PARENT_CHILD")


class Exchange(Floor):
    """Order books over a stream of ticks. Not for several threads at once.

    `hours`: orders sleep outside the regular session unless they are for extended hours. `bands`: LULD bands of this
    tier on every share. `breaker`: the symbol whose fall from this close stops the market. `option_slippage`: the share
    of the spread that options' fills travel, by number of legs (of no account with alpaca-paper). DAY orders of shares
    and options end at the close by the calendar in any case.
    """

    def submit(self, request: Request) -> int:
        """A new order; returns its id. What the exchange makes of it is among the events.

        Any fraction of a unit can be ordered. A parent that has filled no longer holds its child back.
        """
        i = request.instrument_id
        if not 0 <= i < self._known:
            raise BadInput(f"instrument_id {i} has not been announced to the exchange")
        self._make_way()
        if request.parent in self._filled:
            request = request._replace(parent=0)
        reason = self._wrong(request)
        intent: Any = self._intents[0]
        intent.what, intent.instrument_id, intent.order_id, intent.side = NEW, i, 0, request.side
        intent.order_type, intent.tif, intent.qty, intent.px = request.order_type, request.tif, request.qty, request.px
        intent.stop_px, intent.trail, intent.trail_fraction = request.stop_px, request.trail, request.trail_fraction
        intent.parent, intent.sibling, intent.extended = request.parent, request.sibling, request.extended
        if reason:
            intent.order_type, intent.tif, intent.side, intent.parent, intent.sibling = 1, GTC, 1, 0, 0
        slot = trader.place(self._engine, intent, i)
        order_id = int(self._engine.pool[slot].order_id)
        self._slots[order_id] = slot
        self._engine.pool[slot].account = request.account
        if reason:
            responses.end(self._engine, slot, self.now, REJECTED, reason)
        else:
            exchange.enter(self._engine, slot, self.now)
        self._collect()
        return order_id

    def submit_legs(
        self, legs: Sequence[Leg], units: float, net: float = math.nan, tif: int = DAY, account: int = 0
    ) -> list[int]:
        """A new order of 2 to 4 legs that fill together or not at all; returns the legs' ids, in a row.

        `units` of all legs at no more than `net` each, a debit (a credit is negative; NaN: at the market). It waits
        where it cannot trade yet. Raises BadInput for what is no such order.
        """
        known, held = self._known, {leg.instrument_id for leg in legs}
        if not 2 <= len(legs) <= MAX_LEGS or len(held) < len(legs) or not all(0 <= i < known for i in held):
            raise BadInput("an order of several legs has 2 to 4, each in another instrument that was announced")
        if not units > 0.0 or any(leg.ratio < 1 or leg.side not in (1, -1) for leg in legs):
            raise BadInput("units, and the contracts of each leg for a unit, are numbers above 0; sides 1 or -1")
        self._make_way()
        for nth, leg in enumerate(legs):
            intent: Any = self._intents[nth]
            intent.what, intent.order_type, intent.tif, intent.legs = NEW, MLEG, tif, -nth if nth else len(legs)
            intent.instrument_id, intent.side, intent.ratio, intent.qty = *leg, units * leg.ratio
            intent.px, intent.extended, intent.parent, intent.sibling = net, 0, 0, 0
        first = here = int(trader.place_legs(self._engine, self._intents, 0))
        ids = []
        for _ in legs:
            o: Any = self._engine.pool[here]
            o.account = account
            self._slots[int(o.order_id)] = here
            ids.append(int(o.order_id))
            here = int(o.mate)
        exchange.enter(self._engine, first, self.now)
        self._collect()
        return ids

    def _wrong(self, request: Request) -> int:
        """Why a request is no order, as an index of REASONS; 0 when it is one."""
        intent: Any = self._intents[0]
        intent.side, intent.order_type, intent.tif, intent.qty, intent.px = request[1:6]
        intent.stop_px, intent.trail, intent.trail_fraction, intent.extended = request[6:10]
        self._terms[0] = self._engine.instruments[request.instrument_id]
        self._terms[0].lot_size = 0.0
        terms: Any = self._terms[0]
        if not limits.well_formed(intent, terms):
            return MALFORMED
        parent, sibling = self._slots.get(request.parent), self._slots.get(request.sibling)
        lost = (request.parent and parent is None) or (request.sibling and sibling is None)
        full = parent is not None and self._engine.pool[parent].family and self._engine.pool[parent].leg_too >= 0
        return PARENT_CHILD if lost or full else 0

    def cancel(self, order_id: int) -> bool:
        """Take an order out of the book; False when it is not open (any more)."""
        slot = self._slots.get(order_id)
        if slot is None:
            return False
        self._make_way()
        matching.withdraw(self._engine, slot, self.now, CANCELED)
        self._collect()
        return True

    def replace(
        self,
        order_id: int,
        qty: float | None = None,
        px: float | None = None,
        stop_px: float | None = None,
        trail: float | None = None,
        tif: int | None = None,
    ) -> int | None:
        """Another order in the place of an open one; its id, or None when it is not open or there is nothing left.

        `qty` counts what has been filled already, as in FIX: the new order is for the rest. REPLACED is the old one's
        last event, ACCEPTED the new one's first. The place in the queue is kept when nothing but the size shrinks. Not
        for one of several legs: None.
        """
        slot = self._slots.get(order_id)
        if slot is None:
            return None
        o: Any = self._engine.pool[slot]
        if o.order_type == MLEG:
            return None  # one of several; all of them are canceled and submitted again
        given: Any = [math.nan if value is None else value for value in (qty, px, stop_px, trail)]
        if any(not 0.0 < value < math.inf for value in given if value == value):
            return None
        if qty is not None and not qty - (o.qty - o.leaves) > 0.0:
            return None
        if tif is not None and GTC <= tif <= CLS:
            o.tif = tif
        new_id = int(self._engine.rings.next_id)
        self._engine.rings.next_id += 1
        self._slots[new_id] = slot
        self._make_way()
        size, limit, trigger, distance = given
        exchange.amend(self._engine, slot, self.now, size, limit, trigger, distance, new_id)
        renamed = int(self._engine.pool[slot].order_id) == new_id  # if not, no rest was left: it has ended
        del self._slots[order_id if renamed else new_id]
        self._collect()
        return new_id if renamed else None

    def halt(self, instrument_id: int | None = None) -> None:
        """Stop trading in one instrument, or in all of them (a market-wide circuit breaker)."""
        self._status(instrument_id, HALTED)

    def resume(self, instrument_id: int | None = None) -> None:
        """Trade again, from the next two-sided quote on."""
        self._status(instrument_id, 0)

    def _status(self, instrument_id: int | None, flags: int) -> None:
        self._make_way()
        for i in range(len(self._engine.instruments)) if instrument_id is None else (instrument_id,):
            quotes.status(self._engine, i, self.now, flags)
        self._collect()

    def tick(self, frame: Frame) -> None:
        """Fold the rows of a ticks frame. Raises BadInput for an instrument_id that cannot be."""
        if self._table.heard(frame.notes) is not None:
            self.announce(self._table)
        events = queues.told(frame.columns, int(self._engine.venue.policy))
        columns = self._columns.over(frame, {"events": events} if len(events) else NOTHING)
        row = 0
        while row < frame.rows:
            row = exchange.fold(self._engine.address, *columns, row)
            self._collect()
            stop = int(self._engine.cursor.stop)
            if stop == PAUSES:
                self._engine.cursor.stop = 0
                self._pause(row)
                continue
            if row < frame.rows:
                if stop == TRANSIT:
                    self._make_way()
                elif stop == FULL:
                    e = self._engine
                    self._state["behind"] = queues.more_room(e.behind, e.rings, e.instruments, e.pool)
                    self._bind()
                elif stop == BELL:
                    self._toll(int(frame["ts_event"][row]))
                else:
                    wanted = checked_id(int(frame["instrument_id"][row])) + 1
                    self._room_for(max(wanted, 2 * len(self._engine.instruments)))
        self._known = max(self._known, 1 + int(frame["instrument_id"].max(initial=-1)))

    def advance(self, ts: int) -> None:
        """Time passes without ticks: bells ring, orders expire."""
        self._make_way()
        if ts >= self._engine.clock.bell:
            self._toll(ts)
        self._engine.clock.now = max(self._engine.clock.now, ts)
