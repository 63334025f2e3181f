"""The pattern bank's arithmetic: exact search by cosine, verdicts over neighbours, learning as time passes.

Vectors are unit length, so a dot product is the cosine. Loops are of fixed order and one query at a time:
what a row is told never depends on what else is in the batch. A pattern is known at `known` = its time +
the horizon; nothing here looks at a pattern before it is known.
"""

import math
from typing import Any

import numpy as np

from gpi.formats.words import QUOTE
from gpi.tools.kernels.jit import jit
from gpi.tools.kernels.shared import Array, Record
from gpi.tools.kernels.ticks import ticks_at

BLOCK = 256  # cosines computed at a time, down the columns, where the processor adds eight at once
BPS = 1e4

PATTERN = np.dtype(
    (
        np.record,
        [
            ("id", "i8"),
            ("ts", "i8"),  # ns, when the vector was seen
            ("known", "i8"),  # ns, when its outcome was
            ("instrument", "i4"),
            ("outcome", "f4"),  # bps, the mid's return over the horizon
            ("hits", "i8"),  # later moments it was a neighbour of, neither having ended where it began
            ("agreed", "i8"),  # hits whose outcome had its sign
            ("profit", "f8"),  # bps, summed over hits: what trading its sign would have made
        ],
    )
)

HEAD = np.dtype((np.record, [("count", "i8"), ("next_id", "i8")]))  # rows used, the next pattern's id

TRACK = np.dtype(
    (
        np.record,
        [
            ("mid", "f8"),  # last two-sided quote; 0 before the first
            ("last_ts", "i8"),
            ("taken", "i8"),  # when the last pattern was taken
            ("head", "i8"),  # pending tail..head, in slots modulo the ring
            ("tail", "i8"),
            ("seen", "i8"),  # 1 after the first row
        ],
    )
)

PENDING = np.dtype((np.record, [("ts", "i8"), ("due", "i8"), ("mid", "f8"), ("near", "i8")]))


@jit
def confidence(hits: int, agreed: int) -> float:
    """Laplace's rule: the share of hits whose sign agreed, drawn towards a half while there are few."""
    return (agreed + 1.0) / (hits + 2.0)


@jit
def worth(pattern: Record) -> float:
    """What keeps a pattern in a full bank: mean profit per hit (bps) times confidence; 0 untried."""
    if pattern.hits == 0:
        return 0.0
    return float(pattern.profit / pattern.hits * confidence(pattern.hits, pattern.agreed))


@jit
def weakest(patterns: Array, count: int) -> int:
    """The row of least worth, the oldest of equals."""
    found, least, oldest = 0, math.inf, 0
    for row in range(count):
        value = worth(patterns[row])
        if value < least or (value == least and patterns[row].id < oldest):
            found, least, oldest = row, value, patterns[row].id
    return found


@jit
def unit(vector: Array, out: Array) -> bool:
    """The vector (E,) at length 1; False when it is not finite or has no direction."""
    square = 0.0
    for e in range(vector.shape[0]):
        square += float(vector[e]) * float(vector[e])
    if not (0.0 < square < math.inf):
        return False
    inverse = 1.0 / math.sqrt(square)
    for e in range(vector.shape[0]):
        out[e] = np.float32(vector[e] * inverse)
    return True


@jit
def nearest(
    vectors: Array, patterns: Array, count: int, ts: int, query: Array, least: float, rows: Array, cosines: Array
) -> int:
    """The up to k rows known at `ts` with the largest cosines >= `least`, best first; of equals the earlier.

    vectors: float32 (E, capacity), a pattern per column. Out: rows int64 (k,), cosines float32 (k,).
    Returns how many there are.
    """
    k, found = rows.shape[0], 0
    block = np.empty(BLOCK, np.float32)
    for start in range(0, count, BLOCK):
        length = min(BLOCK, count - start)
        for n in range(length):
            block[n] = np.float32(0.0)
        for e in range(query.shape[0]):
            share, column = query[e], vectors[e, start : start + length]
            for n in range(column.shape[0]):
                block[n] += column[n] * share
        for n in range(length):
            cosine, row = block[n], start + n
            if cosine < least or (found == k and cosine <= cosines[k - 1]) or patterns[row].known > ts:
                continue
            place = min(found, k - 1)
            while place > 0 and cosine > cosines[place - 1]:
                rows[place], cosines[place] = rows[place - 1], cosines[place - 1]
                place -= 1
            rows[place], cosines[place] = row, cosine
            found = min(found + 1, k)
    return found


@jit
def verdict(patterns: Array, rows: Array, found: int, out: Any, i: int) -> None:
    """What the neighbours say, into row i of out = (mean outcome, win rate, confidence, count).

    Confidence is |mean| / (|mean| + standard error of the mean): a half where the mean is one standard
    error from zero, 0 for a single neighbour.
    """
    mean_out, win_out, confidence_out, count_out = out
    count_out[i] = found
    if found == 0:
        mean_out[i], win_out[i], confidence_out[i] = np.nan, np.nan, 0.0
        return
    total, wins = 0.0, 0
    for n in range(found):
        outcome = float(patterns[rows[n]].outcome)
        total += outcome
        wins += 1 if outcome > 0.0 else 0
    mean, scatter = total / found, 0.0
    for n in range(found):
        scatter += (float(patterns[rows[n]].outcome) - mean) ** 2
    mean_out[i], win_out[i], confidence_out[i] = mean, wins / found, 0.0
    if found > 1 and mean != 0.0:
        error = math.sqrt(scatter / (found - 1) / found)
        confidence_out[i] = abs(mean) / (abs(mean) + error)


@jit
def consult(
    vectors: Array, patterns: Array, count: int, least: float, k: int, ts: Array, embedding: Array, out: Any
) -> None:
    """Ask a bank that does not change for every row: out as for `verdict`, arrays (rows,)."""
    rows, cosines = np.empty(k, np.int64), np.empty(k, np.float32)
    query = np.empty(embedding.shape[1], np.float32)
    for i in range(ts.shape[0]):
        found = 0
        if unit(embedding[i], query):
            found = nearest(vectors, patterns, count, ts[i], query, least, rows, cosines)
        verdict(patterns, rows, found, out, i)


@jit
def credit(patterns: Array, rows: Array, ids: Array, near: int, outcome: float) -> None:
    """Tell the neighbours of a moment how it ended; one that has left the bank since is passed over.

    A moment or a pattern that ended where it began had no direction to agree on: it is no hit.
    """
    for n in range(near):
        pattern = patterns[rows[n]]
        if pattern.id != ids[n] or pattern.outcome == 0.0 or outcome == 0.0:
            continue
        pattern.hits += 1
        if pattern.outcome * outcome > 0.0:
            pattern.agreed += 1
        pattern.profit += outcome if pattern.outcome > 0.0 else -outcome


@jit
def keep(
    vectors: Array, patterns: Array, head: Record, ts: int, known: int, instrument: int, outcome: float, vector: Any
) -> None:
    """Add a pattern; a full bank gives up its weakest."""
    if head.count < patterns.shape[0]:
        row = head.count
        head.count += 1
    else:
        row = weakest(patterns, head.count)
    vectors[:, row] = vector
    pattern = patterns[row]
    pattern.id, pattern.ts, pattern.known = head.next_id, ts, known
    pattern.instrument, pattern.outcome = instrument, outcome
    pattern.hits, pattern.agreed, pattern.profit = 0, 0, 0.0
    head.next_id += 1


@jit
def settle(
    vectors: Array, patterns: Array, head: Record, track: Record, pending: Array, waiting: Any, instrument: int, ts: int
) -> None:
    """Make patterns of an instrument's moments whose horizon ended before `ts`; call before the row's quote.

    pending: PENDING (P,). waiting: their vectors (P, E), neighbours' rows and ids int64 (P, k).
    """
    vector, rows, ids = waiting
    while track.tail < track.head:
        slot = track.tail % pending.shape[0]
        moment = pending[slot]
        if moment.due >= ts:  # a quote at the very end of the horizon still belongs to it
            return
        track.tail += 1
        outcome = (track.mid / moment.mid - 1.0) * BPS
        credit(patterns, rows[slot], ids[slot], moment.near, outcome)
        keep(vectors, patterns, head, moment.ts, moment.due, instrument, outcome, vector[slot])


@jit
def learn(
    bank: Any, tracks: Array, pending: Array, waiting: Array, settings: Array, least: float,
    columns: int, body: Array, embedding: Array, first: int, out: Any,
) -> int:  # fmt: skip
    """Answer every row and remember; returns where it stopped: no room for an instrument, or the end.

    bank: vectors (E, capacity), patterns (capacity,), head HEAD (1,). tracks: TRACK (instruments,).
    pending: PENDING (instruments, P). waiting: float32 (instruments, P, E), int64 (instruments, P, k)
    twice. settings: int64 (horizon_ns, spacing_ns, silence_ns, 1 to answer every row and 0 only those
    remembered). columns: the address of the batch's `Ticks`, body its bytes. out: as for `verdict`.
    """
    ticks = ticks_at(columns, body)
    vectors, patterns, heads = bank
    head = heads[0]
    horizon, spacing, silence, always = settings[0], settings[1], settings[2], settings[3]
    k = waiting[1].shape[2]
    rows, cosines = np.empty(k, np.int64), np.empty(k, np.float32)
    query = np.empty(embedding.shape[1], np.float32)
    for i in range(first, ticks.ts_event.shape[0]):
        number, now = ticks.instrument_id[i], ticks.ts_event[i]
        if number < 0 or number >= tracks.shape[0]:
            return i
        track, mine = tracks[number], (waiting[0][number], waiting[1][number], waiting[2][number])
        if track.seen == 1 and now - track.last_ts > silence:
            track.tail = track.head  # a horizon across a silence has no outcome
        track.last_ts = now
        track.seen = 1
        settle(vectors, patterns, head, track, pending[number], mine, number, now)
        if ticks.kind[i] & QUOTE:
            mid = 0.5 * (ticks.bid_px[i] + ticks.ask_px[i])
            if 0.0 < mid < math.inf:
                track.mid = mid
        known = unit(embedding[i], query)
        take = known and track.mid > 0.0 and (track.taken == 0 or now - track.taken >= spacing)
        found = 0
        if take or (known and always == 1):
            found = nearest(vectors, patterns, head.count, now, query, least, rows, cosines)
        verdict(patterns, rows, found, out, i)
        if take:
            slot = track.head % pending.shape[1]
            moment = pending[number, slot]
            moment.ts, moment.due, moment.mid, moment.near = now, now + horizon, track.mid, found
            mine[0][slot, :] = query
            for n in range(found):
                mine[1][slot, n] = rows[n]
                mine[2][slot, n] = patterns[rows[n]].id
            track.head += 1
            track.taken = now
    return int(ticks.ts_event.shape[0])
