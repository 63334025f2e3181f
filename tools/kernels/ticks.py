"""The columns of a frame of ticks as kernels see them: one pointer, whatever the stream carries."""

from typing import Any, Final

import numpy as np

from gpi.tools.kernels.shared import Array, Placed, at_places

PLAIN: Final[tuple[tuple[str, np.dtype[Any]], ...]] = (
    ("ts_event", np.dtype(np.int64)), ("ts_recv", np.dtype(np.int64)), ("instrument_id", np.dtype(np.int32)),
    ("kind", np.dtype(np.int8)), ("side", np.dtype(np.int8)), ("flags", np.dtype(np.int32)),
    *((name, np.dtype(np.float64)) for name in ("bid_px", "bid_sz", "ask_px", "ask_sz", "trade_px", "trade_sz")),
)  # fmt: skip
LADDERS: Final = ("bids_px", "bids_sz", "asks_px", "asks_sz")
EVENT: Final = np.dtype((np.record, [("ref", "i8"), ("act", "i8"), ("side", "i8"), ("px", "f8"), ("left", "f8")]))
"""What a row says about a single order, `left` by how much it grew or shrank."""


class Ticks(Placed):
    """Columns of ticks/1: (rows,), the ladders (rows, levels), `events` (rows,) or nothing. Only ever read.

    A column that the stream has not is there with no rows; a ladder then has no levels.
    """

    ARRAYS = {
        **{name: (dtype, 1) for name, dtype in PLAIN},
        **{name: (np.dtype(np.float64), 2) for name in LADDERS},
        "events": (EVENT, 1),
    }

    ts_event: Array
    ts_recv: Array
    instrument_id: Array
    kind: Array
    side: Array
    flags: Array
    bid_px: Array
    bid_sz: Array
    ask_px: Array
    ask_sz: Array
    trade_px: Array
    trade_sz: Array
    bids_px: Array
    bids_sz: Array
    asks_px: Array
    asks_sz: Array
    events: Array


ticks_at = at_places(Ticks)
