"""What lies before the feed: bars and ticks of the past, of which nothing at or after its first row is ever told.

Bars are held as arrays, by the length they were told in (`Grains`); a longer one is made of those that fit into it.
Where several lengths cover the same period the longest is believed: the vendor's own day, not the sum of its minutes.
The period in which the feed begins is made of the shortest bars that ended before it, and of the feed's own. Ticks are
read again whenever they are asked for. Prices are as they were: splits and dividends are not applied.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple

import numpy as np

from gpi.formats.frame import Frame
from gpi.formats.instruments import Instrument, Instruments
from gpi.tools.columns import Columns
from gpi.tools.kernels import ticks as tick_columns
from gpi.tools.kernels.data import writing as w
from gpi.tools.venue.data.bars import COLUMNS, MINUTE, Array, Bars, joined, period
from gpi.tools.venue.data.names import alpaca

DAY: Final = 24 * 60 * MINUTE
SPANS: Final = {"minute": MINUTE, "hour": 60 * MINUTE}  # ns; everything else is made of days
KEPT: Final = 256  # answers kept: one for each symbol and length asked for
NONE: Final[Array] = np.empty((0, COLUMNS))
Grains = Mapping[int, Array]  # length of a bar, ns -> (n, COLUMNS), oldest first
Ticks = Callable[[str, int, int], Iterable[Frame]]  # symbol, since, until (ns): its ticks, since <= ts < until


class Wanted(NamedTuple):
    """Ticks of one channel, start <= ts <= end, ns: about `most`, the first or (`last`) the last of them.

    `beyond`: time and number of one they come after, or, with `last`, before.
    """

    channel: int
    start: int
    end: int
    most: int
    last: bool
    beyond: tuple[int, int] | None = None


class Past:
    """Bars by symbol, ticks by the files they are in. Nothing is told before `begins` has said when the feed began."""

    def __init__(self, bars: Mapping[str, Grains] | None = None, ticks: Ticks | None = None) -> None:
        self._bars = {_key(symbol): (symbol, grains) for symbol, grains in (bars or {}).items()}
        self._ticks = ticks
        self._ticked: dict[str, str] = {}
        self._known: OrderedDict[tuple[str, str, int], Array] = OrderedDict()
        self.before = 0  # ns of the feed's first row; 0: not known yet

    def __bool__(self) -> bool:
        return bool(self._bars or self._ticked)

    def begins(self, ts: int) -> None:
        """The feed's first row is at `ts` (ns): what lies before it may be told. Said once; later ones are ignored."""
        self.before = self.before or ts

    def learn(self, instruments: Instruments, frames: Iterable[Frame]) -> None:
        """Make minute bars of all ticks; from now on these instruments' ticks can be asked for."""
        bars, numbers = Bars(instruments), np.zeros((w.CHANNELS, len(instruments)), np.int64)
        last, columns = 0, Columns(tick_columns.Ticks)
        for frame in frames:
            if frame.rows:
                ints, nums = items(frame, numbers, columns)
                last = max(last, int(frame["ts_event"][-1]))
                bars.fold(ints, nums, last)
        bars.fold(np.empty((0, w.INTS), np.int64), np.empty((0, w.NUMS)), last + 2 * MINUTE)
        for each in instruments:
            key, made = _key(alpaca(each)), bars.minutes(each.id)
            self._ticked[key] = each.symbol
            if len(made):
                _, grains = self._bars.get(key, (each.symbol, {}))
                self._bars[key] = each.symbol, {**grains, MINUTE: grains.get(MINUTE, made)}

    def longer(self, each: Instrument, own: Array, amount: int, unit: str) -> Array:
        """Bars of a length out of the past and the feed's own minutes: (n, COLUMNS), oldest first."""
        coin = each.asset_class == "crypto"
        key = _key(alpaca(each))
        if not self.before or key not in self._bars:
            return joined(own, amount, unit, coin)
        if unit not in SPANS and (unit != "day" or amount != 1):
            return joined(self.longer(each, own, 1, "day"), amount, unit, coin)
        span = amount * SPANS.get(unit, DAY)
        edge = self.before // span * span if unit in SPANS else period(self.before, 1, "day", coin)
        held = self._known.get((key, unit, amount))
        if held is None:
            held = self._known[key, unit, amount] = self._closed(key, span, edge, amount, unit, coin)
            if len(self._known) > KEPT:
                self._known.popitem(last=False)
        now = self._open(key, span, edge)
        return np.concatenate([held, joined(np.concatenate([now, own]) if len(now) else own, amount, unit, coin)])

    def _closed(self, key: str, span: int, edge: int, amount: int, unit: str, coin: bool) -> Array:
        """The bars of all periods before the one in which the feed began."""
        found = NONE
        for step, bars in sorted(self._bars[key][1].items()):  # the longest last: it wins
            if step > span or span % step:
                continue
            ended = 0 if step == DAY else step  # a day before the feed's is over, however long it was
            known = bars[(bars[:, 0] < edge) & (bars[:, 0] + ended <= self.before)]
            made = joined(known, amount, unit, coin)
            kept = found[~np.isin(found[:, 0], made[:, 0])]
            both = np.concatenate([kept, made])
            found = both[np.argsort(both[:, 0], kind="stable")]
        return found

    def _open(self, key: str, span: int, edge: int) -> Array:
        """The shortest bars of the period in which the feed began, as far as they had ended."""
        for step, bars in sorted(self._bars[key][1].items()):
            if step <= span and span % step == 0 and step < DAY:
                known = bars[(bars[:, 0] >= edge) & (bars[:, 0] + step <= self.before)]
                if len(known):
                    return known
        return NONE

    def today(self, each: Instrument) -> Array:
        """The bars of the day in which the feed began that had ended when it did."""
        key = _key(alpaca(each))
        if not self.before or key not in self._bars:
            return NONE
        return self._open(key, DAY, period(self.before, 1, "day", each.asset_class == "crypto"))

    def told(self, each: Instrument, wanted: Wanted) -> tuple[Array, Array]:
        """Items of an instrument from before the feed, oldest first; numbered from the start of what is wanted."""
        symbol, until = self._ticked.get(_key(alpaca(each))), min(wanted.end + 1, self.before)
        if symbol is None or self._ticks is None or wanted.start >= until:
            return np.empty((0, w.INTS), np.int64), np.empty((0, w.NUMS))
        numbers = np.zeros((w.CHANNELS, 1), np.int64)
        parts: list[tuple[Array, Array]] = []
        count, columns = 0, Columns(tick_columns.Ticks)
        for frame in self._ticks(symbol, wanted.start, until):
            if not frame.rows:
                continue
            ints, nums = items(frame, numbers, columns)
            mine = ints[:, w.I_CHANNEL] == wanted.channel
            if wanted.beyond is not None:
                (ts, n), way = wanted.beyond, -1 if wanted.last else 1
                at, number = way * (ints[:, w.I_TS] - ts), way * (ints[:, w.I_Q] - n)
                mine &= (at > 0) | ((at == 0) & (number > 0))
            parts.append((ints[mine], nums[mine]))
            count += int(mine.sum())
            if count >= wanted.most and not wanted.last:
                break
            while wanted.last and parts and count - len(parts[0][0]) >= wanted.most:
                count -= len(parts.pop(0)[0])
        if not parts:
            return np.empty((0, w.INTS), np.int64), np.empty((0, w.NUMS))
        ints, nums = (np.concatenate(column) for column in zip(*parts, strict=True))
        ints[:, w.I_INSTRUMENT] = each.id
        return ints, nums


def items(frame: Frame, numbers: Array, columns: Columns) -> tuple[Array, Array]:
    """What the rows of a frame say, item by item, numbered on from `numbers` (channels, instruments).

    `columns`: over Ticks, the caller's own: not for two threads.
    """
    most = 4 * frame.rows
    ints, nums = np.zeros((most, w.INTS), np.int64), np.zeros((most, w.NUMS))
    n = w.expanded(*columns.over(frame), numbers, ints, nums)
    return ints[:n], nums[:n]


def _key(symbol: str) -> str:
    return symbol.upper().replace("/", "").replace("-", "").replace(" ", "")
