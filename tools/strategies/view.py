"""What a Python strategy sees at a tick, and how it says what it wants.

class Patient:
    def __init__(self, size: float = 100.0) -> None:
        self.size = size

    def on_tick(self, view: View) -> None:
        if view.position == 0 and not view.orders and view.bid_px > 0:
            view.buy(self.size, view.bid_px)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, Protocol

from gpi.tools.kernels import orders
from gpi.tools.kernels.orders import (
    BUY,
    CLS,
    DAY,
    FOK,
    GTC,
    IOC,
    LIMIT,
    MARKET,
    OPG,
    OUTLOOK,
    SELL,
    STOP,
    STOP_LIMIT,
    TRAILING,
    Array,
)

TIFS: Final = {"gtc": GTC, "ioc": IOC, "day": DAY, "fok": FOK, "opg": OPG, "cls": CLS}
NAN: Final = float("nan")


class OpenOrder(NamedTuple):
    """One of our open orders in the view's instrument, as far as we know. `side` is 1 or -1."""

    order_id: int
    side: int
    order_type: int
    tif: int
    accepted: int
    canceling: int
    px: float
    qty: float
    leaves: float
    stop_px: float


class Outlook(NamedTuple):
    """What the encoder and the pattern bank expect; NaN where the stream lacks the stage."""

    p_down: float
    p_flat: float
    p_up: float
    volatility: float
    match_return: float
    match_win_rate: float
    match_confidence: float
    match_count: float


class View(NamedTuple):
    """The market, the account and our orders at one tick. Prices are NaN where absent.

    `ts` is the trader's event time in ns; `kind`, `side`, `tick_flags` are the tick's own; `phase` 1 means
    open; `state` 0 trade, 1 only reduce, 2 nothing; `fills` counts fills that arrived with this tick;
    `buying` and `selling` are the unfilled sizes of our working orders; `no_flip` 1: no order may close more than is
    held and not held by working orders.
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
    features: Array
    outlook: Outlook
    orders: tuple[OpenOrder, ...]
    intents: Array
    written: list[int]

    def buy(
        self,
        qty: float,
        px: float | None = None,
        tif: str | None = None,
        stop: float | None = None,
        extended: bool = False,
    ) -> None:
        """Want to buy: a limit order at `px`, a market order without; only once a trade reaches `stop`, if given.

        `tif`: gtc, day, ioc, fok, opg, cls; without one ioc for market orders, gtc for the rest. `extended`: a limit
        order that may trade before and after the regular session.
        """
        self._want(BUY, qty, px, tif, stop, extended)

    def sell(
        self,
        qty: float,
        px: float | None = None,
        tif: str | None = None,
        stop: float | None = None,
        extended: bool = False,
    ) -> None:
        """Want to sell; as `buy`."""
        self._want(SELL, qty, px, tif, stop, extended)

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

    def cancel(self, order_id: int) -> None:
        """Want an open order gone; a fill may still come first."""
        self.written[0] = orders.cancel(self.intents, self.written[0], order_id)

    def _want(
        self, side: int, qty: float, px: float | None, tif: str | None, stop: float | None, extended: bool
    ) -> None:
        if stop is None:
            kind = MARKET if px is None else LIMIT
            duration = (IOC if px is None else GTC) if tif is None else TIFS[tif]
        else:
            kind, duration = (STOP if px is None else STOP_LIMIT), GTC if tif is None else TIFS[tif]
        at = self.written[0]
        self._write(side, kind, duration, qty, NAN if px is None else px, NAN if stop is None else stop, NAN, 0)
        if extended and self.written[0] > at:
            self.intents[at].extended = 1

    def _write(
        self, side: int, kind: int, tif: int, qty: float, px: float, stop: float, trail: float, fraction: int
    ) -> None:
        given = (float(qty), float(px), float(stop), float(trail))
        at = self.written[0]
        self.written[0] = orders.wish_for(self.intents, at, side, kind, tif, *given, fraction, 0, 0)


class PythonStrategy(Protocol):
    """A strategy in plain Python."""

    def on_tick(self, view: View) -> None:
        """Look at the view and call its `buy`, `sell` and `cancel`."""


def deciding(strategy: PythonStrategy) -> Callable[..., int]:
    """A Python strategy as a `decide` function, called exactly like a compiled one."""

    def decide(
        memory: Array,
        params: Array,
        view: Array,
        features: Array,
        outlook: Array,
        mine: Array,
        n_orders: int,
        intents: Array,
    ) -> int:
        own = tuple(OpenOrder(*mine[k].item()) for k in range(n_orders))
        written = [0]
        # The frame is on loan, and a strategy may keep its views: the features are copied.
        seen: Any = (*view[0].item(), features.copy(), Outlook(*outlook.tolist()), own, intents, written)
        strategy.on_tick(View(*seen))
        return written[0]

    return decide


assert Outlook._fields == OUTLOOK
