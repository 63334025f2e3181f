"""Faults: what the venue does wrong, on purpose, and only as its seed says.

The venue's code asks at named places ("rest.orders.post.after", "stream.data.send", ...) whether to misbehave there.
A fault is bound to places by a pattern, waits for its time or its n-th occurrence, throws its own seeded dice, and
ends after a count or a duration. Dice are per fault: adding one fault changes no other. docs/venue.md lists them all.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Final

from gpi.formats.errors import UsageError
from gpi.formats.words import SECOND
from gpi.tools.venue.switches import SWITCHES, typed

REMEMBERED: Final = 256  # faults that state() tells


@dataclass(slots=True)
class Fault:
    """One switch that is on. `detail` holds its own words (status=504, seconds=2, symbol=SPY, ...)."""

    name: str
    place: str  # pattern of places where it can strike, as in fnmatch
    probability: float = 1.0
    count: int | None = None  # how often at most; None: without end
    after: int = 0  # occurrences that pass unharmed before the first
    at: int | None = None  # ns of venue time before which it sleeps
    duration: float | None = None  # seconds of venue time from its first strike on, or from `at`
    detail: dict[str, Any] = field(default_factory=dict)
    seen: int = 0
    struck: int = 0
    until: int | None = None
    dice: random.Random = field(default_factory=random.Random)

    def get(self, key: str, default: Any = None) -> Any:
        """A word of its own, or the default."""
        return self.detail.get(key, default)


class Faults:
    """All faults that are on, asked in the order in which they were set."""

    def __init__(self, now: Callable[[], int], seed: int = 0) -> None:
        self.now = now
        self.seed = seed
        self.struck: Counter[str] = Counter()  # "name@place" -> times
        self._on: list[Fault] = []
        self._told: deque[Fault] = deque(maxlen=REMEMBERED)  # those on and those spent, as they were set
        self._made = 0

    def set(self, name: str, **words: Any) -> Fault:
        """Turn a switch on. Raises UsageError for a name or a word that does not exist."""
        switch = SWITCHES.get(name) if isinstance(name, str) else None
        if switch is None:
            raise UsageError(f"no fault {name!r}: there are {', '.join(sorted(SWITCHES))}")
        common, detail = typed(name, words)
        fault = Fault(name, common.pop("place", switch.place), detail=detail, **common)
        fault.dice.seed(f"{self.seed}/{self._made}/{name}")
        self._made += 1
        if fault.at is not None and fault.duration is not None:
            fault.until = fault.at + int(fault.duration * SECOND)
        self._on.append(fault)
        self._told.append(fault)
        return fault

    def clear(self, name: str = "*") -> int:
        """Turn off all faults of this name, or all; how many there were."""
        left = [f for f in self._on if not fnmatchcase(f.name, name)]
        gone = len(self._on) - len(left)
        self._on = left
        self._told = deque((f for f in self._told if not fnmatchcase(f.name, name)), REMEMBERED)
        return gone

    def hit(self, place: str, **facts: Any) -> Fault | None:
        """The fault that strikes here and now, if one does. `facts` must agree with a fault's words (symbol=SPY)."""
        if not self._on:
            return None
        return next(self._hits(place, facts), None)

    def hits(self, place: str, **facts: Any) -> list[Fault]:
        """Every fault that strikes here and now."""
        return list(self._hits(place, facts)) if self._on else []

    def armed(self, place: str) -> bool:
        """Whether any fault could strike at a place: cheap, for where asking each time would cost."""
        return any(fnmatchcase(place, fault.place) for fault in self._on)

    def due(self) -> list[Fault]:
        """World events (halt, bust, ...) whose time has come; each is given once."""
        return self.hits("world")

    def _hits(self, place: str, facts: Mapping[str, Any]) -> Iterator[Fault]:
        now = self.now()
        for fault in tuple(self._on):
            if fnmatchcase(place, fault.place) and self._strikes(fault, now, facts):
                fault.struck += 1
                self.struck[f"{fault.name}@{place}"] += 1
                if fault.count is not None and fault.struck >= fault.count:
                    self._on.remove(fault)  # spent
                yield fault

    def _strikes(self, fault: Fault, now: int, facts: Mapping[str, Any]) -> bool:
        if fault.at is not None and now < fault.at:
            return False
        if any(fault.detail.get(key, value) != value for key, value in facts.items()):
            return False
        if fault.until is not None and now >= fault.until:
            return False
        fault.seen += 1
        if fault.seen <= fault.after:
            return False
        if fault.probability < 1.0 and fault.dice.random() >= fault.probability:
            return False
        if fault.until is None and fault.duration is not None:
            fault.until = now + int(fault.duration * SECOND)
        return True

    def state(self) -> dict[str, Any]:
        """The latest faults, those spent too, as they were set; and how often each has struck where."""
        on = [{"name": f.name, "place": f.place, "seen": f.seen, "struck": f.struck, **f.detail} for f in self._told]
        return {"on": on, "struck": dict(self.struck)}
