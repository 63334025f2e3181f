"""F09 to F11: feeds that fall silent, refuse, close and tear, through `gpi capture`."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Final

from gpi.formats.errors import TruncatedStream
from gpi.formats.ipc import Reader
from gpi.formats.market.calendar import state
from gpi.formats.words import GAP
from gpi.tools.chaos.lab import Lab
from gpi.tools.chaos.market import SYMBOLS, Market, Ticking
from gpi.tools.chaos.processes import Child, Processes, until
from gpi.tools.chaos.rows import Case, Row, Seen
from gpi.tools.chaos.venue import Venue

MUTE_S: Final = 4.5
NOTICED_S: Final = 5.0
NAMED_S: Final = 1.0
BACK_S: Final = 5.0
DOORS: Final = {"alpaca": "stream.data.connect.drop", "polygon": "stream.data.auth.drop"}  # torn while signing in
TEARS: Final = 20  # of one capture's life


class Floor:
    """A venue, its market, and a capture of it whose stream goes to a file."""

    def __init__(self, lab: Lab, case: Case, *options: object) -> None:
        self.case, self.folder = case, case.folder
        self.commands: Processes = lab.processes(case, XDG_STATE_HOME=str(case.folder / "state"))
        self.venue = Venue(self.commands, "--hours", "always", "--rate-limit", 0, "--seed", case.number, *options)
        self.market = Market(self.venue, case.dice)
        self.market.tick(2 * len(SYMBOLS))
        self.out = case.folder / "captured.arrow"

    def __enter__(self) -> Floor:
        return self

    def __exit__(self, *exc: object) -> None:
        self.commands.__exit__(*exc)

    def capture(
        self,
        *options: object,
        wire: str = "alpaca",
        key_file: Path | None = None,
        name: str = "capture",
        kept: bool = True,
        fresh: bool = False,
    ) -> Child:
        """A capture of both symbols; its stream is kept in a file, or thrown away."""
        words = [*self.words(wire), *options]
        if key_file is not None:
            words += ["--key-file", key_file]
        with open(self.out if kept else os.devnull, "wb") as file:
            return self.commands.start(*words, stdout=file.fileno(), name=name, fresh=fresh)

    def words(self, wire: str = "alpaca") -> list[object]:
        """The command line of a capture of both symbols."""
        words: list[object] = ["capture", "--source", "venue", "--wire", wire, "--venue-ready", self.venue.keys]
        return [*words, "--symbols", ",".join(SYMBOLS), "--journal", self.folder / "feed"]

    def subscribed(self, child: Child, times: int = 1, timeout_s: float = 20.0) -> float | None:
        """Seconds until the capture has said so often that it is subscribed to everything."""
        found = until(lambda: said(child, "subscribed") >= times or not child.alive(), timeout_s, 0.01)
        return found if child.alive() else None

    def end(self, child: Child, wanted: int = 0) -> dict[str, int]:
        """SIGTERM; its books."""
        child.send(15)
        code = child.wait(20)
        self.case.seen.expect(code in (wanted, 130), f"I7: capture ended with {code}: {child.last_line()}")
        return books(child)


def said(child: Child, word: str) -> int:
    """How often it said a word."""
    return child.said().count(word)


def books(child: Child) -> dict[str, int]:
    """The books of a capture, from its last words."""
    for line in reversed(child.said().splitlines()):
        if "items in" in line:
            parts = [part.strip().rpartition(" ") for part in line.partition("capture: ")[2].split(", ")]
            return {name: int(n.replace(",", "")) for name, _, n in parts}
    return {}


def balanced(told: dict[str, int], seen: Seen) -> None:
    """I6: items + gap rows = out + quarantined + what else has a name."""
    if not seen.expect(bool(told), "I6: capture tells no books"):
        return
    into = told["items in"] + told.get("gap rows", 0)
    quarantined = sum(n for name, n in told.items() if name.startswith("quarantined"))
    names = ("out", "bars", "controls", "repeated", "dropped", "conflated", "left in the journal")
    out = quarantined + sum(told.get(name, 0) for name in names)
    seen.expect(into == out, f"I6: {into} in, {out} out, quarantined and counted: {told}")


def rows_of(path: Path, gaps: bool = False) -> tuple[int, bool]:
    """(rows, or only those with the flag GAP; whether the stream is whole)."""
    fd = os.open(path, os.O_RDONLY)
    rows = 0
    try:
        for frame in Reader(fd, path.name):
            rows += int((frame["flags"] & GAP != 0).sum()) if gaps else frame.rows
    except TruncatedStream:
        return rows, False
    finally:
        os.close(fd)
    return rows, True


def mute_feeds(lab: Lab, case: Case) -> None:
    """F09: connected, ponging, silent; noticed and connected anew in the session, left alone out of it."""
    with Floor(lab, case) as floor:
        child = floor.capture("--mute", MUTE_S)
        if not case.seen.expect(floor.subscribed(child) is not None, f"no feed: {child.last_line()}"):
            return
        with Ticking(floor.market):
            time.sleep(0.5)
            floor.venue.fault("mute", place="stream.data.send", count=1)
            began = time.monotonic()
            noticed = until(lambda: said(child, "mute: no data") > 0, 15, 0.01)
            case.seen.within("noticed s", noticed and time.monotonic() - began, NOTICED_S)
            back = floor.subscribed(child, 2)
            case.seen.expect(back is not None, "the feed is not back")
            case.seen.measure("back after s", time.monotonic() - began)
            time.sleep(0.3)
        balanced(floor.end(child), case.seen)
        case.seen.count("mute feeds")
    if state(time.time_ns()) != "closed":
        case.seen.count("out of session: not now, the market is open")
        return
    again = Case(case.number, case.dice, case.folder / "closed", case.seen, 1)
    again.folder.mkdir()
    with Floor(lab, again) as floor:
        words = ("capture", "--source", "alpaca", "--url", floor.venue.url, "--key-file", floor.venue.keys)
        child = floor.commands.start(
            *words, "--symbols", "SPY", "--mute", 1, "--journal", again.folder / "feed", name="c"
        )
        floor.subscribed(child)
        time.sleep(4.0)
        case.seen.expect(
            child.alive() and not said(child, "mute: no data"), f"fired out of session: {child.last_line()}"
        )
        case.seen.count("silent feeds out of session")


def refusing_feeds(lab: Lab, case: Case) -> None:
    """F10: a wrong key, a taken slot, a slow client; named within a second."""
    for wire in ("alpaca", "polygon"):
        part = Case(case.number, case.dice, case.folder / wire, case.seen, 1)
        part.folder.mkdir()
        with Floor(lab, part) as floor:
            _wrong_key(floor, wire)
            _taken_slot(floor, wire)
            _slow_client(floor, wire)


def _wrong_key(floor: Floor, wire: str) -> None:
    key = floor.folder / "wrong.json"
    key.write_text(json.dumps({"key_id": floor.venue.key_id, "secret": "wrong", "key": "wrong"}))
    key.chmod(0o600)
    began = time.monotonic()
    child = floor.capture(wire=wire, key_file=key, name="wrong-key")
    code = child.wait(30)
    floor.case.seen.measure("wrong key: exit after s", time.monotonic() - began)
    floor.case.seen.expect(code == 5 and "key" in child.last_line(), f"I7: wrong key: {code}: {child.last_line()}")
    tries = books(child).get("connections")
    floor.case.seen.expect(tries == 3, f"wrong key: {tries} connections, wanted 3")
    floor.case.seen.count("wrong keys")


def _taken_slot(floor: Floor, wire: str) -> None:
    floor.venue.fault("too-many", place="stream.data.connect", count=1, seconds=2)
    began = time.monotonic()
    child = floor.capture(wire=wire, name="taken-slot")
    named = until(lambda: said(child, "for the slot") > 0, 10, 0.01)
    floor.case.seen.within("taken slot: named s", named and time.monotonic() - began, NAMED_S + 1.0)
    floor.case.seen.expect(floor.subscribed(child, 1, 30) is not None, f"never got the slot: {child.last_line()}")
    floor.venue.clear()
    floor.end(child)
    floor.case.seen.count("taken slots")


def _slow_client(floor: Floor, wire: str) -> None:
    child = floor.capture(wire=wire, name="slow-client")
    floor.subscribed(child)
    floor.venue.fault("slow-client", place="stream.data.send", count=1)
    with Ticking(floor.market):
        back = floor.subscribed(child, 2)
        time.sleep(0.2)
    floor.case.seen.expect(back is not None, f"not back after 407: {child.last_line()}")
    balanced(floor.end(child), floor.case.seen)
    floor.case.seen.count("slow clients")


def practice_feed(lab: Lab, case: Case) -> None:
    """A feed of each wire for a moment, before anything counts."""
    for wire in ("alpaca", "polygon"):
        part = Case(case.number, case.dice, case.folder / wire, case.seen, 1)
        part.folder.mkdir(parents=True)
        with Floor(lab, part) as floor:
            child = floor.capture(wire=wire)
            floor.subscribed(child, 1, 60)
            floor.market.tick(50)
            time.sleep(0.5)
            floor.end(child)


def torn_feeds(lab: Lab, case: Case) -> None:
    """F11: clean closes, drops while signing in and before subscribing; afterwards everything desired is subscribed."""
    wire = "polygon" if case.number % 4 else "alpaca"
    with Floor(lab, case) as floor:
        child = floor.capture(wire=wire)
        if not case.seen.expect(floor.subscribed(child) is not None, f"no feed: {child.last_line()}"):
            return
        with Ticking(floor.market, 0.01):
            for number in range(min(TEARS, case.units)):
                name, place, words = case.dice.choice(
                    (
                        ("close", "stream.data.send", {"code": 1000}),
                        ("close", "stream.data.send", {"code": 1001}),
                        ("drop", "stream.data.send", {}),
                        ("drop", "stream.data.sent", {}),
                        ("cut", "stream.data.send", {}),
                    )
                )
                if case.dice.random() < 0.5:  # and again on the way back
                    floor.venue.fault("drop", place=DOORS[wire], count=1)
                floor.venue.fault(name, place=place, count=1, **words)
                began = time.monotonic()
                back = floor.subscribed(child, number + 2, 30)
                if not case.seen.expect(back is not None, f"tear {number} ({name}): the feed is not back"):
                    return
                case.seen.within("everything subscribed again s", time.monotonic() - began, BACK_S)
                case.seen.count("tears")
                floor.venue.clear()
        told = floor.end(child)
        balanced(told, case.seen)
        rows, whole = rows_of(floor.out)
        case.seen.expect(whole and rows == told.get("out"), f"I6: {rows} rows read, {told.get('out')} told")


ROWS: Final = (
    Row(
        "F09",
        "a mute feed that still pongs, in and out of the session",
        f"noticed <= 5 s (--mute {MUTE_S}), connected anew; never fires out of session",
        mute_feeds,
        short=1,
        long=20,
    ),
    Row(
        "F10",
        "a wrong key, a taken slot (406, max_connections), a slow client (407), both wires",
        "named, exit code 5; three tries; the slot waited for",
        refusing_feeds,
        short=1,
        long=10,
    ),
    Row(
        "F11",
        "clean closes and tears in the middle of a frame, while connecting, while signing in; both wires",
        "desired set = acknowledged set <= 5 s, every time; I6",
        torn_feeds,
        short=10,
        long=1000,
        units=TEARS,
    ),
)
