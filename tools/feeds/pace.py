"""Replaying at a human pace: the gaps of event time kept, or divided by a speed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from gpi.formats.frame import Frame
from gpi.formats.words import SECOND

NAP_S = 0.2
PATIENCE_S = 0.001  # rows due within this are sent together: a sleep is not more exact


def paced(
    frames: Iterable[Frame],
    speed: float,
    *,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Frame]:
    """The rows of `frames`, each when it is due: `speed` 1 is real time, 60 a minute a second.

    Frames are cut where the next row is not due yet, never inside one time. A reader that falls
    behind gets what is due at once, and no gap is ever lengthened to make up for it. Raises
    ValueError for a speed that is not positive.
    """
    if not speed > 0:
        raise ValueError(f"speed must be positive, not {speed}")
    start: tuple[float, int] | None = None
    for frame in frames:
        if not frame.rows:
            yield frame
            continue
        ts, row = frame["ts_event"], 0
        if start is None:
            start = (now(), int(ts[0]))
        while row < frame.rows:
            wait = (int(ts[row]) - start[1]) / SECOND / speed - (now() - start[0])
            if wait > PATIENCE_S:
                sleep(wait)
            due = start[1] + int((now() - start[0] + PATIENCE_S) * speed * SECOND)
            stop = max(int(np.searchsorted(ts, due, "right")), int(np.searchsorted(ts, ts[row], "right")))
            yield frame if row == 0 and stop >= frame.rows else frame.slice(row, stop)
            row = stop


def napping(stopped: Callable[[], bool]) -> Callable[[float], None]:
    """A sleep that ends early when `stopped` says so: Ctrl-C must not wait for tomorrow's first tick."""

    def nap(seconds: float) -> None:
        while seconds > 0 and not stopped():
            time.sleep(min(seconds, NAP_S))
            seconds -= NAP_S

    return nap
