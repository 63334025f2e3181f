"""orders/1, fills/1, equity/1: what we asked, what we got, what it was worth.

One row of `orders` is one event in an order's life; `mid`, `position`, `cash` and `equity` are the account's view
at that moment, so that any gate can judge the order again later.
"""

from typing import Final

import pyarrow as pa

from gpi.formats.ticks import NANOSECONDS

# orders.action
SUBMIT: Final = 1  # intent passed the gate and was sent
REFUSE: Final = 2  # intent stopped at the gate, `reason` says why
CANCEL: Final = 3  # cancel request sent
ACCEPTED: Final = 4  # the venue has it
REJECTED: Final = 5  # the venue would not have it
CANCELED: Final = 6  # gone from the venue, `leaves` unfilled
EXPIRED: Final = 7  # time in force ended it
FILLED: Final = 8  # a fill, partial if `leaves` > 0; its row stands in fills too
REPLACED: Final = 9  # the venue took a replacement: `qty`, `px`, `leaves` hold from now on
TRIGGERED: Final = 10  # a stop was reached: the order is live from now on
HELD: Final = 11  # the venue has it and keeps it back, for its parent's fill or for an auction
REPLACE: Final = 12  # replace request sent
REDUCED: Final = 13  # the venue shrank it, because its rival filled in part: `qty` and `leaves` hold from now on
SETTLED: Final = 14  # no order: an option ended, `px` is what a unit was paid (of the shares: the strike); in fills too

ACTIONS: Final = (
    "", "submit", "refuse", "cancel", "accepted", "rejected", "canceled", "expired", "filled",
    "replaced", "triggered", "held", "replace", "reduced", "settled",
)  # fmt: skip

# orders.order_type and orders.tif
LIMIT: Final = 1
MARKET: Final = 2
STOP: Final = 3  # a market order once the last trade reaches its stop price
STOP_LIMIT: Final = 4  # a limit order once it does
TRAILING: Final = 5  # a stop that follows the best trade since it arrived at a distance
MLEG: Final = 6  # a leg of an order of 2 to 4: all fill or none; `px` is the net of a unit, a debit, NaN: at the market
GTC: Final = 1  # good till cancelled; 90 days at most
IOC: Final = 2  # what does not fill at once expires
DAY: Final = 3  # until the session's close
FOK: Final = 4  # all at once or nothing
OPG: Final = 5  # in the opening auction
CLS: Final = 6  # in the closing auction

MAKER: Final = 1
TAKER: Final = 2  # fills.liquidity; 0: settled

# orders.reason: why an intent was refused or an order rejected; 0 passed. Words are only added, at the end.
REASONS: Final = (
    "",
    "KILL_ACTIVE",
    "TRADING_STATE",
    "MALFORMED",
    "STALE_DATA",
    "MARKET_STATE",
    "PRICE_COLLAR",
    "POSITION_LIMIT",
    "EXPOSURE",
    "CASH_RESERVE",
    "DAILY_LOSS",
    "MSG_RATE",
    "OPEN_ORDERS",
    "UNKNOWN_ORDER",
    "RECONCILING",
    "SHORT_LOCATE",
    "SELF_TRADE",
    "PARENT_CHILD",
    "DUPLICATE_ORDER",
    "EXEC_THROTTLE",
    "REJECT_STORM",
    "BUYING_POWER",
    "NOT_AUTHORISED",
    "BROKER_REFUSED",
    "OPTION_RULES",
    "NO_UNDERLYING",  # SETTLED: at its own last quote, because nobody told what the underlying costs
    "INSUFFICIENT_QTY",  # it closes more than is held and not yet held by working orders (account rules: alpaca)
)


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
