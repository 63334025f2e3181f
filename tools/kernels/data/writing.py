"""Market data as bytes: items become msgpack or JSON messages by small programs, many in one call.

A message is literals with fields between them. A program is the list of both for one kind of message on one wire
(`gpi.tools.venue.data.messages` writes them down), so one loop speaks every vendor's dialect. An item is one row of
`ints` (I_*) and one of `nums` (N_*). A bar is an item too: open, high, low, close, vwap, volume, then the day's volume,
open and vwap in the numbers; start, end, count of trades and their mean size in I_TS, I_RECV, I_ID and I_BOOK.

Decimal numbers are exact: the shortest m * 10^-d with m < 2^53 that divides back to the same double. A double without
such a form (0.1 + 0.2) is left to the caller, who is told where the loop stopped.
"""

import numpy as np

from gpi.tools.kernels.jit import jit
from gpi.tools.kernels.orders import Array
from gpi.tools.kernels.ticks import ticks_at

I_TS, I_RECV, I_INSTRUMENT, I_CHANNEL, I_FLAGS, I_SIDE, I_ID, I_Q, I_BOOK, INTS = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9
N_BID_PX, N_BID_SZ, N_ASK_PX, N_ASK_SZ, N_PX, N_SZ, N_DAY_VOLUME, N_DAY_OPEN, N_DAY_VWAP, NUMS = (
    0,
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    8,
    9,
)

STATUS, TRADE, QUOTE, BOOK, RESET, BAR, UPDATED, DAILY, LULD, SECONDS, CHANNELS = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10

LITERAL, SYMBOL, PRICE, SIZE, TIME, INTEGER, CHOICE, SIDE, LEVELS, TEXT = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9
STAMP, RFC3339, MILLIS, NANOS = 0, 1, 2, 3  # how a TIME is written
MESSAGE_BYTES = 8192  # no message is longer: ten levels a side, twice, and a symbol
EXACT = 9007199254740992.0  # 2^53: whole numbers below it are doubles
SCALES = 10.0 ** np.arange(16)


@jit
def copied(out: Array, at: int, pool: Array, start: int, size: int) -> int:
    """Append `size` bytes of a pool."""
    for k in range(size):
        out[at + k] = pool[start + k]
    return at + size


@jit
def big_endian(out: Array, at: int, value: int, size: int) -> int:
    """Append an integer of `size` bytes, most significant first."""
    for k in range(size):
        out[at + k] = (value >> (8 * (size - 1 - k))) & 0xFF
    return at + size


@jit
def digits(out: Array, at: int, value: int, least: int) -> int:
    """Append a whole number >= 0 in decimal, with at least so many digits."""
    size = 1
    rest = value // 10
    while rest > 0:
        size += 1
        rest //= 10
    size = max(size, least)
    for k in range(size - 1, -1, -1):
        out[at + k] = 48 + value % 10
        value //= 10
    return at + size


@jit
def packed_integer(out: Array, at: int, value: int) -> int:
    """Append a msgpack integer in its shortest form."""
    if 0 <= value < 128 or -32 <= value < 0:
        out[at] = value & 0xFF
        return at + 1
    if value >= 0:
        if value < 1 << 8:
            out[at] = 0xCC
            return big_endian(out, at + 1, value, 1)
        if value < 1 << 16:
            out[at] = 0xCD
            return big_endian(out, at + 1, value, 2)
        if value < 1 << 32:
            out[at] = 0xCE
            return big_endian(out, at + 1, value, 4)
        out[at] = 0xCF
        return big_endian(out, at + 1, value, 8)
    out[at] = 0xD3
    return big_endian(out, at + 1, value, 8)


@jit
def packed_double(out: Array, at: int, value: float, bits: Array) -> int:
    """Append a msgpack float 64; `bits` is float64 (1,), a place to turn it into bytes."""
    bits[0] = value
    raw = bits.view(np.uint8)
    out[at] = 0xCB
    for k in range(8):
        out[at + 1 + k] = raw[7 - k]
    return at + 9


@jit
def packed_time(out: Array, at: int, ts: int) -> int:
    """Append a msgpack Timestamp (extension -1) of ns since 1970, in its shortest form."""
    seconds = ts // 1_000_000_000
    nanos = ts - seconds * 1_000_000_000
    if 0 <= seconds < 1 << 34:
        if nanos == 0 and seconds < 1 << 32:
            out[at], out[at + 1] = 0xD6, 0xFF
            return big_endian(out, at + 2, seconds, 4)
        out[at], out[at + 1] = 0xD7, 0xFF
        return big_endian(out, at + 2, (nanos << 34) | seconds, 8)
    out[at], out[at + 1], out[at + 2] = 0xC7, 12, 0xFF
    at = big_endian(out, at + 3, nanos, 4)
    return big_endian(out, at, seconds, 8)


@jit
def written_time(out: Array, at: int, ts: int) -> int:
    """Append a quoted RFC 3339 time in UTC, without trailing zeros: "2024-06-03T13:30:00.5Z".

    Days to a date after Hinnant, "chrono-compatible low-level date algorithms".
    """
    seconds = ts // 1_000_000_000
    nanos = ts - seconds * 1_000_000_000
    days = seconds // 86400
    clock = seconds - days * 86400
    z = days + 719468
    era = z // 146097
    doe = z - era * 146097
    yoe = (doe - doe // 1460 + doe // 36524 - doe // 146096) // 365
    doy = doe - (365 * yoe + yoe // 4 - yoe // 100)
    mp = (5 * doy + 2) // 153
    month = mp + 3 if mp < 10 else mp - 9
    year = yoe + era * 400 + (1 if month <= 2 else 0)
    out[at] = 34
    at = digits(out, at + 1, year, 4)
    out[at] = 45
    at = digits(out, at + 1, month, 2)
    out[at] = 45
    at = digits(out, at + 1, doy - (153 * mp + 2) // 5 + 1, 2)
    out[at] = 84
    at = digits(out, at + 1, clock // 3600, 2)
    out[at] = 58
    at = digits(out, at + 1, clock // 60 % 60, 2)
    out[at] = 58
    at = digits(out, at + 1, clock % 60, 2)
    if nanos > 0:
        least = 9
        while nanos % 10 == 0:
            nanos //= 10
            least -= 1
        out[at] = 46
        at = digits(out, at + 1, nanos, least)
    out[at], out[at + 1] = 90, 34
    return at + 2


@jit
def written_number(out: Array, at: int, value: float) -> int:
    """Append a decimal number; -1 for one that has no short form. NaN and infinities as Python's json writes them."""
    if np.isnan(value):
        out[at], out[at + 1], out[at + 2] = 78, 97, 78
        return at + 3
    if value < 0.0:
        out[at] = 45
        at += 1
        value = -value
    if np.isinf(value):
        for k, letter in enumerate((73, 110, 102, 105, 110, 105, 116, 121)):
            out[at + k] = letter
        return at + 8
    for d in range(SCALES.shape[0]):
        scaled = np.rint(value * SCALES[d])
        if scaled >= EXACT:
            return -1
        if scaled / SCALES[d] == value:
            whole, scale = int(scaled), int(SCALES[d])
            at = digits(out, at, whole // scale, 1)
            if d > 0:
                out[at] = 46
                at = digits(out, at + 1, whole % scale, d)
            return at
    return -1


@jit
def number(out: Array, at: int, value: float, packed: bool, size: bool, bits: Array) -> int:
    """Append a number of either wire; a whole `size` is an integer in msgpack."""
    if not packed:
        return written_number(out, at, value)
    if size and value == np.rint(value) and abs(value) < EXACT:
        return packed_integer(out, at, int(value))
    return packed_double(out, at, value, bits)


@jit
def _time(out: Array, at: int, ts: int, form: int) -> int:
    if form == STAMP:
        return packed_time(out, at, ts)
    if form == RFC3339:
        return written_time(out, at, ts)
    shown = ts // 1_000_000 if form == MILLIS else ts
    if shown < 0:
        out[at] = 45
        at += 1
        shown = -shown
    return digits(out, at, shown, 1)


@jit
def _levels(out: Array, at: int, px: Array, sz: Array, packed: bool, keyed: bool, bits: Array) -> int:
    """Append book levels up to the first NaN price: {"p":..,"s":..} each, or [price, size] pairs."""
    count = 0
    while count < px.shape[0] and not np.isnan(px[count]):
        count += 1
    if packed:
        out[at] = 0xDC
        at = big_endian(out, at + 1, count, 2)
    else:
        out[at] = 91
        at += 1
    for k in range(count):
        if packed:
            out[at], out[at + 1], out[at + 2] = 0x82, 0xA1, 112
            at = packed_double(out, at + 3, px[k], bits)
            out[at], out[at + 1] = 0xA1, 115
            at = packed_double(out, at + 2, sz[k], bits)
            continue
        if k > 0:
            out[at] = 44
            at += 1
        if keyed:
            out[at], out[at + 1], out[at + 2], out[at + 3], out[at + 4] = 123, 34, 112, 34, 58
            at = written_number(out, at + 5, px[k])
            if at < 0:
                return -1
            out[at], out[at + 1], out[at + 2], out[at + 3], out[at + 4] = 44, 34, 115, 34, 58
            at = written_number(out, at + 5, sz[k])
        else:
            out[at] = 91
            at = written_number(out, at + 1, px[k])
            if at < 0:
                return -1
            out[at] = 44
            at = written_number(out, at + 1, sz[k])
        if at < 0:
            return -1
        out[at] = 125 if keyed else 93
        at += 1
    if not packed:
        out[at] = 93
        at += 1
    return at


@jit
def encoded(
    ints: Array, nums: Array, levels: Array, wanted: Array, classes: Array, programs: Array, ops: Array, pool: Array,
    names: Array, packed: bool, out: Array, told: Array,
) -> None:  # fmt: skip
    """Append the wanted items from told[0] on, at most told[2], to `out`; what happened is in `told`.

    ints (n, INTS), nums (n, NUMS), levels (books, 4, width): bid prices, bid sizes, ask prices, ask sizes; wanted
    uint8 (CHANNELS, instruments); classes: the class of each instrument; programs (classes, CHANNELS, 2): rows of
    `ops`; ops (k, 5): what, offset (TIME: column), size, field or mask, the other literal (offset << 16 | size);
    names (instruments, 2): the symbol in the pool. told (4,): next item, bytes written, messages, 1 if the next
    item has a number without a short form.
    """
    bits = np.empty(1, np.float64)
    at, count = 0, 0
    item, most = told[0], told[2]
    told[3] = 0
    while item < ints.shape[0] and count < most and at + MESSAGE_BYTES <= out.shape[0]:
        instrument = ints[item, I_INSTRUMENT]
        channel = ints[item, I_CHANNEL]
        first = programs[classes[instrument], channel, 0]
        last = programs[classes[instrument], channel, 1]
        if first == last or wanted[channel, instrument] == 0:
            item += 1
            continue
        begin = at
        if count > 0 and not packed:
            out[at] = 44
            at += 1
        for row in range(first, last):
            what, arg = ops[row, 0], ops[row, 3]
            if what == LITERAL:
                at = copied(out, at, pool, ops[row, 1], ops[row, 2])
            elif what == SYMBOL:
                at = copied(out, at, pool, names[instrument, 0], names[instrument, 1])
            elif what == PRICE or what == SIZE:
                at = number(out, at, nums[item, arg], packed, what == SIZE, bits)
            elif what == TIME:
                at = _time(out, at, ints[item, ops[row, 1]], arg)
            elif what == INTEGER:
                at = packed_integer(out, at, ints[item, arg]) if packed else digits(out, at, ints[item, arg], 1)
            elif what == TEXT:
                out[at] = 34
                at = digits(out, at + 1, ints[item, arg], 1)
                out[at] = 34
                at += 1
            elif what == LEVELS:
                book = ints[item, I_BOOK]
                side = levels[book, 2 * (arg & 1)], levels[book, 2 * (arg & 1) + 1]
                at = _levels(out, at, side[0], side[1], packed, arg < 2, bits)
            else:
                other = ints[item, I_FLAGS] & arg != 0 if what == CHOICE else ints[item, I_SIDE] < 0
                if other:
                    at = copied(out, at, pool, ops[row, 4] >> 16, ops[row, 4] & 0xFFFF)
                else:
                    at = copied(out, at, pool, ops[row, 1], ops[row, 2])
            if at < 0:
                break
        if at < 0:
            at = begin
            told[3] = 1
            break
        count += 1
        item += 1
    told[0], told[1], told[2] = item, at, count


@jit
def expanded(columns: int, body: Array, counts: Array, ints: Array, nums: Array) -> int:
    """Rows of ticks as items: of one row first its STATUS, then TRADE, QUOTE, DEPTH. Returns how many.

    A side that is missing (NaN) is 0 on every wire. `counts` (CHANNELS, instruments) numbers the items of each channel
    and symbol from 1 on. A book is numbered by its row; a row with SNAPSHOT (32) is a RESET. `columns`: the address of
    the batch's `Ticks`, `body` its bytes.
    """
    ticks, n = ticks_at(columns, body), 0
    for row in range(ticks.ts_event.shape[0]):
        kind, flags = ticks.kind[row], ticks.flags[row]
        bid_px, ask_px = ticks.bid_px[row], ticks.ask_px[row]
        for channel in range(4):
            bit = 4 if channel == STATUS else 2 if channel == TRADE else 1 if channel == QUOTE else 8
            if kind & bit == 0 or (channel == STATUS and flags & 4 != 0):
                continue  # the close of a session is told by the clock, not by a message
            i = ticks.instrument_id[row]
            counts[channel, i] += 1
            ints[n, I_TS], ints[n, I_RECV] = ticks.ts_event[row], ticks.ts_recv[row]
            ints[n, I_INSTRUMENT], ints[n, I_CHANNEL] = i, channel
            if channel == BOOK and flags & 32 != 0:
                ints[n, I_CHANNEL] = RESET
            ints[n, I_FLAGS], ints[n, I_SIDE] = flags, ticks.side[row]
            if channel == STATUS and flags & 2 != 0:
                ints[n, I_FLAGS] = flags & ~1  # a pause is the more specific word
            ints[n, I_ID] = ints[n, I_Q] = counts[channel, i]
            ints[n, I_BOOK] = row
            nums[n, N_BID_PX] = 0.0 if np.isnan(bid_px) else bid_px
            nums[n, N_BID_SZ] = ticks.bid_sz[row]
            nums[n, N_ASK_PX] = 0.0 if np.isnan(ask_px) else ask_px
            nums[n, N_ASK_SZ] = ticks.ask_sz[row]
            nums[n, N_PX], nums[n, N_SZ] = ticks.trade_px[row], ticks.trade_sz[row]
            n += 1
    return n


@jit
def changes(old_px: Array, old_sz: Array, new_px: Array, new_sz: Array, px: Array, sz: Array) -> None:
    """One side of a book as changes since the last: what is new or resized, and size 0 for what is gone; NaN after.

    All (levels,), but px and sz (at least 2 * levels,).
    """
    n = 0
    for k in range(new_px.shape[0]):
        known = False
        for j in range(old_px.shape[0]):
            known |= old_px[j] == new_px[k] and old_sz[j] == new_sz[k]
        if not known and not np.isnan(new_px[k]):
            px[n], sz[n] = new_px[k], new_sz[k]
            n += 1
    for j in range(old_px.shape[0]):
        stays = np.isnan(old_px[j])
        for k in range(new_px.shape[0]):
            stays |= new_px[k] == old_px[j]
        if not stays:
            px[n], sz[n] = old_px[j], 0.0
            n += 1
    px[n:] = np.nan


@jit
def books_as_changes(
    ints: Array, count: int, bids_px: Array, bids_sz: Array, asks_px: Array, asks_sz: Array,
    last: Array, seen: Array, out: Array,
) -> None:  # fmt: skip
    """The books among the items as changes (out[row], (rows, 4, 2 * levels)); whole where it is a RESET or the first.

    last (instruments, 4, levels), seen uint8 (instruments,): the books of before, brought up to date. A first book
    becomes a RESET.
    """
    for item in range(count):
        channel = ints[item, I_CHANNEL]
        if channel != BOOK and channel != RESET:
            continue
        i, row = ints[item, I_INSTRUMENT], ints[item, I_BOOK]
        if seen[i] == 0 or channel == RESET:
            ints[item, I_CHANNEL] = RESET
            last[i] = np.nan
            seen[i] = 1
        changes(last[i, 0], last[i, 1], bids_px[row], bids_sz[row], out[row, 0], out[row, 1])
        changes(last[i, 2], last[i, 3], asks_px[row], asks_sz[row], out[row, 2], out[row, 3])
        last[i, 0], last[i, 1] = bids_px[row], bids_sz[row]
        last[i, 2], last[i, 3] = asks_px[row], asks_sz[row]
