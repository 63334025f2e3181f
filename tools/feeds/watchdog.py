"""The watchdog of mute sockets: a connection that answers pings and brings no data is dead, in the market's hours."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from gpi.formats.calendar import state

QUIETER: Final = 12.0  # before the open and after the close, silence may last so much longer
MOST: Final = 16.0  # every silence that a fresh connection did not end doubles the patience, up to this


class Watchdog:
    """Fed with every message that held data; `mute` says when there was none for too long.

    `always`: the market never closes (crypto, a venue that replays). Time is the monotonic clock, so a wrong or
    leaping wall clock never fires it; the wall clock only tells which session it is.
    """

    def __init__(
        self,
        seconds: float,
        always: bool,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], int] = time.time_ns,
    ) -> None:
        self._seconds = seconds
        self._always = always
        self._clock, self._wall = clock, wall
        self._last = clock()
        self._patience = 1.0
        self._state = ""

    def fed(self) -> None:
        """There was data."""
        self._last = self._clock()
        self._patience = 1.0

    def connected(self) -> None:
        """A new connection: it gets its own time."""
        self._last = self._clock()

    def mute(self) -> float | None:
        """How long there has been no data, s, if that is too long; None if it is not, or nobody trades now."""
        if self._seconds <= 0:
            return None
        now = self._clock()
        session = "regular" if self._always else state(self._wall())
        if session != self._state:  # silence before the open does not count after it
            self._state = session
            self._last = now
        if session == "closed":
            return None
        limit = self._seconds * self._patience * (1.0 if session == "regular" else QUIETER)
        silence = now - self._last
        if silence < limit:
            return None
        self._patience = min(2 * self._patience, MOST)
        return silence
