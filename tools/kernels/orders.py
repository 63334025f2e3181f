"""The records the trading kernels share: words, dtypes, and how a strategy writes an intent.

The words that a strategy needs (BUY, IOC ...) can be imported from here as well; they are those of
`gpi.formats.words`. All times are int64 ns, all prices and sizes float64, NaN means absent.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from gpi.formats.words import BUY as BUY
from gpi.formats.words import CLS as CLS
from gpi.formats.words import DAY as DAY
from gpi.formats.words import FOK as FOK
from gpi.formats.words import GTC as GTC
from gpi.formats.words import IOC as IOC
from gpi.formats.words import LIMIT as LIMIT
from gpi.formats.words import MARKET as MARKET
from gpi.formats.words import MLEG as MLEG
from gpi.formats.words import OPG as OPG
from gpi.formats.words import SECOND as SECOND
from gpi.formats.words import SELL as SELL
from gpi.formats.words import STOP as STOP
from gpi.formats.words import STOP_LIMIT as STOP_LIMIT
from gpi.formats.words import TRADE as TRADE
from gpi.formats.words import TRAILING as TRAILING
from gpi.tools.kernels.jit import borrowing
from gpi.tools.kernels.shared import Shared, at_address

Array = npt.NDArray[Any]


WAITING, OPEN, STOPPED = 0, 1, 2  # instrument.phase: no fresh quote yet, trading, halted
ACTIVE, REDUCING, STANDING = 0, 1, 2  # account.state: trade, only reduce, nothing at all
IN_FLIGHT, RESTING, SWEEPING, GONE = 0, 1, 2, 3  # order.place at the venue
DORMANT, WITHHELD, GATHERED, ASLEEP, READY = 4, 5, 6, 7, 8  # a stop, a child, for an auction, for the session, woken
COMBINED: Final = 9  # order.place: a leg that waits for all legs of its order
NEW, WITHDRAW, AMEND = 1, 2, 3  # intent.what and request.kind
ROOM, POOL, TRANSIT, INSTRUMENTS, FOREIGN, BELL, PAUSES, FULL = range(1, 9)  # cursor.stop: why a run returned early
SHUT, EARLY, REGULAR, LATE = 0, 1, 2, 3  # clock.part of the trading day
BAND_STEPS: Final = 10  # of 30 seconds: the five minutes of a reference price
NEVER: Final = np.iinfo(np.int64).max
MAX_INTENTS: Final = 32  # intents of one decision
MAX_LEGS: Final = 4  # of one order
NOBODY: Final = -9  # a parent or sibling that is none of our orders
REQUESTS, RESPONSES = 0, 1  # the two rings of what is under way; in the rows behind them are tables of delays
CONSERVATIVE, PAPER, LIKELY, WHOLE, FIFO = 0, 1, 2, 3, 4  # venue.policy: how recorded liquidity fills our orders
LIKELY_POWER: Final = (
    3.0  # of the queue model that guesses who cancelled: closest to real orders (bench/queue_truth.py)
)
ALLOW, REFUSE_NEWEST, CANCEL_OLDEST = 0, 1, 2  # gate.self_trade: our order would meet our own


def record(ints: str, floats: str, arrays: str = "", width: int = 0) -> np.dtype[Any]:
    """A record dtype of named int64 and float64 fields, and float64 arrays of `width`: with the JIT on and off.

    Raises ValueError for a name that numpy's scalars own (`size`, `flags`, `mean`), which only the JIT
    would find.
    """
    owned = [name for name in (ints + " " + floats + " " + arrays).split() if hasattr(np.record, name)]
    if owned:
        raise ValueError(f"numpy records have an attribute {owned[0]!r} of their own: use another word")
    fields: list[Any] = [(name, np.int64) for name in ints.split()] + [(name, np.float64) for name in floats.split()]
    fields += [(name, np.float64, (width,)) for name in arrays.split()]
    return np.dtype((np.record, fields))


LIMIT_NAMES: Final = (
    "position_limit", "gross_exposure", "cash_reserve", "daily_loss", "price_collar", "stale_data_s",
    "order_rate_per_s", "max_open_orders", "allow_short", "allow_naked_options", "option_expiry_s", "max_contracts",
)  # fmt: skip
LIMITS: Final = record("", " ".join(LIMIT_NAMES))
"""What the gate enforces; fractions of equity, seconds, counts, what is allowed 0 or 1."""

CLOCK: Final = record("now day second row late part bell day_bell opened fed", "")
"""Event time as the trader knows it (`now`), its UTC day and second, rows seen and how many came late.

`bell`: when the kernel has to stop next: at `day_bell`, when the next part of the trading day begins, or where an
option series ends (`instrument.due`); `part` is the present part of the day, `opened` when its regular session
began. `fed`: the venue's time of the last tick, where the feed's delay varies.
"""

ACCOUNT: Final = record(
    "state killed kill_row loss_day open_orders open_buys filled",
    "start_cash cash realized fees holdings exposure gross equity peak day_equity buy_cost",
)
"""The account as the trader knows it. `state`: the operator's; `loss_day` 1 from a breach of the daily loss to the end
of the UTC day, measured from `day_equity`; `filled`: fills since the last decision; `gross`: the exposure at worst
(`gpi.tools.kernels.trader.exposure`); `buy_cost`: the cash that working orders to buy may take.
"""

CASH: Final = record("", "amount rate")
"""What the account has of a currency, and what one of it is worth in the account's own; the first is that one, rate 1.
ACCOUNT.cash is all of them at their rates."""

POSITION: Final = record("", "position avg_px realized fees")
"""What a book, one strategy's share of the account, has in an instrument; INSTRUMENT has the sum over the books."""

GATE: Final = record(
    "stale_ns order_rate max_open_orders allow_short allow_naked option_expiry_ns no_flip self_trade known",
    "position_limit gross_exposure cash_reserve daily_loss price_collar max_contracts",
)
"""What the gate holds orders to. `known`: how many instruments the stream has announced, 0 when it announces none (then
all can be traded). `no_flip`: 1 where no order may close more than is held and not held by working orders, and one
that is being cancelled still counts as our own in the way: Alpaca's rules.
"""

VENUE: Final = record(
    "policy rng unusual waking hours crossing external banded pauses", "likely_power", "spread_shares", MAX_LEGS
)
"""How orders fill. `policy`; `rng`: the draws of a policy that draws; `waking`: orders that became live in this tick.

`external`: orders go to a broker outside; what comes back is put on the wire from there, nothing is matched here.
`unusual`: 1 where a plain order does not simply meet the display (`hours`, `crossing`, PAPER); `hours`: 1 keeps orders
that may not trade outside the regular session asleep there; `crossing`: 1 lets orders of different accounts meet;
`banded`: 1 keeps LULD bands or a breaker; `pauses` counts what began and ended; `likely_power`: of the queue model that
guesses who cancelled (0: logarithms); `spread_shares`: the share of the spread that orders of 1 to 4 legs travel.
"""

RINGS: Final = record("request_at requests response_at responses sent_at free free_slots next_id kept active", "")
"""Where the rings of the wire and of what was sent stand, the free slots of the pool, the next order's id, and how many
entries the table of orders behind ours has (`gpi.tools.kernels.exchange.queues`), how many instruments are `active`.
"""

DELAYS: Final = record(
    "feed_ns order_ns response_ns varies seed feed_varies asked answered last_request last_response",
    "", "model floor mu sigma row rows", MAX_LEGS,
)  # fmt: skip
"""Constant delays; `varies`: 1 where not all are, then the arrays hold the models
(`gpi.tools.kernels.exchange.delays`), `asked` and `answered` count messages; `feed_varies`: 1 where the feed's is one
of them.
"""

BREAKER: Final = record("index level session until", "close_px last_px")
"""1 + the id of the index whose fall stops the market (0: none), its level, session, end and prices."""

COMBO: Final = record("legs", "", "side ratio bid ask shown tick px", MAX_LEGS)
"""Scratch of `gpi.tools.kernels.exchange.legs`: an order's legs beside their quotes."""

CURSOR: Final = record("stop n_orders n_fills n_equity", "")
"""Why a run returned early, and how many rows of each table it has told."""

FEE_TABLE: Final = record(
    "dated day rounding",
    "maker_bps taker_bps per_share sell_bps sell_per_share sell_cap audit_per_share clearing_per_share clearing_cap"
    " levy section_31 activity audit clearing",
)
"""Fees of a kind of instrument (`instrument.fees`), and what has accrued on the trading day. `dated`: 1 where they
follow a schedule, looked up for trading day `day`.
"""

INSTRUMENT: Final = record(
    "phase blocked quote_ts buys sells n_buys n_sells stops auctions listed unshortable last_ts"
    " band_tier limit_since pause_until window_at"
    " currency fees right american physical under group last_trade settled stage due combined joins"
    " active chained next_in_chain",
    "tick_size lot_size multiplier near bid_px bid_sz ask_px ask_sz mid imbalance"
    " position avg_px realized buying selling value last_px last_sz opening_px"
    " reference band_low band_high strike spread_share spread_selling reach",
    "band_sums band_counts", BAND_STEPS,
)  # fmt: skip
"""Per instrument: terms, the last quote, heads of the two order lists, position and working sizes.

`blocked`: something about it is not known outside (an order in doubt, a foreign position): no new exposure.
`stops`, `auctions`: 1 while such orders may stand here; `listed`: 1 for what keeps the exchange's hours.
`currency`: which CASH it is paid in. `fees`: which FEE_TABLE are charged. `right` 1 call, -1 put, 0 no option: `under`
is the id of what it is on (-1: not in the stream), `group` the same for all options on that, `stage` 0 trades, 1 has
stopped (at `last_trade`), 2 was settled, `due` when it comes to the next. `spread_share`: the share of the spread a
fill travels; 0: as the rest fills. `combined`: 1 while orders of several legs may stand here; `spread_selling`: the
part of `selling` that such orders sell whose own legs cover it. `last_px`: the last trade on an exchange; `band_tier`
and what follows belong to `gpi.tools.kernels.exchange.bands`. `joins`: how many orders of others were seen joining
behind one of ours. `active`, `chained`, `next_in_chain`, `reach` belong to `gpi.tools.kernels.trader.exposure`.
"""

ORDER: Final = record(
    "order_id instrument_id side order_type tif place canceling accepted prev next"
    " special family parent sibling parent_slot sibling_slot leg leg_too parent_end"
    " begun uncounted amending extended trail_fraction since account legs mate ratio covered joined book",
    "px rank unit_cost qty leaves seen queue stop_px trail told_px told_qty pending shown traded net",
)
"""A live order. `leaves`, `queue`, `px` and `qty` are the venue's truth; `seen`, `told_px` and `told_qty` the trader's.

`special`: more than a plain limit or market order, `family`: it has a parent, a sibling or legs (slots, checked by id).
`parent_end`: 1 the parent has filled, 2 it ended otherwise. `uncounted`: it works for no risk of its own (a leg that
can only undo its parent). `pending`: risk of replacements under way, `amending` how many. `shown`, `traded`: the size
displayed at our price and what traded there since, for the queue model that guesses. `book`: whose it is.
`joined`: `instrument.joins` when it got its place, for the queue known order by order.
MLEG, one of `legs` legs: `mate` is the next one's slot, in a ring, `parent` the first one's id, `ratio` its contracts
per unit, `net` the limit of a unit (NaN: none), `covered` 1 where the legs cover each other.
"""

MESSAGE: Final = record("due ts kind slot order_id liquidity reason", "qty px leaves fee stop_px trail")
"""Something under way between trader and venue; it arrives at `due`."""

INTENT: Final = record(
    "what instrument_id side order_type tif order_id parent sibling trail_fraction extended legs ratio covered book",
    "qty px stop_px trail tied",
)
"""A strategy's intent; write it with `limit`, `market`, `stop`, `bracket`, `cancel`, `replace` ... below.

`parent`, `sibling`: an order id, or -k for the order that the k-th intent before this one makes.
MLEG: consecutive intents are the legs of one order, written with `leg`: `legs` is their number in the first, -1, -2
and so on in the others; `ratio` contracts per unit, `qty` contracts, `px` the limit of a unit: a debit, a credit is
negative, NaN takes the market. The gate fills in `covered`, and `tied`: what a contract ties up in cash.
"""

WORKING: Final = record("order_id side order_type tif accepted canceling", "px qty leaves stop_px")
"""One of the strategy's own open orders, as the trader knows it."""

VIEW: Final = record(
    "ts instrument_id kind side tick_flags phase state killed fills n_orders no_flip",
    "bid_px bid_sz ask_px ask_sz trade_px trade_sz mid imbalance position avg_px realized buying selling"
    " cash equity total_realized exposure maker_bps taker_bps tick_size lot_size multiplier",
)
"""What a strategy sees at a tick. `fills`: how many reached it since its last decision, of all instruments."""

MARKET_VIEW: Final = record(
    "instrument_id phase under group n_buys n_sells",
    "bid_px bid_sz ask_px ask_sz mid last_px last_sz position buying selling",
)
"""What a strategy sees of every instrument at any time, by id: a copy that it may not trade by writing into.

`phase` 1 means open; `under` is the id of what an option is on (-1: not in the stream), `group` the same for all
options on that; `buying` and `selling` are the unfilled sizes of `n_buys` and `n_sells` working orders.
"""

ORDER_ROW: Final = np.dtype(
    (np.record, [
        ("ts_event", np.int64), ("instrument_id", np.int32), ("order_id", np.int64), ("action", np.int8),
        ("side", np.int8), ("order_type", np.int8), ("tif", np.int8), ("reason", np.int16),
        *[(name, np.float64) for name in ("qty", "px", "leaves", "mid", "position", "cash", "equity")],
        ("parent", np.int64),
    ])
)  # fmt: skip
FILL_ROW: Final = np.dtype(
    (np.record, [
        ("ts_event", np.int64), ("instrument_id", np.int32), ("order_id", np.int64), ("side", np.int8),
        ("liquidity", np.int8),
        *[(name, np.float64) for name in ("qty", "px", "fee", "position", "cash")],
        ("parent", np.int64),
    ])
)  # fmt: skip
EQUITY_ROW: Final = np.dtype(
    (np.record, [
        ("ts_event", np.int64),
        *[(name, np.float64) for name in ("cash", "equity", "exposure", "realized", "fees", "drawdown")],
    ])
)  # fmt: skip

ENTRY: Final = np.dtype(
    (np.record, [("used", "i8"), ("instrument_id", "i8"), ("side", "i8"), ("ref", "i8"), ("turn", "i8"),
                 ("px", "f8"), ("left", "f8")])
)  # fmt: skip
"""An order behind one of ours: its place among the joins of its instrument, its price, what is left of it."""


class Engine(Shared):
    """Everything a venue and a trader remember, as the kernels share it."""

    RECORDS = {
        "clock": CLOCK, "account": ACCOUNT, "gate": GATE, "venue": VENUE, "rings": RINGS, "delays": DELAYS,
        "breaker": BREAKER, "combo": COMBO, "cursor": CURSOR,
    }  # fmt: skip
    ARRAYS = {
        "cash": (CASH, 1), "positions": (POSITION, 2), "fees": (FEE_TABLE, 1), "instruments": (INSTRUMENT, 1),
        "ladders": (np.dtype(np.float64), 3), "active": (np.dtype(np.int64), 1), "chains": (np.dtype(np.int64), 2),
        "pool": (ORDER, 1), "transit": (MESSAGE, 2), "sent": (np.dtype(np.int64), 1), "behind": (ENTRY, 1),
        "orders": (ORDER_ROW, 1), "fills": (FILL_ROW, 1), "equity": (EQUITY_ROW, 1),
        "market": (MARKET_VIEW, 1), "seen": (VIEW, 1), "mine": (WORKING, 1), "intents": (INTENT, 1),
    }  # fmt: skip

    clock: Any
    account: Any
    gate: Any
    venue: Any
    rings: Any
    delays: Any
    breaker: Any
    combo: Any
    cursor: Any
    cash: Array
    positions: Array
    fees: Array
    instruments: Array
    ladders: Array
    active: Array
    chains: Array
    pool: Array
    transit: Array
    sent: Array
    behind: Array
    orders: Array
    fills: Array
    equity: Array
    market: Array
    seen: Array
    mine: Array
    intents: Array


engine_at = at_address(Engine)


@borrowing
def limit(intents: Array, n: int, side: int, qty: float, px: float) -> int:
    """Write a good-till-cancelled limit order as intent `n`; returns the new count (unchanged when full)."""
    return intend(intents, n, side, LIMIT, GTC, qty, px)


@borrowing
def take(intents: Array, n: int, side: int, qty: float, px: float) -> int:
    """Write an immediate-or-cancel limit order as intent `n`; returns the new count."""
    return intend(intents, n, side, LIMIT, IOC, qty, px)


@borrowing
def market(intents: Array, n: int, side: int, qty: float) -> int:
    """Write a market order as intent `n`; returns the new count."""
    return intend(intents, n, side, MARKET, IOC, qty, np.nan)


@borrowing
def stop(intents: Array, n: int, side: int, qty: float, stop_px: float) -> int:
    """Write a stop order, good till cancelled: a market order once a trade reaches `stop_px`; the new count."""
    return write_intent(intents, n, side, STOP, GTC, qty, np.nan, stop_px, np.nan, 0, 0, 0)


@borrowing
def stop_limit(intents: Array, n: int, side: int, qty: float, stop_px: float, px: float) -> int:
    """Write a stop-limit order: a limit order at `px` once a trade reaches `stop_px`; returns the new count."""
    return write_intent(intents, n, side, STOP_LIMIT, GTC, qty, px, stop_px, np.nan, 0, 0, 0)


@borrowing
def trailing(intents: Array, n: int, side: int, qty: float, trail: float, fraction: int) -> int:
    """Write a trailing stop, `trail` behind the best trade: currency, or a fraction of it where `fraction` is 1."""
    return write_intent(intents, n, side, TRAILING, GTC, qty, np.nan, np.nan, trail, fraction, 0, 0)


@borrowing
def bracket(
    intents: Array, n: int, side: int, qty: float, px: float, profit_px: float, stop_px: float, loss_px: float
) -> int:
    """Write an entry with its two exits, of which one ends the other; returns the new count.

    `px` NaN enters at the market; `loss_px` NaN makes the stop a market order. Unchanged when three do not fit.
    """
    if n + 3 > intents.shape[0]:
        return n
    entry, loss = (MARKET if px != px else LIMIT), (STOP if loss_px != loss_px else STOP_LIMIT)
    n = write_intent(intents, n, side, entry, DAY, qty, px, np.nan, np.nan, 0, 0, 0)
    n = write_intent(intents, n, -side, LIMIT, GTC, qty, profit_px, np.nan, np.nan, 0, -1, 0)
    return write_intent(intents, n, -side, loss, GTC, qty, loss_px, stop_px, np.nan, 0, -2, -1)


@borrowing
def one_cancels_other(
    intents: Array, n: int, side: int, qty: float, profit_px: float, stop_px: float, loss_px: float
) -> int:
    """Write a limit order and a stop of which one ends the other; returns the new count, unchanged without room."""
    if n + 2 > intents.shape[0]:
        return n
    loss = STOP if loss_px != loss_px else STOP_LIMIT
    n = write_intent(intents, n, side, LIMIT, GTC, qty, profit_px, np.nan, np.nan, 0, 0, 0)
    return write_intent(intents, n, side, loss, GTC, qty, loss_px, stop_px, np.nan, 0, 0, -1)


@borrowing
def leg(
    intents: Array, n: int, nth: int, instrument_id: int, side: int, ratio: int, units: float, net: float, tif: int
) -> int:
    """Write the nth leg (0, 1, 2, 3) of an order of several as intent `n`, right behind the one before; the new count.

    `ratio` contracts per unit; `units`, the net limit of a unit `net` (a debit, a credit is negative, NaN: none) and
    `tif` are those of the whole order. Unchanged at the first leg when four do not fit.
    """
    if nth == 0 and n + MAX_LEGS > intents.shape[0]:
        return n
    if nth >= MAX_LEGS:
        intents[n - MAX_LEGS].legs = nth + 1  # too many: the gate refuses it
        return n
    if nth > 0 and (nth > n or intents[n - nth].order_type != MLEG or intents[n - nth].legs != nth):
        return n
    n = write_intent(intents, n, side, MLEG, tif, units * ratio, net, np.nan, np.nan, 0, -1, 0)
    intents[n - 1].instrument_id = instrument_id
    intents[n - 1].ratio = ratio
    intents[n - 1].legs = -nth
    intents[n - 1 - nth].legs = nth + 1
    return n


@borrowing
def replace(intents: Array, n: int, order_id: int, qty: float, px: float) -> int:
    """Write that one of our orders shall have `qty` in all and the limit `px` (NaN: as it is); the new count.

    A fill that comes first wins. Its place in the queue is kept when nothing but the size shrinks.
    """
    m = write_intent(intents, n, 0, 0, 0, qty, px, np.nan, np.nan, 0, 0, 0)
    if m > n:
        intents[n].what = AMEND
        intents[n].order_id = order_id
    return m


@borrowing
def elsewhere(intents: Array, n: int, instrument_id: int) -> int:
    """Say that the intent written last is about another instrument than the view's; returns the count `n`."""
    if n > 0:
        intents[n - 1].instrument_id = instrument_id
    return n


@borrowing
def intend(intents: Array, n: int, side: int, order_type: int, tif: int, qty: float, px: float) -> int:
    """Write any plain new order, in the instrument of the view, as intent `n`; returns the new count."""
    return write_intent(intents, n, side, order_type, tif, qty, px, np.nan, np.nan, 0, 0, 0)


@borrowing
def write_intent(
    intents: Array, n: int, side: int, order_type: int, tif: int, qty: float, px: float,
    stop_px: float, trail: float, trail_fraction: int, parent: int, sibling: int,
) -> int:  # fmt: skip
    """Write any new order, in the instrument of the view, as intent `n`; returns the new count."""
    if n >= intents.shape[0]:
        return n
    intent = intents[n]
    intent.what = NEW
    intent.instrument_id = -1
    intent.side = side
    intent.order_type = order_type
    intent.tif = tif
    intent.order_id = 0
    intent.parent = parent
    intent.sibling = sibling
    intent.trail_fraction = trail_fraction
    intent.extended = 0
    intent.qty = qty
    intent.px = px
    intent.stop_px = stop_px
    intent.trail = trail
    return n + 1


@borrowing
def cancel(intents: Array, n: int, order_id: int) -> int:
    """Write the cancellation of one of our orders in the instrument of the view; returns the new count."""
    if n >= intents.shape[0]:
        return n
    intent = intents[n]
    intent.what = WITHDRAW
    intent.instrument_id = -1
    intent.order_id = order_id
    return n + 1
