"""What a trading session is set up with: fees, latencies, terms, cash, limits, a strategy."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import numpy as np

from gpi.formats.errors import BadInput, UsageError
from gpi.formats.instruments import Instruments
from gpi.formats.market.fees import SCHEDULES
from gpi.tools.backtest.contracts import Contract, contracts, scheduled
from gpi.tools.backtest.delays import Delays
from gpi.tools.kernels.exchange.options import TRAVEL, spread_shares
from gpi.tools.kernels.orders import ACTIVE, CONSERVATIVE, FIFO, LIKELY, LIKELY_POWER, LIMITS, PAPER, WHOLE, Array

MS: Final = 1_000_000
WORDS: Final = ("tick size", "lot size", "multiplier", "default")
TINY, HUGE = np.nextafter(0.0, 1.0), np.finfo(np.float64).max  # above nothing, below infinity


@dataclass(frozen=True, slots=True)
class Fees:
    """What a venue charges per fill; negative is a rebate. Sell-side charges come on top."""

    maker_bps: float = 0.0
    taker_bps: float = 0.0
    per_share: float = 0.0
    sell_bps: float = 0.0
    sell_per_share: float = 0.0


ZERO: Final = Fees()
ALPACA_EQUITY: Final = Fees(sell_bps=0.278, sell_per_share=0.000166)
"""No commission; SEC section 31 (27.80 USD per million sold) and FINRA TAF as they stood in 2024."""
BINANCE_SPOT: Final = Fees(maker_bps=10.0, taker_bps=10.0)
"""The regular tier without BNB discount."""
PRESETS: Final[Mapping[str, Fees]] = {
    "zero": ZERO,
    "alpaca_equity": ALPACA_EQUITY,
    "binance_spot": BINANCE_SPOT,
}


@dataclass(frozen=True, slots=True)
class Latency:
    """Constant delays in ns: venue to trader for data, trader to venue, venue to trader for responses.

    The defaults are a well-placed cloud machine: stamps are taken where the data arrives, an order needs 1
    ms, its answer 1 ms more. A retail line to a US broker is nearer to 10-20 ms each way.
    """

    feed_ns: int = 0
    order_ns: int = 1 * MS
    response_ns: int = 1 * MS

    def __post_init__(self) -> None:
        if min(self.feed_ns, self.order_ns, self.response_ns) < 0:
            raise UsageError("a latency cannot be negative")
        if self.response_ns < self.feed_ns:
            raise UsageError("response_ns must be at least feed_ns: responses travel no faster than the data")


@dataclass(frozen=True, slots=True)
class Terms:
    """Tick size, lot size and multiplier per instrument_id; instruments beyond the arrays get `default`.

    A tick or lot size of 0 means that any price or size is allowed; an infinite lot size, that nothing is.
    Raises BadInput for terms that no instrument can have: no limit could be kept with them.
    """

    tick_size: tuple[float, ...] = ()
    lot_size: tuple[float, ...] = ()
    multiplier: tuple[float, ...] = ()
    default: tuple[float, float, float] = (0.01, 1.0, 1.0)
    listed: tuple[float, ...] = ()
    """1 for what keeps the US exchanges' hours: shares and listed options."""
    contracts: tuple[Contract, ...] = ()
    """What is an option, and which (`gpi.tools.backtest.contracts`)."""
    charged: tuple[float, ...] = ()
    """Which of `gpi.tools.backtest.contracts.SCHEDULED` is charged where the schedule is auto."""

    def __post_init__(self) -> None:
        for values, name in zip((self.tick_size, self.lot_size, self.multiplier, self.default), WORDS, strict=True):
            them = np.asarray(values, np.float64)
            low = np.array([0.0, 0.0, TINY]) if name == "default" else 0.0 if name != "multiplier" else TINY
            high = np.array([HUGE, math.inf, HUGE]) if name == "default" else math.inf if name == "lot size" else HUGE
            wrong = ~((them >= low) & (them <= high))
            if wrong.any():
                i = int(wrong.argmax())
                name, i = (WORDS[i], len(self.tick_size)) if name == "default" else (name, i)
                raise BadInput(f"instrument_id {i} has the {name} {them[wrong][0]}: no order could be judged with it")

    @classmethod
    def announced(cls, instruments: Instruments) -> Terms:
        """The terms of a stream's instrument table; an index cannot be traded."""
        return cls().grown(instruments, 0)

    def grown(self, instruments: Instruments, first: int) -> Terms:
        """These terms, and those of the table's rows from id `first` on.

        Everything is looked at again where these are not the terms of the rows before, or where a row is what options
        before it are on: those did not know its id.
        """
        rows = [instruments[i] for i in range(first, len(instruments))]
        late = any(0 <= instruments.first_on(row.symbol.removeprefix("I:")) < first for row in rows)
        if first and (len(self.tick_size) != first or late):
            return Terms(default=self.default).grown(instruments, 0)
        more = contracts(instruments, first)
        contracted = (*self.contracts, *[()] * (first - len(self.contracts)), *more) if more else self.contracts
        return Terms(
            (*self.tick_size, *(row.tick_size for row in rows)),
            (*self.lot_size, *(math.inf if row.asset_class == "index" else row.lot_size for row in rows)),
            (*self.multiplier, *(row.multiplier for row in rows)),
            self.default,
            (*self.listed, *(float(row.asset_class in ("equity", "option")) for row in rows)),
            contracted,
            (*self.charged, *(float(scheduled(row)) for row in rows)),
        )

    def upto(self, count: int) -> tuple[tuple[Any, ...], ...]:
        """Everything that is told of the first instruments."""
        told = (self.tick_size, self.lot_size, self.multiplier, self.listed, self.contracts, self.charged)
        return tuple(each[:count] for each in told)

    def of(self, i: int) -> tuple[float, float, float]:
        """(tick size, lot size, multiplier) of instrument `i`."""
        given = (self.tick_size, self.lot_size, self.multiplier)
        tick, lot, multiplier = (v[i] if i < len(v) else d for v, d in zip(given, self.default, strict=True))
        return tick, lot, multiplier


POLICIES: Final[Mapping[str, int]] = {
    "conservative": CONSERVATIVE, "alpaca-paper": PAPER, "queue": LIKELY, "whole": WHOLE, "fifo": FIFO,
}  # fmt: skip
"""How recorded liquidity fills our orders (`--fill`): `gpi.tools.kernels.exchange.matching`, `paper`.

conservative: a queue that only trades and shrinking sizes shorten, liquidity given once. queue: of what is cancelled
at our price a part stood before us. whole: as conservative, but what is reached fills whole, whatever the size: with
hftbacktest's RiskAdverseQueueModel and NoPartialFillExchange. fifo: the queue known order by order, from a stream that
tells it. alpaca-paper: against the best quote, as they say it.
"""
SELF_TRADES: Final = ("allow", "refuse", "cancel-oldest")
ACCOUNTS: Final = ("any", "alpaca")


@dataclass(frozen=True, slots=True)
class Rules:
    """What a venue does besides matching."""

    fill: str = "conservative"
    """A name of POLICIES."""
    queue_power: float = LIKELY_POWER
    """Of the policy `queue`: the power of the queue model, 0 for logarithms."""
    hours: bool = False
    """Orders not for extended hours sleep outside the regular session. DAY orders end at the close in any case."""
    self_trade: str = "allow"
    """What becomes of an order that could meet our own: a name of SELF_TRADES."""
    bands: int = 0
    """LULD: 1 or 2 for the tier of every share, 0 for none."""
    breaker: tuple[str, float] | None = None
    """The symbol whose fall by 7, 13, 20 % from this previous close stops the market; `Session` looks its id up."""
    breaker_id: int = -1
    unshortable: tuple[int, ...] = ()
    """Ids of instruments that nobody lends."""
    unlent: tuple[str, ...] = ()
    """Their symbols, where the ids are not known before the stream is: `Session` looks them up."""
    account: str = "any"
    """A name of ACCOUNTS. alpaca: no order closes more than is held and not held by working orders already, so that
    none carries a position through zero; none meets our own (`self_trade` refuse, unless it says otherwise), cancelled
    or not; and coins are not sold short."""
    option_slippage: tuple[float, ...] = tuple(TRAVEL.tolist())
    """Options: the share of the spread that an order of 1, 2, ... legs travels; 1.0: all of it, options fill as shares
    do. Of no account with alpaca-paper, which takes the far side."""
    exercised: float = 1.0
    """Options: of the contracts that end in the money, the share exercised; our shorts are drawn by the seed."""

    def __post_init__(self) -> None:
        if self.fill not in POLICIES:
            raise UsageError(f"--fill {self.fill}: choose {', '.join(POLICIES)}")
        if self.self_trade not in SELF_TRADES:
            raise UsageError(f"--self-trade {self.self_trade}: choose {', '.join(SELF_TRADES)}")
        if self.account not in ACCOUNTS:
            raise UsageError(f"--account-rules {self.account}: choose {', '.join(ACCOUNTS)}")
        try:
            spread_shares(self.option_slippage, POLICIES[self.fill])
        except ValueError as wrong:
            raise UsageError(f"--option-slippage: {wrong}") from None
        if not 0.0 <= self.exercised <= 1.0:
            raise UsageError("what is exercised is a share from 0 to 1")
        if self.breaker is not None and not 0.0 < self.breaker[1] < math.inf:
            raise UsageError(f"--breaker {self.breaker[0]}: the previous close is a price, such as SPY:585.20")
        if self.bands not in (0, 1, 2) or not 0.0 <= self.queue_power < math.inf:
            raise UsageError(
                "LULD bands are of tier 1 or 2 (0: none), the power of a queue model is a number from 0 on"
            )


class Strategy(Protocol):
    """What the session needs of a strategy; `gpi.tools.strategies.loading` makes them."""

    @property
    def name(self) -> str:
        """As the user called it."""

    @property
    def values(self) -> Mapping[str, Any]:
        """Parameters by name, as recorded."""

    @property
    def digest(self) -> str:
        """Of the strategy's source."""

    @property
    def needs(self) -> tuple[str, ...]:
        """Columns it cannot do without."""

    @property
    def wants(self) -> tuple[str, ...]:
        """Columns it looks at where the stream has them."""

    @property
    def params(self) -> Array:
        """The parameters as the record `decide` reads."""

    @property
    def symbols(self) -> Mapping[str, tuple[str, ...]]:
        """Parameters that name instruments: a session writes their ids into its `params`."""

    @property
    def memory(self) -> np.dtype[Any]:
        """One zeroed record of this per instrument is its memory."""

    @property
    def begin(self) -> Callable[[], Any]:
        """Gives a session a Python strategy of its own, at work (`plain.Seat`); of a compiled one its `decide`."""

    @property
    def run(self) -> Callable[..., int] | None:
        """The compiled batch loop around `decide`; None: `decide` is plain Python and called row by row."""


def unlimited() -> Array:
    """Limits that refuse nothing that is well formed: for tests and studies of the matching alone."""
    limits = np.zeros(1, LIMITS)
    for name in ("position_limit", "gross_exposure", "daily_loss", "price_collar"):
        limits[0][name] = 1e9
    limits[0].cash_reserve = -1e9
    limits[0].stale_data_s = 1e9
    limits[0].order_rate_per_s = 100_000
    limits[0].max_open_orders = 1e6
    limits[0].allow_short = limits[0].allow_naked_options = 1.0
    limits[0].max_contracts = 1e9
    return limits


@dataclass(frozen=True, slots=True)
class Setup:
    """Everything that decides a session's result besides the ticks; all of it stands in the manifest."""

    strategy: Strategy
    limits: Array = field(default_factory=unlimited)
    fees: Fees = ZERO
    latency: Latency = Latency()
    cash: float = 1_000_000.0
    terms: Terms | None = None
    """None: those of the stream's instrument table."""
    seed: int = 0
    trading_state: int = ACTIVE
    """ACTIVE, REDUCING or STANDING (`gpi.tools.kernels.orders`)."""
    kill_row: int | None = None
    """Pull the kill switch at this row: how a run that was killed is reproduced."""
    rules: Rules = Rules()
    schedule: str = ""
    """A name of `gpi.formats.market.fees.SCHEDULES`, looked up for every trading day, in the place of `fees`; auto:
    what `Terms.charged` says, instrument by instrument."""
    delays: Delays = Delays()
    """Delays that are drawn or recorded, in the place of the constant ones of `latency`."""
    external: bool = False
    """Orders go to a broker outside, whose answers come through `Session.answer`; cash and state come from there."""

    def __post_init__(self) -> None:
        if self.schedule and self.schedule not in (*SCHEDULES, "auto"):
            raise UsageError(f"--fees {self.schedule}: choose auto, {', '.join(SCHEDULES)}")
        if not 0.0 <= self.cash < math.inf:
            raise UsageError(f"the cash to start with is a number from 0 on, not {self.cash}")
