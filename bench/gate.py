"""What it costs to judge an order, and to hear of one more instrument, at 10, 1,000 and 10,000 instruments.

A chain of options on one underlying, of which eight are held. Judged are a purchase of the underlying (the sum of all
exposure) and a sale of an option that is covered by what is held (every option of its right). The cost is that of one
order in a compiled loop; of one announcement, the time a session takes over the note.
"""

from __future__ import annotations

import time
from datetime import date, timedelta
from typing import Any

import numpy as np

from bench.harness import machine, report
from gpi.formats.frame import Frame, Layout
from gpi.formats.instruments import Instruments, equity, format_occ, option
from gpi.formats.ticks import TICKS
from gpi.formats.words import BUY, GTC, LIMIT, QUOTE, SECOND, SELL
from gpi.tools.backtest.session import Session
from gpi.tools.backtest.setup import Setup, unlimited
from gpi.tools.kernels.jit import borrowing
from gpi.tools.kernels.orders import INTENT, NEW, Engine
from gpi.tools.kernels.trader.account import settle
from gpi.tools.kernels.trader.limits import judge
from gpi.tools.strategies.loading import load

SIZES = (10, 1_000, 10_000)
HELD = 8
TIMES = 20_000
START = 1_700_000_000 * SECOND


@borrowing
def judged(e: Engine, intent: Any, i: int, times: int) -> int:
    """Judge one order again and again."""
    found = 0
    for _ in range(times):
        found += judge(e, intent[0], i)
    return found


def chain(count: int) -> Instruments:
    """A share and `count` - 1 calls on it: as many strikes as needed, four expiries."""
    table = Instruments([equity("XYZ")])
    for k in range(count - 1):
        expiry = date(2023, 12, 15) + timedelta(days=7 * (k % 4))
        table.add(option(format_occ("XYZ", expiry, "C", 50 + 0.5 * (k // 4))))
    return table


def traded(table: Instruments) -> Session:
    """A session that has seen a quote of everything, and holds eight of the calls."""
    limits = unlimited()
    limits["allow_naked_options"] = 0.0
    limits["order_rate_per_s"] = 1.0
    session = Session(table.on(TICKS), Setup(load("market_making", {"size_fraction": 0.0}), limits, cash=1e9))
    session.step(quotes(len(table)))
    for i in range(1, HELD + 1):
        settle(session._engine, i, 0, BUY, 5.0, 10.0, 0.0)
    return session


def quotes(count: int) -> Frame:
    """A quote of everything."""
    one = {"kind": QUOTE, "ts_event": START, "bid_px": 10.0, "bid_sz": 1.0, "ask_px": 10.1, "ask_sz": 1.0}
    blank = {name: 0 for name in TICKS.names}
    return Frame.of(TICKS, {**blank, **one, "instrument_id": np.arange(count)})


def order(side: int, qty: float) -> Any:
    """One limit order inside the quote."""
    intent = np.zeros(1, INTENT)
    intent["what"], intent["side"], intent["order_type"], intent["tif"] = NEW, side, LIMIT, GTC
    intent["qty"], intent["px"] = qty, 10.05
    return intent


def cost(session: Session, intent: Any, i: int) -> float:
    """ns to judge one order: the least of five rounds."""
    found = []
    for _ in range(6):
        begun = time.perf_counter()
        refused = judged(session._engine, intent, i, TIMES)
        found.append((time.perf_counter() - begun) / TIMES * 1e9)
        if refused:
            raise ValueError(f"the order was refused: {refused / TIMES}")
    return min(found[1:])


def news(table: Instruments, session: Session) -> float:
    """us that a session takes over the announcement of one more option: the median of 50."""
    found = []
    for k in range(51):
        known = len(table)
        table.add(option(format_occ("XYZ", date(2024, 1, 19), "C", 1_000.0 + k)))
        note = Layout.of(TICKS).empty(0)
        note.notes = table.news(known)
        begun = time.perf_counter()
        session.step(note)
        found.append((time.perf_counter() - begun) * 1e6)
    return float(np.median(found[1:]))


def main() -> None:
    """Report."""
    print(f"# {machine()}")
    first: dict[str, float] = {}
    for count in SIZES:
        table = chain(count)
        session = traded(table)
        figures = {
            "a purchase": (cost(session, order(BUY, 1.0), 0), "ns"),
            "a covered sale of an option": (cost(session, order(SELL, 1.0), 1), "ns"),
            "one more instrument": (news(table, session), "us"),
        }
        for name, (value, unit) in figures.items():
            first.setdefault(name, value)
            report(f"{name}, {count:,} instruments", value, unit, f"{value / first[name]:.2f} of {SIZES[0]}")


if __name__ == "__main__":
    main()
