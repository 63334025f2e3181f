"""Orders at a venue: asked for once, told once, whatever the wire does."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gpi.formats.errors import RiskBreach, UsageError, VenueError
from gpi.formats.execution import BLOCK, CASH, POSITION, STATE
from gpi.formats.words import ACCEPTED, CANCELED, EXPIRED, FILLED, REASONS, REJECTED
from gpi.tools.brokers.guards import Guards
from gpi.tools.brokers.journal import Journal
from tests.brokerage import SECRET, Client, Venue, trading

pytestmark = pytest.mark.filterwarnings("ignore::aiohttp.web_exceptions.NotAppKeyWarning")


@pytest.fixture
def venue() -> Iterator[Venue]:
    made = Venue()
    yield made
    made.close()


def agree(venue: Venue, client: Client) -> None:
    """Orders, executions and positions are the venue's own, each once."""
    truth = venue.account
    lives = client.broker.engine.blotter.lives
    assert {o["client_order_id"] for o in truth["orders"]} <= set(lives), "no venue order without an intent"
    counted = Counter(o["client_order_id"] for o in truth["orders"])
    assert not [each for each, n in counted.items() if n > 1], "no intent with two venue orders"
    filled = Counter[str]()
    for fill in truth["fills"]:
        if not fill["busted"]:
            filled[fill["client_order_id"]] += float(fill["qty"])
    for client_id, life in lives.items():
        assert float(life.executions.filled) == filled[client_id]
        told = sum(a.qty for a in client.told if a.action == FILLED and a.order_id == life.request.order_id)
        versions = [each.client_id for each in lives.values() if each.first is life.first]
        assert life.mute or told == sum(filled[each] for each in versions) or life.executions.busted
    for symbol in ("AAA", "BBB", "CCC"):
        assert client.broker.engine.blotter.expected.get(symbol, 0) == venue.position(symbol)


def test_an_order_is_accepted_filled_and_told_once(venue: Venue, tmp_path: Path) -> None:
    """Cash and state first; then the life of an order."""
    with trading(venue, tmp_path) as client:
        assert client.hears(STATE).qty == 0
        assert client.heard(CASH)[0].px == 100_000.0
        order = client.new(px=100.01)
        client.hears(FILLED, order)
        resting = client.new(px=99.0)
        client.hears(ACCEPTED, resting)
        client.cancel(resting)
        client.hears(CANCELED, resting)
    assert [a.action for a in client.told if a.order_id == order] == [ACCEPTED, FILLED]
    assert venue.position("AAA") == 10
    assert venue.open_orders == 0
    assert client.broker.failure is None
    agree(venue, client)


@pytest.mark.parametrize(
    "fault",
    [
        {"name": "status", "status": 504},
        {"name": "reset"},
        {"name": "cut"},
        {"name": "html", "place": "rest.orders.post.after"},
        {"name": "unknown-enum"},
        {"name": "extra-fields"},
    ],
    ids=lambda f: f["name"],
)
def test_an_accept_whose_reply_is_lost_is_one_order_and_never_a_reject(
    venue: Venue, tmp_path: Path, fault: dict[str, object]
) -> None:
    """The order is looked up by its id; nothing is sent twice."""
    with trading(venue, tmp_path) as client:
        client.hears(STATE)
        venue.fault(**{**fault, "count": 1})
        order = client.new(px=99.0)
        client.hears(ACCEPTED, order)
        assert not client.heard(REJECTED)
        client.until(lambda: not client.broker.engine.holds.blocks)
    assert len(venue.account["orders"]) == 1
    assert client.hears(CANCELED, order)
    agree(venue, client)


def test_a_request_that_never_arrived_is_told_as_rejected_after_two_looks(venue: Venue, tmp_path: Path) -> None:
    """While nobody knows, the symbol takes no new exposure."""
    with trading(venue, tmp_path) as client:
        client.hears(STATE)
        venue.fault("status", status=502, place="rest.orders.post.before", count=1)
        order = client.new(px=99.0)
        assert client.hears(BLOCK).qty == 1
        second = client.new(px=98.0)
        assert REASONS[client.hears(REJECTED, second).reason] == "RECONCILING"
        client.hears(REJECTED, order)
        client.until(lambda: client.heard(BLOCK)[-1].qty == 0)
        client.hears(ACCEPTED, client.new(px=98.0))
    agree(venue, client)


def test_a_cancel_that_loses_to_a_fill_is_told_as_the_fill(venue: Venue, tmp_path: Path) -> None:
    """204 is not the end."""
    with trading(venue, tmp_path) as client:
        client.hears(STATE)
        venue.fault("cancel-loses", count=1)
        order = client.new(px=99.0)
        client.hears(ACCEPTED, order)
        client.cancel(order)
        assert client.hears(FILLED, order).leaves == 0
    assert not client.heard(CANCELED, order=order)
    agree(venue, client)


@pytest.mark.parametrize("fault", ["lose", "duplicate", "reorder", "drop", "drop-after", "close", "null-data"])
def test_every_fill_is_recovered_once_whatever_the_stream_does(venue: Venue, tmp_path: Path, fault: str) -> None:
    """Lost frames are found by REST, doubled ones change nothing, new exposure waits for a link."""
    with trading(venue, tmp_path) as client:
        client.hears(STATE)
        venue.fault(fault, place="stream.updates.send" if fault != "drop-after" else "stream.updates.sent",
                    probability=0.4, count=6)  # fmt: skip
        orders = []
        for n in range(8):
            client.until(lambda: client.broker.engine.holds.level == 0)
            orders.append(client.new(px=100.01, qty=3 + n, symbol=("AAA", "BBB", "CCC")[n % 3]))
            client.until(lambda: client.heard(FILLED, REJECTED, order=orders[-1]))
        for order in orders:
            assert client.heard(FILLED, REJECTED, order=order)
    agree(venue, client)
    assert client.broker.failure is None


def test_a_storm_of_429_drops_no_cancel_and_expires_stale_orders(tmp_path: Path) -> None:
    """Nothing is sent before the window ends but what it allows."""
    venue = Venue(rate_limit=200)
    try:
        with trading(venue, tmp_path) as client:
            client.hears(STATE)
            resting = [client.new(px=90.0 + n / 100, qty=1) for n in range(5)]
            client.until(lambda: len(client.heard(ACCEPTED)) == 5)
            venue.fault("storm", seconds=4)
            late = [client.new(px=91.0 + n / 100, qty=1) for n in range(5)]
            for order in resting:
                client.cancel(order)
            for order in late:
                client.hears(EXPIRED, order, 15)
            for order in resting:
                client.hears(CANCELED, order, 40)
        agree(venue, client)
    finally:
        venue.close()


def test_what_the_broker_refuses_is_told_with_its_reason_and_a_storm_of_it_halts(tmp_path: Path) -> None:
    """Five in a row, and nothing more goes out."""
    venue = Venue(cash="1000")
    try:
        with trading(venue, tmp_path) as client:
            client.hears(STATE)
            for n in range(5):
                told = client.hears(REJECTED, client.new(px=100.0, qty=1000 + n))
                assert REASONS[told.reason] == "BUYING_POWER"
            client.until(lambda: client.heard(STATE)[-1].qty == 2)
            assert REASONS[client.hears(REJECTED, client.new(px=100.0, qty=1)).reason] == "TRADING_STATE"
        assert not venue.account["fills"]
    finally:
        venue.close()


def test_a_runaway_strategy_is_halted(venue: Venue, tmp_path: Path) -> None:
    """More orders in a second than allowed: what is over the limit never reaches the wire."""
    with trading(venue, tmp_path, Guards(asks_per_s=20)) as client:
        client.hears(STATE)
        for n in range(200):
            client.new(px=90 + n / 100, qty=1)
        client.until(lambda: client.heard(STATE)[-1].qty == 2)
    assert len(venue.account["orders"]) <= 20
    agree(venue, client)


def test_the_same_order_twice_is_sent_once(venue: Venue, tmp_path: Path) -> None:
    """While the first is open and young."""
    with trading(venue, tmp_path) as client:
        client.hears(STATE)
        client.new(px=99.0)
        assert REASONS[client.hears(REJECTED, client.new(px=99.0)).reason] == "DUPLICATE_ORDER"
    assert len(venue.account["orders"]) == 1


@pytest.mark.parametrize("px, qty", [(float("nan"), 1), (99.0, 0), (99.0, -5), (float("inf"), 1), (99.0, 0.25)])
def test_what_cannot_be_an_order_is_never_sent(venue: Venue, tmp_path: Path, px: float, qty: float) -> None:
    """NaN, infinity, nothing, less than nothing, less than a lot."""
    with trading(venue, tmp_path) as client:
        client.hears(STATE)
        assert REASONS[client.hears(REJECTED, client.new(px=px, qty=qty)).reason] == "MALFORMED"
    assert not venue.account["orders"]


def test_an_order_of_somebody_else_blocks_its_symbol_while_it_is_open(venue: Venue, tmp_path: Path) -> None:
    """EXTERNAL: told to the person, blocked for the session."""
    with trading(venue, tmp_path) as client:
        client.hears(STATE)
        body = {
            "symbol": "BBB",
            "qty": "1",
            "side": "buy",
            "type": "limit",
            "limit_price": "98",
            "time_in_force": "gtc",
        }
        order = venue.rest("POST", "/v2/orders", json=body).json()
        assert client.hears(BLOCK).qty == 1
        assert any("EXTERNAL order" in line for line in client.said)
        assert REASONS[client.hears(REJECTED, client.new(px=99.0, symbol="BBB")).reason] == "RECONCILING"
        venue.rest("DELETE", f"/v2/orders/{order['id']}")
        client.until(lambda: client.heard(BLOCK)[-1].qty == 0)


def test_a_position_of_somebody_else_blocks_until_it_is_claimed(venue: Venue, tmp_path: Path) -> None:
    """It is told with its size; claimed, it is ours for good."""
    body = {"symbol": "CCC", "qty": "7", "side": "buy", "type": "market", "time_in_force": "day"}
    venue.rest("POST", "/v2/orders", json=body)
    with trading(venue, tmp_path) as client:
        assert client.hears(POSITION).qty == 7
        assert client.hears(BLOCK).qty == 1
    with trading(venue, tmp_path, claims=frozenset({"CCC"})) as client:
        client.hears(STATE)
        assert client.heard(POSITION)[0].qty == 7
        assert not client.heard(BLOCK)
    with trading(venue, tmp_path) as client:
        client.hears(STATE)
        assert not client.heard(BLOCK)


def test_a_bust_takes_the_position_back(venue: Venue, tmp_path: Path) -> None:
    """The session hears of the position and the cash as they are."""
    with trading(venue, tmp_path) as client:
        client.hears(STATE)
        order = client.new(px=100.01)
        client.hears(FILLED, order)
        venue.fault("bust")
        assert client.hears(POSITION).qty == 0
        client.until(lambda: len(client.heard(CASH)) > 1)
        assert client.heard(CASH)[-1].px == pytest.approx(100_000, abs=0.01)
    assert client.broker.engine.blotter.expected["AAA"] == 0


def test_two_traders_do_not_share_an_account(venue: Venue, tmp_path: Path) -> None:
    """Neither with one journal, nor with two."""
    with trading(venue, tmp_path) as client:
        client.hears(ACCEPTED, client.new(px=99.0))
        with pytest.raises(UsageError, match="one trader per account"):
            Client(venue, tmp_path).broker.open()
        with pytest.raises(UsageError, match="one trader per account"):
            Client(venue, tmp_path, journal=tmp_path / "another.sqlite").broker.open()


def test_a_disk_that_takes_nothing_stops_new_orders_and_lets_cancels_go(venue: Venue, tmp_path: Path) -> None:
    """Fails closed: rejected to the session, a VenueError for the person."""
    with trading(venue, tmp_path) as client:
        client.hears(STATE)
        resting = client.new(px=99.0)
        client.hears(ACCEPTED, resting)
        client.broker.journal._db.execute("PRAGMA query_only = ON")
        order = client.new(px=98.0)
        client.hears(REJECTED, order)
        client.cancel(resting)
        client.hears(CANCELED, resting)
        assert isinstance(client.broker.failure, VenueError)
        assert client.hears(STATE).qty == 2
        client.broker.journal._db.execute("PRAGMA query_only = OFF")
    assert len(venue.account["orders"]) == 1


def test_the_kill_file_cancels_everything_and_stays_until_a_person_rearms(venue: Venue, tmp_path: Path) -> None:
    """Local deny, cancels, suspension at the broker, and no start before it is undone."""
    with trading(venue, tmp_path) as client:
        client.hears(STATE)
        client.hears(ACCEPTED, client.new(px=99.0))
        client.broker.kill_file.touch()
        client.until(lambda: client.heard(STATE)[-1].qty == 2)
        client.until(lambda: venue.open_orders == 0 and venue.account["suspended"])
        assert isinstance(client.broker.failure, RiskBreach)
    client.broker.kill_file.unlink()
    venue.rest("PATCH", "/v2/account/configurations", json={"suspend_trade": False})
    with pytest.raises(RiskBreach, match="rearm"):
        Client(venue, tmp_path).broker.open()


TRADER = """
import sys, time
from contextlib import contextmanager
from pathlib import Path
from tests.brokerage import Client
class There: pass
there = There()
from gpi.formats.instruments import Instruments, equity
from gpi.formats.secrets import Secret
from gpi.tools.brokers.alpaca.rest import Keys
there.instruments = Instruments(equity(n) for n in ("AAA", "BBB", "CCC"))
there.url = sys.argv[1]
there.keys = Keys(Secret("PKTESTTESTTESTTEST"), Secret(input()))
client = Client(there, Path(sys.argv[2]), patience_s=1.5)
client.broker.open()
client.hears(20)
print("ready", flush=True)
n = 0
while True:
    order = client.new(px=(99.0 + n % 7 / 100) if n % 3 else 100.01, qty=1 + n % 5, symbol=("AAA", "BBB", "CCC")[n % 3])
    n += 1
    if n % 4 == 0:
        client.cancel(order - 2)
    client.heard()
    if n == 6:
        print("resting", flush=True)
    time.sleep(0.02)
"""


@contextmanager
def _trader(venue: Venue, folder: Path) -> "Iterator[subprocess.Popen[str]]":
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    made = subprocess.Popen(
        [sys.executable, "-c", TRADER, venue.url, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True, env=environment,
    )  # fmt: skip
    assert made.stdin and made.stdout
    with made:
        try:
            made.stdin.write(SECRET + "\n")
            made.stdin.flush()
            assert made.stdout.readline().strip() == "ready"
            assert made.stdout.readline().strip() == "resting"
            yield made
        finally:
            made.kill()


def _flat(venue: Venue, seconds: float) -> float:
    begun = time.monotonic()
    while venue.open_orders and time.monotonic() - begun < seconds:
        time.sleep(0.02)
    assert venue.open_orders == 0
    return time.monotonic() - begun


def test_a_trader_that_is_killed_loses_nothing_and_its_orders_do_not_survive_it(venue: Venue, tmp_path: Path) -> None:
    """The dead-man cancels; the next trader knows every order and every fill of the last."""
    for wait in (0.05, 0.3):
        with _trader(venue, tmp_path):
            time.sleep(wait)
        _flat(venue, 8.0)
    with trading(venue, tmp_path) as client:
        client.hears(STATE)
        client.until(lambda: not any(life.open for life in client.broker.engine.blotter.lives.values()))
        journal = client.broker.journal
        known = {row[0] for row in journal.rows("SELECT client_id FROM orders")}
        assert {o["client_order_id"] for o in venue.account["orders"]} <= known
        for symbol in ("AAA", "BBB", "CCC"):
            assert client.broker.engine.blotter.expected.get(symbol, 0) == venue.position(symbol)
        assert not client.heard(BLOCK) or client.heard(BLOCK)[-1].qty == 0


def test_a_trader_that_is_stopped_is_killed_from_outside(venue: Venue, tmp_path: Path) -> None:
    """SIGSTOP: the dead-man sees the kill file, cancels everything and suspends trading."""
    with _trader(venue, tmp_path) as process:
        process.send_signal(signal.SIGSTOP)
        (tmp_path / "orders.kill").touch()
        _flat(venue, 5.0)
        end = time.monotonic() + 5
        while not venue.account["suspended"] and time.monotonic() < end:
            time.sleep(0.02)
        assert venue.account["suspended"]


def test_no_secret_reaches_the_journal(venue: Venue, tmp_path: Path) -> None:
    """Nor the arguments or the environment of the dead-man."""
    with trading(venue, tmp_path) as client:
        client.hears(FILLED, client.new(px=100.01))
        for name in ("cmdline", "environ"):
            assert SECRET.encode() not in Path(f"/proc/{client.broker._man.pid}/{name}").read_bytes()
    for path in tmp_path.iterdir():
        assert SECRET.encode() not in path.read_bytes()
    assert not any(SECRET in line for line in client.said)


def test_a_former_life_is_in_the_journal_with_its_attestation(venue: Venue, tmp_path: Path) -> None:
    """What traded is written down, and a new run has a new epoch."""
    for _ in range(2):
        with trading(venue, tmp_path, attested={"code": "abc"}) as client:
            client.hears(ACCEPTED, client.new(px=99.0))
    journal = Journal(tmp_path / "orders.sqlite")
    rows = journal.rows("SELECT epoch, attested, ended FROM runs ORDER BY epoch")
    assert [row[0] for row in rows] == [1, 2]
    assert json.loads(rows[0][1]) == {"code": "abc"}
    assert all(row[2] for row in rows)
    assert len(journal.rows("SELECT client_id FROM orders")) == 2
    journal.close()


def test_a_session_whose_key_is_refused_does_not_ask_on_at_its_end(venue: Venue, tmp_path: Path) -> None:
    """Its failure is known; what the account holds at the end is not."""
    with trading(venue, tmp_path) as client:
        client.broker._inbox.put(("barred", "the key is refused"))
        client.until(lambda: client.broker.failure)
        client.broker.finish(30.0)
        assert not client.broker.parted and "check the keys" in str(client.broker.failure)


def test_the_end_of_a_session_is_looked_at(venue: Venue, tmp_path: Path) -> None:
    """All that the account holds, after the last order has ended; where nobody answers, that is the failure."""
    with trading(venue, tmp_path) as client:
        client.broker.finish(30.0)
        assert client.broker.parted and client.broker.failure is None
    with trading(venue, tmp_path) as client:
        venue.close()
        client.broker.finish(1.0)
        assert not client.broker.parted and "did not answer" in str(client.broker.failure)
        assert client.broker.unknown() == []
