"""Small markets and scripted traders for the tests of the engine."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gpi.formats.frame import Frame
from gpi.formats.ticks import ticks
from gpi.formats.words import DEPTH, HALTED, HIDDEN, LIMIT, MARKET, QUOTE, STATUS, TRADE
from gpi.tools.backtest.session import Session
from gpi.tools.backtest.setup import Latency, Setup, Terms
from gpi.tools.backtest.traded import Traded, joined
from gpi.tools.kernels import orders
from gpi.tools.strategies.loading import Strategy, strategy
from gpi.tools.strategies.view import View

START = 1_700_000_000_000_000_000
TICK = 0.01
INSTANT = Latency(0, 0, 0)
Tick = Mapping[str, Any]


def frame(market: Sequence[Tick], levels: int = 0, by_order: bool = False) -> Frame:
    """Ticks told as dicts, prices in whole ticks, as a frame.

    Keys: ts, i, bid, ask (px, size) or None, bids, asks (lists), trade (side, px, size, hidden), halt,
    and, by order, event (act, ref, side, px, size).
    """
    made = (
        Frame.of(ticks(levels, by_order), {name: 0 for name in ticks(levels, by_order).names})
        if not market
        else _blank(len(market), levels, by_order)
    )
    for row, tick in enumerate(market):
        _write(made, row, tick)
    return made


def _blank(rows: int, levels: int, by_order: bool) -> Frame:
    schema = ticks(levels, by_order)
    empty = {name: np.nan if name.endswith("_px") else 0 for name in schema.names}
    columns = {
        name: np.full((rows, levels) if name[:4] in ("bids", "asks") else rows, value) for name, value in empty.items()
    }
    return Frame.of(schema, columns)


def _write(made: Frame, row: int, tick: Tick) -> None:
    made["ts_event"][row] = made["ts_recv"][row] = tick["ts"]
    made["instrument_id"][row], made["seq"][row] = tick.get("i", 0), row
    kind = 0
    for side in ("bid", "ask"):
        levels = tick.get(side + "s")
        best = (levels or [None])[0] if side + "s" in tick else tick.get(side)
        if side in tick or side + "s" in tick:
            kind |= QUOTE
        if best:
            made[side + "_px"][row], made[side + "_sz"][row] = best[0] * TICK, best[1]
        for k, (px, size) in enumerate(levels or []):
            made[side + "s_px"][row, k], made[side + "s_sz"][row, k] = px * TICK, size
        kind |= DEPTH if side + "s" in tick else 0
    if "trade" in tick:
        side, px, size, hidden = tick["trade"]
        kind |= TRADE
        made["side"][row], made["trade_px"][row], made["trade_sz"][row] = side, px * TICK, size
        made["flags"][row] |= HIDDEN if hidden else 0
    if "event" in tick:
        for name, value in zip(("act", "ref", "side", "px", "sz"), tick["event"], strict=True):
            made[f"order_{name}"][row] = value * TICK if name == "px" else value
    if "halt" in tick:
        kind |= STATUS
        made["flags"][row] |= HALTED if tick["halt"] else 0
    made["kind"][row] = kind


class Scripted:
    """Follows a script: tick number -> wishes: (side, qty, px or None, tif), an id to cancel, or a call on the view."""

    def __init__(self, script: Mapping[int, Sequence[Any]]) -> None:
        self.script, self.now = script, 0
        self.views: list[View] = []

    def on_tick(self, view: View) -> None:
        """Say what the script says."""
        self.views.append(view)
        for wish in self.script.get(self.now, ()):
            if callable(wish):
                wish(view)
            elif isinstance(wish, int):
                view.cancel(wish)
            else:
                side, qty, px, tif = wish
                kind = MARKET if px is None else LIMIT
                price = np.nan if px is None else px * TICK
                n = view.written[0]
                view.written[0] = orders.intend(view.intents, n, side, kind, tif, qty, price)
        self.now += 1


def scripted(script: Mapping[int, Sequence[Any]]) -> tuple[Strategy, Scripted]:
    """A scripted trader as a strategy, and the trader itself."""
    trader = Scripted(script)
    kind = type("Scripted", (), {"on_tick": staticmethod(trader.on_tick), "__module__": __name__})
    return strategy(kind, {}, "scripted"), trader


def setup(script: Mapping[int, Sequence[Any]], **changes: Any) -> Setup:
    """A setup without limits, fees or latency around a scripted trader."""
    made, _ = scripted(script)
    given = {"latency": INSTANT, "terms": Terms(default=(TICK, 1.0, 1.0)), **changes}
    return Setup(made, **given)


def trade(market: Sequence[Tick], script: Mapping[int, Sequence[Any]], levels: int = 0, **changes: Any) -> Traded:
    """Everything a scripted trader does in a market, to the end."""
    ticks = frame(market, levels, any("event" in tick for tick in market))
    session = Session(ticks.layout.schema, setup(script, **changes))
    return joined([session.step(ticks), session.finish()])


def told(traded: Traded) -> list[tuple[str, int, float]]:
    """The orders' events as (action, order id, qty)."""
    from gpi.formats.words import ACTIONS

    rows = traded.orders
    return [
        (ACTIONS[a], int(i), float(q)) for a, i, q in zip(rows["action"], rows["order_id"], rows["qty"], strict=True)
    ]
