"""Bars the venue makes of its own trades: each second and minute as it closes, the day beside it, and the past.

Every trade counts, odd lots and prints off the exchange too. A minute without trades has no bar. A trade that comes
late changes the bar of its minute, which is then told again as an updated bar.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from gpi.formats.instruments import Instruments
from gpi.formats.market.calendar import day_of
from gpi.formats.words import SECOND
from gpi.tools.kernels.data import bars as k
from gpi.tools.kernels.data import writing as w

Array = npt.NDArray[Any]
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
NEW_YORK: Final = ZoneInfo("America/New_York")
COLUMNS: Final = 8  # of a kept bar: start ns, open, high, low, close, volume, vwap, trades
VWAP_DECIMALS: Final = 6


def midnight(ts: int, crypto: bool) -> int:
    """When the trading day of a moment began: midnight in New York, for coins midnight UTC. All ns."""
    if crypto:
        return ts - ts % (24 * 60 * MINUTE)
    day = day_of(ts)
    return int(datetime(day.year, day.month, day.day, tzinfo=NEW_YORK).timestamp()) * SECOND


@dataclass
class _Span:
    """The open bars of one span."""

    span: int
    channel: int
    bars: Array = field(default_factory=lambda: np.full((0, k.BAR_FIELDS), k.IDLE))
    days: Array = field(default_factory=lambda: np.full((0, k.BAR_FIELDS), k.IDLE))
    active: Array = field(default_factory=lambda: np.zeros(1, np.int64))

    def room(self, instruments: int) -> None:
        """Make room for new instruments."""
        new = instruments - len(self.bars)
        if new > 0:
            empty = np.full((new, k.BAR_FIELDS), k.IDLE)
            self.bars, self.days = np.concatenate([self.bars, empty]), np.concatenate([self.days, empty])
            self.active = np.concatenate([self.active[:-1], np.zeros(new, np.int64), self.active[-1:]])


class Bars:
    """Folds items, gives back bars as items, and remembers every minute."""

    def __init__(self, instruments: Instruments) -> None:
        self._instruments = instruments
        self._spans = (_Span(SECOND, w.SECONDS), _Span(MINUTE, w.BAR))
        self._past: dict[int, list[Array]] = {}  # by instrument: rows of COLUMNS
        self._coins: Array = np.zeros(0, bool)
        self._midnights = (0, 0)
        self._next = 0  # ns until which the midnights hold

    def fold(self, ints: Array, nums: Array, until: int) -> tuple[Array, Array]:
        """The bars that closed with these items, and by `until` (ns): as items, in order of their ends."""
        made: list[tuple[Array, Array]] = []
        self._turn_midnight(until)
        if len(self._coins) != len(self._instruments):
            self._coins = np.array([each.asset_class == "crypto" for each in self._instruments], bool)
        coins = self._coins
        for each in self._spans:
            each.room(len(self._instruments))
            day = np.where(coins, self._midnights[1], self._midnights[0]) // each.span
            closed = np.empty((len(ints) + len(coins) + 1, 1 + 2 * k.BAR_FIELDS))
            late = np.zeros(len(ints), np.uint8)
            n = k.folded(
                ints, nums, len(ints), each.span, day.astype(np.float64), each.bars, each.days, each.active,
                closed, late, until,
            )  # fmt: skip
            if n:
                made += self._items(each, closed[:n])
            if each.channel == w.BAR and late.any():
                made += [self._late(i, x) for i, x in zip(ints[late > 0], nums[late > 0], strict=True)]
        if not made:
            return np.empty((0, w.INTS), np.int64), np.empty((0, w.NUMS))
        found = np.concatenate([a for a, _ in made]), np.concatenate([b for _, b in made])
        order = np.lexsort((found[0][:, w.I_CHANNEL], found[0][:, w.I_RECV]))
        return found[0][order], found[1][order]

    def _turn_midnight(self, now: int) -> None:
        if now >= self._next:
            stocks, coins = midnight(now, False), midnight(now, True)
            self._midnights = stocks, coins
            self._next = min(stocks, coins) + 24 * 60 * MINUTE
            if self._next <= now:
                self._next = now + MINUTE

    def _items(self, span: _Span, closed: Array) -> list[tuple[Array, Array]]:
        ids, bar, day = closed[:, 0].astype(np.int64), closed[:, 1 : 1 + k.BAR_FIELDS], closed[:, 1 + k.BAR_FIELDS :]
        ints, nums = _bar_items(ids, bar, day, span.span, span.channel)
        if span.channel != w.BAR:
            return [(ints, nums)]
        for i, row, x in zip(ids, ints, nums, strict=True):
            kept = np.array([row[w.I_TS], *x[:4], x[w.N_SZ], x[w.N_PX], row[w.I_ID]])
            self._past.setdefault(int(i), []).append(kept)
        daily = _bar_items(ids, day, day, span.span, w.DAILY)
        daily[0][:, w.I_RECV] = ints[:, w.I_RECV]  # told when its minute is over
        return [(ints, nums), daily]

    def _late(self, ints: Array, nums: Array) -> tuple[Array, Array]:
        """A trade into a bar that is closed: the bar as it is now."""
        i, start = int(ints[w.I_INSTRUMENT]), int(ints[w.I_TS]) // MINUTE * MINUTE
        px, sz = float(nums[w.N_PX]), float(nums[w.N_SZ])
        bars = self._past.setdefault(i, [])
        at = next((n for n in range(len(bars) - 1, -1, -1) if bars[n][0] <= start), -1)
        if at < 0 or bars[at][0] != start:
            at += 1
            bars.insert(at, np.array([start, px, px, px, px, 0.0, px, 0.0]))
        bar = bars[at]
        money = bar[6] * bar[5] + px * sz
        bar[2], bar[3], bar[4] = max(bar[2], px), min(bar[3], px), px
        bar[5] += sz
        bar[6] = round(money / bar[5], VWAP_DECIMALS) if bar[5] else px
        bar[7] += 1.0
        a, b = np.zeros((1, w.INTS), np.int64), np.zeros((1, w.NUMS))
        a[0, [w.I_TS, w.I_RECV, w.I_INSTRUMENT, w.I_CHANNEL, w.I_ID]] = start, start + MINUTE, i, w.UPDATED, bar[7]
        b[0, :6] = bar[1], bar[2], bar[3], bar[4], bar[6], bar[5]
        return a, b

    def minutes(self, instrument_id: int) -> Array:
        """Every closed minute of an instrument, (n, COLUMNS), oldest first."""
        kept = self._past.get(instrument_id)
        return np.array(kept) if kept else np.empty((0, COLUMNS))

    def day(self, instrument_id: int) -> Array | None:
        """The day's bar so far, with the minute that is still open: (COLUMNS,), or None."""
        days = self._spans[1].days
        if instrument_id >= len(days) or days[instrument_id, k.START] < 0:
            return None
        return _kept(days[instrument_id], MINUTE)


def _kept(bar: Array, span: int) -> Array:
    vwap = bar[k.MONEY] / bar[k.VOLUME] if bar[k.VOLUME] else bar[k.CLOSE]
    start = bar[k.START] * span
    return np.array([start, *bar[k.OPEN : k.CLOSE + 1], bar[k.VOLUME], round(vwap, VWAP_DECIMALS), bar[k.TRADES]])


def _bar_items(ids: Array, bar: Array, day: Array, span: int, channel: int) -> tuple[Array, Array]:
    ints, nums = np.zeros((len(ids), w.INTS), np.int64), np.zeros((len(ids), w.NUMS))
    start = bar[:, k.START].astype(np.int64) * span
    ints[:, w.I_TS], ints[:, w.I_RECV] = start, start + span
    ints[:, w.I_INSTRUMENT], ints[:, w.I_CHANNEL], ints[:, w.I_ID] = ids, channel, bar[:, k.TRADES]
    with np.errstate(divide="ignore", invalid="ignore"):
        ints[:, w.I_BOOK] = np.rint(bar[:, k.VOLUME] / np.maximum(bar[:, k.TRADES], 1.0)).astype(np.int64)
        vwap = np.where(bar[:, k.VOLUME] > 0, bar[:, k.MONEY] / bar[:, k.VOLUME], bar[:, k.CLOSE])
        day_vwap = np.where(day[:, k.VOLUME] > 0, day[:, k.MONEY] / day[:, k.VOLUME], day[:, k.CLOSE])
    nums[:, :4] = bar[:, k.OPEN : k.CLOSE + 1]
    nums[:, w.N_PX], nums[:, w.N_SZ] = np.round(vwap, VWAP_DECIMALS), bar[:, k.VOLUME]
    nums[:, w.N_DAY_VOLUME], nums[:, w.N_DAY_OPEN] = day[:, k.VOLUME], day[:, k.OPEN]
    nums[:, w.N_DAY_VWAP] = np.round(day_vwap, VWAP_DECIMALS)
    return ints, nums


def joined(minutes: Array, amount: int, unit: str, crypto: bool) -> Array:
    """Minute bars as longer ones: unit minute, hour, day, week, monday week, month, quarter or year."""
    if not len(minutes):
        return minutes
    starts = minutes[:, 0].astype(np.int64)
    if unit in ("minute", "hour"):
        span = amount * MINUTE * (60 if unit == "hour" else 1)
        keys = starts // span * span
    else:
        hours, of = np.unique(starts // HOUR, return_inverse=True)  # days begin at full hours
        keys = np.array([period(int(hour) * HOUR, amount, unit, crypto) for hour in hours], np.int64)[of]
    edges = np.flatnonzero(np.diff(keys, prepend=-1))
    volume = np.add.reduceat(minutes[:, 5], edges)
    money = np.add.reduceat(minutes[:, 5] * minutes[:, 6], edges)
    last = np.append(edges[1:], len(keys)) - 1
    with np.errstate(divide="ignore", invalid="ignore"):
        vwap = np.where(volume > 0, money / volume, minutes[last, 4])
    return np.column_stack([
        keys[edges], minutes[edges, 1], np.maximum.reduceat(minutes[:, 2], edges),
        np.minimum.reduceat(minutes[:, 3], edges), minutes[last, 4], volume, np.round(vwap, VWAP_DECIMALS),
        np.add.reduceat(minutes[:, 7], edges),
    ])  # fmt: skip


def period(ts: int, amount: int, unit: str, crypto: bool) -> int:
    """When the day, week, month, quarter or year of a moment began, ns; several days count from 1970.

    A week begins on Sunday, as Polygon's do; Alpaca's, a "monday week", on Monday.
    """
    zone: Any = UTC if crypto else NEW_YORK
    day = datetime.fromtimestamp(ts // SECOND, zone).date()
    if unit == "week":
        day -= timedelta(days=(day.weekday() + 1) % 7)
    elif unit == "monday week":
        day -= timedelta(days=day.weekday())
    elif unit == "day":
        day -= timedelta(days=day.toordinal() % amount)
    else:
        months = amount * {"month": 1, "quarter": 3, "year": 12}[unit]
        count = (day.year * 12 + day.month - 1) // months * months
        day = day.replace(year=count // 12, month=count % 12 + 1, day=1)
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()) * SECOND
