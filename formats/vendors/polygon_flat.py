"""Polygon (Massive) flat files of US stocks: quotes_v1 and trades_v1, CSV, one file a day, sorted by ticker.

`ts_event` is sip_timestamp (ns). The quotes are the NBBO, both sides in a row, naming the exchange
of each. Their sizes are round lots, of 100 shares, in files before 2025-11-03 and shares from then
on (the SEC's round-lot and odd-lot rules came into force that day); both are read as shares. A side
not quoted has price 0. Trades at exchange 4 (FINRA) were reported off exchange; trades with a
correction that cancels or replaces them are quarantined. Source: Massive's flat file documentation,
"Stocks: quotes" and "Stocks: trades".
"""

from typing import Final

import numpy as np
import pyarrow as pa

from gpi.formats.frame import Frame
from gpi.formats.quarantine import Flaws, Reason
from gpi.formats.vendors.layout import Raw, Vendor
from gpi.formats.vendors.lean import instrument
from gpi.formats.words import OFF_EXCHANGE, QUOTE, TRADE

ROUND_LOT: Final = 100.0
IN_SHARES_NS: Final = 1_762_146_000_000_000_000  # 2025-11-03 00:00 in New York
FINRA: Final = 4
STANDS: Final = (
    0,
    1,
)  # corrections that leave the trade standing: none, and "corrected data is in this record"

TYPES: Final = {
    "ticker": pa.string(),
    "conditions": pa.string(),
    "indicators": pa.string(),
    "id": pa.string(),
    "participant_timestamp": pa.int64(),
    "sip_timestamp": pa.int64(),
    "trf_timestamp": pa.int64(),
    "sequence_number": pa.int64(),
    "correction": pa.int64(),
    "exchange": pa.int64(),
    "trf_id": pa.int64(),
    **{name: pa.float64() for name in ("price", "size", "bid_price", "bid_size", "ask_price", "ask_size")},
}


def decode_quotes(raw: Raw) -> tuple[Frame, Flaws]:
    """A QUOTE per row."""
    frame = _stamped(raw)
    frame["kind"][:] = QUOTE
    lot = np.where(frame["ts_event"] < IN_SHARES_NS, ROUND_LOT, 1.0)
    for side in ("bid", "ask"):
        px, sz = raw.numbers(f"{side}_price"), raw.sizes(f"{side}_size") * lot
        absent = (px == 0) & (sz == 0)
        frame[f"{side}_px"][:] = np.where(absent, np.nan, px)
        frame[f"{side}_sz"][:] = np.where(np.isnan(px), 0, sz)
    return frame, np.zeros(frame.rows, np.int8)


def decode_trades(raw: Raw) -> tuple[Frame, Flaws]:
    """A TRADE per row, its aggressor unknown."""
    frame = _stamped(raw)
    frame["kind"][:] = TRADE
    frame["trade_px"][:], frame["trade_sz"][:] = raw.numbers("price"), raw.numbers("size")
    away = raw.integers("exchange") == FINRA
    if "trf_id" in raw.batch.schema.names:
        away |= raw.integers("trf_id") > 0
    frame["flags"][away] = OFF_EXCHANGE
    standing = np.isin(raw.integers("correction"), STANDS)
    return frame, np.where(standing, 0, Reason.CORRECTED).astype(np.int8)


def _stamped(raw: Raw) -> Frame:
    frame = raw.blank()
    frame["ts_event"][:] = frame["ts_recv"][:] = raw.nanos("sip_timestamp")
    frame["seq"][:] = raw.integers("sequence_number")
    return frame


def tickers(batch: pa.RecordBatch) -> pa.Array:
    """The symbols of the rows."""
    return batch.column("ticker")


SIDES: Final = ("bid_price", "bid_size", "ask_price", "ask_size")
POLYGON_QUOTES: Final = Vendor(
    name="Polygon quotes_v1",
    needs=("ticker", "sip_timestamp", "sequence_number", *SIDES),
    clock="sip_timestamp",
    decode=decode_quotes,
    instrument=instrument,
    symbols=tickers,
    keys=("ticker",),
    types=TYPES,
)
POLYGON_TRADES: Final = Vendor(
    name="Polygon trades_v1",
    needs=("ticker", "sip_timestamp", "sequence_number", "price", "size", "exchange", "correction"),
    clock="sip_timestamp",
    decode=decode_trades,
    instrument=instrument,
    symbols=tickers,
    keys=("ticker",),
    types=TYPES,
    also=("trf_id",),
)
