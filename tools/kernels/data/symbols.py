"""From the bytes of a symbol to its instrument_id: an open-addressing hash table in two arrays."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from gpi.tools.kernels.jit import borrowing

Array = npt.NDArray[Any]

LONGEST: Final = 30  # bytes of a name in the table
FACTOR, MASK = 1_000_003, (1 << 42) - 1  # their product stays below 2**63: no overflow, with the JIT on or off


def table(slots: int) -> tuple[Array, Array]:
    """An empty table: names (slots, 32) uint8, the length of a name first; ids (slots,) int64, -1 where free.

    `slots` is a power of two; keep at least half of them free.
    """
    return np.zeros((slots, LONGEST + 2), np.uint8), np.full(slots, -1, np.int64)


@borrowing
def place(buf: Array, a: int, b: int, names: Array, ids: Array) -> Any:
    """Where the name buf[a:b] stands in the table, or the free slot where it belongs."""
    mixed = np.int64(b - a)
    for k in range(a, b):
        mixed = (mixed * FACTOR + np.int64(buf[k])) & MASK
    last = np.int64(len(ids) - 1)
    at = (mixed ^ mixed >> np.int64(17)) & last
    while ids[at] >= 0:
        same = np.int64(names[at, 0]) == b - a
        k = 0
        while same and k < b - a:
            same = names[at, 1 + k] == buf[a + k]
            k += 1
        if same:
            return at
        at = (at + 1) & last
    return at


@borrowing
def find(buf: Array, a: int, b: int, names: Array, ids: Array) -> Any:
    """The instrument_id of the name buf[a:b]; -1 for one that is not in the table."""
    if b - a > LONGEST or b <= a:
        return np.int64(-1)
    return ids[place(buf, a, b, names, ids)]


@borrowing
def put(buf: Array, names: Array, ids: Array, instrument_id: int) -> None:
    """Enter a name (at most LONGEST bytes); the table must have a free slot."""
    at = place(buf, 0, len(buf), names, ids)
    names[at, 0] = len(buf)
    for k in range(len(buf)):
        names[at, 1 + k] = buf[k]
    ids[at] = instrument_id
