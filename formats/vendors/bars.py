"""Bars of prices as ticks: what a strategy could have known and traded at the END of the bar.

A bar becomes one row at its end: a TRADE of its volume at the close, a QUOTE with the closing bid
and ask where the bar has them, or both. A bar without volume moved nothing: of an index it is a
QUOTE whose bid and ask are the level. Vendors stamp bars with their start (`ts`: LEAN, Binance) or
their end (`ts_end`: Alpha Vantage); a start is moved by the length of the bar, the smallest step
between two bars of a symbol in the file. Daily bars (`date`) end at 16:00 in New York. What
happened inside a bar is not made up.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gpi.formats.frame import Array, Frame
from gpi.formats.instruments import Instrument, crypto, equity, index, option
from gpi.formats.quarantine import Flaws
from gpi.formats.vendors.layout import Raw, Vendor, by_symbol, read
from gpi.formats.words import QUOTE, TRADE

COINS: Final = ("BTC", "ETH", "LTC", "SOL", "XRP", "DOGE", "BNB", "ADA")
INDICES: Final = frozenset(("SPX", "VIX", "NDX", "RUT", "DJX", "XSP"))
INDEX_NAMES: Final = pa.array(sorted(INDICES))
NEW_YORK: Final = "America/New_York"
CLOSE: Final = pa.scalar(16 * 3600, pa.int64())


def decode(raw: Raw) -> tuple[Frame, Flaws]:
    """One tick per bar, at its end; seq is the row number."""
    frame = raw.blank()
    frame["ts_event"][:] = frame["ts_recv"][:] = _ends(raw)
    names = raw.batch.schema.names
    if "bid_close" in names:
        _quotes(raw, frame)
    if "close" in names and "volume" in names:
        _trades(raw, frame)
    elif "close" in names:
        for side in ("bid", "ask"):
            frame[f"{side}_px"][:] = raw.prices("close")
        frame["kind"][:] = QUOTE
    return frame, np.zeros(frame.rows, np.int8)


def _ends(raw: Raw) -> Array:
    names = raw.batch.schema.names
    if "ts_end" in names:
        return raw.nanos("ts_end")
    if "ts" in names:
        start = raw.nanos("ts")
        return np.where(start == 0, 0, start + raw.step)
    return closes(raw.batch.column("date"), raw.first)


def closes(dates: pa.Array, first: int = 0) -> Array:
    """16:00 in New York on each date, as int64 ns UTC; nulls as 0. Raises BadInput for words that are no ISO date."""
    local = read(dates, pa.timestamp("s"), "date", "a date written like 2024-01-02", first).cast(pa.int64())
    at_close = pc.add(local, CLOSE).cast(pa.timestamp("s"))
    there = pc.assume_timezone(at_close, NEW_YORK).cast(pa.int64()).fill_null(0)
    return np.asarray(there.to_numpy(zero_copy_only=False)) * 1_000_000_000


def _quotes(raw: Raw, frame: Frame) -> None:
    for side in ("bid", "ask"):
        px = raw.prices(f"{side}_close", 8)
        frame[f"{side}_px"][:] = px
        frame[f"{side}_sz"][:] = np.where(np.isnan(px), 0, raw.sizes(f"{side}_size"))
    quoted = ~(np.isnan(frame["bid_px"]) & np.isnan(frame["ask_px"]))
    frame["kind"][quoted] |= QUOTE


def _trades(raw: Raw, frame: Frame) -> None:
    """A bar with a close is a trade; only where a quote is there a bar without volume is a quote alone."""
    px, volume = raw.prices("close", 8), raw.sizes("volume")
    quoted = (frame["kind"] & QUOTE) != 0
    level = _of_index(raw) & (volume == 0)
    for side in ("bid", "ask"):
        frame[f"{side}_px"][level] = px[level]
    frame["kind"][level] = QUOTE
    traded = np.where(quoted, volume > 0, ~level)
    frame["kind"][traded] |= TRADE
    frame["trade_px"][traded], frame["trade_sz"][traded] = px[traded], volume[traded]


def _of_index(raw: Raw) -> Array:
    """Rows of an index, where rows say their symbol; its bars have no volume, or zero."""
    if "symbol" not in raw.batch.schema.names:
        return np.zeros(raw.batch.num_rows, bool)
    found = pc.is_in(by_symbol(raw.batch), value_set=INDEX_NAMES)
    return np.asarray(found.to_numpy(zero_copy_only=False))


def instrument(symbol: str) -> Instrument:
    """An index, a coin pair or a share, by its symbol."""
    if symbol in INDICES:
        return index(symbol)
    if "/" in symbol or (len(symbol) >= 6 and symbol.startswith(COINS)):
        return crypto(symbol)
    return equity(symbol, "NMS")


def contracts(batch: pa.RecordBatch) -> pa.Array:
    """The OCC symbols of rows that name root, expiry, right and strike."""
    root = pc.utf8_rpad(batch.column("root"), 6, " ")
    expiry = pc.strftime(batch.column("expiry"), "%y%m%d")
    right = pc.utf8_upper(pc.utf8_slice_codeunits(batch.column("right"), 0, 1))
    thousandths = pc.round(pc.multiply(batch.column("strike"), 1000.0)).cast(pa.int64()).cast(pa.string())
    return pc.binary_join_element_wise(root, expiry, right, pc.utf8_lpad(thousandths, 8, "0"), "")


PRICES: Final = ("open", "high", "low", "close")
CONTRACT: Final = ("root", "right", "strike", "expiry")
READ: Final = ("ts", "ts_end", "date", "symbol", "bid_close", "bid_size", "ask_close", "ask_size", "close", "volume")
BARS: Final = Vendor(
    "bars by start", ("ts", "symbol", *PRICES), "ts", decode, instrument, also=READ, stepped=True
)  # fmt: skip
BARS_BY_END: Final = replace(BARS, name="bars by end", needs=("ts_end", "symbol", *PRICES), clock="ts_end")
DAILY_BARS: Final = replace(BARS, name="daily bars", needs=("date", "symbol", *PRICES, "volume"), clock="date")
OPTION_QUOTE_BARS: Final = Vendor(
    name="option quote bars",
    needs=("ts", *CONTRACT, "bid_close", "bid_size", "ask_close", "ask_size"),
    clock="ts",
    decode=decode,
    instrument=option,
    symbols=contracts,
    keys=CONTRACT,
    group="root",
    also=READ,
    stepped=True,
)
OPTION_TRADE_BARS: Final = replace(
    OPTION_QUOTE_BARS, name="option trade bars", needs=("ts", *CONTRACT, "close", "volume")
)
