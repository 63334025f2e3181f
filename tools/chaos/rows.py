"""A row of the fault table: what is done, how often, what must come out, and what did.

Everything a case does by chance it draws from its own dice, which follow from (seed, row, case number) alone: a
failure is repeated by naming the three, `gpi chaos --seed N --only F05 --case 317`.
"""

from __future__ import annotations

import random
import shutil
import statistics
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gpi.formats.errors import GpiError

if TYPE_CHECKING:
    from gpi.tools.chaos.lab import Lab

ENOUGH: Final = 5  # broken cases after which a row stops: it has failed, and the first few say why
PASS, FAIL, NOT_RUN = "pass", "FAIL", "NOT RUN"


class NotRunnable(GpiError):
    """This machine or this build lacks what the row needs; the message says what."""


@dataclass
class Seen:
    """What a case, or a whole row, did and saw."""

    counts: Counter[str] = field(default_factory=Counter)
    measures: dict[str, list[float]] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)

    def count(self, what: str, times: int = 1) -> None:
        """So many of these."""
        self.counts[what] += times

    def measure(self, what: str, value: float) -> None:
        """One measured figure; its name ends in its unit."""
        self.measures.setdefault(what, []).append(value)

    def violate(self, what: str, why: str = "") -> None:
        """Something that must not be: an invariant (I1..I7) or the row's own figure."""
        self.violations.append(f"{what}: {why}" if why else what)

    def expect(self, holds: bool, what: str) -> bool:
        """Violated unless it holds."""
        if not holds:
            self.violate(what)
        return holds

    def within(self, what: str, value: float | None, bound: float) -> None:
        """A measured figure with a pass figure: at most `bound`; None: never happened."""
        if value is None:
            self.violate(what, f"never within {bound:g}")
            return
        self.measure(what, value)
        if value > bound:
            self.violate(what, f"{value:.3f} > {bound:g}")

    def add(self, other: Seen) -> None:
        """Another's counts and figures."""
        self.counts += other.counts
        for name, values in other.measures.items():
            self.measures.setdefault(name, []).extend(values)

    def told(self) -> str:
        """Counts, then figures as median and worst."""
        parts = [f"{n} {name}" for name, n in self.counts.items()]
        for name, values in self.measures.items():
            parts.append(f"{name} p50 {statistics.median(values):.3g} max {max(values):.3g}")
        return ", ".join(parts)


@dataclass(frozen=True)
class Case:
    """One repetition: its number, its dice, its own empty folder, and where it tells."""

    number: int
    dice: random.Random
    folder: Path
    seen: Seen
    units: int  # how much of the row's work this case should do, where a case does several units


@dataclass(frozen=True)
class Row:
    """One fault. A case does `units` of it; `short` and `long` are units in all."""

    id: str
    fault: str
    wanted: str
    case: Callable[[Lab, Case], None]
    short: int
    long: int
    units: int = 1
    alone: bool = False  # its cases measure time so finely that they must not run beside each other


@dataclass
class Outcome:
    """What became of a row."""

    row: Row
    verdict: str
    cases: int
    seen: Seen
    seconds: float
    seed: int
    why: str = ""  # NOT RUN: what is missing

    def as_dict(self) -> dict[str, Any]:
        """For --out FILE.json."""
        figures = {
            name: {"n": len(v), "p50": statistics.median(v), "max": max(v)} for name, v in self.seen.measures.items()
        }
        return {
            "row": self.row.id,
            "fault": self.row.fault,
            "wanted": self.row.wanted,
            "seed": self.seed,
            "verdict": self.verdict,
            "cases": self.cases,
            "counts": dict(self.seen.counts),
            "figures": figures,
            "violations": self.seen.violations,
            "why": self.why,
            "seconds": round(self.seconds, 1),
        }


def dice(seed: int, row: str, case: int) -> random.Random:
    """The dice of one case."""
    return random.Random(f"{seed}/{row}/{case}")


def run(row: Row, lab: Lab, units: int, only: int | None = None, jobs: int = 1) -> Outcome:
    """Run a row until `units` of it are done, or the one case `only`."""
    began, whole, cases = time.monotonic(), Seen(), 0
    numbers: Iterator[int] = iter((only,)) if only is not None else iter(range(-(-units // row.units)))
    try:
        for number, seen in _each(row, lab, numbers, min(row.units, units), 1 if row.alone else jobs):
            cases += 1
            whole.add(seen)
            whole.violations += [f"case {number}: {each}" for each in seen.violations]
            if seen.violations:
                whole.counts["cases broken"] += 1
            if whole.counts["cases broken"] >= ENOUGH:
                break
    except NotRunnable as lacking:
        return Outcome(row, NOT_RUN, cases, whole, time.monotonic() - began, lab.seed, str(lacking))
    verdict = FAIL if whole.violations else PASS
    return Outcome(row, verdict, cases, whole, time.monotonic() - began, lab.seed)


def _each(row: Row, lab: Lab, numbers: Iterator[int], units: int, jobs: int) -> Iterator[tuple[int, Seen]]:
    """Every case's number and what it saw, `jobs` at a time."""
    if jobs == 1:
        for number in numbers:
            yield number, _one(row, lab, number, units)
        return
    with ThreadPoolExecutor(jobs) as pool:
        running: dict[Future[Seen], int] = {}
        try:
            for number in numbers:
                running[pool.submit(_one, row, lab, number, units)] = number
                if len(running) >= jobs:
                    yield from _finished(running)
            while running:
                yield from _finished(running)
        finally:
            for future in running:
                future.cancel()


def _finished(running: dict[Future[Seen], int]) -> Iterator[tuple[int, Seen]]:
    done, _ = wait(running, return_when=FIRST_COMPLETED)
    for future in done:
        yield running.pop(future), future.result()


def _one(row: Row, lab: Lab, number: int, units: int) -> Seen:
    """One case in a folder of its own, which stays only where it failed and was asked to be kept."""
    folder = lab.folder / row.id / str(number)
    folder.mkdir(parents=True)
    seen = Seen()
    try:
        row.case(lab, Case(number, dice(lab.seed, row.id, number), folder, seen, units))
    except NotRunnable:
        raise
    except Exception as wrong:
        place = traceback.extract_tb(wrong.__traceback__)[-1]
        seen.violate("the case itself", f"{type(wrong).__name__}: {wrong} ({Path(place.filename).name}:{place.lineno})")
    lab.search(folder, seen)
    if not (seen.violations and lab.keep):
        shutil.rmtree(folder, ignore_errors=True)
    return seen
