"""Times that a venue tells, as numbers."""

from __future__ import annotations

from datetime import datetime

from gpi.formats.words import SECOND


def instant(text: str) -> int:
    """RFC 3339 with nanoseconds as ns."""
    head, _, rest = text.partition(".")
    whole = datetime.fromisoformat(head.rstrip("Z") + "+00:00")
    return int(whole.timestamp()) * SECOND + int((rest.rstrip("Z") or "0")[:9].ljust(9, "0"))


def densest(times: list[int]) -> int:
    """How many of these (ns) lie in the fullest second."""
    times.sort()
    most = start = 0
    for at, ts in enumerate(times):
        while ts - times[start] >= SECOND:
            start += 1
        most = max(most, at - start + 1)
    return most
