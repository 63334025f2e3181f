"""Vendors' layouts: what every row becomes, on made-up rows and on the real files."""

import gzip
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gpi.formats.errors import BadInput
from gpi.formats.frame import Frame, concatenated
from gpi.formats.instruments import Instruments
from gpi.formats.quarantine import Quarantine
from gpi.formats.words import (
    BUY,
    DEPTH,
    GAP,
    HALTED,
    HIDDEN,
    OFF_EXCHANGE,
    PAUSED,
    QUOTE,
    SELL,
    SNAPSHOT,
    STATUS,
    TRADE,
    UNKNOWN_SIDE,
)
from gpi.tools.feeds.files import open_ticks
from tests.data import shared
from tests.naive import books

SECOND = 10**9
START = 1_600_000_000 * SECOND
NS = pa.timestamp("ns", tz="UTC")
compiled = pytest.mark.skipif("NUMBA_DISABLE_JIT" in os.environ, reason="millions of rows need the compiler")


def times(*seconds: float) -> pa.Array:
    """Timestamps so many seconds after START."""
    return pa.array([START + int(s * SECOND) for s in seconds], NS)


def opened(path: Path, **options: Any) -> tuple[Frame, Quarantine, Instruments]:
    """All ticks of a file, its quarantine and its instruments; the books must balance."""
    quarantine = Quarantine()
    stream = open_ticks([path], batch=options.pop("batch", 4096), quarantine=quarantine, **options)
    frame = concatenated([f.copy() for f in stream.frames], stream.schema)
    assert quarantine.balanced and quarantine.rows_out == frame.rows
    assert (np.diff(frame["ts_event"]) >= 0).all()
    return frame, quarantine, Instruments.of(stream.schema)


def written(path: Path, **columns: Any) -> Path:
    """A vendor's Parquet file."""
    pq.write_table(pa.table(columns), path)
    return path


def lobster(path: Path, events: list[tuple[int, int, float]]) -> Path:
    """A LOBSTER file with two levels, the second asks unoccupied, of (event type, direction, price)."""
    rows = len(events)
    book = {
        "ask_px_1": [10.02] * rows, "ask_sz_1": [100] * rows, "bid_px_1": [10.01] * rows,
        "bid_sz_1": [200] * rows,
        "ask_px_2": [999999.9999] * rows, "ask_sz_2": [0] * rows, "bid_px_2": [None] * rows,
        "bid_sz_2": [None] * rows,
    }  # fmt: skip
    kinds, directions, prices = zip(*events, strict=True)
    return written(
        path, ts=times(*range(rows)), event_type=pa.array(kinds, pa.int8()), order_id=list(range(rows)),
        size=[5] * rows, price=list(prices), direction=pa.array(directions, pa.int8()), **book,
        symbol=["X"] * rows,
    )  # fmt: skip


def test_a_lobster_execution_is_a_trade_of_the_other_side(tmp_path: Path) -> None:
    """The direction is the resting order's: a hit on a resting sell is a buy. Hidden ones say so."""
    path = lobster(tmp_path / "a.parquet", [(1, 1, 10.0), (4, -1, 10.02), (4, 1, 10.01), (5, -1, 10.015), (6, -1, 9.0)])
    frame, _, table = opened(path)
    assert frame["kind"].tolist() == [QUOTE | DEPTH] + [QUOTE | TRADE | DEPTH] * 4
    assert frame["side"].tolist() == [0, BUY, SELL, BUY, UNKNOWN_SIDE]
    assert frame["flags"].tolist() == [0, 0, 0, HIDDEN, HIDDEN]
    assert frame["trade_sz"].tolist() == [0, 5, 5, 5, 5] and table[0].venue == "XNAS"
    assert frame["bids_px"].shape == (5, 2) and np.isnan(frame["bids_px"][:, 1]).all()
    assert np.isnan(frame["asks_px"][:, 1]).all() and (frame["asks_sz"][:, 1] == 0).all()


def test_a_lobster_halt_is_a_status_without_a_quote(tmp_path: Path) -> None:
    """Price -1 halted, 0 quoting only, 1 trading; an unknown event is quarantined."""
    frame, quarantine, _ = opened(
        lobster(tmp_path / "a.parquet", [(7, 0, -1.0), (7, 0, 0.0), (7, 0, 1.0), (9, 0, 1.0)])
    )
    assert frame["kind"].tolist() == [STATUS] * 3 and frame["flags"].tolist() == [HALTED, PAUSED, 0]
    assert np.isnan(frame["bid_px"]).all() and np.isnan(frame["trade_px"]).all() and not frame["trade_sz"].any()
    assert quarantine.report()["quarantined: unknown event"] == 1


@pytest.mark.parametrize(
    ("name", "rows", "executions"),
    [
        ("eq_lob_lobster_AAPL_20120621_L1.parquet", 118497, 34990),
        ("eq_lob_lobster_AMZN_20120621_L5.parquet", 155935, 11419),
    ],
)
def test_every_real_lobster_row_becomes_a_tick(name: str, rows: int, executions: int) -> None:
    """Exact counts, no dirt; visible executions take place at the best price of their side."""
    frame, quarantine, _ = opened(shared(name))
    assert quarantine.report() == {"rows in": rows, "rows out": rows, "folded": 0}
    trades = (frame["kind"] & TRADE) != 0
    assert trades.sum() == executions
    seen = np.flatnonzero(trades & (frame["flags"] & HIDDEN == 0))[1:]
    before = seen - 1  # the book before the execution is what the row before it left behind
    px, buys = frame["trade_px"][seen], frame["side"][seen] == BUY
    assert (px[buys] == frame["ask_px"][before][buys]).all()
    assert (px[~buys] == frame["bid_px"][before][~buys]).all()
    if "bids_px" in frame:
        np.testing.assert_array_equal(frame["bids_px"][:, 0], frame["bid_px"])
        assert (np.diff(frame["asks_px"], axis=1) > 0).all()


def lean(path: Path, rows: Sequence[tuple[float, float | None, float | None, int]]) -> Path:
    """A LEAN quote file of (second, bid, ask, suspicious), sizes 100."""
    when, bids, asks, marks = zip(*rows, strict=True)
    return written(
        path, ts=times(*when), symbol=["BAC"] * len(rows),
        bid_px=pa.array(bids, pa.float64()), bid_sz=pa.array([b and 100 for b in bids], pa.int32()),
        ask_px=pa.array(asks, pa.float64()), ask_sz=pa.array([a and 100 for a in asks], pa.int32()),
        exchange=["Q"] * len(rows), cond=["1"] * len(rows), suspicious=pa.array(marks, pa.int8()),
    )  # fmt: skip


def test_the_two_halves_of_a_lean_quote_are_one_tick(tmp_path: Path) -> None:
    """A lone half changes its side only; a suspicious half is set aside; a crossed quote too."""
    rows = [(0, None, 11.0, 0), (1, 10.0, None, 0), (1, None, 11.0, 0), (2, 10.5, None, 0), (2,
        None, 99.0, 1),
            (3, 12.0, None, 0), (3, None, 11.0, 0), (4, 10.0, None, 0)]  # fmt: skip
    frame, quarantine, _ = opened(lean(tmp_path / "a.parquet", rows), batch=1)
    assert frame["ts_event"].tolist() == [START + s * SECOND for s in (0, 1, 2, 4)]
    np.testing.assert_array_equal(frame["bid_px"], [np.nan, 10.0, 10.5, 10.0])
    np.testing.assert_array_equal(frame["ask_px"], [11.0] * 4)
    counted = {"folded": 2, "quarantined: suspicious": 1, "quarantined: crossed": 1}
    assert quarantine.report() == {"rows in": 8, "rows out": 4, **counted}


@compiled
def test_every_real_lean_quote_row_is_accounted_for() -> None:
    """Two rows are suspicious, 140 quotes are crossed, and two rows fold into each other tick."""
    _, quarantine, table = opened(shared("eq_quotes_lean_BAC_IBM_20131007_09.parquet"), batch=1 << 16)
    assert quarantine.report() == {
        "rows in": 2068140, "rows out": 1033931, "folded": 1034067,
        "quarantined: suspicious": 2, "quarantined: crossed": 140,
    }  # fmt: skip
    assert table.symbols == ("BAC", "IBM")


@compiled
def test_the_real_lean_quotes_reproduce_leans_own_second_bars() -> None:
    """The last tick of each second is the close of the second's quote bar, price and size, on every bar."""
    frame, _, _ = opened(shared("eq_quotes_lean_BAC_IBM_20131007_09.parquet"), batch=1 << 16, symbols=("BAC",))
    bars = pq.read_table(shared("eq_bars_1s_lean_20131007_09.parquet"), filters=[("symbol", "=", "BAC")])
    bars = bars.filter(bars["bid_close"].is_valid())
    starts = bars["ts"].cast(pa.timestamp("s", tz="UTC")).cast(pa.int64()).to_numpy()
    last = np.searchsorted(frame["ts_event"], (starts + 1) * SECOND) - 1
    for side in ("bid", "ask"):
        np.testing.assert_allclose(frame[f"{side}_px"][last], bars[f"{side}_close"].to_numpy(), atol=1e-9)
        np.testing.assert_array_equal(frame[f"{side}_sz"][last], bars[f"{side}_size"].to_numpy())


@compiled
def test_the_real_lean_quotes_equal_the_naive_twin() -> None:
    """On the first 4,000 ticks of IBM, one dictionary row at a time."""
    frame, _, _ = opened(shared("eq_quotes_lean_BAC_IBM_20131007_09.parquet"), batch=1 << 16, symbols=("IBM",))
    path = shared("eq_quotes_lean_BAC_IBM_20131007_09.parquet")
    table = pq.read_table(path, filters=[("symbol", "=", "IBM")]).slice(0, 9000)
    columns = [np.nan_to_num(table[c].to_numpy(),
    nan=0) if c.endswith("sz") else np.round(table[c].to_numpy(), 4)
               for c in ("bid_px", "bid_sz", "ask_px", "ask_sz")]  # fmt: skip
    twin = np.asarray(books.halves([tuple(row) for row in zip(*columns, strict=True)]))
    rows = frame["seq"][:4000] - frame["seq"][0]
    for number, name in enumerate(("bid_px", "bid_sz", "ask_px", "ask_sz")):
        np.testing.assert_array_equal(frame[name][:4000], twin[rows, number])


def test_every_real_lean_trade_becomes_a_tick() -> None:
    """321,392 of them were reported off exchange (D)."""
    frame, quarantine, table = opened(shared("eq_trades_lean_BAC_IBM_SPY_20131007_09.parquet"), batch=1 << 16)
    assert quarantine.report() == {"rows in": 1563415, "rows out": 1563415, "folded": 0}
    assert (frame["flags"] & OFF_EXCHANGE != 0).sum() == 321392 and not frame["side"].any()
    assert table.symbols == ("BAC", "IBM", "SPY")


def test_the_best_over_exchanges_is_built_and_its_sizes_summed(tmp_path: Path) -> None:
    """A stale side of a cross is hidden; a side without price and size is withdrawn."""
    path = written(
        tmp_path / "a.parquet", ts=times(0, 1, 2, 3), symbol=["X"] * 4, exchange=["N", "Q", "P", "Q"],
        bid_px=[10.0, 10.0, 10.3, 0.0], bid_sz=[1.0, 2.0, 4.0, 0.0],
        ask_px=[10.2, 10.4, 10.4, 10.5], ask_sz=[1.0, 2.0, 4.0, 8.0],
    )  # fmt: skip
    frame, quarantine, _ = opened(path)
    np.testing.assert_array_equal(frame["bid_px"], [10.0, 10.0, 10.3, 10.3])
    np.testing.assert_array_equal(frame["bid_sz"], [1.0, 3.0, 4.0, 4.0])
    np.testing.assert_array_equal(frame["ask_px"], [10.2, 10.2, 10.4, 10.4])
    np.testing.assert_array_equal(frame["ask_sz"], [1.0, 1.0, 6.0, 4.0])
    assert quarantine.report()["remark: crossed between exchanges"] == 2
    assert frame["flags"].tolist() == [SNAPSHOT, 0, 0, 0]


def depth(path: Path, rows: Sequence[tuple[float, str, float, float, int, int, bool]]) -> Path:
    """A Binance depth file of (second, side, price, size, first_id, last_id, is_snapshot)."""
    when, side, price, size, first, last, fresh = (list(column) for column in zip(*rows, strict=True))
    return written(path, ts_recv=times(*when), ts_event=times(*when),
    symbol=["BTCUSDT"] * len(rows), side=side,
                   price=price, size=size, first_id=first, last_id=last, is_snapshot=fresh)  # fmt: skip


@pytest.mark.parametrize("chunk", [1, 2, 1000])
def test_depth_begins_with_its_snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    """Updates before it wait, and those newer than it are applied with it; a gap is flagged."""
    monkeypatch.setattr("gpi.tools.feeds.files.CHUNK", (chunk, chunk))
    rows = [
        (0, "B", 9.0, 7.0, 1, 4, False), (1, "B", 9.9, 3.0, 5, 12, False),
         # the second is newer than the snapshot
        (2, "B", 9.8, 1.0, 10, 10, True), (2, "A", 10.1, 2.0, 10, 10, True), (2, "B", 9.7, 5.0, 10, 10, True),
        (3, "A", 10.1, 0.0, 13, 14, False), (3, "A", 10.2, 4.0, 13, 14, False),
        (4, "B", 9.95, 1.0, 20, 21, False),
    ]  # fmt: skip
    frame, quarantine, _ = opened(depth(tmp_path / "a.parquet", rows))
    assert frame["ts_event"].tolist() == [START + s * SECOND for s in (2, 3, 4)]
    assert frame["flags"].tolist() == [SNAPSHOT, 0, GAP] and frame["seq"].tolist() == [12, 14, 21]
    assert frame["bids_px"][:, :3].tolist() == [[9.9, 9.8, 9.7], [9.9, 9.8, 9.7], [9.95, 9.9, 9.8]]
    assert frame["asks_px"][:, 0].tolist() == [10.1, 10.2, 10.2] and frame["asks_sz"][:, 0].tolist() == [
        2,
        4,
        4,
    ]
    assert quarantine.report() == {"rows in": 8, "rows out": 3, "folded": 5}


@compiled
def test_the_real_depth_equals_a_dictionary_book() -> None:
    """Every 97th tick of BTCUSDT against a naive book of dictionaries; no tick is crossed."""
    path = shared("cr_depth_binance_spot_20240808.parquet")
    frame, quarantine, _ = opened(path, symbols=("BTCUSDT",))
    rows = pq.read_table(path, filters=[("symbol", "=", "BTCUSDT")]).drop(["ts_event", "ts_recv"]).to_pylist()
    snapshot = next(row["last_id"] for row in rows if row["is_snapshot"])
    early = [r for r in rows[: next(i for i, r in enumerate(rows) if r["is_snapshot"])] if r["last_id"] > snapshot]
    fresh = [row for row in rows if row["is_snapshot"]]
    later = [row for row in rows if row["last_id"] > max([snapshot, *(r["last_id"] for r in early)])]
    book: dict[str, dict[float, float]] = {"B": {}, "A": {}}
    wanted = dict(zip(frame["seq"].tolist(), range(frame.rows), strict=True))
    checked = 0
    ordered = [*fresh, *early, *later]
    for i, row in enumerate(ordered):
        book[row["side"]].pop(row["price"], None)
        if row["size"]:
            book[row["side"]][row["price"]] = row["size"]
        ends = i + 1 == len(ordered) or ordered[i + 1]["last_id"] != row["last_id"]
        at = wanted.get(row["last_id"])
        if ends and at is not None and at % 97 == 0 and i >= len(fresh) + len(early) - 1:
            for side, name, best in (("B", "bids", True), ("A", "asks", False)):
                levels = sorted(book[side].items(), reverse=best)[:10]
                assert frame[f"{name}_px"][at].tolist() == [px for px, _ in levels]
                assert frame[f"{name}_sz"][at].tolist() == [sz for _, sz in levels]
            checked += 1
    assert checked > 30 and quarantine.quarantined == 0 and (frame["flags"] & GAP == 0).all()
    assert (frame["bid_px"] < frame["ask_px"]).all()


@compiled
def test_every_real_binance_row_is_accounted_for() -> None:
    """All rows are clean, and received in order."""
    counts = {"bbo": (52117, 52117), "trades": (15863, 15863), "depth": (234904, 6882)}
    for stream, (rows, out) in counts.items():
        frame, quarantine, _ = opened(shared(f"cr_{stream}_binance_spot_20240808.parquet"))
        assert quarantine.report() == {"rows in": rows, "rows out": out, "folded": rows - out}
        np.testing.assert_array_equal(frame["ts_event"], frame["ts_recv"])


def test_binance_trades_carry_their_aggressor(tmp_path: Path) -> None:
    """B bought, S sold; a trade sent twice is a duplicate."""
    path = written(tmp_path / "a.parquet", ts_recv=times(0, 1, 1), symbol=["X"] * 3, price=[1.0, 2.0, 2.0],
                   size=[1.0] * 3, trade_id=[7, 8, 8], aggressor=["B", "S", "S"])  # fmt: skip
    frame, quarantine, _ = opened(path)
    assert frame["side"].tolist() == [BUY, SELL] and frame["seq"].tolist() == [7, 8]
    assert quarantine.report()["quarantined: duplicate"] == 1


def test_a_bar_is_known_at_its_end(tmp_path: Path) -> None:
    """Its start moved by the smallest step; its end as it is; its date at 16:00 in New York."""
    prices = {name: [1.0, 2.0, 3.0] for name in ("open", "high", "low")} | {"close": [4.0, 5.0, 6.0]}
    rest = {"symbol": ["SPY"] * 3, **prices, "volume": [10, 0, 30]}
    frame, quarantine, _ = opened(written(tmp_path / "a.parquet", ts=times(0, 60, 180), **rest))
    assert frame["ts_event"].tolist() == [START + 60 * SECOND, START + 240 * SECOND]
    assert frame["trade_px"].tolist() == [4.0, 6.0] and frame["trade_sz"].tolist() == [10, 30]
    assert frame["kind"].tolist() == [TRADE] * 2 and quarantine.report()["quarantined: zero size"] == 1
    frame, _, _ = opened(written(tmp_path / "b.parquet", ts_end=times(0, 60, 180), **rest))
    assert frame["ts_event"].tolist() == [START, START + 180 * SECOND]
    days = pa.array(np.array(["2024-01-05", "2024-06-05", "2024-06-06"], "datetime64[D]"))
    frame, _, _ = opened(written(tmp_path / "c.parquet", date=days, **rest))
    assert [str(t) for t in frame["ts_event"].view("datetime64[ns]")] == [
        "2024-01-05T21:00:00.000000000", "2024-06-06T20:00:00.000000000"
    ]  # fmt: skip


def test_a_quote_bar_quotes_and_an_index_is_never_traded(tmp_path: Path) -> None:
    """QUOTE and TRADE where a bar has both; the level of an index on both sides of a QUOTE."""
    bar = {
        "open": [1.0, None],
        "high": [1.0, None],
        "low": [1.0, None],
        "close": [1.0, None],
        "volume": [5, None],
    }
    quote = {"bid_close": [0.9, 0.8], "bid_size": [1, 2], "ask_close": [1.1, None], "ask_size": [3, None]}
    path = written(tmp_path / "a.parquet", ts=times(0, 1), symbol=["SPY"] * 2, **bar, **quote)
    frame, quarantine, _ = opened(path)
    assert frame["kind"].tolist() == [QUOTE | TRADE, QUOTE] and quarantine.quarantined == 0
    np.testing.assert_array_equal(frame["ask_px"], [1.1, np.nan])
    level = {name: [4000.0] for name in ("open", "high", "low", "close")}
    frame, _, table = opened(written(tmp_path / "b.parquet", ts=times(0), symbol=["SPX"], **level))
    assert frame["kind"][0] == QUOTE and frame["bid_px"][0] == frame["ask_px"][0] == 4000.0
    assert table[0].asset_class == "index"


def test_option_bars_are_named_by_occ() -> None:
    """The real minute bars of two roots: every contract an option of its underlying."""
    _, quarantine, table = opened(shared("opt_1m_quote_lean.parquet"))
    assert quarantine.report() == {"rows in": 99998, "rows out": 99998, "folded": 0}
    assert {one.underlying for one in table} == {"NWSA", "TWX"} and {one.asset_class for one in table} == {"option"}


QUOTES = (
    "ticker,ask_exchange,ask_price,ask_size,bid_exchange,bid_price,bid_size,conditions,indicators,"
    "participant_timestamp,sequence_number,sip_timestamp,tape,trf_timestamp\n"
)
OLD, NEW = START, 1_762_200_000 * SECOND


@pytest.mark.parametrize("packed", [False, True])
def test_polygon_quotes_are_read_in_shares_and_merged_over_tickers(tmp_path: Path, packed: bool) -> None:
    """Round lots before 2025-11-03, shares from then on; price 0 is no side; given by time."""
    text = QUOTES + "".join((
        f'A,11,10.2,3,12,10.1,2,"1,95",604,{OLD},5,{OLD + 2},1,\n',
        f"A,11,10.2,300,12,0,0,1,,{NEW},6,{NEW},1,\n",
        f"B,11,20.2,3,12,20.3,2,1,,{OLD},1,{OLD + 1},1,\n",
        f"B,11,20.2,3,12,20.1,2,1,,{OLD},2,{OLD + 1},1,\n",
    ))  # fmt: skip
    path = tmp_path / ("q.csv.gz" if packed else "q.csv")
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    frame, quarantine, table = opened(path)
    assert [table[i].symbol for i in frame["instrument_id"]] == ["B", "A", "A"]
    assert frame["ask_sz"].tolist() == [300, 300, 300] and frame["bid_sz"].tolist() == [200, 200, 0]
    assert np.isnan(frame["bid_px"][2]) and quarantine.report()["quarantined: crossed"] == 1
    frame, quarantine, table = opened(path, symbols=("A",))
    assert table.symbols == ("A",) and frame.rows == quarantine.rows_in == 2


def test_polygon_trades_say_what_was_off_exchange_and_corrected(tmp_path: Path) -> None:
    """Exchange 4 is FINRA; a cancelled trade is quarantined."""
    text = (
        "ticker,conditions,correction,exchange,id,participant_timestamp,price,sequence_number,sip_timestamp,size,"
        f"tape,trf_id,trf_timestamp\nA,,0,4,1,{OLD},10.5,1,{OLD},7,1,201,{OLD}\n"
        f"A,14,0,11,2,{OLD},10.6,2,{OLD + 1},8,1,0,0\nA,,8,11,3,{OLD},10.6,3,{OLD + 2},9,1,0,0\n"
    )
    (tmp_path / "t.csv").write_text(text)
    frame, quarantine, _ = opened(tmp_path / "t.csv")
    assert frame["flags"].tolist() == [OFF_EXCHANGE, 0] and frame["trade_sz"].tolist() == [7, 8]
    assert quarantine.report()["quarantined: corrected"] == 1


@pytest.mark.parametrize("column, word, said", [
    ("close", "abc", "row 3, column close: 'abc' is not a number"),
    ("volume", "1.2.3", "row 3, column volume: '1.2.3' is not a number"),
    ("ts_end", "02/01/2024", "row 3, column ts_end: '02/01/2024' is not a time written like"),
    ("date", "02/01/2024", "row 3, column date: '02/01/2024' is not a time written like"),
])  # fmt: skip
def test_a_word_where_a_number_or_a_time_belongs_is_named(tmp_path: Path, column: str, word: str, said: str) -> None:
    """The file, the column and the word, whatever types a reader of CSV guesses from them."""
    clock = "date" if column == "date" else "ts_end"
    row = {clock: "2024-01-02", "symbol": "A", "open": "1", "high": "2", "low": "1", "close": "1.5", "volume": "9"}
    path = tmp_path / "bars.csv"
    path.write_text(
        "\n".join(",".join(each) for each in (row, row.values(), row.values(), (row | {column: word}).values()))
    )
    with pytest.raises(BadInput) as wrong:
        opened(path)
    assert str(wrong.value).startswith(f"{path}: ") and said in str(wrong.value)


def test_numbers_are_symbols_too(tmp_path: Path) -> None:
    """Tokyo's and Hong Kong's."""
    (tmp_path / "b.csv").write_text("date,symbol,open,high,low,close,volume\n2024-01-02,7203,1,2,1,1.5,9\n")
    frame, _, table = opened(tmp_path / "b.csv")
    assert table.symbols == ("7203",) and frame["trade_px"].tolist() == [1.5]


def test_an_unknown_layout_is_told_what_the_nearest_lack(tmp_path: Path) -> None:
    """So that the user sees what to rename."""
    with pytest.raises(BadInput, match="for daily bars it lacks symbol, volume.*It has date, ticker, open.*LOBSTER"):
        opened(
            written(
                tmp_path / "a.parquet", **{name: [1] for name in ("date", "ticker", "open", "high", "low", "close")}
            )
        )
    (tmp_path / "a.csv").write_text("when,what\n1,2\n")
    with pytest.raises(BadInput, match="It has when, what"):
        opened(tmp_path / "a.csv")
    (tmp_path / "b.csv.gz").write_bytes(b"no gzip")
    with pytest.raises(BadInput, match="cannot be read as CSV"):
        opened(tmp_path / "b.csv.gz")
