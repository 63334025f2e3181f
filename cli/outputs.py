"""Where a stream goes: an Arrow pipe, a file that appears only when whole, or text for people."""

import json
import os
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from gpi.cli.terminal import console, harmless, say
from gpi.formats.appearing import appeared, begun, beside, replaceable
from gpi.formats.errors import UsageError
from gpi.formats.features import elements
from gpi.formats.frame import Frame, Layout
from gpi.formats.instruments import Instruments
from gpi.formats.ipc import writing
from gpi.formats.messages import write_table
from gpi.tools.stage import Stream

SUFFIXES = {".arrow": "arrow", ".arrows": "arrow", ".parquet": "parquet", ".csv": "csv", ".jsonl": "jsonl"}
SHOWN = 20  # rows of a table
QUERIED = 200  # rows of a table that answers a query


def deliver(stream: Stream, to: str | None, out: str | None, stdout: int, quiet: bool = False) -> None:
    """Pull the whole stream to its destination. `quiet`: show nothing on a terminal. An OSError names what it was."""
    try:
        _deliver(stream, to, out, stdout, quiet)
    except OSError as error:
        if out is None or error.filename is not None or error.errno is None or isinstance(error, BrokenPipeError):
            raise
        raise OSError(error.errno, os.strerror(error.errno), out) from None


def _deliver(stream: Stream, to: str | None, out: str | None, stdout: int, quiet: bool) -> None:
    if to == "nowhere":
        for _ in stream.frames:
            pass
        return
    form = form_of(to, out, stdout)
    if out is not None and (out.endswith("/") or Path(out).is_dir()):
        from gpi.formats.parquet import LakeWriter

        with LakeWriter(Path(out), stream.schema) as lake:
            for frame in stream.frames:
                lake.write(frame)
            _warn_of_more(lake.close())
    elif out is not None and form == "parquet":
        from gpi.formats.parquet import write_parquet

        write_parquet(Path(out), stream.frames, stream.schema)
    elif out is not None:
        _to_file(stream, form, Path(out))
    elif quiet and form == "table":
        for _ in stream.frames:
            pass
    else:
        _to_fd(stream, form, stdout)


def _warn_of_more(paths: list[Path]) -> None:
    """Adding to a lake is how a capture works, and how a replay run twice doubles its rows: say which it was."""
    more = [path for path in paths if not path.stem.endswith("-0000")]
    if more:
        say(f"gpi: {len(more)} partitions held rows already and now hold these too, such as {more[0]}", err=True)


def form_of(to: str | None, out: str | None, stdout: int) -> str:
    """Which of arrow, parquet, csv, jsonl and table is wanted: as told, else by the file, else by the terminal."""
    forms = sorted({*SUFFIXES.values(), "table"})
    if to is not None and to not in forms:
        raise UsageError(f"--to {to}: choose one of {', '.join(forms)}")
    if to == "parquet" and out is None:
        raise UsageError("Parquet needs a file: --out PATH.parquet")
    if to is not None:
        return to
    if out is not None and not out.endswith("/") and not Path(out).is_dir():
        suffix = Path(out).suffix
        if suffix not in SUFFIXES:
            raise UsageError(f"--out {out}: end it in {' '.join(SUFFIXES)} or give --to; a lake ends in /")
        return SUFFIXES[suffix]
    return "table" if os.isatty(stdout) else "arrow"


def _to_file(stream: Stream, form: str, path: Path) -> None:
    """Write beside the path and rename at the honest end; what a failure leaves is named NAME.PID.partial.

    Not flushed to the disk: after a power cut a torn stream lacks its end mark and says so, and waiting for the disk
    would double the time. What cannot say so (Parquet, the lake, run directories) is flushed before it is shown.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = begun(partial := beside(replaceable(path)))
    try:
        _to_fd(stream, form, fd)
    finally:
        os.close(fd)
    appeared(partial, path)


def _to_fd(stream: Stream, form: str, fd: int) -> None:
    if form == "arrow":
        with writing(fd, stream.schema) as writer:
            for frame in stream.frames:
                try:
                    writer.write(frame)
                except OSError as error:
                    raise _named_error(error, fd) from None
    elif form == "table":
        _table(stream, fd)
    else:
        with os.fdopen(os.dup(fd), "w", encoding="utf8", newline="") as text:
            (_csv if form == "csv" else _jsonl)(stream, text)


def _named_error(error: OSError, fd: int) -> OSError:
    """The same with the file's name, which one that writes to a descriptor does not know."""
    link = Path(f"/proc/self/fd/{fd}")
    name = os.readlink(link) if link.is_symlink() else "the output"
    return error if isinstance(error, BrokenPipeError) else OSError(error.errno, error.strerror, name)


def _named(stream: Stream, empty: bool = False) -> Iterator[pa.RecordBatch]:
    """Batches for people: with the symbol beside the instrument's number. `empty`: one without rows comes first."""
    table = Instruments.of(stream.schema) if "instrument_id" in stream.schema.names else Instruments()
    symbols = table.symbols
    first = [Layout.of(stream.schema).empty(0)] if empty else []
    for frame in chain(first, stream.frames):
        if table.heard(frame.notes) is not None:
            symbols = table.symbols
        batch = frame.to_batch()
        if symbols:
            names = [symbols[i] if 0 <= i < len(symbols) else "" for i in frame["instrument_id"]]
            at = batch.schema.get_field_index("instrument_id")
            batch = batch.add_column(at, "symbol", pa.array(names, pa.string()))
        if frame.rows or empty:
            yield batch


def _rows(batch: pa.RecordBatch | pa.Table) -> list[dict[str, Any]]:
    """Rows as dicts, times spelled out: Python's own datetime cannot hold nanoseconds."""
    for at, field in enumerate(batch.schema):
        if pa.types.is_timestamp(field.type):
            batch = batch.set_column(at, field.name, batch.column(at).cast(pa.string()))
    return list(batch.to_pylist())


def _flat(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Vector columns as one column an element, by the names in their metadata."""
    arrays, names = [], []
    for column, field in zip(batch.columns, batch.schema, strict=True):
        if pa.types.is_fixed_size_list(field.type):
            width, flat = field.type.list_size, column.flatten()
            taken = [flat.take(pa.array(range(i, len(flat), width), pa.int64())) for i in range(width)]
            arrays += taken
            prefix = "" if field.metadata and b"gpi.names" in field.metadata else f"{field.name}_"
            names += [prefix + element for element in elements(field)]
        else:
            arrays.append(column)
            names.append(field.name)
    return pa.RecordBatch.from_arrays(arrays, names=names)


def _csv(stream: Stream, text: IO[str]) -> None:
    from pyarrow import csv

    first = True
    for batch in _named(stream, empty=True):
        if not batch.num_rows and not first:
            continue
        sink = pa.BufferOutputStream()
        csv.write_csv(_flat(batch), sink, csv.WriteOptions(include_header=first, quoting_style="needed"))
        text.write(sink.getvalue().to_pybytes().decode())
        first = False


def _jsonl(stream: Stream, text: IO[str]) -> None:
    for batch in _named(stream):
        for row in _rows(batch):
            text.write(json.dumps({name: _plain(value) for name, value in row.items()}) + "\n")


def _plain(value: Any) -> Any:
    if isinstance(value, float) and value != value:
        return None  # JSON has no NaN
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value if isinstance(value, (int, float, str, type(None))) else str(value)


def _table(stream: Stream, fd: int) -> None:
    """On a terminal the latest rows, refreshed as they come; elsewhere the first ones. Then the count."""
    from rich.live import Live

    with os.fdopen(os.dup(fd), "w", encoding="utf8") as text:
        screen = console(text)
        rows, kept = 0, Layout.of(stream.schema).empty(0)
        with Live(console=screen, refresh_per_second=4, transient=False) as live:
            for frame in stream.frames:
                rows += frame.rows
                if frame.rows and (screen.is_terminal or kept.rows < SHOWN):
                    kept = _kept(kept, frame, latest=screen.is_terminal)
                    if screen.is_terminal:
                        live.update(_drawn(stream, kept, rows))
            live.update(_drawn(stream, kept, rows))
    sys.stderr.flush()


def _kept(kept: Frame, frame: Frame, latest: bool) -> Frame:
    from gpi.formats.frame import concatenated

    if latest:
        both = [kept, frame.slice(max(0, frame.rows - SHOWN), frame.rows)]
        joined = concatenated(both, frame.layout.schema)
        return joined.slice(max(0, joined.rows - SHOWN), joined.rows).copy()
    return concatenated([kept, frame.slice(0, SHOWN - kept.rows)], frame.layout.schema)


def _drawn(stream: Stream, kept: Frame, rows: int) -> Any:
    from rich.table import Table

    table = Table(caption=f"{rows:,} rows", caption_justify="left", box=None, pad_edge=False)
    for batch in _named(Stream(stream.schema, iter([kept]))):
        shown = batch.drop_columns([n for n in ("ts_recv", "seq", "instrument_id") if n in batch.schema.names])
        for name in shown.schema.names:
            table.add_column(harmless(name, lines=False), justify="left" if name in ("ts_event", "symbol") else "right")
        for row in _rows(shown):
            table.add_row(*(_cell(value) for value in row.values()))
    return table


def _cell(value: Any) -> str:
    if isinstance(value, list):
        shown = " ".join(_cell(item) for item in value[:4])
        return shown + (" ..." if len(value) > 4 else "")
    if isinstance(value, float):
        return "" if value != value else f"{value:.7g}"
    return harmless(str(value), lines=False)[:26]


def write_query(rows: pa.RecordBatchReader, form: str, out: Path | None) -> None:
    """The rows a query answers, in any form, as they come; strings welcome, unlike in streams of frames."""
    if form == "table":
        _query_table(rows)
        return
    if out is None:
        _query_rows(rows, form, sys.stdout.fileno())
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    fd = begun(partial := beside(replaceable(out)))
    try:
        _query_rows(rows, form, fd)
    except BaseException:  # the half of an answer answers nothing
        partial.unlink(missing_ok=True)
        raise
    finally:
        os.close(fd)
    appeared(partial, out)


def _query_rows(rows: pa.RecordBatchReader, form: str, fd: int) -> None:
    if form == "arrow":
        write_table(fd, rows)
        return
    with os.fdopen(os.dup(fd), "wb") as raw:
        if form == "parquet":
            from pyarrow import parquet

            with parquet.ParquetWriter(raw, rows.schema, compression="zstd") as table:
                for batch in rows:
                    table.write_batch(batch)
        elif form == "csv":
            from pyarrow import csv

            with csv.CSVWriter(raw, rows.schema) as writer:
                for batch in rows:
                    writer.write_batch(batch)
        else:
            for batch in rows:
                for row in _rows(batch):
                    raw.write(json.dumps({name: _plain(value) for name, value in row.items()}).encode() + b"\n")


def _query_table(rows: pa.RecordBatchReader) -> None:
    from rich.table import Table

    shown, count = [], 0
    for batch in rows:
        if count < QUERIED:
            shown += _rows(batch.slice(0, QUERIED - count))
        count += batch.num_rows
    drawn = Table(box=None, pad_edge=False, caption=f"{count:,} rows", caption_justify="left")
    for name in rows.schema.names:
        drawn.add_column(harmless(name, lines=False), overflow="fold")
    for row in shown:
        drawn.add_row(*("" if value is None else _cell(value) for value in row.values()))
    console(sys.stdout).print(drawn)
