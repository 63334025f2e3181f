"""The tables of a run: Parquet files that grow in bounded memory and are seen only when whole."""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
import pyarrow as pa
import xxhash

from gpi.formats import provenance
from gpi.formats.appearing import appeared, begun, replaceable
from gpi.formats.execution import ANSWERS
from gpi.formats.frame import Frame, concatenated
from gpi.formats.imports.arrow import pq
from gpi.formats.instruments import KEY
from gpi.formats.orders import EQUITY, FILLS, ORDERS
from gpi.tools.kernels.orders import Array

ROW_GROUP: Final = 65_536
PACK: Final = 256
SCHEMAS: Final = {"orders": ORDERS, "fills": FILLS, "equity": EQUITY}


class Contents:
    """A digest of a table's contents, however they are cut or compressed: of every column's bytes, by name."""

    def __init__(self, names: Iterable[str]) -> None:
        self._digests = {name: xxhash.xxh3_128() for name in names}

    def add(self, columns: Mapping[str, Array]) -> None:
        """The next rows."""
        for name, digest in self._digests.items():
            digest.update(np.ascontiguousarray(columns[name]).data)

    def __str__(self) -> str:
        whole = xxhash.xxh3_128()
        for name, digest in self._digests.items():
            whole.update(f"{name}:{digest.hexdigest()};".encode())
        return str(whole.hexdigest())


class Table:
    """One growing Parquet file: bounded memory, a digest of the columns' bytes, seen only when whole."""

    def __init__(self, path: Path, schema: pa.Schema, logged: bool = False) -> None:
        self._logged = logged
        self.path, self._hidden = replaceable(path), path.with_name(f".{path.name}.tmp")
        self._file = os.fdopen(begun(self._hidden), "wb")
        self._writer = pq.ParquetWriter(self._file, schema, compression="zstd")
        self._leave = weakref.finalize(self, _left, self._writer, self._file)  # a session that dies leaves its tables
        self.schema, self._held = schema, 0
        self._waiting, self._packed, self._untold = list[Frame](), list[Frame](), list[Frame]()
        self.contents = Contents(schema.names)
        self.rows = 0

    def add(self, frame: Frame) -> None:
        """Append rows: only held for now, because a tick is waiting; written many at a time.

        A frame of one row is twenty times as large as its row: every PACK of them become one.
        """
        if frame.rows:
            self._waiting.append(frame)
            if self._logged:
                self._untold.append(frame)
            self.rows, self._held = self.rows + frame.rows, self._held + frame.rows
            if self._held >= ROW_GROUP:
                self._flush()
            elif len(self._waiting) >= PACK:
                self._packed.append(concatenated(self._waiting, self.schema))
                self._waiting = []

    def untold(self) -> list[Frame]:
        """What was added since the last call, many small frames as one."""
        found, self._untold = self._untold, []
        few = len(found) < 2 or sum(frame.rows for frame in found) >= ROW_GROUP
        return found if few else [concatenated(found, self.schema)]

    def _flush(self) -> None:
        if self._held:
            whole = concatenated([*self._packed, *self._waiting], self.schema)
            self.contents.add(whole.columns)
            batch = whole.to_batch().replace_schema_metadata(self.schema.metadata)
            self._writer.write_batch(batch, row_group_size=ROW_GROUP)
        self._waiting, self._packed, self._held = [], [], 0

    def close(self, notes: Mapping[str, str]) -> None:
        """Write the rest and the `notes` (what was learned since the file was opened), and show the file."""
        self._flush()
        self._writer.add_key_value_metadata(dict(notes))
        self._writer.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        appeared(self._hidden, self.path)

    def discard(self) -> None:
        """Leave nothing behind that is not shown yet; idempotent."""
        self._leave()
        self._hidden.unlink(missing_ok=True)


def _left(writer: pq.ParquetWriter, file: IO[bytes]) -> None:
    with suppress(pa.ArrowException, OSError, ValueError):  # a full disk is often why we are here
        writer.close()
    with suppress(OSError):
        file.close()


def _continued(table: pa.Schema, stream: pa.Schema) -> pa.Schema:
    """The schema of a table, with the instruments and the origin of the stream that was traded."""
    carried = {key: value for key, value in (stream.metadata or {}).items() if key in (KEY.encode(), provenance.KEY)}
    return table.with_metadata({**carried, **table.metadata})


def tables(path: Path, schema: pa.Schema, external: bool, logged: bool) -> dict[str, Table]:
    """The growing tables of a run."""
    kinds = {**SCHEMAS, "answers": ANSWERS} if external else SCHEMAS
    return {name: Table(path / f"{name}.parquet", _continued(kind, schema), logged) for name, kind in kinds.items()}


def counted(found: Mapping[str, Table]) -> dict[str, Any]:
    """Rows and digests of tables, for the manifest."""
    return {
        "rows": {name: table.rows for name, table in found.items()},
        "digests": {name: str(table.contents) for name, table in found.items()},
    }


def columns(path: Path, names: list[str] | None = None) -> dict[str, Array]:
    """The columns of a table of a run (or some of them), times as int64 ns."""
    table = pq.read_table(path, columns=names)
    found = {name: table[name].to_numpy() for name in table.column_names}
    return {name: v.view(np.int64) if v.dtype.kind == "M" else v for name, v in found.items()}
