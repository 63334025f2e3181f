"""The lake: frames as Parquet files that are either whole or not there.

    ROOT/date=2026-11-19/symbol=AAPL/ticks-0000.parquet

A row belongs to the date of its ts_event in UTC (so a US session, extended hours included, may
spread over two dates in winter evenings), and to its symbol, percent-encoded where a file name
cannot hold it. Each file is complete in itself: one instrument, whose id in it is 0, with the table
in its metadata. Files are written under a name with a leading dot, synced, and then renamed:
nothing half-written ever matches `*.parquet`, and a crash leaves only dot-files. Row groups are as
large as DuckDB's vectors of work (122,880 rows), or smaller where many partitions are open.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self
from urllib.parse import quote

import numpy as np
import pyarrow as pa

from gpi.formats.appearing import appeared, begun, replaceable
from gpi.formats.bounds import largest, within
from gpi.formats.errors import BadInput
from gpi.formats.frame import Frame, Layout, concatenated
from gpi.formats.imports.arrow import pq
from gpi.formats.instruments import KEY, Instrument, Instruments
from gpi.formats.quarantine import taken
from gpi.formats.words import DAY_NS

ROW_GROUP: Final = 122_880
OPEN_ROWS: Final = 1 << 20  # rows that all open partitions may hold together before the fullest is written


class Stored(NamedTuple):
    """What stands in a file: its schema and its rows."""

    schema: pa.Schema
    frames: Iterator[Frame]


class _Part:
    """A Parquet file in the making, under a name that no reader looks at."""

    def __init__(self, folder: Path, name: str, schema: pa.Schema) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._name, self._schema = folder, name, schema
        self._path = folder / f".{name}.{os.getpid()}.part"
        self._file = os.fdopen(begun(self._path), "wb")
        # Arrow's own name for a ladder's items, so that its type reads back as it was
        options = {"compression": "zstd", "use_compliant_nested_type": False}
        self._writer = pq.ParquetWriter(self._file, schema, **options)

    def write(self, frame: Frame) -> None:
        """One row group."""
        batch = frame.to_batch().replace_schema_metadata(self._schema.metadata)
        self._writer.write_batch(batch, row_group_size=max(frame.rows, 1))

    def finish(self) -> None:
        """Make the file whole, on the disk, but not visible yet."""
        self._writer.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def note(self, notes: Mapping[str, str]) -> None:
        """Metadata that came after the first rows: it stands in the file's own, over the schema's (`read_parquet`)."""
        self._writer.add_key_value_metadata(dict(notes))

    def commit(self, target: Path | None = None) -> Path:
        """Make the finished file visible: as `target`, replacing it, or under the first free number."""
        if target is None:
            target = self._numbered()
        else:
            appeared(self._path, target)
        _sync_folder(self._folder)
        return target

    def _numbered(self) -> Path:
        number = 0
        while True:
            target = self._folder / f"{self._name}-{number:04d}.parquet"
            try:
                os.link(self._path, target)  # fails when the name is taken: two writers never overwrite each other
            except FileExistsError:
                number += 1
                continue
            self._path.unlink()
            return target

    def discard(self) -> None:
        """Leave nothing behind."""
        with suppress(pa.ArrowException, OSError, ValueError):  # a full disk is often why we are here
            self._writer.close()
        with suppress(OSError):
            self._file.close()
        self._path.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_parquet(path: Path, frames: Iterable[Frame], schema: pa.Schema) -> int:
    """All frames as one file that appears (or replaces the old one) only when whole. Returns the rows."""
    part, rows = _Part(replaceable(path).parent, path.stem, schema), 0
    try:
        held: list[Frame] = []
        for frame in frames:
            if frame.notes:
                part.note(frame.notes)
            held.append(frame.copy())
            rows += frame.rows
            if sum(f.rows for f in held) >= ROW_GROUP:
                part.write(concatenated(held, schema))
                held = []
        part.write(concatenated(held, schema))
        part.finish()
        part.commit(path)
    except BaseException:
        part.discard()
        raise
    return rows


def read_parquet(path: Path, batch: int) -> Stored:
    """Our own Parquet file as frames of `batch` rows, a row group in memory at a time.

    Raises BadInput when it is not Parquet or not ours, SchemaMismatch when a column cannot flow.
    """
    try:
        schema, about = pq.read_schema(path), pq.read_metadata(path)
    except (pa.ArrowException, OSError) as wrong:
        raise BadInput(f"{path} cannot be read as Parquet: {wrong}") from wrong
    said = about.metadata or {}
    if KEY.encode() in said:
        schema = schema.with_metadata({**(schema.metadata or {}), KEY.encode(): said[KEY.encode()]})
    if b"gpi.schema" not in (schema.metadata or {}):
        raise BadInput(f"{path} was not written by gpi: its schema does not say gpi.schema")
    Layout.of(schema)
    check_groups(about, str(path))
    return Stored(schema, _frames(path, batch))


def check_groups(about: pq.FileMetaData, name: str) -> None:
    """Raise BadInput when a row group would take more memory than a message may (gpi.formats.bounds)."""
    for number in range(about.num_row_groups):
        within(about.row_group(number).total_byte_size, largest(), f"{name}: row group {number}")


def _frames(path: Path, batch: int) -> Iterator[Frame]:
    try:
        with pq.ParquetFile(path, memory_map=True) as file:
            for rows in file.iter_batches(batch, use_threads=False):
                yield Frame.from_batch(rows)
    except (pa.ArrowException, OSError) as wrong:
        raise BadInput(f"{path} is damaged: {wrong}") from wrong


class LakeWriter:
    """Spreads a stream over partitions: `with LakeWriter(root, schema) as lake: lake.write(frame)`.

    Files become visible at the end, together with leaving the `with` block; after an error none
    does. Raises BadInput for a row of an instrument that was never announced.
    """

    def __init__(self, root: Path, schema: pa.Schema, name: str = "ticks") -> None:
        self._root, self._schema, self._name = root, schema, name
        self._instruments = Instruments.of(schema)
        self._known: set[int] = set()
        self._parts: dict[tuple[int, int], _Part] = {}
        self._held: dict[tuple[int, int], list[Frame]] = {}
        self._rows: dict[tuple[int, int], int] = {}

    def write(self, frame: Frame) -> None:
        """Add rows, in order of time within each symbol."""
        if frame.notes and KEY in frame.notes:
            for instrument in Instruments.from_json(frame.notes[KEY]):
                self._instruments.add(instrument)
        days = frame["ts_event"] // DAY_NS
        ids = frame["instrument_id"]
        for stranger in set(np.unique(ids).tolist()) - self._known:
            self._known.add(self._instruments[stranger].id)  # or BadInput
        for key in sorted({(int(d), int(i)) for d, i in np.unique(np.stack((days, ids), 1), axis=0)}):
            rows = np.flatnonzero((days == key[0]) & (ids == key[1]))
            piece = taken(frame, rows)
            piece["instrument_id"][:] = 0
            self._held.setdefault(key, []).append(piece)
            self._rows[key] = self._rows.get(key, 0) + piece.rows
            if self._rows[key] >= ROW_GROUP:
                self._flush(key)
        while sum(self._rows.values()) > OPEN_ROWS:
            self._flush(max(self._rows, key=lambda key: self._rows[key]))

    def _flush(self, key: tuple[int, int]) -> None:
        if key not in self._parts:
            self._parts[key] = self._part(*key)
        self._parts[key].write(concatenated(self._held.pop(key), self._schema))
        self._rows[key] = 0

    def _part(self, day: int, instrument_id: int) -> _Part:
        instrument = self._instruments[instrument_id]
        folder = self._root / partition(day, instrument)
        return _Part(folder, self._name, Instruments([instrument]).on(self._schema))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            self.discard()

    def close(self) -> list[Path]:
        """Write what is held and make every file visible; their paths."""
        try:
            for key in sorted(self._held.keys() | self._parts.keys()):
                if key in self._held:
                    self._flush(key)
                self._parts[key].finish()  # one after another: there may be more files than may be open
            written = [self._parts.pop(key).commit() for key in sorted(self._parts)]
        except BaseException:
            self.discard()
            raise
        self._rows.clear()
        return written

    def discard(self) -> None:
        """Forget everything that is not visible yet."""
        while self._parts:
            self._parts.popitem()[1].discard()
        self._held.clear()
        self._rows.clear()


def partition(day: int, instrument: Instrument) -> Path:
    """The folder of a day (days since 1970, UTC) and a symbol, below the root of the lake."""
    symbol = quote(instrument.symbol, safe="")
    return Path(f"date={np.datetime64(day, 'D')}", f"symbol={symbol}")
