"""What a Python strategy is told, as values: its orders, fills and events, other instruments, what models expect."""

from __future__ import annotations

from typing import NamedTuple


class OpenOrder(NamedTuple):
    """One of our open orders, as far as we know. `side` is 1 or -1."""

    order_id: int
    side: int
    order_type: int
    tif: int
    accepted: int
    canceling: int
    px: float
    qty: float
    leaves: float
    stop_px: float


class Fill(NamedTuple):
    """A fill that has reached us: position and cash are those after it."""

    ts: int
    instrument_id: int
    order_id: int
    side: int
    liquidity: int
    qty: float
    px: float
    fee: float
    position: float
    cash: float
    parent: int


class OrderEvent(NamedTuple):
    """Something that has happened to one of our orders; `action` and `reason` as in gpi.formats.orders."""

    ts: int
    instrument_id: int
    order_id: int
    action: int
    side: int
    order_type: int
    tif: int
    reason: int
    qty: float
    px: float
    leaves: float
    mid: float
    position: float
    cash: float
    equity: float
    parent: int


class Market(NamedTuple):
    """One instrument as it stands at the tick. Prices are NaN where nothing is known; `under` -1: not in the stream."""

    instrument_id: int
    phase: int
    under: int
    group: int
    n_buys: int
    n_sells: int
    bid_px: float
    bid_sz: float
    ask_px: float
    ask_sz: float
    mid: float
    last_px: float
    last_sz: float
    position: float
    buying: float
    selling: float


class Outlook(NamedTuple):
    """What the encoder and the pattern bank expect; NaN where the stream lacks the stage."""

    p_down: float
    p_flat: float
    p_up: float
    volatility: float
    match_return: float
    match_win_rate: float
    match_confidence: float
    match_count: float
