"""What of pyarrow most commands never use, loaded by the first file that is read or written: a twentieth of a start."""

from gpi.formats.imports.later import later

with later("pyarrow.parquet"):
    import pyarrow.parquet as pq

__all__ = ["pq"]
