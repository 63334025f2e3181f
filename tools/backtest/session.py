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

from gpi.formats.answers import Answer, Ask
from gpi.formats.errors import RiskBreach, SchemaMismatch
from gpi.formats.frame import Frame
from gpi.formats.instruments import KEY, Instruments, checked_id
from gpi.formats.ticks import MAX_INSTRUMENTS, demand_orders
from gpi.tools import stage
from gpi.tools.backtest import bells, memory, outside, plain
from gpi.tools.backtest.setup import Setup, Terms, named
from gpi.tools.backtest.traded import FIELDS, NOTHING, Traded, framed, joined
from gpi.tools.kernels import engine, queues
from gpi.tools.kernels.exchange import worst as most
from gpi.tools.kernels.orders import (
    BELL,
    DESK,
    EQUITY_ROW,
    FILL_ROW,
    FOREIGN,
    FULL,
    INSTRUMENTS,
    INTENT,
    MAX_INTENTS,
    NEVER,
    ORDER_ROW,
    OUTLOOK,
    POOL,
    ROOM,
    VIEW,
    WIRE,
    WORKING,
    Array,
)
from gpi.tools.kernels.trader import withdraw_all
from gpi.tools.stage import State

TICK_COLUMNS: Final = (
    "ts_event", "instrument_id", "kind", "side", "flags",
    "bid_px", "bid_sz", "ask_px", "ask_sz", "trade_px", "trade_sz",
)  # fmt: skip
ENGINE: Final = ("desk", "instruments", "ladders", "pool", "wire", "sent", "behind")
DEPTH_COLUMNS: Final = ("bids_px", "bids_sz", "asks_px", "asks_sz")
EXPECTED: Final = {name: at for at, name in enumerate(OUTLOOK) if at >= 3}
FIRST_ROOM, MOST_ROOM = 1024, 65_536  # rows of orders a step collects at a time; memory stays flat


def needs(setup: Setup, schema: pa.Schema) -> None:
    """Raise SchemaMismatch for a column the engine or the strategy lacks."""
    for name in (*TICK_COLUMNS, *setup.strategy.needs):
        if name not in schema.names:
            why = f", which the strategy {setup.strategy.name} needs: run the stage that makes it"
            raise SchemaMismatch(f"the stream has no column {name!r}{'' if name in TICK_COLUMNS else why}")
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
        self._run = setup.strategy.run or plain.looped(setup.strategy.begin())
        self._view, self._intents = np.zeros(1, VIEW), np.zeros(MAX_INTENTS, INTENT)
        self._no_depth = tuple(np.zeros((0, 1)) for _ in DEPTH_COLUMNS)
        self._no_features, self._no_outlook = np.zeros((1, 0), np.float32), np.full((1, 8), np.nan, np.float32)
        self._outlook = np.full((0, 8), np.nan, np.float32)
        self._expected = {name: EXPECTED[name] for name in EXPECTED if name in schema.names}
        self._directed = "direction" in schema.names
        self._featured = "features" in schema.names
        self._deep = "bids_px" in schema.names
        self._policy = int(self.account.policy)
        self._kept = list[Traded]()  # what a step that failed half way had traded: told by the next, or by finish
        self._room(FIRST_ROOM)
        self._bind()

    def _room(self, rows: int) -> None:
        self._out = (np.zeros(rows, ORDER_ROW), np.zeros(rows, FILL_ROW), np.zeros(rows, EQUITY_ROW))
        self._bytes = tuple(out.view(np.uint8).reshape(rows, -1) for out in self._out)

    def _bind(self) -> None:
        s = self.state
        self._mine = np.zeros(len(s["pool"]), WORKING)
        self._engine = tuple(s[n] for n in ENGINE)
        at = list(DESK.fields or ()).index("n_orders")
        self._told = s["desk"].view(np.int64)[at : at + 3]  # n_orders n_fills n_equity, without a record's cost
        self._decides = (s["memory"], self.setup.strategy.params, self._view, self._mine, self._intents)

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
        """The desk record: cash, equity, realized, fees, peak, killed, loss_day, row, late, ..."""
        return self.state["desk"][0]

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
        ticks = self._columns(frame)
        row, told = 0, self._kept
        while True:
            row = self._run(*self._engine, *self._decides, *ticks, *self._out, row)
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
        if KEY in notes:
            self.instruments = Instruments.from_json(notes[KEY])
            self.setup = named(self.setup, self.instruments, later=True)
            self.announce(Terms.announced(self.instruments))
        traded = self.step(Frame(frame.layout, frame.rows, frame.columns))
        orders = traded.orders.slice(0, traded.orders.rows)
        orders.notes = notes
        return traded._replace(orders=orders)

    def _columns(self, frame: Frame) -> tuple[Array, ...]:
        c = frame.columns
        depth = tuple(c[n] for n in DEPTH_COLUMNS) if self._deep else self._no_depth
        features = c["features"] if self._featured else self._no_features
        outlook = self._no_outlook
        if self._directed or self._expected:
            outlook = self._look_out(frame)
        events = queues.told(c, self._policy)
        return (*[c[n] for n in TICK_COLUMNS], *depth, events, features, outlook)

    def _look_out(self, frame: Frame) -> Array:
        if len(self._outlook) < frame.rows:
            self._outlook = np.full((frame.rows, 8), np.nan, np.float32)
        found = self._outlook[: frame.rows]
        if self._directed:
            found[:, :3] = frame["direction"]
        for name, at in self._expected.items():
            found[:, at] = frame[name]
        return found

    def _collect(self) -> Traded:
        counts = self._told.tolist()
        if not any(counts):
            return NOTHING
        self._told[:] = 0
        made = map(framed, NOTHING, self._out, self._bytes, FIELDS, counts)
        return Traded(*made)

    def _grow(self, instrument_id: int, ts: int) -> None:
        stop, s = self.account.stop, self.state
        if stop == BELL:
            memory.charge_by(s, self.setup, ts)
            listed = any(self.setup.terms.bourse) if self.setup.terms else False
            if bells.rows(s) > len(self._out[0]):
                self._room(bells.rows(s))
            bells.ring(s, self.setup, ts, listed, self._out)
        if stop in (FOREIGN, INSTRUMENTS):
            wanted = max(checked_id(instrument_id) + 1, 2 * len(s["instruments"]))
            memory.more_instruments(s, self.setup, min(wanted, MAX_INSTRUMENTS))
        elif stop == POOL:
            memory.more_slots(s, 2 * len(s["pool"]))
        elif stop == WIRE:
            memory.more_messages(s, 2 * s["wire"].shape[1])
        elif stop == FULL:
            memory.more_behind(s)
        elif stop == ROOM:
            self._make_room()
        self._bind()

    def _make_room(self) -> None:
        d, s = self.account, self.state
        worst = most(d.requests + d.open_orders, s["ladders"].shape[2]) + d.responses + 2 * d.open_orders
        wanted = max(2 * int(worst + 2 * MAX_INTENTS), min(2 * len(self._out[0]), MOST_ROOM))
        if wanted > len(self._out[0]):
            self._room(wanted)

    def asks(self) -> list[Ask]:
        """What the session wants of the broker outside, since it was last asked."""
        return outside.asks(self.state, self.instruments) if self.setup.external else []

    def answer(self, answers: list[Answer]) -> None:
        """Hear a broker's answers, before the next row; the rows that tell of them come with it."""
        if answers:
            outside.hear(self.state, self.setup, answers)
            self._bind()

    def wind_down(self) -> Traded:
        """The stream has ended: ask the broker outside to cancel every open order; `finish` when it has answered."""
        if not self.setup.external or self.account.row == 0:
            return NOTHING
        d, s = self.account, self.state
        self._kept.append(self._collect())
        self._make_room()
        if d.requests + d.open_orders >= s["wire"].shape[1]:
            memory.more_messages(s, 2 * int(d.requests + d.open_orders + 1))
        self._bind()
        desk, instruments, _, pool, wire, *_ = self._engine
        withdraw_all(desk, instruments, pool, wire, self._out[0])
        return self._all()

    def kill(self) -> None:
        """Pull the kill switch: from the next tick on nothing is sent and every open order is cancelled."""
        self.account.kill_row = min(self.account.kill_row, self.account.row)

    def watch(self) -> bool:
        """Look for the kill file, pull the switch if it is there; is the switch pulled?"""
        if self._kill_file is not None and os.path.exists(self._kill_file):
            self.kill()
        return bool(self.account.kill_row <= self.account.row)

    @property
    def kill_row(self) -> int | None:
        """The row at which the kill switch was pulled."""
        return None if self.account.kill_row == NEVER else int(self.account.kill_row)

    def breach(self) -> RiskBreach | None:
        """Why the command must end with exit code 4, once everything is written; None when all is well."""
        if not self.account.killed:
            return None
        return RiskBreach(f"the kill switch was pulled at row {self.kill_row}: all orders cancelled, none sent since")

    def announce(self, terms: Terms) -> None:
        """Terms of trade that hold from now on (new listings announced mid-stream)."""
        self.setup = replace(self.setup, terms=terms)
        self.account.known = max(self.account.known, len(terms.multiplier))
        memory.set_terms(self.state, self.setup, 0)

    def finish(self) -> Traded:
        """The end: what is in flight arrives, open orders are cancelled, one last equity row.

        The kill file is looked for a last time: pulled while the feed was quiet, it counts all the same.
        """
        d, s = self.account, self.state
        if self.watch():
            d.killed = 1
        if d.row == 0:
            return NOTHING
        self._kept.append(self._collect())
        self._make_room()
        worst = most(d.requests + d.open_orders, s["ladders"].shape[2]) + d.responses
        if worst >= s["wire"].shape[1]:
            memory.more_messages(s, 2 * int(worst))
        self._bind()
        desk, instruments, ladders, pool, wire, *_ = self._engine
        engine.finish(desk, instruments, ladders, pool, wire, *self._out)
        return self._all()

    def save(self) -> bytes:
        """Everything remembered, as bytes."""
        return stage.save(self.state)

    def load(self, saved: bytes) -> None:
        """Go on from what `save` returned."""
        self.state = stage.load(saved)
        self._bind()
