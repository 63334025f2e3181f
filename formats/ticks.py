"""ticks/1: what happened in the market, one row per event, in event-time order.

`kind` is a bit set, because one event may be several things at once (an execution reported with the book it
left behind is QUOTE | TRADE). What a row does not carry is NaN (prices) or 0 (sizes): a quote without a bid has
`bid_px` NaN and `bid_sz` 0. No column is ever null. The numbers of `kind`, `side`, `flags` and `order_act`
stand in `gpi.formats.words`, what each column means in TICK_MEANINGS.

A stream may carry more: book levels (`bids_px` ... `asks_sz`), and the book by order (`order_ref` ... `order_sz`):
what happened to one displayed order, with the price at which it stands, so that a reader needs no memory. A
replacement that loses its place is two rows, DELETE and ADD. An execution is TRADE as well, where it was printed;
one against a hidden order is TRADE and HIDDEN alone, with `order_act` 0.
"""

from collections.abc import Container
from typing import Final

import pyarrow as pa

from gpi.formats.errors import SchemaMismatch

MAX_LEVELS: Final = 10
MAX_INSTRUMENTS: Final = 1 << 20  # an id beyond is damage: memory grows with the largest one seen
NANOSECONDS: Final = pa.timestamp("ns", tz="UTC")

TICKS: Final = pa.schema(
    [
        pa.field("ts_event", NANOSECONDS, nullable=False),
        pa.field("ts_recv", NANOSECONDS, nullable=False),
        pa.field("instrument_id", pa.int32(), nullable=False),
        pa.field("kind", pa.int8(), nullable=False),
        pa.field("side", pa.int8(), nullable=False),
        pa.field("flags", pa.int32(), nullable=False),
        pa.field("seq", pa.int64(), nullable=False),
        pa.field("bid_px", pa.float64(), nullable=False),
        pa.field("bid_sz", pa.float64(), nullable=False),
        pa.field("ask_px", pa.float64(), nullable=False),
        pa.field("ask_sz", pa.float64(), nullable=False),
        pa.field("trade_px", pa.float64(), nullable=False),
        pa.field("trade_sz", pa.float64(), nullable=False),
    ],
    metadata={"gpi.schema": "ticks/1"},
)

BY_ORDER: Final = (
    pa.field("order_ref", pa.int64(), nullable=False),
    pa.field("order_act", pa.int8(), nullable=False),
    pa.field("order_side", pa.int8(), nullable=False),
    pa.field("order_px", pa.float64(), nullable=False),
    pa.field("order_sz", pa.float64(), nullable=False),
)

TICK_MEANINGS: Final[dict[str, tuple[str, str]]] = {
    "ts_event": ("ns UTC", "when it happened at the venue"),
    "ts_recv": ("ns UTC", "when it was received; ts_event if unknown"),
    "instrument_id": ("id", "row of the instrument table in the metadata"),
    "kind": ("kind", "what the row tells, a bit set"),
    "side": ("side", "TRADE: the aggressor's"),
    "flags": ("flags", "the trading state, and what is odd about the row, a bit set"),
    "seq": ("number", "the source's own sequence or row number"),
    "bid_px": ("price", "best bid; NaN: none"),
    "bid_sz": ("size", "displayed at the best bid; 0: none"),
    "ask_px": ("price", "best offer; NaN: none"),
    "ask_sz": ("size", "displayed at the best offer; 0: none"),
    "trade_px": ("price", "TRADE: at which it traded; else NaN"),
    "trade_sz": ("size", "TRADE: how much traded; else 0"),
    "bids_px": ("price", "bid levels, best first; NaN: none"),
    "bids_sz": ("size", "displayed at each bid level; 0: none"),
    "asks_px": ("price", "offer levels, best first; NaN: none"),
    "asks_sz": ("size", "displayed at each offer level; 0: none"),
    "order_ref": ("id", "the venue's own number of the order, 0 for none"),
    "order_act": ("order_act", "what happened to it; 0: the row is about no order"),
    "order_side": ("side", "the order's own (`side` is the aggressor's)"),
    "order_px": ("price", "where it stands in the book"),
    "order_sz": ("size", "by how much it grew (ADD) or shrank"),
}
"""Unit and meaning of every column of ticks/1, of which docs/data.md is made."""


def ticks(levels: int = 0, by_order: bool = False) -> pa.Schema:
    """The tick schema, with `levels` book levels a side (0 for none, at most 10), best first, and `by_order` columns.

    >>> ticks(5).field("bids_px").type
    FixedSizeListType(fixed_size_list<item: double not null>[5])
    """
    if not 0 <= levels <= MAX_LEVELS:
        raise ValueError(f"levels must be 0..{MAX_LEVELS}, not {levels}")
    orders = BY_ORDER if by_order else ()
    if levels == 0:
        return pa.schema([*TICKS, *orders], metadata=TICKS.metadata) if by_order else TICKS
    ladder = pa.list_(pa.field("item", pa.float64(), nullable=False), levels)
    names = ("bids_px", "bids_sz", "asks_px", "asks_sz")
    depth = [pa.field(name, ladder, nullable=False) for name in names]
    return pa.schema([*TICKS, *depth, *orders], metadata=TICKS.metadata)


def demand_orders(fill: str, names: Container[str]) -> None:
    """Raise SchemaMismatch where orders fill by the policy `fifo` and a stream with these columns tells no orders."""
    if fill == "fifo" and not all(field.name in names for field in BY_ORDER):
        raise SchemaMismatch(
            "--fill fifo needs the book order by order, which this stream does not tell: gpi replay --by-order"
        )
