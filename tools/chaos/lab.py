"""The lab: what every case is given. What other rooms know is handed in by the command line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gpi.tools.chaos.processes import Processes
from gpi.tools.chaos.rows import Case, NotRunnable
from gpi.tools.chaos.zygote import Zygote


@dataclass(frozen=True)
class Lab:
    """Seed, scratch folder, the zygote (None: exec every command), and `rooms`: functions of other rooms by name."""

    seed: int
    folder: Path
    zygote: Zygote | None
    rooms: dict[str, Callable[..., Any]] = field(default_factory=dict)
    keep: bool = False
    long: bool = False

    def processes(self, case: Case, **environment: str) -> Processes:
        """Where a case starts its commands; use it with `with`."""
        home = case.folder / "home"
        home.mkdir(exist_ok=True)
        return Processes(case.folder, self.zygote, {"GPI_SPIN": "0", **environment})

    def room(self, name: str) -> Callable[..., Any]:
        """A function of another room. Raises NotRunnable where this build has none."""
        if name not in self.rooms:
            raise NotRunnable(f"this build has no {name}")
        return self.rooms[name]
