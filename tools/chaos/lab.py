"""The lab: what every case is given. What other rooms know is handed in by the command line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gpi.tools.chaos.processes import Processes
from gpi.tools.chaos.rows import Case, NotRunnable, Seen
from gpi.tools.chaos.search import search
from gpi.tools.chaos.zygote import Zygote
from gpi.tools.children import LOUD_ENV


@dataclass(frozen=True)
class Lab:
    """Seed, scratch folder, the zygote (None: exec every command), and `rooms`: functions of other rooms by name.

    `loud`: every process logs at DEBUG.
    """

    seed: int
    folder: Path
    zygote: Zygote | None
    rooms: dict[str, Callable[..., Any]] = field(default_factory=dict)
    keep: bool = False
    long: bool = False
    loud: bool = False

    def processes(self, case: Case, **environment: str) -> Processes:
        """Where a case starts its commands; use it with `with`."""
        home = case.folder / "home"
        home.mkdir(exist_ok=True)
        return Processes(case.folder, self.zygote, {"GPI_SPIN": "0", **self._loud(), **environment})

    def _loud(self) -> dict[str, str]:
        """The environment of a process that logs at DEBUG, exec'ed or forked."""
        return {LOUD_ENV: "1"} if self.loud else {}

    def search(self, folder: Path, seen: Seen) -> None:
        """No secret of a case may stand in anything it wrote."""
        search(folder, seen, self.loud)

    def room(self, name: str) -> Callable[..., Any]:
        """A function of another room. Raises NotRunnable where this build has none."""
        if name not in self.rooms:
            raise NotRunnable(f"this build has no {name}")
        return self.rooms[name]
