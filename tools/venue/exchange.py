"""Exchange: the matching kernel with a wire's face. Requests in, events out, ticks in between.

A request reaches the book at once (the wire in front of it adds the latency). Event time only: `now` is the time of
the last tick, or what `advance` told. Give every order its account: orders of different accounts meet each other,
best price first, then oldest; at one price what the market displays goes first, as if it had all been there before.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from gpi.formats.calendar import part_of
from gpi.formats.errors import BadInput, UsageError
from gpi.formats.frame import Frame
from gpi.formats.instruments import KEY, Instruments, checked_id
from gpi.formats.orders import CANCELED, EXPIRED, FILLED, REASONS, REJECTED
from gpi.formats.ticks import HALTED
from gpi.tools.kernels import exchange, limits, matching, memory, quotes, responses, trader
from gpi.tools.kernels.bells import toll
from gpi.tools.kernels.chance import seeded
from gpi.tools.kernels.options import TRAVEL, travel_alone
from gpi.tools.kernels.orders import (
    BELL,
    CLS,
    DESK,
    GTC,
    INSTRUMENT,
    INTENT,
    MESSAGE,
    NEVER,
    NEW,
    ORDER,
    RESPONSES,
    WIRE,
)
from gpi.tools.venue.requests import POLICIES, Event, Fill, Quote, Request
from gpi.tools.venue.terms import shares_of, write_terms

__all__ = ["POLICIES", "Event", "Exchange", "Fill", "Quote", "Request"]
ENDS: Final = (REJECTED, CANCELED, EXPIRED)
MALFORMED: Final = REASONS.index("MALFORMED")
PARENT_CHILD: Final = REASONS.index("PARENT_CHILD")
COLUMNS: Final = (
    "ts_event", "instrument_id", "kind", "side", "flags",
    "bid_px", "bid_sz", "ask_px", "ask_sz", "trade_px", "trade_sz",
)  # fmt: skip
DEPTH_COLUMNS: Final = ("bids_px", "bids_sz", "asks_px", "asks_sz")


class Exchange:
    """Order books over a stream of ticks. Not for several threads at once.

    `hours`: orders sleep outside the regular session unless they are for extended hours. `bands`: LULD bands of this
    tier on every share. `option_slippage`: the share of the spread that options' fills travel, by number of legs
    (of no account with alpaca-paper). DAY orders of shares and options end at the close by the calendar in any case.
    """

    def __init__(
        self,
        instruments: Instruments,
        levels: int = 1,
        fill: Fill = "alpaca-paper",
        seed: int = 0,
        hours: bool = False,
        crossing: bool = True,
        bands: int = 0,
        option_slippage: Sequence[float] = tuple(TRAVEL.tolist()),
    ) -> None:
        if fill not in POLICIES:
            raise UsageError(f"fill {fill!r}: choose {', '.join(POLICIES)}")
        self._travel = travel_alone(shares_of(option_slippage, POLICIES[fill]))
        desk = self._desk = np.zeros(1, DESK)
        d = desk[0]
        d.now = d.bell = d.opened = memory.LONG_AGO
        d.kill_row, d.next_id, d.free, d.policy, d.rng = NEVER, 1, -1, POLICIES[fill], seeded(seed)
        d.hours, d.crossing, d.banded, self._bands = hours, crossing, bands > 0, bands
        d.unusual = 1
        self._pool = memory.more_slots(np.zeros(0, ORDER), desk, 64)
        self._wire = np.zeros((2, 256), MESSAGE)
        self._instruments = np.zeros(0, INSTRUMENT)
        self._ladders = np.zeros((0, memory.LADDER_ROWS, levels))
        self._none = np.zeros((0, 1))
        self._wish, self._terms = np.zeros(1, INTENT), np.zeros(1, INSTRUMENT)
        self._slots: dict[int, int] = {}  # of the open orders
        self._filled: set[int] = set()
        self._told: list[Event] = []
        self.announce(instruments)

    @property
    def now(self) -> int:
        """Event time of the last tick, ns; far in the past before the first."""
        return int(self._desk[0].now)

    def announce(self, instruments: Instruments) -> None:
        """The instrument table from now on; it only grows."""
        count = len(instruments)
        if count > len(self._instruments):
            self._room_for(count)
        them = self._instruments[:count]
        write_terms(them, instruments, self._travel, self._bands)
        if them["bourse"].any() and self._desk[0].bell == NEVER:
            self._desk[0].bell = memory.LONG_AGO

    def submit(self, request: Request) -> int:
        """A new order; returns its id. What the exchange makes of it is among the events.

        Any fraction of a unit can be ordered. A parent that has filled no longer holds its child back.
        """
        d: Any = self._desk[0]
        i = request.instrument_id
        if not 0 <= i < len(self._instruments):
            raise BadInput(f"instrument_id {i} has not been announced to the exchange")
        if d.free_slots < 1:
            self._pool = memory.more_slots(self._pool, self._desk, 2 * len(self._pool))
        self._make_way()
        if request.parent in self._filled:
            request = request._replace(parent=0)
        reason = self._wrong(request)
        wish: Any = self._wish[0]
        wish.what, wish.instrument_id, wish.order_id, wish.side = NEW, i, 0, request.side
        wish.order_type, wish.tif, wish.qty, wish.px = request.order_type, request.tif, request.qty, request.px
        wish.stop_px, wish.trail, wish.trail_fraction = request.stop_px, request.trail, request.trail_fraction
        wish.parent, wish.rival, wish.extended = request.parent, request.rival, request.extended
        if reason:
            wish.order_type, wish.tif, wish.side, wish.parent, wish.rival = 1, GTC, 1, 0, 0
        slot = trader.place(self._desk, self._instruments, self._pool, wish, i)
        order_id = int(self._pool[slot].order_id)
        self._slots[order_id] = slot
        self._pool[slot].account = request.account
        if reason:
            responses.end(self._desk, self._pool, self._wire, slot, self.now, REJECTED, reason)
        else:
            exchange.enter(self._desk, self._instruments, self._ladders, self._pool, self._wire, slot, self.now)
        self._collect()
        return order_id

    def _wrong(self, request: Request) -> int:
        """Why a request is no order, as an index of REASONS; 0 when it is one."""
        wish: Any = self._wish[0]
        wish.side, wish.order_type, wish.tif, wish.qty, wish.px = request[1:6]
        wish.stop_px, wish.trail, wish.trail_fraction, wish.extended = request[6:10]
        self._terms[0] = self._instruments[request.instrument_id]
        self._terms[0].lot_size = 0.0
        terms: Any = self._terms[0]
        if not limits.well_formed(wish, terms):
            return MALFORMED
        parent, rival = self._slots.get(request.parent), self._slots.get(request.rival)
        lost = (request.parent and parent is None) or (request.rival and rival is None)
        full = parent is not None and self._pool[parent].family and self._pool[parent].leg_too >= 0
        return PARENT_CHILD if lost or full else 0

    def cancel(self, order_id: int) -> bool:
        """Take an order out of the book; False when it is not open (any more)."""
        slot = self._slots.get(order_id)
        if slot is None:
            return False
        self._make_way()
        matching.withdraw(self._desk, self._pool, self._wire, slot, self.now, CANCELED)
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
        last event, ACCEPTED the new one's first. The place in the queue is kept when nothing but the size shrinks.
        """
        slot = self._slots.get(order_id)
        if slot is None:
            return None
        o: Any = self._pool[slot]
        given: Any = [math.nan if value is None else value for value in (qty, px, stop_px, trail)]
        if any(not 0.0 < value < math.inf for value in given if value == value):
            return None
        if qty is not None and not qty - (o.qty - o.leaves) > 0.0:
            return None
        if tif is not None and GTC <= tif <= CLS:
            o.tif = tif
        d: Any = self._desk[0]
        new_id = int(d.next_id)
        d.next_id += 1
        self._slots[new_id] = slot
        self._make_way()
        venue: Any = (self._desk, self._instruments, self._ladders, self._pool, self._wire, slot, self.now)
        request: Any = (*venue, *given, new_id)
        exchange.amend(*request)
        del self._slots[order_id]
        self._collect()
        return new_id

    def halt(self, instrument_id: int | None = None) -> None:
        """Stop trading in one instrument, or in all of them (a market-wide circuit breaker)."""
        self._status(instrument_id, HALTED)

    def resume(self, instrument_id: int | None = None) -> None:
        """Trade again, from the next two-sided quote on."""
        self._status(instrument_id, 0)

    def _status(self, instrument_id: int | None, flags: int) -> None:
        self._make_way()
        for i in range(len(self._instruments)) if instrument_id is None else (instrument_id,):
            quotes.status(self._desk, self._instruments, self._ladders, self._pool, self._wire, i, self.now, flags)
        self._collect()

    def tick(self, frame: Frame) -> None:
        """Fold the rows of a ticks frame. Raises BadInput for an instrument_id that cannot be."""
        if frame.notes and KEY in frame.notes:
            self.announce(Instruments.from_json(frame.notes[KEY]))
        columns = [frame[name] for name in COLUMNS]
        deep = all(name in frame for name in DEPTH_COLUMNS)
        depth = [frame[name] for name in DEPTH_COLUMNS] if deep else [self._none] * 4
        row = 0
        while row < frame.rows:
            given: Any = (self._desk, self._instruments, self._ladders, self._pool, self._wire, *columns, *depth, row)
            row = exchange.fold(*given)
            self._collect()
            if row < frame.rows:
                if self._desk[0].stop == WIRE:
                    self._make_way()
                elif self._desk[0].stop == BELL:
                    self._toll(int(frame["ts_event"][row]))
                else:
                    self._room_for(max(checked_id(int(frame["instrument_id"][row])) + 1, 2 * len(self._instruments)))

    def advance(self, ts: int) -> None:
        """Time passes without ticks: bells ring, orders expire."""
        self._make_way()
        if ts >= self._desk[0].bell:
            self._toll(ts)
        self._desk[0].now = max(self._desk[0].now, ts)

    def _toll(self, ts: int) -> None:
        calendar = part_of if self._instruments["bourse"].any() else None
        toll(self._desk, self._instruments, self._ladders, self._pool, self._wire, ts, calendar)
        self._collect()

    def events(self) -> list[Event]:
        """What happened since this was last called, in order."""
        told, self._told = self._told, []
        return told

    def quote(self, instrument_id: int) -> Quote:
        """The best bid and offer as they stand."""
        it: Any = self._instruments[instrument_id]
        return Quote(
            int(it.quote_ts), float(it.bid_px), float(it.bid_sz), float(it.ask_px), float(it.ask_sz), int(it.phase)
        )

    def last(self, instrument_id: int) -> tuple[int, float, float]:
        """(ts, price, size) of the last trade on an exchange; (0, NaN, 0) before the first."""
        it: Any = self._instruments[instrument_id]
        if not it.last_px > 0.0:
            return 0, math.nan, 0.0
        return int(it.last_ts), float(it.last_px), float(it.last_sz)

    def _room_for(self, count: int) -> None:
        known = len(self._instruments)
        self._instruments = memory.more_instruments(self._instruments, count)
        self._ladders = memory.more_ladders(self._ladders, count)
        fresh = self._instruments[known:]
        fresh["tick_size"], fresh["lot_size"], fresh["multiplier"] = 0.01, 1.0, 1.0
        fresh["near"] = memory.nearness(fresh["tick_size"])

    def _make_way(self) -> None:
        d: Any = self._desk[0]
        worst = int(exchange.worst(d.open_orders + 1, self._ladders.shape[2])) + int(d.responses)
        if worst >= self._wire.shape[1]:
            self._wire = memory.more_messages(self._wire, self._desk, 2 * worst)

    def _collect(self) -> None:
        """Responses become events; orders that have ended leave the book."""
        d: Any = self._desk[0]
        while d.responses > 0:
            m = self._wire[RESPONSES, d.response_at]
            d.response_at = (d.response_at + 1) % self._wire.shape[1]
            d.responses -= 1
            kind, order_id, filled = int(m.kind), int(m.order_id), int(m.kind) == FILLED
            self._told.append(
                Event(
                    int(m.ts), order_id, kind, float(m.qty), float(m.px), float(m.leaves),
                    int(m.liquidity) if filled else 0, 0 if filled else int(m.reason),
                )
            )  # fmt: skip
            if kind in ENDS or (filled and m.leaves == 0.0):
                if filled:
                    self._filled.add(order_id)
                trader.release(self._desk, self._instruments, self._pool, self._slots.pop(order_id))
