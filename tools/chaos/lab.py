"""The lab: what every case is given. What other rooms know is handed in by the command line."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gpi.tools.chaos.processes import Processes
from gpi.tools.chaos.rows import Case, NotRunnable, Seen
from gpi.tools.chaos.search import LOUD, search
from gpi.tools.chaos.zygote import LOUD_ENV, Zygote


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
        return Processes(case.folder, self.zygote, {"GPI_SPIN": "0", **self._loud(case), **environment})

    def _loud(self, case: Case) -> dict[str, str]:
        """The environment of a process that logs at DEBUG, exec'ed or forked."""
        if not self.loud:
            return {}
        folder = case.folder / "loud"
        folder.mkdir(exist_ok=True)
        (folder / "sitecustomize.py").write_text(LOUD)
        path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", ""), os.getcwd()])
        return {"PYTHONPATH": path, "PYTHONASYNCIODEBUG": "1", LOUD_ENV: "1"}

    def search(self, folder: Path, seen: Seen) -> None:
        """No secret of a case may stand in anything it wrote."""
        search(folder, seen, self.loud)

    def room(self, name: str) -> Callable[..., Any]:
        """A function of another room. Raises NotRunnable where this build has none."""
        if name not in self.rooms:
            raise NotRunnable(f"this build has no {name}")
        return self.rooms[name]
