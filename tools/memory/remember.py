"""Remember as time passes: a moment becomes a pattern when its horizon has ended, and not before.

One stage answers and learns; run over a recording it builds a bank. A moment is taken from an instrument
at most every `spacing_ns`; its outcome is the return of the mid from then to the last quote at or before
the end of the horizon; it enters the bank at the instrument's first row after that. Moments whose horizon
runs into a silence are forgotten. Every pattern keeps count of the later moments it was a neighbour of,
and of how they ended.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

from gpi.formats.embeddings import embedding
from gpi.formats.errors import BadInput, UsageError
from gpi.formats.frame import Frame
from gpi.formats.instruments import checked_id
from gpi.formats.matches import MATCHES
from gpi.formats.ticks import TICKS
from gpi.tools.columns import Columns
from gpi.tools.kernels.models.patterns import HEAD, PATTERN, PENDING, TRACK, learn
from gpi.tools.kernels.ticks import Ticks
from gpi.tools.memory.bank import Bank, empty, pruned
from gpi.tools.memory.match import NAMES, check
from gpi.tools.stage import Stage, State, Stream, adds

FIRST_INSTRUMENTS: Final = 4
MOST_WAITING: Final = 100_000
READS: Final = ("ts_event", "instrument_id", "kind", "bid_px", "ask_px")


@dataclass(frozen=True, slots=True)
class Remembering:
    """How to remember. Times in ns; `radius` is a cosine distance; `capacity` in patterns."""

    width: int = 16
    horizon_ns: int = 5_000_000_000
    spacing_ns: int = 1_000_000_000
    silence_ns: int = 600_000_000_000
    capacity: int = 8192
    k: int = 16
    radius: float = 0.3

    @property
    def waiting(self) -> int:
        """Moments of one instrument whose outcome may be unknown at once."""
        return self.horizon_ns // self.spacing_ns + 2


def remembering(how: Remembering, bank: Bank | None = None) -> Stage:
    """Append MATCHES to every row, as `matched` does, while learning from `bank` (or nothing) on.

    A full bank gives up its pattern of least worth. `remembered` gives the bank in a state. Instruments
    share the bank, so symbols do mix. Raises UsageError for numbers out of range, BadInput for a bank of
    another shape.
    """
    return _stage(how, bank, answer=True)


def build(stream: Stream, how: Remembering, bank: Bank | None = None, watch: Callable[[int], object] = int) -> Bank:
    """The bank after a recorded stream of embedded ticks; `watch` is called with the rows done so far."""
    stage = _stage(how, bank, answer=False)
    stage.check(stream.schema)
    state, rows = stage.start(), 0
    for frame in stream.frames:
        stage.step(state, frame)
        rows += frame.rows
        watch(rows)
    return remembered(state, how)


def remembered(state: State, how: Remembering) -> Bank:
    """The bank in a state: the patterns whose outcome is known, in the order in which it became so."""
    count = int(state["head"]["count"][0])
    patterns, vectors = state["patterns"][:count], state["vectors"][:, :count]
    order = np.lexsort((patterns["id"], patterns["known"]))
    return Bank(
        np.ascontiguousarray(vectors.T[order]),
        patterns[order],
        how.horizon_ns,
        int(state["head"]["next_id"][0]),
    )


def _stage(how: Remembering, bank: Bank | None, answer: bool) -> Stage:
    _check(how)
    known = empty(how.width, how.horizon_ns) if bank is None else bank
    if known.width != how.width or known.horizon_ns != how.horizon_ns:
        raise BadInput(
            f"the bank holds {known.width} numbers and {known.horizon_ns / 1e9:g} s, the stream asks for "
            f"{how.width} and {how.horizon_ns / 1e9:g} s: build a bank with `gpi index` for this model"
        )
    settings = np.array([how.horizon_ns, how.spacing_ns, how.silence_ns, int(answer)], np.int64)
    least, table = 1.0 - how.radius, Columns(Ticks)

    def step(state: State, frame: Frame) -> Frame:
        made = frame.widened(MATCHES)
        out = tuple(made[name] for name in NAMES)
        columns, body = table.over(frame)
        done = 0
        while True:
            memory = (state["tracks"], state["pending"], (state["waiting"], state["rows"], state["ids"]))
            book = (state["vectors"], state["patterns"], state["head"])
            done = learn(book, *memory, settings, least, columns, body, frame["embedding"], done, out)  # type: ignore[call-arg, arg-type]
            if done == frame.rows:
                return made
            _grow(state, int(frame["instrument_id"][done]))

    return Stage(
        name="remember",
        needs=pa.schema([*(TICKS.field(name) for name in READS), embedding(how.width)]),
        gives=adds(*MATCHES),
        start=lambda: _start(how, known),
        step=step,
        per_symbol=False,
    )


def _check(how: Remembering) -> None:
    check(how.k, how.radius)
    if min(how.horizon_ns, how.spacing_ns, how.capacity, how.width) < 1:
        raise UsageError("horizon, spacing, capacity and width must be positive")
    if how.waiting > MOST_WAITING:
        raise UsageError(
            f"a horizon of {how.horizon_ns / 1e9:g} s with moments {how.spacing_ns / 1e9:g} s apart leaves "
            f"{how.waiting:,} outcomes open at once: space them further (at most {MOST_WAITING:,})"
        )


def _start(how: Remembering, bank: Bank) -> State:
    kept = pruned(bank, how.capacity)
    state: dict[str, Any] = {
        "vectors": np.zeros((how.width, how.capacity), np.float32),
        "patterns": np.zeros(how.capacity, PATTERN),
        "head": np.zeros(1, HEAD),
        "tracks": np.zeros(FIRST_INSTRUMENTS, TRACK),
        "pending": np.zeros((FIRST_INSTRUMENTS, how.waiting), PENDING),
        "waiting": np.zeros((FIRST_INSTRUMENTS, how.waiting, how.width), np.float32),
        "rows": np.zeros((FIRST_INSTRUMENTS, how.waiting, how.k), np.int64),
        "ids": np.zeros((FIRST_INSTRUMENTS, how.waiting, how.k), np.int64),
    }
    state["vectors"][:, : len(kept)] = kept.vectors.T
    state["patterns"][: len(kept)] = kept.patterns
    state["head"][0] = (len(kept), kept.next_id)
    return state


def _grow(state: State, instrument: int) -> None:
    """Make room for one more instrument, at least doubling. Raises BadInput for a negative id."""
    checked_id(instrument)
    old = len(state["tracks"])
    capacity = max(2 * old, instrument + 1)
    for name in ("tracks", "pending", "waiting", "rows", "ids"):
        before = state[name]
        state[name] = np.zeros((capacity, *before.shape[1:]), before.dtype)
        state[name][:old] = before
