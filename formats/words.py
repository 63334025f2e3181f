"""The integers of the wire, each written down once: kinds, sides, actions, reasons, and the units of time.

Nothing but numbers, without pyarrow, so that kernels can import them as well. What a column means stands with its
schema in `gpi.formats.ticks` and `gpi.formats.orders`.
"""

from typing import Final

SECOND: Final = 1_000_000_000  # ns, as every time is
DAY_NS: Final = 86_400 * SECOND

# ticks.kind, a bit set
QUOTE: Final = 1  # bid_*, ask_* hold the best bid and offer after this event
TRADE: Final = 2  # trade_px, trade_sz, side hold an execution
STATUS: Final = 4  # `flags` tells the trading state from now on
DEPTH: Final = 8  # bids_px .. asks_sz hold the book levels after this event (only with depth columns)

# ticks.order_act
ADD: Final = 1  # an order joined the displayed book, behind all others at its price
REDUCE: Final = 2  # part of an order was cancelled; the rest kept its place
DELETE: Final = 3  # all that was left of an order was cancelled
EXECUTE: Final = 4  # an order, or a part of it, traded

# ticks.flags, a bit set
HALTED: Final = 1  # STATUS: trading is halted; absent on a STATUS row: trading is (again) open
PAUSED: Final = 2  # STATUS: a volatility pause
CLOSED: Final = 4  # STATUS: the session is over
GAP: Final = 16  # events before this one were lost
SNAPSHOT: Final = 32  # the book was replaced, not updated
OFF_EXCHANGE: Final = 64  # TRADE: printed away from an exchange; never fills a resting order
HIDDEN: Final = 128  # TRADE: against a hidden order; never consumes the displayed queue
NO_PRICE: Final = 256  # TRADE, always with OFF_EXCHANGE: its price is not the market's (an average, out of sequence)

# side
BUY: Final = 1  # of a trade: the aggressor bought; of an order: we buy
SELL: Final = -1
UNKNOWN_SIDE: Final = 0

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
REDUCED: Final = 13  # the venue shrank it, because its sibling filled in part: `qty` and `leaves` hold from now on
SETTLED: Final = 14  # no order: an option ended, `px` is what a unit was paid (of the shares: the strike); in fills too

ACTIONS: Final = (
    "", "submit", "refuse", "cancel", "accepted", "rejected", "canceled", "expired", "filled",
    "replaced", "triggered", "held", "replace", "reduced", "settled",
)  # fmt: skip
"""The words of `orders.action`, by number."""

# orders.order_type
LIMIT: Final = 1
MARKET: Final = 2
STOP: Final = 3  # a market order once the last trade reaches its stop price
STOP_LIMIT: Final = 4  # a limit order once it does
TRAILING: Final = 5  # a stop that follows the best trade since it arrived at a distance
MLEG: Final = 6  # a leg of an order of 2 to 4: all fill or none; `px` is the net of a unit, a debit, NaN: at the market

# orders.tif
GTC: Final = 1  # good till cancelled; 90 days at most
IOC: Final = 2  # what does not fill at once expires
DAY: Final = 3  # until the session's close
FOK: Final = 4  # all at once or nothing
OPG: Final = 5  # in the opening auction
CLS: Final = 6  # in the closing auction

# fills.liquidity; 0: settled
MAKER: Final = 1
TAKER: Final = 2

# orders.reason: why an intent was refused or an order rejected; 0 passed. Words are only added, at the end.
KILL_ACTIVE: Final = 1
TRADING_STATE: Final = 2
MALFORMED: Final = 3
STALE_DATA: Final = 4
MARKET_STATE: Final = 5
PRICE_COLLAR: Final = 6
POSITION_LIMIT: Final = 7
EXPOSURE: Final = 8
CASH_RESERVE: Final = 9
DAILY_LOSS: Final = 10
MSG_RATE: Final = 11
OPEN_ORDERS: Final = 12
UNKNOWN_ORDER: Final = 13
RECONCILING: Final = 14
SHORT_LOCATE: Final = 15
SELF_TRADE: Final = 16
PARENT_CHILD: Final = 17
DUPLICATE_ORDER: Final = 18
EXEC_THROTTLE: Final = 19
REJECT_STORM: Final = 20
BUYING_POWER: Final = 21
NOT_AUTHORISED: Final = 22
BROKER_REFUSED: Final = 23
OPTION_RULES: Final = 24
NO_UNDERLYING: Final = 25  # SETTLED: at its own last quote, because nobody told what the underlying costs
INSUFFICIENT_QTY: Final = 26  # it closes more than is held and not yet held by working orders (account rules: alpaca)

REASONS: Final = (
    "", "KILL_ACTIVE", "TRADING_STATE", "MALFORMED", "STALE_DATA", "MARKET_STATE", "PRICE_COLLAR", "POSITION_LIMIT",
    "EXPOSURE", "CASH_RESERVE", "DAILY_LOSS", "MSG_RATE", "OPEN_ORDERS", "UNKNOWN_ORDER", "RECONCILING",
    "SHORT_LOCATE", "SELF_TRADE", "PARENT_CHILD", "DUPLICATE_ORDER", "EXEC_THROTTLE", "REJECT_STORM", "BUYING_POWER",
    "NOT_AUTHORISED", "BROKER_REFUSED", "OPTION_RULES", "NO_UNDERLYING", "INSUFFICIENT_QTY",
)  # fmt: skip
"""The words of `orders.reason`, by number."""
