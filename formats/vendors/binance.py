"""Binance spot streams as recorded: bookTicker (BBO), diff. depth with REST snapshots (L2), trades.

`ts_event := ts_recv` for all three. The BBO carries no exchange time, and the exchange clock of the
other two runs about 1.3 s ahead of the receiver's: mixing the clocks would put every BBO before the
trades that caused it. In a depth update a size of 0 removes the level; `first_id..last_id` must
follow the update before.
"""

from typing import Final

import numpy as np

from gpi.formats.frame import Array, Frame
from gpi.formats.instruments import Instrument, crypto
from gpi.formats.quarantine import Flaws, Reason
from gpi.formats.ticks import MAX_LEVELS
from gpi.formats.vendors.layout import Building, Raw, Vendor
from gpi.formats.words import BUY, QUOTE, SELL, TRADE, UNKNOWN_SIDE


def decode_bbo(raw: Raw) -> tuple[Frame, Flaws]:
    """A QUOTE per row; seq is the update_id."""
    frame = raw.blank()
    _clocks(raw, frame)
    frame["kind"][:] = QUOTE
    frame["seq"][:] = raw.integers("update_id")
    for side in ("bid", "ask"):
        frame[f"{side}_px"][:], frame[f"{side}_sz"][:] = raw.numbers(f"{side}_px"), raw.sizes(f"{side}_sz")
    return frame, _clean(frame)


def decode_trades(raw: Raw) -> tuple[Frame, Flaws]:
    """A TRADE per row; seq is the trade_id, side the aggressor."""
    frame = raw.blank()
    _clocks(raw, frame)
    frame["kind"][:] = TRADE
    frame["seq"][:] = raw.integers("trade_id")
    frame["trade_px"][:], frame["trade_sz"][:] = raw.numbers("price"), raw.numbers("size")
    sold = np.where(raw.equal("aggressor", "S"), SELL, UNKNOWN_SIDE)
    frame["side"][:] = np.where(raw.equal("aggressor", "B"), BUY, sold)
    return frame, _clean(frame)


def decode_depth(raw: Raw) -> tuple[Frame, Flaws]:
    """One price level per row, for a book: in bid_px or ask_px; seq is the update's last id."""
    frame = raw.blank(Building.LEVELS)
    _clocks(raw, frame)
    frame["kind"][:] = QUOTE
    frame["seq"][:], frame["first_id"][:] = raw.integers("last_id"), raw.integers("first_id")
    frame["fresh"][:] = raw.batch.column("is_snapshot").fill_null(False).to_numpy(zero_copy_only=False)
    price, size = raw.numbers("price"), raw.numbers("size")
    bid, ask = raw.equal("side", "B"), raw.equal("side", "A")
    for name, rows in (("bid", bid), ("ask", ask)):
        frame[f"{name}_px"][rows], frame[f"{name}_sz"][rows] = price[rows], size[rows]
    wrong = np.where(bid | ask, np.where(np.isnan(price), Reason.NOT_FINITE, 0), Reason.UNKNOWN_EVENT)
    return frame, wrong.astype(np.int8)


def _clocks(raw: Raw, frame: Frame) -> None:
    frame["ts_event"][:] = frame["ts_recv"][:] = raw.nanos("ts_recv")


def _clean(frame: Frame) -> Array:
    return np.zeros(frame.rows, np.int8)


def instrument(symbol: str) -> Instrument:
    """A Binance spot pair."""
    return crypto(symbol, "BINANCE")


BINANCE_BBO: Final = Vendor(
    name="Binance BBO",
    needs=("ts_recv", "symbol", "bid_px", "bid_sz", "ask_px", "ask_sz", "update_id"),
    clock="ts_recv",
    decode=decode_bbo,
    instrument=instrument,
)
BINANCE_TRADES: Final = Vendor(
    name="Binance trades",
    needs=("ts_recv", "symbol", "price", "size", "trade_id", "aggressor"),
    clock="ts_recv",
    decode=decode_trades,
    instrument=instrument,
)
BINANCE_DEPTH: Final = Vendor(
    name="Binance depth",
    needs=("ts_recv", "symbol", "side", "price", "size", "first_id", "last_id", "is_snapshot"),
    clock="ts_recv",
    decode=decode_depth,
    instrument=instrument,
    levels=lambda names: MAX_LEVELS,
    building=Building.LEVELS,
)
