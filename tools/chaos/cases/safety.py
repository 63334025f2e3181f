"""F20 to F24: runaway strategies, kill switches, dead traders, second traders, strangers in the account."""

from __future__ import annotations

import signal
import time
from typing import Any, Final

from gpi.formats.errors import VenueError
from gpi.tools.chaos.desk import Desk
from gpi.tools.chaos.lab import Lab
from gpi.tools.chaos.processes import until
from gpi.tools.chaos.rows import Case, Row
from gpi.tools.chaos.times import densest, instant

CEILING: Final = 200  # new orders in any second
KILLED_S: Final = 1.0
DEAD_S: Final = 6.0  # heartbeat 5 s + 1 s
RESTING: Final = 5


def floods(lab: Lab, case: Case) -> None:
    """F20: a strategy that wants thousands of orders a second; few reach the wire, then none until a person acts."""
    with Desk(lab, case, tuple(f"S{at:02d}" for at in range(20))) as desk:
        desk.start("Flood", burst=10)
        if desk.trading() is None:
            return
        end = time.monotonic() + 3.0
        while time.monotonic() < end:
            desk.market.tick(10)
        orders = [order for order in desk.venue.account()["orders"] if order["from"] == "api"]
        most = densest([instant(order["submitted_at"]) for order in orders])
        desk.seen.measure("orders in the densest second", most)
        desk.seen.expect(most <= CEILING, f"{most} orders reached the wire within a second")
        book = desk.book()
        wanted = densest([int(row["intended"]) for row in book.orders.values()]) if book else 0
        desk.seen.measure("wanted in the densest second", wanted)
        if wanted > CEILING:  # a machine too slow to flood shows the ceiling, and nothing more
            desk.seen.count("floods")
            desk.seen.expect("halted" in _said(desk), "the strategy was not disabled")
            time.sleep(0.5)
            before = len(desk.venue.account()["orders"])
            desk.market.tick(100)
            time.sleep(0.3)
            desk.seen.expect(len(desk.venue.account()["orders"]) == before, "it went on after it was disabled")
        desk.market.end()
        if desk.trader:
            desk.trader.wait(60)
        desk.judge()


def kill_switches(lab: Lab, case: Case) -> None:
    """F21: the kill file, with the trader stopped by SIGSTOP and with it running; and `--kill`."""
    with Desk(lab, case) as desk:
        _killed_while_stopped(desk)
    again = Case(case.number, case.dice, case.folder / "running", case.seen, 1)
    again.folder.mkdir()
    with Desk(lab, again) as desk:
        _killed_while_running(desk)
    third = Case(case.number, case.dice, case.folder / "command", case.seen, 1)
    third.folder.mkdir()
    with Desk(lab, third) as desk:
        _killed_by_command(desk)


def _resting(desk: Desk) -> bool:
    desk.start("Rest", most=RESTING)
    found = until(lambda: desk.market.tick(2) or desk.venue.account()["open_orders"] >= RESTING, 30, 0.02)
    return desk.seen.expect(found is not None, f"no {RESTING} resting orders: {_said(desk)[-200:]}")


def _killed_while_stopped(desk: Desk) -> None:
    if not _resting(desk):
        return
    desk.stop()
    desk.kill_file.touch()
    quiet = until(lambda: desk.venue.account()["open_orders"] == 0, 10, 0.01)
    desk.seen.within("open orders 0 with the trader stopped s", quiet, KILLED_S)
    suspended = until(lambda: desk.venue.account()["suspended"], 5, 0.01)
    desk.seen.expect(suspended is not None, "trading was not suspended at the broker")
    if desk.trader:
        desk.trader.send(signal.SIGCONT)
    desk.market.tick(5)
    desk.market.end()
    code = desk.trader.wait(30) if desk.trader else 0
    desk.seen.expect(code == 4, f"I7: exit {code} after a kill, wanted 4: {desk.trader and desk.trader.last_line()}")
    desk.seen.expect("kill" in _said(desk).splitlines()[-1], "I7: the last line does not name the kill switch")
    desk.judge()
    refused = desk.start("Rest", most=1)
    desk.seen.expect(refused.wait(30) == 4, "a trader started after a kill that nobody has undone")


def _killed_while_running(desk: Desk) -> None:
    desk.start("Churn", every=1, hold_s=0.5)
    if desk.trading() is None:
        return
    desk.market.tick(20)
    killed = time.time_ns()
    desk.kill_file.touch()
    there = time.time_ns()
    end = time.monotonic() + 0.7
    while time.monotonic() < end:
        desk.market.tick()
    late = [instant(o["submitted_at"]) - killed for o in desk.venue.account()["orders"] if o["from"] == "api"]
    desk.seen.measure("last order after the kill ms", max(0.0, max(late, default=0) / 1e6))
    quiet = until(lambda: desk.venue.account()["open_orders"] == 0, 10, 0.01)
    desk.seen.within("open orders 0 s", quiet, KILLED_S)
    desk.market.end()
    code = desk.trader.wait(30) if desk.trader else 0
    desk.seen.expect(code == 4, f"I7: exit {code} after a kill, wanted 4")
    _none_left_after(desk, there)
    desk.judge()


def _none_left_after(desk: Desk, there: int) -> None:
    """By the journal: when each order and replacement left, and when the trader noticed."""
    book = desk.book()
    facts = book.facts if book else []
    left, seen = [ts for ts, what in facts if what != "kill"], [ts for ts, what in facts if what == "kill"]
    desk.seen.expect(bool(left), "the journal does not tell when orders left")
    desk.seen.expect(len(seen) == 1, f"the journal tells of {len(seen)} kills, not of one")
    desk.seen.count("orders that left before the kill", len(left))
    late = [ts - there for ts in left if ts > there]
    desk.seen.expect(not late, f"{len(late)} orders left up to {max(late, default=0) / 1e6:.1f} ms after the kill file")


def _killed_by_command(desk: Desk) -> None:
    """Once `--kill` has returned, nothing new reaches the venue: neither an order nor a replacement."""
    desk.start("Churn", every=1, hold_s=0.5)
    if desk.trading() is None:
        return
    desk.market.tick(20)
    words = ("trade", "--broker", "alpaca", "--paper", "--url", desk.venue.url, "--key-file", desk.venue.keys)
    files = ("--journal", desk.journal, "--kill-file", desk.kill_file)
    pulled = desk.commands.start(*words, *files, "--kill", name="kill")
    until(lambda: desk.market.tick() or not pulled.alive(), 60, 0.002)
    desk.seen.expect(pulled.wait(5) == 0, f"`--kill` failed: {pulled.last_line()}")
    there, before = time.time_ns(), _new(desk)
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        desk.market.tick()
    desk.seen.expect(_new(desk) == before, f"{_new(desk) - before} orders reached the venue after `--kill` returned")
    desk.seen.expect(desk.venue.account()["open_orders"] == 0, "orders are open after `--kill`")
    desk.market.end()
    code = desk.trader.wait(30) if desk.trader else 0
    desk.seen.expect(code == 4, f"I7: exit {code} after a kill, wanted 4")
    _none_left_after(desk, there)
    desk.judge()


def _new(desk: Desk) -> int:
    """Orders and replacements that the venue was sent, whatever became of them."""
    counters = desk.venue.brief()["counters"]
    return sum(int(counters.get(name, 0)) for name in ("rest.orders.post", "rest.orders.patch"))


def dead_traders(lab: Lab, case: Case) -> None:
    """F22: kill -9 with orders resting; the dead-man cancels them."""
    with Desk(lab, case) as desk:
        if not _resting(desk):
            return
        desk.crash()
        gone = until(lambda: desk.venue.account()["open_orders"] == 0, 20, 0.02)
        desk.seen.within("resting orders cancelled after the death s", gone, DEAD_S)
        desk.seen.count("traders killed")
        if not _resting(desk):
            return
        desk.stop()  # alive, and not moving
        gone = until(lambda: desk.venue.account()["open_orders"] == 0, 20, 0.02)
        desk.seen.within("resting orders cancelled after it hung s", gone, DEAD_S)
        desk.seen.count("traders stopped")
        if desk.trader:
            desk.trader.kill()


def second_traders(lab: Lab, case: Case) -> None:
    """F23: a second trader on the account refuses to start: by the journal's lock, and by the tag of open orders."""
    with Desk(lab, case) as desk:
        if not _resting(desk):
            return
        first, before = desk.trader, len(desk.venue.account()["orders"])
        second = desk.start("Churn")
        code = second.wait(30)
        desk.seen.expect(code == 2 and "one trader per account" in second.last_line(), f"I7: {code}: {second.said()}")
        desk.journal = case.folder / "another.sqlite"
        third = desk.start("Churn")
        code = third.wait(30)
        desk.seen.expect(code == 2 and "another trader" in third.last_line(), f"I7: {code}: {third.last_line()}")
        desk.seen.count("second traders", 2)
        desk.seen.expect(len(desk.venue.account()["orders"]) == before, "a second trader sent something")
        desk.seen.expect(first is not None and first.alive(), "the first trader did not survive the second")
        desk.journal, desk.trader = case.folder / "orders.sqlite", first
        desk.finish()
        desk.judge()


def strangers(lab: Lab, case: Case) -> None:
    """F24: an order and a position that are not ours; shown, their symbol blocked until they are gone or claimed."""
    with Desk(lab, case) as desk:
        desk.start("Churn", every=1, hold_s=0.5)
        if desk.trading() is None:
            return
        desk.venue.control(external={"symbol": "SPY", "side": "buy", "qty": 3, "limit_price": 50})
        shown = until(lambda: desk.market.tick(2) or "EXTERNAL order" in _said(desk), 15, 0.01)
        desk.seen.within("the order shown as EXTERNAL s", shown, 10.0)
        desk.seen.count("orders in a blocked symbol", _exposure(desk, "SPY"))
        desk.seen.expect(not _exposure(desk, "SPY"), "new exposure beside an external order")
        theirs = next(o for o in desk.venue.account()["orders"] if o["from"] == "external")
        desk.venue.rest("DELETE", f"/v2/orders/{theirs['id']}")
        bought = until(lambda: desk.market.tick(2) or _bought(desk), 20, 0.01)
        if not desk.seen.expect(bought is not None, "the venue takes no external order beside ours"):
            return
        shown = until(lambda: desk.market.tick(2) or "EXTERNAL position" in _said(desk), 40, 0.01)
        desk.seen.within("the position shown as EXTERNAL s", shown, 35.0)
        desk.seen.expect(not _exposure(desk, "NVDA"), "new exposure beside an external position")
        desk.finish()
        desk.start("Churn", "--claim", "NVDA", every=1, hold_s=0.5)
        before = _ours(desk, "NVDA")
        freed = until(lambda: desk.market.tick(2) or _ours(desk, "NVDA") > before, 30, 0.01)
        desk.seen.expect(freed is not None, f"a claimed symbol is not traded: {_said(desk)[-200:]}")
        desk.finish()


def _bought(desk: Desk) -> bool:
    """A person buys; refused while an order of ours stands on the other side."""
    try:
        desk.venue.control(external={"symbol": "NVDA", "side": "buy", "qty": 7})
    except VenueError:
        return False
    return True


def _said(desk: Desk) -> str:
    return desk.trader.said() if desk.trader else ""


def _ours(desk: Desk, symbol: str) -> int:
    orders = desk.venue.account()["orders"]
    return sum(order["from"] == "api" and order["symbol"] == symbol for order in orders)


def _exposure(desk: Desk, symbol: str) -> int:
    """New orders in a symbol while it should be blocked, over some ticks; what was on its way comes first."""
    time.sleep(0.3)
    before: set[Any] = {order["id"] for order in desk.venue.account()["orders"]}
    held = desk.venue.account()["positions"].get(symbol, {"qty": "0", "side": "long"})
    long = float(held["qty"]) > 0 and held["side"] == "long"
    flat = not float(held["qty"])
    desk.market.tick(60)
    time.sleep(0.3)
    new = [o for o in desk.venue.account()["orders"] if o["id"] not in before and o["symbol"] == symbol]
    return sum(flat or (o["side"] == "buy") == long for o in new if o["from"] == "api")


ROWS: Final = (
    Row(
        "F20",
        "a strategy that wants 10 orders at every tick",
        "<= 200 a second reach the wire; disabled; nothing more until a person starts it again",
        floods,
        short=1,
        long=20,
    ),
    Row(
        "F21",
        "the kill file, the trader stopped (SIGSTOP) or running",
        "open orders 0 in <= 1 s; trading suspended; exit 4; no start until re-armed",
        kill_switches,
        short=1,
        long=20,
        alone=True,
    ),
    Row(
        "F22",
        "the trader dies, or hangs, with resting orders",
        "the dead-man cancels them <= heartbeat (5 s) + 1 s",
        dead_traders,
        short=1,
        long=20,
    ),
    Row(
        "F23",
        "a second trader on the account, with the same journal and with another",
        "refuses with exit 2; the first goes on",
        second_traders,
        short=1,
        long=20,
    ),
    Row(
        "F24",
        "a manual order and a manual position appear",
        "shown as EXTERNAL; the symbol adds no exposure until it is gone or claimed",
        strangers,
        short=1,
        long=10,
    ),
)
