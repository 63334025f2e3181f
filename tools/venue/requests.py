"""What goes into the exchange and what comes out: requests, events, quotes."""

from __future__ import annotations

import math
from typing import Final, Literal, NamedTuple

from gpi.tools.kernels.orders import CONSERVATIVE, FIFO, LIKELY, PAPER, WHOLE

Fill = Literal["conservative", "alpaca-paper", "queue", "whole", "fifo"]
POLICIES: Final = {
    "conservative": CONSERVATIVE, "alpaca-paper": PAPER, "queue": LIKELY, "whole": WHOLE, "fifo": FIFO,
}  # fmt: skip
"""The words of `gpi backtest --fill` (`gpi.tools.backtest.setup.POLICIES`)."""


class Request(NamedTuple):
    """A new order. Words as in `gpi.formats.orders`; prices in currency, `trail` too, or a fraction."""

    instrument_id: int
    side: int  # 1 buy, -1 sell
    order_type: int
    tif: int
    qty: float
    px: float = math.nan
    stop_px: float = math.nan
    trail: float = math.nan
    trail_fraction: bool = False
    extended: bool = False
    parent: int = 0
    sibling: int = 0
    account: int = 0


class Leg(NamedTuple):
    """One leg of an order of several: `ratio` contracts for each unit."""

    instrument_id: int
    side: int  # 1 buy, -1 sell
    ratio: int


class Event(NamedTuple):
    """What happened to an order. FILLED: `qty` and `px` are this fill's, `leaves` is unfilled after it."""

    ts: int
    order_id: int
    action: int
    qty: float
    px: float
    leaves: float
    liquidity: int
    reason: int


class Pause(NamedTuple):
    """Trading stops (`flags` of ticks/1: HALTED, PAUSED) or goes on (0) behind so many rows of a frame."""

    row: int
    ts: int
    instrument_ids: tuple[int, ...]
    flags: int


class Quote(NamedTuple):
    """The best bid and offer, NaN where absent; phase 0 waiting for a quote, 1 open, 2 halted."""

    ts: int
    bid_px: float
    bid_sz: float
    ask_px: float
    ask_sz: float
    phase: int
