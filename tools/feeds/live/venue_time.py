"""What a venue's clock says while its socket is silent: whether its time goes on, and whether its feed is over."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np
import requests

from gpi.formats.secrets import Secret
from gpi.tools.replies import Bounded, Bounds

TIMEOUT_S: Final = (3.0, 5.0)
CLOCK: Final = Bounds(1 << 16, 10.0, time.monotonic)
FEED: Final = "X-Gpi-Feed"  # header of /v2/clock: playing, over, ...


class Told(NamedTuple):
    """An answer: venue time (ns), and how its feed is doing."""

    now: int
    feed: str


class VenueTime:
    """Asked in threads of its own, so that nobody waits; `ask` answers None when it cannot.

    Time that stands still is nobody's silence: the venue waits for a slow reader, or its day is over.
    """

    def __init__(self, ask: Callable[[], Told | None], every_s: float) -> None:
        self._ask, self._every_s = ask, every_s
        self._answers: list[Told] = []  # since the silence began
        self._asked = 0

    def heard(self) -> None:
        """There was data, or a new connection: whatever the clock said before does not matter."""
        if self._asked:
            self._answers, self._asked = [], 0

    def silent(self, seconds: float) -> None:
        """There has been none for so long: ask, now and then."""
        if seconds >= self._every_s * (self._asked + 1):
            self._asked += 1
            threading.Thread(target=self._look, args=(self._answers,), name="venue clock", daemon=True).start()

    @property
    def over(self) -> bool:
        """Whether its feed has ended."""
        return bool(self._answers) and self._answers[-1].feed == "over"

    @property
    def answered(self) -> bool:
        """Whether it has told its time twice since the silence began: one that compiles, or is gone, has not."""
        return len(self._answers) > 1

    @property
    def stands(self) -> bool:
        """Whether no time has passed there since the silence began, by its answers."""
        return self.answered and self._answers[-1].now == self._answers[0].now

    def _look(self, answers: list[Told]) -> None:
        told = self._ask()
        if told is not None:
            answers.append(told)


def clock_of(url: str, keys: Sequence[Secret]) -> Callable[[], Told | None]:
    """Ask the venue at `url` (http) for its time, with Alpaca's pair of keys or Polygon's one."""

    def ask() -> Told | None:
        names = ("APCA-API-KEY-ID", "APCA-API-SECRET-KEY")
        headers = {name: key.reveal() for name, key in zip(names, keys, strict=False)}
        if len(keys) == 1:
            headers = {"Authorization": f"Bearer {keys[0].reveal()}"}
        try:
            with requests.Session() as session:
                for scheme in ("http://", "https://"):
                    session.mount(scheme, Bounded(TIMEOUT_S, CLOCK))
                answer = session.get(f"{url}/v2/clock", headers=headers)
                now = np.datetime64(str(answer.json()["timestamp"])[:26], "ns")  # in New York: only compared
                return Told(int(now.astype(np.int64)), answer.headers.get(FEED, ""))
        except Exception:  # whatever a stranger's answer ends in: it tells no time
            return None

    return ask
