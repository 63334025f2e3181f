"""Rows of ticks made by the venue itself: status changes, and ticks told in JSON to the control endpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from gpi.formats.errors import UsageError
from gpi.formats.frame import Frame, Layout
from gpi.formats.ticks import ticks
from gpi.formats.words import DEPTH, QUOTE, STATUS, TRADE

PRICES: Final = ("bid_px", "ask_px", "trade_px", "bids_px", "asks_px")
SIDES: Final = {"buy": 1, "sell": -1, 1: 1, -1: -1}


def blank(levels: int, rows: int, ts: int) -> Frame:
    """Rows that say nothing yet: prices NaN, sizes 0, at `ts` ns."""
    made = Layout.of(ticks(levels)).empty(rows)
    for name, view in made.columns.items():
        view[...] = np.nan if name in PRICES else 0
    made["ts_event"][:] = made["ts_recv"][:] = ts
    return made


def status(levels: int, instrument_ids: Sequence[int], ts: int, flags: int) -> Frame:
    """A status row for each instrument: HALTED, PAUSED, or 0 for trading again."""
    made = blank(levels, len(instrument_ids), ts)
    made["instrument_id"][:] = instrument_ids
    made["kind"][:] = STATUS
    made["flags"][:] = flags
    return made


def told(levels: int, instrument_id: int, tick: Mapping[str, Any], ts: int) -> Frame:
    """One row from JSON: bid and ask as [price, size] or null, trade as [price, size, side]. Raises UsageError."""
    made = blank(levels, 1, ts)
    made["instrument_id"][:] = instrument_id
    kind = 0
    try:
        for side in ("bid", "ask"):
            if side in tick:
                kind |= QUOTE
                if tick[side]:
                    made[f"{side}_px"][0], made[f"{side}_sz"][0] = tick[side]
                    if levels:
                        made[f"{side}s_px"][0, 0], made[f"{side}s_sz"][0, 0] = tick[side]
        if "trade" in tick:
            kind |= TRADE
            px, size, *side_of = tick["trade"]
            made["trade_px"][0], made["trade_sz"][0] = px, size
            made["side"][0] = SIDES[side_of[0]] if side_of else 0
    except (TypeError, ValueError, KeyError) as wrong:
        raise UsageError(
            f"a tick is bid: [price, size], ask: [price, size], trade: [price, size, side]: {wrong}"
        ) from None
    made["kind"][:] = kind | (DEPTH if levels and kind & QUOTE else 0)
    return made
