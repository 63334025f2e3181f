"""F29: a working directory full of modules that somebody left there, each by the name of one that we import."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from gpi.formats import searchpath
from gpi.tools.chaos.desk import Desk
from gpi.tools.chaos.lab import Lab
from gpi.tools.chaos.processes import until
from gpi.tools.chaos.rows import Case, Row

CANCELLED_S: Final = 10.0
FED_S: Final = 240.0  # the first one may have to compile its kernels
PLANTED: Final = """
import os, sys
with open({marker!r}, "a") as file:
    file.write(f"{{__name__}} in {{sys.argv}}: {{dict(os.environ)}}\\n")
"""
AS_INSTALLED: Final = "import sys\nsys.path[:] = {path!r}\nfrom gpi.cli.main import main\nmain()\n"
COMMANDS: Final = ("gpi", "sitecustomize", "usercustomize", "strategies", "cli", "tools", "formats", "yaml", "keyring")


def plant(folder: Path, marker: Path, package: bool = False) -> int:
    """Fill a folder with modules of every name that Python or we import; each writes to `marker` if it runs.

    `package`: gpi is a folder with all its rooms, else a file. How many there are.
    """
    text = PLANTED.format(marker=str(marker))
    names = {*sys.stdlib_module_names, *(name.partition(".")[0] for name in sys.modules), *COMMANDS} - {"__main__"}
    for name in names:
        (folder / f"{name}.py").write_text(text)
    if package:
        (folder / "gpi.py").unlink()
        for room in ("", "cli", "formats", "tools", "tools/brokers", "tools/strategies"):
            (folder / "gpi" / room).mkdir(parents=True)
            (folder / "gpi" / room / "__init__.py").write_text(text)
        (folder / "gpi" / "tools" / "brokers" / "deadman.py").write_text(text)
    (folder / "planted.pth").write_text(f"import os; open({str(marker)!r}, 'a').write('planted.pth')\n")
    about = folder / "planted-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: planted\nVersion: 1.0\n")
    points = "".join(f"{name} = strategies\n" for name in ("market_making", "momentum", "planted"))
    (about / "entry_points.txt").write_text(f"[gpi.strategies]\n{points}")
    return len(names) + 2


def ran(marker: Path) -> list[str]:
    """What ran of that, by its first words."""
    return [line[:200] for line in marker.read_text().splitlines()] if marker.exists() else []


def as_installed(script: Path) -> Path:
    """The command as it is installed: a script in a folder of its own, run by an interpreter that is not isolated."""
    script.parent.mkdir(parents=True, exist_ok=True)
    here = searchpath.working_directory() or os.sep
    script.write_text(AS_INSTALLED.format(path=[searchpath.HOME, *searchpath.trusted(sys.path, here)]))
    return script


def planted(lab: Lab, case: Case) -> None:
    """Trader, dead-man, capture, featurize and embed there: by turns as installed, and by a path that names it."""
    trap, marker = case.folder / "trap", case.folder / "marker"
    trap.mkdir()
    with Desk(lab, case) as desk:
        case.seen.count("modules planted", plant(trap, marker, package=case.dice.random() < 0.5))
        commands = desk.commands
        commands.zygote, commands.cwd = None, trap
        if case.number % 2:
            hostile = os.pathsep.join(case.dice.sample(["", ".", str(trap), "gpi"], 4))
            commands.environment = {**commands.environment, "PYTHONPATH": hostile, "PYTHONSTARTUP": str(trap / "re.py")}
        else:
            commands.script = as_installed(case.folder / "bin" / "gpi")
        _fed(desk)
        _traded(desk)
    found = ran(marker)
    case.seen.count("of them run", len(found))
    case.seen.expect(not found, f"planted modules ran: {found[:3]}")


def _fed(desk: Desk) -> None:
    """A capture and what follows it, as one pipeline."""
    out, folder = desk.case.folder / "fed.parquet", desk.case.folder
    capture: Iterable[object] = ("capture", "--source", "venue", "--venue-ready", desk.venue.keys, "--symbols", "SPY",
                                 "--journal", folder / "feed", "--rows", 20)  # fmt: skip
    desk.commands.environment = {**desk.commands.environment, "XDG_STATE_HOME": str(folder / "state")}
    running = desk.commands.pipeline(tuple(capture), ("featurize",), ("embed", "--out", out))

    def ended() -> bool:
        desk.market.tick()
        return not any(each.alive() for each in running)

    desk.seen.expect(until(ended, FED_S, 0.02) is not None, "capture | featurize | embed does not end")
    for each in running:
        code = each.end()
        desk.seen.expect(code == 0, f"{each.words[0]} there: exit {code}: {each.last_line()}")
    desk.seen.expect(out.exists(), "capture | featurize | embed gave nothing")


def _traded(desk: Desk) -> None:
    """A trader that is killed, whose dead-man cancels; and one that ends honestly."""
    desk.start("Churn", every=1, hold_s=0.5)
    if desk.trading() is None:
        return
    desk.market.tick(20)
    desk.crash()
    none = until(lambda: not desk.venue.account()["open_orders"], CANCELLED_S, 0.05)
    desk.seen.within("orders of a dead trader cancelled s", none, CANCELLED_S)
    desk.start("Churn", every=1, hold_s=0.2)
    if desk.trading() is not None:
        desk.market.tick(50)
        desk.finish()
        desk.judge()


ROWS: Final = (
    Row(
        "F29",
        "trade, its dead-man, capture, featurize and embed in a directory full of modules named like its own, "
        "by turns as installed and with a PYTHONPATH that names it",
        "none runs; the dead-man cancels; I1-I5 and I7",
        planted,
        short=2,
        long=20,
    ),
)
