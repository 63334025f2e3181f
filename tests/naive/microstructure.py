"""The microstructure features as they are defined, over the rows of one instrument so far.

`rows` is everything up to and including the row asked about; windows are in ns.
"""

from collections.abc import Iterator, Sequence
from math import inf, isfinite, nan, pi

from scipy import stats

from gpi.formats.words import DEPTH, GAP, QUOTE, SNAPSHOT
from tests.naive.features import SECOND, Row, deviation, faded, mid_at, moves, volume

Book = tuple[float, float, float, float]  # bid price, bid size, ask price, ask size


def within(rows: Sequence[Row], window: int, points: Sequence[tuple[int, float]]) -> list[float]:
    """The values of the points that are less than `window` ns old."""
    return [value for time, value in points if time > rows[-1].ts_event - window]


def microprice(rows: Sequence[Row]) -> tuple[float, float]:
    """The mid weighted by the opposite sizes, and its distance from the mid in bps."""
    two = [r for r in rows if r.kind & QUOTE and isfinite(r.bid_px + r.ask_px)]
    if not two or two[-1].bid_sz + two[-1].ask_sz == 0:
        return nan, nan
    q = two[-1]
    price = (q.ask_px * q.bid_sz + q.bid_px * q.ask_sz) / (q.bid_sz + q.ask_sz)
    return price, 1e4 * (price / ((q.bid_px + q.ask_px) / 2) - 1)


def trades(rows: Sequence[Row]) -> list[tuple[int, float, int]]:
    """Index, price and sign of every trade, the sign by Lee & Ready (1991) if unreported."""
    found, last, tick = [], nan, 0
    for k, row in enumerate(rows):
        if volume(row) > 0:
            tick = 1 if row.trade_px > last else -1 if row.trade_px < last else tick
            last, mid = row.trade_px, mid_at(rows[:k], row.ts_event)
            quote = 1 if last > mid else -1 if last < mid else 0
            found.append((k, last, row.side or quote or tick))
    return found


def signed_volume(rows: Sequence[Row], window: int) -> float:
    """Sum of signed sizes over sum of sizes."""
    sizes = [(rows[k].ts_event, sign * rows[k].trade_sz) for k, _, sign in trades(rows)]
    total = sum(volume(row) for row in rows if row.ts_event > rows[-1].ts_event - window)
    return sum(within(rows, window, sizes)) / total if total > 0 else nan


def kyle(rows: Sequence[Row]) -> float:
    """Faded least squares of the mid's move until the next sweep on the sweep's signed size."""
    sweeps: dict[int, tuple[float, float]] = {}
    for k, _, sign in trades(rows):
        time = rows[k].ts_event
        before, size = sweeps.get(time, (mid_at(rows[:k], time), 0.0))
        sweeps[time] = (before, size + sign * rows[k].trade_sz)
    pairs = zip(sweeps.values(), list(sweeps.values())[1:], strict=False)
    points = [(x, later - before) for (before, x), (later, _) in pairs if isfinite(later - before)]
    return slope(points) if len(points) >= 20 else nan


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Weighted least squares of y on x with an intercept."""
    weights = faded([x for x, _ in points], 0.995)
    x_mean = sum(w * x for w, (x, _) in zip(weights, points, strict=True))
    y_mean = sum(w * y for w, (_, y) in zip(weights, points, strict=True))
    both = sum(w * (x - x_mean) * (y - y_mean) for w, (x, y) in zip(weights, points, strict=True))
    square = sum(w * (x - x_mean) ** 2 for w, (x, _) in zip(weights, points, strict=True))
    return both / square if square > 0 else nan


def bars(rows: Sequence[Row], bucket: float) -> list[tuple[float, float]]:
    """Price move and volume of every bar of at least a tenth of a bucket."""
    found, close, gathered = [], nan, 0.0
    for k, price, _ in trades(rows):
        close = price if close != close else close
        gathered += rows[k].trade_sz
        if gathered >= bucket / 10:
            found.append((price - close, gathered))
            close, gathered = price, 0.0
    return found


def shares(moved: Sequence[float], freedom: float) -> Iterator[float]:
    """2 Z(d / sigma) - 1 of every bar's move d, sigma from the moves so far."""
    law = stats.norm if freedom == inf else stats.t(freedom)
    for k, move in enumerate(moved):
        sigma = deviation(moved[: k + 1], 0.99)[1]
        yield 2 * law.cdf(move / sigma) - 1 if sigma > 0 else 0.0


def toxicity(parts: Sequence[tuple[float, float]], bucket: float) -> list[float]:
    """|bought - sold| / V of every full bucket that bars (net share, volume) fill, unit by unit."""
    units = [share for share, size in parts for _ in range(int(size))]
    full = int(len(units) // bucket)
    step = int(bucket)
    return [abs(sum(units[k * step : (k + 1) * step])) / bucket for k in range(full)]


def vpin(rows: Sequence[Row], bucket: float, buckets: int, freedom: float) -> float:
    """The mean imbalance of the last buckets (Easley, Lopez de Prado & O'Hara 2012)."""
    found = bars(rows, bucket)
    parts = list(zip(shares([b[0] for b in found], freedom), [b[1] for b in found], strict=True))
    tilts = toxicity(parts, bucket)
    return sum(tilts[-buckets:]) / buckets if len(tilts) >= buckets else nan


def variance(rows: Sequence[Row], window: int) -> float:
    """Sum of squared mid returns, bps^2 (Andersen & Bollerslev 1998)."""
    return sum(move**2 for move in within(rows, window, moves(rows)))


def bipower(rows: Sequence[Row], window: int) -> float:
    """pi / 2 times the sum of products of neighbouring |returns| (Barndorff-Nielsen & Shephard)."""
    found = moves(rows)
    pairs = zip(found, found[1:], strict=False)
    return sum(within(rows, window, [(b[0], pi / 2 * abs(a[1] * b[1])) for a, b in pairs]))


def lifetime(rows: Sequence[Row], window: int) -> tuple[float, float]:
    """Mean seconds of the best prices that fell in the window; seconds the present ones stand."""
    quoted = [(r.ts_event, str((r.bid_px, r.ask_px))) for r in rows if r.kind & QUOTE]
    starts = [q[0] for k, q in enumerate(quoted) if k == 0 or q[1] != quoted[k - 1][1]]
    ended = [(b, (b - a) / SECOND) for a, b in zip(starts, starts[1:], strict=False)]
    lives = within(rows, window, ended)
    age = (rows[-1].ts_event - starts[-1]) / SECOND if starts else nan
    return (sum(lives) / len(lives) if lives else nan), age


def flow(old: Book, new: Book) -> float:
    """e_n of Cont, Kukanov & Stoikov (2014); an absent side is infinitely bad and empty."""
    (pb, qb, pa, qa), (pb_, qb_, pa_, qa_) = _filled(new), _filled(old)
    bid = qb * (pb >= pb_) - qb_ * (pb <= pb_)
    return bid - qa * (pa <= pa_) + qa_ * (pa >= pa_)


def _filled(book: Book) -> Book:
    bid, ask = isfinite(book[0]), isfinite(book[2])
    left = (book[0], book[1]) if bid else (-inf, 0.0)
    return (*left, book[2], book[3]) if ask else (*left, inf, 0.0)


def ofi(rows: Sequence[Row], window: int, level: int) -> float:
    """Sum of the level's order flow; a book after a gap or a snapshot is no flow."""
    if rows and rows[0].bids_px:
        deep = [r for r in rows if r.kind & DEPTH]
        sides = [(r.bids_px, r.bids_sz, r.asks_px, r.asks_sz) for r in deep]
        book = [(b[level], q[level], a[level], s[level]) for b, q, a, s in sides]
    else:
        deep = [r for r in rows if r.kind & QUOTE]
        book = [(r.bid_px, r.bid_sz, r.ask_px, r.ask_sz) for r in deep]
    pairs = zip(book, book[1:], deep[1:], strict=False)
    flows = [(r.ts_event, flow(a, b)) for a, b, r in pairs if not r.flags & (GAP | SNAPSHOT)]
    return sum(within(rows, window, flows))


def features(rows: Sequence[Row], levels: int, window: int, law: tuple[float, int, float]) -> list[float]:
    """The numbers in the order of formats.features.microstructure; `law` is VPIN's settings."""
    lived = rows[-1].ts_event - rows[0].ts_event >= window
    sums = [variance(rows, window), bipower(rows, window)]
    flows = [ofi(rows, window, level) for level in range(max(levels, 1))]
    return [
        *microprice(rows), signed_volume(rows, window), kyle(rows), vpin(rows, *law),
        *(value if lived else nan for value in sums), *lifetime(rows, window),
        *(value if lived else nan for value in flows),
    ]  # fmt: skip
