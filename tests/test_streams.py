"""The Arrow crossing: what is written is read, and nothing that is not whole passes for whole."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpi.formats.errors import BadInput, SchemaMismatch, TruncatedStream
from gpi.formats.frame import Frame, Layout, concatenated
from gpi.formats.ipc import Reader, Writer, writing
from gpi.formats.messages import write_table
from gpi.formats.ticks import TICKS, ticks
from tests.laws import same, tick_frames

SETTINGS = settings(max_examples=20, deadline=None)


def _frame(rows: int, schema: pa.Schema = TICKS) -> Frame:
    return Frame.of(
        schema,
        {name: np.arange(rows) % 100 for name in schema.names if name not in DEPTH}
        | {name: np.ones((rows, 5)) for name in schema.names if name in DEPTH},
    )


DEPTH = ("bids_px", "bids_sz", "asks_px", "asks_sz")


def _written(frames: list[Frame], schema: pa.Schema, tmp_path: os.PathLike[str]) -> bytes:
    path = os.path.join(tmp_path, "stream.arrow")
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    with writing(fd, schema) as writer:
        for frame in frames:
            writer.write(frame)
    os.close(fd)
    with open(path, "rb") as file:
        return file.read()


def _read(data: bytes) -> tuple[list[Frame], pa.Schema]:
    fd = os.memfd_create("stream")
    os.write(fd, data)
    os.lseek(fd, 0, os.SEEK_SET)
    try:
        reader = Reader(fd, "the test")
        return [frame.copy() for frame in reader], reader.schema
    finally:
        os.close(fd)


@SETTINGS
@given(tick_frames(levels=3), st.lists(st.integers(0, 50), max_size=6))
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, frame: Frame, cuts: list[int]) -> None:
    """Any frames, in any cut, cross with every bit, and the schema with its metadata."""
    at = sorted(cuts)
    pieces = [frame.slice(a, b) for a, b in zip([0, *at], [*at, frame.rows], strict=True)]
    frames, schema = _read(_written(pieces, ticks(3), tmp_path_factory.mktemp("s")))
    same(concatenated(frames, frame.layout.schema), frame, "crossing")
    assert schema.equals(ticks(3), check_metadata=True)


def test_pyarrow_reads_our_streams(tmp_path: os.PathLike[str]) -> None:
    """Any Arrow reader can read what we write."""
    data = _written([_frame(3), _frame(5)], TICKS, tmp_path)
    table = pa.ipc.open_stream(data).read_all()
    assert table.num_rows == 8
    assert table.schema.equals(TICKS)


def test_we_read_another_writers_batches_up_to_its_missing_end(tmp_path: os.PathLike[str]) -> None:
    """A stream from plain pyarrow gives its rows and then says that it has no end mark."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, TICKS, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_batch(_frame(7).to_batch())
    with pytest.raises(TruncatedStream, match="after 7 rows"):
        _read(sink.getvalue().to_pybytes())


def test_a_stream_cut_at_any_byte_is_truncated(tmp_path: os.PathLike[str]) -> None:
    """However many bytes are missing, reading ends in TruncatedStream; never a silent success."""
    data = _written([_frame(1), _frame(1), _frame(3)], TICKS, tmp_path)
    outcomes: Counter[str] = Counter()
    for size in range(len(data)):
        with pytest.raises(TruncatedStream) as caught:
            _read(data[:size])
        outcomes[str(caught.value.rows)] += 1
    assert set(outcomes) == {"0", "1", "2", "5"}, "the rows before the cut are counted"
    assert sum(f.rows for f in _read(data)[0]) == 5


def test_a_flip_of_any_byte_is_seen(tmp_path: os.PathLike[str]) -> None:
    """One changed byte anywhere, the end mark included, is an error."""
    data = bytearray(_written([_frame(1), _frame(1), _frame(3)], TICKS, tmp_path))
    for at in range(len(data)):
        data[at] ^= 0x41
        with pytest.raises(BadInput):
            _read(bytes(data))
        data[at] ^= 0x41


def test_a_writer_killed_between_batches_leaves_a_truncated_stream() -> None:
    """kill -9 after two whole batches: the reader gets both and then TruncatedStream."""
    program = (
        "import sys, time\n"
        "from gpi.formats.ipc import Writer\nfrom gpi.formats.ticks import TICKS\n"
        "from gpi.formats.frame import Layout\n"
        "w = Writer(1, TICKS); f = Layout.of(TICKS).empty(4); w.write(f); w.write(f); time.sleep(60)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert child.stdout is not None
    reader = Reader(child.stdout.fileno())
    frames = iter(reader)
    next(frames), next(frames)
    child.send_signal(signal.SIGKILL)
    with pytest.raises(TruncatedStream) as caught:
        next(frames)
    child.wait()
    child.stdout.close()
    assert caught.value.rows == 8


def test_a_reader_gets_the_schema_before_the_first_row() -> None:
    """The schema goes out at once: a downstream tool can refuse it before any tick."""
    r, w = os.pipe()
    Writer(w, TICKS)
    assert Reader(r).schema.equals(TICKS, check_metadata=True)
    os.close(w), os.close(r)


def test_notes_travel_in_order_with_the_rows(tmp_path: os.PathLike[str]) -> None:
    """New instruments announced mid-stream arrive between the same rows."""
    note = Layout.of(TICKS).empty(0)
    note.notes = {"gpi.instruments": "[]"}
    frames, _ = _read(_written([_frame(2), note, _frame(1)], TICKS, tmp_path))
    assert [(f.rows, f.notes) for f in frames] == [(2, None), (0, {"gpi.instruments": "[]"}), (1, None)]


def test_something_that_is_not_arrow_is_named() -> None:
    """Text on stdin is bad input, not a traceback."""
    with pytest.raises(BadInput, match="not an Arrow stream"):
        _read(b"ts,price\n1,2\n" * 100)


def test_strings_and_nulls_do_not_flow() -> None:
    """A foreign column that cannot flow is refused by name."""
    with pytest.raises(SchemaMismatch, match="'symbol'"):
        Layout.of(pa.schema([pa.field("symbol", pa.string())]))
    with pytest.raises(SchemaMismatch, match="1 nulls"):
        Frame.from_batch(pa.RecordBatch.from_pydict({"x": pa.array([1.0, None])}))


def test_two_columns_of_one_name_do_not_flow() -> None:
    """One flipped byte can make a name that is there already: it is refused by name, not met later."""
    seq = TICKS.field("seq")
    with pytest.raises(SchemaMismatch, match="two columns 'seq'"):
        Layout.of([*TICKS, seq])


def test_a_table_of_strings_also_ends_honestly(tmp_path: os.PathLike[str]) -> None:
    """A query's answer is an Arrow stream with the same end mark."""
    path = os.path.join(tmp_path, "q.arrow")
    fd = os.open(path, os.O_WRONLY | os.O_CREAT)
    write_table(fd, pa.table({"run": ["a", "b"]}).to_reader())
    os.close(fd)
    with open(path, "rb") as file:
        data = file.read()
    assert pa.ipc.open_stream(data).read_all().num_rows == 2
    assert b"gpi.end" in data


def test_a_slow_pipe_takes_a_frame_in_pieces() -> None:
    """A frame larger than the pipe is written and read whole."""
    r, w = os.pipe()
    frame = _frame(50_000)
    pid = os.fork()
    if pid == 0:
        os.close(r)
        with writing(w, TICKS) as writer:
            writer.write(frame)
            writer.write(frame)
        os._exit(0)
    os.close(w)
    time.sleep(0.05)
    frames = [each.copy() for each in Reader(r)]
    os.waitpid(pid, 0)
    os.close(r)
    assert [f.rows for f in frames] == [50_000, 50_000]
    same(frames[1], frame, "second loan")


def test_two_streams_joined_by_cat_are_refused(tmp_path: os.PathLike[str]) -> None:
    """Nothing may follow the end: the second stream's rows would be lost in silence."""
    one = _written([_frame(2)], TICKS, tmp_path)
    with pytest.raises(BadInput, match="goes on after its end"):
        _read(one + one)


def test_memory_lent_to_frames_of_many_sizes_is_bounded(
    tmp_path: os.PathLike[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A live stream has batches of every size; the reader forgets sizes rather than grow."""
    monkeypatch.setattr("gpi.formats.ipc.BUDGET", 100_000)
    data = _written([_frame(n) for n in range(1, 200) for _ in (0, 1)], TICKS, tmp_path)
    fd = os.memfd_create("stream")
    os.write(fd, data)
    os.lseek(fd, 0, os.SEEK_SET)
    reader = Reader(fd)
    assert sum(frame.rows for frame in reader) == sum(range(1, 200)) * 2
    assert sum(len(loan.body) for loan in reader._loans.values()) < 200_000
    os.close(fd)


def test_a_reader_that_waits_can_be_asked_to_stop() -> None:
    """While nothing comes, `idle` is asked; when it says so the iteration ends between two frames."""
    r, w = os.pipe()
    writer = Writer(w, TICKS)
    writer.write(_frame(3))
    asked: list[int] = []
    frames = list(Reader(r, idle=lambda: not asked.append(1)))
    assert [frame.rows for frame in frames] == [3] and asked == [1]
    os.close(w), os.close(r)
