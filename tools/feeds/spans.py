"""How long, and until when: words of the command line as seconds and as an instant."""

from __future__ import annotations

import re
import time
from datetime import datetime
from typing import Final

from gpi.formats.errors import UsageError
from gpi.formats.market.calendar import NEW_YORK, day_of

UNITS: Final = {"ms": 0.001, "": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}


def seconds(text: str) -> float:
    """A span such as 90, 30s, 5m, 6.5h. Raises UsageError.

    >>> seconds("6.5h")
    23400.0
    """
    found = re.fullmatch(r"(\d+(?:\.\d*)?)\s*(ms|s|m|h|)", text.strip())
    if found is None or float(found[1]) <= 0:
        raise UsageError(f"{text!r} is no span of time: such as 30s, 5m or 6.5h")
    return float(found[1]) * UNITS[found[2]]


def wall_clock(text: str, now: int | None = None) -> int:
    """An instant, ns UTC: 16:00 is today's in New York, a date its midnight; else ISO 8601 with its offset.

    Raises UsageError.

    >>> wall_clock("16:00", now=1_763_744_400_000_000_000) == wall_clock("2025-11-21T21:00:00Z")
    True
    >>> wall_clock("2013-10-08") == wall_clock("2013-10-08T00:00:00-04:00")
    True
    """
    try:
        if re.fullmatch(r"\d\d?:\d\d(:\d\d)?", text):
            hours = datetime.strptime(text, "%H:%M:%S" if text.count(":") == 2 else "%H:%M").time()
            when = datetime.combine(day_of(time.time_ns() if now is None else now), hours, NEW_YORK)
        elif re.fullmatch(r"\d{4}-\d\d-\d\d", text):
            when = datetime.fromisoformat(text).replace(tzinfo=NEW_YORK)
        else:
            when = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text!r} is no time: 16:00 (New York), or 2026-11-23T21:00:00Z") from None
    if when.tzinfo is None:
        raise UsageError(f"{text!r} does not say its time zone: add Z, or an offset such as -05:00")
    return int(when.timestamp() * 1_000_000) * 1000
