"""Floor: the memory of an exchange and its plumbing: instruments, orders, the wire, the bells, what happened."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from gpi.formats.calendar import part_of
from gpi.formats.errors import UsageError
from gpi.formats.instruments import Instruments
from gpi.formats.orders import CANCELED, EXPIRED, FILLED, REJECTED
from gpi.formats.ticks import HALTED, PAUSED
from gpi.tools.kernels import exchange, memory, queues, trader
from gpi.tools.kernels.bells import toll
from gpi.tools.kernels.chance import seeded
from gpi.tools.kernels.options import TRAVEL, travel_alone
from gpi.tools.kernels.orders import DESK, INSTRUMENT, INTENT, LIKELY_POWER, MAX_LEGS, MESSAGE, NEVER, ORDER, RESPONSES
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
        desk = self._desk = np.zeros(1, DESK)
        desk["travels"][0] = shares_of(option_slippage, POLICIES[fill])
        self._travel = travel_alone(desk["travels"][0])
        d = desk[0]
        d.now = d.bell = d.opened = memory.LONG_AGO
        d.kill_row, d.next_id, d.free, d.policy, d.rng = NEVER, 1, -1, POLICIES[fill], seeded(seed)
        d.hours, d.crossing, d.likely_power, self._bands, self._breaker = hours, crossing, LIKELY_POWER, bands, breaker
        d.banded, d.breaker_close, d.breaker_until = (
            bands > 0 or breaker is not None,
            *(breaker or ("", 0.0))[1:],
            d.now,
        )
        d.unusual = 1
        self._pool = memory.more_slots(np.zeros(0, ORDER), desk, 64)
        self._wire = np.zeros((2, 256), MESSAGE)
        self._instruments, self._behind = np.zeros(0, INSTRUMENT), queues.table()
        self._ladders = np.zeros((0, memory.LADDER_ROWS, levels))
        self._none = np.zeros((0, 1))
        self._wish, self._terms = np.zeros(MAX_LEGS, INTENT), np.zeros(1, INSTRUMENT)
        self._slots: dict[int, int] = {}  # of the open orders
        self._filled: set[int] = set()
        self._told: list[Event] = []
        self._paused: set[int] = set()
        self._pauses: list[Pause] = []
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
        if self._breaker is not None and self._breaker[0] in instruments:
            self._desk[0].breaker = 1 + instruments.named(self._breaker[0]).id
        if them["bourse"].any() and self._desk[0].bell == NEVER:
            self._desk[0].bell = memory.LONG_AGO

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
        until, now = self._instruments["pause_until"], self.now
        stopped = set(np.flatnonzero(until > 0).tolist())
        market = self._desk[0].breaker_until > now
        for ids, flags in ((self._paused - stopped, 0), (stopped - self._paused, HALTED if market else PAUSED)):
            if ids:
                self._pauses.append(Pause(row, now, tuple(sorted(ids)), flags))
        self._paused = stopped

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
        if d.free_slots < MAX_LEGS:
            self._pool = memory.more_slots(self._pool, self._desk, 2 * len(self._pool))
        worst = int(exchange.worst(d.open_orders + MAX_LEGS, self._ladders.shape[2])) + int(d.responses)
        if worst >= self._wire.shape[1]:
            self._wire = memory.more_messages(self._wire, self._desk, 2 * worst)

    def _toll(self, ts: int) -> None:
        calendar = part_of if self._instruments["bourse"].any() else None
        toll(self._desk, self._instruments, self._ladders, self._pool, self._wire, ts, calendar)
        self._collect()

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
