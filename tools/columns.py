"""From frames to kernels: the tick columns of whatever frame comes next, in two words.

A frame's columns lie one after another in its body, so where each begins follows from the layout and the number of
rows alone. A kernel is handed the address of a table of offsets, made once for each, and the body: no view is made.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
from numba import config

from gpi.formats.errors import SchemaMismatch
from gpi.formats.frame import Frame, Layout
from gpi.tools.kernels.ticks import EVENT, LADDERS, PLAIN, Ticks

Array = npt.NDArray[Any]
NO_EVENTS: Final = np.zeros(0, EVENT)
NOWHERE: Final = np.zeros(8, np.uint8)  # where offsets count from when the columns lie anywhere
NAMES: Final = (*(name for name, _ in PLAIN), *LADDERS)
KEPT: Final = 4096  # numbers of rows whose tables are remembered, 1 KiB each


class TickColumns:
    """`Ticks` tables over one frame after another. Columns that a stream has not have no rows there."""

    def __init__(self) -> None:
        self._empty = {name: np.zeros((0,) * ndim, dtype) for name, (dtype, ndim) in Ticks.ARRAYS.items()}
        self._loose = Ticks(self._empty)
        self._layout: Layout | None = None
        self._widths: dict[str, int] = {}
        self._tables: dict[int, tuple[int, int, Array]] = {}
        self._kept: tuple[Any, ...] = ()

    def over(self, frame: Frame, events: Array = NO_EVENTS) -> tuple[int, Array]:
        """The address of the table of a frame, and its bytes, until the next call; `events`: (rows,) EVENT, or none.

        Raises SchemaMismatch for a column of another type than ticks/1 says.
        """
        if frame.layout is not self._layout:
            self._fit(frame.layout)
        pieces = frame.pieces
        if pieces is None or len(events) or config.DISABLE_JIT:
            return self._apart(frame, events)
        found = self._tables.get(frame.rows) or self._table(frame.layout, frame.rows)
        body = pieces[0]
        if found[1] > len(body):
            return self._apart(frame, events)
        return found[0], body

    def _fit(self, layout: Layout) -> None:
        there, widths = layout.named, {}
        for name in NAMES:
            column, (dtype, ndim) = there.get(name), Ticks.ARRAYS[name]
            if column is None:
                continue
            if column.dtype != dtype or (column.width > 0) != (ndim == 2):
                raise SchemaMismatch(f"the column {name!r} is {layout.schema.field(name).type}, not as ticks/1 has it")
            widths[name] = column.width
        self._layout, self._widths = layout, widths
        self._tables.clear()

    def _shape(self, name: str, rows: int) -> tuple[int, ...]:
        if name not in self._widths:
            return (0,) * Ticks.ARRAYS[name][1]
        return (rows, self._widths[name]) if self._widths[name] else (rows,)

    def _table(self, layout: Layout, rows: int) -> tuple[int, int, Array]:
        """The table for bodies of so many rows: its address, where the last of the columns ends, and itself."""
        words, offsets, end = list[int](), layout.offsets(rows), 0
        for name in NAMES:
            shape = self._shape(name, rows)
            at = offsets[name] if name in self._widths else 0
            words += Ticks.words_of(name, at, shape)
            end = max(end, at + int(np.prod(shape)) * Ticks.ARRAYS[name][0].itemsize)
        made = np.array(words + Ticks.words_of("events", 0, (0,)), np.int64)
        if len(self._tables) >= KEPT:
            self._tables.clear()
        found = self._tables[rows] = (int(made.ctypes.data), end, made)
        return found

    def _apart(self, frame: Frame, events: Array) -> tuple[int, Array]:
        """Columns that lie anywhere: each is looked for, and copied where its rows do not lie side by side."""
        ticks, nowhere = self._loose, int(NOWHERE.ctypes.data)
        arrays = {name: np.ascontiguousarray(frame[name]) for name in self._widths} | {"events": events}
        for name, array in (self._empty | arrays).items():
            words, at = Ticks.words_of(name, int(array.ctypes.data) - nowhere, array.shape), Ticks.WORDS[name]
            ticks.table[at : at + len(words)] = words
            setattr(ticks, name, array)
        self._kept = (frame, arrays)
        return ticks.address, NOWHERE
