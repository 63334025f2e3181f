"""embeddings/1: what the encoder appends: where the market is (a vector) and what it expects (the outlook)."""

from typing import Final

import pyarrow as pa

from gpi.formats.features import vector

DIRECTIONS: Final = ("down", "flat", "up")


def embedding(width: int) -> pa.Field:
    """`embedding`: float32[width], NaN until the encoder's window is full."""
    return vector("embedding", tuple(f"e{i}" for i in range(width)))


DIRECTION: Final = vector("direction", DIRECTIONS)
VOLATILITY: Final = pa.field("volatility", pa.float32(), nullable=False)

EMBEDDING_MEANINGS: Final[dict[str, tuple[str, str]]] = {
    "embedding": ("vector", "where the market is; NaN until the encoder's window is full"),
    "direction": ("share", "probabilities of the next move, summing to 1"),
    "volatility": ("bps", "predicted for the mid over the model's horizon"),
}
"""Unit and meaning of every column of embeddings/1."""

DIRECTION_MEANINGS: Final[dict[str, tuple[str, str]]] = {
    name: ("share", f"probability of {name} over the model's horizon") for name in DIRECTIONS
}
"""Unit and meaning of the elements of `direction`."""
