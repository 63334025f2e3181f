"""Rate limits: requests a minute per account, counted by the wall clock, told in headers on every response."""

from typing import NamedTuple

from gpi.tools.venue.clock import epoch

MINUTE_S = 60


class Allowance(NamedTuple):
    """What is left: `reset` is the second (since 1970) at which the minute is over."""

    limit: int
    remaining: int
    reset: int
    granted: bool

    def headers(self, skew_s: int = 0) -> dict[str, str]:
        """X-RateLimit-*, as Alpaca sends them; none where there is no limit. `skew_s`: how wrong the clock goes."""
        if self.limit <= 0:
            return {}
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(self.reset + skew_s),
        }


class RateLimits:
    """A fixed minute per bucket; trading and market data have buckets of their own. Limit 0: everything is granted."""

    def __init__(self, limit: int = 200) -> None:
        self.limit = limit
        self._used: dict[str, tuple[int, int]] = {}  # bucket -> (reset, requests)

    def take(self, bucket: str) -> Allowance:
        """Count one request; refused ones count, too."""
        now = epoch()
        reset, used = self._used.get(bucket, (0, 0))
        if now >= reset:
            reset, used = now + MINUTE_S, 0
        self._used[bucket] = (reset, used + 1)
        if self.limit <= 0:
            return Allowance(0, 0, reset, True)
        return Allowance(self.limit, max(0, self.limit - used - 1), reset, used < self.limit)
