"""Which rows a session heard: enough to find them again in a longer recording, and to know that they are the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import xxhash

from gpi.formats.errors import BadInput
from gpi.formats.frame import Frame
from gpi.formats.ticks import TICKS

MARKS: Final = ("ts_event", "ts_recv", "seq", "instrument_id")
COLUMNS: Final = tuple(TICKS.names)  # what a tick says; what stages append to it follows from it


class Heard:
    """Counts and digests rows as they pass; `told` is what a manifest keeps."""

    def __init__(self) -> None:
        self.rows = 0
        self._first, self._final = list[int](), list[Any]()
        self._digests = [xxhash.xxh3_64() for _ in COLUMNS]

    def add(self, frame: Frame) -> None:
        """The next rows."""
        if not frame.rows:
            return
        for name, digest in zip(COLUMNS, self._digests, strict=True):
            digest.update(np.ascontiguousarray(frame[name]).data)
        if not self.rows:
            self._first = _marks(frame, 0)
        self.rows += frame.rows
        self._final = [frame[name][-1] for name in MARKS]

    def told(self) -> dict[str, Any]:
        """{"rows", "first", "last", "digest"}: the ends by MARKS, the digest of all COLUMNS."""
        digest = xxhash.xxh3_128(b"".join(each.digest() for each in self._digests)).hexdigest()
        last = [int(each) for each in self._final] if self.rows else []
        return {"rows": self.rows, "first": self._first, "last": last, "digest": digest}


def part(frames: Iterator[Frame], told: dict[str, Any], name: str) -> Iterator[Frame]:
    """The rows that a session heard, out of a recording that may hold more before and after.

    Notes (instruments announced) pass wherever they stand. Raises BadInput where the rows are not in it.
    """
    rows, first, seen, found = int(told["rows"]), list(told["first"]), 0, Heard()
    for frame in frames:
        start = 0
        if not found.rows and rows:
            start = _place(frame, first)
            seen += start
            if start == frame.rows:
                if frame.notes:
                    yield frame
                continue
        piece = frame.slice(start, min(frame.rows, start + rows - found.rows))
        piece.notes = frame.notes
        found.add(piece)
        if found.rows == rows:
            yield piece.copy()
            break
        yield piece
    if not found.rows and rows:
        raise BadInput(
            f"{name} does not hold what the session heard: no row in it is the session's first (ts_recv {first[1]}); "
            "is it the recording of another day?"
        )
    now = found.told()
    if now != told:
        why = f"ends {rows - found.rows:,} rows before the session's last" if found.rows < rows else "has other rows"
        raise BadInput(
            f"{name} is not what the session heard: from row {seen:,} on, where the session begins, it {why} "
            f"(the session heard {rows:,})"
        )


def _place(frame: Frame, first: list[int]) -> int:
    same = np.ones(frame.rows, bool)
    for name, value in zip(MARKS, first, strict=True):
        same &= frame[name] == value
    return int(same.argmax()) if same.any() else frame.rows


def _marks(frame: Frame, row: int) -> list[int]:
    return [int(frame[name][row]) for name in MARKS]
