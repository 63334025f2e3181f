"""A journal is told again to the row, or says what is wrong with it."""

import json
import subprocess
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest

from gpi.formats.errors import BadInput
from gpi.formats.frame import Frame, concatenated
from gpi.formats.ticks import TICKS
from gpi.formats.words import GAP
from gpi.tools.feeds.live.journal import MAGIC, Journal, Kind, Record, read, segments
from gpi.tools.feeds.live.retold import Journaled
from gpi.tools.feeds.live.subscription import Subscription
from tests.shell import gpi

T0 = 1_700_000_000_000_000_000
ABOUT = Subscription("alpaca", "stocks", ("BAC",)).about(0)


def message(n: int) -> Record:
    """A quote, each different."""
    item = {"T": "q", "S": "BAC", "t": msgpack.Timestamp.from_unix_nano(T0 + n), "bp": 10, "bs": n + 1, "ap": 11}
    return Record(Kind.MESSAGE, T0 + n, bytes(msgpack.packb([{**item, "as": 2}])))


def begin(**changes: Any) -> Record:
    """A process begins."""
    about = {name: value for name, value in {**ABOUT, **changes}.items() if value is not None}
    return Record(Kind.BEGIN, T0, json.dumps(about).encode())


def written(folder: Path, *records: Record, segment: int = 1 << 26) -> Path:
    """These records as one process writes them, one by one."""
    journal = Journal(folder, segment)
    for record in records:
        journal.append([record])
    journal.close()
    return folder


def told(folder: Path) -> Frame:
    """The rows of a journal."""
    journaled = Journaled(folder)
    intake = journaled.subscription.intake(journaled.about["levels"], journaled.about["live"])
    return concatenated(list(journaled.frames(intake, lambda: False)), TICKS)


def test_a_journal_that_does_not_say_whether_it_was_live_is_told(tmp_path: Path) -> None:
    """As those were before the word existed; a process that says it may go on with one."""
    written(tmp_path, begin(live=None), message(1))
    assert told(tmp_path).rows == 1
    written(tmp_path, begin(live=True), message(2))
    assert told(tmp_path)["flags"].tolist() == [0, GAP, 0]


def test_old_segments_may_be_thrown_away(tmp_path: Path) -> None:
    """Every segment says what is captured; what is left is told, and going on with a segment is no restart."""
    written(tmp_path, begin(), *map(message, range(50)), segment=1000)
    assert len(segments(tmp_path)) == 5
    whole = told(tmp_path)
    assert whole.rows == 50 and not whole["flags"].any()
    for path in segments(tmp_path)[:3]:
        path.unlink()
    rest = told(tmp_path)
    assert 0 < rest.rows < 50 and np.array_equal(rest["bid_sz"], whole["bid_sz"][-rest.rows :])


def test_a_segment_that_is_missing_between_others_is_named(tmp_path: Path) -> None:
    """Nothing is told across the hole as if there were none."""
    written(tmp_path, begin(), *map(message, range(50)), segment=1000)
    segments(tmp_path)[2].unlink()
    with pytest.raises(BadInput, match="lacks the segment before 00000003"):
        told(tmp_path)


def test_damage_inside_a_segment_is_told_from_a_torn_tail(tmp_path: Path) -> None:
    """Any byte of a record but the last: an error with its place. Going on capturing leaves the damage as it is."""
    written(tmp_path, begin(), *map(message, range(4)))
    (path,) = segments(tmp_path)
    good = path.read_bytes()
    ends = [len(MAGIC)]
    for record in read(tmp_path):
        ends.append(ends[-1] + 24 + len(record.payload))
    for at in range(ends[2], ends[-2], 3):
        path.write_bytes(good[:at] + bytes([good[at] ^ 0x40]) + good[at + 1 :])
        with pytest.raises(BadInput, match="is damaged at byte"):
            list(read(tmp_path))
    bad = path.read_bytes()
    journal = Journal(tmp_path)
    journal.close()
    assert journal.damaged == path and path.read_bytes() == bad
    for at in range(ends[-2] + 1, ends[-1]):
        path.write_bytes(good[:at])
        assert len(list(read(tmp_path))) == 4


@pytest.mark.parametrize(
    "first",
    [
        message(1),
        Record(Kind.BEGIN, T0, b"no JSON"),
        Record(Kind.BEGIN, T0, b"[]"),
        Record(Kind.BEGIN, T0, b"{}"),
        begin(vendor="nobody"),
        begin(asset="bonds"),
        begin(levels=99),
        begin(levels="x"),
        begin(symbols=[1]),
        begin(symbols=None),
        begin(symbols=["BAC"], asset="options"),
    ],
    ids=lambda record: record.payload[:60].decode("ascii", "replace"),
)
def test_what_is_no_capture_is_refused_in_a_line(tmp_path: Path, first: Record) -> None:
    """Exit 3, no traceback."""
    written(tmp_path, first, message(1))
    done = gpi("capture", "--from-journal", tmp_path, "--to", "csv", check=3)
    assert done.stderr.count(b"\n") == 1 and b"Traceback" not in done.stderr


@pytest.mark.parametrize("payload", [b"x", b"[]", b'{"lost": 7}', b"7"])
@pytest.mark.parametrize("kind", [Kind.FILLED, Kind.BEGIN])
def test_a_foreign_record_inside_is_an_error_with_the_folder(tmp_path: Path, kind: Kind, payload: bytes) -> None:
    """Never a traceback."""
    gap = [Record(Kind.GAP, T0, b"{}")] if kind == Kind.FILLED else []
    written(tmp_path, begin(), message(1), *gap, Record(kind, T0, payload), message(2))
    with pytest.raises(BadInput, match=str(tmp_path)):
        told(tmp_path)


def test_what_is_no_folder_of_segments_is_refused_in_a_line(tmp_path: Path) -> None:
    """A file, an empty folder, a segment of something else."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "00000000.journal").write_bytes(b"something else, and longer than a head")
    for name in ("empty", "file", "foreign", "nowhere"):
        done = gpi("capture", "--from-journal", tmp_path / name, "--to", "csv", check=3)
        assert done.stderr.count(b"\n") == 1 and b"Traceback" not in done.stderr, name


def test_a_place_that_takes_no_journal_is_named(tmp_path: Path) -> None:
    """Before anything is connected."""
    (tmp_path / "file").write_bytes(b"x")
    key = tmp_path / "key.json"
    key.write_text('{"key_id": "K", "secret": "S"}')
    key.chmod(0o600)
    words = ["--url", "http://127.0.0.1:1", "--key-file", key, "--symbols", "BAC", "--journal", tmp_path / "file" / "j"]
    done: subprocess.CompletedProcess[bytes] = gpi("capture", *words)
    assert done.returncode in (1, 2, 3) and b"Traceback" not in done.stderr and str(tmp_path).encode() in done.stderr
    assert done.stderr.count(b"\n") == 1, done.stderr
