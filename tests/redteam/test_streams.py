"""Streams and files that announce more than they are: refused before the memory is given, in words."""

import io
import json
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gpi.formats.bounds import check_buffers, largest, within
from gpi.formats.errors import BadInput, UsageError
from gpi.formats.frame import Frame
from gpi.formats.instruments import Instruments
from gpi.formats.ipc import CUT, Reader
from gpi.formats.messages import CONTINUATION, END_OF_STREAM
from gpi.formats.parquet import read_parquet
from gpi.formats.provenance import chain
from gpi.formats.ticks import TICKS
from gpi.formats.written import json_of
from gpi.tools.feeds.vendors import vendor_source
from tests.shell import ROOT, environment

ROWS = 4_000_000  # 0.3 GiB of ticks
DEEP = "[" * 100_000
PEAK = (
    "import resource, subprocess, sys; done = subprocess.run(sys.argv[1:], stdin=0);"
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(done.returncode)"
)


def zeros(rows: int, compression: str | None = "zstd") -> bytes:
    """A stream of one batch of ticks, all zero, without gpi's end mark."""
    sizes = [f.type.bit_width // 8 for f in TICKS]
    columns = [
        pa.Array.from_buffers(f.type, rows, [None, pa.py_buffer(bytes(rows * size))])
        for f, size in zip(TICKS, sizes, strict=True)
    ]
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_stream(sink, TICKS, options=options) as writer:
        writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=TICKS))
    return sink.getvalue().to_pybytes()


def read(stream: bytes, path: Path) -> list[Frame]:
    """The frames of a stream, which lacks its end mark."""
    path.write_bytes(stream)
    with path.open("rb") as file:
        found = []
        try:
            for frame in Reader(file.fileno(), "it"):
                found.append(frame.copy())
        except BadInput as error:
            if "without gpi's end mark" not in str(error):
                raise
        return found


@pytest.mark.parametrize("compression", ["zstd", "lz4"])
def test_a_small_stream_of_huge_rows_is_refused_before_it_takes_memory(tmp_path: Path, compression: str) -> None:
    """Some kilobytes that hold 0.3 GiB: under a limit of 64M the command ends with 3 and has not grown."""
    (tmp_path / "bomb").write_bytes(zeros(ROWS, compression))
    assert (tmp_path / "bomb").stat().st_size < 2_000_000
    command = [sys.executable, "-c", PEAK, sys.executable, "-m", "gpi.cli.main", "featurize", "--to", "nowhere"]
    with (tmp_path / "bomb").open("rb") as bomb:
        done = subprocess.run(
            command, stdin=bomb, capture_output=True, text=True, cwd=ROOT, env=environment(GPI_MAX_MESSAGE="64M")
        )
    assert done.returncode == 3 and "GPI_MAX_MESSAGE=" in done.stderr, done.stderr
    assert int(done.stdout.split()[-1]) < 280_000  # KiB, of which pyarrow and numba take half


def test_a_large_honest_batch_arrives_in_frames_that_are_small(tmp_path: Path) -> None:
    """What follows the reader takes memory by the frame; every row arrives."""
    frames = read(zeros(3 * CUT + 5), tmp_path / "s")
    assert [frame.rows for frame in frames] == [CUT, CUT, CUT, 5]


def _patched(stream: bytes, old: int, new: int) -> bytes:
    """The stream with a 64-bit number of it replaced wherever it stands in the batch's metadata."""
    start = TICKS.serialize().size
    return stream[:start] + stream[start:].replace(struct.pack("<q", old), struct.pack("<q", new))


@pytest.mark.parametrize("rows", [1 << 40, (1 << 63) - 1, -1])
def test_a_number_of_rows_that_cannot_be_is_refused(tmp_path: Path, rows: int) -> None:
    """By the metadata alone."""
    with pytest.raises(BadInput):
        read(_patched(zeros(777, None), 777, rows), tmp_path / "s")


def test_a_compressed_buffer_that_says_it_is_huge_is_not_believed(tmp_path: Path) -> None:
    """The rows are few, but one buffer announces 2^50 bytes."""
    stream = zeros(777)
    with pytest.raises(BadInput, match="compressed batch"):
        read(_patched(stream, 777 * 8, 1 << 50), tmp_path / "s")


def test_a_body_that_is_announced_and_never_comes_takes_no_memory(tmp_path: Path) -> None:
    """A gibibyte less one byte, allowed by the limit, in a file of a kilobyte: truncated, and nothing was reserved."""
    stream = zeros(777, None)
    start = TICKS.serialize().size
    body = sum(-(-777 * (f.type.bit_width // 8) // 8) * 8 for f in TICKS)
    head, size = stream[start:], pa.ipc.read_message(pa.py_buffer(stream[start:])).body.size
    assert size >= body
    patched = stream[:start] + head.replace(struct.pack("<q", size), struct.pack("<q", (1 << 30) - 8), 1)
    with pytest.raises(BadInput, match="truncated|damaged"):
        read(patched[: start + 4000], tmp_path / "s")
    with pytest.raises(BadInput, match="GPI_MAX_MESSAGE"):
        read(patched.replace(struct.pack("<q", (1 << 30) - 8), struct.pack("<q", 1 << 33), 1), tmp_path / "s")


def test_only_batches_of_rows_flow(tmp_path: Path) -> None:
    """A schema in the middle of a stream is no batch."""
    schema = TICKS.serialize().to_pybytes()
    with pytest.raises(BadInput, match="no batch of rows"):
        read(schema + schema + END_OF_STREAM, tmp_path / "s")


@pytest.mark.parametrize("column", [pa.dictionary(pa.int32(), pa.int64()), pa.list_(pa.float64()), pa.string()])
def test_columns_whose_width_is_not_known_do_not_flow(tmp_path: Path, column: pa.DataType) -> None:
    """Dictionaries and lists say how large they are only when they are read."""
    with pytest.raises(BadInput, match="fixed-width"):
        read(pa.schema([pa.field("a", column)]).serialize().to_pybytes() + END_OF_STREAM, tmp_path / "s")


@pytest.mark.parametrize("told", ["", "0", "-1", "1e9", "12T", "many"])
def test_a_limit_that_is_no_size_is_refused(monkeypatch: pytest.MonkeyPatch, told: str) -> None:
    """It would be no limit."""
    monkeypatch.setenv("GPI_MAX_MESSAGE", told)
    with pytest.raises(UsageError, match="512M"):
        largest()


def test_a_row_group_that_expands_beyond_the_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the file's own metadata."""
    rows = {f.name: np.random.default_rng(1).integers(0, 2, 50_000) for f in TICKS}
    table = pa.table({f.name: pa.array(rows[f.name]).cast(f.type) for f in TICKS}, schema=TICKS)
    pq.write_table(table, tmp_path / "t.parquet", compression="zstd", use_dictionary=False)
    assert sum(frame.rows for frame in read_parquet(tmp_path / "t.parquet", 1000).frames) == 50_000
    monkeypatch.setenv("GPI_MAX_MESSAGE", "1M")
    with pytest.raises(BadInput, match="row group 0"):
        read_parquet(tmp_path / "t.parquet", 1000)


@pytest.mark.parametrize("text", [DEEP, '{"a":' * 100_000, "{", "7", "[7]", '[{"a":1,"a":2}]', "1" * 5000])
def test_metadata_of_nonsense_is_bad_input(text: str) -> None:
    """Nested brackets, keys said twice, numbers without end: in words."""
    schema = TICKS.with_metadata({b"gpi.provenance": text.encode(), b"gpi.instruments": text.encode()})
    for reading in (chain, Instruments.of):
        with pytest.raises(BadInput, match="unreadable"):
            reading(schema)


@pytest.mark.parametrize("text", ["1e999", "-1e999", "NaN", "Infinity", DEEP, '{"a":1,"a":2}', "9" * 5000])
def test_json_that_python_would_take_or_die_of_is_refused(text: str) -> None:
    """One kind of error for all of them."""
    with pytest.raises(ValueError):
        json_of(text)
    assert json_of(json.dumps({"a": [1, 2.5, "x"]})) == {"a": [1, 2.5, "x"]}


def test_weights_that_say_they_are_huge_are_refused(tmp_path: Path) -> None:
    """A header of 2^60 numbers in front of nothing."""
    from types import SimpleNamespace

    from gpi.formats.models import WEIGHTS, read_weights

    made = io.BytesIO()
    np.savez(made, a=np.zeros(4, np.float32))
    raw = made.getvalue()
    patched = raw.replace(b"'shape': (4,), }" + b" " * 20, b"'shape': (1152921504606846976,), }" + b" " * 2)
    assert patched != raw
    (tmp_path / WEIGHTS).write_bytes(patched)
    model = SimpleNamespace(folder=tmp_path, manifest={"digests": {WEIGHTS: ""}})
    with pytest.raises(BadInput, match="npz"):
        read_weights(model)  # type: ignore[arg-type]


def test_exactly_the_limit_passes() -> None:
    """And a byte more does not."""
    within(1000, 1000, "it")
    with pytest.raises(BadInput, match="it would take"):
        within(1001, 1000, "it")


@pytest.mark.parametrize("offset, length, said, wrong", [
    (0, 16, 100, ""), (0, 16, -1, ""), (0, 16, -2, "a buffer of -2 bytes"), (8, 9, 100, "outside"),
    (-8, 16, 100, "outside"), (0, -1, 100, "outside"), (0, 16, 1 << 40, "would take"), (8, 8, 100, ""),
])  # fmt: skip
def test_a_compressed_buffer_lies_in_its_message_and_says_how_large_it_is(
    offset: int, length: int, said: int, wrong: str
) -> None:
    """One buffer of a real message, its place and its own word of its size changed."""
    table = pa.record_batch({"a": pa.array(np.zeros(4))})
    with pa.ipc.new_stream(
        out := io.BytesIO(), table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")
    ) as stream:
        stream.write(table)
    _, message = list(pa.ipc.MessageReader.open_stream(out.getvalue()))
    head = bytearray(CONTINUATION + bytes(4) + message.metadata.to_pybytes())  # as it stands in a stream
    whole = bytes(head)  # two buffers, each a place and a length: the validity, of nothing, then the numbers
    at = max(whole.rfind(bytes(24) + struct.pack("<q", length)) for length in range(9, 99))
    struct.pack_into("<qq", head, at + 16, offset, length)
    body = struct.pack("<qq", said, said)
    if wrong:
        with pytest.raises((ValueError, BadInput), match=wrong):
            check_buffers(bytes(head), body, 1 << 20, "s")
    else:
        check_buffers(bytes(head), body, 1 << 20, "s")


def test_words_that_unpack_to_gigabytes_are_not_read(tmp_path: Path) -> None:
    """A vendor's table of a few kilobytes whose symbols are a megabyte each; its metadata says so."""
    rows = 40
    prices = {name: np.ones(rows) for name in ("open", "high", "low", "close", "volume")}
    for symbol, fits in (("A" * 64, True), ("A" * (1 << 20), False)):
        table = pa.table(
            {"ts_end": pa.array(np.arange(rows)).cast(pa.timestamp("ns")), "symbol": [symbol] * rows, **prices}
        )
        path = tmp_path / f"{fits}.parquet"
        pq.write_table(table, path, compression="zstd", use_dictionary=False)
        assert path.stat().st_size < 100_000
        if fits:
            assert vendor_source(str(path), None).instruments[0].symbol == symbol
            continue
        with pytest.raises(BadInput, match="column symbol has 1,048,...? bytes a row"):
            vendor_source(str(path), None)
