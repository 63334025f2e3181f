"""How long a request takes to the venue and its answer back: constant, drawn, or as recorded.

A delay depends on its model, the moment and the number of the request, and on nothing else: a draw is a hash of
(seed, number, leg), so no order of calls, cut of a stream or other instrument can change it. The caller numbers the
messages of one connection 1, 2, 3, ... in the order in which they are sent, requests and answers apart.

A connection delivers in order: a message drawn faster than the one before it waits for it (`arrival`). Arrivals are
therefore monotone on each leg, ties in the order sent; that is what TCP does, and what hftbacktest's order bus does.

Sources: the mixer is Steele, Lea, Flood, "Fast splittable pseudorandom number generators" (2014), the normal quantile
Wichura, algorithm AS 241 (1988), PPND7; interpolation is that of hftbacktest's IntpOrderLatency, row for row: the time
to the venue runs linearly between two requests, the time back linearly between two moments at the venue.
"""

from typing import Any, Final

import numpy as np

from gpi.tools.kernels.jit import borrowing
from gpi.tools.kernels.orders import Array, record

CONSTANT, LOGNORMAL, QUANTILES, RECORDED = 0, 1, 2, 3
ENTRY, RESPONSE = 0, 1
DELAYS: Final = record("kind seed entry_ns response_ns", "entry_mu entry_sigma response_mu response_sigma")
"""A model. Constant: `*_ns`. Lognormal: `*_ns` + exp(mu + sigma z) ns, a floor and what comes on top."""

NO_TABLE: Final = np.zeros((1, 3), np.int64)
LOW = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)
GOLDEN, FIRST, SECOND_MIX = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
BY_30, BY_27, BY_31, BY_11 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)
UNIT = 2.0**-53

Model = tuple[Array, Array]


def constant(entry_ns: int, response_ns: int) -> Model:
    """Always the same. Raises ValueError below zero."""
    return _model(CONSTANT, 0, entry_ns, response_ns, NO_TABLE)


def lognormal(
    floor_ns: tuple[int, int], median_ns: tuple[float, float], sigma: tuple[float, float], seed: int
) -> Model:
    """A floor plus a lognormal of this median (above the floor) and spread of the logarithm; (entry, response) each.

    Raises ValueError for a median that is not above 0, or a negative floor or spread.
    """
    if min(median_ns) <= 0.0 or min(sigma) < 0.0:
        raise ValueError("a lognormal delay has a median above 0 and a spread from 0 on")
    made = _model(LOGNORMAL, seed, *floor_ns, NO_TABLE)
    model = made[0][0]
    model.entry_mu, model.response_mu = np.log(median_ns[0]), np.log(median_ns[1])
    model.entry_sigma, model.response_sigma = sigma
    return made


def quantiles(entry_ns: Array, response_ns: Array, seed: int) -> Model:
    """Drawn from quantiles at equal steps of probability: (n,) each, from the least to the greatest delay, ns.

    A sorted sample is such a table. Raises ValueError for one that is not sorted or falls below zero.
    """
    columns = np.stack([np.zeros(len(entry_ns), np.int64), entry_ns, response_ns], axis=1).astype(np.int64)
    if (np.diff(columns, axis=0) < 0).any() or (columns < 0).any():
        raise ValueError("quantiles of delays are sorted and not negative")
    return _model(QUANTILES, seed, 0, 0, columns)


def recorded(request_ts: Array, venue_ts: Array, response_ts: Array) -> Model:
    """Interpolated between recorded round trips: when asked, when the venue had it, when the answer was here, ns each.

    Raises ValueError unless each column is sorted and each row runs forward.
    """
    columns = np.stack([request_ts, venue_ts, response_ts], axis=1).astype(np.int64)
    if (np.diff(columns, axis=0) < 0).any() or (np.diff(columns, axis=1) < 0).any():
        raise ValueError("recorded round trips are sorted by time, and every answer comes after its request")
    return _model(RECORDED, 0, 0, 0, columns)


def _model(kind: int, seed: int, entry_ns: int, response_ns: int, table: Array) -> Model:
    if min(entry_ns, response_ns, seed) < 0 or len(table) == 0:
        raise ValueError("a delay is from 0 ns on, so is a seed, and a table of delays has rows")
    made = np.zeros(1, DELAYS)
    made[0].kind, made[0].seed, made[0].entry_ns, made[0].response_ns = kind, seed, entry_ns, response_ns
    return made, np.ascontiguousarray(table)


@borrowing
def times(a: Any, b: Any) -> Any:
    """a x b modulo 2^64 (uint64), in halves: without overflow, so that numpy's scalars have nothing to warn of."""
    low = (a & LOW) * (b & LOW)
    cross = (((a >> HALF) * (b & LOW)) & LOW) + (((a & LOW) * (b >> HALF)) & LOW)
    return ((((low >> HALF) + cross) & LOW) << HALF) | (low & LOW)


@borrowing
def plus(a: Any, b: Any) -> Any:
    """a + b modulo 2^64 (uint64), in halves."""
    low = (a & LOW) + (b & LOW)
    high = ((a >> HALF) + (b >> HALF) + (low >> HALF)) & LOW
    return (high << HALF) | (low & LOW)


@borrowing
def mixed(x: Any) -> Any:
    """The output of splitmix64 for the state x (uint64)."""
    x = plus(x, GOLDEN)
    x = times(x ^ (x >> BY_30), FIRST)
    x = times(x ^ (x >> BY_27), SECOND_MIX)
    return x ^ (x >> BY_31)


@borrowing
def uniform(seed: int, number: int, leg: int) -> float:
    """Uniform on (0, 1), never an end: the hash of (seed, number, leg)."""
    x = mixed(mixed(np.uint64(seed)) ^ np.uint64(2 * number + leg))
    return float((float(x >> BY_11) + 0.5) * UNIT)


@borrowing
def normal_quantile(p: float) -> float:
    """The standard normal's quantile of p in (0, 1): AS 241, PPND7, about seven digits."""
    q = p - 0.5
    if abs(q) <= 0.425:
        r = 0.180625 - q * q
        top = ((59.109374720 * r + 159.29113202) * r + 50.434271938) * r + 3.3871327179
        return q * top / (((67.187563600 * r + 78.757757664) * r + 17.895169469) * r + 1.0)
    r = np.sqrt(-np.log(p if q < 0.0 else 1.0 - p))
    if r <= 5.0:
        r -= 1.6
        top = ((0.17023821103 * r + 1.3067284816) * r + 2.7568153900) * r + 1.4234372777
        tail = top / ((0.12021132975 * r + 0.73700164250) * r + 1.0)
    else:
        r -= 5.0
        top = ((0.017337203997 * r + 0.42868294337) * r + 3.0812263860) * r + 6.6579051150
        tail = top / ((0.012258202635 * r + 0.24197894225) * r + 1.0)
    return float(-tail if q < 0.0 else tail)


@borrowing
def delay(model: Array, table: Array, leg: int, ts: int, number: int) -> int:
    """The delay in ns of message `number` that leaves at `ts` on this leg: ENTRY (to the venue) or RESPONSE (back).

    `model` (1,) of DELAYS and `table` (n, 3) int64 as the makers above return them.
    """
    m = model[0]
    floor = m.entry_ns if leg == ENTRY else m.response_ns
    if m.kind == LOGNORMAL:
        mu, sigma = (m.entry_mu, m.entry_sigma) if leg == ENTRY else (m.response_mu, m.response_sigma)
        return int(floor + lognormal_of(mu, sigma, uniform(m.seed, number, leg)))
    if m.kind == QUANTILES:
        return quantile_of(table[:, 1 + leg], uniform(m.seed, number, leg))
    if m.kind == RECORDED:
        return interpolated(table[:, leg], table[:, leg + 1], ts)
    return int(floor)


@borrowing
def lognormal_of(mu: float, sigma: float, drawn: float) -> int:
    """The lognormal part of a delay, ns, at a probability."""
    return int(np.exp(mu + sigma * normal_quantile(drawn)))


@borrowing
def quantile_of(column: Array, drawn: float) -> int:
    """The delay at a probability: linear between quantiles (n,) at equal steps."""
    last = column.shape[0] - 1
    at = drawn * last
    k = min(np.int64(at), max(0, last - 1))
    low, high = column[k], column[min(k + 1, last)]
    return int(low + np.int64((high - low) * (at - k)))


@borrowing
def interpolated(sent: Array, there: Array, ts: int) -> int:
    """The recorded delay of what leaves at `ts`, linear between the messages around it; the ends hold outside.

    `sent` and `there` (n,) int64, sorted: when the recorded messages left and when they had arrived.
    """
    last = sent.shape[0] - 1
    if ts < sent[0]:
        return int(there[0] - sent[0])
    low, high = 0, last + 1  # the last one at or before ts
    while high - low > 1:
        middle = (low + high) // 2
        if sent[middle] <= ts:
            low = middle
        else:
            high = middle
    before = there[low] - sent[low]
    if low == last:
        return int(before)
    after = there[low + 1] - sent[low + 1]
    slope = float(after - before) / float(sent[low + 1] - sent[low])
    return int(before + np.int64(slope * float(ts - sent[low])))


@borrowing
def arrival(model: Array, table: Array, leg: int, ts: int, number: int, last: int) -> int:
    """When message `number`, sent at `ts`, arrives: after its delay, but never before the one before it (`last`)."""
    return int(max(ts + delay(model, table, leg, ts, number), last))
