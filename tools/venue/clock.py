"""The venue's time: event time of the feed while there is one, and what the venue tells others it is."""

import time

from gpi.formats.words import SECOND


class Clock:
    """Venue time in ns UTC. Virtual once a feed has set it; the machine's clock before, and where there is no feed."""

    def __init__(self) -> None:
        self.skew_ns = 0  # added to what is told, never to what is true: the fault `skew`
        self._now: int | None = None

    def set(self, ts: int) -> None:
        """The feed has reached `ts` (ns); time never goes back."""
        if self._now is None or ts > self._now:
            self._now = ts

    @property
    def skew_s(self) -> int:
        """The same in whole seconds, for the headers, whose times are the wall's."""
        return self.skew_ns // SECOND

    @property
    def virtual(self) -> bool:
        """Whether a feed has set the time."""
        return self._now is not None

    def now(self) -> int:
        """True venue time, ns."""
        return time.time_ns() if self._now is None else self._now

    def told(self) -> int:
        """The time the venue claims in /v2/clock, ns."""
        return self.now() + self.skew_ns


def wall() -> float:
    """Seconds that pass outside, for rate limits and connection slots: they hold however fast the feed plays."""
    return time.monotonic()


def epoch() -> int:
    """Whole seconds since 1970 outside, for the headers Date and X-RateLimit-Reset."""
    return int(time.time())
