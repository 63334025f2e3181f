"""Controls that need the broker's side: duplicates, storms of rejects, runaway orders and executions, clocks apart.

Times are seconds of a steady clock. What a guard disables stays disabled until a person starts the trader again.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from gpi.formats.execution import OrderRequest

SKEW_WARN_S: Final = 0.050
SKEW_BLOCK_S: Final = 1.0


@dataclass
class Guards:
    """The thresholds, and what was counted against them."""

    duplicate_s: float = 1.0
    rejects: int = 5  # one after the other
    asks_per_s: int = 200
    executions_per_min: int = 1_000
    stale_s: float = math.inf
    _sent: dict[tuple[object, ...], tuple[float, str]] = field(default_factory=dict)
    _asked: deque[float] = field(default_factory=deque)
    _executed: deque[float] = field(default_factory=deque)
    _rejected: int = 0

    @classmethod
    def at(cls, pace: float) -> Guards:
        """The same guards for a venue whose day passes `pace` times as fast: the windows shrink with it."""
        usual = cls()
        return cls(usual.duplicate_s / pace, usual.rejects, int(usual.asks_per_s * pace),
                   int(usual.executions_per_min * pace))  # fmt: skip

    def duplicate(self, request: OrderRequest, client_id: str, now: float) -> str:
        """The client id of the same order (symbol, side, size, prices) sent within the window; "" if there is none."""
        same = (
            request.symbol,
            request.side,
            request.order_type,
            request.qty,
            repr(request.px),
            repr(request.stop_px),
            repr(request.trail),
        )
        before = self._sent.get(same)
        if before is not None and now - before[0] < self.duplicate_s:
            return before[1]
        if len(self._sent) > 10_000:
            self._sent = {k: v for k, v in self._sent.items() if now - v[0] < self.duplicate_s}
        self._sent[same] = (now, client_id)
        return ""

    def stale(self, request: OrderRequest, now_ns: int) -> str:
        """What to say of a decision on ticks of another time (a delayed feed, a backlog, a recording); "" of others."""
        age = (now_ns - request.ts_event) / 1e9
        return "" if abs(age) <= self.stale_s else f"decided on ticks {age:.1f} s old; stale_data_s is {self.stale_s:g}"

    def runaway(self, now: float) -> bool:
        """One more new order: whether that makes too many within a second."""
        return _many(self._asked, now, 1.0) > self.asks_per_s

    def executed(self, now: float) -> bool:
        """One more execution: whether that makes too many within a minute."""
        return _many(self._executed, now, 60.0) > self.executions_per_min

    def rejected(self) -> bool:
        """One more order that the broker refused: whether that is a storm."""
        self._rejected += 1
        return self._rejected >= self.rejects

    def accepted(self) -> None:
        """An order was taken: the row of rejects has ended."""
        self._rejected = 0


def _many(times: deque[float], now: float, window: float) -> int:
    times.append(now)
    while times[0] < now - window:
        times.popleft()
    return len(times)


def skew(told_ns: int, sent_ns: int, received_ns: int) -> float:
    """Seconds by which the broker's clock is ahead of ours, less half of the way there and back."""
    return (told_ns - (sent_ns + received_ns) / 2) / 1e9
