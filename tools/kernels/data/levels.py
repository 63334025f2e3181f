"""A book of price levels kept from snapshots and updates (L2 feeds).

Each side is a pair of arrays sorted so that the best price comes last: most updates touch the best
levels, so little moves. Bids are kept as they are, asks with their sign turned.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from gpi.tools.kernels.data.books import FRESH, LOST
from gpi.tools.kernels.jit import borrowing
from gpi.tools.kernels.shared import Array, Record

LADDER = np.dtype(
    (
        np.record,
        [
            ("count", np.int64, (2,)),  # levels on each side
            ("last_id", np.int64),  # the id of the last update applied
            ("live", np.int8),  # a snapshot has been seen
            ("fresh", np.int8),  # the row before was of a snapshot
            ("lost", np.int8),  # updates are missing since the snapshot
            ("touched", np.int8),  # the update being read changed the book
            ("marks", np.int32),
        ],
    )
)


def ladders(instruments: int) -> npt.NDArray[Any]:
    """Memory of books that have seen nothing; levels are kept in (instruments, 2, room) arrays."""
    return np.zeros(instruments, LADDER)


@borrowing
def _find(keys: Array, count: int, key: float) -> int:
    """The first position whose key is not below `key`."""
    low, high = 0, count
    while low < high:
        middle = (low + high) // 2
        if keys[middle] < key:
            low = middle + 1
        else:
            high = middle
    return low


@borrowing
def _opened(column: Array, at: int, count: int, value: float) -> None:
    """Put a value in at a place; those from there on move up."""
    for i in range(np.uint64(count), np.uint64(at), -1):
        column[i] = column[i - np.uint64(1)]
    column[at] = value


@borrowing
def _closed(column: Array, at: int, count: int) -> None:
    """Take the value at a place out; those behind it move down."""
    for i in range(np.uint64(at), np.uint64(count - 1)):
        column[i] = column[i + np.uint64(1)]


@borrowing
def set_level(book: Record, keys: Array, sizes: Array, side: int, price: float, size: float) -> None:
    """Put, change or (size 0) remove one level. The caller has seen to the room."""
    key = price if side == 0 else -price
    count = book.count[side]
    at = _find(keys[side], count, key)
    there = at < count and keys[side, at] == key
    if size == 0.0:
        if there:
            _closed(keys[side], at, count)
            _closed(sizes[side], at, count)
            book.count[side] = count - 1
    elif there:
        sizes[side, at] = size
    else:
        _opened(keys[side], at, count, key)
        _opened(sizes[side], at, count, size)
        book.count[side] = count + 1


@borrowing
def level_step(
    book: Record,
    keys: Array,
    sizes: Array,
    side: int,
    price: float,
    size: float,
    first_id: int,
    last_id: int,
    fresh: int,
) -> None:
    """Fold one level of a snapshot (`fresh`) or of the update first_id..last_id.

    A snapshot empties the book. What is older than the book is skipped, except a snapshot after a
    loss. An update that does not follow the last one is applied, and its tick is marked LOST.
    """
    if last_id < book.last_id and not (fresh and book.lost):
        return
    if fresh and not (book.fresh and book.last_id == last_id):
        book.count[0] = 0
        book.count[1] = 0
        book.live = 1
        book.lost = 0
        book.marks |= FRESH
    elif not fresh and book.last_id != last_id and book.last_id != 0 and first_id > book.last_id + 1:
        book.lost = 1
        book.marks |= LOST
    book.fresh = fresh
    book.last_id = last_id
    book.touched = 1
    set_level(book, keys, sizes, side, price, size)


@borrowing
def write_ladder(book: Record, keys: Array, sizes: Array, side: int, px: Array, sz: Array) -> None:
    """The best levels of a side into px and sz, best first; NaN and 0 where there are none."""
    count = book.count[side]
    for level in range(len(px)):
        if level < count:
            key = keys[side, count - 1 - level]
            px[level] = key if side == 0 else -key
            sz[level] = sizes[side, count - 1 - level]
        else:
            px[level] = np.nan
            sz[level] = 0.0


@borrowing
def fold_levels(
    memory: Array,
    keys: Array,
    sizes: Array,
    start: int,
    instrument: Array,
    side: Array,
    price: Array,
    size: Array,
    first_id: Array,
    last_id: Array,
    fresh: Array,
    ends: Array,
    row_of: Array,
    flags: Array,
    bids_px: Array,
    bids_sz: Array,
    asks_px: Array,
    asks_sz: Array,
) -> tuple[int, int]:
    """Fold rows from `start`; write a tick where an update that changed a live book `ends`.

    `row_of`, `flags` (ticks,) and `bids_px` to `asks_sz` (ticks, levels) receive the ticks. Returns
    (rows done, ticks): rows done fall short of the end where a side has no room for another level,
    and the caller makes more.
    """
    ticks = 0
    for row in range(start, len(instrument)):
        number = instrument[row]
        book = memory[number]
        if max(book.count[0], book.count[1]) >= keys.shape[2]:
            return row, ticks
        level_step(
            book,
            keys[number],
            sizes[number],
            side[row],
            price[row],
            size[row],
            first_id[row],
            last_id[row],
            fresh[row],
        )
        if ends[row]:
            if book.touched and book.live:
                row_of[ticks] = row
                flags[ticks] = book.marks
                write_ladder(book, keys[number], sizes[number], 0, bids_px[ticks], bids_sz[ticks])
                write_ladder(book, keys[number], sizes[number], 1, asks_px[ticks], asks_sz[ticks])
                ticks += 1
                book.marks = 0
            book.touched = 0
    return len(instrument), ticks
