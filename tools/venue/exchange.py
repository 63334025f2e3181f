"""Exchange: the matching kernel with a wire's face. Requests in, events out, ticks in between.

A request reaches the book at once (the wire in front of it adds the latency). Event time only: `now` is the time of
the last tick. Give every order its account: orders of different accounts meet each other where `crossing` is on.
"""

from __future__ import annotations

import math
from typing import Any, Final, Literal, NamedTuple

import numpy as np

from gpi.formats.errors import BadInput, UsageError
from gpi.formats.frame import Frame
from gpi.formats.instruments import KEY, Instruments, checked_id
from gpi.formats.orders import (
    ACCEPTED,
    CANCELED,
    DAY,
    EXPIRED,
    FILLED,
    GTC,
    IOC,
    LIMIT,
    MARKET,
    REASONS,
    REJECTED,
    REPLACED,
)
from gpi.formats.ticks import TRADE
from gpi.tools.kernels import exchange, matching, trader
from gpi.tools.kernels.memory import (
    LADDER_ROWS,
    LONG_AGO,
    more_instruments,
    more_ladders,
    more_messages,
    more_slots,
    nearness,
)
from gpi.tools.kernels.orders import (
    CONSERVATIVE,
    DESK,
    GONE,
    INSTRUMENT,
    INTENT,
    MESSAGE,
    NEVER,
    NEW,
    ORDER,
    PAPER,
    RESPONSES,
    WIRE,
)

Fill = Literal["conservative", "alpaca-paper", "queue"]
POLICIES: Final = {"conservative": CONSERVATIVE, "alpaca-paper": PAPER}
ENDS: Final = (REJECTED, CANCELED, EXPIRED, REPLACED)
MALFORMED: Final = REASONS.index("MALFORMED")
COLUMNS: Final = (
    "ts_event", "instrument_id", "kind", "side", "flags",
    "bid_px", "bid_sz", "ask_px", "ask_sz", "trade_px", "trade_sz",
)  # fmt: skip
DEPTH_COLUMNS: Final = ("bids_px", "bids_sz", "asks_px", "asks_sz")


class Request(NamedTuple):
    """A new order. Words as in `gpi.formats.orders`; prices in currency, `trail` too, or a fraction."""

    instrument_id: int
    side: int  # 1 buy, -1 sell
    order_type: int
    tif: int
    qty: float
    px: float = math.nan
    stop_px: float = math.nan
    trail: float = math.nan
    trail_fraction: bool = False
    extended: bool = False
    parent: int = 0
    rival: int = 0
    account: int = 0


class Event(NamedTuple):
    """What happened to an order. FILLED: `qty` and `px` are this fill's, `leaves` is unfilled after it."""

    ts: int
    order_id: int
    action: int
    qty: float
    px: float
    leaves: float
    liquidity: int
    reason: int


class Quote(NamedTuple):
    """The best bid and offer, NaN where absent; phase 0 waiting for a quote, 1 open, 2 halted."""

    ts: int
    bid_px: float
    bid_sz: float
    ask_px: float
    ask_sz: float
    phase: int


class Exchange:
    """Order books over a stream of ticks. Not for several threads at once."""

    def __init__(self, instruments: Instruments, levels: int = 1, fill: Fill = "alpaca-paper", seed: int = 0) -> None:
        if fill not in POLICIES:
            raise UsageError(f"fill {fill!r}: choose {', '.join(POLICIES)}")
        desk = self._desk = np.zeros(1, DESK)
        d = desk[0]
        d.now, d.kill_row, d.next_id, d.free, d.policy = LONG_AGO, NEVER, 1, -1, POLICIES[fill]
        d.rng = (seed * 0x9E3779B97F4A7C15 + 1) % (1 << 63) or 1
        self._pool = more_slots(np.zeros(0, ORDER), desk, 64)
        self._wire = np.zeros((2, 256), MESSAGE)
        self._instruments = np.zeros(0, INSTRUMENT)
        self._ladders = np.zeros((0, LADDER_ROWS, levels))
        self._none = np.zeros((0, 1))
        self._wish = np.zeros(1, INTENT)
        self._slots: dict[int, int] = {}  # of the open orders
        self._told: list[Event] = []
        self._last: dict[int, tuple[int, float, float]] = {}
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
        for name in ("tick_size", "lot_size", "multiplier"):
            them[name] = [getattr(row, name) for row in instruments]
        them["near"] = nearness(them["tick_size"])

    def submit(self, request: Request) -> int:
        """A new order; returns its id. What the exchange makes of it is among the events."""
        d: Any = self._desk[0]
        if not 0 <= request.instrument_id < len(self._instruments):
            raise BadInput(f"instrument_id {request.instrument_id} has not been announced to the exchange")
        if d.free_slots < 1:
            self._pool = more_slots(self._pool, self._desk, 2 * len(self._pool))
        self._make_way()
        wish = self._wish[0]
        wish.what, wish.instrument_id, wish.side = NEW, request.instrument_id, request.side
        wish.order_type, wish.tif, wish.qty, wish.px = request.order_type, request.tif, request.qty, request.px
        slot = trader.place(self._desk, self._instruments, self._pool, wish, request.instrument_id)
        order_id = int(self._pool[slot].order_id)
        self._slots[order_id] = slot
        if not _well_formed(request):
            matching.respond(self._desk, self._pool, self._wire, slot, self.now, REJECTED, request.qty, request.px,
                             MALFORMED)  # fmt: skip
            self._pool[slot].place = GONE
        else:
            exchange.enter(self._desk, self._instruments, self._ladders, self._pool, self._wire, slot, self.now)
        self._collect()
        return order_id

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
        """Another order in the place of an open one; its id, or None when there is nothing left to replace.

        `qty` counts what has been filled already, as in FIX: the new order works for the rest. REPLACED is the old
        one's end. The place in the queue is kept when nothing but the size changes, downwards.
        """
        slot = self._slots.get(order_id)
        if slot is None:
            return None
        o = self._pool[slot]
        left = float(o.leaves if qty is None else qty - (o.qty - o.leaves))
        if not left > 0.0:
            return None
        kept = px is None and tif is None and left <= o.leaves
        old = Request(int(o.instrument_id), int(o.side), int(o.order_type), int(o.tif), left, float(o.px))
        self._make_way()
        if not kept:
            matching.withdraw(self._desk, self._pool, self._wire, slot, self.now, REPLACED)
            self._collect()
            return self.submit(old._replace(px=old.px if px is None else px, tif=old.tif if tif is None else tif))
        matching.respond(self._desk, self._pool, self._wire, slot, self.now, REPLACED, o.qty, o.px, 0)
        d: Any = self._desk[0]
        new_id = int(d.next_id)
        self._slots[new_id] = self._slots[order_id]
        d.next_id += 1
        self._collect()
        o.order_id, o.qty, o.leaves = new_id, left, left
        matching.respond(self._desk, self._pool, self._wire, slot, self.now, ACCEPTED, left, o.px, 0)
        self._collect()
        return new_id

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
                else:
                    self._room_for(max(checked_id(int(frame["instrument_id"][row])) + 1, 2 * len(self._instruments)))
        self._remember_trades(frame)

    def advance(self, ts: int) -> None:
        """Time passes without ticks."""
        self._desk[0].now = max(self._desk[0].now, ts)

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
        """(ts, price, size) of the last trade; (0, NaN, 0) before the first."""
        return self._last.get(instrument_id, (0, math.nan, 0.0))

    def _remember_trades(self, frame: Frame) -> None:
        rows = np.flatnonzero(frame["kind"] & TRADE)
        if len(rows):
            ids, first = np.unique(frame["instrument_id"][rows][::-1], return_index=True)
            for i, at in zip(ids.tolist(), rows[::-1][first].tolist(), strict=True):
                self._last[i] = tuple(frame[n][at].item() for n in ("ts_event", "trade_px", "trade_sz"))

    def _room_for(self, count: int) -> None:
        known = len(self._instruments)
        self._instruments = more_instruments(self._instruments, count)
        self._ladders = more_ladders(self._ladders, count)
        fresh = self._instruments[known:]
        fresh["tick_size"], fresh["lot_size"], fresh["multiplier"] = 0.01, 1.0, 1.0
        fresh["near"] = nearness(fresh["tick_size"])

    def _make_way(self) -> None:
        d: Any = self._desk[0]
        worst = int((d.open_orders + 2) * (2 * self._ladders.shape[2] + 3)) + int(d.responses)
        if worst >= self._wire.shape[1]:
            self._wire = more_messages(self._wire, self._desk, 2 * worst)

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
                slot = self._slots.pop(order_id)
                if self._pool[slot].place == GONE:  # one replaced in place lives on under its new id
                    trader.release(self._desk, self._instruments, self._pool, slot)


def _well_formed(request: Request) -> bool:
    priced = request.order_type == MARKET or (request.order_type == LIMIT and 0.0 < request.px < math.inf)
    return bool(abs(request.side) == 1 and request.tif in (GTC, IOC, DAY) and 0.0 < request.qty < math.inf and priced)
