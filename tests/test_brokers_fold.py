"""Facts about orders fold to one state, however they come; what is sent is on the grid and never too much."""

import json
import math
import socket
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpi.formats.execution import NEW, ExecutionReport, OrderRequest
from gpi.formats.instruments import Instrument, crypto, equity, option
from gpi.formats.secrets import Secret
from gpi.formats.words import ACCEPTED, CANCELED, FILLED, GTC, LIMIT, REJECTED, REPLACED, STOP_LIMIT
from gpi.tools.brokers.alpaca import wire
from gpi.tools.brokers.alpaca.last_moment import look, pools
from gpi.tools.brokers.alpaca.rest import Keys, Rest, Unanswered
from gpi.tools.brokers.blotter import Blotter
from gpi.tools.brokers.bucket import CANCEL, LOOK, ORDER, RESOLVE, Bucket
from gpi.tools.brokers.hands import Hands, latest
from gpi.tools.brokers.life import Life
from gpi.tools.brokers.outbox import STALE_S, Job, Outbox

STAMP = "2026-11-20T15:00:00.{:09d}Z"


def story(sizes: list[int], end: str) -> list[dict[str, Any]]:
    """The trade_updates of an order of 100 as they happened: accepted, filled in parts, ended."""
    told, filled = [], 0

    def event(name: str, status: str, **more: Any) -> dict[str, Any]:
        order = {
            "id": "b1", "client_order_id": "gpi-1", "symbol": "AAA", "side": "buy", "qty": "100", "status": status,
            "filled_qty": str(filled), "updated_at": STAMP.format(len(told)),
        }  # fmt: skip
        return {"event": name, "timestamp": STAMP.format(len(told)), "order": order, **more}

    told.append(event("new", "new"))
    for n, size in enumerate(sizes):
        filled += size
        whole = filled == 100
        more = {"execution_id": f"e{n}", "qty": str(size), "price": f"{10 + n}.5"}
        told.append(event("fill" if whole else "partial_fill", "filled" if whole else "partially_filled", **more))
    if filled < 100:
        told.append(event(end, end))
    return told


def activities(sizes: list[int]) -> list[dict[str, Any]]:
    """The same executions as the activities list has them, under ids of its own."""
    rows, filled = [], 0
    for n, size in enumerate(sizes):
        filled += size
        row = {"id": f"2026::a{n}", "order_id": "b1", "qty": str(size), "price": f"{10 + n}.5", "cum_qty": str(filled)}
        rows.append({**row, "transaction_time": STAMP.format(n)})
    return rows


def folded(updates: list[dict[str, Any]], rows: list[dict[str, Any]]) -> tuple[Blotter, list[ExecutionReport]]:
    blotter, told = Blotter(), list[ExecutionReport]()
    blotter.place(Life(OrderRequest(NEW, 1, 7, 0, "AAA", 1, LIMIT, GTC, 100.0, 20.0), "gpi-1", {}, Decimal(100)))
    for data in updates:
        before = blotter.lives["gpi-1"].executions.filled
        blotter.message(json.dumps({"stream": "trade_updates", "data": data}))
        facts = blotter.lives["gpi-1"].executions
        assert facts.busted or facts.filled >= before, "filled_qty never goes down"
        told += blotter.reports()
    for row in rows:
        blotter.activity(row)
    return blotter, told + blotter.reports()


def naive(sizes: list[int], end: str) -> tuple[int, list[tuple[float, float]]]:
    """What a person would write down: the end, and each execution once."""
    return FILLED if sum(sizes) == 100 else wire.ENDS[end], sorted((float(s), 10.5 + n) for n, s in enumerate(sizes))


SIZES = st.lists(st.integers(1, 40), max_size=6).filter(lambda sizes: sum(sizes) <= 100)


@settings(max_examples=400, deadline=None)
@given(sizes=SIZES, end=st.sampled_from(["canceled", "expired"]), data=st.data())
def test_any_order_any_repetition_any_loss_folds_to_the_same(sizes: list[int], end: str, data: st.DataObject) -> None:
    """Shuffled, doubled and lost updates, with the activities that reconciliation reads, tell the in-order story."""
    happened = story(sizes, end)
    kept = data.draw(st.lists(st.sampled_from(happened), max_size=2 * len(happened)))
    last = happened[-1]
    updates = data.draw(st.permutations([*kept, last, *([] if sizes and sum(sizes) == 100 else [happened[0]])]))
    blotter, told = folded(updates, activities(sizes))
    ended, fills = naive(sizes, end)
    life = blotter.lives["gpi-1"]
    assert life.end == ended and not life.open
    assert sorted((a.qty, a.px) for a in told if a.action == FILLED) == fills
    assert [a.action for a in told].count(ACCEPTED) == 1
    ends = [a for a in told if a.action in (CANCELED, wire.ENDS["expired"], REJECTED)]
    assert len(ends) == (0 if ended == FILLED else 1)
    assert blotter.expected.get("AAA", 0) == sum(sizes)
    if told and ended != FILLED:
        assert told[-1].action == ended, "the end is told after the last execution"
    assert told[-1].leaves == 100 - sum(sizes)


WORDS = ("event", "order", "id", "stream", "data", "qty", "price", "status", "execution_id", "filled_qty", "side")
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(st.sampled_from(WORDS), each),
)
WHAT = st.sampled_from(["order", "cancel", "look", "done", "later"])


@given(junk=JUNK)
def test_nothing_that_is_json_breaks_the_fold(junk: Any) -> None:
    """Unknown events, missing fields, null data: counted, not raised."""
    blotter, _ = folded([], [])
    blotter.message(json.dumps(junk))
    blotter.message(json.dumps({"stream": "trade_updates", "data": junk}))
    blotter.activity(junk)


def test_a_bust_that_comes_before_its_fill_takes_it_back_all_the_same() -> None:
    """Order does not matter for busts either."""
    new, fill, end = story([30], "canceled")
    bust = {**end, "event": "trade_bust", "previous_execution_id": "e0", "order": {**end["order"], "status": "new"}}
    for updates in ([new, fill, bust, end], [new, bust, fill, end], [end, bust, fill, new]):
        blotter, _ = folded(updates, [])
        assert blotter.expected.get("AAA", 0) == 0
        assert not blotter.lives["gpi-1"].open


AAA, COIN = equity("AAA"), crypto("BTC/USD")


def asked(**words: Any) -> OrderRequest:
    return OrderRequest(**({"what": NEW, "ts_event": 1, "order_id": 1, "instrument_id": 0, "symbol": "AAA", "side": 1,
                   "order_type": LIMIT, "tif": GTC, "qty": 1.0, "px": 100.0} | words))  # fmt: skip


@given(cents=st.integers(100, 10**7), noise=st.sampled_from([0.0, 1e-12, -1e-12]), side=st.sampled_from([1, -1]))
def test_prices_reach_the_wire_without_the_noise_of_floats(cents: int, noise: float, side: int) -> None:
    """0.1 + 0.2 is 0.3 on the wire."""
    body = wire.order_body(asked(px=cents / 100 + noise, side=side), AAA, "id")
    assert Decimal(body["limit_price"]) == Decimal(cents) / 100
    assert "e" not in body["limit_price"].lower()


@given(px=st.floats(0.01, 1e6), side=st.sampled_from([1, -1]))
def test_a_price_is_never_more_aggressive_than_asked(px: float, side: int) -> None:
    """Buys are rounded down, sells up, by less than a step."""
    try:
        sent = float(wire.order_body(asked(px=px, side=side), AAA, "id")["limit_price"])
    except wire.Unsendable:
        return
    assert (px - sent) * side > -1e-7 * max(1.0, px) and abs(px - sent) <= 0.01 + 1e-9


@pytest.mark.parametrize(
    "instrument, words, wanted",
    [
        (AAA, {"qty": 0.1 + 0.2}, None),
        (COIN, {"qty": 0.1 + 0.2, "symbol": "BTC/USD"}, {"qty": "0.3", "time_in_force": "gtc"}),
        (AAA, {"px": math.nan}, None),
        (AAA, {"qty": -5.0}, None),
        (AAA, {"px": 0.12345}, {"limit_price": "0.1234"}),
        (AAA, {"order_type": STOP_LIMIT, "stop_px": 99.0}, {"stop_price": "99", "limit_price": "100"}),
        (option("AAPL  261218C00100000"), {}, {"symbol": "AAPL261218C00100000", "time_in_force": "day"}),
        (AAA, {"parent": 3}, None),
    ],
)
def test_a_request_is_as_alpaca_wants_it_or_is_not_made(
    instrument: Instrument, words: Mapping[str, Any], wanted: Mapping[str, str] | None
) -> None:
    """Strings on the grid; what cannot be, is refused here."""
    if wanted is None:
        with pytest.raises(wire.Unsendable):
            wire.order_body(asked(**words), instrument, "id")
        return
    body = wire.order_body(asked(**words), instrument, "id")
    assert {name: body[name] for name in wanted} == dict(wanted)


@pytest.mark.parametrize(
    "text, ns",
    [
        ("2026-11-20T15:00:00.123456789Z", 1795186800123456789),
        ("2026-11-20T10:00:00-05:00", 1795186800000000000),
        ("2026-11-20T15:00:00.5Z", 1795186800500000000),
        ("yesterday at the usual hour", 0),
        (None, 0),
    ],
)
def test_times_keep_all_their_digits(text: Any, ns: int) -> None:
    """Nanoseconds and offsets; nonsense is 0."""
    assert wire.nanoseconds(text) == ns


def test_a_bucket_keeps_the_last_requests_for_cancels() -> None:
    """A quarter of the window is not for new orders; a 429 bars everybody until it resets."""
    bucket = Bucket(limit=100, remaining=100, resets=60.0, tokens=1e9, filled_at=0.0, ceiling=1e12)
    sent = {lane: 0 for lane in (LOOK, ORDER, RESOLVE, CANCEL)}
    for lane in sent:
        while bucket.take(lane, 1.0):
            sent[lane] += 1
    assert list(sent.values()) == [50, 25, 12, 13]
    assert bucket.wait(CANCEL, 1.0) == pytest.approx(59.0)
    assert bucket.take(CANCEL, 60.5)
    headers = {"X-RateLimit-Limit": "100", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1030"}
    bucket.heard(429, headers, 1000.0, 70.0)
    assert not bucket.take(CANCEL, 99.9)
    assert bucket.take(ORDER, 101.0)
    bucket = Bucket(tokens=1e9, ceiling=1e12)
    bucket.heard(200, {}, 1000.0, 0.0)
    assert all(bucket.take(ORDER, 1.0) for _ in range(1000)), "a venue that tells no limit has none"


@given(steps=st.lists(st.tuples(WHAT, st.integers(0, 5)), max_size=80))
def test_the_outbox_sends_one_order_a_symbol_and_every_cancel(steps: list[tuple[str, int]]) -> None:
    """Cancels overtake; two orders of one symbol are never in flight; what is stale is taken back."""
    outbox, flying, now, cancels, sent = Outbox(Bucket()), list[Job](), 0.0, set[str](), set[str]()
    for n, (what, which) in enumerate(steps):
        if what == "order":
            outbox.add(Job(ORDER, "new", "POST", "/orders", None, f"o{n}", f"S{which}", now))
        elif what == "cancel":
            cancels.add(f"c{which}")
            outbox.add(Job(CANCEL, "cancel", "DELETE", f"/{which}", None, f"c{which}"))
        elif what == "look":
            outbox.add(Job(LOOK, "orders", "GET", "/orders"))
        elif what == "done" and flying:
            outbox.done(flying.pop(which % len(flying)))
        else:
            now += which / 4
        for job in outbox.stale(now):
            assert now - job.since >= 2.0
        due = outbox.due(now)
        assert not [j for j in due if j.lane == CANCEL] or due[0].lane == CANCEL
        flying += due
        sent |= {job.client_id for job in due if job.lane == CANCEL}
        symbols = [job.symbol for job in flying if job.lane == ORDER]
        assert len(symbols) == len(set(symbols))
    for _ in range(100):
        for job in flying:
            outbox.done(job)
        flying = outbox.due(now)
        sent |= {job.client_id for job in flying if job.lane == CANCEL}
    assert cancels == sent


def test_a_hand_that_overslept_sends_no_order_and_every_cancel() -> None:
    """The process was stopped while they waited for a hand: nothing is connected to, and the fate is looked up."""
    order = Job(ORDER, "new", "POST", "/orders", {}, "id", "AAPL", since=100.0)
    assert latest(order) == 100.0 + STALE_S and latest(order._replace(lane=CANCEL)) == math.inf
    told: list[tuple[Job, object]] = []
    hands = Hands(
        Keys(Secret("k"), Secret("s")), "http://127.0.0.1:9", lambda job, outcome, left: told.append((job, outcome))
    )
    hands.start()
    hands.give(order._replace(since=-1e9))
    hands.stop()
    ((_, outcome),) = told
    assert isinstance(outcome, Unanswered) and "too old" in str(outcome)


@pytest.mark.parametrize("at", [0, 1])
def test_a_request_whose_time_ends_between_two_bytes_is_not_sent_whole(at: int) -> None:
    """The machine slept before the headers, or between them and the body: the order never arrives."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        rest = Rest(Keys(Secret("k"), Secret("s")), f"http://127.0.0.1:{server.getsockname()[1]}")
        untils = iter([math.inf] * at + [0.0])
        looks = pools(lambda: look(next(untils)), rest._adapter._bounds)
        rest._adapter.poolmanager.pool_classes_by_scheme = looks
        with pytest.raises(Unanswered, match="too old"):
            rest.call("POST", "/orders", {"qty": "1"})
        rest.close()
        server.settimeout(5)
        there, _ = server.accept()
        there.settimeout(5)
        heard = b"".join(iter(lambda: there.recv(65_536), b""))
        there.close()
    assert b'"qty"' not in heard and bool(heard) == bool(at)


def lineage() -> Blotter:
    """An order of 100 and its replacement to 150 in all, both sent."""
    blotter, request = Blotter(), OrderRequest(NEW, 1, 7, 0, "AAA", 1, LIMIT, GTC, 100.0, 20.0)
    first = Life(request, "gpi-1", {}, Decimal(100), state="live")
    first.after = Life(request._replace(qty=150.0, px=21.0), "gpi-1r1", {}, Decimal(150), state="sent", before=first)
    blotter.place(first)
    blotter.place(first.after)
    return blotter


def replaced_story(before: list[int], after: list[int]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """(updates, activities): filled in part, replaced, filled in part again, cancelled."""
    first, rest = story(before, "replaced"), 150 - sum(before)
    second = story(after, "canceled")
    for each in second:
        each["order"] |= {"id": "b2", "client_order_id": "gpi-1r1", "qty": str(rest)}
        if "execution_id" in each:
            each["execution_id"] = f"r{each['execution_id']}"
    rows = [{**row, "id": f"r{row['id']}", "order_id": "b2"} for row in activities(after)]
    return [*first, *second], [*activities(before), *rows]


PARTS = st.lists(st.integers(1, 18), max_size=4)  # never more than the replacement is for


@settings(max_examples=300, deadline=None)
@given(before=PARTS, after=PARTS, data=st.data())
def test_a_replacement_folds_to_the_same_in_any_order(before: list[int], after: list[int], data: st.DataObject) -> None:
    """Told as one order: replaced once, every execution once, the end once and last."""
    happened, rows = replaced_story(before, after)
    ends = [each for each in happened if each["event"] in ("replaced", "canceled")]
    kept = data.draw(st.lists(st.sampled_from(happened), max_size=2 * len(happened)))
    blotter, told = lineage(), list[ExecutionReport]()
    for update in data.draw(st.permutations([*kept, *ends])):
        blotter.update(update)
        told += blotter.reports()
    for row in rows:
        blotter.activity(row)
    told += blotter.reports()
    assert not blotter.open and not blotter.gaps
    assert sum(a.qty for a in told if a.action == FILLED) == sum(before) + sum(after)
    assert [a.action for a in told].count(REPLACED) == 1 == [a.action for a in told].count(CANCELED)
    assert told[-1].action == CANCELED and told[-1].leaves == 150 - sum(before) - sum(after)
    assert blotter.expected.get("AAA", 0) == sum(before) + sum(after)
    assert all(a.order_id == 7 for a in told)
