"""F01, the other kind: kill -9 of `gpi capture` at any moment, again and again on one journal.

Every message journaled before a kill is there after it; the journal's stream is what the venue sent, row for row, but
for rows behind GAP rows; whatever a killed capture has published is in its journal.
"""

from __future__ import annotations

import os
import random
import time
from pathlib import Path
from typing import Any, Final, NamedTuple

from gpi.formats.errors import TruncatedStream
from gpi.formats.instruments import Instruments
from gpi.formats.ipc import Reader
from gpi.formats.words import GAP
from gpi.tools.chaos.cases.feeds import Floor, balanced
from gpi.tools.chaos.lab import Lab
from gpi.tools.chaos.market import SYMBOLS, Ticking
from gpi.tools.chaos.processes import Child, until
from gpi.tools.chaos.rows import Case

BACK_S: Final = 5.0
EARLY: Final = 0.25  # share of kills while it starts
STARTING_S: Final = 0.4
LISTENING_S: Final = 0.2
TICK_S: Final = 0.001
MARK: Final = 250.0  # the mid of the last quotes: far from all others
FRESH_EVERY: Final = 40  # every 40th is exec'ed, not forked
SAID: Final = ("ts_event", "kind", "bid_px", "bid_sz", "ask_px", "ask_sz", "trade_px", "trade_sz")
Line = tuple[Any, ...]  # what a row says; None: a GAP row


class Told(NamedTuple):
    """A stream by symbol, in order; None stands for a GAP row. `whole`: it has its end mark."""

    lines: dict[str, list[Line | None]]
    whole: bool

    @property
    def rows(self) -> int:
        """Without GAP rows."""
        return sum(line is not None for lines in self.lines.values() for line in lines)


def killed_captures(lab: Lab, case: Case, kills: int) -> None:
    """One journal; captures into it are killed at random moments while ticks come; the last one ends honestly."""
    wire = ("alpaca", "polygon")[case.number // 2 % 2]
    moments = [_moment(case.dice) for _ in range(kills)]
    records, published = lab.room("feed records"), list[Path]()
    journal, before = case.folder / "feed", list[Any]()
    with Floor(lab, case, "--sent", case.folder / "sent") as floor:
        with Ticking(floor.market, TICK_S):
            for number, (early, seconds) in enumerate(moments):
                fresh = (case.number * kills + number) % FRESH_EVERY == FRESH_EVERY - 1
                if not _lived(floor, wire, number, fresh, None if early else BACK_S):
                    return
                time.sleep(seconds)
                floor.commands.children[-1].kill()
                case.seen.count("kills of a capture")
                case.seen.count("of them while starting (capture)", int(early))
                published.append(floor.out)
                after = list(records(journal)) if journal.exists() and any(journal.glob("*.journal")) else []
                case.seen.expect(after[: len(before)] == before, f"kill {number}: acked messages lost")
                before = after
            if not _lived(floor, wire, kills, False, BACK_S):
                return
            time.sleep(LISTENING_S)
        last: Child = floor.commands.children[-1]
        for symbol in SYMBOLS:
            floor.market.quote(symbol, mid=MARK)
        heard = until(lambda: _marked(floor.out), 10, 0.02)
        case.seen.expect(heard is not None, "the last quotes never came")
        balanced(floor.end(last), case.seen)
        published.append(floor.out)
        case.seen.expect(floor.venue.child.end() == 0, f"the venue ended badly: {floor.venue.child.last_line()}")
        after = list(records(journal))
        case.seen.expect(after[: len(before)] == before, "acked messages lost at the end")
        case.seen.count("messages in journals", len(after))
        _told_again(floor, published)


def _moment(dice: random.Random) -> tuple[bool, float]:
    """Whether it is killed while it starts, and after how many seconds."""
    early = dice.random() < EARLY
    return early, dice.uniform(0.0, STARTING_S if early else LISTENING_S)


def _lived(floor: Floor, wire: str, number: int, fresh: bool, bound_s: float | None) -> bool:
    """Another capture on the same journal, with a stream of its own; with a bound: until it is subscribed."""
    began, seen = time.monotonic(), floor.case.seen
    floor.out = floor.folder / f"published-{number}.arrow"
    child = floor.capture(wire=wire, name=f"capture-{number}", fresh=fresh)
    if bound_s is None:
        return True
    if not seen.expect(floor.subscribed(child) is not None, f"life {number}: no feed: {child.last_line()}"):
        return False
    seen.within("capturing again s" + (" (exec'ed)" if fresh else ""), time.monotonic() - began, bound_s)
    return True


def _told_again(floor: Floor, published: list[Path]) -> None:
    """The journal's stream against what was sent, and against what every life published."""
    seen, again = floor.case.seen, floor.folder / "again.arrow"
    with open(again, "wb") as file:
        child = floor.commands.start("capture", "--from-journal", floor.folder / "feed", stdout=file.fileno())
        code = child.wait(30)
    if not seen.expect(code == 0, f"the journal cannot be told: {code}: {child.last_line()}"):
        return
    told = stream(again)
    sent = stream(next((floor.folder / "sent").glob("*.arrow")))
    seen.expect(told.whole and sent.whole, "I6: a stream without its end mark")
    missed = 0
    for symbol in SYMBOLS:
        lost, wrong = lacking(sent.lines.get(symbol, []), told.lines.get(symbol, []))
        seen.expect(not wrong, f"I6: {symbol}: {wrong}")
        missed += lost
    seen.count("rows sent", sent.rows)
    seen.count("rows told", told.rows)
    seen.count("rows behind a GAP row", missed)
    seen.expect(sent.rows == told.rows + missed, f"I6: sent {sent.rows}, told {told.rows}, flagged {missed}")
    known = {(symbol, line) for symbol, lines in told.lines.items() for line in lines}
    for path in published:
        strange = [line for s, lines in stream(path).lines.items() for line in lines if line and (s, line) not in known]
        seen.expect(not strange, f"I6: {path.stem}: published, and not in the journal: {strange[:1]}")


def lacking(sent: list[Line | None], told: list[Line | None]) -> tuple[int, str]:
    """Rows sent that a stream flags as missed; and the first thing wrong with it, or nothing.

    Every row told is the next one sent; rows may be left out only where a GAP row stands, or before the first.
    """
    at = missed = 0
    flagged = True  # a stream begins where it begins
    for line in told:
        if line is None:
            flagged = True
            continue
        found = at
        while flagged and found < len(sent) and sent[found] != line:
            found += 1
        if found == len(sent) or sent[found] != line:
            return missed, f"row {line} follows {at} of {len(sent)} sent and is not the next one, without a GAP row"
        missed += found - at
        at, flagged = found + 1, False
    return missed, "" if at == len(sent) else f"the last {len(sent) - at} of {len(sent)} rows are not there"


def stream(path: Path) -> Told:
    """A stream in a file as far as it goes, by symbol."""
    fd = os.open(path, os.O_RDONLY)
    lines: dict[str, list[Line | None]] = {}
    try:
        reader = Reader(fd, path.name)
        names = [each.symbol for each in Instruments.of(reader.schema)]
        for frame in reader:
            columns = [frame[name].tolist() for name in SAID]
            flags, ids = frame["flags"].tolist(), frame["instrument_id"].tolist()
            for i, flag, row in zip(ids, flags, zip(*columns, strict=True), strict=True):
                line = None if flag & GAP else tuple(None if value != value else value for value in row)
                lines.setdefault(names[i], []).append(line)
    except TruncatedStream:
        return Told(lines, False)
    finally:
        os.close(fd)
    return Told(lines, True)


def _marked(path: Path) -> bool:
    """Whether the last quote of every symbol has been published."""
    bid = SAID.index("bid_px")
    found = [
        symbol
        for symbol, lines in stream(path).lines.items()
        if any(each and each[bid] == MARK - 0.01 for each in lines)
    ]
    return sorted(found) == sorted(SYMBOLS)
