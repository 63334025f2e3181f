"""Recorded delays of a real connection, for `--latency-model`: Parquet with the columns ts, order_ns, response_ns."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow.parquet as pq
import xxhash

from gpi.formats.errors import BadInput
from gpi.tools.kernels.orders import MESSAGE, RECORDING, Array

COLUMNS: Final = ("ts", "order_ns", "response_ns")


@dataclass(frozen=True, slots=True)
class Delays:
    """Round trips (n, 3) int64: when a request was sent, when the venue had it, when the answer was here; ns."""

    path: str = ""
    trips: Array = field(default_factory=lambda: np.zeros((0, 3), np.int64))

    def told(self) -> dict[str, str]:
        """For the manifest: where they are, and the digest of what they say."""
        return {"path": self.path, "digest": xxhash.xxh3_128_hexdigest(np.ascontiguousarray(self.trips).data)}

    def on(self, wire: Array) -> Array:
        """A wire with the recording in its third row."""
        made = np.zeros((RECORDING + 1, max(wire.shape[1], len(self.trips))), MESSAGE)
        made[: len(wire), : wire.shape[1]] = wire
        for at, name in enumerate(("due", "ts", "slot")):
            made[name][RECORDING, : len(self.trips)] = self.trips[:, at]
        return made


def read(path: str | Path) -> Delays:
    """Read a recording. Raises BadInput when it lacks a column, is empty, not sorted by time, or below zero."""
    try:
        table = pq.read_table(path, columns=list(COLUMNS))
        columns: list[Any] = [table[name].to_numpy().astype(np.int64) for name in COLUMNS]
    except (OSError, ValueError, KeyError) as wrong:
        raise BadInput(
            f"cannot read delays from {path}: Parquet with {', '.join(COLUMNS)} is needed ({wrong})"
        ) from wrong
    ts, order, response = columns
    if not len(ts) or (np.diff(ts) < 0).any() or (order < 0).any() or (response < 0).any():
        raise BadInput(f"{path}: delays are sorted by ts, at least one, and none below zero")
    sent = np.stack([ts, ts + order, ts + order + response], axis=1)
    return Delays(str(path), np.maximum.accumulate(sent, axis=0))  # a connection delivers in order
