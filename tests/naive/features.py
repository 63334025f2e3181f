"""The tick features as they are defined, over the rows of one instrument so far.

`rows` is everything up to and including the row asked about; nothing is remembered between calls.
"""

from collections.abc import Callable, Sequence
from math import exp, expm1, isfinite, log, nan, sqrt
from typing import NamedTuple

from gpi.formats.frame import Frame
from gpi.formats.words import DEPTH, QUOTE, TRADE

SECOND = 10**9


class Row(NamedTuple):
    """One tick, its ladders as lists (empty without depth columns)."""

    ts_event: int
    kind: int
    side: int
    flags: int
    bid_px: float
    bid_sz: float
    ask_px: float
    ask_sz: float
    trade_px: float
    trade_sz: float
    bids_px: list[float]
    bids_sz: list[float]
    asks_px: list[float]
    asks_sz: list[float]


def rows_of(frame: Frame, instrument: int) -> list[Row]:
    """The rows of one instrument."""
    mine = frame["instrument_id"] == instrument
    nothing: list[list[float]] = [[]] * int(mine.sum())
    lists = [frame[n][mine].tolist() if n in frame else nothing for n in Row._fields]
    return [Row(*values) for values in zip(*lists, strict=True)]


def mids(rows: Sequence[Row]) -> list[tuple[int, float]]:
    """Time and mid of every quote with two sides."""
    quotes = [row for row in rows if row.kind & QUOTE]
    both = [(row.ts_event, (row.bid_px + row.ask_px) / 2) for row in quotes]
    return [(time, mid) for time, mid in both if isfinite(mid)]


def moves(rows: Sequence[Row]) -> list[tuple[int, float]]:
    """Time and log change in bps of every mid that differs from the one before."""
    points = mids(rows)
    pairs = zip(points, points[1:], strict=False)
    return [(b[0], 1e4 * log(b[1] / a[1])) for a, b in pairs if a[1] != b[1]]


def mid_at(rows: Sequence[Row], time: int) -> float:
    """The last mid at or before `time`."""
    return next((mid for ts, mid in reversed(mids(rows)) if ts <= time), nan)


def ret(rows: Sequence[Row], seconds: int, ending: int = 0) -> float:
    """Log return in bps over `seconds`, up to `ending` seconds ago."""
    end = rows[-1].ts_event - ending * SECOND
    return 1e4 * (log(mid_at(rows, end)) - log(mid_at(rows, end - seconds * SECOND)))


def spread(rows: Sequence[Row]) -> float:
    """(ask - bid) / mid in bps of the last quote with two sides."""
    found = [(r.ask_px - r.bid_px) / (r.ask_px + r.bid_px) for r in rows if r.kind & QUOTE]
    return 2e4 * next((value for value in reversed(found) if isfinite(value)), nan)


def intensity(rows: Sequence[Row], amount: Callable[[Row], float]) -> float:
    """Exponentially weighted rate over 5 s against 60 s, each per second lived."""
    now, age = rows[-1].ts_event, (rows[-1].ts_event - rows[0].ts_event) / SECOND
    if age == 0 or not any(amount(row) for row in rows):
        return nan
    rates = []
    for tau in (5, 60):
        total = sum(amount(r) * exp(-(now - r.ts_event) / SECOND / tau) for r in rows)
        rates.append(total / (tau * -expm1(-age / tau)))
    return rates[0] / rates[1]


def volume(row: Row) -> float:
    """Traded volume of a row."""
    return row.trade_sz if row.kind & TRADE else 0.0


def quotes(row: Row) -> float:
    """Quote updates of a row."""
    return 1.0 if row.kind & QUOTE else 0.0


def persistence(rows: Sequence[Row]) -> float:
    """Mean over the last 20 pairs of mid moves of the product of their signs."""
    signs = [1 if move > 0 else -1 for _, move in moves(rows)]
    products = [a * b for a, b in zip(signs, signs[1:], strict=False)]
    return sum(products[-20:]) / 20 if len(products) >= 20 else nan


def faded(values: Sequence[float], decay: float) -> list[float]:
    """Weights of values, oldest first, multiplied by `decay` at every later one; they sum to 1."""
    weights = [decay**k for k in range(len(values))][::-1]
    return [weight / sum(weights) for weight in weights]


def deviation(values: Sequence[float], decay: float) -> tuple[float, float]:
    """Faded mean and standard deviation."""
    weights = faded(values, decay)
    mean = sum(w * x for w, x in zip(weights, values, strict=True))
    squares = sum(w * (x - mean) ** 2 for w, x in zip(weights, values, strict=True))
    return mean, sqrt(squares)


def surprise(rows: Sequence[Row]) -> float:
    """Log size of the last trade against the faded mean and deviation (at least .1) before it."""
    sizes = [log(volume(row)) for row in rows if volume(row) > 0]
    if len(sizes) <= 10:
        return nan
    mean, std = deviation(sizes[:-1], 0.99)
    return (sizes[-1] - mean) / max(std, 0.1)


def imbalance(rows: Sequence[Row]) -> float:
    """(bid sizes - ask sizes) / their sum: the last book, or the last quote without one."""
    deep = [(sum(r.bids_sz), sum(r.asks_sz)) for r in rows if r.kind & DEPTH and r.bids_sz]
    best = [(r.bid_sz, r.ask_sz) for r in rows if r.kind & QUOTE]
    bid, ask = (deep or best or [(0.0, 0.0)])[-1]
    return (bid - ask) / (bid + ask) if bid + ask > 0 else nan


def tick_features(rows: Sequence[Row]) -> list[float]:
    """The ten numbers in the order of formats.features.TICK_FEATURES."""
    returns = [ret(rows, 1), ret(rows, 5), ret(rows, 15)]
    turn = ret(rows, 1) - ret(rows, 1, ending=1)
    return [
        *returns, spread(rows), intensity(rows, volume), turn, persistence(rows),
        intensity(rows, quotes), surprise(rows), imbalance(rows),
    ]  # fmt: skip
