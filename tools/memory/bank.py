"""The pattern bank: unit vectors with what came after them, as a folder.

    manifest.json      bank/1: width, horizon, how patterns were taken, provenance, the digests of the rest
    index.faiss        the vectors, in the order in which their outcomes became known
    patterns.parquet   one row per vector: when, which instrument, the outcome, and how it has done as a
    neighbour

The order by `known` time makes "nothing from the future of the query" a prefix of the bank.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from gpi.formats.errors import BadInput
from gpi.formats.folders import MANIFEST, read_manifest, verified, write_folder
from gpi.formats.ticks import NANOSECONDS
from gpi.tools.kernels.models.patterns import PATTERN
from gpi.tools.memory.index import packed, unpacked, vectors_of

BANK: Final = "bank/1"
INDEX: Final = "index.faiss"
PATTERNS: Final = "patterns.parquet"

_REQUIRED: Final[dict[str, type]] = {
    "width": int,
    "horizon_ns": int,
    "count": int,
    "next_id": int,
    "digests": dict,
}


@dataclass(frozen=True, slots=True)
class Bank:
    """Patterns in the order of `known`: vectors float32 (n, width) of unit length, patterns PATTERN (n,)."""

    vectors: npt.NDArray[np.float32]
    patterns: npt.NDArray[Any]
    horizon_ns: int
    next_id: int

    def __len__(self) -> int:
        return len(self.patterns)

    @property
    def width(self) -> int:
        """Numbers in a vector."""
        return int(self.vectors.shape[1])

    def take(self, rows: npt.NDArray[Any]) -> Bank:
        """Some rows of the bank, which must stay in the order of `known`."""
        return Bank(np.ascontiguousarray(self.vectors[rows]), self.patterns[rows], self.horizon_ns, self.next_id)


def empty(width: int, horizon_ns: int) -> Bank:
    """A bank without a pattern."""
    return Bank(np.zeros((0, width), np.float32), np.zeros(0, PATTERN), horizon_ns, 1)


def confidence(patterns: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Laplace's rule on each pattern's hits (see gpi.tools.kernels.models.patterns.confidence)."""
    return np.asarray((patterns["agreed"] + 1.0) / (patterns["hits"] + 2.0))


def profitability(patterns: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Mean profit per hit, bps; 0 for a pattern without hits."""
    return np.asarray(patterns["profit"] / np.maximum(patterns["hits"], 1))


def pruned(bank: Bank, capacity: int) -> Bank:
    """The `capacity` patterns of most worth (profitability x confidence), the younger of equals."""
    worth = profitability(bank.patterns) * confidence(bank.patterns)
    best = np.lexsort((bank.patterns["id"], worth))[::-1][:capacity]
    return bank.take(np.sort(best))


def stats(bank: Bank) -> dict[str, Any]:
    """What a person asks of a bank: sizes, times (ns), outcomes (bps) and how its patterns have done."""
    found = bank.patterns
    hit = found[found["hits"] > 0]
    return {
        "patterns": len(bank),
        "width": bank.width,
        "horizon_s": bank.horizon_ns / 1e9,
        "instruments": len(np.unique(found["instrument"])),
        "first_ts": int(found["ts"].min()) if len(found) else None,
        "last_ts": int(found["ts"].max()) if len(found) else None,
        "outcome_mean_bps": float(found["outcome"].mean()) if len(found) else None,
        "outcome_std_bps": float(found["outcome"].std()) if len(found) else None,
        "hits": int(found["hits"].sum()),
        "patterns_hit": len(hit),
        "hit_rate": float(hit["agreed"].sum() / hit["hits"].sum()) if len(hit) else None,
        "profit_per_hit_bps": float(hit["profit"].sum() / hit["hits"].sum()) if len(hit) else None,
    }


def write_bank(folder: Path, bank: Bank, provenance: Sequence[Mapping[str, Any]] = ()) -> None:
    """Write a bank folder; a reader sees the old bank or the new one."""
    manifest = {
        "gpi.schema": BANK,
        "width": bank.width,
        "horizon_ns": bank.horizon_ns,
        "count": len(bank),
        "next_id": bank.next_id,
        "provenance": [dict(p) for p in provenance],
    }
    table = io.BytesIO()
    pq.write_table(_table(bank), table)
    write_folder(folder, manifest, {INDEX: packed(bank.vectors), PATTERNS: table.getvalue()})


def read_bank(folder: Path) -> Bank:
    """The bank in a folder. Raises BadInput, naming file and fix, unless it is whole and consistent."""
    return read_indexed(folder)[0]


def read_indexed(folder: Path) -> tuple[Bank, Any]:
    """The bank in a folder and its FAISS index. Raises as `read_bank` does."""
    manifest = read_manifest(folder, BANK, _REQUIRED)
    files = {}
    for name in (INDEX, PATTERNS):
        if name not in manifest["digests"]:
            raise BadInput(f"{folder / MANIFEST} names no {name}: build the bank again with `gpi index`")
        files[name] = verified(folder, name, str(manifest["digests"][name]))
    index = unpacked(files[INDEX], folder / INDEX)
    vectors, patterns = vectors_of(index), _patterns(pq.ParquetFile(pa.BufferReader(files[PATTERNS])).read())
    if vectors.shape != (manifest["count"], manifest["width"]) or len(patterns) != manifest["count"]:
        raise BadInput(f"{folder}: index, patterns and manifest disagree: build the bank again with `gpi index`")
    return Bank(vectors, patterns, manifest["horizon_ns"], manifest["next_id"]), index


def _table(bank: Bank) -> pa.Table:
    found = bank.patterns
    columns = {
        "id": pa.array(found["id"]),
        "ts_event": pa.array(found["ts"]).cast(NANOSECONDS),
        "instrument_id": pa.array(found["instrument"]),
        "outcome_bps": pa.array(found["outcome"]),
        "horizon_ns": pa.array(found["known"] - found["ts"]),
        "hits": pa.array(found["hits"]),
        "agreed": pa.array(found["agreed"]),
        "profitability": pa.array(profitability(found)),
        "confidence": pa.array(confidence(found)),
        "profit_bps": pa.array(found["profit"]),
    }
    return pa.table(columns)


def _patterns(table: pa.Table) -> npt.NDArray[Any]:
    made = np.zeros(table.num_rows, PATTERN)
    ts = table.column("ts_event").cast(pa.int64()).to_numpy()
    made["ts"], made["known"] = ts, ts + table.column("horizon_ns").to_numpy()
    names = {"id": "id", "instrument": "instrument_id", "outcome": "outcome_bps", "hits": "hits"}
    for field, name in {**names, "agreed": "agreed", "profit": "profit_bps"}.items():
        made[field] = table.column(name).to_numpy()
    return made
