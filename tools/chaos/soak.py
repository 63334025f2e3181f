"""F28: everything together for a long time, with faults at random; memory and descriptors must not grow."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from gpi.tools.chaos.desk import Desk
from gpi.tools.chaos.lab import Lab
from gpi.tools.chaos.rows import Case, Row

SYMBOLS: Final = tuple(f"T{at:02d}" for at in range(63))
GROWTH: Final = 0.05
WARM_UP: Final = 0.4  # of the time; caches, pools and buffers fill meanwhile
FAULT_EVERY_S: Final = 3.0


def soaked(lab: Lab, case: Case) -> None:
    """A trader over 63 symbols for `units` seconds; a fault every few seconds."""
    seconds = float(case.units)
    with Desk(lab, case, SYMBOLS) as desk:
        desk.start("Churn", every=3, hold_s=1.0)
        if desk.trading() is None or desk.trader is None:
            return
        watched = {"trader": desk.trader, "venue": desk.venue.child}
        samples: dict[str, list[tuple[float, int, int]]] = {name: [] for name in watched}
        began = last_fault = last_look = time.monotonic()
        while time.monotonic() - began < seconds and desk.alive():
            desk.market.tick(10, every_s=0.002)
            now = time.monotonic()
            if now - last_fault > FAULT_EVERY_S:
                last_fault = now
                _befall(desk)
            if now - last_look > seconds / 200:
                last_look = now
                for name, child in watched.items():
                    samples[name].append((now - began, child.resident_bytes(), child.open_files()))
        desk.venue.clear()
        desk.seen.count("seconds", int(time.monotonic() - began))
        desk.seen.count("ticks", desk.market.told)
        desk.seen.expect(desk.alive(), f"the trader ended: {desk.last_line()}")
        for name, found in samples.items():
            _flat(desk, name, [each for each in found if each[0] > WARM_UP * seconds], seconds)
        desk.seen.within("journal = venue s", desk.settled(15), 15)
        desk.finish()
        desk.judge()


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
    if seconds >= 120 or growth > 10 * GROWTH:
        desk.seen.expect(name != "trader" or growth < GROWTH, f"{name} grew by {100 * growth:.1f} %")
    desk.seen.expect(max(files[-third:]) <= max(files[:third]) + 3, f"{name}: descriptors went up to {max(files)}")


ROWS: Final = (
    Row(
        "F28",
        "a soak: 63 symbols, a fault every 3 s (units are seconds; 8 h: --only F28 --cases 28800)",
        "memory growth < 5 %, descriptors constant, I1-I5",
        soaked,
        short=12,
        long=240,
        units=1_000_000,
    ),
)
