"""Practice: a trader and a feed that work a little before anything counts, so that what must be compiled, is."""

from __future__ import annotations

import contextlib
import shutil
from typing import Final

from gpi.formats.errors import GpiError
from gpi.tools.chaos.cases.feeds import practice_feed
from gpi.tools.chaos.desk import Desk
from gpi.tools.chaos.lab import Lab
from gpi.tools.chaos.rows import Case, Seen, dice

ATTEMPTS: Final = 4


def practice(lab: Lab) -> None:
    """Until a trader has begun, traded and ended as it should; then a feed of each wire."""
    for attempt in range(ATTEMPTS):
        folder = lab.folder / f"practice-{attempt}"
        folder.mkdir()
        case = Case(attempt, dice(lab.seed, "practice", attempt), folder, Seen(), 1)
        with contextlib.suppress(GpiError, OSError):
            _trade(lab, case)
            practice_feed(lab, case)
        shutil.rmtree(folder, ignore_errors=True)
        if not case.seen.violations:
            return


def _trade(lab: Lab, case: Case) -> None:
    with Desk(lab, case) as desk:
        desk.start("Churn", every=1, hold_s=0.2)
        if desk.trading(120.0) is not None:
            desk.market.tick(100)
            desk.finish()
