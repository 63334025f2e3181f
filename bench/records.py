"""The recorded events of the races: Binance spot BTCUSDT and ETHUSDT, 8 August 2024, best quotes and trades.

One record is one message of the exchange: a best bid and offer, or a trade. Times are those of receipt,
because the quotes carry no other. The six minutes are played several times in a row to make a longer day.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt

from bench.harness import data
from gpi.formats.frame import Frame
from gpi.formats.instruments import Instruments, crypto
from gpi.formats.ticks import TICKS
from gpi.formats.words import BUY, QUOTE, SELL, TRADE

Array = npt.NDArray[Any]
SYMBOLS = ("BTCUSDT", "ETHUSDT")
DAY = "20240808.parquet"
UNIT = 0.01
SCHEMA = Instruments(crypto(name) for name in SYMBOLS).on(TICKS)
LATENCY_NS = 1_000_000  # of the feed, of an order and of its answer, in every engine


def records(times: int) -> Frame:
    """All records as ticks/1 in order of time, `times` times over."""
    rows = duckdb.sql(
        f"""select epoch_ns(ts_recv) ts, symbol, {QUOTE} kind, 0 side, bid_px, bid_sz, ask_px, ask_sz,
            'nan'::double trade_px, 0.0 trade_sz, update_id id from '{data("cr_bbo_binance_spot_" + DAY)}'
            union all
            select epoch_ns(ts_recv), symbol, {TRADE}, if(aggressor = 'B', {BUY}, {SELL}), 'nan', 0, 'nan', 0,
            price, size, trade_id from '{data("cr_trades_binance_spot_" + DAY)}'
            order by ts, symbol, kind, id"""
    ).fetchnumpy()
    ts = np.asarray(rows["ts"])
    step = ts[-1] - ts[0] + 1_000_000_000
    ids = np.array([SYMBOLS.index(name) for name in rows["symbol"]])
    again = {
        name: np.tile(np.asarray(rows[name]), times)
        for name in ("kind", "side", "bid_px", "bid_sz", "ask_px", "ask_sz", "trade_px", "trade_sz")
    }
    when = (ts + step * np.arange(times)[:, None]).ravel()
    return Frame.of(
        SCHEMA,
        {
            "ts_event": when,
            "ts_recv": when,
            "instrument_id": np.tile(ids, times),
            "flags": 0,
            "seq": np.arange(len(when)),
            **again,
        },
    )


def batches(ticks: Frame, rows: int = 8192) -> Iterator[Frame]:
    """The frame in batches of their own memory."""
    for start in range(0, ticks.rows, rows):
        yield ticks.slice(start, start + rows).copy()
