"""Pages of history: what was asked (times, limit, order, where to go on), and one page of it for several symbols.

A page token names the last row that was given (symbol, time, number), so that pages fit together however much has
been told, kept or dropped in between. It is opaque to clients.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from gpi.formats.instruments import Instrument
from gpi.tools.kernels.data import writing as w
from gpi.tools.venue.data.bars import MINUTE, NEW_YORK, midnight
from gpi.tools.venue.data.past import Wanted
from gpi.tools.venue.data.store import Gone, Store
from gpi.tools.venue.money import DIGITS, SHOWN
from gpi.tools.venue.refusals import Refusal

Array = npt.NDArray[Any]
UNITS: Final = {"Min": "minute", "T": "minute", "Hour": "hour", "H": "hour", "Day": "day", "D": "day",
                "Week": "monday week", "W": "monday week", "Month": "month", "M": "month"}  # fmt: skip
NO_INTS: Final = np.empty((0, w.INTS), np.int64)
NO_NUMS: Final = np.empty((0, w.NUMS))
LEAST, MOST, USUAL = 1, 10_000, 1_000  # rows in a page
EPOCHS: Final = ((10**11, 10**9), (10**14, 10**6), (10**17, 10**3))  # an integer below is of seconds, ms, us
FOREVER: Final = 1 << 62
EPOCH: Final = re.compile(r"-?[0-9]{9,19}")
TIMEFRAME: Final = re.compile(r"([0-9]{0,3})([A-Za-z]+)")
Row = dict[str, Any]


class Span(NamedTuple):
    """What of a series is wanted: start <= time <= end (ns), at most `limit` rows, newest first if `desc`."""

    start: int
    end: int
    limit: int
    desc: bool
    after: tuple[str, int, int] | None  # symbol, time, number of the last row given


def refused(message: str) -> Refusal:
    """A question that cannot be answered: 400."""
    return Refusal(400, 40010000, message)


def gone(wrong: Gone) -> Refusal:
    """What is asked is no longer kept."""
    return refused(f"the venue keeps only its last ticks: nothing complete is left before {wrong.since} (ns); "
                   "ask for a later start, or keep more (Store(keep=...))")  # fmt: skip


def instant(text: str, zone: Any = UTC) -> int:
    """ns of a time as clients write it: RFC 3339, YYYY-MM-DD, or an integer of s, ms, us or ns. Raises Refusal."""
    try:
        if EPOCH.fullmatch(text):
            number = int(text)
            return bounded(number * next((unit for most, unit in EPOCHS if abs(number) < most), 1))
        if len(text) == 10:
            found = datetime.combine(date.fromisoformat(text), datetime.min.time(), zone)
            return bounded(int(found.timestamp()) * 10**9)
        head, dot, tail = text.replace(" ", "+").partition(".")
        fraction = tail.split("+")[0].split("-")[0].rstrip("Zz")
        rest = tail[len(fraction) :] if dot else ""
        moment = datetime.fromisoformat(head + rest)
        whole = int(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp())
        return bounded(whole * 10**9 + int(fraction.ljust(9, "0")[:9] or 0))
    except (ValueError, OverflowError):
        raise refused(f"invalid time: {text[:SHOWN]}") from None


def last_instant(text: str, zone: Any = UTC) -> int:
    """The end that a time means: of a bare day its last nanosecond, so that the day is in. Raises Refusal."""
    begun = instant(text, zone)
    if len(text) != 10 or EPOCH.fullmatch(text):
        return begun
    try:
        following = (date.fromisoformat(text) + timedelta(1)).isoformat()
    except (ValueError, OverflowError):
        return FOREVER
    return instant(following, zone) - 1


def bounded(ts: int) -> int:
    """A time that the store can hold: what lies beyond is as good as for ever."""
    return max(-FOREVER, min(FOREVER, ts))


def number(text: str | None, name: str, least: int, most: int, usual: int) -> int:
    """A whole number of a query within bounds; `usual` where there is none. Raises Refusal 400."""
    if not text:
        return usual
    if DIGITS.fullmatch(text) is None or not least <= int(text) <= most:
        raise refused(f"invalid {name}: must be {least}..{most}")
    return int(text)


def span(query: Mapping[str, str], now: int, crypto: bool, usual: int = USUAL) -> Span:
    """What an Alpaca query asks for; without a start, from the beginning of the day. Raises Refusal."""
    zone = UTC if crypto else NEW_YORK  # of a bare day, as of the bars of days
    start = instant(query["start"], zone) if query.get("start") else midnight(now, crypto)
    end = last_instant(query["end"], zone) if query.get("end") else FOREVER
    if end < start:
        raise refused("end should not be before start")
    limit = number(query.get("limit"), "limit", LEAST, MOST, usual)
    return Span(start, end, limit, descending(query, "sort", "asc"), after(query.get("page_token")))


def descending(query: Mapping[str, str], name: str, usual: str) -> bool:
    """Whether newest or last comes first: `name` says asc or desc. Raises Refusal."""
    told = query.get(name) or usual
    if told not in ("asc", "desc"):
        raise refused(f"invalid {name}: must be asc or desc")
    return told == "desc"


def token(symbol: str, ts: int, number: int) -> str:
    """Where the next page goes on: after this row."""
    return base64.urlsafe_b64encode(f"{symbol}|{ts}|{number}".encode()).decode()


def after(given: str | None) -> tuple[str, int, int] | None:
    """The row a page token names. Raises Refusal for one we never gave."""
    if not given:
        return None
    try:
        symbol, ts, number = base64.urlsafe_b64decode(given.encode()).decode().rsplit("|", 2)
        return symbol, bounded(int(ts)), bounded(int(number))
    except (ValueError, binascii.Error):
        raise refused("invalid page token") from None


def timeframe(text: str) -> tuple[int, str]:
    """How long a bar is: 1Min, 15T, 1Hour, 1Day, 1Week, 3Month. Raises Refusal."""
    found = TIMEFRAME.fullmatch(text)
    unit = UNITS.get(found[2]) if found else None
    amount = int(found[1] or 1) if found else 0
    most = {"minute": 59, "hour": 23, "day": 1, "monday week": 1, "month": 12}
    if unit is None or not 1 <= amount <= most[unit]:
        raise refused(f"invalid timeframe: {text[:SHOWN]}")
    return amount, unit


def pages(
    instruments: Sequence[Instrument], called: Callable[[Instrument], str], asked: Span,
    rows: Callable[[Instrument, Span], tuple[Array, Array, Callable[[int], Row]]],
) -> tuple[dict[str, list[Row]], str | None]:  # fmt: skip
    """One page, symbol after symbol: rows by name, and the token of the next page.

    `rows` gives the times and numbers of an instrument's rows, oldest first, and a way to make one a dict.
    """
    found: dict[str, list[Row]] = {}
    left, last = asked.limit, None
    for each in sorted(instruments, key=called):
        name = called(each)
        if asked.after is not None and name < asked.after[0]:
            continue
        ts, number, shown = rows(each, asked)
        order = np.lexsort((number, ts))[:: -1 if asked.desc else 1]
        if asked.after is not None and name == asked.after[0]:
            _, t, n = asked.after
            way = -1 if asked.desc else 1
            given = (way * ts[order] < way * t) | ((ts[order] == t) & (way * number[order] <= way * n))
            order = order[~given]
        if len(order) and left == 0:
            return found, last
        page = order[:left]
        if len(page):
            found[name] = [shown(int(k)) for k in page]
            last = token(name, int(ts[page[-1]]), int(number[page[-1]]))
        left -= len(page)
        if len(order) > len(page):
            return found, last
    return found, None


def bar_rows(store: Store, each: Instrument, asked: Span, amount: int, unit: str) -> Array:
    """The bars of an instrument that begin within a span: (n, COLUMNS of bars)."""
    bars = store.longer(each, amount, unit)
    begun = bars[:, 0].astype(np.int64)  # floats would take the last nanosecond of a day for the next
    return bars[(begun >= asked.start) & (begun <= asked.end)] if len(bars) else bars


async def past_ticks(
    store: Store, instruments: Sequence[Instrument], called: Callable[[Instrument], str], channel: int, asked: Span
) -> dict[int, tuple[Array, Array]]:
    """Quotes or trades from before the feed, by instrument id: as many as one page needs. Read in a thread: a file."""
    found: dict[int, tuple[Array, Array]] = {}
    count = 0
    for each in sorted(instruments, key=called) if asked.start < store.past.before else ():
        name, after = called(each), asked.after
        if after is not None and name < after[0]:
            continue
        beyond = after[1:] if after is not None and after[0] == name else None
        wanted = Wanted(channel, asked.start, asked.end, asked.limit + 1, asked.desc, beyond)
        found[each.id] = await asyncio.to_thread(store.past.told, each, wanted)
        count += len(found[each.id][0])
        if count > asked.limit:
            break
    return found


def ticks_between(
    store: Store, each: Instrument, channel: int, asked: Span, before: tuple[Array, Array] | None = None
) -> tuple[Array, Array]:
    """Quotes or trades within a span, with those from before the feed; without a start, all there are.

    Raises Refusal for what is gone.
    """
    start = max(asked.start, store.past.before)
    start = max(start, store.evicted + 1) if asked.start == -FOREVER else start
    found = (NO_INTS, NO_NUMS) if before is None else before
    if start > asked.end or (len(found[0]) > asked.limit and not asked.desc):
        return found
    try:
        own = store.since(each.id, channel, start, asked.end)
        return (np.concatenate([found[0], own[0]]), np.concatenate([found[1], own[1]])) if len(found[0]) else own
    except Gone as wrong:
        raise gone(wrong) from None


def days_ago(now: int, days: int) -> int:
    """Midnight in New York some days before a moment, ns."""
    day = datetime.fromtimestamp(now // 10**9, NEW_YORK).date() - timedelta(days=days)
    return int(datetime(day.year, day.month, day.day, tzinfo=NEW_YORK).timestamp()) * 10**9


def minute_before(now: int) -> int:
    """The beginning of the minute before a moment's."""
    return now // MINUTE * MINUTE - MINUTE
