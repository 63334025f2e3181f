"""One side of a book as two short sorted rows: keys (best last) and sizes.

The key is the price in ticks on the bid side and its negative on the ask side, so that larger is better on both and
one code serves both. What happens near the touch moves few numbers; what is far out lies at the bottom.
"""

from typing import Any

from gpi.tools.kernels.jit import jit


@jit
def put(keys: Any, sizes: Any, held: Any, key: Any, size: Any) -> Any:
    """Add `size` at `key`; gives the levels now held. The rows must have room for one more."""
    k = held - 1
    while k >= 0 and keys[k] > key:
        k -= 1
    if k >= 0 and keys[k] == key:
        sizes[k] += size
        return held
    for j in range(held - 1, k, -1):
        keys[j + 1] = keys[j]
        sizes[j + 1] = sizes[j]
    keys[k + 1] = key
    sizes[k + 1] = size
    return held + 1


@jit
def take(keys: Any, sizes: Any, held: Any, k: Any, size: Any) -> Any:
    """Take `size` (no more than is there) from level `k`; gives the levels now held."""
    sizes[k] -= size
    if sizes[k] > 0:
        return held
    for j in range(k, held - 1):
        keys[j] = keys[j + 1]
        sizes[j] = sizes[j + 1]
    return held - 1


@jit
def forget(keys: Any, sizes: Any, held: Any) -> Any:
    """Drop the worse half; gives the levels now held."""
    half = held // 2
    for j in range(half, held):
        keys[j - half] = keys[j]
        sizes[j - half] = sizes[j]
    return held - half


@jit
def extend(keys: Any, sizes: Any, held: Any, step: Any, size: Any) -> Any:
    """Add one level of `size`, `step` ticks behind the worst; gives the levels now held."""
    for j in range(held - 1, -1, -1):
        keys[j + 1] = keys[j]
        sizes[j + 1] = sizes[j]
    keys[0] = keys[1] - step
    sizes[0] = size
    return held + 1


@jit
def show(keys: Any, sizes: Any, held: Any, unit: Any, px: Any, sz: Any) -> Any:
    """Write the best levels to `px` and `sz` (levels,), price = key / unit; gives the key of the last one written."""
    levels = len(px)
    for k in range(levels):
        px[k] = keys[held - 1 - k] / unit
        sz[k] = sizes[held - 1 - k]
    return keys[held - levels] if levels > 0 else keys[held - 1]
