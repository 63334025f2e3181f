"""What a Python strategy sees at a tick, and how it says what it wants.

class Patient:
    def __init__(self, size: float = 100.0) -> None:
        self.size = size

    def on_tick(self, view: View) -> None:
        if view.position == 0 and not view.orders and view.bid_px > 0:
            view.buy(self.size, view.bid_px)

Beside `on_tick` a strategy may have `on_start(view)`, before its first tick; `on_fill(fill, view)` and
`on_order(event, view)`, for everything that has happened to its orders, before the tick that brings it;
`on_timer(view)`, every TIMER_S seconds of event time; and `on_end()`. NEEDS names the columns it cannot do without,
or single elements of them ("features.ret_5s").
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple, Protocol

import numpy as np

from gpi.formats.words import BUY, CLS, DAY, FOK, GTC, IOC, LIMIT, MARKET, OPG, SELL, STOP, STOP_LIMIT, TRAILING
from gpi.tools.kernels import orders
from gpi.tools.kernels.orders import Array
from gpi.tools.strategies.around import Around
from gpi.tools.strategies.told import OpenOrder, Outlook

TIFS: Final = {"gtc": GTC, "ioc": IOC, "day": DAY, "fok": FOK, "opg": OPG, "cls": CLS}
NAN: Final = float("nan")
NO_FEATURES: Final = np.zeros(0, np.float32)


class View(NamedTuple):
    """The market, the account and our orders at one tick. Prices are NaN where absent.

    `ts` is the trader's event time in ns; `kind`, `side`, `tick_flags` are the tick's own; `phase` 1 means
    open; `state` 0 trade, 1 only reduce, 2 nothing; `fills` counts fills that arrived with this tick;
    `buying` and `selling` are the unfilled sizes of our working orders; `no_flip` 1: no order may close more than is
    held and not held by working orders. Numbers and `orders` stay as they are in a view that is kept; everything else
    is asked of the stream, and only while the tick is there.
    """

    ts: int
    instrument_id: int
    kind: int
    side: int
    tick_flags: int
    phase: int
    state: int
    killed: int
    fills: int
    n_orders: int
    no_flip: int
    bid_px: float
    bid_sz: float
    ask_px: float
    ask_sz: float
    trade_px: float
    trade_sz: float
    mid: float
    imbalance: float
    position: float
    avg_px: float
    realized: float
    buying: float
    selling: float
    cash: float
    equity: float
    total_realized: float
    exposure: float
    maker_bps: float
    taker_bps: float
    tick_size: float
    lot_size: float
    multiplier: float
    orders: tuple[OpenOrder, ...]
    around: Around
    tick: int

    @property
    def symbol(self) -> str:
        """Of the tick's instrument; its number where the stream has no table."""
        return self.around.symbol(self.instrument_id)

    @property
    def market(self) -> Around:
        """Every instrument by symbol: `view.market["MSFT"].bid_px`; iterates over the symbols."""
        return self.around.during(self.tick)

    def column(self, name: str) -> Any:
        """A column's value at this tick: a number, or a vector (a copy). Raises SchemaMismatch without the column."""
        return self.around.during(self.tick).column(name)

    def feature(self, name: str) -> float:
        """An element of a vector column by its name: "ret_5s", or "features.ret_5s". Raises SchemaMismatch."""
        return float(self.around.during(self.tick).column(name))

    @property
    def features(self) -> Array:
        """The column `features`; empty where the stream has none."""
        around = self.around.during(self.tick)
        found: Array = around.column("features") if "features" in around.frame else NO_FEATURES
        return found

    @property
    def outlook(self) -> Outlook:
        """What the encoder and the pattern bank expect."""
        return self.around.during(self.tick).outlook()

    def orders_in(self, symbol: str) -> tuple[OpenOrder, ...]:
        """Our open orders in another instrument, buys first, best price first."""
        return self.around.during(self.tick).orders_in(symbol)

    @property
    def intents(self) -> Array:
        """The records that become orders after this tick, for the writers of `gpi.tools.kernels.orders`."""
        intents: Array = self.around.during(self.tick).e.intents
        return intents

    @property
    def written(self) -> list[int]:
        """How many intents are written: [n]."""
        return self.around.during(self.tick).written

    def buy(
        self,
        qty: float,
        px: float | None = None,
        tif: str | None = None,
        stop: float | None = None,
        extended: bool = False,
        symbol: str | None = None,
    ) -> None:
        """Want to buy: a limit order at `px`, a market order without; only once a trade reaches `stop`, if given.

        `tif`: gtc, day, ioc, fok, opg, cls; without one ioc for market orders, gtc for the rest. `extended`: a limit
        order that may trade before and after the regular session. `symbol`: in another instrument than the tick's.
        """
        self._want(BUY, qty, px, tif, stop, extended, symbol)

    def sell(
        self,
        qty: float,
        px: float | None = None,
        tif: str | None = None,
        stop: float | None = None,
        extended: bool = False,
        symbol: str | None = None,
    ) -> None:
        """Want to sell; as `buy`."""
        self._want(SELL, qty, px, tif, stop, extended, symbol)

    def trail(self, side: int, qty: float, distance: float, fraction: bool = False, tif: str = "gtc") -> None:
        """Want a stop that follows the best trade at a distance: in currency, or a fraction of it."""
        self._write(side, TRAILING, TIFS[tif], qty, NAN, NAN, distance, int(fraction))

    def bracket(
        self, side: int, qty: float, px: float | None, profit: float, stop: float, stop_limit: float | None = None
    ) -> None:
        """Want to enter at `px` (None: at the market) and to leave at `profit` or at `stop`, whichever comes first."""
        enter, leave = NAN if px is None else px, NAN if stop_limit is None else stop_limit
        self.written[0] = orders.bracket(self.intents, self.written[0], side, qty, enter, profit, stop, leave)

    def one_cancels_other(
        self, side: int, qty: float, profit: float, stop: float, stop_limit: float | None = None
    ) -> None:
        """Want to leave a position at `profit` or at `stop`, whichever comes first; `side` is that of both orders."""
        leave = NAN if stop_limit is None else stop_limit
        self.written[0] = orders.one_cancels_other(self.intents, self.written[0], side, qty, profit, stop, leave)

    def multi_leg(
        self, legs: Sequence[tuple[int, int, int]], units: float, net: float | None = None, tif: str = "day"
    ) -> None:
        """Want an order of 2 to 4 legs, (instrument_id, side, contracts per unit) each: all legs fill, or none.

        `net`: the most to pay for a unit, per share; negative: the least to be paid; None: the market. Cancelled by the
        id of any leg.
        """
        at, limit = self.written[0], NAN if net is None else float(net)
        for nth, (instrument_id, side, ratio) in enumerate(legs):
            at = orders.leg(self.intents, at, nth, instrument_id, side, ratio, float(units), limit, TIFS[tif])
        self.written[0] = at

    def replace(self, order_id: int, qty: float | None = None, px: float | None = None) -> None:
        """Want an open order to have another size in all, or another limit; a fill that comes first wins."""
        size, price = NAN if qty is None else float(qty), NAN if px is None else float(px)
        self.written[0] = orders.replace(self.intents, self.written[0], order_id, size, price)

    def cancel(self, order_id: int, symbol: str | None = None) -> None:
        """Want an open order gone, in another instrument where `symbol` names it; a fill may still come first."""
        at = self.written[0]
        self.written[0] = orders.cancel(self.intents, at, order_id)
        self._elsewhere(at, symbol)

    def _elsewhere(self, at: int, symbol: str | None) -> None:
        if symbol is not None and self.written[0] > at:
            self.intents[at].instrument_id = self.around.named(symbol)

    def _want(
        self, side: int, qty: float, px: float | None, tif: str | None, stop: float | None, extended: bool,
        symbol: str | None,
    ) -> None:  # fmt: skip
        if stop is None:
            kind = MARKET if px is None else LIMIT
            duration = (IOC if px is None else GTC) if tif is None else TIFS[tif]
        else:
            kind, duration = (STOP if px is None else STOP_LIMIT), GTC if tif is None else TIFS[tif]
        at = self.written[0]
        self._write(side, kind, duration, qty, NAN if px is None else px, NAN if stop is None else stop, NAN, 0)
        if extended and self.written[0] > at:
            self.intents[at].extended = 1
        self._elsewhere(at, symbol)

    def _write(
        self, side: int, kind: int, tif: int, qty: float, px: float, stop: float, trail: float, fraction: int
    ) -> None:
        given = (float(qty), float(px), float(stop), float(trail))
        at = self.written[0]
        self.written[0] = orders.write_intent(self.intents, at, side, kind, tif, *given, fraction, 0, 0)


class PythonStrategy(Protocol):
    """A strategy in plain Python."""

    def on_tick(self, view: View) -> None:
        """Look at the view and call its `buy`, `sell` and `cancel`."""
