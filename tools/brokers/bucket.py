"""What may be sent now: the broker's own count of our requests, and a ceiling of our own. No clock inside.

Lanes: a cancel may use the last request of the broker's window; a look after an order whose fate is unknown leaves
an eighth, a new order a quarter, a routine look a half.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

CANCEL, RESOLVE, ORDER, LOOK = range(4)
RESERVED: Final = (0.0, 0.125, 0.25, 0.5)  # of the window, left for the lanes before
UNTOLD_WAIT_S: Final = 1.0  # after a 429 that does not say when
LONGEST_WAIT_S: Final = 65.0


@dataclass
class Bucket:
    """Times are seconds of any steady clock. `limit` requests a window, as the broker's headers tell."""

    ceiling: float = 200.0  # a second, our own
    limit: float = 200.0  # a minute, until the broker says
    window_s: float = 60.0
    remaining: float = 200.0
    resets: float = 0.0  # when the broker's window ends
    barred: float = 0.0  # nothing before this: the broker said 429
    tokens: float = 50.0
    filled_at: float = 0.0
    told: bool = False  # the broker has said its limit

    def wait(self, lane: int, now: float) -> float:
        """Seconds until this lane may send; 0 now."""
        if now < self.barred:
            return self.barred - now
        self._refill(now)
        if self.tokens < 1.0:
            return (1.0 - self.tokens) / self.ceiling
        if self.remaining - 1.0 < self.limit * RESERVED[lane]:
            return max(self.resets - now, 0.001)
        return 0.0

    def take(self, lane: int, now: float) -> bool:
        """Use one request, if this lane may."""
        if self.wait(lane, now) > 0.0:
            return False
        self.tokens -= 1.0
        self.remaining -= 1.0
        return True

    def _refill(self, now: float) -> None:
        self.tokens = min(self.ceiling / 4, self.tokens + (now - self.filled_at) * self.ceiling)
        self.filled_at = now
        if now >= self.resets:
            self.remaining, self.resets = self.limit, now + self.window_s

    def heard(self, status: int, headers: Mapping[str, str], server: float, now: float) -> None:
        """Learn from a reply. `server`: the broker's clock in epoch seconds, from its Date header."""
        limit, left, reset = (_count(headers.get(f"X-RateLimit-{name}")) for name in ("Limit", "Remaining", "Reset"))
        fresh = bool(limit) and limit != self.limit  # what was counted under another limit means nothing
        self.limit, self.told = limit or self.limit, self.told or bool(limit)
        if status < 400 and not self.told:
            self.limit = self.remaining = math.inf  # a venue that tells no limit has none but our ceiling
        wait = None if reset is None else min(max(reset - server, 0.0) + 0.05, LONGEST_WAIT_S)
        if left is not None and wait is not None:
            new_window = fresh or now + wait > self.resets + 1.0
            self.remaining = left if new_window else min(self.remaining, left)
            self.resets = now + wait
        if status == 429:
            after = _count(headers.get("Retry-After"))
            told = wait if wait is not None else after
            self.barred = max(self.barred, now + min(told or UNTOLD_WAIT_S, LONGEST_WAIT_S))
            self.remaining = 0.0
            self.resets = self.barred


def _count(text: str | None) -> float | None:
    try:
        found = float(text) if text is not None else None
    except ValueError:
        return None
    return found if found is not None and 0.0 <= found < 1e12 else None
