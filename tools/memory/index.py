"""FAISS, in one place: how a bank's vectors are stored, and searched when they are too many to scan.

Douze et al., "The Faiss library", 2024; Malkov and Yashunin, "Efficient and robust approximate nearest
neighbor search using Hierarchical Navigable Small World graphs", TPAMI 2020. One query a call and one
thread, so that an answer does not depend on the batch. Inner product of unit vectors: the cosine.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from gpi.formats.errors import BadInput, MissingExtra

try:
    import faiss
except ModuleNotFoundError:
    raise MissingExtra("the pattern bank needs faiss: install the extra `cpu` or `gpu`") from None

FLAT_UP_TO: Final = 100_000  # patterns; above, a graph answers faster than the kernel's scan (docs/models.md)
LINKS: Final = 32  # of a node in the graph
BREADTH: Final = 128  # candidates kept while the graph is searched

Singles = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


def packed(vectors: Singles) -> bytes:
    """An index over unit vectors (n, width) as bytes: exact up to FLAT_UP_TO, an HNSW graph above."""
    index = flat(vectors) if len(vectors) <= FLAT_UP_TO else graph(vectors)
    return bytes(faiss.serialize_index(index).tobytes())


def unpacked(content: bytes, path: Path) -> Any:
    """The index in these bytes. Raises BadInput, naming `path`, when they are none."""
    try:
        return faiss.deserialize_index(np.frombuffer(content, np.uint8))
    except RuntimeError as error:
        raise BadInput(f"{path} is not a FAISS index ({error}): build the bank again with `gpi index`") from None


def vectors_of(index: Any) -> Singles:
    """All vectors of an index, (n, width)."""
    return np.ascontiguousarray(index.reconstruct_n(0, index.ntotal), np.float32)


def flat(vectors: Singles) -> Any:
    """The vectors alone: what a small bank stores."""
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(np.ascontiguousarray(vectors))
    return index


def graph(vectors: Singles) -> Any:
    """An HNSW graph over unit vectors, ready for `search`."""
    faiss.omp_set_num_threads(1)  # a graph built by several threads differs from run to run
    index = faiss.IndexHNSWFlat(vectors.shape[1], LINKS, faiss.METRIC_INNER_PRODUCT)
    index.add(np.ascontiguousarray(vectors))
    return index


def search(index: Any, query: Singles, k: int, first: int) -> tuple[Ints, Singles]:
    """Rows and cosines of about the k nearest of a graph's `first` first vectors to a query (width,)."""
    chosen = faiss.IDSelectorRange(0, first)
    settings = faiss.SearchParametersHNSW(  # type: ignore[attr-defined]
        sel=chosen, efSearch=max(BREADTH, 4 * k)
    )
    cosines, rows = index.search(query[None, :], k, params=settings)
    found = rows[0] >= 0
    return rows[0][found], cosines[0][found]
