"""F01: kill -9 at any moment, of the trader and (captures.py) of the capture, again and again."""

from __future__ import annotations

import time
from typing import Final

from gpi.tools.chaos.cases.captures import killed_captures
from gpi.tools.chaos.desk import Desk
from gpi.tools.chaos.lab import Lab
from gpi.tools.chaos.ledger import Book
from gpi.tools.chaos.processes import until
from gpi.tools.chaos.rows import Case, Row

KILLS: Final = 10  # of one account's life
BACK_S: Final = 5.0
FATE_S: Final = 20.0
SYMBOLS: Final = ("SPY", "NVDA", "AAPL", "MSFT", "AMZN", "META", "TSLA", "AMD")
FRESH_EVERY: Final = 40  # every 40th trader is exec'ed, not forked


def killed(lab: Lab, case: Case) -> None:
    """Traders and captures by turns."""
    if case.number % 2:
        killed_captures(lab, case, min(KILLS, case.units))
    else:
        killed_traders(lab, case)


def killed_traders(lab: Lab, case: Case) -> None:
    """One account; traders on it are killed at random moments; the last one ends honestly."""
    dice = case.dice
    with Desk(lab, case, SYMBOLS) as desk:
        before: Book | None = None
        for number in range(min(KILLS, case.units)):
            fresh = (case.number * KILLS + number) % FRESH_EVERY == FRESH_EVERY - 1
            began = time.monotonic()
            desk.start("Churn", fresh=fresh, every=2, hold_s=0.5)
            early = dice.random() < 0.2
            if early:  # while it starts and reconciles
                _tick_for(desk, dice.uniform(0.0, 0.8))
            else:
                if desk.trading() is None:
                    return
                took = time.monotonic() - began
                desk.seen.within("trading again s" + (" (exec'ed)" if fresh else ""), took, BACK_S)
                _widen(desk)
                _tick_for(desk, dice.uniform(0.0, 0.25))
            desk.crash()
            desk.venue.clear()
            desk.seen.count("kills of a trader")
            desk.seen.count("of them while starting (trader)", int(early))
            book = desk.book()
            if book is not None:
                desk.judge(settled=False)
                if before is not None:
                    lost = before.within(book)
                    desk.seen.expect(not lost, f"acked rows lost: {lost[:3]}")
                before = book
        desk.start("Churn", every=2, hold_s=0.5)
        if desk.trading() is None:
            return
        desk.seen.within("journal = venue s", desk.settled(BACK_S), BACK_S)
        _fates(desk)
        desk.finish()
        desk.judge()
        desk.seen.expect(not desk.venue.account()["open_orders"], "orders left open after an honest end")


def _fates(desk: Desk) -> None:
    """Ticks until nobody wonders about an order of a former life: those that never arrived are looked for a while."""
    runs = max((row["epoch"] for row in desk.book().runs), default=0)  # type: ignore[union-attr]

    def known() -> bool:
        desk.market.tick()
        book = desk.book()
        return book is not None and not [row for row in book.open() if row["epoch"] < runs]

    desk.seen.within("fate of every former order known s", until(known, FATE_S, 0.05), FATE_S)


def _widen(desk: Desk) -> None:
    """Often the venue dawdles before or after it works, so that the kill falls in between."""
    dice = desk.case.dice
    way = dice.randrange(4)
    if way == 0:
        desk.venue.fault("slow", place="rest.orders.post.before", seconds=dice.uniform(0.05, 0.3))
    elif way == 1:
        desk.venue.fault("hang", place="rest.orders.post.after", seconds=dice.uniform(0.05, 0.3))
    elif way == 2:
        desk.venue.fault("delay", place="stream.updates.send", seconds=dice.uniform(0.05, 0.3))


def _tick_for(desk: Desk, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        desk.market.tick()
        time.sleep(0.002)


ROWS: Final = (
    Row(
        "F01",
        "kill -9 of trader and capture by turns, at random moments: while starting, between journal, send and answer, "
        "between receipt, journal and stream",
        "I1-I6: 0 violations; every acked row still there; trading, capturing again <= 5 s; what was missed is flagged",
        killed,
        short=20,
        long=1000,
        units=KILLS,
    ),
)
