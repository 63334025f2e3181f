"""Tables of arrays handed to kernels as one pointer: the same from Python and from compiled code."""

from typing import Any

import numpy as np
import pytest
from numba import config

from gpi.tools.kernels.jit import borrowing, jit
from gpi.tools.kernels.orders import record
from gpi.tools.kernels.shared import Placed, Shared, at_places

CLOCK = record("now rows", "rate", "shares", 3)


class Table(Shared):
    """A record, a list, a matrix and a cube."""

    RECORDS = {"clock": CLOCK}
    ARRAYS = {
        "ids": (np.dtype(np.int64), 1), "pairs": (np.dtype(np.float64), 2), "cube": (np.dtype(np.float64), 3),
        "clocks": (CLOCK, 1),
    }  # fmt: skip

    clock: Any
    ids: Any
    pairs: Any
    cube: Any
    clocks: Any


def given(**changes: Any) -> dict[str, Any]:
    """Arrays for a Table."""
    shapes = {"ids": (4,), "pairs": (2, 3), "cube": (2, 3, 4)}
    made: dict[str, Any] = {
        name: np.arange(np.prod(s), dtype=Table.ARRAYS[name][0]).reshape(s) for name, s in shapes.items()
    }
    return {**made, "clock": np.zeros(1, CLOCK), "clocks": np.zeros(2, CLOCK), **changes}


@borrowing
def summed(t: Table, a: int, b: int, c: int) -> float:
    """Reads every kind of field, through shapes and strides."""
    t.clock.now += 1
    t.clock.shares[b] += 0.5
    t.clocks[1].rows = t.cube.shape[1] * 100 + t.pairs.shape[1] * 10 + t.ids.shape[0]
    t.ids[a] += 10
    return t.ids[a] + t.pairs[a, b] * 100.0 + t.cube[a, b, c] * 10_000.0 + inner(t)


@borrowing
def inner(t: Table) -> float:
    """What another kernel is handed is the same table."""
    t.clock.rate = 0.25
    return float(t.cube[t.cube.shape[0] - 1, t.cube.shape[1] - 1].sum() * 0.0)


def test_a_kernel_reads_and_writes_what_python_sees() -> None:
    """Records, one, two and three dimensions, with the JIT and without."""
    arrays = given()
    t = Table(arrays)
    assert summed(t, 1, 2, 3) == 11 + 500 + 230_000
    assert arrays["ids"].tolist() == [0, 11, 2, 3] and t.ids is arrays["ids"]
    assert arrays["clock"][0].now == 1 == t.clock.now and t.clock.rate == 0.25
    assert arrays["clock"]["shares"][0].tolist() == [0.0, 0.0, 0.5]
    assert arrays["clocks"][1].rows == 334


def test_another_table_has_its_own_arrays() -> None:
    """After growth another object is made; the kernel works on the one it is given."""
    first, second = Table(given()), Table(given(ids=np.zeros(100, np.int64)))
    summed(second, 0, 0, 0)
    assert first.ids[0] == 0 and second.ids[0] == 10 and second.clocks[1].rows == 430


@pytest.mark.parametrize(
    "wrong",
    [
        {"ids": np.zeros(4, np.int32)},
        {"ids": np.zeros((4, 1), np.int64)},
        {"pairs": np.zeros((3, 2)).T},
        {"cube": np.zeros((4, 3, 8))[:, :, ::2]},
        {"clock": np.zeros((1, 1), CLOCK)},
        {"clocks": np.zeros(2, record("now rows", "rate"))},
    ],
)
def test_arrays_that_are_not_what_the_table_says_are_refused(wrong: dict[str, Any]) -> None:
    """Another type, other dimensions, another order: a kernel would read nonsense."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Table(given(**wrong))


def test_an_array_that_cannot_be_written_is_refused() -> None:
    """Kernels write where they like."""
    fixed = np.zeros(4, np.int64)
    fixed.flags.writeable = False
    with pytest.raises(ValueError, match="ids"):
        Table(given(ids=fixed))


class Row(Placed):
    """Two columns of one piece of memory, and one that is not there."""

    ARRAYS = {"ids": (np.dtype(np.int32), 1), "pairs": (np.dtype(np.float64), 2), "none": (np.dtype(np.float64), 1)}

    ids: Any
    pairs: Any
    none: Any


row_at = at_places(Row)


@borrowing
def told(address: int, body: Any, row: int) -> float:
    """Reads through offsets."""
    r = row_at(address, body)
    return r.ids[row] + r.pairs[row, 1] * 100.0 + r.none.shape[0] * 1e6 + r.pairs.shape[1] * 1e4


@pytest.mark.jit
def test_what_is_placed_is_read_from_whatever_piece_comes_next() -> None:
    """One table of offsets; the numbers are those of the piece that is handed over with it."""
    empty = {name: np.zeros((0,) * ndim, dtype) for name, (dtype, ndim) in Row.ARRAYS.items()}
    table = Row(empty)
    for name, at, shape in (("ids", 8, (3,)), ("pairs", 24, (3, 2)), ("none", 0, (0,))):
        words = Row.words_of(name, at, shape)
        table.table[Row.WORDS[name] : Row.WORDS[name] + len(words)] = words
    for seed in range(3):
        body = np.zeros(24 + 48, np.uint8)
        ids, pairs = body[8:20].view(np.int32), body[24:].view(np.float64).reshape(3, 2)
        ids[:], pairs[:] = np.arange(3) + seed, np.arange(6).reshape(3, 2) * (seed + 1)
        for row in range(3):
            assert told(table.address, body, row) == ids[row] + pairs[row, 1] * 100.0 + 2e4


@borrowing
def first(r: Row) -> float:
    """Handed on from kernel to kernel, and from Python."""
    return r.ids[0] + r.pairs[0, 1] * 100.0


@jit
def first_of(address: int, body: Any) -> float:
    """A kernel that counts references hands a table on."""
    return first(row_at(address, body))


def test_what_is_placed_can_be_handed_on() -> None:
    """From Python, where the table tells addresses, and from a kernel to another."""
    made = {"ids": np.arange(3, dtype=np.int32) + 4, "pairs": np.arange(6.0).reshape(3, 2), "none": np.zeros(0)}
    table = Row(made)
    assert first(table) == 104.0
    if not config.DISABLE_JIT:
        here = np.zeros(1, np.uint8)
        for name in ("ids", "pairs"):
            table.table[Row.WORDS[name] + 4] -= here.ctypes.data
        assert first_of(table.address, here) == 104.0
