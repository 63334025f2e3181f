"""The feeds room: merging, quarantine, book kernels against their naive twins, opening files, pacing."""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from gpi.formats.errors import BadInput, TruncatedStream
from gpi.formats.frame import Frame, Layout, concatenated
from gpi.formats.instruments import KEY, Instruments, equity
from gpi.formats.ipc import Writer, writing
from gpi.formats.parquet import LakeWriter, write_parquet
from gpi.formats.provenance import stamped
from gpi.formats.quarantine import EARLIEST, Quarantine, Reason, Screen, taken
from gpi.formats.ticks import TICKS, ticks
from gpi.formats.words import DEPTH, GAP, QUOTE, TRADE
from gpi.tools.feeds.excerpt import excerpt
from gpi.tools.feeds.files import open_ticks
from gpi.tools.feeds.merge import Run, merged, recut
from gpi.tools.feeds.pace import paced
from gpi.tools.feeds.paths import digest
from gpi.tools.feeds.sorting import in_time_order
from gpi.tools.kernels.data import books, levels
from tests.data import shared
from tests.laws import same
from tests.naive import books as naive

SECOND = 10**9
START = 1_600_000_000 * SECOND
compiled = pytest.mark.skipif("NUMBA_DISABLE_JIT" in os.environ, reason="millions of rows need the compiler")


def trades(when: list[int], instrument: int = 0, first: int = 0, levels: int = 0) -> Frame:
    """Clean trades so many seconds after START, numbered from `first`."""
    frame = Layout.of(ticks(levels)).empty(len(when))
    for name, view in frame.columns.items():
        view[...] = np.nan if name.endswith("_px") else 0
    frame["ts_event"][:] = frame["ts_recv"][:] = START + np.asarray(when, np.int64) * SECOND
    frame["kind"][:], frame["instrument_id"][:] = TRADE, instrument
    frame["seq"][:] = np.arange(first, first + len(when))
    frame["trade_px"][:], frame["trade_sz"][:] = 10.0, 1.0
    return frame


def cut(frame: Frame, size: int) -> Iterator[Frame]:
    """The frame in pieces."""
    for start in range(0, frame.rows, size):
        yield frame.slice(start, start + size)


RUNS = st.lists(st.lists(st.integers(0, 6), max_size=12).map(sorted), max_size=5)


@given(RUNS, st.integers(1, 5), st.integers(1, 20))
@settings(max_examples=25, deadline=None)
def test_the_merge_is_a_stable_sort(lists: list[list[int]], chunk: int, batch: int) -> None:
    """By (time, run, row), whatever the chunks and the batch; frames have exactly `batch` rows."""
    frames = [trades(when, number, 100 * number) for number, when in enumerate(lists)]
    whole = concatenated(frames, TICKS)
    expected = taken(whole, np.argsort(whole["ts_event"], kind="stable"))
    runs = [Run(int(f["ts_event"][0]) if f.rows else START, partial(cut, f, chunk)) for f in frames]
    out = list(recut(merged(runs, TICKS), TICKS, batch))
    same(concatenated(out, TICKS), expected, "stable sort")
    assert all(f.rows == batch for f in out[:-1]) and all(0 < f.rows <= batch for f in out[-1:])


def test_a_run_is_opened_only_when_the_stream_gets_there() -> None:
    """Memory follows the runs that overlap, not all of them."""
    opened: list[int] = []

    def run(number: int) -> Iterator[Frame]:
        opened.append(number)
        yield trades([10 * number, 10 * number + 5], number)

    runs = [Run(START + 10 * n * SECOND, partial(run, n)) for n in range(50)]
    stream = merged(runs, TICKS)
    first = next(stream)
    assert len(opened) <= 2
    assert first.rows + sum(f.rows for f in stream) == 100


DIRT: list[tuple[Reason, dict[str, Any]]] = [
    (Reason.ABSURD_TIME, {"ts_event": EARLIEST - 1}),
    (Reason.FUTURE, {"ts_event": START + 90_000 * SECOND}),
    (Reason.NOT_FINITE, {"trade_px": np.nan}),
    (Reason.NOT_FINITE, {"trade_px": np.inf}),
    (Reason.NOT_FINITE, {"trade_sz": np.nan}),
    (Reason.NEGATIVE, {"trade_px": -1.0}),
    (Reason.NEGATIVE, {"trade_sz": -1.0}),
    (Reason.ZERO_PRICE, {"trade_px": 0.0}),
    (Reason.ZERO_SIZE, {"trade_sz": 0.0}),
    (Reason.ABSURD_PRICE, {"trade_px": 1e10}),
    (Reason.ABSURD_SIZE, {"trade_sz": 1e13}),
    (Reason.CROSSED, {"kind": QUOTE, "bid_px": 2.0, "bid_sz": 1.0, "ask_px": 1.0, "ask_sz": 1.0}),
    (Reason.NOT_FINITE, {"kind": QUOTE, "bid_px": np.nan, "bid_sz": 1.0}),
    (Reason.NEGATIVE, {"kind": QUOTE, "ask_px": -0.5, "ask_sz": 1.0}),
    (Reason.ZERO_PRICE, {"kind": QUOTE, "ask_px": 0.0, "ask_sz": 1.0}),
    (Reason.NEGATIVE, {"kind": QUOTE | DEPTH, "bids_px": [1.0, -1.0]}),
    (Reason.NOT_FINITE, {"kind": QUOTE | DEPTH, "asks_sz": [1.0, 1.0]}),
    (Reason.OUT_OF_ORDER, {"ts_event": START}),
    (Reason.DUPLICATE, {"seq": 1, "ts_event": START + SECOND, "ts_recv": START + SECOND}),
    (Reason.KEPT, {"kind": QUOTE, "bid_px": 1.0, "bid_sz": 1.0, "ask_px": 1.0, "ask_sz": 1.0}),
    (Reason.KEPT, {"kind": QUOTE}),
]


@pytest.mark.parametrize(("reason", "change"), DIRT)
@pytest.mark.parametrize("size", [1, 2, 4])
def test_a_dirty_row_is_set_aside_for_its_reason(reason: Reason, change: dict[str, Any], size: int) -> None:
    """One row of four is spoilt; the cuts do not matter. Locked and empty quotes are kept."""
    frame = trades([0, 1, 2, 3], levels=2)
    for name, value in change.items():
        frame[name][2] = value
    quarantine, screen = Quarantine(), Screen()
    quarantine.rows_in = 4
    for piece in cut(frame, size):
        quarantine.rows_out += quarantine.sift(piece, screen.flaws(piece.columns), "here").rows
    assert quarantine.counts == ({reason: 1} if reason else {}) and quarantine.balanced
    assert [row["reason"] for row in quarantine.rows] == ([reason.label] if reason else [])


def test_the_quarantine_writes_its_counts_and_a_bounded_number_of_rows(tmp_path: Path) -> None:
    """JSON lines, the counts first; NaN becomes null."""
    quarantine, frame = Quarantine(keep=2), trades([0, 1, 2])
    frame["trade_px"][:] = np.nan
    quarantine.rows_in = 3
    quarantine.sift(frame, Screen().flaws(frame.columns))
    quarantine.write(tmp_path / "q.jsonl")
    lines = (tmp_path / "q.jsonl").read_text().splitlines()
    assert len(lines) == 3 and '"quarantined: not finite": 3' in lines[0] and '"trade_px": null' in lines[1]


PRICE = st.one_of(st.just(np.nan), st.integers(1, 4).map(float))
SIZE = st.integers(1, 3).map(float)
EXCHANGE_ROWS = st.lists(
    st.tuples(st.sampled_from([0, 1, 5 * 3600]), st.integers(0, 3), PRICE, SIZE, PRICE, SIZE),
    min_size=1,
    max_size=25,
)


@given(EXCHANGE_ROWS)
@settings(max_examples=25, deadline=None)
def test_the_best_over_exchanges_equals_its_naive_twin(rows: list[tuple[Any, ...]]) -> None:
    """Withdrawals, crosses, silences and ties included; the result is never crossed."""
    gaps, place, *sides = (np.asarray(column) for column in zip(*rows, strict=True))
    ts = START + np.cumsum(gaps.astype(np.int64)) * SECOND
    out = np.zeros(len(rows), books.TICK)
    ids = np.zeros(len(rows), np.int32)
    bid_px, bid_sz, ask_px, ask_sz = (np.ascontiguousarray(side, np.float64) for side in sides)
    place = place.astype(np.int32)
    books.best_of_exchanges(books.venues(1), ts, ids, place, bid_px, bid_sz, ask_px, ask_sz, out)
    history = [(int(t), *row[1:]) for t, row in zip(ts, rows, strict=True)]
    for i in range(len(rows)):
        found = tuple(out[name][i] for name in ("bid_px", "bid_sz", "ask_px", "ask_sz"))
        np.testing.assert_array_equal(found, naive.nbbo(history[: i + 1]))
        assert not found[0] > found[2]


LEVEL_ROWS = st.lists(
    st.tuples(st.integers(0, 1), st.integers(1, 9).map(float), st.integers(0, 3).map(float), st.just(0)),
    max_size=40,
)


@given(LEVEL_ROWS, st.integers(0, 20))
@settings(max_examples=25, deadline=None)
def test_the_level_book_equals_a_dictionary(rows: list[tuple[Any, ...]], again: int) -> None:
    """A snapshot, updates, a second snapshot somewhere: the best three levels after every row."""
    rows = [(0, 5.0, 1.0, 1), *rows[:again], (1, 7.0, 2.0, 1), (0, 6.0, 2.0, 1), *rows[again:]]
    update = np.cumsum([1, *(not (a[3] and b[3]) for a, b in zip(rows, rows[1:], strict=False))]).astype(np.int64)
    side, price, size, fresh = (np.asarray(column) for column in zip(*rows, strict=True))
    memory, keys, sizes = levels.ladders(1), np.zeros((1, 2, 2)), np.zeros((1, 2, 2))
    count = len(rows)
    row_of, flags = np.zeros(count, np.int64), np.zeros(count, np.int32)
    px, sz = np.zeros((2, count, 3)), np.zeros((2, count, 3))
    columns = (
        np.zeros(count, np.int32),
        side.astype(np.int8),
        price,
        size,
        update,
        update,
        fresh.astype(np.int8),
    )
    done = made = 0
    while done < count:
        outs = (row_of[made:], flags[made:], *(out[one, made:] for one in (0, 1) for out in (px, sz)))
        done, more = levels.fold_levels(memory, keys, sizes, done, *columns, np.ones(count, bool), *outs)
        made += more
        if done < count:
            keys, sizes = (np.concatenate([a, np.zeros_like(a)], axis=2) for a in (keys, sizes))
    assert made == count
    for i in range(count):
        history = [(*row, u) for row, u in zip(rows[: i + 1], update, strict=False)]
        for one, best in enumerate(naive.ladder(history, 3)):
            there = ~np.isnan(px[one, i])
            assert list(zip(px[one, i][there], sz[one, i][there], strict=True)) == best


def stored(path: Path, frame: Frame, symbols: tuple[str, ...] = ("SPY",)) -> Path:
    """Our own Parquet file with these rows."""
    schema = Instruments(equity(s) for s in symbols).on(ticks(_depth(frame)))
    write_parquet(path, [frame], schema)
    return path


def _depth(frame: Frame) -> int:
    return frame["bids_px"].shape[1] if "bids_px" in frame else 0


def opened(paths: list[Path], **options: Any) -> tuple[Frame, Quarantine, Instruments]:
    """All rows, the quarantine, and the instruments; the books must balance."""
    quarantine = Quarantine()
    stream = open_ticks(paths, batch=options.pop("batch", 7), quarantine=quarantine, **options)
    frame = concatenated([f.copy() for f in stream.frames], stream.schema)
    assert quarantine.balanced
    return frame, quarantine, Instruments.of(stream.schema)


def test_files_are_merged_under_one_table_and_the_deepest_ladder(tmp_path: Path) -> None:
    """Ids are remapped, absent levels are NaN and 0, and at one time the first file comes first."""
    a = stored(tmp_path / "a.parquet", trades([0, 2, 4]), ("SPY",))
    b = stored(tmp_path / "b.parquet", trades([0, 2, 3], 1, levels=2), ("IBM", "SPY"))
    c = stored(tmp_path / "c.parquet", trades([1, 2], levels=3), ("IBM",))
    frame, _, table = opened([a, b, c])
    assert table.symbols == ("SPY", "IBM")
    assert ((frame["ts_event"] - START) // SECOND).tolist() == [0, 0, 1, 2, 2, 2, 3, 4]
    assert frame["instrument_id"].tolist() == [0, 0, 1, 0, 0, 1, 0, 0]
    assert frame["bids_px"].shape == (8, 3) and np.isnan(frame["bids_px"]).all() and not frame["bids_sz"].any()
    frame, quarantine, table = opened([a, b, c], symbols=("IBM",))
    assert table.symbols == ("IBM",) and frame.rows == quarantine.rows_in == 2


@pytest.mark.parametrize("batch", [1, 3, 100])
def test_the_batch_does_not_matter(tmp_path: Path, batch: int) -> None:
    """Same rows, exactly `batch` a frame."""
    paths = [stored(tmp_path / f"{n}.parquet", trades(list(range(n, 40, 3)), first=100 * n)) for n in range(3)]
    stream = open_ticks(paths, batch=batch, quarantine=Quarantine())
    frames = list(stream.frames)
    assert [f.rows for f in frames[:-1]] == [batch] * (len(frames) - 1)
    same(concatenated(frames, stream.schema), opened(paths)[0], "batch")


def test_columns_beyond_ticks_stay_when_all_files_have_them(tmp_path: Path) -> None:
    """A featurized file read alone keeps its features; merged with a plain one it cannot."""
    extra = (pa.field("signal", pa.float64(), nullable=False),)
    frame = trades([0, 1]).widened(extra)
    frame["signal"][:] = [1.0, 2.0]
    schema = Instruments([equity("SPY")]).on(pa.schema([*TICKS, *extra], metadata=TICKS.metadata))
    write_parquet(tmp_path / "a.parquet", [frame], schema)
    alone, _, _ = opened([tmp_path / "a.parquet"])
    assert alone["signal"].tolist() == [1.0, 2.0]
    plain = stored(tmp_path / "b.parquet", trades([0]))
    assert "signal" not in opened([tmp_path / "a.parquet", plain])[0]


def recorded(path: Path, *, whole: bool = True) -> Path:
    """A recorded stream in which a second instrument is announced on the way."""
    with path.open("wb") as file:
        writer = Writer(file.fileno(), Instruments([equity("SPY")]).on(TICKS))
        writer.write(trades([0, 1]))
        news = Layout.of(TICKS).empty(0)
        news.notes = {KEY: Instruments([equity("SPY"), equity("IBM")]).to_json()}
        writer.write(news)
        writer.write(trades([2], 1))
        if whole:
            writer.close()
    return path


def test_a_recorded_stream_is_opened_like_a_file(tmp_path: Path) -> None:
    """With the instruments it announced on the way; one whose writer died is refused at once."""
    frame, _, table = opened([recorded(tmp_path / "a.arrow"), stored(tmp_path / "b.parquet", trades([1]))])
    assert table.symbols == ("SPY", "IBM") and frame["instrument_id"].tolist() == [0, 0, 0, 1]
    with pytest.raises(TruncatedStream):
        opened([recorded(tmp_path / "c.arrow", whole=False)])


def test_folders_and_globs_are_opened_in_order_of_name_without_dot_files(tmp_path: Path) -> None:
    """What a crashed writer left behind is not seen."""
    stored(tmp_path / "b.parquet", trades([0]), ("B",))
    stored(tmp_path / "a.parquet", trades([0]), ("A",))
    (tmp_path / ".c.parquet").write_bytes(b"half")
    for path in (tmp_path, tmp_path / "*.parquet"):
        assert opened([path])[2].symbols == ("A", "B")


def test_what_cannot_be_opened_is_named(tmp_path: Path) -> None:
    """Missing, empty, foreign, and not ticks."""
    (tmp_path / "text").write_text("hello")
    (tmp_path / "empty").mkdir()
    pq.write_table(pa.table({"x": [1]}).replace_schema_metadata({"gpi.schema": "orders/1"}), tmp_path / "o.parquet")
    for path, said in (
        (tmp_path / "absent.parquet", "no file .*absent.parquet"),
        (tmp_path / "*.absent", "no file"),
        (tmp_path / "empty", "holds no file"),
        (tmp_path / "text", "neither Parquet nor"),
        (tmp_path / "o.parquet", "orders/1, not ticks"),
    ):
        with pytest.raises(BadInput, match=said):
            opened([path])


def test_a_digest_is_of_every_byte(tmp_path: Path) -> None:
    """The XXH3 of the whole, however it is read; one changed byte changes it."""
    data = bytearray(bytes(range(256)) * 10_000)
    (tmp_path / "a").write_bytes(data)
    assert digest(tmp_path / "a") == xxhash.xxh3_128_hexdigest(bytes(data))
    data[-1] ^= 1
    (tmp_path / "b").write_bytes(data)
    assert digest(tmp_path / "a") != digest(tmp_path / "b")


@compiled
def test_real_quotes_and_trades_merge_into_one_market() -> None:
    """BAC and IBM quotes with BAC, IBM and SPY trades: every row in order, one table."""
    names = ("eq_quotes_lean_BAC_IBM_20131007_09.parquet", "eq_trades_lean_BAC_IBM_SPY_20131007_09.parquet")
    quarantine = Quarantine()
    stream = open_ticks([shared(name) for name in names], batch=1 << 16, quarantine=quarantine)
    last, kinds = 0, np.zeros(3, np.int64)
    for frame in stream.frames:
        assert frame["ts_event"][0] >= last and (np.diff(frame["ts_event"]) >= 0).all()
        last, kinds = frame["ts_event"][-1], kinds + np.bincount(frame["kind"], minlength=3)
    assert kinds.tolist() == [0, 1033931, 1563415] and quarantine.balanced
    assert Instruments.of(stream.schema).symbols == ("BAC", "IBM", "SPY")


def test_pacing_keeps_the_gaps_of_event_time() -> None:
    """Rows of one time go together; twice the speed halves the gaps; nothing is lost."""
    clock, slept = [0.0], []

    def sleep(seconds: float) -> None:
        slept.append(round(seconds, 6))
        clock[0] += seconds

    frame = trades([0, 0, 4, 10, 10])
    out = list(paced([frame.slice(0, 3), frame.slice(3, 5)], 2.0, now=lambda: clock[0], sleep=sleep))
    assert [f.rows for f in out] == [2, 1, 2] and slept == [2.0, 3.0]
    same(concatenated(out, TICKS), frame, "paced")
    with pytest.raises(ValueError, match="positive"):
        next(paced([frame], 0.0))


@given(st.lists(st.integers(0, 9), max_size=30), st.integers(1, 10), st.integers(1, 7))
@settings(max_examples=25, deadline=None)
def test_sorting_on_disk_is_a_stable_sort(when: list[int], piece: int, chunk: int) -> None:
    """However few rows fit into memory."""
    frame = trades(when)
    found = concatenated(in_time_order(cut(frame, chunk), TICKS, piece), TICKS)
    same(found, taken(frame, np.argsort(frame["ts_event"], kind="stable")), "sorted")


def test_a_table_of_many_blocks_is_one_run_in_order_of_time(tmp_path: Path) -> None:
    """Every symbol may start anew; a late row within a symbol is still out of order."""
    symbols = [f"S{number:03d}" for number in range(100) for _ in range(3)]
    when = pa.array([START + s * SECOND for _ in range(100) for s in (5, 9, 7)], pa.timestamp("ns", tz="UTC"))
    columns = {"price": [1.0] * 300, "size": [1] * 300, "exchange": ["Q"] * 300}
    pq.write_table(pa.table({"ts": when, "symbol": symbols, **columns}), tmp_path / "a.parquet")
    frame, quarantine, table = opened([tmp_path / "a.parquet"])
    assert quarantine.report()["quarantined: out of order"] == 100 and len(table) == 100
    assert frame["instrument_id"].tolist() == [*range(100), *range(100)]
    only, _, _ = opened([tmp_path / "a.parquet"], symbols=tuple(f"S{number:03d}" for number in range(0, 80, 2)))
    assert only["instrument_id"].tolist() == [*range(40), *range(40)]


@pytest.mark.parametrize("kind", ["parquet", "arrow", "lake"])
@given(when=st.lists(st.integers(0, 5), min_size=1, max_size=30), size=st.integers(1, 7))
@settings(max_examples=15, deadline=None)
def test_every_row_of_a_capture_is_replayed(kind: str, when: list[int], size: int) -> None:
    """What was said twice comes twice, what came late comes in its place, and so does a row that says only: a gap."""
    frame = trades(when)
    frame["seq"][:] = 0
    gone = np.asarray(when) == 3
    frame["kind"][gone], frame["flags"][gone] = 0, GAP
    schema = stamped(Instruments([equity("A")]).on(TICKS), "capture", {}, {})
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"a.{kind}"
        if kind == "parquet":
            write_parquet(path, cut(frame, size), schema)
        elif kind == "lake":
            with LakeWriter(path, schema) as lake:
                for piece in cut(frame, size):
                    lake.write(piece)
        else:
            with path.open("wb") as file, writing(file.fileno(), schema) as writer:
                for piece in cut(frame, size):
                    writer.write(piece)
        found, quarantine, _ = opened([path])
    assert quarantine.quarantined == 0
    same(found, taken(frame, np.argsort(frame["ts_event"], kind="stable")), "replayed")


@settings(max_examples=60, deadline=None)
@given(
    times=st.lists(st.integers(0, 100), max_size=40).map(sorted),
    cut=st.integers(1, 7),
    since=st.none() | st.integers(0, 100),
    until=st.none() | st.integers(0, 100),
)
def test_an_excerpt_has_the_rows_between_two_instants(
    times: list[int], cut: int, since: int | None, until: int | None
) -> None:
    """However the stream is cut; notes pass."""
    whole = Layout.of(TICKS).empty(len(times))
    whole["ts_event"][:] = times
    frames = [whole.slice(at, min(at + cut, len(times))) for at in range(0, len(times), cut)]
    books = Quarantine()
    books.rows_in = books.rows_out = len(times)
    found = [int(ts) for frame in excerpt(frames, since, until, books) for ts in frame["ts_event"]]
    assert books.balanced and books.rows_out == len(found)
    assert found == [ts for ts in times if (since is None or ts >= since) and (until is None or ts < until)]


@settings(max_examples=25, deadline=None)
@given(at=st.integers(-5, 250), long=st.integers(0, 250), dirty=st.sets(st.integers(0, 199)), batch=st.integers(1, 64))
def test_the_books_of_a_replayed_span_balance(at: int, long: int, dirty: set[int], batch: int) -> None:
    """Rows two minutes apart, so that the reading ends early: each is out, set aside, outside, or read ahead."""
    frame = trades([120 * row for row in range(200)])
    frame["trade_sz"][:] = [0.0 if row in dirty else 1.0 for row in range(200)]
    schema, ends = Instruments([equity("A")]).on(TICKS), [START + 120 * SECOND * row for row in (at, at + long)]
    with TemporaryDirectory() as folder:
        path = Path(folder, "ticks.arrow")
        with path.open("wb") as file, writing(file.fileno(), schema) as writer:
            writer.write(frame)
        books = Quarantine()
        stream = open_ticks([path], batch=batch, quarantine=books)
        rows = sum(each.rows for each in excerpt(stream.frames, *ends, books))
    wanted = set(range(max(at, 0), min(at + long, 200)))
    assert books.rows_out == rows == len(wanted - dirty) and books.balanced
    assert books.rows_in <= 200 and books.report()["rows in"] == books.rows_in
