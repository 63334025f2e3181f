"""`gpi trade --broker alpaca` from the command line, at a venue of this process: the options a person reaches for."""

import json
import os
import pty
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from gpi.formats.ipc import Writer
from gpi.formats.ticks import TICKS
from gpi.tools.brokers.journal import Journal
from tests.brokerage import KEY_ID, SECRET, START_NS, Venue
from tests.shell import GPI, ROOT, environment, gpi
from tests.trading import frame

pytestmark = [pytest.mark.jit, pytest.mark.filterwarnings("ignore::aiohttp.web_exceptions.NotAppKeyWarning")]
PATIENCE_S = 120.0


@pytest.fixture
def venue() -> Iterator[Venue]:
    made = Venue()
    yield made
    made.close()


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    path = tmp_path / "keys.json"
    path.touch(0o600)
    path.write_text(json.dumps({"key_id": KEY_ID, "secret": SECRET}))
    return path


class Trader:
    """The command as a process: a feed of quotes on its stdin, a terminal of its own where it has one."""

    def __init__(self, venue: Venue, folder: Path, *words: object, typed: str | None = None) -> None:
        command = [*GPI, "trade", "--broker", "alpaca", "--url", venue.url, *map(str, words)]
        terminal, theirs = pty.openpty() if typed is not None else (-1, -1)
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT,
            env=environment(XDG_STATE_HOME=str(folder)), start_new_session=True,
            preexec_fn=None if typed is None else lambda: os.close(os.open(os.ttyname(theirs), os.O_RDWR)),
        )  # fmt: skip
        self.terminal, self.said = terminal, b""
        if typed is not None:
            os.close(theirs)
            os.write(terminal, typed.encode() + b"\n")
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=each, daemon=True) for each in (self._feed, self._hear, self._drain)]
        self._venue = venue
        for each in self._threads:
            each.start()

    def _feed(self) -> None:
        assert self.process.stdin
        try:
            writer = Writer(self.process.stdin.fileno(), self._venue.instruments.on(TICKS))
            for n in range(10_000):
                if self._ended.wait(0.05):
                    writer.close()
                    break
                tick = {"ts": START_NS + n * 50_000_000, "i": 0, "bid": (9_900 + n % 2, 500), "ask": (10_100, 500)}
                writer.write(frame([tick]))
        except OSError:
            pass
        finally:
            self.process.stdin.close()

    def _hear(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            self.said += line

    def _drain(self) -> None:
        assert self.process.stdout
        while self.process.stdout.read1(65_536):  # type: ignore[attr-defined]
            pass

    def until(self, what: Any) -> None:
        end = time.monotonic() + PATIENCE_S
        while not what() and self.process.poll() is None and time.monotonic() < end:
            time.sleep(0.02)
        assert what(), self.said.decode()

    def end(self) -> int:
        """The feed ends; its exit code."""
        self._ended.set()
        return self.gone()

    def gone(self) -> int:
        code = self.process.wait(PATIENCE_S)
        self._ended.set()
        for each in self._threads:
            each.join(10.0)
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()
        if self.terminal >= 0:
            os.close(self.terminal)
        assert b"Traceback" not in self.said and b"Exception ignored" not in self.said, self.said.decode()
        assert SECRET.encode() not in self.said
        return code


@contextmanager
def trader(venue: Venue, folder: Path, *words: object, typed: str | None = None) -> Iterator[Trader]:
    """One that is not left behind."""
    made = Trader(venue, folder, *words, typed=typed)
    try:
        yield made
    finally:
        if made.process.poll() is None:
            made.process.kill()
            made.gone()


def flat(venue: Venue, seconds: float = 15.0) -> bool:
    """No order is open, at once or when the dead-man has done its work."""
    end = time.monotonic() + seconds
    while venue.open_orders and time.monotonic() < end:
        time.sleep(0.05)
    return venue.open_orders == 0


def test_real_money_is_traded_once_its_account_was_typed(venue: Venue, tmp_path: Path, keys: Path) -> None:
    """A rehearsal at a venue: --live with a loopback --url; the number on the terminal is the broker's own."""
    number = venue.world.accounts.accounts[KEY_ID].number
    words = ("--live", "--account", number, "--key-file", keys)
    with trader(venue, tmp_path, *words, typed=number) as trading:
        trading.until(lambda: venue.open_orders >= 2)
        assert trading.end() == 0, trading.said.decode()
        assert b"reconciled" in trading.said and b"rehearsal" in trading.said
    assert flat(venue, 0.0)


def test_ctrl_c_for_the_trader_alone_ends_it_though_its_feed_goes_on(venue: Venue, tmp_path: Path, keys: Path) -> None:
    """Nobody before it heard anything: what is in the pipe is read for a moment, then its orders are cancelled."""
    with trader(venue, tmp_path, "--paper", "--key-file", keys, "--out", tmp_path / "run") as trading:
        trading.until(lambda: venue.open_orders >= 2)
        trading.process.send_signal(signal.SIGINT)
        assert trading.gone() == 130, trading.said.decode()
    assert flat(venue, 0.0)
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert manifest["broker_at_the_end"] == {"parted": True, "unknown": [], "failure": ""}


QUIET = """class Quiet:
    def on_tick(self, view: object) -> None:
        pass
"""


@pytest.mark.parametrize("orders", [2, 0])
def test_an_end_that_the_broker_does_not_see_is_no_honest_end(
    venue: Venue, tmp_path: Path, keys: Path, orders: int
) -> None:
    """The venue is gone when the feed ends, with orders open there and without: exit 5, an incomplete run that says
    what is not known; cash is told as the broker's last word, not as its word of the end."""
    run, quiet = tmp_path / "run", tmp_path / "quiet.py"
    quiet.write_text(QUIET)
    words = ("--paper", "--key-file", keys, "--out", run, "--strategy", "market_making" if orders else f"{quiet}:Quiet")
    with trader(venue, tmp_path, *words) as trading:
        trading.until(lambda: b"trading" in trading.said and venue.open_orders >= orders)
        theirs = {each["client_order_id"] for each in venue.account["orders"]}
        venue.close()
        assert trading.end() == 5, trading.said.decode()
    manifest = json.loads((run / "manifest.json").read_text())
    told = manifest["broker_at_the_end"]
    assert not manifest["complete"] and not told["parted"] and told["failure"]
    assert b"as it last said, before the end" in trading.said
    unknown = {each["client_order_id"] for each in told["unknown"]}
    assert bool(unknown) == bool(orders) and unknown <= theirs
    assert all(f"UNKNOWN at the broker: {each}".encode() in trading.said for each in unknown)


@pytest.mark.parametrize("typed, account, said", [
    ("PA0", None, b"not the account of --account"),
    ("PA0000009999", "PA0000009999", b"is not the account of this key"),
    (None, None, b"on a terminal, and there is none"),
])  # fmt: skip
def test_no_order_leaves_for_an_account_that_was_not_typed(
    venue: Venue, tmp_path: Path, keys: Path, typed: str | None, account: str | None, said: bytes
) -> None:
    """Another number on the terminal, another account behind the key, no terminal."""
    account = account or venue.world.accounts.accounts[KEY_ID].number
    with trader(venue, tmp_path, "--live", "--account", account, "--key-file", keys, typed=typed) as trading:
        assert trading.gone() == 2
        assert said in trading.said
    assert not venue.account["orders"]


@pytest.mark.parametrize("url", ["https://api.alpaca.markets", "http://example.com", "http://10.0.0.1:8700"])
def test_a_rehearsal_stays_on_this_machine(url: str) -> None:
    """--live with a --url that leaves it is refused before any key is looked for."""
    said = gpi("trade", "--broker", "alpaca", "--live", "--account", "X", "--url", url, check=2).stderr
    assert b"only a venue on this machine" in said


def test_kill_cancels_and_bars_and_rearm_ends_it(venue: Venue, tmp_path: Path, keys: Path) -> None:
    """Orders of anybody go, trading is suspended at the broker, no trader starts (4) until a person says so."""
    there = ("trade", "--broker", "alpaca", "--paper", "--url", venue.url, "--key-file", keys)
    body = {"symbol": "AAA", "qty": "1", "side": "buy", "type": "limit", "limit_price": "90", "time_in_force": "gtc"}
    assert venue.rest("POST", "/v2/orders", json=body).status_code == 200
    with trader(venue, tmp_path, "--paper", "--key-file", keys, "--claim", "ALL") as trading:
        trading.until(lambda: venue.open_orders >= 1 and b"trading" in trading.said)
        os.environ["XDG_STATE_HOME"] = str(tmp_path)
        try:
            said = gpi(*there, "--kill", check=0).stderr.decode()
            rearm = next(line for line in said.splitlines() if "--rearm" in line).split("this ends it: gpi ")[1]
            assert trading.gone() == 4
            assert flat(venue, 0.0) and venue.account["suspended"]
            with trader(venue, tmp_path, "--paper", "--key-file", keys) as barred:
                assert barred.gone() == 4 and f"gpi {rearm}".encode() in barred.said
            gpi(*shlex.split(rearm), check=0)  # as it was printed
        finally:
            del os.environ["XDG_STATE_HOME"]
    assert not venue.account["suspended"]
    with trader(venue, tmp_path, "--paper", "--key-file", keys, "--claim", "ZZZ") as again:
        again.until(lambda: b"reconciled" in again.said)
        assert b"--claim ZZZ: the account holds nothing foreign of it" in again.said
        assert again.end() == 0


def test_a_foreign_position_is_claimed_and_a_dead_trader_s_orders_are_taken_over(
    venue: Venue, tmp_path: Path, keys: Path
) -> None:
    """Without the options: EXTERNAL, and no start."""
    body = {"symbol": "AAA", "qty": "7", "side": "buy", "type": "market", "time_in_force": "day"}
    venue.rest("POST", "/v2/orders", json=body)
    number = venue.world.accounts.accounts[KEY_ID].number
    theirs = {**body, "type": "limit", "limit_price": "90", "client_order_id": f"gpi-{number}-dead-1-1"}
    venue.rest("POST", "/v2/orders", json=theirs)
    words = ("--paper", "--key-file", keys, "--journal", tmp_path / "j.sqlite")
    with trader(venue, tmp_path, *words) as refused:
        assert refused.gone() == 2 and b"--take-over" in refused.said
    with trader(venue, tmp_path, *words, "--take-over") as warned:
        warned.until(lambda: b"EXTERNAL position of 7 in AAA" in warned.said)
        warned.end()
    assert flat(venue, 0.0)
    with trader(venue, tmp_path, *words, "--claim", "AAA") as claimed:
        claimed.until(lambda: b"reconciled" in claimed.said)
        assert claimed.end() == 0 and b"EXTERNAL" not in claimed.said
    journal = Journal(tmp_path / "j.sqlite")
    assert journal.rows("SELECT symbol, qty FROM claims") == [("AAA", "7")]
    journal.close()


@pytest.mark.parametrize("stage", ["starting", "reconciling", "trading", "finishing"])
def test_ctrl_c_again_and_again_leaves_no_order_and_no_traceback(
    venue: Venue, tmp_path: Path, keys: Path, stage: str
) -> None:
    """Whenever it comes, however often: exit 130 (or the quiet end of what had ended), all orders cancelled."""
    if stage == "reconciling":
        venue.fault("slow", place="rest.*", seconds=1.0)
    with trader(venue, tmp_path, "--paper", "--key-file", keys) as trading:
        seen = {"starting": b"gpi", "reconciling": b"attested", "trading": b"reconciled", "finishing": b"reconciled"}
        if stage == "starting":
            time.sleep(2.0)
        else:
            trading.until(lambda: seen[stage] in trading.said)
        if stage in ("trading", "finishing"):
            trading.until(lambda: venue.open_orders >= 2)
        if stage == "finishing":
            venue.fault("slow", place="rest.*", seconds=1.0)
            trading._ended.set()
            time.sleep(0.5)
        for _ in range(12):
            if trading.process.poll() is None:
                trading.process.send_signal(signal.SIGINT)
            time.sleep(0.15)
        code = trading.gone()
        ends = {"starting": (130, -signal.SIGINT), "finishing": (130, 0)}  # before Python listens, it is simply gone
        assert code in ends.get(stage, (130,)), (code, trading.said.decode())
    assert flat(venue)
