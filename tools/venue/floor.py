"""Floor: the memory of an exchange and its plumbing: instruments, orders, the wire, the bells, what happened."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from gpi.formats.errors import UsageError
from gpi.formats.instruments import Instruments
from gpi.formats.market.calendar import part_of
from gpi.formats.words import CANCELED, EXPIRED, FILLED, HALTED, PAUSED, REJECTED
from gpi.tools.columns import Columns
from gpi.tools.kernels import memory
from gpi.tools.kernels.chance import seeded
from gpi.tools.kernels.exchange import step as exchange
from gpi.tools.kernels.exchange.bells import toll
from gpi.tools.kernels.exchange.options import TRAVEL, travel_alone
from gpi.tools.kernels.orders import INSTRUMENT, INTENT, LIKELY_POWER, MAX_LEGS, NEVER, RESPONSES, Engine
from gpi.tools.kernels.ticks import Ticks
from gpi.tools.kernels.trader import sending as trader
from gpi.tools.venue.requests import POLICIES, Event, Fill, Pause, Quote
from gpi.tools.venue.terms import shares_of, write_terms

ENDS: Final = (REJECTED, CANCELED, EXPIRED)


class Floor:
    """Where an exchange keeps everything; `gpi.tools.venue.exchange.Exchange` is what is done there."""

    def __init__(
        self,
        instruments: Instruments,
        levels: int = 1,
        fill: Fill = "alpaca-paper",
        seed: int = 0,
        hours: bool = False,
        crossing: bool = True,
        bands: int = 0,
        breaker: tuple[str, float] | None = None,
        option_slippage: Sequence[float] = tuple(TRAVEL.tolist()),
    ) -> None:
        if fill not in POLICIES:
            raise UsageError(f"fill {fill!r}: choose {', '.join(POLICIES)}")
        state = self._state = memory.blank(levels)
        state["venue"]["spread_shares"][0] = shares_of(option_slippage, POLICIES[fill])
        self._travel = travel_alone(state["venue"]["spread_shares"][0])
        v: Any = state["venue"][0]
        v.policy, v.rng, v.unusual, v.likely_power = POLICIES[fill], seeded(seed), 1, LIKELY_POWER
        v.hours, v.crossing, v.banded = hours, crossing, bands > 0 or breaker is not None
        self._bands, self._breaker = bands, breaker
        if breaker is not None:
            state["breaker"][0].close_px = breaker[1]
        state["pool"] = memory.more_slots(state["pool"], state["rings"][0], 64)
        self._bind()
        self._columns = Columns(Ticks)
        self._intents, self._terms = np.zeros(MAX_LEGS, INTENT), np.zeros(1, INSTRUMENT)
        self._slots: dict[int, int] = {}  # of the open orders
        self._filled: set[int] = set()
        self._told: list[Event] = []
        self._paused: set[int] = set()
        self._pauses: list[Pause] = []
        self._known = self._announced = 0  # instruments that were heard of, and that have terms
        self.announce(instruments)

    def _bind(self) -> None:
        """Share with the kernels what stands in the memory now: whenever an array has grown."""
        self._engine = Engine(self._state)

    @property
    def now(self) -> int:
        """Event time of the last tick, ns; far in the past before the first."""
        return int(self._engine.clock.now)

    def announce(self, instruments: Instruments) -> None:
        """The instrument table from now on; it only grows."""
        first, count = self._announced, len(instruments)
        if count > len(self._engine.instruments):
            self._room_for(max(count, 2 * first))
        them = self._engine.instruments[first:count]
        write_terms(them, [instruments[i] for i in range(first, count)], self._travel, self._bands)
        self._table, self._announced, self._known = instruments, count, max(self._known, count)
        if self._breaker is not None and self._breaker[0] in instruments:
            self._engine.breaker.index = 1 + instruments.named(self._breaker[0]).id
        if them["listed"].any() and self._engine.clock.bell == NEVER:
            self._engine.clock.bell = memory.LONG_AGO

    def events(self) -> list[Event]:
        """What happened since this was last called, in order."""
        told, self._told = self._told, []
        return told

    def pauses(self) -> list[Pause]:
        """What LULD bands and breakers stopped and let trade again in the last frame, in order of its rows."""
        told, self._pauses = self._pauses, []
        return told

    def _pause(self, row: int) -> None:
        """What stands still since the row before `row`, and what no longer does."""
        until, now = self._engine.instruments["pause_until"], self.now
        stopped = set(np.flatnonzero(until > 0).tolist())
        market = self._engine.breaker.until > now
        for ids, flags in ((self._paused - stopped, 0), (stopped - self._paused, HALTED if market else PAUSED)):
            if ids:
                self._pauses.append(Pause(row, now, tuple(sorted(ids)), flags))
        self._paused = stopped

    def quote(self, instrument_id: int) -> Quote:
        """The best bid and offer as they stand."""
        it: Any = self._engine.instruments[instrument_id]
        return Quote(
            int(it.quote_ts), float(it.bid_px), float(it.bid_sz), float(it.ask_px), float(it.ask_sz), int(it.phase)
        )

    def last(self, instrument_id: int) -> tuple[int, float, float]:
        """(ts, price, size) of the last trade on an exchange; (0, NaN, 0) before the first."""
        it: Any = self._engine.instruments[instrument_id]
        if not it.last_px > 0.0:
            return 0, math.nan, 0.0
        return int(it.last_ts), float(it.last_px), float(it.last_sz)

    def _room_for(self, count: int) -> None:
        state = self._state
        known = len(state["instruments"])
        memory.more_instruments(state, count)
        fresh = state["instruments"][known:]
        fresh["tick_size"], fresh["lot_size"], fresh["multiplier"] = 0.01, 1.0, 1.0
        fresh["near"] = memory.nearness(fresh["tick_size"])
        self._bind()

    def _make_way(self) -> None:
        e, state = self._engine, self._state
        slots, worst = e.rings.free_slots, exchange.worst(e.account.open_orders + MAX_LEGS, e.ladders.shape[2])
        messages = int(worst) + int(e.rings.responses)
        if slots >= MAX_LEGS and messages < e.transit.shape[1]:
            return
        if slots < MAX_LEGS:
            state["pool"] = memory.more_slots(e.pool, e.rings, 2 * len(e.pool))
        if messages >= e.transit.shape[1]:
            state["transit"] = memory.more_messages(e.transit, e.rings, 2 * messages)
        self._bind()

    def _toll(self, ts: int) -> None:
        toll(self._engine, ts, part_of if self._engine.instruments["listed"].any() else None)
        self._collect()

    def _collect(self) -> None:
        """Responses become events; orders that have ended leave the book."""
        e = self._engine
        while e.rings.responses > 0:
            m = e.transit[RESPONSES, e.rings.response_at]
            e.rings.response_at = (e.rings.response_at + 1) % e.transit.shape[1]
            e.rings.responses -= 1
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
                trader.release(e, self._slots.pop(order_id))
