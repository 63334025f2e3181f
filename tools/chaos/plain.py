"""The same venue, the same faults, the same seeds, and a plain alpaca-py loop: what it loses."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from gpi.tools.chaos.lab import Lab
from gpi.tools.chaos.market import Market, Ticking
from gpi.tools.chaos.processes import Child, Hung, Processes
from gpi.tools.chaos.rows import Case, Seen, dice
from gpi.tools.chaos.venue import Venue

ORDERS: Final = 12
BOUND_S: Final = 60.0  # after which a bot that should have ended long ago counts as hung
SYMBOL: Final = "SPY"


@dataclass(frozen=True)
class Against:
    """One fault of the table as the plain bot meets it."""

    row: str
    what: str
    cause: Callable[[Venue], None]
    kills: bool = False


FAULTS: Final = (
    Against("", "no fault", lambda venue: None),
    Against("F01", "kill -9 and a restart from its own state file", lambda venue: None, kills=True),
    Against(
        "F04",
        "one update in five never sent",
        lambda venue: venue.fault("lose", place="stream.updates.send", probability=0.2),
    ),
    Against(
        "F05",
        "the updates socket torn at one message in ten",
        lambda venue: venue.fault("drop", place="stream.updates.send", probability=0.1),
    ),
    Against(
        "F06", "504 after the order was accepted, one in four", lambda venue: venue.fault("status", probability=0.25)
    ),
    Against(
        "F06", "the connection torn after the accept, one in four", lambda venue: venue.fault("reset", probability=0.25)
    ),
    Against("F06", "one accepted order never answered", lambda venue: venue.fault("hang", after=4, count=1)),
    Against("F07", "429 for 15 s", lambda venue: venue.fault("storm", place="rest.orders.*.before", seconds=15)),
    Against(
        "F08", "an unknown status in one reply of four", lambda venue: venue.fault("unknown-enum", probability=0.25)
    ),
)


@dataclass
class Loss:
    """What the bot lost to one fault, over all its runs."""

    against: Against
    runs: int
    counts: Counter[str]


def compared(lab: Lab, bot: Path, runs: int, only: set[str] | None = None) -> list[Loss]:
    """Every fault `runs` times."""
    found = []
    for at, against in enumerate(FAULTS):
        if only is None or against.row in only:
            counts: Counter[str] = Counter()
            for number in range(runs):
                folder = lab.folder / "plain" / f"{at}-{number}"
                folder.mkdir(parents=True)
                case = Case(number, dice(lab.seed, f"plain/{at}", number), folder, Seen(), 1)
                with lab.processes(case) as commands:
                    counts += _one(commands, case, bot, against)
            found.append(Loss(against, runs, counts))
    return found


def _one(commands: Processes, case: Case, bot: Path, against: Against) -> Counter[str]:
    venue = Venue(commands, "--hours", "always", "--rate-limit", 0, "--seed", case.number, "--cash", 1_000_000)
    market = Market(venue, case.dice, (SYMBOL,))
    market.tick(20)
    against.cause(venue)
    with Ticking(market):
        first = _start(commands, case, venue, bot, "bot-1")
        if against.kills:
            time.sleep(1.5 + case.dice.uniform(0.2, 1.5))
            first.kill()
            first = _start(commands, case, venue, bot, "bot-2")
        try:
            first.wait(BOUND_S)
            hung = False
        except Hung:
            hung = True
            first.kill()
    return _lost(venue.account(), _believed(case.folder), hung, against.kills)


def _start(commands: Processes, case: Case, venue: Venue, bot: Path, name: str) -> Child:
    keys = {"ALPACA_API_KEY": venue.key_id, "ALPACA_SECRET_KEY": venue.secret}
    out = open(case.folder / f"{name}.out", "wb")
    words = (bot, "--url", venue.url, "--orders", ORDERS, "--seed", case.number, "--state", case.folder / "state.json")
    with out:
        return commands.start(*words, stdout=out.fileno(), name=name, environment=keys)


def _believed(folder: Path) -> dict[str, Any]:
    """The bot's last word: of its last line, else of its state file."""
    for path in sorted(folder.glob("bot-*.out"), reverse=True):
        lines = path.read_text().splitlines()
        if lines:
            said: dict[str, Any] = json.loads(lines[-1])
            return said
    state = folder / "state.json"
    kept: dict[str, Any] = json.loads(state.read_text()) if state.exists() else {"position": 0.0}
    return kept


def _lost(account: dict[str, Any], believed: dict[str, Any], hung: bool, restarted: bool) -> Counter[str]:
    counts: Counter[str] = Counter()
    held = account["positions"].get(SYMBOL, {"qty": "0", "side": "long"})
    truth = abs(Decimal(held["qty"])) * (-1 if held["side"] == "short" else 1)
    wrong = abs(float(truth) - float(believed["position"])) > 1e-9
    counts["runs with a wrong position"] = int(wrong)
    counts["hung"] = int(hung)
    if "sent" in believed and not restarted:
        counts["orders meant"] = int(believed["sent"])
        counts["orders too many"] = max(0, len(account["orders"]) - int(believed["sent"]))
        live = len(account["orders"]) - (int(believed["sent"]) - int(believed["failed"]))
        counts["live orders it calls failed"] = max(0, live)
        counts["fills never heard of"] = max(0, len(account["fills"]) - int(believed["fills"]))
    return counts
