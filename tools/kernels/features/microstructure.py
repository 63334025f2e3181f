"""Who is pushing the price, folded one event at a time (defined in docs/features.md).

Every instrument has one record of memory, one window of timed sums (kernels/features/rings.py), the book
it saw last, and the imbalance of its last volume buckets (kernels/features/vpin.py). A trade is folded
before the quote its own row may carry, because that quote is already the trade's consequence.
"""

import math

import numpy as np
import numpy.typing as npt

from gpi.formats.words import DEPTH, NO_PRICE, QUOTE, TRADE
from gpi.tools.kernels.features.rings import RING, enter, expire, room
from gpi.tools.kernels.features.sweeps import SWEEPS, impact, signed_size
from gpi.tools.kernels.features.vpin import VPIN, see_volume
from gpi.tools.kernels.jit import jit
from gpi.tools.kernels.shared import Array, Record
from gpi.tools.kernels.ticks import ticks_at

DISCONTINUED = 16 | 32  # GAP, SNAPSHOT of `flags`: the change of the book is not order flow
BPS = 1e4
SECOND = 1e9  # ns
SIGNED, VOLUME, TRADES, VARIANCE, BIPOWER, LIFE, LIVES = range(7)  # the window's sums, ...
FLOW = 7  # ... then one per book level

INSTRUMENT = np.dtype(
    (
        np.record,
        [
            *RING,
            *SWEEPS,
            *VPIN,
            ("started", np.int64),
            ("born", np.int64),  # ns, the first row
            ("now", np.int64),  # ns, the last row
            ("mid", np.float64),  # of the last quote with two sides
            ("log_mid", np.float64),
            ("move", np.float64),  # bps, the last change of the mid
            ("microprice", np.float64),
            ("offset", np.float64),  # bps, of the microprice from the mid
            ("best_bid", np.float64),  # -inf: no bid
            ("best_ask", np.float64),  # inf: no ask
            ("best_since", np.int64),  # ns
            ("quotes", np.int64),
            ("books", np.int64),
        ],
    )
)


SETTINGS = np.dtype((np.record, [("levels", np.int64), ("window", np.int64), ("freedom", np.float64)]))
"""`levels` of the ladders that are followed (0: the best quotes are the only level), `window` ns, `freedom`: the
degrees of VPIN's t (inf: normal)."""


def fresh(instruments: int, bucket: float) -> npt.NDArray[np.void]:
    """Memory (instruments,) of instruments that have not been seen."""
    memory = np.zeros(instruments, INSTRUMENT)
    memory["bucket"] = bucket
    for unknown in ("mid", "log_mid", "move", "microprice", "offset", "trade_px", "close", "vpin"):
        memory[unknown] = np.nan
    return memory


@jit
def see_quote(m: Record, news: Array, bid_px: float, bid_sz: float, ask_px: float, ask_sz: float) -> None:
    """The best quotes after an event: their mid, microprice, and how long the last ones lived."""
    best_bid = bid_px if bid_px == bid_px else -math.inf
    best_ask = ask_px if ask_px == ask_px else math.inf
    if m.quotes == 0 or best_bid != m.best_bid or best_ask != m.best_ask:
        if m.quotes > 0:
            news[LIFE] = (m.now - m.best_since) / SECOND
            news[LIVES] = 1.0
        m.best_bid = best_bid
        m.best_ask = best_ask
        m.best_since = m.now
    m.quotes += 1
    mid = 0.5 * (bid_px + ask_px)
    if not 0.0 < mid < math.inf:
        return
    size = bid_sz + ask_sz
    m.microprice = (ask_px * bid_sz + bid_px * ask_sz) / size if size > 0.0 else math.nan
    m.offset = BPS * (m.microprice / mid - 1.0)
    if mid == m.mid:
        return
    log_mid = math.log(mid)
    if m.mid == m.mid:
        move = BPS * (log_mid - m.log_mid)
        news[VARIANCE] = move * move
        if m.move == m.move:
            news[BIPOWER] = 0.5 * math.pi * abs(move) * abs(m.move)
        m.move = move
    m.mid = mid
    m.log_mid = log_mid


@jit
def level_flow(books: Array, i: int, level: int, bid_px: float, bid_sz: float, ask_px: float, ask_sz: float) -> float:
    """Order flow e_n of one book level (Cont, Kukanov & Stoikov 2014, eq. 4), and remember it.

    A side that is absent has no size at an infinitely bad price, which the formula then handles.
    """
    if not bid_px == bid_px:
        bid_px, bid_sz = -math.inf, 0.0
    if not ask_px == ask_px:
        ask_px, ask_sz = math.inf, 0.0
    flow = 0.0
    if bid_px >= books[i, 0, level]:
        flow += bid_sz
    if bid_px <= books[i, 0, level]:
        flow -= books[i, 1, level]
    if ask_px <= books[i, 2, level]:
        flow -= ask_sz
    if ask_px >= books[i, 2, level]:
        flow += books[i, 3, level]
    books[i, 0, level] = bid_px
    books[i, 1, level] = bid_sz
    books[i, 2, level] = ask_px
    books[i, 3, level] = ask_sz
    return float(flow)


@jit
def see_book(
    m: Record, news: Array, books: Array, i: int, followed: bool,
    bids_px: Array, bids_sz: Array, asks_px: Array, asks_sz: Array, row: int,
) -> None:  # fmt: skip
    """The order flow of every level, unless the book was not followed up to here."""
    for level in range(bids_px.shape[1]):
        flow = level_flow(
            books, i, level,
            bids_px[row, level], bids_sz[row, level], asks_px[row, level], asks_sz[row, level],
        )  # fmt: skip
        if followed and m.books > 0 and math.isfinite(flow):
            news[FLOW + level] = flow
    m.books += 1


@jit
def write(m: Record, sums: Array, i: int, window: int, out: Array, row: int) -> None:
    """The features of a row; sums over a window are NaN until one has been lived."""
    lived = m.now - m.born >= window
    out[row, 0] = m.microprice
    out[row, 1] = m.offset
    out[row, 2] = sums[i, SIGNED] / sums[i, VOLUME] if sums[i, TRADES] > 0.0 else math.nan
    out[row, 3] = impact(m)
    out[row, 4] = m.vpin
    out[row, 5] = max(sums[i, VARIANCE], 0.0) if lived else math.nan
    out[row, 6] = max(sums[i, BIPOWER], 0.0) if lived else math.nan
    out[row, 7] = sums[i, LIFE] / sums[i, LIVES] if sums[i, LIVES] > 0.0 else math.nan
    out[row, 8] = (m.now - m.best_since) / SECOND if m.quotes > 0 else math.nan
    for level in range(sums.shape[1] - FLOW):
        out[row, 9 + level] = sums[i, FLOW + level] if lived else math.nan


@jit
def pass_time(m: Record, ts: int) -> None:
    """Move on to `ts`. Time never goes back: a late row counts as happening now."""
    if m.started == 0:
        m.started = 1
        m.born = m.now = ts
    m.now = max(m.now, ts)


@jit
def run(
    memory: Array, stamps: Array, values: Array, sums: Array, books: Array, tilts: Array,
    columns: int, body: Array, settings: Array, first: int, appended: Array,
) -> int:  # fmt: skip
    """Fold rows first.. of a batch; returns how many rows are done, fewer when memory must grow.

    `columns`: the address of the batch's `Ticks`, `body` its bytes; `settings`: SETTINGS (1,); `appended`: the bytes of
    (rows, 9 + max(levels, 1)) float32. A trade whose price is not the market's is none: an average says nothing of who
    took, nor where the market is.
    """
    ticks = ticks_at(columns, body)
    levels, window, freedom = settings[0].levels, settings[0].window, settings[0].freedom
    book_bit = DEPTH
    bids_px, bids_sz, asks_px, asks_sz = ticks.bids_px, ticks.bids_sz, ticks.asks_px, ticks.asks_sz
    if levels == 0:
        book_bit = QUOTE
        bids_px, bids_sz = ticks.bid_px.reshape(-1, 1), ticks.bid_sz.reshape(-1, 1)
        asks_px, asks_sz = ticks.ask_px.reshape(-1, 1), ticks.ask_sz.reshape(-1, 1)
    news = np.zeros(sums.shape[1])
    rows, width = ticks.ts_event.shape[0], 9 + max(levels, 1)
    out = appended.view(np.float32)[: rows * width].reshape(rows, width)
    for row in range(first, rows):
        i = ticks.instrument_id[row]
        if i < 0 or i >= memory.size:
            return row
        m = memory[i]
        if not room(m, stamps, values):
            return row
        pass_time(m, ticks.ts_event[row])
        expire(m, stamps, values, sums, i, m.now - window)
        news[:] = 0.0
        bits, px, sz = ticks.kind[row], ticks.trade_px[row], ticks.trade_sz[row]
        traded = bits & TRADE and ticks.flags[row] & NO_PRICE == 0
        if traded and 0.0 < sz < math.inf and math.isfinite(px):
            news[SIGNED] = signed_size(m, ticks.side[row], px, sz)
            news[VOLUME] = sz
            news[TRADES] = 1.0
            see_volume(m, tilts, i, px, sz, freedom)
        if bits & QUOTE:
            see_quote(m, news, ticks.bid_px[row], ticks.bid_sz[row], ticks.ask_px[row], ticks.ask_sz[row])
        if bits & book_bit:
            followed = ticks.flags[row] & DISCONTINUED == 0
            see_book(m, news, books, i, followed, bids_px, bids_sz, asks_px, asks_sz, row)
        enter(m, stamps, values, sums, i, news)
        write(m, sums, i, window, out, row)
    return int(rows)
