"""Vendors' CSV files, compressed or not, as sources: rewritten once as temporary Parquet.

A flat file of a whole market is sorted by ticker, not by time; merging it by time takes going back
and forth in it, which compressed text does not allow. The temporary file lives as long as the
source.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv
import pyarrow.parquet as pq

from gpi.formats.errors import BadInput
from gpi.formats.vendors.layout import Vendor
from gpi.tools.feeds.sorting import Scratch
from gpi.tools.feeds.sources import Source
from gpi.tools.feeds.vendors import vendor_of, vendor_source

ROWS: Final = 1 << 16  # of a row group
BLOCK_BYTES: Final = 1 << 22
FIRST_BYTES: Final = 1 << 14  # enough for a header and a row, as a rule


def csv_source(path: str, wanted: frozenset[str] | None, by_order: bool = False) -> Source:
    """A CSV file of a known layout, .gz, .zst and .bz2 unpacked. Raises BadInput for others and torn ones."""
    scratch = Scratch()
    rewritten = str(scratch.path / "rows.parquet")
    try:
        names = _header(path)
        vendor = vendor_of(path, names)
        _rewrite(path, rewritten, vendor, vendor.read(names), wanted)
    except (pa.ArrowException, OSError, EOFError) as wrong:
        raise BadInput(f"{path} cannot be read as CSV: {wrong}") from wrong
    return replace(vendor_source(rewritten, wanted, by_order, path), owned=scratch)


def _header(path: str) -> list[str]:
    try:
        return _names(path, FIRST_BYTES)
    except pa.ArrowException:  # a row as long as that, or a wrong one
        return _names(path, BLOCK_BYTES)


def _names(path: str, block_bytes: int) -> list[str]:
    with pa.input_stream(path, compression="detect") as stream:
        with csv.open_csv(stream, csv.ReadOptions(block_size=block_bytes)) as reader:
            return list(reader.schema.names)


def _rewrite(path: str, rewritten: str, vendor: Vendor, names: list[str], wanted: frozenset[str] | None) -> None:
    """The columns of these names, plain: the file is read twice and gone, so it is not worth the work to make it small.

    Only of the words that name a symbol there is a dictionary, for they repeat.
    """
    words = None if wanted is None else pa.array(sorted(wanted), pa.string())
    types = csv.ConvertOptions(column_types=dict(vendor.types), include_columns=names)
    plain = {"compression": "none", "use_dictionary": [*vendor.keys], "write_statistics": False}
    with pa.input_stream(path, compression="detect") as stream:
        with csv.open_csv(stream, csv.ReadOptions(block_size=BLOCK_BYTES), convert_options=types) as reader:
            with pq.ParquetWriter(rewritten, reader.schema, **plain) as writer:
                for batch in reader:
                    if words is not None:
                        batch = batch.filter(pc.is_in(vendor.symbols(batch), value_set=words))
                    if batch.num_rows:
                        writer.write_batch(batch, row_group_size=ROWS)
