"""The US market's days by rule: NYSE holidays, early closes, and the hours before and after the session.

Times are ns since the epoch in UTC; hours are New York's, by `zoneinfo`, so daylight saving is right on every day.
Sources: NYSE Rule 7.2 (holidays and their observance), the exchange's yearly notices for early closes, its list of
days of mourning and emergencies. Exact to the minute from 1998 on but for unplanned halts and minutes of silence;
for earlier years the same rules stand, which is close.
Listed options keep these sessions; those on broad indices and some funds trade 15 minutes longer. Crypto never closes.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import cache, lru_cache
from typing import Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

from gpi.formats.words import SECOND

NEW_YORK: Final = ZoneInfo("America/New_York")
HOUR: Final = 3600 * SECOND
INDEX_OPTION_EXTRA: Final = HOUR // 4
"""How much longer than shares options on broad indices trade, in ns."""

State = Literal["closed", "pre", "regular", "post"]

_MONDAY, _THURSDAY, _FRIDAY, _SATURDAY, _SUNDAY = 0, 3, 4, 5, 6
_DAY: Final = timedelta(1)

ONE_OFF_CLOSURES: Final = {
    date(2001, 9, 11): "attacks of September 11",
    date(2001, 9, 12): "attacks of September 11",
    date(2001, 9, 13): "attacks of September 11",
    date(2001, 9, 14): "attacks of September 11",
    date(2004, 6, 11): "mourning of President Reagan",
    date(2007, 1, 2): "mourning of President Ford",
    date(2012, 10, 29): "Hurricane Sandy",
    date(2012, 10, 30): "Hurricane Sandy",
    date(2018, 12, 5): "mourning of President G. H. W. Bush",
    date(2025, 1, 9): "mourning of President Carter",
}
ONE_OFF_EARLY_CLOSES: Final = (date(1999, 12, 31), date(2003, 12, 26))
LATE_OPENS: Final = {date(2002, 9, 11): time(12)}
"""The first anniversary of the attacks."""


class Session(NamedTuple):
    """One trading day, ns UTC: pre-market [early_open, open), regular [open, close), after-hours [close, late_close).

    A list of sessions is an int64 array of four columns to numpy.
    """

    open: int
    close: int
    early_open: int
    late_close: int

    @property
    def early(self) -> bool:
        """Does the session end at 13:00?"""
        return self.close - self.early_open < 12 * HOUR

    @property
    def day(self) -> date:
        """The trading day in New York."""
        return day_of(self.open)

    def state(self, ts: int) -> State:
        """What the market is at `ts`, as far as this session goes."""
        if self.open <= ts < self.close:
            return "regular"
        if self.early_open <= ts < self.open:
            return "pre"
        return "post" if self.close <= ts < self.late_close else "closed"


def day_of(ts_ns: int) -> date:
    """The date in New York at this instant, ns since the epoch."""
    return datetime.fromtimestamp(ts_ns // SECOND, NEW_YORK).date()


def holiday(day: date) -> str | None:
    """Why the exchange keeps this weekday closed; None on sessions and on weekends."""
    if day.weekday() >= _SATURDAY:
        return None
    return _holidays(day.year).get(day) or ONE_OFF_CLOSURES.get(day)


@lru_cache(16384)
def session(day: date) -> Session | None:
    """The session of this New York date; None when the exchange is closed."""
    if day.weekday() >= _SATURDAY or holiday(day):
        return None
    early = _closes_early(day)
    return Session(
        _instant(day, LATE_OPENS.get(day, time(9, 30))),
        _instant(day, time(13) if early else time(16)),
        _instant(day, time(4)),
        _instant(day, time(17) if early else time(20)),
    )


def sessions(first: date, last: date) -> list[Session]:
    """Every session from `first` to `last`, both included."""
    found = (session(first + timedelta(n)) for n in range((last - first).days + 1))
    return [each for each in found if each]


def state(ts_ns: int, asset_class: str = "equity") -> State:
    """What the market is at this instant; crypto is always "regular"."""
    if asset_class == "crypto":
        return "regular"
    today = session(day_of(ts_ns))
    return "closed" if today is None else today.state(ts_ns)


def next_open(ts_ns: int) -> int:
    """The first opening of the regular session strictly after this instant, ns."""
    return next(each.open for each in _from(ts_ns) if each.open > ts_ns)


def next_close(ts_ns: int) -> int:
    """The first end of a regular session strictly after this instant, ns."""
    return next(each.close for each in _from(ts_ns) if each.close > ts_ns)


def part_of(ts_ns: int) -> tuple[int, int]:
    """What the market is at this instant, 0 closed, 1 pre, 2 regular, 3 post, and when that ends, ns."""
    for each in _from(ts_ns):
        for part, bell in enumerate((each.early_open, each.open, each.close, each.late_close)):
            if ts_ns < bell:
                return part, bell
    raise AssertionError("sessions never end")


def expiry_session(expiry: date) -> Session:
    """The session in which an option with this expiry last trades: that day, or the last one before a holiday."""
    while (found := session(expiry)) is None:
        expiry -= _DAY
    return found


def _from(ts_ns: int) -> Iterator[Session]:
    day = day_of(ts_ns)
    while True:
        found = session(day)
        if found is not None:
            yield found
        day += _DAY


def _instant(day: date, at: time) -> int:
    """ns since the epoch of this wall time; without floats, exact. Zone offsets come from a table of the year."""
    wall = datetime(day.year, day.month, day.day, at.hour, at.minute, tzinfo=UTC)
    starts, offsets = _offsets(day.year)
    return (int(wall.timestamp()) - offsets[bisect_right(starts, day) - 1]) * SECOND


@cache
def _offsets(year: int) -> tuple[list[date], list[int]]:
    """The days on which New York's noon offset to UTC changes, and that offset from there on, seconds."""
    starts, offsets = list[date](), list[int]()
    day = date(year, 1, 1)
    while day.year == year:
        offset = datetime(day.year, day.month, day.day, 12, tzinfo=NEW_YORK).utcoffset()
        seconds = int(offset.total_seconds()) if offset is not None else 0
        if not offsets or offsets[-1] != seconds:
            starts.append(day)
            offsets.append(seconds)
        day += _DAY
    return starts, offsets


@cache
def _holidays(year: int) -> dict[date, str]:
    """The regular holidays on which the exchange is closed, observed days included."""
    new_year = date(year, 1, 1)
    found = {
        _nth(year, 2, _MONDAY, 3): "Washington's Birthday",
        easter(year) - 2 * _DAY: "Good Friday",
        _last_monday_of_may(year): "Memorial Day",
        _observed(date(year, 7, 4)): "Independence Day",
        _nth(year, 9, _MONDAY, 1): "Labor Day",
        _nth(year, 11, _THURSDAY, 4): "Thanksgiving Day",
        _observed(date(year, 12, 25)): "Christmas Day",
    }
    if new_year.weekday() != _SATURDAY:  # the Friday before is the last session of a year: it is kept open
        found[_observed(new_year)] = "New Year's Day"
    if year >= 1998:
        found[_nth(year, 1, _MONDAY, 3)] = "Martin Luther King Jr. Day"
    if year >= 2022:
        found[_observed(date(year, 6, 19))] = "Juneteenth"
    return found


def _observed(day: date) -> date:
    """A holiday on a Saturday is kept on the Friday before, one on a Sunday on the Monday after."""
    return day - _DAY if day.weekday() == _SATURDAY else day + _DAY if day.weekday() == _SUNDAY else day


def _nth(year: int, month: int, weekday: int, n: int) -> date:
    first = date(year, month, 1)
    return first + timedelta((weekday - first.weekday()) % 7 + 7 * (n - 1))


def _last_monday_of_may(year: int) -> date:
    last = date(year, 5, 31)
    return last - timedelta(last.weekday())


def easter(year: int) -> date:
    """Easter Sunday of the Gregorian calendar (the anonymous algorithm; Meeus, Astronomical Algorithms, ch. 8)."""
    a, (b, c) = year % 19, divmod(year, 100)
    d, e = divmod(b, 4)
    g = (b - (b + 8) // 25 + 1) // 3
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    m = (32 + 2 * e + 2 * i - h - k) % 7
    n = (a + 11 * h + 22 * m) // 451
    month, day = divmod(h + m - 7 * n + 114, 31)
    return date(year, month, day + 1)


def _closes_early(day: date) -> bool:
    """13:00: after Thanksgiving, on Christmas Eve, and on the day next to Independence Day.

    That is July 3 from Monday to Thursday, except that until 2012 a Wednesday's was the Friday after, July 5.
    """
    month, number, weekday = day.month, day.day, day.weekday()
    if month == 7 and number == 3:
        return weekday != 2 or day.year >= 2013
    if month == 7 and number == 5:
        return weekday == _FRIDAY and day.year < 2013
    if month == 12 and number == 24:
        return True  # a Friday's is the observed holiday
    return day == _nth(day.year, 11, _THURSDAY, 4) + _DAY or day in ONE_OFF_EARLY_CLOSES
