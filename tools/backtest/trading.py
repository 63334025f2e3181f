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

    Fills and equity are only to be had from a `Session`. Every fresh state has a session of its own, because a
    Python strategy keeps attributes that no two may share; a state that was saved and loaded goes on with the
    session that was last used.
    """
    schemas: dict[Layout, pa.Schema] = {}
    sessions: dict[int, Session] = {}  # scratch only, by the id of the state it holds

    def gives(schema: pa.Schema) -> pa.Schema:
        Session(schema, setup)  # what is wrong with the setup is told before the first tick
        schemas[Layout.of(schema)] = schema
        return ORDERS.with_metadata({**(schema.metadata or {}), **ORDERS.metadata})

    def session_of(state: State, layout: Layout) -> Session:
        found = sessions.get(id(state))
        if found is None:
            if state and sessions:
                found = sessions.popitem()[1]
            else:
                found = Session(schemas.get(layout, layout.schema), setup)
            if not state:
                state.update(found.fresh())
            sessions[id(state)] = found.on(state)
        return found

    def step(state: State, frame: Frame) -> Frame:
        return session_of(state, frame.layout).step(frame).orders

    def finish(state: State) -> Frame | None:
        if not state or not sessions:
            return None
        last = session_of(state, next(iter(schemas))).finish().orders
        del sessions[id(state)]
        return last

    needs = pa.schema([TICKS.field(name) for name in TICK_COLUMNS])
    return Stage("trade", needs, gives, dict, step, per_symbol=False, finish=finish)
