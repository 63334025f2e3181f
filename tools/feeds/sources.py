"""A source: a file as sorted runs of ticks, whatever it is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa

from gpi.formats.frame import Array, Column, Frame, Layout
from gpi.formats.instruments import Instrument
from gpi.formats.quarantine import Quarantine

UNWANTED: Final = -2
NAMELESS: Final = -1
EVER: Final = int(np.iinfo(np.int64).max)


class Block(NamedTuple):
    """Rows start..stop of a table, whose times lie between first and last (ns, as far as known)."""

    start: int
    stop: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What reading a run takes from the whole: the ids of the wanted symbols, chunk rows, the quarantine."""

    ids: Mapping[str, int]
    chunk: int
    quarantine: Quarantine


@dataclass(frozen=True, slots=True)
class Source:
    """A file: its wanted instruments in order of appearance, its depth, its runs, how to read one.

    `extras` are columns beyond the tick columns. The frames of a run may lack ladder levels, never
    more.
    """

    name: str
    instruments: tuple[Instrument, ...]
    levels: int
    blocks: tuple[Block, ...]
    frames: Callable[[Block, Plan], Iterator[Frame]]
    extras: tuple[pa.Field, ...] = ()
    by_order: bool = False  # its frames have the columns of single orders
    owned: object = field(default=None, compare=False)  # what must live as long as the source (a temporary file)


def fitted(frame: Frame, schema: pa.Schema) -> Frame:
    """The columns of `schema` out of a frame; what it lacks of ladders and of orders is filled up with NaN and 0."""
    layout = Layout.of(schema)
    if frame.layout is layout:
        return frame
    columns = {column.name: _column(frame, column) for column in layout.columns}
    return Frame(layout, frame.rows, columns, notes=frame.notes)


def _column(frame: Frame, column: Column) -> Array:
    if column.name in frame and (not column.width or frame[column.name].shape[1] == column.width):
        return frame[column.name]
    empty = np.nan if column.name.endswith("_px") else 0.0
    if not column.width:
        return np.full(frame.rows, empty, column.dtype)
    made = np.full((frame.rows, column.width), empty, column.dtype)
    if column.name in frame:
        made[:, : frame[column.name].shape[1]] = frame[column.name]
    return made
