"""Session: ticks in, orders, fills and equity out. The one engine of `gpi backtest` and `gpi trade --paper`.

A session reads event time only and gives the same rows however the stream is cut, so a live session that
was recorded can be run again and compared (`gpi.tools.backtest.verify`).
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from gpi.formats.errors import RiskBreach, SchemaMismatch
from gpi.formats.execution import ExecutionReport, OrderRequest
from gpi.formats.frame import Frame
from gpi.formats.instruments import Instruments, checked_id
from gpi.formats.ticks import MAX_INSTRUMENTS, demand_orders
from gpi.tools import stage
from gpi.tools.backtest import bells, memory, outside, plain
from gpi.tools.backtest.inputs import Inputs
from gpi.tools.backtest.setup import Setup, Terms
from gpi.tools.backtest.symbols import named, told_ids
from gpi.tools.backtest.traded import FIELDS, NOTHING, Traded, framed, joined
from gpi.tools.columns import NOTHING as NOTHING_MORE
from gpi.tools.columns import Columns
from gpi.tools.kernels.exchange import queues
from gpi.tools.kernels.exchange.step import worst as most
from gpi.tools.kernels.orders import (
    BELL,
    EQUITY_ROW,
    FIFO,
    FILL_ROW,
    FOREIGN,
    FULL,
    INSTRUMENTS,
    MAX_INTENTS,
    NEVER,
    ORDER_ROW,
    POOL,
    ROOM,
    TRANSIT,
    WORKING,
    Array,
    Engine,
)
from gpi.tools.kernels.ticks import Ticks
from gpi.tools.kernels.trader import engine
from gpi.tools.kernels.trader.sending import withdraw_all
from gpi.tools.stage import State

TICK_COLUMNS: Final = (
    "ts_event", "instrument_id", "kind", "side", "flags",
    "bid_px", "bid_sz", "ask_px", "ask_sz", "trade_px", "trade_sz",
)  # fmt: skip
TABLES: Final = ("orders", "fills", "equity")
FIRST_ROOM, MOST_ROOM = 1024, 65_536  # rows of orders a step collects at a time; memory stays flat


def needs(setup: Setup, schema: pa.Schema) -> None:
    """Raise SchemaMismatch for a column the engine lacks."""
    for name in TICK_COLUMNS:
        if name not in schema.names:
            raise SchemaMismatch(f"the stream has no column {name!r}")
    demand_orders(setup.rules.fill, schema.names)


class Session:
    """A trading session. `state` is all it remembers; the rest is scratch."""

    def __init__(self, schema: pa.Schema, setup: Setup, kill_file: Path | None = None) -> None:
        needs(setup, schema)
        self.setup, self.instruments = setup, Instruments.of(schema)
        announced = Terms.announced(self.instruments)
        if setup.terms is None:
            self.setup = replace(setup, terms=announced)
        self.setup = named(self.setup, self.instruments)
        self.levels = schema.field("bids_px").type.list_size if "bids_px" in schema.names else 1
        self.state = self.fresh()
        self._kill_file = None if kill_file is None else os.fspath(kill_file)
        strategy = setup.strategy
        self._inputs = Inputs(strategy.needs, strategy.wants, schema, f"the strategy {strategy.name}")
        self._params = strategy.params.copy()
        self._who = f"the strategy {strategy.name}"
        told_ids(self._params, strategy.symbols, self.instruments, self._who, False)
        self._seat: plain.Seat | None = strategy.begin() if strategy.run is None else None
        self._run = strategy.run or plain.looped(self._seat)
        self._columns = Columns(Ticks)
        self._policy = int(self.state["venue"][0].policy)
        self._kept = list[Traded]()  # what a step that failed half way had traded: told by the next, or by finish
        self._room(FIRST_ROOM)
        self._bind()

    def _room(self, rows: int) -> None:
        self._out = (np.zeros(rows, ORDER_ROW), np.zeros(rows, FILL_ROW), np.zeros(rows, EQUITY_ROW))
        self._bytes = tuple(out.view(np.uint8).reshape(rows, -1) for out in self._out)

    def _bind(self) -> None:
        s = self.state
        mine = np.zeros(len(s["pool"]), WORKING)
        self._engine = Engine({**s, **dict(zip(TABLES, self._out, strict=True)), "mine": mine})
        plain.bound(self._seat, self._engine)
        self._told = s["cursor"].view(np.int64)[1:]  # n_orders n_fills n_equity, without a record's cost
        self._decides = (s["memory"], self._params, self._inputs.record, self._inputs.address, self._inputs.pieces)

    def fresh(self) -> State:
        """The memory a session starts with."""
        return memory.start(self.setup, self.levels, len(self.instruments))

    def on(self, state: State) -> Session:
        """This session's scratch over another state."""
        if state is not self.state:
            self.state = state
            self._kept.clear()
            self._bind()
        return self

    @property
    def account(self) -> Any:
        """Its ACCOUNT record: cash, equity, realized, fees, peak, killed, loss_day, open_orders ..."""
        return self.state["account"][0]

    @property
    def clock(self) -> Any:
        """Its CLOCK record: now, row (ticks seen), late ..."""
        return self.state["clock"][0]

    def step(self, frame: Frame) -> Traded:
        """Trade the ticks of a frame; its notes (new instruments) go on with the orders.

        Raises BadInput for an instrument_id below 0 or from MAX_INSTRUMENTS on; what was traded before that row
        is told by the next step or by `finish`, so that it is the same however the stream was cut.
        """
        if frame.notes:
            return self._noted(frame)
        if not frame.rows:
            return NOTHING
        if self._kill_file is not None:
            self.watch()
        columns = self._columns.over(frame, self._events(frame) if self._policy == FIFO else NOTHING_MORE)
        self._inputs.over(frame)
        plain.over(self._seat, frame, self.instruments)
        row, told = 0, self._kept
        while True:
            row = self._run(self._engine.address, *columns, row, *self._decides)
            if row < frame.rows:
                told.append(self._collect())
                self._grow(int(frame["instrument_id"][row]), int(frame["ts_event"][row]))
                continue
            if told or self._told[0] or self._told[2]:
                return self._all()
            return NOTHING

    def _all(self) -> Traded:
        whole = joined([*self._kept, self._collect()])
        self._kept.clear()
        return whole

    def _noted(self, frame: Frame) -> Traded:
        notes = frame.notes or {}
        first = self.instruments.heard(notes)
        if first is not None:
            self.setup = named(self.setup, self.instruments, later=True)
            told_ids(self._params, self.setup.strategy.symbols, self.instruments, self._who, True)
            self.announce((self.setup.terms or Terms()).grown(self.instruments, first), first)
        traded = self.step(Frame(frame.layout, frame.rows, frame.columns))
        orders = traded.orders.slice(0, traded.orders.rows)
        orders.notes = notes
        return traded._replace(orders=orders)

    def _events(self, frame: Frame) -> dict[str, Array]:
        return {"events": queues.told(frame.columns, FIFO)}

    def _collect(self) -> Traded:
        counts = self._told.tolist()
        if not any(counts):
            return NOTHING
        self._told[:] = 0
        made = map(framed, NOTHING, self._out, self._bytes, FIELDS, counts)
        return Traded(*made)

    def _grow(self, instrument_id: int, ts: int) -> None:
        stop, s = int(self._engine.cursor.stop), self.state
        if stop == BELL:
            memory.charge_by(s, self.setup, ts)
            listed = any(self.setup.terms.listed) if self.setup.terms else False
            if bells.rows(s) > len(self._out[0]):
                self._room(bells.rows(s))
            bells.ring(s, self.setup, ts, listed, dict(zip(TABLES, self._out, strict=True)))
        if stop in (FOREIGN, INSTRUMENTS):
            wanted = max(checked_id(instrument_id) + 1, 2 * len(s["instruments"]))
            memory.more_instruments(s, self.setup, min(wanted, MAX_INSTRUMENTS))
        elif stop == POOL:
            memory.more_slots(s, 2 * len(s["pool"]))
        elif stop == TRANSIT:
            memory.more_messages(s, 2 * s["transit"].shape[1])
        elif stop == FULL:
            memory.more_behind(s)
        elif stop == ROOM:
            self._make_room()
        self._bind()

    def _make_room(self) -> None:
        rings, orders = self._engine.rings, self.account.open_orders
        worst = most(rings.requests + orders, self.levels) + rings.responses + 2 * orders
        wanted = max(2 * int(worst + 2 * MAX_INTENTS), min(2 * len(self._out[0]), MOST_ROOM))
        if wanted > len(self._out[0]):
            self._room(wanted)

    def requests(self) -> list[OrderRequest]:
        """What the session wants of the broker outside, since it was last asked."""
        return outside.requests(self.state, self.instruments) if self.setup.external else []

    def hear(self, reports: list[ExecutionReport]) -> None:
        """Hear a broker's answers, before the next row; the rows that tell of them come with it."""
        if reports:
            outside.hear(self.state, self.setup, reports)
            self._bind()

    def wind_down(self) -> Traded:
        """The stream has ended: ask the broker outside to cancel every open order; `finish` when it has answered."""
        if not self.setup.external or self.clock.row == 0:
            return NOTHING
        s = self.state
        self._kept.append(self._collect())
        self._make_room()
        asked = int(self._engine.rings.requests + self.account.open_orders)
        if asked >= s["transit"].shape[1]:
            memory.more_messages(s, 2 * (asked + 1))
        self._bind()
        withdraw_all(self._engine)
        return self._all()

    def kill(self) -> None:
        """Pull the kill switch: from the next tick on nothing is sent and every open order is cancelled."""
        self.account.kill_row = min(self.account.kill_row, self.clock.row)

    def watch(self) -> bool:
        """Look for the kill file, pull the switch if it is there; is the switch pulled?"""
        if self._kill_file is not None and os.path.exists(self._kill_file):
            self.kill()
        return bool(self.account.kill_row <= self.clock.row)

    @property
    def kill_row(self) -> int | None:
        """The row at which the kill switch was pulled."""
        return None if self.account.kill_row == NEVER else int(self.account.kill_row)

    def breach(self) -> RiskBreach | None:
        """Why the command must end with exit code 4, once everything is written; None when all is well."""
        if not self.account.killed:
            return None
        return RiskBreach(f"the kill switch was pulled at row {self.kill_row}: all orders cancelled, none sent since")

    def announce(self, terms: Terms, first: int = 0) -> None:
        """Terms of trade that hold from now on (new listings announced mid-stream), for ids from `first` on."""
        kept = self.setup.terms is not None and terms.upto(first) == self.setup.terms.upto(first)
        self.setup = replace(self.setup, terms=terms)
        gate = self._engine.gate
        gate.known = max(gate.known, len(terms.multiplier))
        memory.set_terms(self.state, self.setup, first if kept else 0)

    def finish(self) -> Traded:
        """The end: what is in flight arrives, open orders are cancelled, one last equity row.

        The kill file is looked for a last time: pulled while the feed was quiet, it counts all the same.
        """
        rings, s = self._engine.rings, self.state
        if self.watch():
            self.account.killed = 1
        if self.clock.row == 0:
            return NOTHING
        self._kept.append(self._collect())
        self._make_room()
        worst = most(rings.requests + self.account.open_orders, self.levels) + rings.responses
        if worst >= s["transit"].shape[1]:
            memory.more_messages(s, 2 * int(worst))
        self._bind()
        engine.finish(self._engine)
        if self._seat is not None:
            self._seat.end()
        return self._all()

    def save(self) -> bytes:
        """Everything remembered, as bytes."""
        return stage.save(self.state)

    def load(self, saved: bytes) -> None:
        """Go on from what `save` returned."""
        self.state = stage.load(saved)
        self._bind()
