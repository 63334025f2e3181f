"""The lake: whole files or none, partitions, and our own Parquet back as frames."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gpi.formats.errors import BadInput
from gpi.formats.frame import Frame, Layout, concatenated
from gpi.formats.instruments import Instruments, crypto, equity
from gpi.formats.parquet import LakeWriter, read_parquet, write_parquet
from gpi.formats.quarantine import Quarantine
from gpi.formats.ticks import ticks
from gpi.formats.words import DEPTH, QUOTE
from gpi.tools.feeds.files import open_ticks
from tests.laws import same

DAY = 86_400 * 10**9
NOON = 19_000 * DAY + DAY // 2
TABLE = Instruments([equity("SPY"), crypto("ETH/BTC")])


def sample(rows: int, levels: int = 0) -> Frame:
    """Quotes of two instruments, a minute apart."""
    frame = Layout.of(ticks(levels)).empty(rows)
    for name, view in frame.columns.items():
        view[...] = np.nan if name.endswith("_px") else 0
    frame["ts_event"][:] = frame["ts_recv"][:] = NOON + np.arange(rows) * 60 * 10**9
    frame["instrument_id"][:] = np.arange(rows) % 2
    frame["kind"][:] = QUOTE | (DEPTH if levels else 0)
    frame["seq"][:] = np.arange(rows)
    frame["bid_px"][:], frame["bid_sz"][:] = 100 + np.arange(rows) / 8, 1
    if levels:
        frame["bids_px"][:, 0], frame["bids_sz"][:, 0] = frame["bid_px"], 1
    return frame


@pytest.mark.parametrize("levels", [0, 3])
@pytest.mark.parametrize("batch", [1, 7, 1000])
def test_a_file_gives_back_what_was_written(tmp_path: Path, levels: int, batch: int) -> None:
    """Ladders, metadata and every bit, whatever the batch."""
    schema, frame = TABLE.on(ticks(levels)), sample(20, levels)
    assert write_parquet(tmp_path / "a.parquet", [frame.slice(0, 6), frame.slice(6, 20)], schema) == 20
    stored = read_parquet(tmp_path / "a.parquet", batch)
    assert stored.schema.equals(schema, check_metadata=True)
    pieces = list(stored.frames)
    assert [p.rows for p in pieces] == [batch] * (20 // batch) + ([20 % batch] if 20 % batch else [])
    same(concatenated(pieces, schema), frame, "round trip")


def test_an_empty_stream_makes_a_readable_file(tmp_path: Path) -> None:
    """Zero rows, the schema kept."""
    write_parquet(tmp_path / "a.parquet", [], TABLE.on(ticks()))
    stored = read_parquet(tmp_path / "a.parquet", 10)
    assert sum(frame.rows for frame in stored.frames) == 0 and Instruments.of(stored.schema) == TABLE


def test_the_lake_is_partitioned_by_utc_date_and_symbol(tmp_path: Path) -> None:
    """Each file holds one symbol of one day, whole in itself; DuckDB reads the partitions."""
    frame = sample(1500)
    with LakeWriter(tmp_path, TABLE.on(ticks())) as lake:
        for start in range(0, 1500, 400):
            lake.write(frame.slice(start, start + 400))
    found = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*.parquet"))
    assert found == [
        f"date={day}/symbol={symbol}/ticks-0000.parquet"
        for day in ("2022-01-08", "2022-01-09")
        for symbol in ("ETH%2FBTC", "SPY")
    ]
    assert Instruments.of(pq.read_schema(tmp_path / found[0])).symbols == ("ETH/BTC",)
    source = f"read_parquet('{tmp_path}/*/*/*.parquet', hive_partitioning=true)"
    query = f"select symbol, count(*) from {source} group by 1"
    assert sorted(duckdb.sql(query).fetchall()) == [("ETH/BTC", 750), ("SPY", 750)]


def test_a_lake_read_back_is_the_stream_that_went_in(tmp_path: Path) -> None:
    """The merge undoes the partitions."""
    frame = sample(1500, 2)
    with LakeWriter(tmp_path, TABLE.on(ticks(2))) as lake:
        lake.write(frame)
    quarantine = Quarantine()
    stream = open_ticks([tmp_path], batch=100, quarantine=quarantine)
    back = concatenated(list(stream.frames), stream.schema)
    names = Instruments.of(stream.schema).symbols
    assert [names[i] for i in back["instrument_id"][:2]] == ["SPY", "ETH/BTC"]
    np.testing.assert_array_equal(back["seq"], frame["seq"])
    np.testing.assert_array_equal(back["bids_px"], frame["bids_px"])
    assert quarantine.balanced and quarantine.rows_out == 1500


def test_two_writers_never_overwrite_each_other(tmp_path: Path) -> None:
    """The second takes the next number."""
    for _ in range(2):
        with LakeWriter(tmp_path, TABLE.on(ticks())) as lake:
            lake.write(sample(2))
    assert len(list(tmp_path.rglob("ticks-0001.parquet"))) == 2
    assert not [p for p in tmp_path.rglob(".*")]


def test_a_failed_writer_leaves_nothing(tmp_path: Path) -> None:
    """An error inside the block, or from the frames."""
    with pytest.raises(RuntimeError):
        with LakeWriter(tmp_path, TABLE.on(ticks())) as lake:
            lake.write(sample(10))
            raise RuntimeError

    def broken() -> object:
        yield sample(10)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_parquet(tmp_path / "a.parquet", broken(), TABLE.on(ticks()))  # type: ignore[arg-type]
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]


def test_an_unannounced_instrument_is_refused(tmp_path: Path) -> None:
    """Rather than written under a wrong name."""
    frame = sample(3)
    frame["instrument_id"][2] = 9
    with pytest.raises(BadInput, match="instrument_id 9"):
        with LakeWriter(tmp_path, TABLE.on(ticks())) as lake:
            lake.write(frame)


VICTIM = """
import sys
from pathlib import Path
from gpi.formats.parquet import LakeWriter, write_parquet
from gpi.formats.ticks import ticks
from tests.test_parquet import TABLE, sample
import gpi.formats.parquet as module
module.ROW_GROUP = 64
root, frame = Path(sys.argv[1]), sample(256)
lake = LakeWriter(root, TABLE.on(ticks()))
while True:
    for _ in range(3):
        lake.write(frame)
    write_parquet(root / "whole.parquet", [frame] * 3, TABLE.on(ticks()))
    lake.close()
    print(flush=True)
"""


@pytest.mark.parametrize("delay", [0.0, 0.003, 0.011])
def test_a_killed_writer_leaves_only_whole_files(tmp_path: Path, delay: float) -> None:
    """SIGKILL at some moment: every *.parquet that is visible can be read to its end."""
    command, root = [sys.executable, "-c", VICTIM, str(tmp_path)], Path(__file__).parents[1]
    victim = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=root)
    assert victim.stdout is not None
    victim.stdout.readline()  # it has written its first files and goes on
    time.sleep(delay)
    os.kill(victim.pid, signal.SIGKILL)
    victim.communicate()
    visible = list(tmp_path.rglob("*.parquet"))
    assert visible
    for path in visible:
        if path.name.startswith("."):
            continue
        assert pq.ParquetFile(path).metadata.num_rows == sum(f.rows for f in read_parquet(path, 50).frames) > 0


def test_foreign_and_damaged_files_are_bad_input(tmp_path: Path) -> None:
    """Not Parquet; Parquet that gpi did not write; a file cut in half."""
    (tmp_path / "a.parquet").write_bytes(b"hello")
    with pytest.raises(BadInput, match="cannot be read"):
        read_parquet(tmp_path / "a.parquet", 1)
    pq.write_table(pa.table({"x": [1]}), tmp_path / "b.parquet")
    with pytest.raises(BadInput, match="not written by gpi"):
        read_parquet(tmp_path / "b.parquet", 1)
    write_parquet(tmp_path / "c.parquet", [sample(100)], TABLE.on(ticks()))
    whole = (tmp_path / "c.parquet").read_bytes()
    (tmp_path / "d.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadInput, match="cannot be read"):
        read_parquet(tmp_path / "d.parquet", 1)
