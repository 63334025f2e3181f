"""Building books: halves of a quote, the best over exchanges, price levels from updates.

Prices are dollars, sizes units, times int64 ns; a side that is absent is NaN and 0. Side 0 is the
bid, 1 the ask. Each kernel folds rows into the memory of their instrument and writes a row of `out`
where a tick is complete; `run` returns how many rows it did and how many ticks it wrote.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from gpi.tools.kernels.jit import jit
from gpi.tools.kernels.shared import Array, Record

PLACES = 128  # exchanges an instrument may be quoted on
SILENCE_NS = 4 * 3600 * 1_000_000_000  # after so long without a quote it is another session: nothing old stands

TICK = np.dtype(
    (
        np.record,
        [
            ("row", np.int64),  # the input row that completed the tick
            ("marks", np.int32),  # FRESH, LOST, HIDES
            ("bid_px", np.float64),
            ("bid_sz", np.float64),
            ("ask_px", np.float64),
            ("ask_sz", np.float64),
        ],
    )
)
FRESH = 1  # nothing before this tick counts any more
LOST = 2  # updates before this one are missing
HIDES = 4  # a stale side of a cross was hidden

TOP = np.dtype(
    (
        np.record,
        [("bid_px", np.float64), ("bid_sz", np.float64), ("ask_px", np.float64), ("ask_sz", np.float64)],
    )
)


def tops(instruments: int) -> npt.NDArray[Any]:
    """Memory of `fold_halves`: no instrument has a quote."""
    memory = np.zeros(instruments, TOP)
    memory["bid_px"] = np.nan
    memory["ask_px"] = np.nan
    return memory


@jit
def fold_halves(
    memory: Array,
    instrument: Array,
    bid_px: Array,
    bid_sz: Array,
    ask_px: Array,
    ask_sz: Array,
    ends: Array,
    out: Array,
) -> tuple[int, int]:
    """Each row brings one side or both (NaN: as before); a tick where `ends`. Returns (rows, ticks)."""
    ticks = 0
    for row in range(len(instrument)):
        top = memory[instrument[row]]
        if bid_px[row] == bid_px[row]:
            top.bid_px = bid_px[row]
            top.bid_sz = bid_sz[row]
        if ask_px[row] == ask_px[row]:
            top.ask_px = ask_px[row]
            top.ask_sz = ask_sz[row]
        if ends[row]:
            tick = out[ticks]
            tick.row = row
            tick.marks = 0
            tick.bid_px = top.bid_px
            tick.bid_sz = top.bid_sz
            tick.ask_px = top.ask_px
            tick.ask_sz = top.ask_sz
            ticks += 1
    return len(instrument), ticks


VENUES = np.dtype(
    (
        np.record,
        [
            ("count", np.int64),  # exchanges seen since the last silence
            ("turn", np.int64),  # quotes seen: the age of a quote is the turn in which it came
            ("ts", np.int64),  # the last quote's time
            ("place", np.int32, (PLACES,)),  # which exchange stands in a slot
            ("px", np.float64, (2, PLACES)),
            ("sz", np.float64, (2, PLACES)),
            ("age", np.int64, (PLACES,)),
        ],
    )
)


def venues(instruments: int) -> npt.NDArray[Any]:
    """Memory of `best_of_exchanges`: no exchange has quoted."""
    return np.zeros(instruments, VENUES)


@jit
def _slot(book: Record, place: int) -> int:
    """The slot of an exchange, a new one at its first quote; -1 when all are taken."""
    count: int = book.count
    for slot in range(count):
        if book.place[slot] == place:
            return slot
    if count == PLACES:
        return -1
    book.count = count + 1
    book.place[count] = place
    return count


@jit
def _best(book: Record, side: int, limit: float) -> tuple[float, float, int]:
    """Price, summed size and youngest age of the best level of a side that lies behind `limit`.

    Bids are compared as they are, asks with their sign turned, so that larger is better on both sides.
    """
    sign = 1.0 if side == 0 else -1.0
    best, size, age = -np.inf, 0.0, -1
    for slot in range(book.count):
        px = book.px[side, slot] * sign
        if px != px or px >= limit or px < best:
            continue
        if px > best:
            best, size, age = px, 0.0, -1
        size += book.sz[side, slot]
        age = max(age, book.age[slot])
    return best, size, age


@jit
def quote_step(
    book: Record, ts: int, place: int, bid_px: float, bid_sz: float, ask_px: float, ask_sz: float, tick: Record
) -> None:
    """Fold one exchange's quote and write the best over all of them.

    The size is the sum over the exchanges at the best price. Where bids and asks of different
    exchanges cross, the level quoted longest ago is hidden from this tick, and so on until they do
    not; a locked market stands. Hidden quotes are not forgotten: they show again when what they
    crossed has gone.
    """
    tick.marks = 0
    if book.turn == 0 or ts - book.ts > SILENCE_NS:
        book.count = 0
        tick.marks = FRESH
    book.ts = ts
    book.turn += 1
    slot = _slot(book, place)
    if slot >= 0:
        book.px[0, slot] = bid_px
        book.sz[0, slot] = bid_sz
        book.px[1, slot] = ask_px
        book.sz[1, slot] = ask_sz
        book.age[slot] = book.turn
    bid_limit, ask_limit = np.inf, np.inf
    bid, bid_size, bid_age = _best(book, 0, bid_limit)
    ask, ask_size, ask_age = _best(book, 1, ask_limit)
    while bid > -ask and bid > -np.inf and ask > -np.inf:
        tick.marks |= HIDES
        if bid_age < ask_age:
            bid_limit = bid
            bid, bid_size, bid_age = _best(book, 0, bid_limit)
        else:
            ask_limit = ask
            ask, ask_size, ask_age = _best(book, 1, ask_limit)
    tick.bid_px = bid if bid > -np.inf else np.nan
    tick.bid_sz = bid_size
    tick.ask_px = -ask if ask > -np.inf else np.nan
    tick.ask_sz = ask_size


@jit
def best_of_exchanges(
    memory: Array,
    ts: Array,
    instrument: Array,
    place: Array,
    bid_px: Array,
    bid_sz: Array,
    ask_px: Array,
    ask_sz: Array,
    out: Array,
) -> tuple[int, int]:
    """One tick per exchange quote (NaN: the exchange has withdrawn that side). Returns (rows, ticks)."""
    for row in range(len(ts)):
        out[row].row = row
        book = memory[instrument[row]]
        quote_step(book, ts[row], place[row], bid_px[row], bid_sz[row], ask_px[row], ask_sz[row], out[row])
    return len(ts), len(ts)
