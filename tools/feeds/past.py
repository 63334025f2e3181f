"""What lies before a feed: bars as a vendor told them, and the files whose ticks make bars and can be read again.

A table of bars becomes arrays of (start ns, open, high, low, close, volume, vwap, trades), by symbol and by the length
of its bars, which is what all steps between two of the symbol in the file are multiples of. A bar is known at its end,
so none may be taken for a shorter one: a lone bar is as long as the longest of the file, and bars longer than a day,
whose end no step tells, are left out. Where a table tells no vwap that is the mean of the four prices, and a count of
trades it does not tell is 0. All else must be ticks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gpi.formats.errors import BadInput
from gpi.formats.frame import Array, Frame
from gpi.formats.instruments import Instrument
from gpi.formats.quarantine import Quarantine
from gpi.formats.vendors.bars import BARS, BARS_BY_END, DAILY_BARS, NEW_YORK, OPTION_QUOTE_BARS, OPTION_TRADE_BARS
from gpi.formats.vendors.layout import Vendor, nanos
from gpi.tools.feeds.excerpt import excerpt
from gpi.tools.feeds.files import open_ticks
from gpi.tools.feeds.paths import expanded, is_ours, parquet_schema
from gpi.tools.feeds.vendors import vendor_of
from gpi.tools.stage import Stream

TABLES: Final = (OPTION_QUOTE_BARS, OPTION_TRADE_BARS, BARS, BARS_BY_END, DAILY_BARS)
DAY: Final = 86_400 * 10**9
HOUR: Final = 3_600 * 10**9
ROWS: Final = 1 << 18  # of a table read at once
BATCH: Final = 1 << 13  # rows of a frame of ticks
PRICES: Final = ("open", "high", "low", "close")
VWAP: Final = ("vwap", "vw")
TRADES: Final = ("trades", "trade_count", "n")


@dataclass(frozen=True, slots=True)
class PastFiles:
    """`bars`: by symbol, length of a bar (ns) -> rows, oldest first. `ticks`: every tick of the other files."""

    instruments: dict[str, Instrument] = field(default_factory=dict)
    bars: dict[str, dict[int, Array]] = field(default_factory=dict)
    paths: tuple[Path, ...] = ()
    dropped: int = 0  # rows of tables that were no bars

    def ticks(self) -> Stream | None:
        """All ticks of the files that are no bars; None where all are bars. Raises BadInput."""
        return open_ticks(self.paths, batch=BATCH, quarantine=Quarantine()) if self.paths else None

    def ticks_of(self, symbol: str, since: int, until: int) -> Iterator[Frame]:
        """The ticks of one symbol with since <= ts_event < until, ns; its instrument_id is 0. Raises BadInput."""
        stream = open_ticks(self.paths, batch=BATCH, symbols=(symbol,), quarantine=Quarantine())
        return excerpt(stream.frames, since, until)


def past_files(sources: Sequence[str]) -> PastFiles:
    """Read the tables of bars among files, globs and lakes, and find the ticks. Raises BadInput for what is neither."""
    found, paths = _Tables(), []
    for name in expanded([Path(each) for each in sources]):
        vendor = _table(name)
        if vendor is None:
            paths.append(Path(name))
        elif name.endswith(".parquet"):
            found.read(name, vendor)
        else:
            raise BadInput(f"{name}: bars of the past are read from Parquet")
    return PastFiles(found.instruments, found.merged(), tuple(paths), found.dropped)


def _table(name: str) -> Vendor | None:
    """The layout of a table of bars; None for anything else."""
    with open(name, "rb") as file:
        parquet = file.read(4) == b"PAR1"
    if parquet:
        schema = parquet_schema(name)
        if is_ours(schema):
            return None
        found = vendor_of(name, schema.names)
        return found if found in TABLES else None
    if ".csv" in name:
        with pa.input_stream(name, compression="detect") as stream:
            found = vendor_of(name, stream.read(1 << 16).split(b"\n")[0].decode(errors="replace").strip().split(","))
        return found if found in TABLES else None
    return None


class _Tables:
    """Bars by symbol and step, as tables are read."""

    def __init__(self) -> None:
        self.instruments: dict[str, Instrument] = {}
        self.dropped = 0
        self._parts: dict[str, dict[int, list[Array]]] = {}

    def read(self, path: str, vendor: Vendor) -> None:
        """Take in a table."""
        columns = parquet_schema(path).names
        if "close" not in columns:
            raise BadInput(f"{path} holds quotes alone: bars of the past need a column `close`")
        more = [n for n in ("volume", *PRICES, *VWAP, *TRADES) if n in columns]
        rows: dict[str, list[Array]] = {}
        try:
            with pq.ParquetFile(path) as file:
                for batch in file.iter_batches(ROWS, columns=list(dict.fromkeys((*vendor.keys, vendor.clock, *more)))):
                    self._take(batch, vendor, rows)
        except (pa.ArrowException, OSError) as wrong:
            raise BadInput(f"{path} is damaged: {wrong}") from wrong
        tables = {symbol: _once(np.concatenate(parts)) for symbol, parts in rows.items()}
        lengths = {symbol: length(table[:, 0]) for symbol, table in tables.items() if len(table) > 1}
        longest = max((each for each in lengths.values() if each <= DAY), default=DAY)
        for symbol, table in tables.items():
            step = lengths.get(symbol, DAY if vendor.clock == "date" else longest)
            if step > DAY:
                self.dropped += len(table)
                continue
            if vendor.clock == "ts_end":
                table[:, 0] -= step
            if step == DAY and vendor.instrument(symbol).asset_class != "crypto":
                table[:, 0] = _new_york(table[:, 0])
            self._parts.setdefault(symbol, {}).setdefault(step, []).append(table)
            self.instruments.setdefault(symbol, vendor.instrument(symbol))

    def _take(self, batch: pa.RecordBatch, vendor: Vendor, into: dict[str, list[Array]]) -> None:
        clock = batch.column(vendor.clock)
        starts = midnights(clock) if vendor.clock == "date" else nanos(clock, vendor.clock)
        rows, close = batch.num_rows, _numbers(batch, ("close",), 0.0)
        o, h, low, c = (_numbers(batch, (name,), close) for name in PRICES)
        mean = (o + h + low + c) / 4
        vwap = _numbers(batch, VWAP, mean)
        volume, trades = (np.nan_to_num(_numbers(batch, names, 0.0)) for names in (("volume",), TRADES))
        vwap = np.round(np.where(np.isfinite(vwap), vwap, mean), 6)
        table = np.column_stack([starts, o, h, low, c, volume, vwap, trades])
        good = np.isfinite(table).all(axis=1) & (table[:, 0] > 0) & (low > 0) & (volume >= 0)
        good &= (low <= np.minimum(o, c)) & (h >= np.maximum(o, c))
        said = pc.fill_null(vendor.symbols(batch), "").dictionary_encode()
        codes = said.indices.to_numpy()
        self.dropped += rows - int(good.sum())
        for code, symbol in enumerate(said.dictionary.to_pylist()):
            kept = table[(codes == code) & good]
            if symbol and len(kept):
                into.setdefault(symbol, []).append(kept)

    def merged(self) -> dict[str, dict[int, Array]]:
        """One table for each symbol and step; what is told twice is as the later file tells it."""
        return {
            symbol: {step: _once(np.concatenate(parts)) for step, parts in steps.items()}
            for symbol, steps in self._parts.items()
        }


def length(starts: Array) -> int:
    """How long the bars are that start at these times (ns, ascending, at least two); more than DAY where it is unknown.

    A step of days may be an hour off where the clocks change. Months have no common step: bars of which no two are
    within a day are longer than one.
    """
    steps: Array = np.diff(starts.astype(np.int64))
    days = np.round(steps / DAY).astype(np.int64) * DAY
    steps = np.where((days > 0) & (np.abs(steps - days) <= HOUR), days, steps)
    return int(np.gcd.reduce(steps)) if steps.min() <= DAY else int(steps.min())


def _new_york(starts: Array) -> Array:
    """Days that begin at midnight UTC are dates: midnight in New York on the same."""
    if (starts % DAY).any():
        return starts
    return midnights(pa.array((starts // DAY).astype(np.int32), pa.date32()))


def _once(table: Array) -> Array:
    order = np.argsort(table[:, 0], kind="stable")
    table = table[order]
    found: Array = table[np.append(np.diff(table[:, 0]) > 0, True)]
    return found


def midnights(dates: pa.Array) -> Array:
    """0:00 in New York on each date, as int64 ns UTC; nulls as 0."""
    there = pc.assume_timezone(dates.cast(pa.timestamp("s")), NEW_YORK).cast(pa.int64()).fill_null(0)
    found: Array = np.asarray(there.to_numpy(zero_copy_only=False)) * 1_000_000_000
    return found


def _numbers(batch: pa.RecordBatch, names: Sequence[str], usual: Array | float) -> Array:
    """The first of these columns that is there, as float64, nulls as NaN; `usual` where there is none."""
    for name in names:
        if name in batch.schema.names:
            column = batch.column(name).cast(pa.float64(), safe=False)
            made: Array = np.round(np.asarray(column.to_numpy(zero_copy_only=False), np.float64), 6)
            return made
    found: Array = np.broadcast_to(np.asarray(usual, np.float64), (batch.num_rows,))
    return found
