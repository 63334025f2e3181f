"""From frames to kernels: the columns of whatever frame comes next, in two words.

A frame's columns lie one after another in its body, so where each begins follows from the layout and the number of
rows alone. A kernel is handed the address of a table of offsets, made once for each, and the body: no view is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import numpy.typing as npt

import gpi.tools.kernels.jit as compiling  # numba comes through it, without what it would load besides
from gpi.formats.errors import SchemaMismatch
from gpi.formats.frame import Frame, Layout
from gpi.tools.kernels.shared import Placed

Array = npt.NDArray[Any]
NOTHING: Final[Mapping[str, Array]] = MappingProxyType({})
NOWHERE: Final = np.zeros(8, np.uint8)  # where offsets count from when the columns lie anywhere
DISABLED: Final = bool(compiling.config.DISABLE_JIT)  # type: ignore[attr-defined]
KEPT: Final = 4096  # numbers of rows whose tables are remembered, 1 KiB each


class Columns:
    """Tables of one kind over one frame after another. Columns that a stream has not have no rows there."""

    def __init__(self, kind: type[Placed]) -> None:
        self._kind = kind
        self._empty = {name: np.zeros((0,) * ndim, dtype) for name, (dtype, ndim) in kind.ARRAYS.items()}
        self._loose = kind(self._empty)
        self._layout: Layout | None = None
        self._widths: dict[str, int] = {}
        self._tables: dict[int, tuple[int, int, Array]] = {}
        self._kept: tuple[Any, ...] = ()

    def over(self, frame: Frame, more: Mapping[str, Array] = NOTHING) -> tuple[int, Array]:
        """The address of the table of a frame, and its bytes, until the next call; `more`: arrays beside its columns.

        Raises SchemaMismatch for a column of another type than the table's.
        """
        if frame.layout is not self._layout:
            self._fit(frame.layout)
        pieces = frame.pieces
        if pieces is None or more or DISABLED:
            return self._apart(frame, more)
        found = self._tables.get(frame.rows) or self._table(frame.layout, frame.rows)
        body = pieces[0]
        if found[1] > len(body):
            return self._apart(frame, more)
        return found[0], body

    def _fit(self, layout: Layout) -> None:
        there, widths = layout.named, {}
        for name, (dtype, ndim) in self._kind.ARRAYS.items():
            column = there.get(name)
            if column is None:
                continue
            if column.dtype != dtype or (column.width > 0) != (ndim == 2):
                raise SchemaMismatch(f"the column {name!r} is {layout.schema.field(name).type}, not {dtype}")
            widths[name] = column.width
        self._layout, self._widths = layout, widths
        self._tables.clear()

    def _table(self, layout: Layout, rows: int) -> tuple[int, int, Array]:
        """The table for bodies of so many rows: its address, where the last of the columns ends, and itself."""
        words, offsets, end = list[int](), layout.offsets(rows), 0
        for name, (dtype, ndim) in self._kind.ARRAYS.items():
            width = self._widths.get(name)
            if width is None:
                words += self._kind.words_of(name, 0, (0,) * ndim)
            else:
                shape = (rows, width) if width else (rows,)
                words += self._kind.words_of(name, offsets[name], shape)
                end = max(end, offsets[name] + rows * max(width, 1) * dtype.itemsize)
        if len(self._tables) >= KEPT:
            self._tables.clear()
        made = np.array(words, np.int64)
        found = self._tables[rows] = (int(made.ctypes.data), end, made)
        return found

    def _apart(self, frame: Frame, more: Mapping[str, Array]) -> tuple[int, Array]:
        """Columns that lie anywhere: each is looked for, and copied where its rows do not lie side by side."""
        table, nowhere = self._loose, int(NOWHERE.ctypes.data)
        arrays = {name: np.ascontiguousarray(frame[name]) for name in self._widths} | dict(more)
        for name, array in (self._empty | arrays).items():
            words = self._kind.words_of(name, int(array.ctypes.data) - nowhere, array.shape)
            at = self._kind.WORDS[name]
            table.table[at : at + len(words)] = words
            setattr(table, name, array)
        self._kept = (frame, arrays)
        return table.address, NOWHERE
