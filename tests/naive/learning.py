"""Labels and scores by their definitions: lists, one sample at a time."""

from math import log, sqrt

Quotes = list[tuple[int, float]]  # (ts, mid), in time order


def mid_at(quotes: Quotes, ts: int) -> float:
    """The last mid at or before ts."""
    return [mid for time, mid in quotes if time <= ts][-1]


def move(quotes: Quotes, first: int, last: int) -> float:
    """Log move of the mid between two times, bps."""
    return 1e4 * log(mid_at(quotes, last) / mid_at(quotes, first))


def volatility(quotes: Quotes, first: int, last: int) -> float:
    """Root of the summed squared log moves of the quotes after `first`, to `last`, bps."""
    path = [mid_at(quotes, first)] + [mid for time, mid in quotes if first < time <= last]
    return 1e4 * sqrt(sum(log(b / a) ** 2 for a, b in zip(path, path[1:], strict=False)))


def f1(truth: list[int], guess: list[int], kind: int) -> float:
    """Harmonic mean of precision and recall of one class, 0 without a hit."""
    hits = sum(t == g == kind for t, g in zip(truth, guess, strict=True))
    return 2 * hits / (truth.count(kind) + guess.count(kind)) if hits else 0.0
