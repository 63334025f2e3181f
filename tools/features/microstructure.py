"""microstructure: who is pushing the price, and how hard it is to push, appended to every tick.

Microprice, order flow per book level, signed volume, Kyle's lambda, VPIN, realised and bipower
variance, life of the quotes: docs/features.md defines each and cites its source.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from gpi.formats.errors import UsageError
from gpi.formats.features import microstructure as microstructure_field
from gpi.formats.frame import Frame
from gpi.formats.instruments import checked_id
from gpi.formats.ticks import MAX_LEVELS, ticks
from gpi.tools.columns import Columns
from gpi.tools.kernels.features import rings
from gpi.tools.kernels.features.microstructure import FLOW, SETTINGS, fresh, run
from gpi.tools.kernels.ticks import Ticks
from gpi.tools.stage import Stage, State, adds

LADDERS: Final = ("bids_px", "bids_sz", "asks_px", "asks_sz")
READS: Final = (
    "ts_event", "instrument_id", "kind", "side", "flags",
    "bid_px", "bid_sz", "ask_px", "ask_sz", "trade_px", "trade_sz",
)  # fmt: skip
MEMORY: Final = ("memory", "stamps", "values", "sums", "books", "tilts")
INSTRUMENTS: Final = 8  # where memory starts; it grows by doubling
ENTRIES: Final = 64


@dataclass(frozen=True, slots=True)
class Settings:
    """What the features look at. Raises UsageError for a value that means nothing.

    `levels`: book levels of the stream, 0 to follow the best quotes alone. `window`: seconds the
    sums look back. `bucket`: VPIN's bucket volume, 0 to fix it for each instrument at 50 mean
    trades, from its first 100. `buckets`: how many VPIN averages. `freedom`: degrees of the t
    distribution that classifies volume, math.inf for the normal.
    """

    levels: int = 0
    window: float = 60.0
    bucket: float = 0.0
    buckets: int = 50
    freedom: float = math.inf

    def __post_init__(self) -> None:
        wrong = {
            f"levels must be 0..{MAX_LEVELS}": not 0 <= self.levels <= MAX_LEVELS,
            "window must be seconds above 0": not 0.0 < self.window < 1e9,
            "bucket must be a volume, or 0 to find one": not 0.0 <= self.bucket < math.inf,
            "buckets must be 2 or more": self.buckets < 2,
            "freedom must be above 0": not self.freedom > 0.0,
        }
        for complaint, true in wrong.items():
            if true:
                found = getattr(self, complaint.split()[0])
                raise UsageError(f"microstructure: {complaint}, not {found}")


def microstructure(
    levels: int = 0,
    window: float = 60.0,
    bucket: float = 0.0,
    buckets: int = 50,
    freedom: float = math.inf,
) -> Stage:
    """The stage that appends `microstructure`, float32[9 + max(levels, 1)].

    Elements are named in formats.features; the settings are those of Settings. The step raises
    BadInput for a negative instrument_id.
    """
    settings = Settings(levels, window, bucket, buckets, freedom)
    depth = ticks(levels)
    appends = (microstructure_field(max(levels, 1)),)

    def start() -> State:
        stamps, values = rings.pool(ENTRIES, FLOW + max(levels, 1))
        return {**_rows(settings, INSTRUMENTS), "stamps": stamps, "values": values}

    table, given = Columns(Ticks), np.zeros(1, SETTINGS)
    given[0] = settings.levels, int(settings.window * 1e9), settings.freedom

    def step(state: State, frame: Frame) -> Frame:
        made = frame.widened(appends)
        (columns, body), done = table.over(frame), 0
        while True:
            memory, stamps, values, sums, books, tilts = (state[name] for name in MEMORY)
            done = run(
                memory, stamps, values, sums, books, tilts, columns, body,
                given, done, made.appended,
            )  # fmt: skip
            if done >= frame.rows:
                return made
            _grow(settings, state, int(frame["instrument_id"][done]))

    return Stage(
        name="microstructure",
        needs=pa.schema([depth.field(name) for name in (READS + LADDERS if levels else READS)]),
        gives=adds(*appends),
        start=start,
        step=step,
    )


def _rows(settings: Settings, instruments: int) -> State:
    """Fresh memory of instruments: what is kept per row of the instrument table."""
    levels = max(settings.levels, 1)
    return {
        "memory": fresh(instruments, settings.bucket),
        "sums": np.zeros((instruments, FLOW + levels)),
        "books": np.zeros((instruments, 4, levels)),
        "tilts": np.zeros((instruments, settings.buckets)),
    }


def _grow(settings: Settings, state: State, instrument: int) -> None:
    """Give the kernel the memory it stopped for: more instruments, or else more ring entries."""
    known = state["memory"].size
    checked_id(instrument)
    if instrument >= known:
        for name, rows in _rows(settings, max(2 * known, instrument + 1)).items():
            rows[:known] = state[name]
            state[name] = rows
    else:
        state["stamps"], state["values"] = rings.widened(state["stamps"], state["values"])
