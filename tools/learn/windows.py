"""From recorded ticks with features to windows and labels: the windows that the encoder will see live."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from gpi.formats.errors import BadInput
from gpi.formats.features import elements
from gpi.formats.words import QUOTE
from gpi.tools.stage import Stream

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]

_KEPT = ("ts_event", "instrument_id", "kind", "bid_px", "ask_px", "features")


@dataclass(frozen=True, slots=True)
class Recording:
    """A recorded stream's columns, in memory. `digest` names these very rows, `features` their elements."""

    columns: dict[str, npt.NDArray[Any]]
    features: tuple[str, ...]
    digest: str

    @property
    def rows(self) -> int:
        """Rows recorded."""
        return len(self.columns["ts_event"])


def narrowed(recording: Recording, features: tuple[str, ...], places: tuple[int, ...]) -> Recording:
    """The recording with these of its features alone, in this order; `places`: where they stand."""
    if recording.features == features:
        return recording
    columns = {**recording.columns, "features": np.ascontiguousarray(recording.columns["features"][:, list(places)])}
    return replace(recording, columns=columns, features=features)


@dataclass(frozen=True, slots=True)
class Shape:
    """What a window and its label are. Times in ns."""

    window: int = 20  # rows
    stride: int = 5  # rows of the instrument between two rows of the window
    horizon_ns: int = 5_000_000_000
    silence_ns: int = 600_000_000_000  # a longer silence ends a session; neither window nor label crosses it


@dataclass(frozen=True, slots=True)
class Samples:
    """Windows with their labels, in time order. `past_*` are what a forecaster without a model would say.

    rows: (n, window), numbers of the recording's rows. move, past_move: bps. vol, past_vol, long_vol: bps
    realised over the horizon (past: over the last horizon; long: over the last ten, scaled to one).
    """

    rows: Ints
    instrument: Ints
    known_from: Ints  # ns, time of the window's first row
    at: Ints  # ns, time of the window's last row
    known_to: Ints  # ns, end of the label's horizon
    move: Floats
    past_move: Floats
    vol: Floats
    past_vol: Floats
    long_vol: Floats

    def __len__(self) -> int:
        return len(self.at)

    def take(self, chosen: npt.NDArray[Any]) -> Samples:
        """Some of the samples, by number or mask."""
        return Samples(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))


def record(stream: Stream) -> Recording:
    """Keep what training needs of a stream. Raises BadInput when it is empty or lacks a column."""
    missing = [name for name in _KEPT if name not in stream.schema.names]
    if missing:
        raise BadInput(f"training needs the column {missing[0]!r}: record `gpi featurize`'s output")
    parts: dict[str, list[npt.NDArray[Any]]] = {name: [] for name in _KEPT}
    for frame in stream.frames:  # a frame is on loan: copy
        for name in _KEPT:
            parts[name].append(frame[name].copy())
    columns = {name: np.concatenate(parts[name]) for name in _KEPT if parts[name]}
    if not columns or len(columns["ts_event"]) == 0:
        raise BadInput("training got a stream without rows: check the recording")
    digest = hashlib.sha256()
    for name in _KEPT:
        digest.update(np.ascontiguousarray(columns[name]).data)
    return Recording(columns, _names(stream.schema), digest.hexdigest())


def samples(recording: Recording, shape: Shape, most: int) -> Samples:
    """At most about `most` windows, evenly spaced over each instrument's rows, with labels; in time order."""
    found = [made for one in _sessions(recording, shape) for made in _session_samples(recording, one, shape)]
    if not found:
        raise BadInput(
            f"no window of {shape.window} rows with a label {shape.horizon_ns / 1e9:g} s ahead fits in the "
            "recording: record more, or choose a smaller window or horizon"
        )
    whole = Samples(*(np.concatenate([getattr(s, n) for s in found]) for n in Samples.__dataclass_fields__))
    ordered = whole.take(np.argsort(whole.at, kind="stable"))
    step = max(1, -(-len(ordered) // most))
    return ordered.take(np.arange(0, len(ordered), step))


def tensor(recording: Recording, chosen: Samples) -> Singles:
    """The samples' raw windows, float32 (n, window, features)."""
    return np.ascontiguousarray(recording.columns["features"][chosen.rows], np.float32)


def classes(move: Floats, alpha_bps: float) -> Ints:
    """0 down, 1 flat, 2 up: a move beyond +-alpha_bps is one."""
    return (1 + (move > alpha_bps).astype(np.int64) - (move < -alpha_bps)).astype(np.int64)


def tercile(move: Floats) -> float:
    """The threshold that calls a third of these moves flat (more, where more of them are exactly 0), bps."""
    return float(np.quantile(np.abs(move), 1 / 3))


def _names(schema: pa.Schema) -> tuple[str, ...]:
    return elements(schema.field("features"))


def _sessions(recording: Recording, shape: Shape) -> Iterator[Ints]:
    """Row numbers of each instrument's sessions: between two rows of one there is no silence."""
    ts, instrument = recording.columns["ts_event"], recording.columns["instrument_id"]
    for one in np.unique(instrument):
        rows = np.flatnonzero(instrument == one)
        breaks = np.flatnonzero(np.diff(ts[rows]) > shape.silence_ns) + 1
        yield from np.split(rows, breaks)


def _session_samples(recording: Recording, rows: Ints, shape: Shape) -> Iterator[Samples]:
    columns = recording.columns
    ts = columns["ts_event"][rows]
    mid = (columns["bid_px"][rows] + columns["ask_px"][rows]) / 2
    quoted = (columns["kind"][rows] & QUOTE > 0) & np.isfinite(mid) & (mid > 0)
    usable = np.flatnonzero(np.isfinite(columns["features"][rows]).all(axis=1))
    reach = (shape.window - 1) * shape.stride
    if len(usable) <= reach or not quoted.any():
        return
    ends = np.arange(reach, len(usable))
    window = usable[ends[:, None] - np.arange(shape.window)[::-1] * shape.stride]
    now = window[:, -1]
    span = 10 * shape.horizon_ns
    inside = (ts[now] + shape.horizon_ns <= ts[-1]) & (ts[now] - span >= ts[np.argmax(quoted)])
    window, now = window[inside], now[inside]
    if len(now) == 0:
        return
    path = _Path(ts, mid, quoted)
    at, horizon = ts[now], shape.horizon_ns
    here, ahead, behind = path.row(now), path.time(at + horizon), path.time(at - horizon)
    yield Samples(
        rows=rows[window],
        instrument=columns["instrument_id"][rows[now]].astype(np.int64),
        known_from=ts[window[:, 0]],
        at=at,
        known_to=at + horizon,
        move=path.move(here, ahead),
        past_move=path.move(behind, here),
        vol=path.vol(here, ahead),
        past_vol=path.vol(behind, here),
        long_vol=path.vol(path.time(at - span), here) / np.sqrt(10.0),
    )


class _Path:
    """The mid of one session's quotes: moves and realised volatility between two quotes, in bps."""

    def __init__(self, ts: Ints, mid: Floats, quoted: npt.NDArray[np.bool_]) -> None:
        self.ts = ts[quoted]
        self.log = np.log(mid[quoted])
        self.square = np.concatenate([[0.0], np.cumsum(np.diff(self.log) ** 2)])
        self.before = np.cumsum(quoted) - 1

    def row(self, rows: Ints) -> Ints:
        """The last quote at or before each row of the session."""
        return np.asarray(self.before[rows])

    def time(self, ts: Ints) -> Ints:
        """The last quote at or before each time."""
        return np.searchsorted(self.ts, ts, side="right") - 1

    def move(self, first: Ints, last: Ints) -> Floats:
        """How far the mid moved, bps."""
        return np.asarray(1e4 * (self.log[last] - self.log[first]))

    def vol(self, first: Ints, last: Ints) -> Floats:
        """Realised volatility: the root of the summed squared log moves, bps."""
        return np.asarray(1e4 * np.sqrt(np.maximum(self.square[last] - self.square[first], 0.0)))
