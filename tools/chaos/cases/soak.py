"""F28: everything together for a long time, with faults at random; memory and descriptors must not grow.

A trader over 63 shares, a capture of the shares and one of 1,000 option contracts, at one venue.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any, Final

from gpi.tools.chaos.cases.feeds import balanced, books, said
from gpi.tools.chaos.desk import Desk
from gpi.tools.chaos.lab import Lab
from gpi.tools.chaos.processes import Child, until
from gpi.tools.chaos.rows import Case, Row

SYMBOLS: Final = tuple(f"T{at:02d}" for at in range(63))
GROWTH: Final = 0.05
WARM_UP: Final = 0.4  # of the time; caches, pools and buffers fill meanwhile
FAULT_EVERY_S: Final = 3.0
EXPIRY: Final = f"{date.today() + timedelta(365):%y%m%d}"
CONTRACTS: Final = tuple(f"SPY{EXPIRY}{right}{1000 * strike:08d}" for strike in range(1, 501) for right in "CP")
EVERY: Final = 20  # ticks between two wishes: far below the 1,000 executions a minute that would halt it
SETTLED_S: Final = 1_200.0  # caches and pools of a capture of 1,000 contracts fill for many minutes
STILL_S: Final = 30.0
QUOTED: Final = 20  # contracts told to the venue at once


def soaked(lab: Lab, case: Case) -> None:
    """A trader and two captures for `units` seconds; a fault every few seconds."""
    seconds = float(case.units)
    with Desk(lab, case, SYMBOLS) as desk:
        desk.market.tick(len(SYMBOLS))
        options = _Options(desk)
        captures = {"capture of shares": _capture(desk, "stocks", SYMBOLS)}
        captures["capture of options"] = _capture(desk, "options", CONTRACTS)
        for name, child in captures.items():
            heard = until(lambda child=child: said(child, "subscribed") or not child.alive(), 60, 0.05)  # type: ignore[misc]
            if not desk.seen.expect(heard is not None and child.alive(), f"{name}: {child.last_line()}"):
                return
        desk.start("Churn", fresh=True, every=EVERY, hold_s=1.0)
        if desk.trading() is None or desk.trader is None:
            return
        watched = {"trader": desk.trader, "venue": desk.venue.child, **captures}
        samples = _watched(desk, options, watched, seconds)
        desk.venue.clear()
        for name, found in samples.items():
            _flat(desk, name, [each for each in found if each[0] > WARM_UP * seconds], seconds)
        desk.seen.within("still trading: the next order s", desk.trading(), STILL_S)
        desk.seen.within("journal = venue s", desk.settled(15), 15)
        for name, child in captures.items():
            child.send(15)
            desk.seen.expect(child.wait(30) in (0, 130), f"I7: {name}: {child.last_line()}")
            balanced(books(child), desk.seen)
            desk.seen.count(f"rows out of the {name}", books(child).get("out", 0))
            desk.seen.count(f"connections of the {name}", books(child).get("connections", 0))
        desk.finish()
        desk.judge()


def _watched(
    desk: Desk, options: _Options, watched: dict[str, Child], seconds: float
) -> dict[str, list[tuple[float, int, int]]]:
    """Market and faults for so long; (seconds, bytes, descriptors) of each process, 200 times."""
    samples: dict[str, list[tuple[float, int, int]]] = {name: [] for name in watched}
    began = last_fault = last_look = time.monotonic()
    while time.monotonic() - began < seconds and all(child.alive() for child in watched.values()):
        desk.market.tick(10, every_s=0.002)
        options.quote()
        now = time.monotonic()
        if now - last_fault > FAULT_EVERY_S:
            last_fault = now
            _befall(desk)
        if now - last_look > seconds / 200:
            last_look = now
            for name, child in watched.items():
                samples[name].append((now - began, child.resident_bytes(), child.open_files()))
    desk.seen.count("seconds", int(time.monotonic() - began))
    desk.seen.count("ticks of shares", desk.market.told)
    desk.seen.count("quotes of options", options.told)
    for name, child in watched.items():
        desk.seen.expect(child.alive(), f"{name} ended: {child.last_line()}")
    return samples


class _Options:
    """1,000 contracts, quoted in turn."""

    def __init__(self, desk: Desk) -> None:
        self._desk, self._at, self.told = desk, 0, 0
        for _ in range(0, len(CONTRACTS), QUOTED):
            self.quote()

    def quote(self) -> None:
        """The next few contracts."""
        dice, ticks = self._desk.case.dice, []
        for at in range(self._at, self._at + QUOTED):
            bid = round(1 + dice.random() * 9, 2)
            ticks.append(
                {"symbol": CONTRACTS[at], "bid": [bid, dice.randint(1, 99)], "ask": [round(bid + 0.05, 2), 10]}
            )
        self._desk.venue.control(tick=ticks)
        self.told += QUOTED
        self._at = (self._at + QUOTED) % len(CONTRACTS)


def _capture(desk: Desk, kind: str, symbols: tuple[str, ...]) -> Child:
    """A capture of these symbols, its stream thrown away, its journal kept."""
    names = desk.case.folder / f"{kind}.txt"
    names.write_text("\n".join(symbols))
    words: tuple[object, ...] = ("capture", "--source", "venue", "--venue-ready", desk.venue.keys)
    words += ("--asset-class", kind, "--symbols", f"@{names}", "--journal", desk.case.folder / f"feed-{kind}")
    return desk.commands.start(
        *words, name=f"capture-{kind}", fresh=True
    )  # a forked one's memory is mostly its parent's


def _befall(desk: Desk) -> None:
    """The last fault ends, another begins."""
    desk.venue.clear()
    choices: tuple[Callable[[], Any], ...] = (
        lambda: desk.venue.fault("status", probability=0.1),
        lambda: desk.venue.fault("reset", probability=0.1),
        lambda: desk.venue.fault("drop", place="stream.updates.send", count=1),
        lambda: desk.venue.fault("duplicate", place="stream.updates.send", probability=0.2),
        lambda: desk.venue.fault("reorder", place="stream.updates.send", probability=0.2),
        lambda: desk.venue.fault("delay", place="stream.updates.send", probability=0.2, seconds=0.5),
        lambda: desk.venue.fault("lose", place="stream.updates.send", probability=0.1),
        lambda: desk.venue.fault("unknown-enum", probability=0.1),
        lambda: desk.venue.fault("cancel-loses", probability=0.2),
        lambda: desk.venue.fault("slow", place="rest.*.before", probability=0.2, seconds=0.2),
        lambda: desk.venue.fault("drop", place="stream.data.send", count=2),
        lambda: desk.venue.fault("close", place="stream.data.send", code=1001, count=1),
        lambda: desk.venue.fault("malformed", probability=0.01),
    )
    desk.case.dice.choice(choices)()
    desk.seen.count("faults")


def _flat(desk: Desk, name: str, samples: list[tuple[float, int, int]], seconds: float) -> None:
    """Memory at the end against the middle, descriptors as they were."""
    if len(samples) < 10:
        desk.seen.violate(f"{name}: only {len(samples)} samples")
        return
    third = max(1, len(samples) // 3)
    early = sorted(size for _, size, _ in samples[:third])[third // 2]
    late = sorted(size for _, size, _ in samples[-third:])[third // 2]
    growth = late / early - 1
    desk.seen.measure(f"{name} memory growth %", 100 * growth)
    desk.seen.measure(f"{name} MiB", late / (1 << 20))
    files = [n for _, _, n in samples]
    desk.seen.measure(f"{name} descriptors", max(files))
    if seconds >= SETTLED_S or growth > 10 * GROWTH:
        desk.seen.expect(name == "venue" or growth < GROWTH, f"{name} grew by {100 * growth:.1f} %")
    desk.seen.expect(max(files[-third:]) <= max(files[:third]) + 3, f"{name}: descriptors went up to {max(files)}")


ROWS: Final = (
    Row(
        "F28",
        "a soak: 63 shares, 1,000 option contracts, a fault every 3 s (units are seconds; --cases 28800: 8 h)",
        "memory growth < 5 % (but for the venue, which keeps every order), descriptors constant, I1-I7",
        soaked,
        short=12,
        long=1_200,
        units=1_000_000,
    ),
)
