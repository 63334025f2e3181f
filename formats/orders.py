"""orders/1, fills/1, equity/1: what we asked, what we got, what it was worth.

One row of `orders` is one event in an order's life; `mid`, `position`, `cash` and `equity` are the account's view
at that moment, so that any gate can judge the order again later. The numbers of
`action`, `side`, `order_type`, `tif`, `reason` and `liquidity` stand in `gpi.formats.words`, what each column means
beside its schema.
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
        _field("order_id", pa.int64()),
        _field("action", pa.int8()),
        _field("side", pa.int8()),
        _field("order_type", pa.int8()),
        _field("tif", pa.int8()),
        _field("reason", pa.int16()),
        _field("qty", pa.float64()),
        _field("px", pa.float64()),
        _field("leaves", pa.float64()),
        _field("mid", pa.float64()),
        _field("position", pa.float64()),
        _field("cash", pa.float64()),
        _field("equity", pa.float64()),
        _field("parent", pa.int64()),
    ],
    metadata={"gpi.schema": "orders/1"},
)

ORDER_MEANINGS: Final[dict[str, tuple[str, str]]] = {
    "ts_event": ("ns UTC", "event time at which the session decided, or heard of it"),
    "instrument_id": ("id", "row of the instrument table in the metadata"),
    "order_id": ("id", "1, 2, 3, ... within a run: deterministic; 0: refused before it got one, or settled"),
    "action": ("action", "what happened"),
    "side": ("side", "the order's"),
    "order_type": ("order_type", "what kind of order; 0: none"),
    "tif": ("tif", "time in force; 0: none"),
    "reason": ("reason", "why it was refused or rejected, or how it was settled; 0: nothing to say"),
    "qty": ("size", "the order's size; FILLED: this fill's size"),
    "px": ("price", "the order's limit, of a plain stop its stop price, NaN for market; FILLED: the fill's price"),
    "leaves": ("size", "unfilled size after this event"),
    "mid": ("price", "mid of the instrument as the session knows it"),
    "position": ("size", "held of the instrument, negative when short"),
    "cash": ("money", "of the account"),
    "equity": ("money", "cash + positions at mid"),
    "parent": ("id", "the entry whose fill wakes this order, the first leg of an order of several; 0: none"),
}
"""Unit and meaning of every column of orders/1."""

FILLS: Final = pa.schema(
    [
        _field("ts_event", NANOSECONDS),
        _field("instrument_id", pa.int32()),
        _field("order_id", pa.int64()),
        _field("side", pa.int8()),
        _field("liquidity", pa.int8()),
        _field("qty", pa.float64()),
        _field("px", pa.float64()),
        _field("fee", pa.float64()),
        _field("position", pa.float64()),
        _field("cash", pa.float64()),
        _field("parent", pa.int64()),
    ],
    metadata={"gpi.schema": "fills/1"},
)

FILL_MEANINGS: Final[dict[str, tuple[str, str]]] = {
    "ts_event": ("ns UTC", "when it happened at the venue (the row FILLED of orders: when the session heard)"),
    "instrument_id": ("id", "row of the instrument table in the metadata"),
    "order_id": ("id", "the order's; 0: an option was settled"),
    "side": ("side", "the order's"),
    "liquidity": ("liquidity", "whether our order rested; 0: an option was settled, order_id 0"),
    "qty": ("size", "of this fill"),
    "px": ("price", "of this fill"),
    "fee": ("money", "charged for it; negative is a rebate"),
    "position": ("size", "after the fill"),
    "cash": ("money", "after the fill and its fee"),
    "parent": ("id", "of the order, as in orders/1"),
}
"""Unit and meaning of every column of fills/1."""

EQUITY: Final = pa.schema(
    [
        _field("ts_event", NANOSECONDS),
        _field("cash", pa.float64()),
        _field("equity", pa.float64()),
        _field("exposure", pa.float64()),
        _field("realized", pa.float64()),
        _field("fees", pa.float64()),
        _field("drawdown", pa.float64()),
    ],
    metadata={"gpi.schema": "equity/1"},
)

EQUITY_MEANINGS: Final[dict[str, tuple[str, str]]] = {
    "ts_event": ("ns UTC", "event time; a row a second of it, and one after every tick that brought fills"),
    "cash": ("money", "of the account"),
    "equity": ("money", "cash + positions at mid"),
    "exposure": ("money", "gross, positions at mid"),
    "realized": ("money", "realised P&L before fees, average-cost"),
    "fees": ("money", "paid so far"),
    "drawdown": ("share", "1 - equity / running peak"),
}
"""Unit and meaning of every column of equity/1."""

VERDICT: Final = _field("verdict", pa.int8())
VERDICT_REASON: Final = _field("verdict_reason", pa.int16())

VERDICT_MEANINGS: Final[dict[str, tuple[str, str]]] = {
    "verdict": ("0 or 1", "1 the limits let the order pass, 0 they refuse it; rows other than SUBMIT: 1"),
    "verdict_reason": ("reason", "the first limit that it fails; 0: none"),
}
"""Unit and meaning of what `gpi risk-check` appends to orders/1."""
