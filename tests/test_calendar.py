"""The calendar: every day of thirty years against LEAN's market hours, the rules, and the clock's changes."""

import json
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpi.formats.market import calendar
from gpi.formats.market.calendar import HOUR, Session, next_close, next_open, session, sessions, state
from gpi.formats.words import SECOND
from tests.data import shared

NEW_YORK = ZoneInfo("America/New_York")
DAYS = st.dates(date(1990, 1, 1), date(2060, 12, 31))


def ns(text: str) -> int:
    """New York wall time, as ns UTC, the plain way."""
    return int(datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).timestamp()) * SECOND


def dates(listed: list[str]) -> set[date]:
    return {datetime.strptime(each, "%m/%d/%Y").date() for each in listed}


def test_every_day_from_1998_to_2028_is_as_lean_has_it() -> None:
    """Holidays are the same, all of them; the early closes that differ are named, with the reason."""
    hours = json.loads(shared("calendar_us_market_hours.json").read_text())["Equity-usa-[*]"]
    closed, early = dates(hours["holidays"]), dates(list(hours["earlyCloses"]))
    day, found = date(1998, 1, 1), set()
    while day <= date(2028, 12, 31):
        ours = session(day)
        assert (ours is None) == (day.weekday() > 4 or day in closed), day
        if (ours is not None and ours.early) != (day in early):
            found.add(day)
        day += timedelta(1)
    assert found == {
        date(1998, 11, 27),  # LEAN's list of early closes begins in 1999; NYSE closed at 13:00
        date(1998, 12, 24),  # likewise
        date(1999, 12, 31),  # the eve of 2000, 13:00: LEAN lacks it
        date(2017, 12, 24),  # LEAN lists an early close on a Sunday
    }


def test_the_sp500_was_quoted_on_every_session_and_on_no_other_day() -> None:
    """An independent witness: the index's own history."""
    table = pq.read_table(shared("idx_daily_SP500_arch.parquet"))
    quoted = table["date"].to_pylist()
    assert [each.day for each in sessions(quoted[0], quoted[-1])] == quoted


def test_shares_traded_when_the_calendar_says() -> None:
    """A second witness, also for the days LEAN's list lacks: every hour of Bank of America's trading, 1998 to 2021."""
    table = pq.read_table(shared("eq_hour_lean_long.parquet"), filters=[("symbol", "==", "BAC")])
    stamps = table["ts"].cast(pa.timestamp("ns", "UTC")).cast(pa.int64()).to_pylist()
    traded, after_two = dict[date, int](), dict[date, int]()
    for ts, volume in zip(stamps, table["volume"].to_pylist(), strict=True):
        day = calendar.day_of(ts)
        traded[day] = traded.get(day, 0) + volume
        if datetime.fromtimestamp(ts // SECOND, NEW_YORK).hour >= 14:
            after_two[day] = after_two.get(day, 0) + volume
    held = sessions(min(traded), max(traded))
    assert [each.day for each in held] == sorted(traded)
    quiet = {day for day, volume in traded.items() if after_two.get(day, 0) < 0.10 * volume}  # late prints
    assert {each.day for each in held if each.early} == quiet


def test_sessions_are_new_yorks_hours_in_summer_and_winter() -> None:
    """9:30 in New York is 13:30 UTC in July and 14:30 in January."""
    summer, winter = session(date(2024, 7, 2)), session(date(2024, 1, 2))
    assert summer is not None and winter is not None
    assert (
        summer.open == ns("2024-07-02T09:30") == int(datetime.fromisoformat("2024-07-02T13:30Z").timestamp()) * SECOND
    )
    assert winter.open == int(datetime.fromisoformat("2024-01-02T14:30Z").timestamp()) * SECOND
    assert (winter.close, winter.early_open, winter.late_close) == (
        ns("2024-01-02T16:00"),
        ns("2024-01-02T04:00"),
        ns("2024-01-02T20:00"),
    )


@given(DAYS)
def test_a_session_is_where_the_wall_clock_says(day: date) -> None:
    """The offset table agrees with zoneinfo for every hour used, also where the clock changes."""
    ours = session(day)
    if ours is None:
        assert day.weekday() > 4 or calendar.holiday(day)
        return
    assert calendar.holiday(day) is None
    walls = [datetime.fromtimestamp(each // SECOND, NEW_YORK) for each in ours]
    assert {each.date() for each in walls} == {day} == {ours.day}
    opening = calendar.LATE_OPENS.get(day, time(9, 30))
    closing, late = (time(13), time(17)) if ours.early else (time(16), time(20))
    assert [each.time() for each in walls] == [opening, closing, time(4), late]


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2024-07-02T03:59:59", "closed"),
        ("2024-07-02T04:00:00", "pre"),
        ("2024-07-02T09:30:00", "regular"),
        ("2024-07-02T15:59:59", "regular"),
        ("2024-07-02T16:00:00", "post"),
        ("2024-07-02T20:00:00", "closed"),
        ("2024-07-03T12:59:59", "regular"),
        ("2024-07-03T13:00:00", "post"),
        ("2024-07-03T17:00:00", "closed"),
        ("2024-07-04T12:00:00", "closed"),
        ("2024-07-06T12:00:00", "closed"),
        ("2021-12-31T12:00:00", "regular"),  # New Year's Day 2022 was a Saturday
        ("2022-06-20T12:00:00", "closed"),  # Juneteenth on a Sunday
        ("2021-06-18T12:00:00", "regular"),  # not yet a holiday
        ("1997-01-20T12:00:00", "regular"),  # nor this one
        ("2012-10-29T12:00:00", "closed"),
        ("2025-01-09T12:00:00", "closed"),
        ("2002-09-11T11:59:59", "pre"),
        ("2002-09-11T12:00:00", "regular"),
    ],
)
def test_the_market_is(moment: str, expected: str) -> None:
    """The boundaries: an opening is inside, a close outside."""
    assert state(ns(moment)) == expected
    assert state(ns(moment), "crypto") == "regular"


@given(st.integers(ns("1995-01-01T00:00"), ns("2035-01-01T00:00")))
def test_the_next_open_and_close_are_strictly_later_and_nothing_lies_between(ts: int) -> None:
    """Against a list of all sessions."""
    near = sessions(calendar.day_of(ts) - timedelta(1), calendar.day_of(ts) + timedelta(12))
    assert next_open(ts) == min(each.open for each in near if each.open > ts)
    assert next_close(ts) == min(each.close for each in near if each.close > ts)
    assert (state(ts) == "regular") == (next_close(ts) < next_open(ts))


def test_at_the_bell_itself_the_next_one_is_tomorrows() -> None:
    """Strictly later: the opening at 9:30 is not the next opening at 9:30."""
    assert next_open(ns("2024-07-02T09:30")) == ns("2024-07-03T09:30")
    assert next_close(ns("2024-07-02T16:00")) == ns("2024-07-03T13:00")
    assert next_open(ns("2024-07-03T13:00")) == ns("2024-07-05T09:30")


def test_a_list_of_sessions_is_an_array() -> None:
    """Four int64 columns for kernels."""
    table = np.array(sessions(date(2024, 1, 1), date(2024, 12, 31)))
    assert table.shape == (252, 4) and table.dtype == np.int64
    assert (np.diff(table[:, 0]) > 0).all()
    assert Session(*table[0].tolist()) == session(date(2024, 1, 2))


def test_an_option_expiring_on_a_holiday_last_trades_the_session_before() -> None:
    """The monthly of April 2019 expired on Good Friday's eve."""
    assert calendar.expiry_session(date(2019, 4, 19)).day == date(2019, 4, 18)
    assert calendar.expiry_session(date(2019, 4, 20)).day == date(2019, 4, 18)  # Saturday expiries, until 2015
    assert calendar.expiry_session(date(2019, 4, 26)).day == date(2019, 4, 26)
    assert calendar.INDEX_OPTION_EXTRA * 4 == HOUR


def test_easter_is_where_it_was() -> None:
    """Both extremes, and some between."""
    known = [(1818, 3, 22), (1943, 4, 25), (2000, 4, 23), (2008, 3, 23), (2024, 3, 31), (2025, 4, 20), (2038, 4, 25)]
    assert [calendar.easter(y) for y, _, _ in known] == [date(*each) for each in known]
