"""F04 to F08: what the wire to the broker loses, tears, repeats, delays and garbles."""

from __future__ import annotations

import time
from typing import Final

from gpi.tools.chaos.desk import Desk
from gpi.tools.chaos.lab import Lab
from gpi.tools.chaos.processes import until
from gpi.tools.chaos.rows import Case, Row

MANY: Final = tuple(f"S{at:03d}" for at in range(40))
DROPS: Final = 20  # of one trader's life
POSTS: Final = 500  # of one trader's life
POLL_S: Final = 10.0
RECOVERED_S: Final = 2.0
GRACE_S: Final = 25.0  # an order that never arrived is believed missing after 10 s and a second look


def lost_fill(lab: Lab, case: Case) -> None:
    """F04: one fill's update is never sent, the socket is healthy; the poll finds it, and nobody sells in panic."""
    with Desk(lab, case) as desk:
        desk.market.tick(6)
        desk.start("Once", side=1, qty=10)
        desk.venue.fault("lose", place="stream.updates.send", after=2, count=50)
        if desk.trading() is None:
            return
        whole = until(lambda: desk.market.tick(2) or _whole(desk), 20, 0.02)
        if not desk.seen.expect(whole is not None, "the order was never filled"):
            return
        orders = len(desk.venue.account()["orders"])
        began = time.monotonic()
        found = until(lambda: desk.market.tick(2) or _heard_all(desk), POLL_S + 5, 0.05)
        desk.seen.within("found by the poll s", found and time.monotonic() - began, POLL_S)
        desk.seen.count("lost updates", int(desk.venue.brief()["faults"]["struck"].get("lose@stream.updates.send", 0)))
        desk.seen.expect(len(desk.venue.account()["orders"]) == orders, "orders were sent to mend a lost fill")
        desk.venue.clear()
        desk.finish()
        desk.judge()


def _whole(desk: Desk) -> bool:
    return all(order["status"] == "filled" for order in desk.venue.account()["orders"])


def _heard_all(desk: Desk) -> bool:
    book = desk.book()
    fills = {fill["execution_id"] for fill in desk.venue.account()["fills"]}
    return book is not None and bool(fills) and len(book.executions) >= len(fills)


def torn_sockets(lab: Lab, case: Case) -> None:
    """F05: the updates socket is torn in the middle of fills; new exposure waits, every fill is found."""
    with Desk(lab, case) as desk:
        desk.start("Churn", every=2, hold_s=0.5)
        if desk.trading() is None:
            return
        for _ in range(min(DROPS, case.units)):
            if not _torn(desk):
                return
        desk.finish()
        desk.judge()


def _torn(desk: Desk) -> bool:
    """One tear, and the way back from it."""
    before, dice = _connected(desk), desk.case.dice
    name, place = dice.choice((("drop", "send"), ("close", "send"), ("drop-after", "sent")))
    desk.venue.fault(name, place=f"stream.updates.{place}", after=dice.randrange(6), count=1)
    torn = until(lambda: desk.market.tick(2) or _struck(desk), 20, 0.005)
    if not desk.seen.expect(torn is not None, "the socket was never torn: no update was sent"):
        return False
    desk.venue.clear()
    began = time.monotonic()
    back = until(lambda: desk.market.tick() or _connected(desk) > before, 20, 0.01)
    if not desk.seen.expect(back is not None, "the socket never came back"):
        return False
    desk.seen.measure("back s", time.monotonic() - began)
    desk.seen.within("all fills known after it is back s", desk.settled(10), RECOVERED_S)
    desk.seen.count("sockets torn")
    return True


def _struck(desk: Desk) -> bool:
    return bool(desk.venue.brief()["faults"]["on"][-1]["struck"])


def _connected(desk: Desk) -> int:
    return int(desk.venue.brief()["counters"].get("stream.updates.connected", 0))


def ambiguous_posts(lab: Lab, case: Case) -> None:
    """F06: POSTs answered 504, reset, cut or never, with the order accepted or not."""
    wanted, dice = min(POSTS, case.units), case.dice
    with Desk(lab, case, MANY) as desk:
        desk.start("Churn", every=3, most=2, hold_s=0.3)  # far below 200 a second, even after a pause
        if desk.trading() is None:
            return
        for name, place, words in (
            ("status", "after", {"status": 504}),
            ("reset", "after", {}),
            ("cut", "after", {}),
            ("reset", "before", {}),
            ("status", "before", {"status": 503}),
        ):
            share = 0.05 if place == "before" else 0.25
            desk.venue.fault(name, place=f"rest.orders.post.{place}", probability=share, **words)
        if dice.random() < 0.3:
            desk.venue.fault("hang", place="rest.orders.post.after", count=2, after=dice.randrange(40), seconds=20)
        deadline = time.monotonic() + 60 + wanted * 0.4
        while _ambiguous(desk) < wanted and time.monotonic() < deadline and desk.alive():
            desk.market.tick(10, every_s=0.01)  # well below the ceiling of 200 orders a second
        desk.seen.count("ambiguous POSTs", _ambiguous(desk))
        desk.seen.expect(_ambiguous(desk) >= wanted, f"only {_ambiguous(desk)} of {wanted} POSTs met a fault")
        desk.venue.clear()
        _resolved(desk)
        desk.finish()
        desk.judge()
        _never_rejected_alive(desk)


def _ambiguous(desk: Desk) -> int:
    return sum(times for name, times in desk.venue.brief()["faults"]["struck"].items() if "orders.post" in name)


def _resolved(desk: Desk) -> None:
    """Every unknown order is resolved: by the first look when it arrived, after the grace when it did not."""

    def none_unknown() -> bool:
        desk.market.tick(4)
        book = desk.book()
        return book is not None and all(row["state"] != "unknown" for row in book.orders.values())

    desk.venue.control(fault={"name": "slow", "place": "rest.orders.post.before", "seconds": 0, "count": 1})
    desk.seen.within("every outcome known s", until(none_unknown, GRACE_S + 5, 0.05), GRACE_S)


def _never_rejected_alive(desk: Desk) -> None:
    """What the journal calls refused is not at the venue, unless the venue rejected it."""
    book = desk.book()
    if book is None:
        return
    alive = {o["client_order_id"] for o in desk.venue.account()["orders"] if o["status"] not in ("rejected",)}
    wrong = [c for c, row in book.orders.items() if row["state"] == "refused" and c in alive]
    desk.seen.expect(not wrong, f"reported REJECTED while at the venue: {wrong[:3]}")


def storms(lab: Lab, case: Case) -> None:
    """F07: 429 for everything; nothing is sent before Reset, no cancel is dropped, old orders expire here."""
    seconds = 60.0 if lab.long and case.number == 0 else 6.0
    with Desk(lab, case, MANY) as desk:
        desk.start("Churn", every=4, hold_s=0.5)
        if desk.trading() is None:
            return
        desk.market.tick(150, every_s=0.008)
        desk.venue.fault("storm", seconds=seconds)
        before = dict(desk.venue.brief()["counters"])
        end = time.monotonic() + seconds
        while time.monotonic() < end and desk.alive():
            desk.market.tick(2)
            time.sleep(0.01)
        after = dict(desk.venue.brief()["counters"])
        sent = sum(after.get(k, 0) - before.get(k, 0) for k in after if k.startswith("rest.") and k.count(".") == 2)
        desk.seen.measure("requests in the storm", sent)
        desk.seen.expect(sent <= 25, f"{sent} requests into a storm that told when it would end")
        desk.venue.clear()
        desk.seen.within("trading again after the storm s", desk.trading(), 70.0)
        _cancels(desk)
        desk.finish()
        desk.judge()
        desk.seen.count("storms")
        desk.seen.count("storms of 60 s", int(seconds == 60.0))


def _cancels(desk: Desk) -> None:
    """Every cancel that was asked for reaches the venue in the end."""

    def none_left() -> bool:
        desk.market.tick(2)
        book = desk.book()
        old = time.time_ns() - 3_000_000_000
        return book is not None and not [r for r in book.open() if r["cancel_asked"] and r["cancel_asked"] < old]

    desk.seen.expect(until(none_left, 30, 0.05) is not None, "a cancel was dropped")


def garbled(lab: Lab, case: Case) -> None:
    """F08: statuses nobody knows, fields nobody knows, updates of nothing, HTML instead of JSON."""
    with Desk(lab, case, MANY) as desk:
        desk.start("Churn", every=1, hold_s=0.5)
        if desk.trading() is None:
            return
        desk.venue.fault("unknown-enum", probability=0.2)
        desk.venue.fault("extra-fields", probability=0.3)
        desk.venue.fault("null-data", probability=0.2)
        desk.venue.fault("html", place="rest.*.after", probability=0.15, status=502)
        for _ in range(300):
            desk.market.tick(2, every_s=0.006)
        struck = desk.venue.brief()["faults"]["struck"]
        desk.seen.count("garbled answers", sum(struck.values()))
        desk.venue.clear()
        _resolved(desk)
        desk.seen.within("journal = venue s", desk.settled(POLL_S), POLL_S)
        desk.finish()
        desk.judge()
        said = desk.trader.said() if desk.trader else ""
        desk.seen.expect("Traceback" not in said, "a traceback")
        desk.seen.expect("met on the way" in said, "what was odd is not counted in the last words")


ROWS: Final = (
    Row(
        "F04",
        "a fill's update never sent, the socket healthy",
        "found by the poll <= 10 s; 0 orders sent because of it",
        lost_fill,
        short=1,
        long=50,
    ),
    Row(
        "F05",
        "the updates socket torn or closed in the middle of fills",
        "all fills recovered <= 2 s after it is back; I1-I5",
        torn_sockets,
        short=8,
        long=1000,
        units=DROPS,
    ),
    Row(
        "F06",
        "504, 503, reset, torn body, no answer, before and after the accept",
        "0 duplicates; UNKNOWN, then resolved by id; never reported REJECTED while live",
        ambiguous_posts,
        short=60,
        long=10_000,
        units=POSTS,
    ),
    Row(
        "F07",
        "429 for everything (60 s once in the long form, else 6 s)",
        "0 cancels dropped; nothing sent before Reset; backlog bounded",
        storms,
        short=1,
        long=10,
    ),
    Row(
        "F08",
        "unknown statuses, extra fields, data: null, HTML errors",
        "no crash, no lost fill, counted",
        garbled,
        short=1,
        long=20,
    ),
)
