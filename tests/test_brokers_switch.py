"""The kill switch: once its file is there nothing new leaves, and who pulls it learns when nothing can follow."""

import fcntl
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpi.formats.errors import UsageError
from gpi.formats.execution import AMEND, NEW, OrderRequest
from gpi.formats.secrets import Secret
from gpi.formats.words import ACCEPTED, GTC, LIMIT
from gpi.tools.brokers.alpaca.last_moment import look, pools
from gpi.tools.brokers.alpaca.rest import Keys, NotSent, Rest
from gpi.tools.brokers.guards import Guards
from gpi.tools.brokers.outbox import HANDS
from gpi.tools.brokers.switch import Switch, settled
from tests.brokerage import START_NS, Client, Venue

NAN = float("nan")


@pytest.fixture
def venue() -> Iterator[Venue]:
    made = Venue()
    yield made
    made.close()


def test_whoever_may_still_send_keeps_the_switch_from_being_settled(tmp_path: Path) -> None:
    """Two traders on one switch: both must have let go."""
    file = tmp_path / "deep" / "KILL"
    one, two = Switch(file), Switch(file)
    assert not one.pulled and not settled(file, 0.05)
    file.touch()
    assert one.pulled and two.pulled and not settled(file, 0.05)
    one.effective()
    assert not settled(file, 0.05)
    two.effective()
    two.effective()
    assert settled(file, 0.05)


def test_a_dead_trader_does_not_keep_the_switch(tmp_path: Path) -> None:
    """The system lets go for it, however it died."""
    file = tmp_path / "KILL"
    hold = "import sys, time; from gpi.tools.brokers.switch import Switch; from pathlib import Path\n"
    hold += "s = Switch(Path(sys.argv[1])); print('held', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", hold, file], stdout=subprocess.PIPE) as trader:
        assert trader.stdout and trader.stdout.readline() == b"held\n"
        assert not settled(file, 0.05)
        trader.kill()
    assert settled(file, 5.0)


def test_a_switch_that_nobody_could_pull_is_refused(tmp_path: Path) -> None:
    """Its folder is a file: nothing is traded behind a switch that cannot be made."""
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="choose another --kill-file"):
        Switch(tmp_path / "file" / "KILL")


@pytest.mark.parametrize("at", [0, 1])
def test_a_request_is_not_sent_whole_once_the_file_is_there(tmp_path: Path, at: int) -> None:
    """Pulled before the headers, or between them and the body: the order never arrives, and is known not to have."""
    file, looks = tmp_path / "KILL", iter([False] * at + [True])

    def looked() -> None:
        if next(looks):
            file.touch()
        look(float("inf"), str(file))

    with socket.create_server(("127.0.0.1", 0)) as server:
        rest = Rest(Keys(Secret("k"), Secret("s")), f"http://127.0.0.1:{server.getsockname()[1]}")
        rest._adapter.poolmanager.pool_classes_by_scheme = pools(looked, rest._adapter._bounds)
        with pytest.raises(NotSent, match="kill switch"):
            rest.call("POST", "/orders", {"qty": "1"}, switch=str(file))
        assert rest.left == 0
        rest.close()
        server.settimeout(5)
        there, _ = server.accept()
        there.settimeout(5)
        heard = b"".join(iter(lambda: there.recv(65_536), b""))
        there.close()
    assert b'"qty"' not in heard and bool(heard) == bool(at)


def test_after_the_switch_no_order_and_no_replacement_leaves_and_cancels_do(venue: Venue, tmp_path: Path) -> None:
    """A storm of both while the file is made: by the journal all left before it, by the venue none came after it."""
    client, stop = Client(venue, tmp_path, Guards(asks_per_s=10_000)), threading.Event()
    client.broker.open()
    try:
        resting = client.new(px=91.0)
        client.hears(ACCEPTED, resting)

        def storm() -> None:
            n = 0
            while not stop.is_set():
                n += 1
                client.new(px=80.0 + n % 500 / 100, symbol=("AAA", "BBB", "CCC")[n % 3])
                client.broker.send(
                    [OrderRequest(AMEND, START_NS, resting, 0, "AAA", 1, LIMIT, GTC, NAN, 91.0 + n % 7 / 100)]
                )
                time.sleep(0.01)

        asking = threading.Thread(target=storm, daemon=True)
        asking.start()
        sent = _new(venue)
        client.until(lambda: _new(venue) > sent + 5)
        file = client.broker.kill_file
        file.touch()
        there = time.time_ns()
        assert settled(file, 12.0)
        before = _new(venue)
        time.sleep(0.5)
        assert _new(venue) == before
        client.until(lambda: venue.open_orders == 0)
    finally:
        stop.set()
        client.broker.close()
    journal = client.broker.journal
    with_times = _facts(journal.path)
    left = [ts for ts, what in with_times if what.startswith("left")]
    assert {what.split()[1] for _, what in with_times if what.startswith("left")} == {"POST", "PATCH"}
    assert left and max(left) <= there
    assert sum(what == "kill" for _, what in with_times) == 1
    ids = {what.split()[2] for _, what in with_times if what.startswith("left")}
    there_too = {order["client_order_id"] for order in venue.account["orders"] if order["from"] == "api"}
    assert there_too <= ids, "whatever became an order or a replacement has the time at which it left"
    assert 0 <= before - len(left) <= sum(HANDS), "the venue counts headers, too, whose body was withheld"


def _new(venue: Venue) -> int:
    return venue.world.counters["rest.orders.post"] + venue.world.counters["rest.orders.patch"]


def _facts(path: Path) -> list[tuple[int, str]]:
    import sqlite3

    with sqlite3.connect(path) as db:
        found = [tuple(row) for row in db.execute("SELECT received, source FROM events ORDER BY id")]
    db.close()
    return [(ts, what) for ts, what in found if what == "kill" or what.startswith("left ")]


def test_an_order_that_is_withheld_is_told_as_refused(venue: Venue, tmp_path: Path) -> None:
    """The hand finds the file before the trader does: nothing arrives, and nothing is left unknown."""
    client = Client(venue, tmp_path)
    client.broker.open()
    try:
        client.broker.kill_file.touch()
        client.broker.send([OrderRequest(NEW, START_NS, 1, 0, "AAA", 1, LIMIT, GTC, 10.0, 90.0)])
        client.until(lambda: client.broker.failure is not None)
        assert not client.broker.engine.at_risk
    finally:
        client.broker.close()
    assert _new(venue) == 0
    assert os.path.exists(client.broker.kill_file)


def test_who_starts_while_the_switch_is_being_proved_is_stopped(tmp_path: Path) -> None:
    """The file is not there yet, or no more; who holds the lock alone is about to say that nothing follows."""
    file = tmp_path / "KILL"
    fd = os.open(file.with_name("KILL.lock"), os.O_CREAT | os.O_RDWR, 0o600)
    fcntl.flock(fd, fcntl.LOCK_EX)
    switch = Switch(file)
    os.close(fd)
    assert switch.pulled and not file.exists()
    switch.effective()
    assert settled(file, 0.05)
