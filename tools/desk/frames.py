"""Whatever a person has as a stream of ticks: files, a stream, or a table of pandas, polars or pyarrow.

A table needs `ts_event` (a time, or ns since 1970) and `symbol`, and of bid_px, bid_sz, ask_px, ask_sz, trade_px,
trade_sz what it has; further columns of ticks/1 are taken as they are. A row with a price is a quote, one with a trade
a trade.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from gpi.formats.errors import BadInput, UsageError
from gpi.formats.frame import Frame
from gpi.formats.instruments import Instruments, equity, option, parse_occ
from gpi.formats.quarantine import Quarantine
from gpi.formats.ticks import TICKS
from gpi.formats.words import QUOTE, TRADE
from gpi.tools.feeds.files import open_ticks
from gpi.tools.stage import Stream

BATCH: Final = 65_536
PRICES: Final = ("bid_px", "ask_px", "trade_px")
SIZES: Final = ("bid_sz", "ask_sz", "trade_sz")


def stream_of(source: Any, symbols: Sequence[str] | None = None, instruments: Instruments | None = None) -> Stream:
    """A stream of ticks. `instruments`: the table's terms of trade; without it symbols are shares, OCC names options.

    Raises BadInput for what cannot be ticks, UsageError for what cannot be read at all.
    """
    if isinstance(source, Stream):
        return source
    if isinstance(source, (str, PathLike)):
        source = [source]
    if isinstance(source, (list, tuple)) and all(isinstance(each, (str, PathLike)) for each in source):
        wanted = None if symbols is None else tuple(symbols)
        return open_ticks([Path(each) for each in source], batch=BATCH, symbols=wanted, quarantine=Quarantine())
    if not hasattr(source, "__arrow_c_stream__"):
        raise UsageError(
            f"a source is a path, a list of paths, a Stream, or a table of pandas, polars or pyarrow, not "
            f"{type(source).__name__}"
        )
    return _of_table(pa.table(source), instruments)


def _of_table(table: pa.Table, instruments: Instruments | None) -> Stream:
    for name in ("ts_event", "symbol"):
        if name not in table.column_names:
            raise BadInput(f"the table has no column {name!r}: it needs ts_event, symbol, and quotes or trades")
    if not any(name in table.column_names for name in PRICES):
        raise BadInput(f"the table has none of {', '.join(PRICES)}: there is nothing to trade on")
    names = table["symbol"].cast(pa.string())
    if names.null_count:
        raise BadInput("the table has rows without a symbol")
    known = instruments or Instruments(_instrument(each) for each in names.unique().to_pylist())
    ids = np.array([known.named(each).id for each in names.to_pylist()], np.int32)
    frame = _frame(table, ids)
    schema = known.on(TICKS)
    return Stream(schema, _pieces(frame))


def _instrument(symbol: str) -> Any:
    try:
        parse_occ(symbol)
    except BadInput:
        return equity(symbol)
    return option(symbol)


def _frame(table: pa.Table, ids: Any) -> Frame:
    ts = _times(table["ts_event"])
    if (np.diff(ts) < 0).any():
        raise BadInput("the table is not in order of ts_event: sort it first")
    columns: dict[str, Any] = {name: 0 for name in TICKS.names}
    columns |= {"ts_event": ts, "ts_recv": ts, "instrument_id": ids, "seq": np.arange(len(ts))}
    for name in (*PRICES, *SIZES):
        columns[name] = _numbers(table, name) if name in table.column_names else np.nan if name in PRICES else 0.0
    sizes = np.nan_to_num(np.stack([np.broadcast_to(columns[name], len(ts)) for name in SIZES]))
    columns |= dict(zip(SIZES, sizes, strict=True))
    quoted = np.isfinite(columns["bid_px"]) | np.isfinite(columns["ask_px"])
    columns["kind"] = np.where(quoted, QUOTE, 0) | np.where(np.isfinite(columns["trade_px"]), TRADE, 0)
    for name in ("ts_recv", "kind", "side", "flags", "seq"):
        if name in table.column_names:
            columns[name] = _times(table[name]) if name == "ts_recv" else _numbers(table, name)
    return Frame.of(TICKS, columns)


def _times(column: pa.ChunkedArray) -> Any:
    if column.null_count:
        raise BadInput("the table has rows without a time")
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("ns", column.type.tz)).cast(pa.int64())
    elif not pa.types.is_integer(column.type):
        raise BadInput(f"ts_event is {column.type}: it must be a time, or ns since 1970")
    return column.to_numpy().astype(np.int64)


def _numbers(table: pa.Table, name: str) -> Any:
    try:
        return table[name].cast(pa.float64()).to_numpy()
    except pa.ArrowInvalid as wrong:
        raise BadInput(f"the column {name!r} holds what is no number: {wrong}") from None


def _pieces(frame: Frame) -> Iterator[Frame]:
    for start in range(0, frame.rows, BATCH):
        yield frame.slice(start, min(start + BATCH, frame.rows)).copy()
