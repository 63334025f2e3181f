"""embeddings/1: what the encoder appends: where the market is (a vector) and what it expects (the outlook)."""

from typing import Final

import pyarrow as pa

from gpi.formats.features import vector

DIRECTIONS: Final = ("down", "flat", "up")


def embedding(width: int) -> pa.Field:
    """`embedding`: float32[width], NaN until the encoder's window is full."""
    return vector("embedding", tuple(f"e{i}" for i in range(width)))


DIRECTION: Final = vector("direction", DIRECTIONS)  # probabilities of the next move, summing to 1
VOLATILITY: Final = pa.field("volatility", pa.float32(), nullable=False)  # predicted, bps over the horizon
