"""What lies before the feed: bars of every length, ticks page by page, and nothing of what is yet to come."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpi.formats.errors import BadInput
from gpi.formats.frame import Frame
from gpi.formats.instruments import Instruments, crypto, equity
from gpi.formats.parquet import write_parquet
from gpi.formats.ticks import ticks
from gpi.formats.words import QUOTE, TRADE
from gpi.tools.feeds.past import past_files
from gpi.tools.venue.data.bars import MINUTE, NEW_YORK, joined
from gpi.tools.venue.data.past import DAY, Past
from tests.venues import MONDAY, Ready, running_venue, venue_here

SPY = equity("SPY")
SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
BEFORE = MONDAY - 90 * MINUTE  # 09:00 in New York of the day the venue's clock stands in
NONE = np.empty((0, 8))


def table(starts: list[int], px: float = 100.0) -> Any:
    """Bars one after another: each a little above the one before."""
    return np.array([[t, px + k, px + k + 2, px + k - 1, px + k + 1, 10.0, px + k + 0.5, 3.0]
                     for k, t in enumerate(starts)])  # fmt: skip


def day_start(days: int) -> int:
    """Midnight in New York so many days before the venue's day."""
    day = datetime.fromtimestamp(MONDAY // 10**9, NEW_YORK).date() - timedelta(days)
    return int(datetime(day.year, day.month, day.day, tzinfo=NEW_YORK).timestamp()) * 10**9


def trades(start: int, count: int, step: int = 10**9, px: float = 50.0) -> Frame:
    """Trades and quotes of SPY, one after another."""
    n = np.arange(count)
    columns = {name: np.zeros(count) for name in ticks().names}
    columns |= {"ts_event": start + n * step, "ts_recv": start + n * step, "seq": n, "instrument_id": n * 0,
                "kind": np.full(count, QUOTE | TRADE), "side": n * 0 + 1, "flags": n * 0, "bid_px": px + n * 0.01,
                "ask_px": px + n * 0.01 + 0.01, "bid_sz": np.full(count, 5.0), "ask_sz": np.full(count, 5.0),
                "trade_px": px + n * 0.01, "trade_sz": np.full(count, 2.0)}  # fmt: skip
    return Frame.of(ticks(), columns)


def seen(venue: Ready, path: str, **words: Any) -> dict[str, Any]:
    """One answer of market data."""
    told = venue.call("GET", path, **words)
    found: dict[str, Any] = told.json()
    assert told.status_code == 200, found
    return found


def test_ninety_days_of_bars_come_before_the_feeds_own() -> None:
    """Daily bars of the past, then the day that runs, of minutes before the feed and of the feed; weeks of both."""
    days = [day_start(n) for n in range(90, 0, -1)]
    minutes = [day_start(0) + (9 * 60 + k) * MINUTE for k in range(90)]  # 9:00 to 10:30
    past = Past({"SPY": {DAY: table(days), MINUTE: table(minutes, 200.0)}})
    past.begins(MONDAY)
    with venue_here([SPY], past=past) as venue:
        start = datetime.fromtimestamp(days[0] // 10**9, UTC).isoformat().replace("+00:00", "Z")
        bars = seen(venue, "/v2/stocks/SPY/bars", timeframe="1Day", start=start, limit=1000)["bars"]
        assert len(bars) == 91 and bars[0]["o"] == 100.0 and bars[89]["c"] == 190.0
        assert (bars[90]["o"], bars[90]["c"], bars[90]["v"]) == (200.0, 290.0, 900)
        venue.play(trades(MONDAY, 120))
        bars = seen(venue, "/v2/stocks/SPY/bars", timeframe="1Day", start=start, limit=1000)["bars"]
        assert len(bars) == 91 and bars[90]["o"] == 200.0 and bars[90]["l"] == 50.0
        snapshot = seen(venue, "/v2/stocks/SPY/snapshot")
        assert snapshot["prevDailyBar"]["c"] == 190.0 and snapshot["dailyBar"]["o"] == 200.0
        weeks = seen(venue, "/v2/stocks/SPY/bars", timeframe="1Week", start="2025-09-01", limit=1000)["bars"]
        assert sum(week["v"] for week in weeks) == sum(bar["v"] for bar in bars)
        assert all(datetime.fromisoformat(week["t"]).astimezone(NEW_YORK).weekday() == 0 for week in weeks)
        polygon = f"/v2/aggs/ticker/SPY/range/1/day/{start[:10]}/2026-01-05"
        assert len(seen(venue, polygon)["results"]) == 91
        assert seen(venue, "/v2/aggs/ticker/SPY/prev")["results"][0]["c"] == 190.0
        of = datetime.fromtimestamp(days[-3] // 10**9, NEW_YORK).date().isoformat()
        assert seen(venue, f"/v1/open-close/SPY/{of}")["close"] == 188.0
        grouped = seen(venue, f"/v2/aggs/grouped/locale/us/market/stocks/{of}")
        assert grouped["results"][0]["T"] == "SPY" and grouped["results"][0]["c"] == 188.0
        ticker = seen(venue, "/v2/snapshot/locale/us/markets/stocks/tickers/SPY")["ticker"]
        assert ticker["prevDay"]["c"] == 190.0
        assert venue.account()["positions"] == {} or not venue.account()["positions"]


def test_pages_of_the_past_fit_together() -> None:
    """A page token goes on where the page ended, oldest or newest first, from the past into the feed."""
    minutes = [MONDAY - (300 - k) * MINUTE for k in range(300)]
    past = Past({"SPY": {MINUTE: table(minutes)}})
    past.begins(MONDAY)
    with venue_here([SPY], past=past) as venue:
        venue.play(trades(MONDAY, 400))
        for sort in ("asc", "desc"):
            words: dict[str, Any] = {"timeframe": "1Min", "start": "2026-01-01", "limit": 100, "sort": sort}
            times: list[str] = []
            for _ in range(10):
                page = seen(venue, "/v2/stocks/SPY/bars", **words)
                times += [bar["t"] for bar in page["bars"]]
                if page["next_page_token"] is None:
                    break
                words["page_token"] = page["next_page_token"]
            assert len(times) == len(set(times)) == 306 and times == sorted(times, reverse=sort == "desc")


@given(st.integers(0, 6 * 3600), st.sampled_from([(1, "minute"), (5, "minute"), (1, "hour"), (1, "day"), (1, "week")]))
@settings(max_examples=60, deadline=None)
def test_no_bar_knows_what_comes_after_the_feed_began(seconds: int, length: tuple[int, str]) -> None:
    """Whatever lies in the files at or after the feed's first row changes no answer."""
    begin = BEFORE + seconds * 10**9
    starts = [day_start(2) + 4 * 3600 * 10**9 + k * MINUTE for k in range(0, 3 * 24 * 60, 7)]
    days = [day_start(n) for n in (3, 2, 1, 0, -1)]
    full = {DAY: table(days), 60 * MINUTE: table(starts[:: 60 // 7]), MINUTE: table(starts)}
    ended = {step: bars[bars[:, 0] + step <= begin] for step, bars in full.items()}
    with_future, without = Past({"SPY": full}), Past({"SPY": ended})
    for each in (with_future, without):
        each.begins(begin)
    told = with_future.longer(SPY, NONE, *length)
    np.testing.assert_array_equal(told, without.longer(SPY, NONE, *length))
    assert (told[:, 0] < begin).all() and (np.diff(told[:, 0]) > 0).all()
    today = with_future.today(SPY)
    assert not len(today) or (today[:, 0] < begin).all()


def _bars(path: Path, clock: str, rows: dict[str, list[Any]]) -> Path:
    symbols = [symbol for symbol, starts in rows.items() for _ in starts]
    kind = pa.date32() if clock == "date" else pa.timestamp("ns", "UTC")
    columns: dict[str, Any] = {clock: pa.array([each for starts in rows.values() for each in starts], kind)}
    columns["symbol"] = pa.array(symbols)
    columns |= {name: pa.array([10.0] * len(symbols)) for name in ("open", "high", "low", "close", "volume")}
    pq.write_table(pa.table(columns), path)
    return path


def test_the_length_of_bars_is_each_symbols_own(tmp_path: Path) -> None:
    """Minutes and hours in one file: an hour is never told as a minute, which would be 59 minutes early."""
    hours = [BEFORE + k * 60 * MINUTE for k in (0, 1, 5, 7)]
    minutes = [BEFORE + k * MINUTE for k in (0, 3, 5, 60)]
    found = past_files([str(_bars(tmp_path / "a.parquet", "ts", {"NVDA": minutes, "SPY": hours, "ONE": hours[:1]}))])
    assert {symbol: list(each) for symbol, each in found.bars.items()} == {
        "NVDA": [MINUTE], "SPY": [60 * MINUTE], "ONE": [60 * MINUTE],
    }  # fmt: skip


def test_bars_longer_than_a_day_are_left_out_and_counted(tmp_path: Path) -> None:
    """January's bar, dated the first, is known at its end: it must not be told as the day's."""
    months = [date(2024, month, 1) for month in range(1, 7)]
    days = [date(2024, 3, day) for day in (7, 8, 11, 12)]  # over the night in which the clocks change
    found = past_files([str(_bars(tmp_path / "a.parquet", "date", {"SLOW": months, "SPY": days, "ONE": days[:1]}))])
    assert found.dropped == len(months) and {symbol: list(each) for symbol, each in found.bars.items()} == {
        "SPY": [DAY], "ONE": [DAY],
    }  # fmt: skip
    weeks = [datetime(2024, 1, 1, tzinfo=UTC) + timedelta(weeks=n) for n in range(5)]
    assert past_files([str(_bars(tmp_path / "b.parquet", "ts", {"SPY": weeks}))]).dropped == 5


def test_days_at_midnight_utc_are_the_dates_they_name(tmp_path: Path) -> None:
    """Monday stays Monday; a coin's day is UTC's anyhow."""
    days = [datetime(2025, 6, day, tzinfo=UTC) for day in (2, 3, 4)]
    found = past_files([str(_bars(tmp_path / "a.parquet", "ts", {"SPY": days, "BTC/USD": days}))]).bars
    there = [datetime.fromtimestamp(each / 1e9, NEW_YORK) for each in found["SPY"][DAY][:, 0]]
    assert [(each.day, each.hour) for each in there] == [(2, 0), (3, 0), (4, 0)]
    assert found["BTC/USD"][DAY][0, 0] == days[0].timestamp() * 1e9


@given(st.lists(st.integers(0, 40 * 24 * 60), min_size=1, max_size=200, unique=True), st.integers(1, 59))
@settings(max_examples=60, deadline=None)
def test_longer_bars_are_the_sum_of_their_minutes(at: list[int], amount: int) -> None:
    """By a twin that counts on its fingers: first open, highest, lowest, last close, and all the volume."""
    starts = [day_start(45) + k * MINUTE for k in sorted(at)]
    bars = table(starts)
    past = Past({"SPY": {MINUTE: bars}})
    past.begins(MONDAY)
    told = past.longer(SPY, NONE, amount, "minute")
    span = amount * MINUTE
    for row in told:
        mine = [bar for bar in bars if bar[0] // span * span == row[0]]
        assert row[1] == mine[0][1] and row[4] == mine[-1][4]
        assert row[2] == max(bar[2] for bar in mine) and row[3] == min(bar[3] for bar in mine)
        assert row[5] == sum(bar[5] for bar in mine) and row[7] == sum(bar[7] for bar in mine)
    assert told[:, 5].sum() == bars[:, 5].sum()
    for unit in ("day", "week", "month"):
        direct = joined(bars, 1, unit, False)
        np.testing.assert_allclose(past.longer(SPY, NONE, 1, unit), direct, rtol=1e-9)


def test_nothing_is_told_before_the_feed_has_begun() -> None:
    """While nobody knows where the feed begins, every bar of the past may be its future."""
    past = Past({"SPY": {DAY: table([day_start(3), day_start(2)])}})
    assert not len(past.longer(SPY, NONE, 1, "day"))
    past.begins(day_start(1))
    past.begins(day_start(-5))  # a second word is not heard
    assert len(past.longer(SPY, NONE, 1, "day")) == 2 and past.before == day_start(1)


def test_coins_have_days_of_utc_and_names_with_or_without_a_slash() -> None:
    """A table that says BTCUSD is the past of BTC/USD, whose days begin at midnight UTC."""
    start = int(datetime(2026, 1, 3, tzinfo=UTC).timestamp()) * 10**9
    past = Past({"BTCUSD": {MINUTE: table([start - MINUTE, start, start + MINUTE])}})
    past.begins(MONDAY)
    told = past.longer(crypto("BTC/USD"), NONE, 1, "day")
    assert told[:, 0].tolist() == [start - DAY, start] and told[:, 5].tolist() == [10.0, 20.0]


def written(folder: Path, frame: Frame) -> Path:
    """Ticks as gpi writes them."""
    path = folder / "ticks.parquet"
    write_parquet(path, [frame], Instruments([SPY]).on(ticks()))
    return path


def test_ticks_of_the_past_are_read_when_they_are_asked_for(tmp_path: Path) -> None:
    """Trades and quotes page by page, into the feed; minute bars are made of them; Polygon's pages too."""
    start = MONDAY - 600 * 10**9
    files = past_files([str(written(tmp_path, trades(start, 1200)))])  # half of them are the feed's future
    stream = files.ticks()
    assert stream is not None
    past = Past(files.bars, files.ticks_of)
    past.learn(Instruments.of(stream.schema), stream.frames)
    past.begins(MONDAY)
    with venue_here([SPY], past=past) as venue:
        venue.play(trades(MONDAY, 30, px=70.0))
        for sort in ("asc", "desc"):
            words: dict[str, Any] = {"start": "2026-01-01", "limit": 250, "sort": sort}
            rows: list[dict[str, Any]] = []
            for _ in range(10):
                page = seen(venue, "/v2/stocks/SPY/trades", **words)
                rows += page["trades"]
                if page["next_page_token"] is None:
                    break
                words["page_token"] = page["next_page_token"]
            times = [row["t"] for row in rows]
            assert len(rows) == 630 and times == sorted(times, reverse=sort == "desc") and len(set(times)) == 630
            assert sum(row["p"] >= 70 for row in rows) == 30
        bars = seen(venue, "/v2/stocks/SPY/bars", timeframe="1Min", start="2026-01-01")["bars"]
        assert sum(bar["v"] for bar in bars) == 600 * 2 and max(bar["h"] for bar in bars) < 57
        url = "/v3/quotes/SPY?order=asc&limit=400&timestamp.gte=2026-01-01"
        found: list[int] = []
        while url:
            page = seen(venue, url.removeprefix(venue.url))
            found += [row["sip_timestamp"] for row in page["results"]]
            url = page.get("next_url", "")
        assert len(found) == 630 and found == sorted(found)


def test_the_command_reads_tables_and_tells_what_it_left_out(tmp_path: Path) -> None:
    """--history with bars of three kinds; rows that are no bars are counted; what is no history is refused."""
    rows = 40
    at = [datetime(2026, 1, 2, 15, k, tzinfo=UTC) for k in range(rows)]
    px = np.linspace(100, 120, rows)
    low = np.where(np.arange(rows) == 7, 500.0, px - 1)  # a low above its high
    bars = pa.table({"ts": pa.array(at, pa.timestamp("ms", "UTC")), "symbol": ["SPY"] * rows, "open": px,
                     "high": px + 1, "low": low, "close": px, "volume": np.full(rows, 7)})  # fmt: skip
    pq.write_table(bars, tmp_path / "minutes.parquet")
    feed = tmp_path / "feed"
    feed.mkdir()
    with running_venue("--history", tmp_path / "minutes.parquet", feed=written(feed, trades(MONDAY, 5))) as venue:
        told = seen(venue, "/v2/stocks/SPY/bars", timeframe="1Min", start="2026-01-02", end="2026-01-03")["bars"]
        assert len(told) == rows - 1 and told[0]["v"] == 7 and told[0]["vw"] == 100.0
    assert "1 rows are no bars" in venue.said[0]
    other = tmp_path / "other.parquet"
    pq.write_table(pa.table({"a": [1]}), other)
    with pytest.raises(BadInput, match="no known layout"):
        past_files([str(other)])
    (tmp_path / "bars.csv").write_text("ts,symbol,open,high,low,close,volume\n")
    with pytest.raises(BadInput, match="Parquet"):
        past_files([str(tmp_path / "bars.csv")])


@pytest.mark.skipif(not SHARED.exists(), reason="needs ../shared/data")
def test_real_tables_are_bars() -> None:
    """Minutes, hours and days of SPY from three vendors: each of its own length, none lost but the broken."""
    names = ("eq_bars_1m_SPY_202507", "eq_hour_lean_long", "eq_daily_lean_long", "eq_bars_15m_eqker_2019")
    files = past_files([str(SHARED / f"{name}.parquet") for name in names])
    assert {MINUTE, 60 * MINUTE, DAY} <= set(files.bars["SPY"])
    assert len(files.bars["SPY"][MINUTE]) == 12_286
    past = Past(files.bars)
    past.begins(int(np.datetime64("2025-07-15T15:30:20", "ns").astype(np.int64)))
    minutes = past.longer(SPY, NONE, 1, "minute")
    days = past.longer(SPY, NONE, 1, "day")
    assert str(np.datetime64(int(minutes[-1, 0]), "ns"))[:16] == "2025-07-15T15:29"
    today = minutes[minutes[:, 0] >= days[-1, 0]]
    assert days[-1, 5] == today[:, 5].sum() and days[-1, 4] == today[-1, 4]
