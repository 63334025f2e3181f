"""Runs that did not end: what they had told can be read and is a beginning of the truth; at a broker they go on."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpi.formats.errors import BadInput, GpiError, UsageError
from gpi.formats.execution import CASH, POSITION, ExecutionReport
from gpi.formats.frame import Frame, concatenated
from gpi.formats.instruments import Instruments, equity, option
from gpi.formats.ipc import Reader, Writer, writing
from gpi.formats.ticks import TICKS
from gpi.tools.backtest import recovery
from gpi.tools.backtest.heard import Heard, part
from gpi.tools.backtest.manifest import as_dict, manifest_of
from gpi.tools.backtest.recovery import alive, follows, parts, recover, restored, unfinished
from gpi.tools.backtest.run import Run
from gpi.tools.backtest.session import Session
from gpi.tools.backtest.tables import PACK, columns
from gpi.tools.backtest.told import NAME, Reading
from gpi.tools.backtest.verify import altered, compare
from tests.brokerage import KEY_ID, SECRET, Venue
from tests.shell import GPI, ROOT, gpi
from tests.test_backtest import making, walk
from tests.test_trade_cli import trader
from tests.trading import frame

pytestmark = [pytest.mark.jit, pytest.mark.filterwarnings("ignore::aiohttp.web_exceptions.NotAppKeyWarning")]
TABLES = ("orders", "fills", "equity")


def died(path: Path, ticks: Frame, stop: int, each: bool = True) -> Run:
    """A run that has come to a row and says nothing more; whoever holds it holds its lock."""
    session = Session(ticks.layout.schema, making())
    run = Run(path, session, ticks.layout.schema, each=each)
    for row in range(stop):
        run.add(session.step(ticks.slice(row, row + 1)))
    return run


def whole(path: Path, ticks: Frame) -> None:
    session = Session(ticks.layout.schema, making())
    run = Run(path, session, ticks.layout.schema)
    run.add(session.step(ticks))
    run.add(session.finish())
    run.close()


def test_what_a_run_told_is_read_back_row_by_row(tmp_path: Path) -> None:
    """After every step nothing is missing; recovered, it is the beginning of the whole run, and says that it is one."""
    ticks = walk()
    whole(tmp_path / "whole", ticks)
    run = died(tmp_path / "a", ticks, 300)
    assert unfinished(tmp_path / "a") and alive(tmp_path / "a")
    with pytest.raises(UsageError, match="being written"):
        recover(tmp_path / "a")
    restored(tmp_path / "a", tmp_path / "seen")  # of a living one, too
    run._leave()
    found = recover(tmp_path / "a")
    assert found is not None and found.torn == 0 and found.rows["orders"] > 0 and found.rows["fills"] > 0
    for name in TABLES:
        seen, stored = columns(tmp_path / "a" / f"{name}.parquet"), columns(tmp_path / "whole" / f"{name}.parquet")
        for column, values in seen.items():
            np.testing.assert_array_equal(values, stored[column][: len(values)])
        assert pq.read_table(tmp_path / "seen" / f"{name}.parquet").equals(
            pq.read_table(tmp_path / "a" / f"{name}.parquet")
        )
    manifest = manifest_of(tmp_path / "a")
    assert manifest["complete"] is False and manifest["recovered"] is True and manifest["rows"] == found.rows
    assert altered(tmp_path / "a") is None
    assert compare(tmp_path / "a", tmp_path / "whole") is not None
    assert compare(tmp_path / "a", tmp_path / "whole", (True, False)) is None
    assert compare(tmp_path / "whole", tmp_path / "a", (False, True)) is None
    assert compare(tmp_path / "whole", tmp_path / "a", (True, False)) is not None
    assert sorted(each.name for each in (tmp_path / "a").iterdir()) == sorted(
        [*(f"{name}.parquet" for name in TABLES), "manifest.json", "performance_metrics.json"]
    )


def test_recovering_twice_does_no_more_than_once(tmp_path: Path) -> None:
    """Nor where the first attempt died in the middle: the log goes last."""
    ticks = walk(100)
    died(tmp_path / "a", ticks, 100)._leave()
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    restored(tmp_path / "b", tmp_path / "b")  # it was interrupted behind its last table
    assert recover(tmp_path / "a") == recover(tmp_path / "b")
    assert recover(tmp_path / "a") is None and recover(tmp_path / "b") is None
    assert manifest_of(tmp_path / "a") == manifest_of(tmp_path / "b")
    with pytest.raises(UsageError, match="already holds a run"):
        died(tmp_path / "a", ticks, 1)
    with pytest.raises(UsageError, match="holds no run"):
        recover(tmp_path)


def test_a_run_that_ended_leaves_no_log_and_the_lock_is_free(tmp_path: Path) -> None:
    """The tables are there; nothing is left to recover."""
    whole(tmp_path / "a", walk(50))
    assert not unfinished(tmp_path / "a") and not alive(tmp_path / "a") and recover(tmp_path / "a") is None


def test_a_log_cut_at_any_byte_is_a_prefix(tmp_path: Path) -> None:
    """Every byte: the records before it, or nothing told at all. Never another row, never a traceback."""
    died(tmp_path / "a", walk(30), 5)._leave()
    log = (tmp_path / "a" / NAME).read_bytes()
    full = [_rows(each.frames) for each in Reading(tmp_path / "a" / NAME).records()]
    assert len(full) > 3
    path, sizes = tmp_path / NAME, set[int]()
    path.write_bytes(log)
    for size in reversed(range(len(log))):
        os.truncate(path, size)
        reading = Reading(path)
        found = [_rows(each.frames) for each in reading.records()]
        assert found == full[: len(found)] and (reading.about is not None or not found)
        sizes.add(len(found))
    assert sizes == set(range(len(full)))


@settings(max_examples=40, deadline=None)
@given(at=st.integers(0, 1 << 30), flip=st.integers(1, 255))
def test_a_flipped_byte_ends_the_prefix(tmp_path_factory: pytest.TempPathFactory, at: int, flip: int) -> None:
    """Recovered all the same, up to there; or told in words that nothing is left."""
    folder = tmp_path_factory.mktemp("flip")
    died(folder / "a", walk(40), 25)._leave()
    path = folder / "a" / NAME
    full = [_rows(each.frames) for each in Reading(path).records()]
    log = bytearray(path.read_bytes())
    log[at % len(log)] ^= flip
    path.write_bytes(log)
    found = [_rows(each.frames) for each in Reading(path).records()]
    assert len(found) < len(full) and found == full[: len(found)]
    try:
        told = recover(folder / "a")
    except BadInput as wrong:
        assert "nothing was told before" in str(wrong)
    else:
        assert told is not None and told.torn > 0
        assert manifest_of(folder / "a")["torn_bytes"] == told.torn


def _rows(frames: list[tuple[str, Frame]]) -> list[tuple[str, list[bytes]]]:
    return [(name, [view.tobytes() for view in each.columns.values()]) for name, each in frames]


def test_without_a_broker_a_quiet_moment_or_a_pack_of_steps_is_kept(tmp_path: Path) -> None:
    """At most PACK steps are at stake, and none where the feed was quiet."""
    ticks = walk(600)
    run = died(tmp_path / "a", ticks, 500, each=False)
    kept = sum(each.rows for record in Reading(tmp_path / "a" / NAME).records() for _, each in record.frames)
    assert run._steps < PACK
    run.tell()
    told = sum(each.rows for record in Reading(tmp_path / "a" / NAME).records() for _, each in record.frames)
    assert 0 < kept < told
    assert told == sum(table.rows for table in run._tables.values())
    run._leave()


def test_a_disk_that_is_full_is_told_with_the_folder_and_the_fix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what was told before stays readable."""
    ticks = walk()
    run = died(tmp_path / "a", ticks, 200)
    before = sum(1 for _ in Reading(tmp_path / "a" / NAME).records())
    real = os.writev

    def full(fd: int, pieces: list[Any]) -> int:
        os.write(fd, b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "writev", full)
    with pytest.raises(GpiError, match=f"{tmp_path / 'a'} cannot be written .*No space left.*runs recover"):
        for row in range(200, 300):
            run.add(run._session.step(ticks.slice(row, row + 1)))
    monkeypatch.setattr(os, "writev", real)
    run._leave()
    found = recover(tmp_path / "a")
    assert found is not None and found.torn == 0 and before > 0


def marked(rows: int, start: int = 0, seq: int = 0) -> Frame:
    """Quotes of one instrument, received 1 ms apart."""
    made = frame([{"ts": start + n * 1_000_000, "bid": (100, 5), "ask": (102, 5)} for n in range(rows)])
    made["ts_recv"][:] = made["ts_event"] + 7
    made["seq"][:] = np.arange(seq, seq + rows)
    return made


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_session_s_part_of_a_recording_is_found_however_both_are_cut(data: st.DataObject) -> None:
    """Rows first..first+n of a longer recording, both cut anywhere: exactly those come out."""
    ticks = marked(60, 10**18)
    first = data.draw(st.integers(0, 59))
    count = data.draw(st.integers(1, 60 - first))
    heard = Heard()
    for piece in _cut(ticks.slice(first, first + count), data):
        heard.add(piece)
    out = [each.copy() for each in part(iter(_cut(ticks, data)), heard.told(), "x")]
    assert np.concatenate([each["seq"] for each in out]).tolist() == list(range(first, first + count))


def _cut(ticks: Frame, data: st.DataObject) -> list[Frame]:
    at = sorted(data.draw(st.lists(st.integers(0, ticks.rows), max_size=5)))
    return [ticks.slice(a, b) for a, b in zip([0, *at], [*at, ticks.rows], strict=True) if b > a]


@pytest.mark.parametrize("wrong, said", [
    ("gone", "no row in it is the session's first"), ("short", "ends 10 rows before"), ("seq", "has other rows"),
    ("bid_px", "has other rows"), ("ask_sz", "has other rows"), ("flags", "has other rows"),
])  # fmt: skip
def test_a_recording_that_does_not_hold_the_session_is_told_so(wrong: str, said: str) -> None:
    """Another day, one that stopped early, one with a row changed."""
    ticks, heard = marked(60, 10**18), Heard()
    heard.add(ticks.slice(10, 60))
    told = heard.told()
    recording = {"gone": marked(60, 10**18 + 10**15), "short": ticks.slice(0, 50)}.get(wrong, ticks.copy())
    if wrong in recording.columns:
        recording[wrong][30] += 1
    with pytest.raises(BadInput, match=said):
        list(part(iter([recording]), told, "day.arrow"))


def test_a_session_at_a_broker_goes_on_in_the_same_directory_if_it_is_the_same(tmp_path: Path) -> None:
    """Another account, other limits or a run of another kind are no continuation, and the fix is named."""
    ticks, whose = walk(100), {"account": "PA1", "url": "http://x"}
    setup = as_dict(making())
    assert follows(tmp_path / "a", setup, whose) == (tmp_path / "a", None)
    session = Session(ticks.layout.schema, making(external=True))
    run = Run(tmp_path / "a", session, ticks.layout.schema, {"broker": whose}, each=True)
    run.heard(0, [ExecutionReport(1, CASH, px=1000.0), ExecutionReport(1, POSITION, instrument_id=0, qty=3.0, px=10.0)])
    with pytest.raises(UsageError, match="being written"):
        follows(tmp_path / "a", setup, whose)
    run._leave()
    into, found = follows(tmp_path / "a", setup, whose)
    assert into == tmp_path / "a" / "part-2" and found is not None and found.rows["answers"] == 2
    assert follows(tmp_path / "a", setup, whose) == (into, None)
    for other, account in (({**setup, "limits": {}}, whose), (setup, {**whose, "account": "PA2"})):
        with pytest.raises(UsageError, match="another (limits|account).*--out"):
            follows(tmp_path / "a", other, account)
    whole(tmp_path / "b", ticks)
    with pytest.raises(UsageError, match="not traded at a broker"):
        follows(tmp_path / "b", setup, whose)
    Run(into, session, ticks.layout.schema, {"broker": whose})._leave()
    assert parts(tmp_path / "a") == [tmp_path / "a", into]


def test_a_wrong_recording_is_blamed_and_not_the_run(tmp_path: Path) -> None:
    """A price of the last row that decides nothing: the orders are the same, the recording is not."""
    day, other, run = tmp_path / "day.arrow", tmp_path / "other.arrow", tmp_path / "run"
    gpi("simulate", "--seed", "3", "--events", "400", "--symbols", "AAA", "--out", day, check=0)
    with open(day, "rb") as stream:
        piped = subprocess.run([*GPI, "trade", "--paper", "--out", str(run)], stdin=stream, capture_output=True)
    assert piped.returncode == 0, piped.stderr
    with open(day, "rb") as file:
        reader = Reader(file.fileno(), "day")
        frames = [each.copy() for each in reader]
    whole = concatenated(frames, reader.schema)
    whole["bid_sz"][-1] += 1
    with open(other, "wb") as file:
        with writing(file.fileno(), reader.schema) as writer:
            writer.write(whole)
    gpi("verify", run, "--recording", day, check=0)
    assert b"is not what the session heard" in gpi("verify", run, "--recording", other, check=3).stderr


def test_a_killed_run_is_verified_queried_recovered_and_verified_again(tmp_path: Path) -> None:
    """kill -9 in the middle of a stream: its orders are there before and after the recovery, and proven."""
    words = ["simulate", "--seed", "3", "--scenario", "calm", "--symbols", "AAA", "--out", tmp_path / "day.arrow"]
    gpi(*words, check=0)
    day = (tmp_path / "day.arrow").read_bytes()
    out = tmp_path / "runs" / "x"
    command = [*GPI, "trade", "--paper", "--out", str(out), "--param", "size_fraction=0.01"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, cwd=ROOT) as trading:
        assert trading.stdin
        trading.stdin.write(day[: len(day) // 2])
        trading.stdin.flush()
        end = time.monotonic() + 120
        while time.monotonic() < end and not (unfinished(out) and next(Reading(out / NAME).records(), None)):
            time.sleep(0.05)
        listed = gpi("runs", "list", tmp_path / "runs", check=0).stdout.decode()
        assert "being written" in listed and " 0 order events" not in listed
        assert b"being written" in gpi("runs", "recover", out, check=2).stderr
        trading.send_signal(signal.SIGKILL)
    listed = gpi("runs", "list", tmp_path / "runs", check=0).stdout.decode()
    assert "did not end (gpi runs recover" in listed
    sql = ("query", "SELECT run, count(*) n FROM orders GROUP BY run", "--runs", tmp_path / "runs", "--to", "jsonl")
    before = gpi(*sql, check=0)
    assert b"has not ended" in before.stderr and json.loads(before.stdout)["n"] > 0
    said = gpi("verify", out, check=0).stderr
    assert b"identical as far as it goes" in said and b"runs recover" in said
    assert b"order" in gpi("runs", "recover", out, check=0).stderr
    assert b"nothing to recover" in gpi("runs", "recover", out, check=0).stderr
    assert gpi(*sql, check=0).stdout == before.stdout
    assert b"identical as far as it goes" in gpi("verify", out, check=0).stderr
    shown = gpi("runs", "show", out, check=0).stdout.decode()
    assert "did not end, recovered" in shown
    assert shown.splitlines()[0].split("; ", 1)[1] == listed.splitlines()[0].split("; ", 1)[1]  # it had told as much
    kinds = {each.name: each.stat().st_mode & 0o777 for each in out.iterdir() if each.is_file()}
    assert set(kinds.values()) == {0o600}, kinds


@pytest.fixture
def venue() -> Iterator[Venue]:
    made = Venue()
    yield made
    made.close()


def test_a_killed_trader_goes_on_in_its_directory_and_both_parts_are_proven(venue: Venue, tmp_path: Path) -> None:
    """kill -9, the same --out again: recovered, gone on, and each part repeated from one recording of both."""
    keys, out = tmp_path / "keys.json", tmp_path / "runs" / "to day"
    keys.touch(0o600)
    keys.write_text(json.dumps({"key_id": KEY_ID, "secret": SECRET}))
    words = ("--paper", "--key-file", keys, "--claim", "ALL", "--out", out)
    with trader(venue, tmp_path, *words) as first:
        first.until(lambda: venue.open_orders >= 1 and b"trading" in first.said)
        first.until(lambda: _told(out) > 0)
        first.process.kill()
        first.gone()
    assert _flat(venue)
    with trader(venue, tmp_path, *words) as second:
        second.until(lambda: b"goes on as" in second.said and _told(out / "part-2") > 0)
        assert second.end() == 0, second.said.decode()
    assert b"recovered" in second.said and f"gpi verify '{out}/part-2' --recording FILE".encode() in second.said
    with open(tmp_path / "feed.arrow", "wb") as file:
        writer = Writer(file.fileno(), venue.instruments.on(TICKS))
        for each in (marked(5), *_feed(2_000)):
            writer.write(each)
        writer.close()
    said = gpi("verify", out, "--recording", tmp_path / "feed.arrow", check=0).stderr.decode()
    assert said.count("identical") == 2 and "part-2" in said
    shown = gpi("runs", "show", out, check=0).stdout.decode()
    assert "did not end, recovered" in shown and "complete" in shown and "2 parts together" in shown


def _feed(rows: int) -> Iterator[Frame]:
    """What `Trader` feeds."""
    from tests.brokerage import START_NS

    for n in range(rows):
        tick = {"ts": START_NS + n * 50_000_000, "i": 0, "bid": (9_900 + n % 2, 500), "ask": (10_100, 500)}
        yield frame([tick])


def _told(out: Path) -> int:
    return sum(1 for _ in Reading(out / NAME).records()) if unfinished(out) else 0


def _flat(venue: Venue) -> bool:
    end = time.monotonic() + 15
    while venue.open_orders and time.monotonic() < end:
        time.sleep(0.05)
    return venue.open_orders == 0


def test_the_parts_of_a_run_are_in_their_order(tmp_path: Path) -> None:
    """The tenth after the ninth, whatever an alphabet says."""
    for number in (10, 2, 9, 11):
        (tmp_path / f"part-{number}").mkdir()
    (tmp_path / "part-x").mkdir()
    assert parts(tmp_path) == [tmp_path, *(tmp_path / f"part-{number}" for number in (2, 9, 10, 11))]


def test_a_recovered_run_counts_a_contract_as_a_hundred_shares(tmp_path: Path) -> None:
    """Each instrument by its own multiplier; one that was never named by 1."""
    pq.write_table(pa.table({"instrument_id": pa.array([1, 0, 2], pa.int32())}), tmp_path / "fills.parquet")
    known = Instruments([equity("SPY"), option("SPY   260116C00690000")])
    assert recovery._multiplier(tmp_path, known)[:3].tolist() == [1.0, 100.0, 1.0]
