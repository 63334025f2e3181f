"""LOBSTER: every event of a NASDAQ book with the book it left behind, both files joined by row.

An execution's `direction` is the side of the RESTING order, so its aggressor is the opposite one.
Event types: 1 new, 2 partial cancel, 3 delete, 4 execution, 5 execution against a hidden order, 6
cross (auction), 7 halt, where the price says -1 halted, 0 quoting resumes (no trading yet: PAUSED),
1 trading resumes. Asked for them, it also fills the columns of single orders (events 1 to 4); a file of N
levels tells only of orders within them. Unoccupied levels are null, or carry LOBSTER's dummy price 9999999999
(999999.9999 dollars) or its negative. Source: lobsterdata.com, "Output structure".
"""

import re
from collections.abc import Sequence
from typing import Final

import numpy as np

from gpi.formats.frame import Array, Frame
from gpi.formats.instruments import Instrument, equity
from gpi.formats.quarantine import Flaws, Reason
from gpi.formats.ticks import MAX_LEVELS
from gpi.formats.vendors.layout import Raw, Vendor
from gpi.formats.words import (
    ADD,
    BUY,
    DELETE,
    DEPTH,
    EXECUTE,
    HALTED,
    HIDDEN,
    PAUSED,
    QUOTE,
    REDUCE,
    SELL,
    STATUS,
    TRADE,
    UNKNOWN_SIDE,
)

NEW, CANCEL, DELETION, EXECUTION = 1, 2, 3, 4
ACTS: Final = {NEW: ADD, CANCEL: REDUCE, DELETION: DELETE, EXECUTION: EXECUTE}
HIDDEN_EXECUTION: Final = 5
CROSS: Final = 6
HALT: Final = 7
DUMMY: Final = 999_000.0  # no NASDAQ price is as high


def levels(names: Sequence[str]) -> int:
    """Ladder levels in the file, at most 10; 0 where only the best is there, which bid_* and ask_* hold."""
    found = {int(m.group(1)) for n in names if (m := re.fullmatch(r"bid_px_(\d+)", n))}
    deepest = next((n for n in range(MAX_LEVELS, 1, -1) if n in found), 0)
    return deepest


def decode(raw: Raw) -> tuple[Frame, Flaws]:
    """One tick per event: QUOTE, TRADE with it when it is an execution, DEPTH where the file has levels."""
    frame = raw.blank()
    event, direction = raw.integers("event_type"), raw.integers("direction")
    frame["ts_event"][:] = frame["ts_recv"][:] = raw.nanos("ts")
    frame["kind"][:] = QUOTE | (DEPTH if raw.levels else 0)
    _best(raw, frame)
    _ladder(raw, frame)

    dealt = (event >= EXECUTION) & (event <= CROSS)
    frame["kind"][dealt] |= TRADE
    frame["trade_px"][dealt] = raw.prices("price")[dealt]
    frame["trade_sz"][dealt] = raw.sizes("size")[dealt]
    aggressor = np.where(direction > 0, SELL, np.where(direction < 0, BUY, UNKNOWN_SIDE))
    frame["side"][dealt] = np.where(event == CROSS, UNKNOWN_SIDE, aggressor)[dealt]
    frame["flags"][event >= HIDDEN_EXECUTION] = HIDDEN
    if raw.by_order:
        _orders(raw, frame, event, direction)
    _halts(raw, frame, event == HALT)
    unknown = (event < 1) | (event > HALT)
    return frame, np.where(unknown, Reason.UNKNOWN_EVENT, 0).astype(np.int8)


def _orders(raw: Raw, frame: Frame, event: Array, direction: Array) -> None:
    """What happened to which displayed order; `order_ref` also where a hidden one has a number."""
    named = (event >= NEW) & (event <= EXECUTION)
    for number, act in ACTS.items():
        frame["order_act"][event == number] = act
    frame["order_ref"][:] = np.where(event == HALT, 0, raw.integers("order_id"))
    frame["order_side"][:] = np.where(named, direction, 0)
    frame["order_px"][:] = np.where(named, raw.prices("price"), np.nan)
    frame["order_sz"][:] = np.where(named, raw.sizes("size"), 0.0)


def _best(raw: Raw, frame: Frame) -> None:
    for side in ("bid", "ask"):
        px, sz = _level(raw, side, 1)
        frame[f"{side}_px"][:], frame[f"{side}_sz"][:] = px, sz


def _ladder(raw: Raw, frame: Frame) -> None:
    for level in range(raw.levels):
        for side in ("bid", "ask"):
            px, sz = _level(raw, side, level + 1)
            frame[f"{side}s_px"][:, level], frame[f"{side}s_sz"][:, level] = px, sz


def _level(raw: Raw, side: str, level: int) -> tuple[Array, Array]:
    px, sz = raw.prices(f"{side}_px_{level}"), raw.sizes(f"{side}_sz_{level}")
    absent = np.abs(px) > DUMMY
    px[absent] = np.nan
    sz[np.isnan(px)] = 0
    return px, sz


def _halts(raw: Raw, frame: Frame, halt: Array) -> None:
    """Rows of trading state carry no quote: what stands in the book then is not to be traded on."""
    if not halt.any():
        return
    price = raw.numbers("price")[halt]
    frame["kind"][halt] = STATUS
    frame["flags"][halt] = np.where(price < 0, HALTED, np.where(price == 0, PAUSED, 0))
    for name in ("bid", "ask", "bids", "asks"):
        if f"{name}_px" in frame:
            frame[f"{name}_px"][halt] = np.nan
            frame[f"{name}_sz"][halt] = 0


def instrument(symbol: str) -> Instrument:
    """A NASDAQ share."""
    return equity(symbol, "XNAS")


LADDER: Final = tuple(f"{s}_{n}" for n in range(1, MAX_LEVELS + 1) for s in ("bid_px", "bid_sz", "ask_px", "ask_sz"))
BOOK: Final = ("ask_px_1", "ask_sz_1", "bid_px_1", "bid_sz_1")
LOBSTER: Final = Vendor(
    name="LOBSTER",
    needs=("ts", "event_type", "size", "price", "direction", *BOOK, "symbol"),
    clock="ts",
    decode=decode,
    instrument=instrument,
    levels=levels,
    by_order=True,
    also=("order_id", *LADDER),
)
