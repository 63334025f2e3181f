"""Which files are meant, and what kind they are: without loading what reads them."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa
import xxhash

from gpi.formats.errors import BadInput
from gpi.formats.imports.arrow import pq
from gpi.formats.messages import CONTINUATION, MAX_METADATA

CHUNK: Final = 1 << 20
SUFFIXES: Final = (".parquet", ".csv", ".csv.gz", ".csv.zst", ".csv.bz2", ".arrow", ".arrows")


def expanded(paths: Sequence[Path]) -> list[str]:
    """The files meant: those of a folder by name, dot-files left out. Raises BadInput when there are none."""
    found: list[str] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(str(p) for p in path.rglob("*") if p.is_file() and _visible(p.relative_to(path)))
            files = [name for name in inside if name.endswith(SUFFIXES)]
            if not files:
                raise BadInput(f"the folder {path} holds no file that ends in {', '.join(SUFFIXES)}")
        elif path.exists():
            files = [str(path)]
        else:
            files = sorted(glob.glob(str(path), recursive=True))
            if not files:
                raise BadInput(f"there is no file {path}")
        found += files
    return found


def _visible(path: Path) -> bool:
    return not any(part.startswith(".") for part in path.parts)


def digest(path: Path) -> str:
    """The XXH3 of a file, 128 bits in hexadecimal: which data a result came from.

    Against change by accident, at the speed of memory; a cryptographic digest would cost as much as the features.
    """
    made = xxhash.xxh3_128()
    with path.open("rb", buffering=0) as file:
        while piece := file.read(CHUNK):
            made.update(piece)
    return made.hexdigest()


def parquet_schema(path: str) -> pa.Schema:
    """The schema of a Parquet file. Raises BadInput when it is none."""
    try:
        return pq.read_schema(path)
    except (pa.ArrowException, OSError) as wrong:
        raise BadInput(f"{path} cannot be read as Parquet: {wrong}") from wrong


def is_ours(schema: pa.Schema) -> bool:
    """Whether a schema says that gpi wrote it."""
    return b"gpi.schema" in (schema.metadata or {})


def own_schema(path: Path) -> pa.Schema | None:
    """The schema of a file that gpi wrote, None for anything else."""
    if path.is_dir():
        return None
    with path.open("rb") as file:
        magic, length = file.read(4), int.from_bytes(file.read(4), "little")
        file.seek(0)
        try:
            known = magic == CONTINUATION and length <= MAX_METADATA
            found = pa.ipc.open_stream(file).schema if known else None
        except (pa.ArrowException, OSError, ValueError):
            return None
    found = parquet_schema(str(path)) if magic == b"PAR1" else found
    return found if found is not None and is_ours(found) else None
