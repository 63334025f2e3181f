"""Vendors' socket messages to rows of ticks: the fold behind `gpi.tools.feeds.live.decoding`.

Quotes and trades in their ordinary form become rows here; every other item (a status, a book, a control, a symbol not
met before, anything odd) is marked SLOW with its extent and left to plain Python. One bad item costs its neighbours
nothing: only where its end cannot be found is the rest of its message marked REST.
"""

from typing import Any, Final

import numpy as np

from gpi.tools.kernels.data import conditions, json_scan, msgpack
from gpi.tools.kernels.data.flaws import ABSURD_PRICE, LATEST, flaw, leaps, nobody
from gpi.tools.kernels.data.slots import (
    ALPACA,
    AP,
    AS,
    BP,
    BS,
    DS,
    FLOAT,
    ID,
    INT,
    LIST,
    PAIR,
    POLYGON,
    SEEN,
    SYM,
    TEXT,
    TIME,
    TKS,
    TYPE,
    Array,
    C,
    P,
    Q,
    S,
    T,
    X,
    moment,
)
from gpi.tools.kernels.data.symbols import find
from gpi.tools.kernels.jit import borrowing
from gpi.tools.kernels.shared import Record

ROW: Final = np.dtype(
    (np.record, [
        ("ts_event", np.int64), ("ts_recv", np.int64), ("instrument_id", np.int32), ("kind", np.int8),
        ("side", np.int8), ("marks", np.int32), ("seq", np.int64),
        *[(name, np.float64) for name in ("bid_px", "bid_sz", "ask_px", "ask_sz", "trade_px", "trade_sz")],
    ])
)  # fmt: skip
ITEM: Final = np.dtype((np.record, [(name, np.int64) for name in ("mark", "message", "start", "stop")]))

KEPT, SLOW, REST = 0, 1, 2  # item.mark; from FLAWED on: FLAWED + Reason
FLAWED: Final = 16
QUOTE, TRADE = 1, 2
OFF_EXCHANGE, HIDDEN, NO_PRICE = 64, 128, 256
MS: Final = 1_000_000
MSG, POS, LEFT = 0, 1, 2  # the cursor: message, place in it (-1: its head), items left of a msgpack array


FEED = np.dtype((np.record, [("vendor", np.int64), ("future_ns", np.int64), ("past_ns", np.int64)]))
"""Whose messages: ALPACA or POLYGON; how far after its receipt, and how far before it, a time may lie."""


@borrowing
def real(slot: Record) -> Any:
    """A number as float64; NaN for what is none (`numeric` tells)."""
    if slot.kind == FLOAT:
        return slot.f
    return np.float64(slot.i)


@borrowing
def numeric(slots: Array, seen: int, which: int) -> bool:
    """Was this slot filled, by a number that fits?"""
    return bool(seen >> which & 1) and (slots[which].kind == FLOAT or slots[which].kind == INT)


@borrowing
def letter(buf: Array, slots: Array, seen: int, which: int) -> Any:
    """The letters of a text of one or two ASCII letters as one number; 0 for anything else."""
    slot = slots[which]
    if not seen >> which & 1 or slot.kind != TEXT or slot.b - slot.a > 2 or slot.b == slot.a:
        return np.int64(0)
    made = np.int64(buf[slot.a])
    return made if slot.b - slot.a == 1 else made + 256 * np.int64(buf[slot.a + 1])


@borrowing
def fold(
    buf: Array, slots: Array, feed: Record, recv: int, names: Array, ids: Array, known: Array, row: Record,
) -> Any:  # fmt: skip
    """A row of the item in the slots: KEPT, FLAWED + Reason, or SLOW for what is no ordinary quote or trade."""
    seen, vendor = slots[SEEN].i, feed.vendor
    word = letter(buf, slots, seen, TYPE)
    if vendor == ALPACA:
        quote, coin = word == 113, False  # q, t
        trade = word == 116
        named = SYM
    else:
        coin = word % 256 == 88  # XQ, XT
        last = word // 256 if coin else word
        quote, trade = last == 81, last == 84  # Q, T
        named = PAIR if coin else SYM
    if not (quote or trade) or not seen >> named & 1 or slots[named].kind != TEXT or not seen >> T & 1:
        return SLOW
    instrument_id = find(buf, slots[named].a, slots[named].b, names, ids)
    if instrument_id < 0 or instrument_id >= len(known):
        return SLOW
    when = slots[T]
    if when.kind == TIME:
        ts = when.i
    elif when.kind == TEXT and vendor == ALPACA:
        ts = moment(buf, when.a, when.b)
    elif when.kind == INT and vendor == POLYGON and 0 <= when.i < LATEST // MS:
        ts = when.i * MS
    else:
        return SLOW
    if ts <= 0:
        return SLOW
    row.ts_event, row.ts_recv, row.instrument_id, row.side, row.marks, row.seq = ts, recv, instrument_id, 0, 0, 0
    if seen >> Q & 1:
        if slots[Q].kind != INT:
            return SLOW
        row.seq = slots[Q].i
    if quote:
        if not (
            numeric(slots, seen, BP) and numeric(slots, seen, BS) and numeric(slots, seen, AP)
            and numeric(slots, seen, AS)
        ):  # fmt: skip
            return SLOW
        row.kind, row.trade_px, row.trade_sz = QUOTE, np.nan, 0.0
        row.bid_px, row.bid_sz = nobody(real(slots[BP]), real(slots[BS])), real(slots[BS])
        row.ask_px, row.ask_sz = nobody(real(slots[AP]), real(slots[AS])), real(slots[AS])
    elif not _trade(buf, slots, seen, vendor, coin, row):
        return SLOW
    wrong = flaw(row, feed.future_ns, feed.past_ns)
    if not wrong and leaps(row, known):
        wrong = ABSURD_PRICE
    return FLAWED + wrong if wrong else KEPT


@borrowing
def _trade(buf: Array, slots: Array, seen: int, vendor: int, coin: bool, row: Record) -> bool:
    if not (numeric(slots, seen, P) and numeric(slots, seen, S)) or seen >> DS & 1:
        return False
    row.kind, row.bid_px, row.bid_sz, row.ask_px, row.ask_sz = TRADE, np.nan, 0.0, np.nan, 0.0
    row.trade_px, row.trade_sz = real(slots[P]), real(slots[S])
    listed = seen >> C & 1 and slots[C].kind == LIST
    if vendor == ALPACA:
        if seen >> ID & 1 and slots[ID].kind == INT:
            row.seq = slots[ID].i
        row.marks = OFF_EXCHANGE if letter(buf, slots, seen, X) == 68 else 0
        told = conditions.letters(buf, slots[C].a, slots[C].b) if listed else 0
        if told & conditions.B_BIT:
            return False  # what it means depends on the tape: for plain Python
        if told & conditions.H_BIT:
            row.marks |= HIDDEN
        if told & conditions.LETTERED:
            row.marks |= OFF_EXCHANGE | NO_PRICE
        taker = letter(buf, slots, seen, TKS)
        row.side = 1 if taker == 66 else -1 if taker == 83 else 0
        return True
    if coin:
        return False  # its taker's side is a condition: for plain Python
    if seen >> X & 1 and slots[X].kind == INT and slots[X].i == 4:
        row.marks = OFF_EXCHANGE
    told = conditions.numbers(buf, slots[C].a, slots[C].b) if listed else 0
    if told & conditions.VARIATION_BIT:
        row.marks |= HIDDEN
    if told & conditions.NUMBERED:
        row.marks |= OFF_EXCHANGE | NO_PRICE
    return True


@borrowing
def run(
    buf: Array, starts: Array, stops: Array, recvs: Array, feed: Array, slots: Array,
    names: Array, ids: Array, known: Array, cursor: Array, rows: Array, items: Array,
) -> Any:  # fmt: skip
    """Decode messages from the cursor on until they end or `rows` is full; returns how many items were met.

    rows[k] belongs to items[k] where its mark is KEPT. Done when cursor[MSG] == len(starts). Every message in `buf`
    is followed by a zero byte.
    """
    n = 0
    while cursor[MSG] < len(starts):
        m = cursor[MSG]
        stop = stops[m]
        if cursor[POS] < 0:
            _open(buf, starts[m], stop, cursor)
            if cursor[LEFT] == -2:  # no array at all
                if n == len(rows):
                    cursor[POS] = -1
                    return n
                _mark(items[n], REST, m, starts[m], stop)
                n += 1
                cursor[MSG], cursor[POS] = m + 1, -1
                continue
        while cursor[LEFT] != 0:
            if n == len(rows):
                return n
            start = cursor[POS]
            mark, end = _item(buf, start, stop, recvs[m], feed[0], slots, names, ids, known, cursor, rows[n])
            _mark(items[n], mark, m, start, end)
            n += 1
            if mark == REST:
                break
        cursor[MSG], cursor[POS] = m + 1, -1
    return n


@borrowing
def _mark(item: Record, mark: int, message: int, start: int, stop: int) -> None:
    item.mark = mark
    item.message = message
    item.start = start
    item.stop = stop


@borrowing
def _open(buf: Array, start: int, stop: int, cursor: Array) -> None:
    """The first item of a message; LEFT: items of a msgpack array, -1 for a JSON array, -2 for no array."""
    pos = json_scan.blank(buf, start)
    cursor[POS] = pos
    cursor[LEFT] = -2
    if pos < stop and buf[pos] == 91:
        pos = json_scan.blank(buf, pos + 1)
        cursor[POS] = pos
        cursor[LEFT] = 0 if pos < stop and buf[pos] == 93 else -1
    elif pos == start:
        left, first = msgpack.count_at(buf, start, stop)
        cursor[POS] = first
        cursor[LEFT] = left if left >= 0 else -2


@borrowing
def _item(
    buf: Array, start: int, stop: int, recv: int, feed: Record, slots: Array,
    names: Array, ids: Array, known: Array, cursor: Array, row: Record,
) -> Any:  # fmt: skip
    """Decode the item at `start` and move the cursor behind it; returns its mark and its end."""
    text = cursor[LEFT] < 0
    if start >= stop:
        return np.int64(REST), np.int64(stop)
    if text:
        end = json_scan.walk(buf, start, feed.vendor, slots) if buf[start] == 123 else np.int64(-2)
        whole = end >= 0
        if not whole:
            end = json_scan.extent(buf, start, stop)
        after = json_scan.blank(buf, end) if end >= 0 else np.int64(-1)
        if end < 0 or after >= stop or (buf[after] != 44 and buf[after] != 93):
            return np.int64(REST), np.int64(stop)
        closed = buf[after] == 93
        cursor[POS] = json_scan.blank(buf, after + 1)
        if closed:
            cursor[LEFT] = 0
    else:
        end = msgpack.walk(buf, start, stop, feed.vendor, slots)
        whole = end >= 0
        if not whole:
            end = msgpack.skip(buf, start, stop)
        if end < 0:
            return np.int64(REST), np.int64(stop)
        cursor[POS] = end
        cursor[LEFT] -= 1
    mark = SLOW
    if whole:
        mark = fold(buf, slots, feed, recv, names, ids, known, row)
    return np.int64(mark), np.int64(end)
