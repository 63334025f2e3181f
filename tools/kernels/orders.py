"""The records the trading kernels share: words, dtypes, and how a strategy writes an intent.

Numbers that also stand in `gpi.formats.orders` and `gpi.formats.ticks` are repeated here because kernels
know only numbers; a test compares them. All times are int64 ns, all prices and sizes float64, NaN means
absent.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from gpi.tools.kernels.jit import jit

Array = npt.NDArray[Any]

QUOTE, TRADE, STATUS, DEPTH = 1, 2, 4, 8  # ticks.kind
HALTED, PAUSED, CLOSED, GAP, OFF_EXCHANGE, HIDDEN = 1, 2, 4, 16, 64, 128  # ticks.flags
BUY, SELL = 1, -1
SUBMIT, REFUSE, CANCEL, ACCEPTED, REJECTED, CANCELED, EXPIRED, FILLED = range(1, 9)  # orders.action
REPLACED, TRIGGERED, HELD, REPLACE = range(9, 13)
LIMIT, MARKET, STOP, STOP_LIMIT, TRAILING = range(1, 6)
GTC, IOC, DAY, FOK, OPG, CLS = range(1, 7)
MAKER, TAKER = 1, 2

KILL_ACTIVE, TRADING_STATE, MALFORMED, STALE_DATA, MARKET_STATE, PRICE_COLLAR, POSITION_LIMIT = range(1, 8)
EXPOSURE, CASH_RESERVE, DAILY_LOSS, MSG_RATE, OPEN_ORDERS, UNKNOWN_ORDER, RECONCILING = range(8, 15)  # orders.reason

WAITING, OPEN, STOPPED = 0, 1, 2  # instrument.phase: no fresh quote yet, trading, halted
ACTIVE, REDUCING, STANDING = 0, 1, 2  # desk.state: trade, only reduce, nothing at all
IN_FLIGHT, RESTING, SWEEPING, GONE = 0, 1, 2, 3  # order.place at the venue
NEW, WITHDRAW = 1, 2  # intent.what and request.kind
ROOM, POOL, WIRE, INSTRUMENTS, FOREIGN = 1, 2, 3, 4, 5  # desk.stop: why a run returned early
SECOND: Final = 1_000_000_000
DAY_NS: Final = 86_400 * SECOND
NEVER: Final = np.iinfo(np.int64).max
MAX_INTENTS: Final = 32  # intents of one decision
REQUESTS, RESPONSES = 0, 1  # the two rings of the wire
CONSERVATIVE, PAPER = 0, 1  # desk.policy: how recorded liquidity fills our orders


def record(ints: str, floats: str) -> np.dtype[Any]:
    """A record dtype of named int64 and float64 fields: works with the JIT on and off.

    Raises ValueError for a name that numpy's scalars own (`size`, `flags`, `mean`), which only the JIT
    would find.
    """
    owned = [name for name in (ints + " " + floats).split() if hasattr(np.record, name)]
    if owned:
        raise ValueError(f"numpy records have an attribute {owned[0]!r} of their own: use another word")
    fields = [(name, np.int64) for name in ints.split()] + [(name, np.float64) for name in floats.split()]
    return np.dtype((np.record, fields))


LIMIT_NAMES: Final = (
    "position_limit", "gross_exposure", "cash_reserve", "daily_loss", "price_collar", "stale_data_s",
    "order_rate_per_s", "max_open_orders", "allow_short",
)  # fmt: skip
LIMITS: Final = record("", " ".join(LIMIT_NAMES))
"""What the gate enforces; fractions of equity, seconds, counts, allow_short 0 or 1."""

DESK: Final = record(
    "feed_ns order_ns response_ns stale_ns order_rate max_open_orders allow_short known"
    " external now row late day state loss_day killed kill_row next_id open_orders open_buys second filled stop"
    " request_at requests response_at responses sent_at free free_slots policy rng"
    " n_orders n_fills n_equity",
    "position_limit gross_exposure cash_reserve daily_loss price_collar"
    " maker_bps taker_bps per_share sell_bps sell_per_share"
    " start_cash cash realized fees holdings exposure equity peak day_equity buy_cost",
)
"""One record: limits, fees, latencies, the account as the trader knows it, ring positions, output cursors.

`external`: orders go to a broker outside; what comes back is put on the wire from there, nothing is matched here.
`known`: how many instruments the stream has announced, 0 when it announces none (then all can be traded).
"""

INSTRUMENT: Final = record(
    "phase blocked quote_ts buys sells n_buys n_sells",
    "tick_size lot_size multiplier near bid_px bid_sz ask_px ask_sz mid imbalance"
    " position avg_px realized buying selling value",
)
"""Per instrument: terms, the last quote, heads of the two order lists, position and working sizes.

`blocked`: something about it is not known outside (an order in doubt, a foreign position): no new exposure.
"""

ORDER: Final = record(
    "order_id instrument_id side order_type tif place canceling accepted prev next",
    "px rank unit_cost qty leaves seen queue",
)
"""A live order. `leaves` and `queue` are the venue's truth, `seen` is what the trader knows is unfilled."""

MESSAGE: Final = record("due ts kind slot order_id liquidity reason", "qty px leaves fee")
"""Something under way between trader and venue; it arrives at `due`."""

INTENT: Final = record("what instrument_id side order_type tif order_id", "qty px")
"""A strategy's wish; write it with `limit`, `market` or `cancel` below."""

WORKING: Final = record("order_id side order_type tif accepted canceling", "px qty leaves")
"""One of the strategy's own open orders, as the trader knows it."""

VIEW: Final = record(
    "ts instrument_id kind side tick_flags phase state killed fills n_orders",
    "bid_px bid_sz ask_px ask_sz trade_px trade_sz mid imbalance position avg_px realized buying selling"
    " cash equity total_realized exposure maker_bps taker_bps tick_size lot_size multiplier",
)
"""What a strategy sees at a tick. `fills`: how many reached it since its last decision, of all instruments."""

ORDER_ROW: Final = np.dtype(
    (np.record, [
        ("ts_event", np.int64), ("instrument_id", np.int32), ("order_id", np.int64), ("action", np.int8),
        ("side", np.int8), ("order_type", np.int8), ("tif", np.int8), ("reason", np.int16),
        *[(name, np.float64) for name in ("qty", "px", "leaves", "mid", "position", "cash", "equity")],
    ])
)  # fmt: skip
FILL_ROW: Final = np.dtype(
    (np.record, [
        ("ts_event", np.int64), ("instrument_id", np.int32), ("order_id", np.int64), ("side", np.int8),
        ("liquidity", np.int8),
        *[(name, np.float64) for name in ("qty", "px", "fee", "position", "cash")],
    ])
)  # fmt: skip
EQUITY_ROW: Final = np.dtype(
    (np.record, [
        ("ts_event", np.int64),
        *[(name, np.float64) for name in ("cash", "equity", "exposure", "realized", "fees", "drawdown")],
    ])
)  # fmt: skip

OUTLOOK: Final = (
    "p_down", "p_flat", "p_up", "volatility",
    "match_return", "match_win_rate", "match_confidence", "match_count",
)  # fmt: skip


@jit
def limit(intents: Array, n: int, side: int, qty: float, px: float) -> int:
    """Write a good-till-cancelled limit order as intent `n`; returns the new count (unchanged when full)."""
    return intend(intents, n, side, LIMIT, GTC, qty, px)


@jit
def take(intents: Array, n: int, side: int, qty: float, px: float) -> int:
    """Write an immediate-or-cancel limit order as intent `n`; returns the new count."""
    return intend(intents, n, side, LIMIT, IOC, qty, px)


@jit
def market(intents: Array, n: int, side: int, qty: float) -> int:
    """Write a market order as intent `n`; returns the new count."""
    return intend(intents, n, side, MARKET, IOC, qty, np.nan)


@jit
def intend(intents: Array, n: int, side: int, order_type: int, tif: int, qty: float, px: float) -> int:
    """Write any new order, in the instrument of the view, as intent `n`; returns the new count."""
    if n >= intents.shape[0]:
        return n
    wish = intents[n]
    wish.what = NEW
    wish.instrument_id = -1
    wish.side = side
    wish.order_type = order_type
    wish.tif = tif
    wish.order_id = 0
    wish.qty = qty
    wish.px = px
    return n + 1


@jit
def cancel(intents: Array, n: int, order_id: int) -> int:
    """Write the cancellation of one of our orders in the instrument of the view; returns the new count."""
    if n >= intents.shape[0]:
        return n
    wish = intents[n]
    wish.what = WITHDRAW
    wish.instrument_id = -1
    wish.order_id = order_id
    return n + 1
