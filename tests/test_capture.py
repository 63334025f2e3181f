"""A capture loses nothing in silence, whatever its connections, its disk and its reader do."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest

from gpi.formats.errors import BadInput, VenueError
from gpi.formats.frame import Frame, concatenated
from gpi.formats.secrets import Secret
from gpi.formats.ticks import TICKS
from gpi.formats.words import GAP, QUOTE, TRADE
from gpi.tools.feeds.live import supervisor
from gpi.tools.feeds.live.capturing import Capture
from gpi.tools.feeds.live.journal import Journal, Kind, Record, read, segments
from gpi.tools.feeds.live.outlet import CONFLATED, DROPPED, Outlet, Policy
from gpi.tools.feeds.live.subscription import Subscription
from gpi.tools.feeds.live.venue_time import Told, VenueTime
from gpi.tools.feeds.live.watchdog import Watchdog
from tests.market_server import KEY_ID, SECRET, MarketServer, Visit

T0 = 1_700_000_000_000_000_000
MS = 1_000_000


def stamp(n: int) -> Any:
    """The time of event n, as Alpaca's socket tells it."""
    ns = T0 + n * MS
    return msgpack.Timestamp(ns // 10**9, ns % 10**9)


def text(n: int) -> str:
    """The time of event n, as Alpaca's REST tells it."""
    return str(np.datetime64(T0 + n * MS, "ns")) + "Z"


def quote(n: int, symbol: str = "BAC") -> dict[str, Any]:
    """Event n: a quote, each different."""
    return {"T": "q", "S": symbol, "t": stamp(n), "bp": 10 + n / 100, "bs": n, "ap": 11 + n / 100, "as": 2}


def trade(n: int, symbol: str = "BAC") -> dict[str, Any]:
    """Event n: a trade."""
    return {"T": "t", "S": symbol, "t": stamp(n), "p": 10.5, "s": 100, "i": n}


def told(item: dict[str, Any], n: int) -> dict[str, Any]:
    """The same event in REST's words."""
    return {**{k: v for k, v in item.items() if k != "T"}, "t": text(n)}


def capture(
    server: MarketServer,
    folder: Path,
    *,
    vendor: Any = "alpaca",
    symbols: tuple[str, ...] = ("BAC",),
    policy: Policy = "block",
    capacity: int = 100_000,
    mute_s: float = 0.0,
    patience_s: float = 5.0,
    secret: str = SECRET,
    refill: bool = True,
) -> Capture:
    """A capture of the server."""
    wanted = Subscription(vendor, "stocks", symbols, ("trades", "quotes"), url=server.url)
    keys = (Secret(KEY_ID), Secret(secret)) if vendor == "alpaca" else (Secret(secret),)
    return Capture(
        wanted.link(keys),
        wanted.intake(0, wanted.live),
        Outlet(TICKS, capacity, policy),
        Journal(folder),
        Watchdog(mute_s, always=True),
        wanted.rest(keys) if refill else None,
        said.append,
        vendor,
        wanted.about(0),
        patience_s=patience_s,
        for_s=20.0,
    )


said: list[str] = []


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses short enough for tests."""
    said.clear()
    monkeypatch.setattr(supervisor, "FIRST_PAUSE_S", 0.02)
    monkeypatch.setattr(supervisor, "SLOT_PAUSE_S", 0.05)
    monkeypatch.setattr(supervisor, "KEY_PAUSE_S", 0.02)
    monkeypatch.setattr(supervisor, "ACKNOWLEDGED_S", 0.3)


def rows_until(running: Capture, enough: Callable[[list[Frame]], bool]) -> Frame:
    """Everything published until it is enough."""
    frames: list[Frame] = []
    for frame in running.frames(lambda: enough(frames)):
        frames.append(frame)
        if enough(frames):
            running.stop()
    return concatenated(frames, TICKS)


def count(n: int) -> Callable[[list[Frame]], bool]:
    """Enough is n rows."""
    return lambda frames: sum(frame.rows for frame in frames) >= n


def events(frame: Frame) -> list[int]:
    """Which events these rows are."""
    return [int(ts - T0) // MS for ts in frame["ts_event"]]


def again(folder: Path, vendor: Any = "alpaca") -> Frame:
    """The stream that the journal gives."""
    intake = Subscription(vendor, "stocks", ("BAC",)).intake(0, live=False)
    records = list(read(folder))
    frames = [frame for record in records for frame in intake.take([record]).frames]
    return concatenated([*frames, *intake.finish().frames], TICKS)


def balanced(books: dict[str, int]) -> bool:
    """Whether everything that came became something."""
    became = ("out", "bars", "controls", "repeated", "dropped", "conflated", "left in the journal")
    whole = sum(n for name, n in books.items() if name in became or name.startswith("quarantined"))
    return books["items in"] + books["gap rows"] == whole


def same(a: Frame, b: Frame) -> bool:
    """Row for row, every column."""
    return a.rows == b.rows and all(np.array_equal(a[n], b[n], equal_nan=True) for n in TICKS.names)


async def endless(visit: Visit) -> None:
    """Wait until the client has gone."""
    await visit.ws.receive(timeout=20)


def lines(*items: dict[str, Any]) -> Callable[[Visit], Any]:
    """A connection on which these items come, one a message."""

    async def talk(visit: Visit) -> None:
        await visit.open()
        for item in items:
            await visit.say(item)
        await endless(visit)

    return talk


def test_what_was_sent_is_what_comes_out_and_what_the_journal_tells(tmp_path: Path) -> None:
    """Row for row, and the books balance."""
    sent = [quote(n) if n % 3 else trade(n) for n in range(200)]
    with MarketServer(lines(*sent)) as server:
        running = capture(server, tmp_path)
        got = rows_until(running, count(200))
    assert (
        events(got) == list(range(200)) and (got["kind"] == [TRADE if n % 3 == 0 else QUOTE for n in range(200)]).all()
    )
    assert same(again(tmp_path), got)
    books = running.report()
    assert books["out"] == 200 and books["controls"] == 3 and books["connections"] == 1 and balanced(books)


async def _torn_at_once(visit: Visit) -> None:
    visit.tear()


async def _torn_before_auth(visit: Visit) -> None:
    await visit.say({"T": "success", "msg": "connected"})
    visit.tear()


async def _torn_after_auth(visit: Visit) -> None:
    await visit.say({"T": "success", "msg": "connected"})
    await visit.hear()
    await visit.say({"T": "success", "msg": "authenticated"})
    visit.tear()


async def _torn_before_acknowledgement(visit: Visit) -> None:
    await visit.say({"T": "success", "msg": "connected"})
    await visit.hear()
    await visit.say({"T": "success", "msg": "authenticated"})
    await visit.hear()
    visit.tear()


async def _half_subscribed(visit: Visit) -> None:
    await visit.say({"T": "success", "msg": "connected"})
    await visit.hear()
    await visit.say({"T": "success", "msg": "authenticated"})
    await visit.hear()
    await visit.say({"T": "subscription", "trades": ["BAC"], "quotes": []})
    await endless(visit)


async def _closed_cleanly(visit: Visit) -> None:
    await visit.open()
    await visit.ws.close()


async def _cut_inside_a_frame(visit: Visit) -> None:
    await visit.open()
    assert visit.ws._req is not None and visit.ws._req.transport is not None
    visit.ws._req.transport.write(b"\x82\x7e\x10\x00half of a frame")  # type: ignore[attr-defined]
    await asyncio.sleep(0.05)
    visit.tear()


PHASES = [_torn_at_once, _torn_before_auth, _torn_after_auth, _torn_before_acknowledgement, _half_subscribed]
PHASES += [_closed_cleanly, _cut_inside_a_frame]


@pytest.mark.parametrize("phase", PHASES, ids=lambda f: f.__name__.strip("_"))
def test_a_connection_may_end_anywhere(tmp_path: Path, phase: Any) -> None:
    """The next one is subscribed to everything, and its rows come."""
    with MarketServer(phase, phase, lines(quote(1), quote(2))) as server:
        running = capture(server, tmp_path)
        got = rows_until(running, count(2))
    assert events(got) == [1, 2] and server.visits == 3
    assert any("connecting again" in line for line in said)


def test_a_gap_is_refilled_from_history(tmp_path: Path) -> None:
    """What was missed comes between what was heard before and after, once each; the journal tells the same."""

    async def first(visit: Visit) -> None:
        await visit.open()
        await visit.say(quote(1), trade(2))
        await asyncio.sleep(0.2)
        visit.tear()

    with MarketServer(first, lines(quote(7), trade(8), quote(9))) as server:
        server.history["quotes"] = [told(quote(n), n) for n in (1, 3, 5, 7)]
        server.history["trades"] = [told(trade(n), n) for n in (2, 4, 6)]
        running = capture(server, tmp_path)
        got = rows_until(running, lambda frames: bool(frames) and T0 + 9 * MS in frames[-1]["ts_event"])
    assert events(got) == list(range(1, 10)) and not (got["flags"] & GAP).any()
    assert running.report()["refilled"] == 4 and server.asked["quotes"] >= 2, "history came in pages"
    assert same(again(tmp_path), got)


@pytest.mark.parametrize("refill", [True, False])
def test_a_gap_that_cannot_be_refilled_is_a_row(tmp_path: Path, refill: bool) -> None:
    """One GAP row for every symbol that was heard of before, ahead of what comes after."""

    async def first(visit: Visit) -> None:
        await visit.open()
        await visit.say(quote(1), quote(2, "IBM"))
        await asyncio.sleep(0.2)
        visit.tear()

    with MarketServer(first, lines(quote(7))) as server:
        server.rest_status = 403
        running = capture(server, tmp_path, symbols=("BAC", "IBM", "AAPL"), refill=refill)
        got = rows_until(running, lambda frames: bool(frames) and T0 + 7 * MS in frames[-1]["ts_event"])
    assert events(got) == [1, 2, 1, 2, 7] and got["flags"].tolist() == [0, 0, GAP, GAP, 0]
    assert running.report()["gap rows"] == 2 and balanced(running.report())
    assert same(again(tmp_path), got)


def polygon_quote(q: int) -> dict[str, Any]:
    """Polygon's message number q."""
    return {
        "ev": "Q",
        "sym": "BAC",
        "bp": 10 + q / 100,
        "bs": 1,
        "ap": 11 + q / 100,
        "as": 2,
        "t": T0 // MS + q,
        "q": q,
    }


def polygon_told(q: int) -> dict[str, Any]:
    """The same in v3's words."""
    sides = {"bid_price": 10 + q / 100, "bid_size": 1, "ask_price": 11 + q / 100, "ask_size": 2}
    return {"S": "BAC", **sides, "sip_timestamp": T0 + q * MS, "sequence_number": q}


def test_a_hole_in_polygons_sequence_is_refilled_in_order(tmp_path: Path) -> None:
    """q 4..6 never came over the socket; they come from REST before 7."""
    sent = [polygon_quote(q) for q in (1, 2, 3, 7, 8, 9)]
    with MarketServer(lines(*sent)) as server:
        server.history["quotes"] = [polygon_told(q) for q in range(1, 8)]
        running = capture(server, tmp_path, vendor="polygon")
        got = rows_until(running, count(9))
    assert got["seq"].tolist() == list(range(1, 10)) and not (got["flags"] & GAP).any()
    assert same(again(tmp_path, "polygon"), got)


def test_a_hole_that_rest_cannot_fill_is_a_gap_row(tmp_path: Path) -> None:
    """And a feed whose numbers leave some out is not asked about for ever."""
    sent = [polygon_quote(3 * n) for n in range(1, 30)]
    with MarketServer(lines(*sent)) as server:
        running = capture(server, tmp_path, vendor="polygon")
        got = rows_until(running, lambda frames: bool(frames) and 87 in frames[-1]["seq"])
    flagged = int((got["flags"] == GAP).sum())
    assert flagged == 8 == server.asked["quotes"]
    assert [q for q in got["seq"].tolist() if q] == [3 * n for n in range(1, 30)]
    assert same(again(tmp_path, "polygon"), got)


def test_rows_behind_an_open_hole_come_out_at_the_end(tmp_path: Path) -> None:
    """Ended while REST is asked: GAP rows, then all that waited, more holes or not; the books balance."""
    sent = [polygon_quote(q) for q in (1, 2, 5, 6, 9, 12)]
    with MarketServer(lines(*sent)) as server:
        running = capture(server, tmp_path, vendor="polygon")
        server.rest_delay_s = 5.0
        got = rows_until(running, lambda frames: running.intake.counts["items in"] > len(sent) + 3)
    assert [q for q in got["seq"].tolist() if q] == [1, 2, 5, 6, 9, 12] and balanced(running.report())
    assert same(again(tmp_path, "polygon"), got)


def test_polygons_client_is_reconnected_after_a_clean_close_and_in_authentication(tmp_path: Path) -> None:
    """Both leave the vendor's own client silent for ever."""

    async def closed(visit: Visit) -> None:
        await visit.open()
        await visit.ws.close()

    async def torn(visit: Visit) -> None:
        await visit.say({"ev": "status", "status": "connected", "message": ""})
        await visit.hear()
        visit.tear()

    with MarketServer(closed, torn, torn, torn, torn, torn, torn, torn, lines(polygon_quote(1))) as server:
        got = rows_until(capture(server, tmp_path, vendor="polygon"), count(1))
    assert got["seq"].tolist() == [1] and server.visits == 9


@pytest.mark.parametrize("vendor", ["alpaca", "polygon"])
def test_a_wrong_key_is_tried_three_times_and_named(tmp_path: Path, vendor: str) -> None:
    """The error says what the other side said, and nothing of the key."""
    with MarketServer(lines()) as server:
        with pytest.raises(VenueError, match="does not accept the key.*auth") as wrong:
            rows_until(capture(server, tmp_path, vendor=vendor, secret="wrong-canary-secret"), count(1))
    assert server.visits == 3 and "wrong-canary" not in str(wrong.value)


def test_a_busy_slot_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """406 until the half-dead connection has gone; named at once; given up after ninety seconds."""

    async def busy(visit: Visit) -> None:
        await visit.say({"T": "success", "msg": "connected"})
        await visit.hear()
        await visit.say({"T": "error", "code": 406, "msg": "connection limit exceeded"})
        await visit.ws.close()

    with MarketServer(busy, busy, busy, lines(quote(1))) as server:
        assert rows_until(capture(server, tmp_path / "a"), count(1)).rows == 1
    assert any("406 connection limit exceeded" in line for line in said)
    monkeypatch.setattr(supervisor, "SLOT_S", 0.2)
    with MarketServer(busy) as server, pytest.raises(VenueError, match="406 connection limit exceeded"):
        rows_until(capture(server, tmp_path / "b"), count(1))


def test_a_refusal_is_final(tmp_path: Path) -> None:
    """Symbol limit, missing subscription: trying again is no use."""

    async def refused(visit: Visit) -> None:
        await visit.say({"T": "success", "msg": "connected"})
        await visit.hear()
        await visit.say({"T": "success", "msg": "authenticated"})
        await visit.hear()
        await visit.say({"T": "error", "code": 405, "msg": "symbol limit exceeded"})
        await endless(visit)

    with MarketServer(refused) as server, pytest.raises(VenueError, match="405 symbol limit exceeded"):
        rows_until(capture(server, tmp_path), count(1))
    assert server.visits == 1


def test_nobody_there_is_an_error_in_the_end(tmp_path: Path) -> None:
    """After the patience is used up, naming what the network said."""
    with MarketServer(lines()) as server:
        pass  # its port is free now
    with pytest.raises(VenueError, match="cannot be reached.*refused"):
        rows_until(capture(server, tmp_path, patience_s=0.3), count(1))


def test_a_mute_socket_is_reconnected(tmp_path: Path) -> None:
    """It answers pings and says nothing; the next one speaks."""
    with MarketServer(lines(quote(1)), lines(quote(2))) as server:
        running = capture(server, tmp_path, mute_s=0.4, refill=False)
        got = rows_until(running, lambda frames: bool(frames) and T0 + 2 * MS in frames[-1]["ts_event"])
    assert events(got) == [1, 1, 2] and running.report()["mute"] == 1


def test_the_watchdog_sleeps_when_the_market_does() -> None:
    """No alarm at night and at weekends, a patient one before the open; never on the wall clock's word alone."""
    friday_noon, saturday = 1_763_744_400_000_000_000, 1_763_830_800_000_000_000
    clock, wall = [0.0], [saturday]
    dog = Watchdog(5.0, always=False, clock=lambda: clock[0], wall=lambda: wall[0])

    def after(seconds: float) -> float | None:
        for _ in range(round(seconds * 10)):
            clock[0] += 0.1
            if (found := dog.mute()) is not None:
                return found
        return None

    dog.connected()
    assert after(100) is None
    wall[0] = friday_noon
    assert dog.mute() is None, "silence before the session does not count"
    assert after(4.9) is None
    assert after(0.3) == pytest.approx(5.1, abs=0.11)
    dog.connected()
    assert after(6) is None, "a fresh connection did not help: twice the patience"
    assert after(5) is not None
    wall[0] -= 3600 * 10**9
    dog.fed()
    assert after(4.9) is None


def test_time_in_which_nobody_read_is_no_silence() -> None:
    """Held back by a slow reader for minutes, again and again: only the time between, when we listened, counts."""
    clock = [0.0]
    dog = Watchdog(5.0, always=True, clock=lambda: clock[0])
    for _ in range(4):
        clock[0] += 300.0
        assert dog.mute() is None
    clock[0] += 0.9
    assert dog.mute() is None
    clock[0] += 0.2
    assert dog.mute() == pytest.approx(5.1)


def test_a_venue_whose_time_stands_still_is_not_mute() -> None:
    """Its day is over, or it waits for a reader; where time goes on without data, the socket is dead."""
    told = [Told(7, "playing")]

    def silence(venue: VenueTime) -> float | None:
        clock = [0.0]
        dog = Watchdog(5.0, always=True, clock=lambda: clock[0], venue=venue)
        for _ in range(300):
            clock[0] += 0.1
            asked = [thread for thread in threading.enumerate() if thread.name == "venue clock"]
            for thread in asked:
                thread.join(5.0)
            if (found := dog.mute()) is not None:
                return found
        return None

    def going_on() -> Told:
        told.append(told[-1]._replace(now=told[-1].now + 1))
        return told[-1]

    assert silence(VenueTime(lambda: told[0], every_s=1.0)) is None
    assert silence(VenueTime(lambda: Told(len(told), "over"), every_s=1.0)) is None
    assert silence(VenueTime(going_on, every_s=1.0)) == pytest.approx(5.0, abs=0.11)
    assert silence(VenueTime(lambda: None, every_s=1.0)) == pytest.approx(20.0, abs=0.11), "busy, or gone"


def test_a_reader_slower_than_the_watchdog_costs_no_connection(tmp_path: Path) -> None:
    """A gap's refill waits for the reader longer than a socket may be mute: no new connection for that."""

    async def first(visit: Visit) -> None:
        await visit.open()
        for n in range(3):
            await visit.say(quote(n))
            await asyncio.sleep(0.1)
        visit.tear()

    with MarketServer(first, lines(quote(40))) as server:
        server.history["quotes"] = [told(quote(n), n) for n in range(40)]
        running = capture(server, tmp_path, capacity=1, mute_s=1.5)
        stream = running.frames(lambda: False)
        frames = []
        for frame in stream:
            frames.append(frame)
            if frame.rows and T0 + 40 * MS in frame["ts_event"]:
                running.stop()
            elif sum(each.rows for each in frames) == 1:
                threading.Event().wait(3.0)  # the reader thinks
    assert events(concatenated(frames, TICKS)) == list(range(41)) and server.visits == 2, said
    assert "mute" not in running.report()


@pytest.mark.parametrize("vendor", ["alpaca", "polygon"])
def test_once_ends_at_the_goodbye(tmp_path: Path, vendor: str) -> None:
    """1001, going away: the stream ends honestly, no connection is made anew, no GAP row is told."""

    async def leaving(visit: Visit) -> None:
        await visit.open()
        await visit.say(quote(1) if vendor == "alpaca" else polygon_quote(1))
        await visit.ws.close(code=1001)

    with MarketServer(leaving) as server:
        running = capture(server, tmp_path, vendor=vendor, refill=False)
        running.once = True
        got = concatenated(list(running.frames(lambda: False)), TICKS)
    assert got.rows == 1 and server.visits == 1 and balanced(running.report())


def test_malformed_items_cost_only_themselves(tmp_path: Path) -> None:
    """The good ones of the same message come; the others are counted, and nothing is said of them."""
    bad = [{"T": "q", "S": "BAC"}, {"T": "t", "S": "BAC", "t": stamp(1), "p": "x", "s": 1}, {"T": "z"}]
    bar = {"T": "b", "S": "BAC", "o": 1, "h": 1, "l": 1, "c": 1, "v": 1, "t": stamp(1)}
    correction = {"T": "c", "S": "BAC", "x": "V", "t": stamp(1), "oi": 1, "op": 1.0}
    message = [bad[0], quote(1), bar, bad[1], quote(2), correction, bad[2], trade(3)]

    async def talk(visit: Visit) -> None:
        await visit.open()
        await visit.ws.send_bytes(b"\xc1 no msgpack")
        await visit.say(*message)
        await endless(visit)

    with MarketServer(talk) as server:
        running = capture(server, tmp_path)
        got = rows_until(running, count(3))
    books = running.report()
    assert events(got) == [1, 2, 3]
    assert (books["bars"], books["controls"]) == (1, 4) and balanced(books)
    assert sum(v for k, v in books.items() if k.startswith("quarantined")) == 4
    assert not any("None" in line for line in said)


def frames_of(*numbers: int, kind: int = QUOTE, instrument: int = 0) -> Frame:
    """Rows with these times."""
    made = concatenated([], TICKS)
    made = Frame.of(TICKS, {name: np.zeros(len(numbers)) for name in TICKS.names})
    made["ts_event"][:] = numbers
    made["kind"][:] = kind
    made["instrument_id"][:] = instrument
    return made


def drained(outlet: Outlet) -> Iterator[Frame]:
    """Everything queued."""
    outlet.close()
    while (frame := outlet.take(0)) is not None:
        yield frame


def test_a_slow_reader_loses_the_oldest_rows_and_is_told() -> None:
    """A GAP row per instrument that lost some, a note with the count, then the rest in order."""
    outlet = Outlet(TICKS, 5, "drop-oldest")
    outlet.put(frames_of(1, 2, 3))
    outlet.put(frames_of(4, 5, instrument=1))
    outlet.put(frames_of(6, 7))
    note, gap, *rest = drained(outlet)
    assert note.notes == {DROPPED: "2", CONFLATED: "0"} and note.rows == 0
    assert gap["flags"].tolist() == [GAP] and gap["ts_event"].tolist() == [2] and gap["instrument_id"].tolist() == [0]
    assert concatenated(rest, TICKS)["ts_event"].tolist() == [3, 4, 5, 6, 7]
    assert outlet.out == 5 and outlet.dropped == 2


def test_conflation_keeps_the_newest_quote_and_every_trade() -> None:
    """Until trades alone fill the queue: then the oldest go, counted."""
    outlet = Outlet(TICKS, 4, "conflate")
    outlet.put(frames_of(1, 2))
    outlet.put(frames_of(3, kind=TRADE))
    outlet.put(frames_of(4, instrument=1))
    outlet.put(frames_of(5))
    note, *rest = drained(outlet)
    assert note.notes == {DROPPED: "0", CONFLATED: "2"}
    assert concatenated(rest, TICKS)["ts_event"].tolist() == [3, 4, 5]
    outlet = Outlet(TICKS, 2, "conflate")
    outlet.put(frames_of(1, 2, 3, kind=TRADE))
    assert outlet.dropped == 1 and outlet.conflated == 0


def test_the_queue_is_bounded_while_the_journal_takes_everything(tmp_path: Path) -> None:
    """A reader that stopped reading: memory stays, no row is missing from the journal."""
    sent = [quote(n) for n in range(2000)]
    with MarketServer(lines(*sent)) as server:
        running = capture(server, tmp_path, policy="drop-oldest", capacity=100)
        stream = running.frames(lambda: False)
        next(stream)
        for _ in range(200):
            if running.intake.counts["rows out"] == 2000:
                break
            assert running._thread is not None
            running._thread.join(0.05)
        assert running.outlet.waiting <= 100
        stream.close()  # type: ignore[attr-defined]
    books = running.report()
    assert books["out"] + books["dropped"] + books["left in the journal"] == 2000 and balanced(books)
    assert events(again(tmp_path)) == list(range(2000))


def test_a_torn_journal_gives_what_was_whole(tmp_path: Path) -> None:
    """Cut at every byte: a prefix of the records, and the next opening goes on after it."""
    with_records = [Record(Kind.BEGIN, 1, b"{}"), Record(Kind.MESSAGE, 2, b"abc"), Record(Kind.MESSAGE, 3, b"")]
    journal = Journal(tmp_path / "whole")
    journal.append(with_records)
    journal.close()
    (segment,) = segments(tmp_path / "whole")
    data = segment.read_bytes()
    for cut in range(len(data) + 1):
        folder = tmp_path / f"{cut}"
        folder.mkdir()
        (folder / segment.name).write_bytes(data[:cut])
        found = list(read(folder))
        assert found == with_records[: len(found)] and (cut < len(data) or len(found) == 3)
        after = Journal(folder)
        after.append([Record(Kind.BEGIN, 9, b"{}")])
        after.close()
        assert list(read(folder)) == [*found, Record(Kind.BEGIN, 9, b"{}")]


def test_a_changed_byte_in_the_journal_is_found(tmp_path: Path) -> None:
    """Every byte: the records before it come, never a wrong one; inside a run of segments it is an error."""
    journal = Journal(tmp_path, segment=100)
    records = [Record(Kind.MESSAGE, n, b"message %d" % n) for n in range(12)]
    for record in records:
        journal.append([record])
    journal.close()
    assert len(segments(tmp_path)) > 3 and list(read(tmp_path)) == records
    first = segments(tmp_path)[0]
    data = first.read_bytes()
    for at in range(len(data)):
        first.write_bytes(data[:at] + bytes([data[at] ^ 0x40]) + data[at + 1 :])
        with pytest.raises(BadInput, match="damaged|not a segment"):
            list(read(tmp_path))


def test_a_restart_is_a_gap_in_the_journals_stream(tmp_path: Path) -> None:
    """Two processes, one journal: GAP rows where the second began."""
    for n in (1, 2):
        with MarketServer(lines(quote(n))) as server:
            rows_until(capture(server, tmp_path), count(1))
    got = again(tmp_path)
    assert events(got) == [1, 1, 2] and got["flags"].tolist() == [0, GAP, 0]
    begun = [json.loads(r.payload) for r in read(tmp_path) if r.kind == Kind.BEGIN]
    assert len(begun) == 2 and begun[0]["symbols"] == ["BAC"]
