"""F26: a secret that must not be found anywhere, after everything was run at debug level."""

from __future__ import annotations

import json
import signal
import time
from dataclasses import replace
from typing import Final

from gpi.tools.chaos.desk import Desk
from gpi.tools.chaos.lab import Lab
from gpi.tools.chaos.rows import Case, Row
from gpi.tools.chaos.search import descendants, search, shown

KEY_ID: Final = "PKCANARY0123456789AB"


def canaries(lab: Lab, case: Case) -> None:
    """A venue, a feed and traders with a key of our own, loud, killed, refused; then every byte is searched."""
    secret = f"CANARY{case.dice.getrandbits(128):032x}"
    keys = case.folder / "canary.json"
    keys.write_text(json.dumps({"key_id": KEY_ID, "secret": secret}))
    keys.chmod(0o600)
    with Desk(replace(lab, loud=True), case, venue=("--key-file", keys)) as desk:
        state = {"XDG_STATE_HOME": str(case.folder / "state")}
        words = ("capture", "--source", "venue", "--venue-ready", desk.venue.keys, "--symbols", "SPY", "--for", "8s")
        feed = desk.commands.start(*words, "--out", case.folder / "feed.parquet", fresh=True, environment=state)
        desk.start("Churn", fresh=True, every=1, hold_s=0.3)
        if desk.trading(60) is None:
            return
        desk.venue.fault("html", place="rest.*.after", probability=0.1)
        desk.venue.fault("reset", place="rest.orders.post.after", probability=0.1)
        desk.market.tick(100)
        _processes(desk)
        if desk.trader:
            desk.trader.send(signal.SIGABRT)  # a crash, with faulthandler's last words
            desk.trader.wait(20)
        desk.venue.clear()
        by_environment = {"ALPACA_API_KEY": KEY_ID, "ALPACA_SECRET_KEY": secret}
        desk.start("Churn", fresh=True, environment=by_environment, every=1, hold_s=0.3)
        if desk.trading(60) is not None:
            _processes(desk, given=True)
        desk.finish()
        bad = case.folder / "bad.json"
        bad.write_text(json.dumps({"key_id": KEY_ID, "secret": secret[:-1]}))
        bad.chmod(0o600)
        refused = desk.commands.start(*words[:5], "--symbols", "SPY", "--key-file", bad, fresh=True, environment=state)
        refused.wait(60)
        feed.wait(60)
        time.sleep(0.2)
    bad.unlink()
    if not lab.loud:  # else it is counted with everything else
        search(case.folder, case.seen, told=True)


def _processes(desk: Desk, given: bool = False) -> None:
    """Arguments and environments of every process started here, and of their children, for the search."""
    own = [child.pid for child in desk.commands.children if child.alive()]
    family = descendants(own)
    desk.seen.count("processes read", len(family))
    text = shown(family, frozenset(own) if given else frozenset())
    with open(desk.case.folder / "processes.txt", "ab") as file:
        file.write(text)


ROWS: Final = (
    Row(
        "F26",
        "a canary key through venue, capture and trade at DEBUG, with errors, a refusal and a crash",
        "0 hits in logs, argv, environments of children, Parquet, journals, tracebacks",
        canaries,
        short=1,
        long=5,
        alone=True,
    ),
)
