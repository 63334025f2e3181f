"""F31: a tool of a pipe is killed while the feed is quiet; those before it have nothing to write and end all the same.

The capture's slot at the venue is free at once: another with the same key is subscribed without waiting for it.
"""

from __future__ import annotations

import time
from typing import Final

from gpi.tools.chaos.cases.feeds import Floor, balanced, books, said
from gpi.tools.chaos.lab import Lab
from gpi.tools.chaos.processes import Child, Hung, until
from gpi.tools.chaos.rows import Case, Row

ENDED_S: Final = 2.0
PATIENCE_S: Final = 20.0
BACK_S: Final = 5.0
LEFT: Final = 141
TRUNCATED: Final = 3
PIPE: Final = ("capture", "featurize", "embed", "trade")
TICKS: Final = 20


def half_dead_pipes(lab: Lab, case: Case) -> None:
    """The trader, embed or featurize is killed with -9; those before it end with 141, those behind it with 3."""
    victim = len(PIPE) - 1 - case.number % (len(PIPE) - 1)
    wire = ("alpaca", "polygon")[case.number // 2 % 2]
    with Floor(lab, case) as floor:
        run = ["trade", "--paper", "--out", case.folder / "run"]
        pipe = floor.commands.pipeline([*floor.words(wire), "--mute", 0], ["featurize"], ["embed"], run)
        if not case.seen.expect(floor.subscribed(pipe[0]) is not None, f"no feed: {pipe[0].last_line()}"):
            return
        floor.market.tick(TICKS)
        heard = until(lambda: (case.folder / "run").exists() or not pipe[-1].alive(), PATIENCE_S, 0.01)
        case.seen.expect(heard is not None, "the trader never began")
        time.sleep(case.dice.uniform(0.2, 0.6))  # quiet: everybody sleeps, somewhere
        pipe[victim].kill()
        case.seen.count(f"kills of {PIPE[victim]}")
        began = time.monotonic()
        ended = [_ended(floor, each, LEFT) for each in reversed(pipe[:victim])]
        case.seen.within("all before it ended s", time.monotonic() - began if all(ended) else None, ENDED_S)
        for each in pipe[victim + 1 :]:
            _ended(floor, each, TRUNCATED)
        balanced(books(pipe[0]), case.seen)
        began = time.monotonic()
        again = floor.capture(wire=wire, name="again")
        if case.seen.expect(floor.subscribed(again) is not None, f"not back: {again.last_line()}"):
            case.seen.within("the slot taken again s", time.monotonic() - began, BACK_S)
        case.seen.expect(said(again, "for the slot") == 0, "the slot was not free")
        floor.end(again)


def _ended(floor: Floor, child: Child, wanted: int) -> bool:
    """Whether it ends, and as it should."""
    try:
        code = child.wait(PATIENCE_S)
    except Hung as hung:
        floor.case.seen.violate("I7", str(hung))
        return False
    return floor.case.seen.expect(code == wanted, f"I7: {child.words[0]} ended with {code}: {child.last_line()}")


ROWS: Final = (
    Row(
        "F31",
        "a tool of a quiet pipe killed with -9: the trader, embed, featurize",
        "those before it end with 141 within 2 s although nobody writes; the capture's slot is free at once",
        half_dead_pipes,
        short=3,
        long=40,
    ),
)
