"""The pattern bank by its definitions: lists of moments, everything looked up again for every row."""

from math import sqrt
from typing import NamedTuple


class Row(NamedTuple):
    """One row of the stream, `mid` None where it quotes none; `vector` None where it has no embedding."""

    ts: int
    instrument: int
    mid: float | None
    vector: list[float] | None


class Pattern(NamedTuple):
    """A moment with what came of it, and the row from which on it may be asked."""

    ts: int
    instrument: int
    outcome: float
    vector: list[float]
    from_row: int


def cosine(a: list[float], b: list[float]) -> float:
    """The angle's cosine."""
    norms = sqrt(sum(x * x for x in a)) * sqrt(sum(y * y for y in b))
    return sum(x * y for x, y in zip(a, b, strict=True)) / norms


def mid_at(rows: list[Row], ts: int) -> float:
    """The last mid at or before ts."""
    return [r.mid for r in rows if r.mid is not None and r.ts <= ts][-1]


def taken(mine: list[Row], spacing: int) -> list[Row]:
    """The moments remembered of one instrument: at most one every `spacing`, once there is a mid."""
    found: list[Row] = []
    for n, row in enumerate(mine):
        quoted = any(r.mid is not None for r in mine[: n + 1])
        if quoted and row.vector and (not found or row.ts - found[-1].ts >= spacing):
            found.append(row)
    return found


def patterns(rows: list[Row], horizon: int, spacing: int) -> list[Pattern]:
    """Every moment whose horizon has ended, known from the instrument's first row after that."""
    found = []
    for instrument in {row.instrument for row in rows}:
        mine = [row for row in rows if row.instrument == instrument]
        for moment in taken(mine, spacing):
            later = [n for n, r in enumerate(rows) if r.instrument == instrument and r.ts > moment.ts + horizon]
            if later and moment.vector:
                before = mid_at([r for r in mine if rows.index(r) <= rows.index(moment)], moment.ts)
                outcome = 1e4 * (mid_at(mine, moment.ts + horizon) / before - 1)
                found.append(Pattern(moment.ts, instrument, outcome, moment.vector, later[0]))
    return found


def neighbours(known: list[Pattern], vector: list[float], k: int, radius: float) -> list[Pattern]:
    """The k nearest within the radius."""
    near = [p for p in known if cosine(p.vector, vector) >= 1 - radius]
    return sorted(near, key=lambda p: -cosine(p.vector, vector))[:k]


def verdict(near: list[Pattern]) -> tuple[float, float, float]:
    """Mean outcome, win rate, |mean| / (|mean| + its standard error)."""
    outcomes = [p.outcome for p in near]
    mean = sum(outcomes) / len(outcomes)
    if len(outcomes) < 2 or mean == 0:
        return mean, sum(o > 0 for o in outcomes) / len(outcomes), 0.0
    error = sqrt(sum((o - mean) ** 2 for o in outcomes) / (len(outcomes) - 1) / len(outcomes))
    return mean, sum(o > 0 for o in outcomes) / len(outcomes), abs(mean) / (abs(mean) + error)
