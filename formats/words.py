"""The integers of the wire, each written down once: kinds, sides, actions, reasons, and the units of time.

Nothing but numbers and what they say, without pyarrow, so that kernels can import them as well. Beside each group
stand its words (`*_WORDS`: the name of a number, and its meaning), of which docs/data.md is made; what a column means
stands with its schema in `gpi.formats.ticks`, `gpi.formats.orders` and `gpi.formats.execution`.
"""

from typing import Final

SECOND: Final = 1_000_000_000  # ns, as every time is
DAY_NS: Final = 86_400 * SECOND

# ticks.kind, a bit set
QUOTE: Final = 1
TRADE: Final = 2
STATUS: Final = 4
DEPTH: Final = 8

KIND_WORDS: Final[dict[str, str]] = {
    "QUOTE": "bid_*, ask_* hold the best bid and offer after this event",
    "TRADE": "trade_px, trade_sz, side hold an execution",
    "STATUS": "`flags` tells the trading state from now on",
    "DEPTH": "bids_px .. asks_sz hold the book levels after this event (only with depth columns)",
}

# ticks.order_act; 0: the row is about no order
ADD: Final = 1
REDUCE: Final = 2
DELETE: Final = 3
EXECUTE: Final = 4

ORDER_ACT_WORDS: Final[dict[str, str]] = {
    "ADD": "an order joined the displayed book, behind all others at its price",
    "REDUCE": "part of an order was cancelled; the rest kept its place",
    "DELETE": "all that was left of an order was cancelled",
    "EXECUTE": "an order, or a part of it, traded",
}

# ticks.flags, a bit set
HALTED: Final = 1
PAUSED: Final = 2
CLOSED: Final = 4
GAP: Final = 16
SNAPSHOT: Final = 32
OFF_EXCHANGE: Final = 64
HIDDEN: Final = 128
NO_PRICE: Final = 256

FLAG_WORDS: Final[dict[str, str]] = {
    "HALTED": "STATUS: trading is halted; a STATUS row without HALTED, PAUSED and CLOSED: trading is (again) open",
    "PAUSED": "STATUS: a volatility pause",
    "CLOSED": "STATUS: the session is over",
    "GAP": "events before this one were lost",
    "SNAPSHOT": "the book was replaced, not updated",
    "OFF_EXCHANGE": "TRADE: printed away from an exchange; never fills a resting order",
    "HIDDEN": "TRADE: against a hidden order; never consumes the displayed queue",
    "NO_PRICE": "TRADE, always with OFF_EXCHANGE: its price is not the market's (an average, out of sequence)",
}

# side
BUY: Final = 1
SELL: Final = -1
UNKNOWN_SIDE: Final = 0

SIDE_WORDS: Final[dict[str, str]] = {
    "BUY": "of a trade: the aggressor bought; of an order or a fill: it buys",
    "SELL": "of a trade: the aggressor sold; of an order or a fill: it sells",
    "UNKNOWN_SIDE": "nobody said, or the row has none",
}

# orders.action
SUBMIT: Final = 1
REFUSE: Final = 2
CANCEL: Final = 3
ACCEPTED: Final = 4
REJECTED: Final = 5
CANCELED: Final = 6
EXPIRED: Final = 7
FILLED: Final = 8
REPLACED: Final = 9
TRIGGERED: Final = 10
HELD: Final = 11
REPLACE: Final = 12
REDUCED: Final = 13
SETTLED: Final = 14

ACTION_WORDS: Final[dict[str, str]] = {
    "SUBMIT": "intent passed the gate and was sent",
    "REFUSE": "intent stopped at the gate, `reason` says why",
    "CANCEL": "cancel request sent",
    "ACCEPTED": "the venue has it",
    "REJECTED": "the venue would not have it",
    "CANCELED": "gone from the venue, `leaves` unfilled",
    "EXPIRED": "time in force ended it",
    "FILLED": "a fill, partial if `leaves` > 0; its row stands in fills too",
    "REPLACED": "the venue took a replacement: `qty`, `px`, `leaves` hold from now on",
    "TRIGGERED": "a stop was reached: the order is live from now on",
    "HELD": "the venue has it and keeps it back, for its parent's fill or for an auction",
    "REPLACE": "replace request sent",
    "REDUCED": "the venue shrank it, because its sibling filled in part: `qty` and `leaves` hold from now on",
    "SETTLED": "no order: an option ended, `px` is what a unit was paid (of the shares: the strike); in fills too",
}

ACTIONS: Final = ("", *(name.lower() for name in ACTION_WORDS))
"""The words of `orders.action`, by number."""

# orders.order_type; 0: a cancel or a settlement has none
LIMIT: Final = 1
MARKET: Final = 2
STOP: Final = 3
STOP_LIMIT: Final = 4
TRAILING: Final = 5
MLEG: Final = 6

ORDER_TYPE_WORDS: Final[dict[str, str]] = {
    "LIMIT": "at `px` or better",
    "MARKET": "at the market",
    "STOP": "a market order once the last trade reaches its stop price",
    "STOP_LIMIT": "a limit order once it does",
    "TRAILING": "a stop that follows the best trade since it arrived at a distance",
    "MLEG": "a leg of an order of 2 to 4: all fill or none; `px` is the net of a unit, a debit, NaN: at the market",
}

# orders.tif
GTC: Final = 1
IOC: Final = 2
DAY: Final = 3
FOK: Final = 4
OPG: Final = 5
CLS: Final = 6

TIF_WORDS: Final[dict[str, str]] = {
    "GTC": "good till cancelled; 90 days at most",
    "IOC": "what does not fill at once expires",
    "DAY": "until the session's close",
    "FOK": "all at once or nothing",
    "OPG": "in the opening auction",
    "CLS": "in the closing auction",
}

# fills.liquidity; 0: settled
MAKER: Final = 1
TAKER: Final = 2

LIQUIDITY_WORDS: Final[dict[str, str]] = {
    "MAKER": "our order rested and was met",
    "TAKER": "our order met what rested",
}

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
NO_UNDERLYING: Final = 25
INSUFFICIENT_QTY: Final = 26

REASON_WORDS: Final[dict[str, str]] = {
    "KILL_ACTIVE": "the kill switch was pulled",
    "TRADING_STATE": "the session is halted; or it only reduces, and this adds risk",
    "MALFORMED": "no order can be like that, or nobody announced its instrument; a broker could not read it",
    "STALE_DATA": "the quote decided on is older than `stale_data_s`, or has not two sides",
    "MARKET_STATE": "the instrument is halted, paused, closed, or waits for its first quote after that",
    "PRICE_COLLAR": "its price is farther from the mid than `price_collar`",
    "POSITION_LIMIT": "with all that works on its side filled: beyond `position_limit`, or short without `allow_short`",
    "EXPOSURE": "with all instruments at their worst: beyond `gross_exposure`",
    "CASH_RESERVE": "a buy that would touch `cash_reserve`",
    "DAILY_LOSS": "the day has lost `daily_loss`: only reductions pass",
    "MSG_RATE": "more new orders within a second than `order_rate_per_s`",
    "OPEN_ORDERS": "`max_open_orders` are open",
    "UNKNOWN_ORDER": "a cancel or replacement of an order that is not, or no longer, open",
    "RECONCILING": "what is held or open of the symbol at the broker is in doubt: nothing that adds exposure",
    "SHORT_LOCATE": "a short of what nobody lends",
    "SELF_TRADE": "it could meet an order of our own",
    "PARENT_CHILD": "a leg or sibling that is not known to undo its parent, or is larger, or on the wrong side",
    "DUPLICATE_ORDER": "the same order was just sent and is open",
    "EXEC_THROTTLE": "too many orders or executions: trading halts, and what is refused after says TRADING_STATE",
    "REJECT_STORM": "too many orders refused in a row: trading halts, and what is refused after says TRADING_STATE",
    "BUYING_POWER": "the broker: not enough buying power or balance",
    "NOT_AUTHORISED": "the broker: the key or the account may not",
    "BROKER_REFUSED": "the broker refused for a reason without a word here, or the request never left",
    "OPTION_RULES": "an uncovered short, too near the series' end, or beyond `max_contracts`",
    "NO_UNDERLYING": "SETTLED: at its own last quote, because nobody told what the underlying costs",
    "INSUFFICIENT_QTY": "it closes more than is held and not yet held by working orders (account rules: alpaca)",
}

REASONS: Final = ("", *REASON_WORDS)
"""The words of `orders.reason`, by number."""
