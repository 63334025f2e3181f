"""The record that brings a strategy the columns it asked for, row by row (`gpi.tools.kernels.trader.gathering`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from gpi.formats.columns import Selected, selected
from gpi.formats.errors import UsageError
from gpi.tools.kernels.trader.gathering import AT, FROM, PIECE, SIZE, STEP

Array = npt.NDArray[Any]
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
        self._columns = [(column, first) for column, first, _, _ in found]
        for piece, (_, _, size, at) in zip(self.pieces, found, strict=True):
            piece[SIZE], piece[AT] = size, at

    def over(self, columns: Mapping[str, Array]) -> None:
        """From now on rows are those of a frame."""
        for piece, (name, first) in zip(self.pieces, self._columns, strict=True):
            column = columns[name]
            piece[FROM], piece[STEP] = column.ctypes.data + first, column.strides[0]


def _named(asked: Selected) -> Selected:
    """Under a name that a record can have: numpy's own have `flat`, so `direction.flat` is told as `direction_flat`."""
    return asked if _usable(asked.name) else asked._replace(name=f"{asked.column}_{asked.name}")


def _usable(name: str) -> bool:
    return name.isidentifier() and not hasattr(np.record, name)


def _pieces(asked: Selected, at: int) -> list[tuple[str, int, int, int]]:
    """(column, first byte, bytes, where in the record): neighbours that stay neighbours are one piece."""
    size, found = asked.dtype.itemsize, list[tuple[str, int, int, int]]()
    for place in asked.places or (0,):
        if found and found[-1][1] + found[-1][2] == place * size:
            column, first, many, where = found[-1]
            found[-1] = (column, first, many + size, where)
        else:
            done = sum(piece[2] for piece in found)
            found.append((asked.column, place * size, size, at + done))
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
