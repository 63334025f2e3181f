"""Frame: the rows of one schema as numpy views over memory laid out the way Arrow IPC lays out a body.

Arrow objects cost microseconds per column; a tick must cross a process in less. Every column that flows is
fixed-width and never null, so a body is nothing but the columns' bytes one after another, each padded to 8. The
metadata in front of it depends only on the layout and the row count and is made once, by pyarrow, and kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from gpi.formats.errors import SchemaMismatch
from gpi.formats.imports.without_pandas import forgo_pandas

Array = npt.NDArray[Any]
KEPT_PREFIXES = 8192  # distinct row counts remembered per layout, about 1 KiB each
NO_BYTES = np.zeros(0, np.uint8)


forgo_pandas()


class Column(NamedTuple):
    """Where a column's numbers are: dtype of one number, numbers per row (0: a plain column)."""

    name: str
    dtype: np.dtype[Any]
    width: int

    @property
    def row_bytes(self) -> int:
        """Bytes one row takes."""
        return self.dtype.itemsize * max(self.width, 1)


def _column(field: pa.Field) -> Column:
    kind, width = field.type, 0
    if pa.types.is_fixed_size_list(kind):
        kind, width = kind.value_type, kind.list_size
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        return Column(field.name, np.dtype(np.int64), width)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return Column(field.name, np.dtype(kind.to_pandas_dtype()), width)
    raise SchemaMismatch(f"column {field.name!r} is {field.type}: only fixed-width numbers flow between tools")


def _padded(size: int) -> int:
    return (size + 7) & ~7


class Layout:
    """The columns of a schema, and what follows from them: bytes of a row, offsets, body size, message prefix.

    Layouts are interned by their fields (the schema's own metadata does not matter): `Layout.of(a) is Layout.of(b)`
    whenever a and b have the same fields.
    """

    _known: dict[bytes, Layout] = {}

    def __init__(self, fields: tuple[pa.Field, ...]) -> None:
        self.fields = fields
        self.columns = tuple(_column(field) for field in fields)
        twice = sorted(name for name, times in Counter(c.name for c in self.columns).items() if times > 1)
        if twice:
            raise SchemaMismatch(f"the stream has two columns {twice[0]!r}")
        self.row_bytes = sum(column.row_bytes for column in self.columns)
        self._prefixes: dict[int, bytes] = {}
        self._offsets: dict[int, dict[str, int]] = {}
        # By id: hashing Arrow fields costs a microsecond. The fields are kept, so that their id stays theirs.
        self._wider: dict[int, tuple[tuple[pa.Field, ...], Layout, Layout]] = {}

    @classmethod
    def of(cls, schema: pa.Schema | Iterable[pa.Field]) -> Layout:
        """The layout of a schema. Raises SchemaMismatch for a column that is not fixed-width numbers."""
        fields = tuple(schema)
        key = pa.schema(fields).serialize().to_pybytes()
        if key not in cls._known:
            cls._known[key] = cls(fields)
        return cls._known[key]

    @cached_property
    def schema(self) -> pa.Schema:
        """The fields as a schema without metadata of its own."""
        return pa.schema(self.fields)

    @cached_property
    def named(self) -> Mapping[str, Column]:
        """The columns by name."""
        return {column.name: column for column in self.columns}

    def offsets(self, rows: int) -> Mapping[str, int]:
        """Where each column begins in the body of a batch of `rows`, in bytes; under "" where the body ends."""
        found = self._offsets.get(rows)
        if found is None:
            if len(self._offsets) >= KEPT_PREFIXES:
                self._offsets.clear()
            found, at = {}, 0
            for column in self.columns:
                found[column.name] = at
                at += _padded(rows * column.row_bytes)
            found[""] = at
            self._offsets[rows] = found
        return found

    def body_bytes(self, rows: int) -> int:
        """Bytes of the body of a batch of `rows`."""
        return self.offsets(rows)[""]

    def views(self, body: tuple[Array, ...], rows: int) -> dict[str, Array]:
        """Numpy views of every column in a body of one or more pieces, (rows,) or (rows, width)."""
        found, offset, pieces = {}, 0, iter(body)
        piece = next(pieces, NO_BYTES)
        for name, dtype, width in self.columns:
            size = _padded(rows * dtype.itemsize * max(width, 1))
            while size and offset == len(piece):
                piece, offset = next(pieces), 0
            shape = (rows, width) if width else (rows,)
            found[name] = np.ndarray(shape, dtype, piece, offset)
            offset += size
        return found

    def empty(self, rows: int) -> Frame:
        """A frame of `rows` with uninitialised, writable columns."""
        return Frame(self, rows, None, (np.empty(self.body_bytes(rows), np.uint8),))

    def widened(self, fields: tuple[pa.Field, ...]) -> tuple[Layout, Layout]:
        """This layout with `fields` appended, and the layout of the appended fields alone."""
        found = self._wider.get(id(fields))
        if found is None:
            clash = {f.name for f in fields} & {c.name for c in self.columns}
            if clash:
                raise SchemaMismatch(f"column {sorted(clash)[0]!r} is already in the stream: was the stage run twice?")
            found = (fields, Layout.of((*self.fields, *fields)), Layout.of(fields))
            self._wider[id(fields)] = found
        return found[1:]

    def prefix(self, rows: int) -> bytes:
        """Everything of a record-batch message that comes before the body, as pyarrow writes it."""
        found = self._prefixes.get(rows)
        if found is None:
            if len(self._prefixes) >= KEPT_PREFIXES:
                self._prefixes.clear()
            message = self._batch(np.zeros(self.body_bytes(rows), np.uint8), rows).serialize()
            found = self._prefixes[rows] = message.to_pybytes()[: message.size - self.body_bytes(rows)]
        return found

    def _batch(self, body: Array, rows: int) -> pa.RecordBatch:
        """A record batch over a body, without copying it."""
        whole, arrays, offset = pa.py_buffer(body), [], 0
        for field, column in zip(self.fields, self.columns, strict=True):
            size = rows * column.row_bytes
            data = whole.slice(offset, size)
            if column.width:
                child = pa.Array.from_buffers(field.type.value_type, rows * column.width, [None, data])
                arrays.append(pa.Array.from_buffers(field.type, rows, [None], children=[child]))
            else:
                arrays.append(pa.Array.from_buffers(field.type, rows, [None, data]))
            offset += _padded(size)
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)


class Frame:
    """Some rows of a stream: `frame["bid_px"]` is a numpy view, (rows,) or (rows, width); times are int64 ns.

    A frame read from a pipe is on loan: its memory is used again for the next one. Keep rows with `copy()`.
    `notes` are stream metadata that travel with an empty frame (new instruments announced mid-stream).
    """

    __slots__ = ("layout", "rows", "_columns", "_body", "notes", "appended")

    def __init__(
        self,
        layout: Layout,
        rows: int,
        columns: dict[str, Array] | None,
        body: tuple[Array, ...] | None = None,
        notes: Mapping[str, str] | None = None,
    ) -> None:
        self.layout = layout
        self.rows = rows
        self._columns = columns
        self._body = body
        self.notes = notes
        self.appended = NO_BYTES  # by `widened`: the bytes of its new columns, each padded to 8

    @classmethod
    def over(cls, layout: Layout, rows: int, body: Array) -> Frame:
        """A frame over a filled body; its views are made when somebody looks: a frame just passed on needs none."""
        return cls(layout, rows, None, (body,))

    @property
    def columns(self) -> dict[str, Array]:
        """The views, by name."""
        if self._columns is None:
            assert self._body is not None
            self._columns = self.layout.views(self._body, self.rows)
        return self._columns

    @property
    def pieces(self) -> tuple[Array, ...] | None:
        """The pieces of the body, where the columns lie in one; None where they lie anywhere."""
        return self._body or None

    @classmethod
    def of(cls, schema: pa.Schema, columns: Mapping[str, Any]) -> Frame:
        """A frame copied from arrays (or numbers, repeated), one for every column of `schema`."""
        layout = Layout.of(schema)
        rows = max((len(np.atleast_1d(values)) for values in columns.values()), default=0)
        made = layout.empty(rows)
        for name, view in made.columns.items():
            view[...] = columns[name]
        return made

    @classmethod
    def from_batch(cls, batch: pa.RecordBatch) -> Frame:
        """A frame copied from a record batch. Raises SchemaMismatch for nulls or columns that cannot flow."""
        made = Layout.of(batch.schema).empty(batch.num_rows)
        for name, view in made.columns.items():
            array = batch.column(name)
            if array.null_count:
                raise SchemaMismatch(f"column {name!r} has {array.null_count} nulls: use NaN or 0 with a flag")
            view[...] = numbers(array, view.dtype).reshape(view.shape)
        return made

    def __getitem__(self, name: str) -> Array:
        return self.columns[name]

    def __contains__(self, name: object) -> bool:
        return name in self.columns

    def __len__(self) -> int:
        return self.rows

    def __repr__(self) -> str:
        return f"Frame({self.rows} rows: {', '.join(self.columns)})"

    def widened(self, fields: tuple[pa.Field, ...]) -> Frame:
        """These rows with `fields` appended: the old columns shared, the new ones uninitialised and writable."""
        wider, added = self.layout.widened(fields)
        extra = np.empty(added.body_bytes(self.rows), np.uint8)
        if self._body is not None:
            made = Frame(wider, self.rows, None, (*self._body, extra), self.notes)
        else:
            columns = {**self.columns, **added.views((extra,), self.rows)}
            made = Frame(wider, self.rows, columns, None, self.notes)
        made.appended = extra
        return made

    def slice(self, start: int, stop: int) -> Frame:
        """Rows start..stop, sharing memory."""
        columns = {name: view[start:stop] for name, view in self.columns.items()}
        return Frame(self.layout, max(0, min(stop, self.rows) - start), columns)

    def copy(self) -> Frame:
        """The same rows in memory of their own."""
        made = self.layout.empty(self.rows)
        for name, view in made.columns.items():
            view[...] = self.columns[name]
        made.notes = self.notes
        return made

    @property
    def body(self) -> tuple[Array, ...]:
        """The bytes of the body, in one or more pieces."""
        if self._body is None:
            self._body = self.copy()._body
            assert self._body is not None
        return self._body

    def to_batch(self) -> pa.RecordBatch:
        """An Arrow record batch that owns a copy of these rows."""
        copied = self.copy()
        return self.layout._batch(copied.body[0], self.rows)


def numbers(array: pa.Array, dtype: np.dtype[Any]) -> Array:
    """The numbers of a column without nulls, flat and not copied."""
    if not pa.types.is_fixed_size_list(array.type):
        return np.frombuffer(array.buffers()[1] or b"", dtype, len(array), array.offset * dtype.itemsize)
    flat, width = array.values, array.type.list_size  # `flatten` would do, and import pyarrow.compute for it
    start = flat.offset + array.offset * width
    return np.frombuffer(flat.buffers()[1] or b"", dtype, len(array) * width, start * dtype.itemsize)


def concatenated(frames: Iterable[Frame], schema: pa.Schema) -> Frame:
    """Many frames of one schema as one frame of its own memory."""
    kept = list(frames)
    made = Layout.of(schema).empty(sum(frame.rows for frame in kept))
    for name, view in made.columns.items():
        if kept:
            np.concatenate([frame.columns[name] for frame in kept], out=view)
    return made
