"""Sequence numbers that count every message of an instrument and kind: where one is missing."""

from typing import Any

import numpy.typing as npt

from gpi.tools.kernels.jit import jit

Array = npt.NDArray[Any]


@jit
def first_hole(ids: Array, kinds: Array, seqs: Array, last: Array, strict: bool) -> int:
    """The first row whose number skips one, or the count of rows; `last` is brought up to before it.

    `last`: (instruments, 2), the newest number of quotes (0) and trades (1), 0 before the first. Rows that are neither
    are passed over. Not `strict`: no row stops, the numbers are only remembered.
    """
    for row in range(len(ids)):
        column = 0 if kinds[row] & 1 else 1
        if kinds[row] & 3 == 0:
            continue
        known = last[ids[row], column]
        if strict and known > 0 and seqs[row] > known + 1:
            return row
        if seqs[row] > known:
            last[ids[row], column] = seqs[row]
    return len(ids)
