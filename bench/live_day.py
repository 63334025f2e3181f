"""A whole real day through the live edge: venue, capture, featurize, embed, trade, in processes of their own.

    gpi replay DAY | gpi venue                                     the exchange, fed by what happened that day
    gpi capture --source venue | tee day.arrow | gpi featurize | gpi embed | gpi trade --broker alpaca --paper

Then: what was captured is what the venue sent, row for row; the trader's account is the venue's, to the cent; the fills
agree; and `gpi verify RUN --recording day.arrow` reproduces every decision.
"""

import json
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from bench.harness import ROOT, SHARED, report
from gpi.formats.instruments import KEY, Instruments
from gpi.formats.ipc import Reader

GPI = str(Path(sys.executable).with_name("gpi"))
DAYS = {
    "AAPL, LOBSTER level 1": (["eq_lob_lobster_AAPL_20120621_L1.parquet"], "AAPL", ""),
    "BAC and IBM, NBBO + trades (SIP), 2013-10-08": (
        ["eq_quotes_lean_BAC_IBM_20131007_09.parquet", "eq_trades_lean_BAC_IBM_SPY_20131007_09.parquet"],
        "BAC,IBM",
        "--symbols BAC,IBM --since 2013-10-08T13:29:00Z --until 2013-10-08T20:01:00Z",
    ),
}
SAME = ("ts_event", "instrument_id", "kind", "flags", "bid_px", "bid_sz", "ask_px", "ask_sz", "trade_px", "trade_sz")
CENT = Decimal("0.01")
SPEED = 60  # times as fast as it was
READY = "reconciled"
HONEST = [130, 0, 0, 0, 0]  # the capture was ended by Ctrl-C, the rest drained


def started(command: str, log: Path, **streams: Any) -> subprocess.Popen[bytes]:
    """One process; what it says goes to a file."""
    given = {"stdout": subprocess.DEVNULL, **streams}
    return subprocess.Popen(command.split(), cwd=ROOT, stderr=log.open("wb"), **given)


def piped(commands: list[str], folder: Path) -> list[subprocess.Popen[bytes]]:
    """Processes joined by pipes; each logs into a file of its own name."""
    made: list[subprocess.Popen[bytes]] = []
    for command in commands:
        before = made[-1].stdout if made else subprocess.DEVNULL
        last = command is commands[-1]
        name = command.split()[1] if command.startswith(GPI) else command.split()[0]
        out = subprocess.DEVNULL if last else subprocess.PIPE
        made.append(started(command, folder / f"{name}.log", stdin=before, stdout=out))
        if len(made) > 1 and made[-2].stdout is not None:
            made[-2].stdout.close()  # the next one owns it now
    return made


def ready(path: Path, venue: subprocess.Popen[bytes]) -> dict[str, Any]:
    """The venue's ready line, once it listens."""
    for _ in range(1200):
        if path.exists() and path.stat().st_size:
            told: dict[str, Any] = json.loads(path.read_text())
            return told.get("gpi.venue", told)
        if venue.poll() is not None:
            break
        time.sleep(0.1)
    raise SystemExit(f"the venue did not start: see {path.parent}")


def asked(venue: dict[str, Any], path: str, said: dict[str, Any] | None = None) -> dict[str, Any]:
    """The venue's own books, or a word to its control."""
    headers = {"Authorization": f"Bearer {venue['token']}", "Content-Type": "application/json"}
    body = None if said is None else json.dumps(said).encode()
    with urllib.request.urlopen(urllib.request.Request(venue["url"] + path, body, headers), timeout=60) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def heard(log: Path, words: str, who: subprocess.Popen[bytes]) -> None:
    """Wait until a process has said so. Raises SystemExit where it has ended instead."""
    while words not in log.read_text():
        if who.poll() is not None:
            raise SystemExit(f"{log} does not say {words!r}: {log.read_text()[-500:]}")
        time.sleep(0.1)


def played(venue: dict[str, Any], capture: subprocess.Popen[bytes]) -> None:
    """Let the day come, wait until it is over and everything sent has arrived, and end the capture as Ctrl-C does."""
    asked(venue, "/gpi/control", {"go": True})
    sent, before = None, object()
    while capture.poll() is None:
        time.sleep(2.0)
        told = asked(venue, "/gpi/state?brief")
        before, sent = sent, told["tape"]["sent"]
        if told["feed"] == "over" and sent == before:
            capture.send_signal(signal.SIGINT)
            return


def columns(path: Path) -> dict[str, Any]:
    """The columns of a recorded stream that both ends know; instruments by their symbols."""
    with path.open("rb") as file:
        reader = Reader(file.fileno(), str(path))
        table, parts = Instruments.of(reader.schema), []
        for frame in reader:
            if KEY in (frame.notes or {}):
                table = Instruments.from_json(frame.notes[KEY])
            if frame.rows:
                parts.append({name: frame[name].copy() for name in SAME})
    found = {name: np.concatenate([part[name] for part in parts]) for name in SAME}
    symbols = np.array([row.symbol for row in table])
    return {**found, "instrument_id": symbols[found["instrument_id"]]}


def rows_differ(sent: Path, captured: Path) -> str | None:
    """The first difference between what was sent and what was captured; None: the same, row for row."""
    theirs, ours = columns(sent), columns(captured)
    for name in SAME:
        a, b = theirs[name], ours[name]
        if len(a) != len(b):
            return f"{len(a):,} rows sent, {len(b):,} captured"
        unequal = a != b
        if a.dtype.kind == "f":
            unequal &= (a == a) | (b == b)
        if unequal.any():
            at = int(unequal.argmax())
            return f"row {at}, {name}: sent {a[at]}, captured {b[at]} ({int(unequal.sum()):,} rows in all)"
    return None


def books_differ(run: Path, account: dict[str, Any]) -> str | None:
    """Cash, and every fill by quantity and price, in the trader's run and in the venue's books."""
    mine = pq.read_table(run / "fills.parquet", columns=["qty", "px"]).to_pylist()
    cash = Decimal(repr(pq.read_table(run / "equity.parquet", columns=["cash"])["cash"][-1].as_py()))
    theirs = [order for order in account["orders"] if Decimal(order["filled_qty"])]
    bought = sum((Decimal(repr(fill["qty"])) for fill in mine), Decimal(0))
    sold = sum((Decimal(order["filled_qty"]) for order in theirs), Decimal(0))
    if bought != sold:
        return f"the trader has fills of {bought}, the venue of {sold}"
    if cash.quantize(CENT) != Decimal(account["cash"]).quantize(CENT):
        return f"the trader has cash of {cash}, the venue of {account['cash']}"
    return None


def day(name: str, files: list[str], symbols: str, words: str, folder: Path) -> bool:
    """One data set through the whole edge; whether everything held."""
    folder.mkdir()
    paths, told, run = " ".join(str(SHARED / file) for file in files), folder / "ready.json", folder / "run"
    began = time.perf_counter()
    replay, venue = piped(
        [
            f"{GPI} replay {paths} {words}",
            f"{GPI} venue --wait-for 99 --ready {told} --sent {folder / 'sent'} --rate-limit 0 --speed {SPEED} "
            "--cash 1000000 --stay",
        ],
        folder,
    )
    try:
        at = ready(told, venue)
        pipeline = piped(
            [
                f"{GPI} capture --source venue --venue-ready {told} --symbols {symbols} --journal {folder / 'journal'}",
                f"tee {folder / 'day.arrow'}",
                f"{GPI} featurize",
                f"{GPI} embed",
                f"{GPI} trade --broker alpaca --paper --url {at['url']} --key-file {told} "
                f"--journal {folder / 'orders'} --pace {SPEED} --strategy market_making --out {run}",
            ],
            folder,
        )
        heard(folder / "capture.log", "subscribed", pipeline[0])
        heard(folder / "trade.log", READY, pipeline[-1])
        played(at, pipeline[0])
        codes = [each.wait(timeout=600) for each in pipeline]
        books = asked(at, "/gpi/state")
    finally:
        venue.terminate()
        venue.wait(timeout=60)
        replay.wait(timeout=60)
    seconds = time.perf_counter() - began
    manifest = json.loads((run / "manifest.json").read_text())
    report(name, manifest["ticks"], "ticks", f"{seconds:.0f} s, exits {codes}, {manifest['rows']['fills']:,} fills")
    (sent,) = (path for path in (folder / "sent").glob("*.arrow") if path.stat().st_size)
    findings = {
        "captured = sent, row for row": rows_differ(sent, folder / "day.arrow"),
        "account = the venue's, to the cent": books_differ(run, next(iter(books["accounts"].values()))),
        "gpi verify reproduces the decisions": verified(run, folder / "day.arrow"),
    }
    for what, wrong in findings.items():
        print(f"  {what}: {wrong or 'yes'}")
    return codes == HONEST and not any(findings.values())


def verified(run: Path, recording: Path) -> str | None:
    """What `gpi verify` says of the run, repeated from the recording."""
    done = subprocess.run([GPI, "verify", run, "--recording", recording], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    return None if done.returncode == 0 else done.stderr.strip().splitlines()[-1]


def main() -> int:
    """All days; exit 1 if anything differs."""
    if not SHARED.is_dir():
        print(f"real data absent: {SHARED}")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        held = [day(name, *each, Path(folder) / str(n)) for n, (name, each) in enumerate(DAYS.items())]
    return 0 if all(held) else 1


if __name__ == "__main__":
    raise SystemExit(main())
