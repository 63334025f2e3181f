"""The record that brings a strategy the columns it asked for, row by row (`gpi.tools.kernels.trader.gathering`)."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from gpi.formats.columns import Selected, selected
from gpi.formats.errors import UsageError
from gpi.formats.frame import Frame, Layout
from gpi.tools.kernels.trader.gathering import AT, FROM, PIECE, SIZE, STEP, place

Array = npt.NDArray[Any]
NO_BODIES: Final = (np.zeros(0, np.uint8),) * 4
KEPT: Final = 4096  # numbers of rows for which it is remembered where the pieces lie
NOTHING: Final = np.dtype((np.record, [("nothing", np.int64)]))


class Inputs:
    """`record` (1,) has a field for everything asked for: a number, or a vector; NaN where the stream has it not."""

    def __init__(self, needs: tuple[str, ...], wants: tuple[str, ...], schema: pa.Schema, who: str) -> None:
        asked = [_named(each) for each in (*selected(needs, schema, who), *selected(wants, schema, who, optional=True))]
        self.record = np.zeros(1, _dtype(asked, who))
        for each in asked:
            if each.dtype.kind == "f":
                self.record[each.name] = np.nan
        self.address = int(self.record.ctypes.data)
        offsets, found = self.record.dtype.fields or {}, list[tuple[str, int, int, int]]()
        for each in asked:
            if each.present:
                found += _pieces(each, offsets[each.name][1])
        self.pieces = np.zeros((len(found), PIECE), np.int64)
        rows = {column.name: column.row_bytes for column in Layout.of(schema).columns} if found else {}
        self._columns = [(column, first, rows[column]) for column, first, _, _ in found]
        self._layout: Layout | None = None
        self._spots: dict[int, Array] = {}
        for piece, (_, _, size, at) in zip(self.pieces, found, strict=True):
            piece[SIZE], piece[AT] = size, at

    def over(self, frame: Frame) -> None:
        """From now on rows are those of a frame, which the caller keeps."""
        if not self._columns:
            return
        bodies = frame.pieces
        if bodies is None or len(bodies) > len(NO_BODIES):
            for piece, (name, first, _) in zip(self.pieces, self._columns, strict=True):
                column = frame[name]
                piece[FROM], piece[STEP] = column.ctypes.data + first, column.strides[0]
            return
        if frame.layout is not self._layout:
            self._layout = frame.layout
            self._spots.clear()
        spots = self._spots.get(frame.rows)
        if spots is None:
            spots = self._spotted(frame, bodies)
        place(self.pieces, spots, *bodies, *NO_BODIES[len(bodies) :])

    def _spotted(self, frame: Frame, bodies: tuple[Array, ...]) -> Array:
        """(n, 3) int64: for each piece which body it lies in, how far from its beginning, and bytes from row to row."""
        if len(self._spots) >= KEPT:
            self._spots.clear()
        offsets, found = frame.layout.offsets(frame.rows), []
        for name, first, step in self._columns:
            which, at = 0, offsets[name]
            while which + 1 < len(bodies) and at >= len(bodies[which]):
                at -= len(bodies[which])
                which += 1
            found.append((which, at + first, step))
        made = self._spots[frame.rows] = np.array(found, np.int64)
        return made


def _named(asked: Selected) -> Selected:
    """Under a name that a record can have: numpy's own have `flat`, so `direction.flat` is told as `direction_flat`."""
    return asked if _usable(asked.name) else asked._replace(name=f"{asked.column}_{asked.name}")


def _usable(name: str) -> bool:
    return name.isidentifier() and not hasattr(np.record, name)


def _pieces(asked: Selected, at: int) -> list[tuple[str, int, int, int]]:
    """(column, first byte, bytes, where in the record): neighbours that stay neighbours are one piece."""
    size, found = asked.dtype.itemsize, list[tuple[str, int, int, int]]()
    for spot in asked.places or (0,):
        if found and found[-1][1] + found[-1][2] == spot * size:
            column, first, many, where = found[-1]
            found[-1] = (column, first, many + size, where)
        else:
            done = sum(piece[2] for piece in found)
            found.append((asked.column, spot * size, size, at + done))
    return found


def _dtype(asked: list[Selected], who: str) -> np.dtype[Any]:
    names = [each.name for each in asked]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"{who} asks for {name!r} twice")
        if hasattr(np.record, name) or not name.isidentifier():
            raise UsageError(f"{who} asks for {name!r}, which cannot be the name of a field: ask for its whole column")
    fields = [
        (each.name, each.dtype, (len(each.places),)) if each.vector else (each.name, each.dtype) for each in asked
    ]
    return np.dtype((np.record, fields)) if fields else NOTHING
