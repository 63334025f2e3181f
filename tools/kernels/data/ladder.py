"""A side of a book: row r of keys (rows, kept), best last, of sizes (rows, kept) and of held (rows,).

The key is the price in ticks on the bid side and its negative on the ask side, so that larger is better on
both and one code serves both. What happens near the touch moves few numbers; what is far out lies at the
bottom. Whole arrays and a row number are passed, never a view: a view costs two atomic operations.
"""

from typing import Any

from gpi.tools.kernels.jit import jit
from gpi.tools.kernels.shared import Array


@jit
def best(keys: Array, held: Array, r: int) -> Any:
    """The best key of row `r`, which must not be empty."""
    return keys[r, held[r] - 1]


@jit
def put(keys: Array, sizes: Array, held: Array, r: int, key: int, size: float) -> None:
    """Add `size` at `key`. The worse half is forgotten first when the row is full."""
    if held[r] == keys.shape[1]:
        half = held[r] // 2
        for j in range(half, held[r]):
            keys[r, j - half] = keys[r, j]
            sizes[r, j - half] = sizes[r, j]
        held[r] -= half
    n = held[r]
    k = n - 1
    while k >= 0 and keys[r, k] > key:
        k -= 1
    if k >= 0 and keys[r, k] == key:
        sizes[r, k] += size
        return
    for j in range(n - 1, k, -1):
        keys[r, j + 1] = keys[r, j]
        sizes[r, j + 1] = sizes[r, j]
    keys[r, k + 1] = key
    sizes[r, k + 1] = size
    held[r] = n + 1


@jit
def take(keys: Array, sizes: Array, held: Array, r: int, k: int, size: float) -> None:
    """Take `size` (no more than is there) from level `k`; an empty level goes."""
    sizes[r, k] -= size
    if sizes[r, k] == 0:
        for j in range(k, held[r] - 1):
            keys[r, j] = keys[r, j + 1]
            sizes[r, j] = sizes[r, j + 1]
        held[r] -= 1


@jit
def extend(keys: Array, sizes: Array, held: Array, r: int, step: int, size: float) -> None:
    """Add one level of `size`, `step` ticks behind the worst. The row must have room."""
    for j in range(held[r] - 1, -1, -1):
        keys[r, j + 1] = keys[r, j]
        sizes[r, j + 1] = sizes[r, j]
    keys[r, 0] = keys[r, 1] - step
    sizes[r, 0] = size
    held[r] += 1


@jit
def show(keys: Array, sizes: Array, held: Array, r: int, unit: int, n: int, px: Array, sz: Array) -> Any:
    """Write the best levels, price = key / unit, to row `n` of px and sz; gives the last key written."""
    levels, top = px.shape[1], held[r] - 1
    for k in range(levels):
        px[n, k] = keys[r, top - k] / unit
        sz[n, k] = sizes[r, top - k]
    return keys[r, top + 1 - max(levels, 1)]
