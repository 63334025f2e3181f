"""Fees in coins, executions told by halves, dripping bytes and clocks: small things that would end a trading day."""

import itertools
import socket
import threading
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gpi.formats.errors import VenueError
from gpi.formats.execution import NEW, POSITION, OrderRequest
from gpi.formats.instruments import Instruments, crypto
from gpi.formats.secrets import Secret
from gpi.formats.words import GTC, LIMIT
from gpi.tools.brokers import startup
from gpi.tools.brokers.alpaca import patience, rest
from gpi.tools.brokers.alpaca.rest import Keys, Reply, Rest, Unanswered
from gpi.tools.brokers.bucket import LOOK
from gpi.tools.brokers.executions import ACTIVITY, STREAM, Execution, Executions
from gpi.tools.brokers.holds import HALTED
from gpi.tools.brokers.life import LIVE, Life
from gpi.tools.brokers.outbox import Job
from gpi.tools.brokers.reconciliation import CLOCK
from tests.test_hostile import ACCOUNT, START, Bench

COIN = "BTC/USD"


@pytest.fixture
def bench(tmp_path: Path) -> Any:
    made = Bench(tmp_path)
    made.instruments = Instruments([crypto(COIN)])
    made.desk.announced({"BTCUSD": 0})
    yield made
    made.journal.close()


def executed(bench: Bench, n: int, side: int, qty: str) -> None:
    """An order that has filled."""
    request = OrderRequest(NEW, START, n, 0, COIN, side, LIMIT, GTC, float(qty), 100.0)
    client_id = bench.journal.client_id(ACCOUNT, n)
    bench.journal.intend(client_id, request, {"qty": qty}, 1)
    life = Life(request, client_id, {}, Decimal(qty), state=LIVE, broker_id=f"b{n}")
    bench.blotter.place(life)
    row = {"id": f"a::{n}", "order_id": f"b{n}", "qty": qty, "price": "100", "cum_qty": qty}
    assert bench.blotter.activity(row)
    bench.commit()


def looked(bench: Bench, qty: str) -> None:
    """Two looks at the positions."""
    for _ in range(2):
        bench.desk.look("positions")
        (job,) = bench.send()
        bench.reply(job, 200, [{"symbol": "BTCUSD", "qty": qty, "avg_entry_price": "100", "side": "long"}])


def test_coins_that_the_broker_keeps_as_its_fee_are_nobody_s_position(bench: Bench) -> None:
    """Bought one, sold 0.9, 0.0025 kept: told, not blocked, and known at the next start."""
    executed(bench, 1, 1, "1")
    executed(bench, 2, -1, "0.9")
    looked(bench, "0.0975")
    assert [(a.action, a.qty) for a in bench.desk.told] == [(POSITION, 0.0975)] and bench.desk.cash_due
    assert not bench.holds.blocks and not bench.said
    bench.commit()
    assert startup.believed(bench.journal) == {"BTCUSD": Decimal("0.0975")} == bench.blotter.expected
    assert startup.unpaid(bench.journal) == bench.blotter.fees == {"BTCUSD": Decimal("0.0025")}


@pytest.mark.parametrize("qty", ["0.99", "1.001"])
def test_what_no_fee_explains_is_external(bench: Bench, qty: str) -> None:
    """More than any fee, or coins too many."""
    executed(bench, 1, 1, "1")
    looked(bench, qty)
    assert bench.holds.blocks and "EXTERNAL" in bench.said[-1]


def test_executions_without_a_cumulative_quantity_are_booked_once() -> None:
    """Two equal fills, told by the stream and by rows without cum_qty: two, in any order, however often."""
    facts = [
        Execution("e1", 1, Decimal(5), Decimal(10), Decimal(5), STREAM),
        Execution("e2", 2, Decimal(5), Decimal(10), Decimal(10), STREAM),
        Execution("a1", 1, Decimal(5), Decimal(10), Decimal(0), ACTIVITY),
        Execution("a2", 2, Decimal(5), Decimal(10), Decimal(0), ACTIVITY),
    ]
    for told in itertools.permutations(facts):
        known = Executions()
        news = [known.add(each) for each in (*told, *told)]
        assert sum(news) == 2 and known.filled == 10


def test_a_broker_that_drips_bytes_does_not_hold_a_request_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every read is answered in time, the reply never ends: its fate is unknown, and the thread is free."""
    monkeypatch.setattr(rest, "WHOLE_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as server:
        done = threading.Event()

        def drip() -> None:
            peer, _ = server.accept()
            with peer:
                peer.recv(65_536)
                try:
                    for byte in itertools.cycle(b"HTTP/1.1 200 OK\r\nX: "):
                        peer.send(bytes([byte]))
                        time.sleep(0.01)
                except OSError:
                    done.set()

        threading.Thread(target=drip, daemon=True).start()
        asked = Rest(Keys(Secret("PK"), Secret("s")), f"http://127.0.0.1:{server.getsockname()[1]}")
        with pytest.raises(Unanswered):
            asked.call("GET", "/account")
        assert done.wait(5.0), "the connection was closed"
        asked.close()
    assert patience.WHOLE_S > 5


class Clockless:
    """A broker whose /clock cannot be read."""

    def __init__(self, unreadable: int) -> None:
        self.unreadable = unreadable

    def call(self, method: str, path: str) -> Reply:
        """A page of a proxy, so many times."""
        self.unreadable -= 1
        now = time.time_ns()
        good = {"timestamp": f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(now // 10**9))}.{now % 10**9:09d}Z"}
        return Reply(200, None if self.unreadable >= 0 else good, "<html>", {}, 0.0, now, now)


def test_nothing_begins_by_a_clock_that_cannot_be_compared() -> None:
    """A hiccup is asked again; a broker that tells no time is not traded at."""
    assert startup.clocks(Clockless(2), False)[0] == []  # type: ignore[arg-type]
    with pytest.raises(VenueError, match="does not tell its time"):
        startup.clocks(Clockless(3), False)  # type: ignore[arg-type]


def test_the_clock_is_compared_while_it_trades(bench: Bench) -> None:
    """Apart by 60 ms: said once; by two seconds: halted until it is not; a slow reply proves nothing."""

    def told(ahead_ns: int, trip_ns: int = 0) -> None:
        job = Job(3, "clock", "GET", "/clock")
        stamp = "2026-11-20T15:00:10.000000000Z"
        ours = 1_795_186_810_000_000_000 + ahead_ns
        bench.desk.replied(
            job, Reply(200, {"timestamp": stamp}, "", {}, 0.0, ours - trip_ns // 2, ours + trip_ns // 2), 0.0
        )

    bench.desk.same_day = True
    bench.desk.full()
    assert "clock" in [job.what for job in bench.outbox._lanes[LOOK]]
    told(10_000_000)
    told(-2_100_000_000, 4_300_000_000)
    assert not bench.said and not bench.holds.causes
    told(60_000_000)
    told(60_000_000)
    assert bench.said == ["this clock is 60 ms ahead of the broker's"]
    told(2_000_000_000)
    assert bench.holds.causes == {CLOCK: HALTED}
    told(0)
    assert not bench.holds.causes
