"""The watchdog of mute sockets: a connection that answers pings and brings no data is dead, in the market's hours."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from gpi.formats.market.calendar import state
from gpi.tools.feeds.live.venue_time import VenueTime

LOOK_S: Final = 1.0  # longer between two looks: we were busy, and did not listen
BUSY: Final = 4.0  # likewise at a venue that does not even tell its time
QUIETER: Final = 12.0  # before the open and after the close, silence may last so much longer
MOST: Final = 16.0  # every silence that a fresh connection did not end doubles the patience, up to this


class Watchdog:
    """Fed with every message that held data; `mute` says when there was none for too long, although we listened.

    `always`: the market never closes (crypto, a venue that replays). Time is the monotonic clock, so a wrong or
    leaping wall clock never fires it; the wall clock only tells which session it is. `mute` is to be asked often: of
    the time between two looks LOOK_S at most counts, for in the rest nobody read the socket (a slow reader held us
    back, the machine slept). At a venue silence counts only while its own time goes on.
    """

    def __init__(
        self,
        seconds: float,
        always: bool,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], int] = time.time_ns,
        venue: VenueTime | None = None,
    ) -> None:
        self._seconds = seconds
        self._always = always
        self._clock, self._wall, self._venue = clock, wall, venue
        self._looked = clock()
        self._silence = 0.0
        self._patience = 1.0
        self._state = "regular" if always else ""

    def fed(self) -> None:
        """There was data."""
        self.connected()
        self._patience = 1.0

    def connected(self) -> None:
        """A new connection: it gets its own time."""
        self._silence, self._looked = 0.0, self._clock()
        if self._venue is not None:
            self._venue.heard()

    @property
    def over(self) -> bool:
        """Whether a venue has said that its feed is over."""
        return self._venue is not None and self._venue.over

    def mute(self) -> float | None:
        """How long there has been no data, s, if that is too long; None if it is not, or nobody trades now."""
        now = self._clock()
        self._silence += min(now - self._looked, LOOK_S)
        self._looked = now
        if self._venue is not None:
            self._venue.silent(self._silence)
        if self._seconds <= 0:
            return None
        session = "regular" if self._always else state(self._wall())
        if session != self._state:  # silence before the open does not count after it
            self._state, self._silence = session, 0.0
        if session == "closed" or (self._venue is not None and (self._venue.over or self._venue.stands)):
            return None
        limit = self._seconds * self._patience * (1.0 if session == "regular" else QUIETER)
        if self._venue is not None and not self._venue.answered:
            limit *= BUSY
        if self._silence < limit:
            return None
        self._patience = min(2 * self._patience, MOST)
        return self._silence
