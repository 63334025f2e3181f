"""A broker that says odd things at odd times: what is not known is not believed, and what is alive is not forgotten."""

import os
import queue
import threading
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gpi.formats.execution import NEW, ExecutionReport, OrderRequest
from gpi.formats.instruments import Instrument, Instruments, equity, option
from gpi.formats.secrets import Secret
from gpi.formats.words import CANCELED, CLS, DAY, FILLED, FOK, GTC, IOC, LIMIT, OPG, REASONS, REJECTED
from gpi.tools.brokers import deadman, startup
from gpi.tools.brokers.alpaca import wire
from gpi.tools.brokers.alpaca.rest import Keys, Reply, Rest
from gpi.tools.brokers.alpaca.updates import Updates
from gpi.tools.brokers.blotter import Blotter
from gpi.tools.brokers.bucket import RESOLVE, Bucket
from gpi.tools.brokers.clerk import Clerk
from gpi.tools.brokers.guards import Guards
from gpi.tools.brokers.holds import HALTED, REDUCING, STARTING, Holds
from gpi.tools.brokers.journal import Journal
from gpi.tools.brokers.outbox import Job, Outbox
from gpi.tools.brokers.reconciliation import Reconciliation
from gpi.tools.brokers.startup import write
from tests.shell import gpi
from tests.test_outside import QUIET, START, begun
from tests.trading import frame

ACCOUNT = "PA1"


class Bench:
    """The broker's decisions without threads, sockets or a clock: `send` gives what would go out now."""

    def __init__(self, folder: Path) -> None:
        self.journal = Journal(folder / "orders.sqlite")
        self.journal.begin_run(1, ACCOUNT, "http://here", {})
        self.blotter, self.holds, self.outbox = Blotter(f"gpi-{ACCOUNT}-{self.journal.id}-"), Holds(), Outbox(Bucket())
        self.holds.free(STARTING)
        self.said = list[str]()
        self.clerk = Clerk(
            self.blotter, self.holds, self.journal, self.outbox, Guards(), ACCOUNT, self.said.append, grace_s=1.0
        )
        self.desk = Reconciliation(self.blotter, self.holds, self.clerk, self.outbox, self.said.append)
        self.instruments = Instruments([equity("AAA"), equity("BBB")])
        self.clerk.instruments = {row.id: row for row in self.instruments}
        self.desk.announced({row.symbol: row.id for row in self.instruments})
        self.next = 1

    def request(self, side: int = 1, qty: float = 10, px: float = 99.0, symbol: str = "AAA", now: float = 0.0) -> str:
        order_id, self.next = self.next, self.next + 1
        i = self.instruments.named(symbol).id
        self.clerk.requests([OrderRequest(NEW, START, order_id, i, symbol, side, LIMIT, GTC, qty, px)], 1, now)
        return self.journal.client_id(ACCOUNT, order_id)

    def send(self, now: float = 0.0) -> list[Job]:
        self.clerk.due(1, now)
        jobs = self.outbox.due(now)
        for job in jobs:
            self.clerk.sending(job) if job.client_id else self.desk.sending(job)
        return jobs

    def reply(self, job: Job, status: int, body: Any = None, now: float = 0.0) -> None:
        self.outbox.done(job)
        (self.clerk if job.client_id else self.desk).replied(job, Reply(status, body), now)

    def live(self, side: int = 1, qty: float = 10, px: float = 99.0, symbol: str = "AAA") -> str:
        """An order that the broker has taken."""
        client_id = self.request(side, qty, px, symbol)
        (job,) = self.send()
        self.reply(job, 200, row(client_id, side=side, qty=qty, symbol=symbol))
        return client_id

    def commit(self) -> None:
        self.blotter.reports()
        write(self.journal, self.blotter, 1)
        self.journal.commit()


def row(client_id: str, status: str = "new", side: int = 1, qty: float = 10, symbol: str = "AAA") -> dict[str, Any]:
    """An order object of the wire."""
    return {
        "id": f"id-of-{client_id}", "client_order_id": client_id, "symbol": symbol, "status": status, "qty": str(qty),
        "side": "buy" if side > 0 else "sell", "filled_qty": "0", "updated_at": "2026-01-05T15:30:00Z",
    }  # fmt: skip


@pytest.fixture
def bench(tmp_path: Path) -> Any:
    made = Bench(tmp_path)
    yield made
    made.journal.close()


@pytest.mark.parametrize(
    "text",
    ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z", "2026-01-05T10:30:00.abcZ", "2026-01-05T10:30:00.１Z"],
)
def test_a_time_that_64_bits_cannot_tell_is_no_time(text: str) -> None:
    """Go's zero time among them: it would kill the thread that writes it down."""
    assert wire.nanoseconds(text) == 0


@pytest.mark.parametrize("told", ["1e999999", "-1E+400", "NaN", "Infinity", 10**40])
def test_a_number_that_no_order_has_is_none(told: object) -> None:
    """Decimal would take it, and fail later, in a sum."""
    assert wire.number(told) is None


def test_a_frame_nested_without_end_is_one_more_unreadable_frame() -> None:
    """The parser gives up with an error of its own kind."""
    blotter = Blotter()
    assert blotter.message("[" * 200_000) is None
    assert blotter.counts["frame unreadable"] == 1


@pytest.mark.parametrize("body", [None, {}, "", {"message": "try later"}, [{"symbol": "AAA", "qty": None}], [7]])
def test_positions_that_cannot_be_read_are_not_an_empty_account(bench: Bench, body: Any) -> None:
    """A proxy's page with status 200 must not make a session think that it holds nothing."""
    bench.desk.held = {"AAA": (Decimal(5), Decimal(99))}
    bench.blotter.expected["AAA"] = Decimal(5)
    bench.desk.opening = lambda key, outside: False
    bench.desk.after_connection("link")
    bench.holds.hold("link", REDUCING)
    (job,) = bench.send()
    bench.reply(job, 200, [])
    (job,) = bench.send()
    bench.reply(job, 200, [])
    (job,) = bench.send()
    assert job.what == "positions"
    bench.reply(job, 200, body)
    assert not bench.desk.told and bench.desk.held["AAA"][0] == 5
    assert [job.what for job in bench.send()] == ["positions"], "asked again"
    assert "link" in bench.holds.causes


@pytest.mark.parametrize("what", ["orders", "activities", "positions", "account"])
@pytest.mark.parametrize("body", [None, 7, "<html>"])
def test_a_look_that_cannot_be_read_lifts_no_hold(bench: Bench, what: str, body: Any) -> None:
    """Status 200 alone is no answer."""
    good = {"account": {"cash": "1", "equity": "1"}}
    bench.holds.hold("link", REDUCING)
    bench.desk.after_connection("link")
    for _ in range(9):
        (job,) = bench.send()
        bench.reply(job, 200, body if job.what == what else good.get(job.what, []))
    assert "link" in bench.holds.causes


def test_an_account_without_cash_does_not_make_a_session_poor(bench: Bench) -> None:
    """A field that is missing is not zero."""
    bench.desk.cash = Decimal(100)
    bench.desk.cash_due = True
    bench.desk.look("account", RESOLVE)
    (job,) = bench.send()
    bench.reply(job, 200, {"equity": "5"})
    assert bench.desk.cash == 100 and not bench.desk.told


def test_an_order_that_lives_after_it_was_called_rejected_is_cancelled(bench: Bench) -> None:
    """Two looks found nothing, the session was told so, and then the broker takes it."""
    client_id = bench.request()
    (job,) = bench.send()
    bench.reply(job, 502)
    now = 0.0
    while bench.blotter.lives[client_id].state == "unknown":
        now += 1.0
        for look in bench.send(now):
            bench.reply(look, 404, {"code": 40410000}, now)
    assert [a.action for a in bench.blotter.reports()] == [REJECTED]
    life = bench.blotter.order(wire.order(row(client_id)))  # type: ignore[arg-type]
    assert life is not None
    bench.clerk.inquiries.settled(life, now)
    assert [(job.method, job.path) for job in bench.send(now + 3)] == [("DELETE", f"/orders/id-of-{client_id}")]


def test_an_order_that_the_broker_lists_late_does_not_poison_the_journal(bench: Bench) -> None:
    """Done in the journal, listed as open by a replica that lags: known by its id, and cancelled."""
    client_id = bench.live()
    bench.blotter.order(wire.order(row(client_id, "canceled")))  # type: ignore[arg-type]
    bench.commit()
    bench.blotter.lives.clear()
    bench.blotter._brokers.clear()  # as after a restart
    bench.desk.look("orders")
    (job,) = bench.send()
    bench.reply(job, 200, [row(client_id)])
    bench.commit()
    assert [job.method for job in bench.send()] == ["DELETE"]


def test_what_waits_to_be_sent_when_trading_halts_is_not_sent(bench: Bench) -> None:
    """The gate is asked again when the order's turn comes."""
    bench.outbox.bucket.barred = 0.5
    first, second = bench.request(symbol="AAA"), bench.request(symbol="BBB")
    assert bench.send(0.1) == []
    bench.holds.hold("keys", HALTED)
    assert bench.send(0.6) == []
    told = bench.blotter.reports()
    assert [(a.action, REASONS[a.reason]) for a in told] == [(REJECTED, "TRADING_STATE")] * 2
    assert not bench.blotter.lives[first].open and not bench.blotter.lives[second].open


def test_what_waits_in_a_symbol_that_is_blocked_meanwhile_is_not_sent(bench: Bench) -> None:
    """Only that symbol's."""
    bench.outbox.bucket.barred = 0.5
    bench.request(symbol="AAA")
    other = bench.request(symbol="BBB")
    bench.holds.block("AAA", "external order")
    assert [job.client_id for job in bench.send(0.6)] == [other]


def test_two_orders_may_not_both_reduce_the_same_shares(bench: Bench) -> None:
    """In a blocked symbol ten are held: the second sale of ten would be a short."""
    bench.blotter.expected["AAA"] = Decimal(10)
    bench.holds.block("AAA", "external order")
    first, second = bench.request(-1, 10, 100.0), bench.request(-1, 10, 101.0)
    assert bench.blotter.lives[first].open and not bench.blotter.lives[second].open


@pytest.mark.parametrize("step", [0.0, float("nan"), float("inf"), -1.0])
def test_an_instrument_without_a_grid_is_refused_not_fatal(step: float) -> None:
    """A division by it would end the broker's thread."""
    request = OrderRequest(NEW, START, 1, 0, "AAA", 1, LIMIT, GTC, 10.0, 99.0)
    for name in ("lot_size", "tick_size"):
        with pytest.raises(wire.Unsendable):
            wire.order_body(request, Instrument("AAA", **{name: step}), "id")


@pytest.mark.parametrize("tif", [IOC, FOK, OPG, CLS])
def test_an_order_that_must_not_rest_is_not_sent_as_one_that_rests(tif: int) -> None:
    """An option, or a fraction of a share, that Alpaca takes for the day only."""
    contract, fraction = option("AAPL261218C00100000"), Instrument("AAA", lot_size=0.001)
    for instrument, qty in ((contract, 1.0), (fraction, 0.5)):
        with pytest.raises(wire.Unsendable, match="day"):
            wire.order_body(
                OrderRequest(NEW, START, 1, 0, instrument.symbol, 1, LIMIT, tif, qty, 99.0), instrument, "id"
            )
    body = wire.order_body(OrderRequest(NEW, START, 1, 0, "AAA", 1, LIMIT, DAY, 0.5, 99.0), fraction, "id")
    assert body["time_in_force"] == "day"


def test_fill_or_kill_in_crypto_is_not_sent_as_something_that_fills_in_parts() -> None:
    """Alpaca has only gtc and ioc there."""
    coin = Instrument("BTC/USD", "crypto", 0.01, 1e-9)
    with pytest.raises(wire.Unsendable):
        wire.order_body(OrderRequest(NEW, START, 1, 0, "BTC/USD", 1, LIMIT, FOK, 0.5, 99.0), coin, "id")


def test_executions_of_an_order_older_than_the_last_one_known_are_asked_for(bench: Bench) -> None:
    """The list of executions may lag behind: a gap asks from the gap's own time on."""
    client_id = bench.live()
    bench.desk.since_ns = START + 3_600_000_000_000
    bench.blotter.order(wire.order({**row(client_id, "canceled"), "filled_qty": "4"}))  # type: ignore[arg-type]
    assert bench.blotter.gaps
    bench.desk.look("activities")
    (job,) = bench.send()
    assert wire.nanoseconds(job.data["after"]) < START


def test_a_fill_told_with_the_cancel_it_came_too_late_for_is_booked_once() -> None:
    """Both in one batch of answers, as after a quiet minute of the feed: the slot of the order is not freed twice."""
    session = begun({0: [(1, 5.0, 100, GTC)], 3: [(1, 1.0, 100, GTC), (1, 2.0, 99, GTC), (1, 3.0, 98, GTC)]})
    session.step(frame(QUIET[:1]))
    session.hear([
        ExecutionReport(START, CANCELED, 1, 0, 1, leaves=5.0),
        ExecutionReport(START, FILLED, 1, 0, 1, 2.0, 1.0, 3.0, 0.0),
        ExecutionReport(START, FILLED, 1, 0, 1, 3.0, 1.0, 0.0, 0.0),
    ])  # fmt: skip
    session.step(frame(QUIET[1:3]))
    assert session.state["instruments"][0].position == 5.0
    assert session.account.open_orders == 0 and session.state["instruments"][0].buying == 0.0
    session.step(frame(QUIET[3:]))
    assert session.account.open_orders == 3 and session.state["instruments"][0].buying == 6.0
    assert sorted(o["order_id"] for o in session.state["pool"] if o["order_id"]) == [2, 3, 4]


def test_a_late_fill_of_a_part_leaves_no_ghost_of_an_order() -> None:
    """What its broker says is unfilled of an order that has ended is not working."""
    session = begun({0: [(1, 5.0, 100, GTC)]})
    session.step(frame(QUIET[:1]))
    session.hear([ExecutionReport(START, CANCELED, 1, 0, 1, leaves=5.0)])
    session.step(frame(QUIET[1:2]))
    session.hear([ExecutionReport(START, FILLED, 1, 0, 1, 2.0, 1.0, 3.0, 0.0)])
    session.step(frame(QUIET[2:3]))
    assert session.account.open_orders == 0 and session.state["instruments"][0].buying == 0.0


def test_what_was_decided_on_old_ticks_is_not_sent(bench: Bench) -> None:
    """A delayed feed, a backlog after an outage, a recording played into a live account."""
    bench.clerk.guards.stale_s = 2.0
    old = bench.request()
    assert REASONS[bench.blotter.reports()[-1].reason] == "STALE_DATA"
    bench.clerk.requests([OrderRequest(NEW, START, 99, 0, "AAA", 1, LIMIT, GTC, 1.0, 99.0)], START + 1_900_000_000, 0.0)
    assert [job.client_id for job in bench.send()] == [bench.journal.client_id(ACCOUNT, 99)]
    assert not bench.blotter.lives[old].open and any("delayed" in line for line in bench.said)


@pytest.mark.parametrize("wrong", [RuntimeError("odd"), KeyError("data"), EOFError()])
def test_the_stream_of_updates_is_opened_again_whatever_ended_it(wrong: Exception) -> None:
    """An error that nobody thought of must not leave a trader deaf."""
    heard: queue.SimpleQueue[str] = queue.SimpleQueue()
    updates = Updates(Keys(Secret("PK"), Secret("s")), "http://127.0.0.1:9", lambda what, data: heard.put(what), 1)

    async def connection() -> None:
        raise wrong

    updates._connection = connection  # type: ignore[method-assign]
    updates.start()
    assert [heard.get(timeout=5) for _ in range(3)] == ["down"] * 3
    updates.stop()


class Orders:
    """A broker of which only the list of open orders is asked; rows appear with the n-th look."""

    def __init__(self, *rows: tuple[int, str]) -> None:
        self.rows, self.looks, self.cancelled = rows, 0, list[str]()

    def call(self, method: str, path: str, data: Any = None) -> Reply:
        if method == "DELETE":
            self.cancelled.append(path.rpartition("/")[2])
            return Reply(204)
        self.looks += 1
        there = [each for at, each in self.rows if self.looks >= at and f"id-of-{each}" not in self.cancelled]
        return Reply(200, [row(each) for each in there])


def test_the_dead_man_cancels_what_former_runs_left_but_not_a_later_trader_s() -> None:
    """The power went, and the next trader died at its start: nobody else looks after the first one's orders."""
    theirs = ["gpi-PA1-ab-1-7", "gpi-PA1-ab-3-1", "gpi-PA1-ab-x-1", "gpi-PA1-cd-1-1", "gpi-PA12-ab-1-1", "by hand"]
    broker = Orders(*((0, each) for each in ["gpi-PA1-ab-2-1", *theirs]))
    assert deadman.cancel(broker, "gpi-PA1-ab-2-", 10.0)  # type: ignore[arg-type]
    assert sorted(broker.cancelled) == ["id-of-gpi-PA1-ab-1-7", "id-of-gpi-PA1-ab-2-1"]


def test_the_dead_man_waits_for_an_order_that_was_on_its_way() -> None:
    """Its request left before the trader died, and the broker lists it only later."""
    broker = Orders((4, "gpi-PA1-ab-2-1"))
    assert deadman.cancel(broker, "gpi-PA1-ab-2-", 10.0, late_s=0.8)  # type: ignore[arg-type]
    assert broker.cancelled == ["id-of-gpi-PA1-ab-2-1"]


def test_a_kill_reaches_the_trader_though_the_broker_cannot_be_asked(tmp_path: Path) -> None:
    """Whose account it is cannot be known: every trader of this host on this machine stops."""
    for name in ("orders-PA1-9.sqlite", "orders-PA2-9.sqlite", "orders-PA3-8.sqlite", "orders-PA4.sqlite"):
        (tmp_path / name).touch()
    url = "http://127.0.0.1:9"
    rest = Rest(Keys(Secret("PK"), Secret("s")), url)
    found = startup.kill_files(rest, startup.Terms(tmp_path), url)
    assert sorted(path.name for path in found) == ["orders-PA1-9.kill", "orders-PA2-9.kill"]
    found = startup.kill_files(rest, startup.Terms(tmp_path, journal=tmp_path / "mine.sqlite"), url)
    assert [path.name for path in found] == ["mine.kill"]
    rest.close()


@pytest.mark.parametrize(
    "words, said",
    [
        (["trade", "--paper", "--url", "http://127.0.0.1:1"], b"go with --broker alpaca"),
        (["trade", "--broker", "alpaca", "--paper", "--url", "https://example.com"], b"only a venue on this machine"),
        (["trade", "--broker", "alpaca", "--paper", "--key-file", "/nowhere/keys"], b"cannot be read"),
    ],
)
def test_options_that_are_not_right_are_told_before_the_first_tick(words: list[str], said: bytes) -> None:
    """Not when the feed begins: nobody may be there then."""
    assert said in gpi(*words, check=2).stderr


def test_the_dead_man_hears_of_legs_between_the_beats(tmp_path: Path) -> None:
    """However the pipe cuts what it is told."""
    theirs, ours = os.pipe()
    orders = deadman.Orders("PK", "s", "http://127.0.0.1:9", "tag-1-", str(tmp_path / "kill"))
    told = [b"..+ab-", b"1\n.+c2\n+d", b"3\n.", b"q"]
    talker = threading.Thread(target=lambda: [(os.write(ours, said), time.sleep(0.05)) for said in told])
    talker.start()
    legs = set[str]()
    assert deadman.watch(theirs, orders, legs) == "goodbye"
    talker.join()
    os.close(theirs)
    os.close(ours)
    assert legs == {"ab-1", "c2", "d3"}
