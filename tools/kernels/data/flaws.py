"""What is wrong with a row of ticks by itself, and with a price beside the last one: for one row, in a kernel."""

from typing import Any, Final

import numpy as np

from gpi.tools.kernels.data.slots import Array
from gpi.tools.kernels.jit import borrowing
from gpi.tools.kernels.shared import Record

# gpi.formats.quarantine.Reason, by number (a test compares)
ABSURD_TIME, FUTURE, NOT_FINITE, NEGATIVE, ZERO_PRICE, ZERO_SIZE, ABSURD_PRICE, ABSURD_SIZE, CROSSED = range(5, 14)
EARLIEST, LATEST = 631_152_000_000_000_000, 4_102_444_800_000_000_000
MAX_PRICE, MAX_SIZE = 1e9, 1e12
TRADE: Final = 2
JUMP: Final = 100.0  # a price so many times the last one, or that part of it, is not believed
STRIKES: Final = 20  # unless the feed insists so often in a row: a split happened
KNOWN: Final = np.dtype((np.record, [("px", np.float64), ("strikes", np.int64)]))
"""Per instrument: the last price believed, and how many in a row were not."""


@borrowing
def nobody(px: float, size: float) -> float:
    """A price of 0 with a size of 0 says that nobody is there."""
    return np.nan if px == 0.0 and size == 0.0 else px


@borrowing
def flaw(row: Record, future_ns: int, past_ns: int) -> Any:
    """What is wrong with a row by itself, as a Reason, in the order of `gpi.formats.quarantine.flaws`; 0: nothing."""
    if row.ts_event < EARLIEST or row.ts_event >= LATEST:
        return ABSURD_TIME
    if row.ts_event - future_ns > row.ts_recv:
        return FUTURE
    if row.ts_event + past_ns < row.ts_recv:
        return ABSURD_TIME
    if row.kind == TRADE:
        wrong = numbers(row.trade_px, row.trade_sz)
        if wrong:
            return wrong
        if row.trade_px != row.trade_px:
            return NOT_FINITE
        return ZERO_SIZE if row.trade_sz == 0.0 else 0
    wrong = numbers(row.bid_px, row.bid_sz)
    if not wrong:
        wrong = numbers(row.ask_px, row.ask_sz)
    if wrong:
        return wrong
    return CROSSED if row.bid_px > row.ask_px else 0


@borrowing
def numbers(px: float, size: float) -> Any:
    """A price and size that cannot be, as a Reason; a price may be NaN only where the size is 0 (nobody)."""
    if np.isinf(px) or not np.isfinite(size) or (px != px and size != 0.0):
        return NOT_FINITE
    if px < 0.0 or size < 0.0:
        return NEGATIVE
    if px == 0.0:
        return ZERO_PRICE
    if px > MAX_PRICE:
        return ABSURD_PRICE
    return ABSURD_SIZE if size > MAX_SIZE else 0


@borrowing
def leaps(row: Record, known: Array) -> bool:
    """Is the row's price out of all proportion to its instrument's last one? Believed ones are remembered."""
    px = row.trade_px if row.kind == TRADE else row.bid_px if row.bid_px == row.bid_px else row.ask_px
    if px != px:
        return False
    it = known[row.instrument_id]
    if it.px > 0.0 and (px > it.px * JUMP or px < it.px / JUMP) and it.strikes < STRIKES:
        it.strikes += 1
        return True
    it.px = px
    it.strikes = 0
    return False
