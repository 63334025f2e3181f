"""Trading as a stage: for the shell pipe, `gpi run` and the laws."""

from __future__ import annotations

import pyarrow as pa

from gpi.formats.frame import Frame, Layout
from gpi.formats.orders import ORDERS
from gpi.formats.ticks import TICKS
from gpi.tools.backtest.session import TICK_COLUMNS, Session
from gpi.tools.backtest.setup import Setup
from gpi.tools.stage import Stage, State


def trading(setup: Setup) -> Stage:
    """A session as a stage: ticks in, orders/1 out, the last cancels at the end.

    Fills and equity are only to be had from a `Session`.
    """
    made: dict[Layout, Session] = {}  # scratch only: what is remembered stands in the state

    def gives(schema: pa.Schema) -> pa.Schema:
        made[Layout.of(schema)] = Session(schema, setup)
        return ORDERS.with_metadata({**(schema.metadata or {}), **ORDERS.metadata})

    def step(state: State, frame: Frame) -> Frame:
        session = made.get(frame.layout)
        if session is None:
            session = made[frame.layout] = Session(frame.layout.schema, setup)
        if not state:
            state.update(session.fresh())
        return session.on(state).step(frame).orders

    def finish(state: State) -> Frame | None:
        return next(iter(made.values())).on(state).finish().orders if state else None

    needs = pa.schema([TICKS.field(name) for name in TICK_COLUMNS])
    return Stage("trade", needs, gives, dict, step, per_symbol=False, finish=finish)
