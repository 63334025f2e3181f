"""F12: a feed that tells what no market would, through `gpi capture`."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any, Final

from gpi.tools.chaos.cases.feeds import Floor, balanced, rows_of
from gpi.tools.chaos.lab import Lab
from gpi.tools.chaos.processes import until
from gpi.tools.chaos.rows import Case, Row
from gpi.tools.chaos.venue import Venue

ITEMS: Final[tuple[tuple[str, dict[str, Any]], ...]] = (  # switch, words, the reason under which capture counts it
    ("nan", {"value": "nan"}),
    ("nan", {"value": "inf"}),
    ("nan", {"value": -1}),
    ("nan", {"value": 0}),
    ("crossed", {}),
    ("malformed", {}),
)


def nonsense(lab: Lab, case: Case) -> None:
    """F12: items no market would tell, each kind counted; injected = quarantined, everything else comes through.

    A price 1000 times too high is a price: it comes through, and is the gate's to judge.
    """
    wire = "polygon" if case.number % 3 == 2 else "alpaca"
    with Floor(lab, case) as floor:
        child = floor.capture(wire=wire)
        if not case.seen.expect(floor.subscribed(child) is not None, f"no feed: {child.last_line()}"):
            return
        wanted = Counter[str]()
        for name, words in ITEMS:
            each = max(1, min(case.units, 350) // len(ITEMS))
            floor.venue.fault(name, place="stream.data.item", count=each, probability=0.5, **words)  # type: ignore[arg-type]
            floor.market.trades = 0.0 if name == "crossed" else 0.3  # a trade cannot be crossed
            goal = sum(wanted.values()) + each
            until(lambda g=goal: floor.market.tick(4) or _injected(floor.venue) >= g, 30, 0.0)  # type: ignore[misc]
            floor.venue.clear()
            wanted[f"{name} {words.get('value', '')}".strip()] = each
        floor.market.tick(4)
        time.sleep(0.5)
        tape = floor.venue.state()["tape"]
        told = floor.end(child)
    balanced(told, case.seen)
    injected, bad = sum(wanted.values()), sum(n for name, n in told.items() if name.startswith("quarantined"))
    case.seen.count("nonsense items", injected)
    case.seen.count("quarantined", bad)
    case.seen.expect(injected == sum(tape["injected"].values()), f"the venue injected {tape['injected']}")
    reasons = {name.removeprefix("quarantined: "): n for name, n in told.items() if name.startswith("quarantined")}
    case.seen.expect(bad == injected, f"injected {dict(wanted)}, quarantined {reasons}")
    rows, whole = rows_of(floor.out)
    case.seen.expect(whole and rows == told.get("out"), f"I6: {rows} rows read, {told.get('out')} told")


def _injected(venue: Venue) -> int:
    return int(sum(venue.brief()["tape"]["injected"].values()))


ROWS: Final = (
    Row(
        "F12",
        "NaN, infinite, negative, zero, crossed, malformed items, among good ones in the same batches",
        "injected = quarantined by reason, exactly; the rest delivered",
        nonsense,
        short=400,
        long=10_000,
        units=400,
    ),
)
