"""`gpi capture` against a real `gpi venue`: what was sent is what is written, whatever ends whom."""

import json
import os
import resource
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from gpi.formats.frame import Frame, concatenated
from gpi.formats.instruments import Instruments
from gpi.formats.ipc import Reader, writing
from gpi.formats.quarantine import Quarantine, taken
from gpi.formats.words import GAP, QUOTE, SNAPSHOT, STATUS, TRADE
from gpi.tools.feeds.files import open_ticks
from gpi.tools.feeds.live.journal import Kind, read
from tests.data import shared
from tests.shell import GPI, ROOT, gpi

pytestmark = pytest.mark.jit  # commands of their own, and whole days: compiled kernels or minutes

CANARY = "canary-live-secret-0123456789"
OLD_CLIENT = Path(os.environ.get("GPI_OLD_CLIENT") or ROOT / "build" / "polygon")
SAID = ("ts_event", "kind", "bid_px", "bid_sz", "ask_px", "ask_sz", "trade_px", "trade_sz")


class Venue:
    """A venue in a process of its own, playing a file once somebody has subscribed."""

    def __init__(self, folder: Path, feed: Path, *words: object) -> None:
        self.ready, self.sent = folder / "ready.json", folder / "sent"
        key = folder / "key.json"
        key.write_text(json.dumps({"key_id": "PKLIVECANARY00000001", "secret": CANARY}))
        key.chmod(0o600)
        command = ["venue", feed, "--ready", self.ready, "--key-file", key, "--sent", self.sent, "--wait-for", 1]
        self.process = subprocess.Popen(
            [*GPI, *map(str, [*command, *words])], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=ROOT
        )
        for _ in range(600):
            if self.ready.exists() or self.process.poll() is not None:
                break
            time.sleep(0.1)
        if not self.ready.exists():
            raise AssertionError(self.process.communicate()[1].decode())

    def ended(self) -> None:
        """Wait until it has closed its books."""
        self.process.terminate()
        self.process.communicate(timeout=60)


@contextmanager
def venue(folder: Path, feed: Path, *words: object) -> Iterator[Venue]:
    """A venue that is ended in any case."""
    made = Venue(folder, feed, *words)
    try:
        yield made
    finally:
        made.ended()


def stored(path: Path, *, whole: bool = True) -> tuple[Frame, Instruments]:
    """Rows and instruments of a stream in a file; not `whole`: as far as they go."""
    reader = Reader(os.open(path, os.O_RDONLY), str(path))
    instruments, frames = Instruments.of(reader.schema), []
    try:
        for frame in reader:
            frames.append(frame.copy())
    except Exception:
        if whole:
            raise
    return concatenated(frames, reader.schema), instruments


def lines(frame: Frame, instruments: Instruments) -> list[tuple[Any, ...]]:
    """What the rows say: symbol, times and numbers; NaN as None. Trading states of statuses, no other flags."""
    frame = taken(frame, np.flatnonzero(frame["kind"]))  # not the GAP rows at the end: the venue hangs up, and is gone
    columns = [frame[name].tolist() for name in SAID]
    names = [instruments[i].symbol.replace("/", "") for i in frame["instrument_id"].tolist()]
    flags = np.where(frame["kind"] == STATUS, frame["flags"], 0).tolist()
    return [tuple(None if v != v else v for v in row) for row in zip(names, flags, *columns, strict=True)]


def messages(frame: Frame) -> int:
    """How many messages a venue makes of these rows: one for each of quote, trade, status."""
    return int(sum(((frame["kind"] & bit) != 0).sum() for bit in (QUOTE, TRADE, STATUS)))


def written(path: Path, frames: list[Frame], schema: pa.Schema) -> Path:
    """These frames as an Arrow file."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT)
    with writing(fd, schema) as writer:
        for frame in frames:
            writer.write(frame)
    os.close(fd)
    return path


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A synthetic market with a trading halt."""
    path = tmp_path_factory.mktemp("market") / "market.arrow"
    gpi("simulate", "--scenario", "halt", "--events", 6000, "--levels", 0, "--out", path, check=0)
    return path


def slice_of(path: Path, frames: Iterator[Frame], schema: pa.Schema, rows: int) -> Path:
    """The first rows of a stream in a file."""
    kept, count = [], 0
    for frame in frames:
        kept.append(frame.slice(0, min(frame.rows, rows - count)).copy())
        count += kept[-1].rows
        if count >= rows:
            break
    return written(path, kept, schema)


def check_parity(
    tmp_path: Path, feed: Path, symbols: object, wire: str = "alpaca", asset: str = "stocks", old: bool = False
) -> None:
    """A venue plays the feed; the capture writes what it sent, and so do its journal and its lake.

    `old`: through polygon-api-client, which is what there was before `massive`.
    """
    count = messages(stored(feed)[0])
    got = tmp_path / "got.arrow"
    with venue(tmp_path, feed) as playing:
        words = ["--venue-ready", playing.ready, "--wire", wire, "--symbols", symbols, "--once", "--asset-class", asset]
        words += ["--journal", tmp_path / "journal", "--lake", tmp_path / "lake", "--out", got, "--for", "100s"]
        command = [*GPI, "capture", "--source", "venue", *map(str, words)]
        env = old_client(tmp_path) if old else dict(os.environ)
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=ROOT, env=env)
        assert done.returncode == 0, done.stderr.decode()
    (sent,) = playing.sent.glob("*.arrow")
    assert lines(*stored(got)) == lines(*stored(sent)) and len(lines(*stored(got))) == count
    gpi("capture", "--from-journal", tmp_path / "journal", "--out", tmp_path / "again.arrow", check=0)
    first, second = stored(got)[0], stored(tmp_path / "again.arrow")[0]
    assert all(np.array_equal(first[n], second[n], equal_nan=True) for n in first.columns)
    done = gpi("replay", tmp_path / "lake", "--out", tmp_path / "replayed.arrow", check=0)
    assert b"quarantined" not in done.stderr
    assert by_symbol(*stored(tmp_path / "replayed.arrow")) == by_symbol(*stored(got))


def old_client(tmp_path: Path) -> dict[str, str]:
    """An environment in which `massive` is not there, and polygon-api-client is."""
    folder = OLD_CLIENT / "polygon"
    if not folder.is_dir():
        pytest.skip(f"pip install --target {OLD_CLIENT} --no-deps polygon-api-client")
    (tmp_path / "sitecustomize.py").write_text('import sys\nsys.modules["massive"] = None\n')
    return {**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}:{OLD_CLIENT}"}


def by_symbol(frame: Frame, instruments: Instruments) -> dict[str, list[tuple[Any, ...]]]:
    """Every row, in order of time within its symbol, in every column."""
    names = [name for name in frame.columns if name != "instrument_id"]
    found = {}
    for i in np.unique(frame["instrument_id"]).tolist():
        mine = taken(frame, np.flatnonzero(frame["instrument_id"] == i))
        mine = taken(mine, np.argsort(mine["ts_event"], kind="stable"))
        columns = [np.nan_to_num(mine[name], nan=-1.0).tolist() for name in names]
        found[instruments[i].symbol] = list(zip(*columns, strict=True))
    return found


@pytest.mark.parametrize("wire", ["alpaca", "polygon"])
def test_what_the_venue_sent_is_what_is_written(tmp_path: Path, market: Path, wire: str) -> None:
    """Row for row, in the stream, the journal and the lake."""
    check_parity(tmp_path, market, "SPY,NVDA", wire)


@pytest.mark.parametrize("wire", ["alpaca", "polygon"])
def test_a_slice_of_a_real_day_is_written_as_sent(tmp_path: Path, wire: str) -> None:
    """BAC and IBM, quotes and trades of 2013-10-07."""
    names = ("eq_quotes_lean_BAC_IBM_20131007_09.parquet", "eq_trades_lean_BAC_IBM_SPY_20131007_09.parquet")
    day = open_ticks([shared(name) for name in names], batch=512, symbols=("BAC", "IBM"), quarantine=Quarantine())
    feed = slice_of(tmp_path / "feed.arrow", day.frames, day.schema, 5000)
    check_parity(tmp_path, feed, "BAC,IBM", wire)


@pytest.mark.parametrize(("wire", "old"), [("alpaca", False), ("polygon", False), ("polygon", True)])
def test_a_slice_of_a_real_days_options_is_written_as_sent(tmp_path: Path, wire: str, old: bool) -> None:
    """Quotes and trades of TWX and NWSA series, one minute bars of 2013 and 2014, on both wires and both clients."""
    names = ("opt_1m_quote_lean.parquet", "opt_1m_trade_lean.parquet")
    day = open_ticks([shared(name) for name in names], batch=512, quarantine=Quarantine())
    feed = slice_of(tmp_path / "feed.arrow", day.frames, day.schema, 4000)
    symbols = tmp_path / "series.txt"
    symbols.write_text("\n".join(name.replace(" ", "") for name in stored(feed)[1].symbols))
    check_parity(tmp_path, feed, f"@{symbols}", wire, "options", old)


@pytest.mark.parametrize(("wire", "old"), [("alpaca", False), ("polygon", False), ("polygon", True)])
def test_a_slice_of_a_real_days_coins_is_written_as_sent(tmp_path: Path, wire: str, old: bool) -> None:
    """Best quotes and trades of Binance, 2024-08-08."""
    names = ("cr_bbo_binance_spot_20240808.parquet", "cr_trades_binance_spot_20240808.parquet")
    day = open_ticks([shared(name) for name in names], batch=512, quarantine=Quarantine())
    feed = slice_of(tmp_path / "feed.arrow", day.frames, day.schema, 4000)
    check_parity(tmp_path, feed, "BTCUSDT,ETHUSDT", wire, "crypto", old)


def test_the_old_name_of_polygons_client_brings_the_same_shares(tmp_path: Path, market: Path) -> None:
    """polygon-api-client, with `massive` out of reach."""
    check_parity(tmp_path, market, "SPY,NVDA", "polygon", old=True)


@pytest.mark.parametrize("wire", ["alpaca", "polygon"])
def test_a_coins_book_is_captured_as_it_was(tmp_path: Path, wire: str) -> None:
    """Binance's depth, ten levels a side: every ladder, from changes (Alpaca) and from whole books (Polygon)."""
    day = open_ticks([shared("cr_depth_binance_spot_20240808.parquet")], batch=512, quarantine=Quarantine())
    feed = slice_of(tmp_path / "feed.arrow", day.frames, day.schema, 1500)
    got = tmp_path / "got.arrow"
    with venue(tmp_path, feed) as playing:
        words = ["--venue-ready", playing.ready, "--wire", wire, "--symbols", "BTCUSDT,ETHUSDT", "--once"]
        words += ["--asset-class", "crypto", "--channels", "books", "--levels", 10, "--for", "100s"]
        words += ["--journal", tmp_path / "journal", "--lake", tmp_path / "lake", "--out", got]
        gpi("capture", "--source", "venue", *words, check=0)
    (sent, names), (written_down, theirs) = stored(feed), stored(got)
    assert sent.rows == written_down.rows == 1500
    told = [names[i].symbol for i in sent["instrument_id"].tolist()]
    assert told == [theirs[i].symbol.replace("/", "") for i in written_down["instrument_id"].tolist()]
    times = sent["ts_event"] if wire == "alpaca" else sent["ts_event"] // 10**6 * 10**6
    assert np.array_equal(times, written_down["ts_event"])
    for name in ("kind", "bid_px", "bid_sz", "ask_px", "ask_sz", "bids_px", "bids_sz", "asks_px", "asks_sz"):
        assert np.array_equal(sent[name], written_down[name], equal_nan=True), name
    assert (written_down["flags"] == (sent["flags"] if wire == "alpaca" else SNAPSHOT)).all()
    gpi("replay", tmp_path / "lake", "--out", tmp_path / "replayed.arrow", check=0)
    assert by_symbol(*stored(tmp_path / "replayed.arrow")) == by_symbol(written_down, theirs)


@pytest.mark.skipif(not os.environ.get("GPI_LONG"), reason="GPI_LONG=1: a whole day")
def test_a_whole_real_day_is_written_as_sent(tmp_path: Path) -> None:
    """AAPL, 2012-06-21, the LOBSTER book's best quotes and executions."""
    day = open_ticks([shared("eq_lob_lobster_AAPL_20120621_L1.parquet")], batch=8192, quarantine=Quarantine())
    check_parity(tmp_path, slice_of(tmp_path / "feed.arrow", day.frames, day.schema, 1 << 30), "AAPL")


def capturing(playing: Venue, journal: Path, *words: object, **more: Any) -> subprocess.Popen[bytes]:
    """A capture in a process of its own."""
    given = ["--venue-ready", playing.ready, "--symbols", "SPY,NVDA", "--journal", journal, *words]
    command = [*GPI, "capture", "--source", "venue", *map(str, given)]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=ROOT, **more)


def ended(child: subprocess.Popen[bytes]) -> int:
    """Its exit code; what it said is shown when it failed."""
    told = child.communicate(timeout=120)[1]
    if child.returncode:
        print(told.decode())
    return child.returncode


def test_once_ends_with_the_feed_of_a_venue_that_stays(tmp_path: Path, market: Path) -> None:
    """The venue serves on after its day; the capture asks its clock, and ends by itself."""
    with venue(tmp_path, market, "--stay") as playing:
        running = capturing(playing, tmp_path / "journal", "--once", "--for", "100s", stdout=subprocess.DEVNULL)
        told = running.communicate(timeout=120)[1].decode()
        assert running.returncode == 0 and playing.process.poll() is None, told
    assert "connections 1" in told and "mute" not in told and "connecting again" not in told, told


@pytest.mark.parametrize("delay", [0.05, 0.4])
def test_kill_9_loses_no_journaled_row_and_a_restart_goes_on(tmp_path: Path, market: Path, delay: float) -> None:
    """Every row that was published is in the journal; the next capture continues it."""
    out = tmp_path / "out.arrow"
    with venue(tmp_path, market, "--speed", "4", "--stay") as playing:
        with out.open("wb") as file:
            killed = capturing(playing, tmp_path / "journal", stdout=file)
            for _ in range(300):
                if out.stat().st_size > 20_000:
                    break
                time.sleep(0.1)
            time.sleep(delay)
            killed.kill()
            killed.communicate()
        gone_on = capturing(playing, tmp_path / "journal", "--rows", 5, "--for", "60s", stdout=subprocess.DEVNULL)
        assert ended(gone_on) == 0
    published = lines(*stored(out, whole=False))
    gpi("capture", "--from-journal", tmp_path / "journal", "--out", tmp_path / "again.arrow", check=0)
    again, instruments = stored(tmp_path / "again.arrow")
    assert published and lines(again, instruments)[: len(published)] == published
    assert (again["flags"] & GAP).any(), "the restart shows as a gap"
    assert sum(record.kind == Kind.BEGIN for record in read(tmp_path / "journal")) == 2


def test_one_capture_per_key_and_feed(tmp_path: Path, market: Path) -> None:
    """The second is refused and told the first one's pid; after kill -9 of the first it may."""
    state = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state")}
    with venue(tmp_path, market, "--speed", "1", "--stay") as playing:
        first = capturing(playing, tmp_path / "a", stdout=subprocess.PIPE, env=state)
        assert first.stdout is not None and first.stdout.read(1)
        second = capturing(playing, tmp_path / "b", stdout=subprocess.DEVNULL, env=state)
        told = second.communicate(timeout=60)[1].decode()
        assert second.returncode == 2 and f"by process {first.pid}" in told
        first.kill()
        first.communicate()
        words = ["--rows", 2, "--for", "60s"]
        assert ended(capturing(playing, tmp_path / "b", *words, stdout=subprocess.DEVNULL, env=state)) == 0


def test_no_secret_is_seen_anywhere(tmp_path: Path, market: Path) -> None:
    """Debug logging on, a wrong key too: not in the output, the journal, the lake, /proc."""
    (tmp_path / "sitecustomize.py").write_text("import logging\nlogging.basicConfig(level=logging.DEBUG)\n")
    loud = {**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"}
    log = b""
    with venue(tmp_path, market, "--speed", "60", "--stay") as playing:
        words = ["--lake", tmp_path / "lake", "--out", tmp_path / "out.arrow", "--rows", 3000]
        running = capturing(playing, tmp_path / "journal", *words, stdout=subprocess.PIPE, env=loud)
        proc = Path(f"/proc/{running.pid}")
        seen = b"".join((proc / name).read_bytes() for name in ("environ", "cmdline"))
        out, log = running.communicate(timeout=120)
        assert running.returncode == 0, log.decode()
        wrong = tmp_path / "wrong.json"
        wrong.write_text(json.dumps({"key_id": "PKLIVECANARY00000002", "secret": CANARY + "-wrong"}))
        wrong.chmod(0o600)
        refused = capturing(playing, tmp_path / "w", "--key-file", wrong, stdout=subprocess.PIPE, env=loud)
        more = b"".join(refused.communicate(timeout=60))
        assert refused.returncode == 5 and b"does not accept the key" in more
    assert b"DEBUG" in log, "the test would see nothing otherwise"
    files = [p for p in tmp_path.rglob("*") if p.is_file() and p.name not in ("key.json", "ready.json", "wrong.json")]
    for found in [seen, out, log, more, *(p.read_bytes() for p in files)]:
        assert CANARY.encode() not in found and b"PKLIVECANARY" not in found
        assert CANARY.encode().hex(" ").encode() not in found


def test_a_full_disk_is_an_error_with_a_name(tmp_path: Path, market: Path) -> None:
    """The capture ends, exit 1; what the journal holds can be read."""

    def small() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))

    with venue(tmp_path, market, "--speed", "60", "--stay") as playing:
        running = capturing(playing, tmp_path / "journal", stdout=subprocess.PIPE, preexec_fn=small)
        out, told = running.communicate(timeout=120)
    assert running.returncode == 1 and b"cannot be written" in told, told.decode()
    assert b"Traceback" not in told
    assert sum(record.kind == Kind.MESSAGE for record in read(tmp_path / "journal")) > 10


def test_it_composes_with_every_other_command(tmp_path: Path, market: Path) -> None:
    """In one process and over a pipe, the same features."""
    count = 500
    results = []
    for name in ("fused", "piped"):
        (tmp_path / name).mkdir()
        with venue(tmp_path / name, market) as playing:
            words = f"--source venue --venue-ready {playing.ready} --symbols SPY,NVDA --rows {count}"
            words += f" --journal {tmp_path / name / 'journal'}"
            out = tmp_path / name / "out.arrow"
            if name == "fused":
                gpi("run", f"capture {words} | featurize", "--out", out, check=0)
            else:
                first = subprocess.Popen([*GPI, "capture", *words.split()], stdout=subprocess.PIPE, cwd=ROOT)
                second = subprocess.run([*GPI, "featurize", "--out", str(out)], stdin=first.stdout, cwd=ROOT)
                assert first.stdout is not None
                first.stdout.close()
                assert first.wait(60) == 0 and second.returncode == 0
        results.append(stored(out)[0])
    assert results[0].rows == results[1].rows == count
    assert np.array_equal(results[0]["features"], results[1]["features"], equal_nan=True)


@pytest.mark.parametrize(
    "words, why",
    [
        (["--source", "nobody", "--symbols", "SPY"], "--source nobody"),
        (["--source", "venue", "--symbols", "SPY"], "--venue-ready"),
        (["--source", "alpaca"], "--symbols"),
        (["--source", "alpaca", "--symbols", "SPY", "--asset-class", "bonds"], "--asset-class bonds"),
        (["--source", "alpaca", "--symbols", "SPY"], "no Alpaca key"),
        (["--source", "polygon", "--symbols", "SPY"], "no Polygon key"),
        (["--source", "alpaca", "--symbols", "SPY", "--url", "http://example.com"], "in clear"),
        (["--from-journal", "/nowhere"], "no journal"),
    ],
)
def test_a_mistake_is_named_with_its_fix(words: list[str], why: str, tmp_path: Path) -> None:
    """Exit 2, or 3 for a journal that is none; one line."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("ALPACA", "APCA", "POLYGON", "MASSIVE"))}
    env = {**clean, "HOME": str(tmp_path), "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME", "/root/.cache")}
    done = subprocess.run([*GPI, "capture", *words], capture_output=True, text=True, cwd=ROOT, env=env)
    assert done.returncode in (2, 3) and why in done.stderr and done.stderr.count("\n") == 1, done.stderr


def example(tmp_path: Path, *words: object) -> subprocess.CompletedProcess[bytes]:
    """examples/live_paper.sh, with this gpi on the PATH."""
    command = tmp_path / "bin" / "gpi"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {GPI[0]} -m gpi.cli.main "$@"\n')
    command.chmod(0o755)
    env = {**os.environ, "PATH": f"{command.parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    script = ["bash", "examples/live_paper.sh", *map(str, words)]
    return subprocess.run(script, stdin=subprocess.DEVNULL, capture_output=True, cwd=ROOT, env=env, timeout=280)


def test_the_example_of_a_live_day_runs_whole(tmp_path: Path, market: Path) -> None:
    """A venue plays a file, the day is traded on paper: a run of every tick, and no key or process is left behind."""
    out = tmp_path / "trial"
    done = example(tmp_path, out, "SPY,NVDA", market, 600)
    assert done.returncode == 0, done.stderr.decode()
    manifest = json.loads((out / "run" / "manifest.json").read_text())
    told = gpi("capture", "--from-journal", out / "journal", "--out", tmp_path / "again.arrow", check=0)
    assert manifest["ticks"] == stored(tmp_path / "again.arrow")[0].rows > 6000, told.stderr
    assert not (out / "venue.json").exists() and "manifest.json" in {path.name for path in (out / "run").iterdir()}


def test_the_example_says_why_its_venue_did_not_start(tmp_path: Path) -> None:
    """A file that is not there: no endless wait."""
    done = example(tmp_path, tmp_path / "trial", "SPY", tmp_path / "nowhere.arrow")
    assert done.returncode == 1 and b"there is no file" in done.stderr
