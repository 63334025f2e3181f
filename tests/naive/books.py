"""Plain definitions of what the book kernels fold: dictionaries and lists, all looked at again."""

import math
from collections.abc import Sequence
from typing import Any

SILENCE_NS = 4 * 3600 * 10**9


def halves(rows: Sequence[tuple[Any, ...]]) -> list[tuple[float, float, float, float]]:
    """(bid_px, bid_sz, ask_px, ask_sz) after each row (bid_px, bid_sz, ask_px, ask_sz): a NaN side stays."""
    out, now = [], (math.nan, 0.0, math.nan, 0.0)
    for row in rows:
        bid = now[:2] if math.isnan(row[0]) else row[:2]
        ask = now[2:] if math.isnan(row[2]) else row[2:]
        now = (*bid, *ask)
        out.append(now)
    return out


def nbbo(rows: Sequence[tuple[Any, ...]]) -> tuple[float, float, float, float]:
    """The best over exchanges after rows (ts, place, bid_px, bid_sz, ask_px, ask_sz), stale sides hidden."""
    start = max([0, *(i for i in range(1, len(rows)) if rows[i][0] - rows[i - 1][0] > SILENCE_NS)])
    quotes = {row[1]: (i, row) for i, row in enumerate(rows) if i >= start}
    bids = [(row[2], row[3], age) for age, row in quotes.values() if row[2] == row[2]]
    asks = [(row[4], row[5], age) for age, row in quotes.values() if row[4] == row[4]]
    while bids and asks and max(b[0] for b in bids) > min(a[0] for a in asks):
        bid, ask = max(b[0] for b in bids), min(a[0] for a in asks)
        older = max(b[2] for b in bids if b[0] == bid) < max(a[2] for a in asks if a[0] == ask)
        bids, asks = ([b for b in bids if b[0] < bid], asks) if older else (bids, [a for a in asks if a[0] > ask])
    bid, ask = max((b[0] for b in bids), default=math.nan), min((a[0] for a in asks), default=math.nan)
    return bid, sum(b[1] for b in bids if b[0] == bid), ask, sum(a[1] for a in asks if a[0] == ask)


def ladder(rows: Sequence[tuple[Any, ...]], depth: int) -> list[list[tuple[float, float]]]:
    """The best `depth` (price, size) of bids and asks after rows (side, price, size, fresh, update)."""
    book: tuple[dict[float, float], dict[float, float]] = ({}, {})
    for i, (side, price, size, fresh, update) in enumerate(rows):
        if fresh and not (i and rows[i - 1][3] and rows[i - 1][4] == update):
            book = ({}, {})
        book[side].pop(price, None)
        if size:
            book[side][price] = size
    return [sorted(book[0].items(), reverse=True)[:depth], sorted(book[1].items())[:depth]]
