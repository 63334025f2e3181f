"""F13 and F14: clocks that leap, machines that sleep, disks that are full."""

from __future__ import annotations

import json
import resource
import signal
import time
from pathlib import Path
from typing import Final

from gpi.tools.chaos.cases.feeds import Floor, rows_of
from gpi.tools.chaos.desk import LOOSE, Desk
from gpi.tools.chaos.lab import Lab
from gpi.tools.chaos.ledger import Book
from gpi.tools.chaos.market import Ticking
from gpi.tools.chaos.processes import until
from gpi.tools.chaos.rows import Case, Row
from gpi.tools.chaos.times import instant

HOUR_S: Final = 3600
SLEEP_S: Final = 3.0
LONG_SLEEP_S: Final = 7.0  # longer than the dead-man's patience
STALE_S: Final = 2.5  # the limit stale_data_s of two seconds, and a little for the machine
SYMBOLS: Final = ("SPY", "NVDA", "AAPL", "MSFT")


def clocks(lab: Lab, case: Case) -> None:
    """F13: the broker's clock an hour off, ticks from an hour ago, a machine that sleeps for a while."""
    with Desk(lab, case, SYMBOLS) as desk:
        desk.limits.write_text(LOOSE.replace("stale_data_s = 30.0", "stale_data_s = 2.0"))
        desk.market.tick(8)
        for seconds in (HOUR_S, -HOUR_S):
            desk.venue.control(skew={"seconds": seconds})
            child = desk.start("Churn")
            code = child.wait(30)
            desk.seen.expect(
                code == 5 and "clock" in child.last_line(), f"I7: {seconds} s apart: {code}: {child.last_line()}"
            )
            desk.seen.count("clocks an hour apart refused")
        desk.venue.control(skew={"seconds": 0})
        desk.start("Churn", every=1, hold_s=0.5)
        if desk.trading() is None:
            return
        for seconds in (HOUR_S, -HOUR_S, 0):
            desk.venue.control(skew={"seconds": seconds})
            desk.market.tick(30)
        _backwards(desk)
        _sleep(desk, SLEEP_S)
        desk.seen.expect(desk.alive(), f"a sleep of {SLEEP_S} s ended the trader: {desk.last_line()}")
        desk.seen.within("journal = venue s", desk.settled(10), 10)
        _sleep(desk, LONG_SLEEP_S)
        desk.market.end()
        if desk.trader:
            code = desk.trader.wait(30)
            desk.seen.expect(code == 5 and "dead-man" in desk.last_line(), f"I7: overslept: {code}: {desk.last_line()}")
        desk.seen.expect(not desk.venue.account()["open_orders"], "orders left open by a trader that overslept")
        desk.judge()


def _backwards(desk: Desk) -> None:
    """Ticks of an hour ago lead to no order."""
    time.sleep(0.3)
    before = len(desk.venue.account()["orders"])
    for _ in range(40):
        for symbol in SYMBOLS:
            desk.market.tell(
                symbol, time.time_ns() - HOUR_S * 10**9, kind=1, bid_px=50, bid_sz=9, ask_px=50.02, ask_sz=9
            )
    time.sleep(0.3)
    desk.seen.expect(len(desk.venue.account()["orders"]) == before, "orders on ticks of an hour ago")
    desk.seen.count("ticks of an hour ago", 40 * len(SYMBOLS))


def _sleep(desk: Desk, seconds: float) -> None:
    """SIGSTOP while the market goes on; afterwards nothing is sent that was decided on an old tick."""
    desk.market.tick(20)
    known = {order["id"] for order in desk.venue.account()["orders"]}
    desk.stop()
    with Ticking(desk.market, 0.02):
        time.sleep(seconds)
        if desk.trader:
            desk.trader.send(signal.SIGCONT)
        time.sleep(1.0)
    book = desk.book()
    ages = [_age(book, order) for order in desk.venue.account()["orders"] if order["id"] not in known] if book else []
    desk.seen.measure("oldest decision sent after a sleep s", max(ages, default=0.0))
    desk.seen.expect(max(ages, default=0.0) <= STALE_S, f"sent {max(ages, default=0.0):.1f} s after its tick")
    desk.seen.count("sleeps")


def _age(book: Book, order: dict[str, str]) -> float:
    row = book.orders.get(order["client_order_id"])
    decided = int(json.loads(row["ask"])["ts_event"]) if row else 0
    return (instant(order["submitted_at"]) - decided) / 1e9 if decided else 0.0


def full_disks(lab: Lab, case: Case) -> None:
    """F14: the journal of orders, then that of a feed, cannot grow any more."""
    with Desk(lab, case, SYMBOLS) as desk:
        desk.start("Churn", every=1, hold_s=0.5)
        if desk.trading() is None or desk.trader is None:
            return
        desk.market.tick(20)
        _full(desk.trader.pid, desk.journal, case.dice.randrange(40_000))
        ended = until(lambda: desk.market.tick(4) or not desk.alive(), 30, 0.01)
        desk.seen.expect(ended is not None, "the trader goes on without a journal")
        desk.market.end()
        code = desk.trader.wait(30)
        line = desk.last_line()
        desk.seen.expect(code in (1, 5) and str(case.folder) in line, f"I7: disk full: exit {code}: {line}")
        desk.seen.count("traders without room")
        desk.start("Churn", every=1, hold_s=0.5)
        if desk.trading() is None:
            return
        desk.seen.within("journal = venue s, after the restart", desk.settled(10), 10)
        desk.finish()
        desk.judge()
    part = Case(case.number, case.dice, case.folder / "feed", case.seen, 1)
    part.folder.mkdir()
    _full_feed(lab, part)


def _full_feed(lab: Lab, case: Case) -> None:
    with Floor(lab, case) as floor:
        child = floor.capture(name="full", kept=False)
        if not case.seen.expect(floor.subscribed(child) is not None, f"no feed: {child.last_line()}"):
            return
        floor.market.tick(100)
        _full(child.pid, floor.folder / "feed", case.dice.randrange(10_000))
        ended = until(lambda: floor.market.tick(4) or not child.alive(), 30, 0.005)
        case.seen.expect(ended is not None, "the capture goes on without a journal")
        code = child.wait(20)
        case.seen.expect(code == 1 and "feed" in child.last_line(), f"I7: disk full: exit {code}: {child.last_line()}")
        case.seen.count("captures without room")
        with open(floor.out, "wb") as file:
            told = floor.commands.start("capture", "--from-journal", floor.folder / "feed", stdout=file.fileno())
            code = told.wait(30)
        rows, whole = rows_of(floor.out)
        case.seen.expect(code == 0 and whole and rows > 0, f"its journal cannot be told: {code}: {told.last_line()}")
        child = floor.capture(name="again")
        case.seen.expect(floor.subscribed(child) is not None, f"it does not start again: {child.last_line()}")
        floor.market.tick(20)
        time.sleep(0.3)
        floor.end(child)
        gaps, _ = rows_of(floor.out, gaps=True)
        case.seen.count("gap rows told after the restart", gaps)


def _full(pid: int, path: Path, room: int) -> None:
    """No file of this process grows beyond the largest of these and a little."""
    files = [path, path.with_name(path.name + "-wal"), *(path.rglob("*") if path.is_dir() else ())]
    size = max(each.stat().st_size for each in files if each.is_file()) + room
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, size))


ROWS: Final = (
    Row(
        "F13",
        "the broker's clock an hour off, ticks an hour old, the trader asleep for 3 s and for 7 s",
        "refused at the start; timers by the monotonic clock; nothing sent that was decided > 2 s (stale_data_s) ago",
        clocks,
        short=1,
        long=20,
        alone=True,
    ),
    Row(
        "F14",
        "the disk full (RLIMIT_FSIZE) under the order journal and under a feed's journal",
        "orders fail closed; a named error; files readable; goes on after a restart; I1-I5",
        full_disks,
        short=1,
        long=30,
    ),
)
