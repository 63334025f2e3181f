"""What a Python strategy sees at a tick, and how it says what it wants.

class Patient:
    def __init__(self, size: float = 100.0) -> None:
        self.size = size

    def on_tick(self, view: View) -> None:
        if view.position == 0 and not view.orders and view.bid_px > 0:
            view.buy(self.size, view.bid_px)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple, Protocol

from gpi.tools.kernels import orders
from gpi.tools.kernels.orders import BUY, DAY, GTC, IOC, LIMIT, MARKET, OUTLOOK, SELL, Array

TIFS: Final = {"gtc": GTC, "ioc": IOC, "day": DAY}


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
    `buying` and `selling` are the unfilled sizes of our working orders.
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

    def buy(self, qty: float, px: float | None = None, tif: str = "gtc") -> None:
        """Want to buy: a limit order at `px`, a market order without; `tif` is gtc, ioc or day."""
        self._want(BUY, qty, px, tif)

    def sell(self, qty: float, px: float | None = None, tif: str = "gtc") -> None:
        """Want to sell: a limit order at `px`, a market order without."""
        self._want(SELL, qty, px, tif)

    def cancel(self, order_id: int) -> None:
        """Want an open order gone; a fill may still come first."""
        self.written[0] = orders.cancel(self.intents, self.written[0], order_id)

    def _want(self, side: int, qty: float, px: float | None, tif: str) -> None:
        kind, price = (MARKET, float("nan")) if px is None else (LIMIT, float(px))
        duration = IOC if px is None else TIFS[tif]
        self.written[0] = orders.intend(self.intents, self.written[0], side, kind, duration, float(qty), price)


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
