"""orders/1, fills/1, equity/1: what we asked, what we got, what it was worth.

One row of `orders` is one event in an order's life; `mid`, `position`, `cash` and `equity` are the account's view
at that moment, so that any gate can judge the order again later. The numbers of
`action`, `side`, `order_type`, `tif`, `reason` and `liquidity` stand in `gpi.formats.words`.
"""

from typing import Final

import pyarrow as pa

from gpi.formats.ticks import NANOSECONDS


def _field(name: str, kind: pa.DataType) -> pa.Field:
    return pa.field(name, kind, nullable=False)


ORDERS: Final = pa.schema(
    [
        _field("ts_event", NANOSECONDS),
        _field("instrument_id", pa.int32()),
        _field("order_id", pa.int64()),  # 1, 2, 3, ... within a run: deterministic
        _field("action", pa.int8()),
        _field("side", pa.int8()),
        _field("order_type", pa.int8()),
        _field("tif", pa.int8()),
        _field("reason", pa.int16()),
        _field("qty", pa.float64()),  # the order's size; FILLED: this fill's size
        _field("px", pa.float64()),  # the order's limit, NaN for market; FILLED: the fill's price
        _field("leaves", pa.float64()),  # unfilled size after this event
        _field("mid", pa.float64()),
        _field("position", pa.float64()),
        _field("cash", pa.float64()),
        _field("equity", pa.float64()),
        _field("parent", pa.int64()),  # the entry whose fill wakes this order, the first leg of an order of several; 0
    ],
    metadata={"gpi.schema": "orders/1"},
)

FILLS: Final = pa.schema(
    [
        _field("ts_event", NANOSECONDS),
        _field("instrument_id", pa.int32()),
        _field("order_id", pa.int64()),
        _field("side", pa.int8()),
        _field("liquidity", pa.int8()),  # MAKER or TAKER; 0: an option was settled, order_id 0
        _field("qty", pa.float64()),
        _field("px", pa.float64()),
        _field("fee", pa.float64()),  # account currency; negative is a rebate
        _field("position", pa.float64()),  # after the fill
        _field("cash", pa.float64()),  # after the fill and its fee
        _field("parent", pa.int64()),  # of the order, as in orders/1
    ],
    metadata={"gpi.schema": "fills/1"},
)

EQUITY: Final = pa.schema(
    [
        _field("ts_event", NANOSECONDS),
        _field("cash", pa.float64()),
        _field("equity", pa.float64()),  # cash + positions at mid
        _field("exposure", pa.float64()),  # gross, positions at mid
        _field("realized", pa.float64()),  # realised P&L before fees, average-cost
        _field("fees", pa.float64()),  # paid so far
        _field("drawdown", pa.float64()),  # 1 - equity / running peak
    ],
    metadata={"gpi.schema": "equity/1"},
)
