"""An excerpt of a recording: the rows between two instants."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from gpi.formats.frame import Frame
from gpi.formats.quarantine import Quarantine

DISORDER_NS = 60_000_000_000  # rows of a captured stream may come so much late; beyond it the excerpt is over


def excerpt(
    frames: Iterable[Frame], since: int | None, until: int | None, books: Quarantine | None = None
) -> Iterator[Frame]:
    """The rows with since <= ts_event < until (ns), in their order; all notes; reads no further than it must.

    `books`, which counted the rows before, are told of those that are left out.
    """
    low = np.iinfo(np.int64).min if since is None else since
    high = np.iinfo(np.int64).max if until is None else until
    for frame in frames:
        if not frame.rows:
            yield frame
            continue
        ts = frame["ts_event"]
        inside = (ts >= low) & (ts < high)
        if inside.all():
            yield frame
            continue
        if books is not None:
            books.unwanted(int(frame.rows - inside.sum()))
        for start, stop in _runs(inside):
            yield frame.slice(start, stop)
        if int(ts.min()) - DISORDER_NS > high:
            if books is not None:
                books.over()
            return


def _runs(inside: np.ndarray) -> Iterator[tuple[int, int]]:
    """Where rows that are inside begin and end."""
    edges = np.flatnonzero(np.diff(inside.astype(np.int8), prepend=0, append=0))
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
