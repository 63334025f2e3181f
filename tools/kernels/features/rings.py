"""Rings of timed values in one shared pool: windows in event time, in memory that stays flat.

A window in event time holds as many entries as happened, which nobody knows beforehand. Each
instrument owns a ring, a stretch of 2^k slots of the pool; a full ring moves to a stretch twice as
long at the pool's free end. The stretches left behind add up to less than the ring in use, so the
pool stays within a constant of what the fullest windows held.

A ring's owner is any record with the fields RING: `tail <= index < head` are the entries alive,
numbered since the beginning, and entry k lies in slot `origin + k % capacity`. Slot 0 of the pool
keeps the number of the first free slot.
"""

import numpy as np
import numpy.typing as npt

from gpi.tools.kernels.jit import jit
from gpi.tools.kernels.shared import Array, Record

RING = [("origin", np.int64), ("capacity", np.int64), ("head", np.int64), ("tail", np.int64)]
FIRST_CAPACITY = 4  # doubling is cheap; rings of thousands of quiet option contracts are not

Pool = tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]


def pool(slots: int, width: int) -> Pool:
    """An empty pool: times (slots,) in ns and values (slots, width)."""
    stamps = np.zeros(slots + 1, np.int64)
    stamps[0] = 1
    return stamps, np.zeros((slots + 1, width))


def widened(stamps: npt.NDArray[np.int64], values: npt.NDArray[np.float64]) -> Pool:
    """The same pool with twice the slots; every ring keeps its place."""
    longer = np.concatenate([stamps, np.zeros_like(stamps)])
    return longer, np.concatenate([values, np.zeros_like(values)])


@jit
def room(owner: Record, stamps: Array, values: Array) -> bool:
    """Make room for one more entry; False when the pool itself must be widened first."""
    if owner.head - owner.tail < owner.capacity:
        return True
    capacity = max(FIRST_CAPACITY, 2 * owner.capacity)
    free = stamps[0]
    if free + capacity > stamps.size:
        return False
    for k in range(owner.tail, owner.head):
        old = owner.origin + (k & (owner.capacity - 1))
        new = free + (k & (capacity - 1))
        stamps[new] = stamps[old]
        values[new] = values[old]
    owner.origin = free
    owner.capacity = capacity
    stamps[0] = free + capacity
    return True


@jit
def slot(owner: Record, index: int) -> int:
    """Where the ring keeps its entry `index`."""
    return int(owner.origin + (index & (owner.capacity - 1)))


@jit
def asof(owner: Record, stamps: Array, cursor: int, time: int) -> int:
    """The last entry at or before `time` (-1: none), searched from `cursor` on: amortised O(1)."""
    while cursor + 1 < owner.head and stamps[slot(owner, cursor + 1)] <= time:
        cursor += 1
    return cursor


@jit
def enter(owner: Record, stamps: Array, values: Array, sums: Array, i: int, news: Array) -> None:
    """Add what the instant `owner.now` brought (width,) to the window's sums of instrument `i`.

    Events of one instant share an entry, so one more always fits after `room`.
    """
    something = False
    for column in range(news.size):
        something = something or news[column] != 0.0
    if not something:
        return
    merged = owner.head > owner.tail and stamps[slot(owner, owner.head - 1)] == owner.now
    if not merged:
        stamps[slot(owner, owner.head)] = owner.now
        owner.head += 1
    place = slot(owner, owner.head - 1)
    for column in range(news.size):
        sums[i, column] += news[column]
        values[place, column] = news[column] + (values[place, column] if merged else 0.0)


@jit
def expire(owner: Record, stamps: Array, values: Array, sums: Array, i: int, time: int) -> None:
    """Take the entries at or before `time` out of the sums of instrument `i`.

    An empty window sums to exactly zero again, so rounding does not pile up over a session.
    """
    while owner.tail < owner.head and stamps[slot(owner, owner.tail)] <= time:
        old = slot(owner, owner.tail)
        owner.tail += 1
        for column in range(values.shape[1]):
            left = sums[i, column] - values[old, column]
            sums[i, column] = left if owner.tail < owner.head else 0.0
