"""F17 to F19: orders whose lives do not go by the book, markets that stop, refusals that must not become loops."""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from typing import Final

import pyarrow.parquet as pq

from gpi.formats.words import HALTED, PAUSED, REASONS, REJECTED
from gpi.tools.chaos.desk import Desk
from gpi.tools.chaos.lab import Lab
from gpi.tools.chaos.processes import until
from gpi.tools.chaos.rows import Case, Row

MANY: Final = tuple(f"S{at:02d}" for at in range(12))


def races(lab: Lab, case: Case) -> None:
    """F17: accepted then rejected, filled after the cancel, fills taken back and corrected."""
    with Desk(lab, case, MANY) as desk:
        desk.start("Churn", every=1, hold_s=0.2)
        if desk.trading() is None:
            return
        desk.venue.fault("reject", probability=0.1)
        desk.venue.fault("cancel-loses", probability=0.3)
        for turn in range(30):
            desk.market.tick(10)
            if turn % 6 == 3:
                desk.venue.control(bust={})
                desk.seen.count("busts")
            if turn % 6 == 5:
                price = round(100 + case.dice.uniform(-0.5, 0.5), 2)
                desk.venue.control(correct={"price": price})
                desk.seen.count("corrections")
        struck = desk.venue.state()["faults"]["struck"]
        desk.seen.count("late rejects", sum(n for name, n in struck.items() if name.startswith("reject@")))
        desk.seen.count("fills after cancel", sum(n for name, n in struck.items() if name.startswith("cancel-loses@")))
        desk.venue.clear()
        desk.seen.within("journal = venue s", desk.settled(10), 10)
        desk.finish()
        desk.judge()


def halts(lab: Lab, case: Case) -> None:
    """F18: a halt or a volatility pause; no order after the status, none after the resume before a fresh quote."""
    with Desk(lab, case) as desk:
        desk.start("Churn", every=1, hold_s=0.5)
        if desk.trading() is None:
            return
        for flag, name in ((HALTED, "halt"), (PAUSED, "luld"), (HALTED, "mwcb")):
            stopped = desk.market.symbols if name == "mwcb" else ("SPY",)
            desk.market.tick(30)
            time.sleep(0.4)
            desk.venue.control(**{name: {} if name == "mwcb" else {"symbol": "SPY"}})
            for symbol in stopped:
                desk.market.status(symbol, flag)
            before = _orders(desk, stopped)
            desk.market.tick(40)
            time.sleep(0.3)
            desk.seen.expect(_orders(desk, stopped) == before, f"{name}: orders after the status message")
            desk.venue.control(resume={} if name == "mwcb" else {"symbol": "SPY"})
            for symbol in stopped:
                desk.market.status(symbol, 0)
            time.sleep(0.2)
            desk.seen.expect(_orders(desk, stopped) == before, f"{name}: orders on the resume, before a fresh quote")
            again = until(lambda s=stopped, b=before: desk.market.tick(4) or _orders(desk, s) > b, 10, 0.01)  # type: ignore[misc]
            desk.seen.within("trading again after the resume s", again, 10)
            desk.seen.count(name)
        desk.finish()
        desk.judge()


def _orders(desk: Desk, symbols: tuple[str, ...]) -> int:
    return sum(order["symbol"] in symbols for order in desk.venue.account()["orders"])


def refusals(lab: Lab, case: Case) -> None:
    """F19: assets that are suddenly not tradable or not shortable, wash trades, quantities held for other orders."""
    with Desk(lab, case, MANY) as desk:
        desk.start("Clumsy", every=1, hold_s=1.0)
        if desk.trading() is None:
            return
        for symbol in MANY[:2]:
            desk.venue.control(asset={"symbol": symbol, "tradable": False})
        for symbol in MANY[2:4]:
            desk.venue.control(asset={"symbol": symbol, "shortable": False})
        for _ in range(60):
            desk.market.tick(12)
        time.sleep(0.5)
        desk.market.end()
        if desk.trader:
            desk.trader.wait(30)
        posts = _posts(desk)
        desk.seen.count("refusals", sum(_refused(desk).values()))
        desk.seen.expect(
            max(posts.values(), default=0) <= 2, f"an order was sent {max(posts.values(), default=0)} times"
        )
        reasons = _reasons(desk)
        desk.seen.expect("" not in reasons, f"refusals without a reason: {dict(reasons)}")
        for name, times in sorted(reasons.items()):
            desk.seen.count(name, times)
        desk.seen.expect(sum(reasons.values()) > 0, "nothing was refused: this row shows nothing")
        desk.judge()


def _posts(desk: Desk) -> Counter[str]:
    """How often each order was sent, by the journal's record of replies."""
    with sqlite3.connect(f"file:{desk.journal}?mode=ro", uri=True) as db:
        rows = db.execute("SELECT source, count(*) FROM events WHERE source LIKE 'POST %' GROUP BY source").fetchall()
    db.close()
    return Counter({source.partition(" ")[2]: times for source, times in rows})


def _refused(desk: Desk) -> Counter[str]:
    counters = desk.venue.state()["counters"]
    return Counter({name: n for name, n in counters.items() if name == "rest.orders.post.refused"})


def _reasons(desk: Desk) -> Counter[str]:
    """Why orders were rejected, as the session was told."""
    path = desk.run / "orders.parquet"
    if not path.exists():
        return Counter()
    table = pq.read_table(path, columns=["action", "reason"])
    actions, reasons = table["action"].to_numpy(), table["reason"].to_numpy()
    return Counter(REASONS[int(code)] for code in reasons[actions == REJECTED])


ROWS: Final = (
    Row(
        "F17",
        "rejected after the accept, filled after the cancel, busted and corrected fills",
        "I3-I5; a cancel is a request",
        races,
        short=1,
        long=50,
    ),
    Row(
        "F18",
        "halt, volatility pause, market-wide breaker, resume",
        "0 new orders after the status; none on the resume before a fresh two-sided quote",
        halts,
        short=1,
        long=20,
    ),
    Row(
        "F19",
        "not tradable, not shortable, wash trades, held for orders",
        "mapped to a reason; <= 1 retry after a change of state; no loop",
        refusals,
        short=1,
        long=20,
    ),
)
