"""F26: a secret that must not be found anywhere, after everything was run at debug level."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Final

from gpi.tools.chaos.desk import Desk
from gpi.tools.chaos.lab import Lab
from gpi.tools.chaos.processes import Child
from gpi.tools.chaos.rows import Case, Row, Seen

KEY_ID: Final = "PKCANARY0123456789AB"
LOUD: Final = """
import faulthandler, logging, sys
faulthandler.enable()
logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
for name in ("websockets", "urllib3", "requests", "alpaca", "massive", "asyncio", "aiohttp"):
    logging.getLogger(name).setLevel(logging.DEBUG)
"""
MAY_HOLD: Final = {"canary.json", "venue.ready"}  # the files whose purpose it is


def canaries(lab: Lab, case: Case) -> None:
    """A venue, a feed and traders with a key of our own, loud, killed, refused; then every byte is searched."""
    secret = f"CANARY{case.dice.getrandbits(128):032x}"
    keys = case.folder / "canary.json"
    keys.write_text(json.dumps({"key_id": KEY_ID, "secret": secret}))
    keys.chmod(0o600)
    loud = case.folder / "loud"
    loud.mkdir()
    (loud / "sitecustomize.py").write_text(LOUD)
    path = os.pathsep.join([str(loud), os.environ.get("PYTHONPATH", ""), os.getcwd()])
    with Desk(lab, case, venue=("--key-file", keys)) as desk:
        desk.commands.environment = {**desk.commands.environment, "PYTHONPATH": path, "PYTHONASYNCIODEBUG": "1"}
        state = {"XDG_STATE_HOME": str(case.folder / "state")}
        words = ("capture", "--source", "venue", "--venue-ready", desk.venue.keys, "--symbols", "SPY", "--for", "8s")
        feed = desk.commands.start(*words, "--out", case.folder / "feed.parquet", fresh=True, environment=state)
        desk.start("Churn", fresh=True, every=1, hold_s=0.3)
        if desk.trading(60) is None:
            return
        desk.venue.fault("html", place="rest.*.after", probability=0.1)
        desk.venue.fault("reset", place="rest.orders.post.after", probability=0.1)
        desk.market.tick(100)
        _processes(desk, secret, case.seen)
        if desk.trader:
            desk.trader.send(signal.SIGABRT)  # a crash, with faulthandler's last words
            desk.trader.wait(20)
        desk.venue.clear()
        by_environment = {"ALPACA_API_KEY": KEY_ID, "ALPACA_SECRET_KEY": secret}
        desk.start("Churn", fresh=True, environment=by_environment, every=1, hold_s=0.3)
        if desk.trading(60) is not None:
            _processes(desk, secret, case.seen, inherited_only=True)
        desk.finish()
        bad = case.folder / "bad.json"
        bad.write_text(json.dumps({"key_id": KEY_ID, "secret": secret[:-1]}))
        bad.chmod(0o600)
        refused = desk.commands.start(*words[:5], "--symbols", "SPY", "--key-file", bad, fresh=True, environment=state)
        refused.wait(60)
        feed.wait(60)
        time.sleep(0.2)
    bad.unlink()
    _search(case.folder, secret, case.seen)


def _processes(desk: Desk, secret: str, seen: Seen, inherited_only: bool = False) -> None:
    """Arguments and environments of every process started here, and of their children."""
    family = _descendants([child for child in desk.commands.children if child.alive()])
    own = {child.pid for child in desk.commands.children} if inherited_only else set()
    for pid in family:
        for name in ("cmdline", "environ"):
            try:
                held = Path(f"/proc/{pid}/{name}").read_bytes()
            except OSError:
                continue
            seen.count(f"{name} read")
            if name == "environ" and pid in own:
                continue  # it was started with it; its children must not be
            seen.expect(secret.encode() not in held, f"the secret stands in /proc/{pid}/{name}")


def _descendants(roots: list[Child]) -> list[int]:
    parents: dict[int, list[int]] = {}
    for each in Path("/proc").iterdir():
        if each.name.isdigit():
            try:
                parent = int((each / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, ValueError, IndexError):
                continue
            parents.setdefault(parent, []).append(int(each.name))
    found = [child.pid for child in roots]
    for pid in found:
        found += parents.get(pid, [])
    return found


def _search(folder: Path, secret: str, seen: Seen) -> None:
    """Every byte of every file that was written, and what a hexadecimal dump of it would look like."""
    needles = (secret.encode(), secret.encode().hex().encode(), secret.encode().hex(" ").encode())
    for path in folder.rglob("*"):
        if path.is_file() and path.name not in MAY_HOLD:
            data = path.read_bytes()
            seen.count("files searched")
            seen.count("KiB searched", len(data) // 1024)
            seen.expect(not any(needle in data for needle in needles), f"the secret stands in {path.name}")


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
