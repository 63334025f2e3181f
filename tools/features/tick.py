"""tick_features: ten numbers that say where one instrument is right now, appended to every tick.

Returns at three horizons, spread, intensity of trading and quoting, acceleration, persistence,
surprise and imbalance: docs/features.md defines each. Windows are event time, so a live stream and
its replay agree bit for bit.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from gpi.formats.features import FEATURES
from gpi.formats.frame import Frame
from gpi.formats.instruments import checked_id
from gpi.formats.ticks import TICKS
from gpi.tools.columns import Columns
from gpi.tools.kernels.features import rings
from gpi.tools.kernels.features.ticks import fresh, run
from gpi.tools.kernels.ticks import Ticks
from gpi.tools.stage import Stage, State, adds

QUOTES: Final = ("bid_px", "bid_sz", "ask_px", "ask_sz")
READS: Final = ("ts_event", "instrument_id", "kind", *QUOTES, "trade_sz")
APPENDS: Final = (FEATURES,)


def tick_features(instruments: int = 64, entries: int = 4096) -> Stage:
    """The stage that appends `features`, float32[10], named by formats.features.TICK_FEATURES.

    `instruments` and `entries` (mid changes remembered, all instruments together) are where memory
    starts; it grows by doubling. Book levels are used when the stream carries them. The step
    raises BadInput for a negative instrument_id.
    """

    table = Columns(Ticks)

    def start() -> State:
        stamps, values = rings.pool(entries, 1)
        return {"memory": fresh(instruments), "stamps": stamps, "values": values}

    def step(state: State, frame: Frame) -> Frame:
        made = frame.widened(APPENDS)
        (columns, body), done = table.over(frame), 0
        while True:
            done = run(state["memory"], state["stamps"], state["values"], columns, body, done, made.appended)
            if done >= frame.rows:
                return made
            _grow(state, int(frame["instrument_id"][done]))

    return Stage(
        name="featurize",
        needs=pa.schema([TICKS.field(name) for name in READS]),
        gives=adds(*APPENDS),
        start=start,
        step=step,
    )


def _grow(state: State, instrument: int) -> None:
    """Give the kernel the memory it stopped for: more instruments, or else more ring entries."""
    memory = state["memory"]
    checked_id(instrument)
    if instrument >= memory.size:
        state["memory"] = fresh(max(2 * memory.size, instrument + 1))
        state["memory"][: memory.size] = memory
    else:
        state["stamps"], state["values"] = rings.widened(state["stamps"], state["values"])
