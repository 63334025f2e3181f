"""One row of the columns that a strategy asked for, brought together in one record.

What is asked for, and where it lies, differs from stream to stream; so the row is copied byte by byte from where the
session says each piece begins. Copying bytes keeps every column's own type.
"""

import ctypes
from typing import Any

from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic

from gpi.tools.kernels.jit import borrowing
from gpi.tools.kernels.orders import Array

FROM, STEP, SIZE, AT, PIECE = 0, 1, 2, 3, 4
"""A piece: the address of row 0, bytes from row to row, bytes to copy, where in the record; numbers of a piece."""

if config.DISABLE_JIT:

    def copy(target: int, source: int, size: int) -> None:
        """Copy bytes from address to address."""
        ctypes.memmove(int(target), int(source), int(size))

else:

    @intrinsic  # type: ignore[untyped-decorator]
    def copy(context: Any, target: Any, source: Any, size: Any) -> Any:
        """Copy bytes from address to address."""

        def generate(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
            byte = cgutils.voidptr_t
            to, frm = (builder.inttoptr(arg, byte) for arg in args[:2])
            cgutils.raw_memcpy(builder, to, frm, args[2], 1)
            return ctx.get_dummy_value()

        return types.none(types.int64, types.int64, types.int64), generate


@borrowing
def place(pieces: Array, spots: Array, first: Array, second: Array, third: Array, fourth: Array) -> None:
    """Say where each piece begins: its spot is (which of the four bodies, bytes from its beginning, bytes a row).

    Bodies are (n,) uint8. In a kernel, because numpy's own way to an address costs ten times as much.
    """
    for k in range(spots.shape[0]):
        body = spots[k, 0]
        base = first.ctypes.data
        if body == 1:
            base = second.ctypes.data
        elif body == 2:
            base = third.ctypes.data
        elif body == 3:
            base = fourth.ctypes.data
        pieces[k, FROM] = base + spots[k, 1]
        pieces[k, STEP] = spots[k, 2]


@borrowing
def gather(record: int, pieces: Array, row: int) -> None:
    """Fill the record at address `record` with row `row` of the columns; pieces (n, PIECE) int64."""
    for k in range(pieces.shape[0]):
        copy(record + pieces[k, AT], pieces[k, FROM] + pieces[k, STEP] * row, pieces[k, SIZE])
