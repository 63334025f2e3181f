"""The supervisor of one feed: keeps a conversation going whatever happens to connections, and says what happened.

A fresh client for every connection. A wrong key is tried three times, a busy slot for ninety seconds (a half-dead
connection holds it so long), a refusal once; all else is tried again, after pauses that grow and are never the same
for two who lost the same server. What is subscribed must be what is desired, or the connection is made anew.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from enum import Enum, auto
from errno import ECONNREFUSED
from typing import Any, Final, Protocol

from websockets.exceptions import ConnectionClosedOK

from gpi.formats.errors import GpiError, VenueError
from gpi.formats.secrets import masked
from gpi.tools.feeds.live.intake import Hole
from gpi.tools.feeds.live.link import Link, Said, Step, Tap
from gpi.tools.feeds.live.watchdog import Watchdog

LOOK_S: Final = 0.05  # how often the state of a connection is looked at
PHASE_S: Final = 10.0  # from one step of the handshake to the next
ACKNOWLEDGED_S: Final = 5.0  # until everything desired is subscribed
KEY_TRIES: Final = 3
KEY_PAUSE_S: Final = 0.2
SLOT_S: Final = 90.0
SLOT_PAUSE_S: Final = 3.0
FIRST_PAUSE_S: Final = 0.2
LAST_PAUSE_S: Final = 30.0
LIVE_FAILURES: Final = 2  # a feed that was subscribed and then torn comes back soon, however often it happens
CLOSED: Final = "closed by the other side"
OVER: Final = "its feed is over"
GONE: Final = "connection refused: nobody listens there"
HTTP: Final = {"401": Step.BAD_KEY, "403": Step.BAD_KEY, "406": Step.BUSY, "429": Step.BUSY}


class Phase(Enum):
    """How far a connection has come."""

    DIALLING = auto()
    CONNECTED = auto()
    AUTHENTICATED = auto()
    LIVE = auto()


class Floor(Protocol):
    """Where a gap is declared and filled."""

    def down(self, why: str) -> None:
        """The connection ended; from here on messages may be missing."""

    async def refill(self, hole: Hole | None) -> None:
        """Close the open gap: with what REST has, else with GAP rows. `hole`: only these messages."""


class Supervisor:
    """Runs until `stop`; with `once` until the other side closes cleanly, is gone, or its feed is over.

    What the tap heard comes back through `on`, decoded.
    """

    def __init__(
        self,
        link: Link,
        floor: Floor,
        watchdog: Watchdog,
        hear: Callable[[bytes], None],
        flush: Callable[[], None],
        say: Callable[[str], None],
        patience_s: float,
        once: bool = False,
    ) -> None:
        self.counts: Counter[str] = Counter()  # connections, and what ended them
        self._link, self._floor, self._watchdog = link, floor, watchdog
        self._hear, self._flush, self._say = hear, flush, say
        self._patience, self._once = patience_s, once
        self._dice = random.Random()
        self._stop = asyncio.Event()
        self._filling: asyncio.Task[None] | None = None
        self._phase, self._since = Phase.DIALLING, 0.0
        self._acknowledged: set[str] = set()
        self._trouble: Said | None = None
        self._was_live = False
        self._failures = 0  # connections in a row that brought no data
        self._keys_tried = 0
        self._busy_since: float | None = None
        self._lost_since: float | None = None

    def stop(self) -> None:
        """End the conversation; `run` returns soon."""
        self._stop.set()

    def on(self, controls: Sequence[dict[str, Any]], holes: Sequence[Hole], data: int) -> None:
        """What the last messages held."""
        if data:
            self._watchdog.fed()
            self._failures = 0
        for control in controls:
            self._control(self._link.said(control))
        for hole in holes:
            self.counts["holes in the sequence"] += 1
            self._fill(hole)

    async def run(self) -> None:
        """Keep the feed up. Raises VenueError, naming what the other side said, when trying again is no use."""
        self._lost_since = time.monotonic()
        while not self._stop.is_set():
            why = await self._one_connection()
            if self._stop.is_set() or (self._once and self._was_live and why in (CLOSED, GONE, OVER)):
                break
            if self._filling is not None:
                self._filling.cancel()  # the gap is open, and is filled when the feed is back
            if self._was_live:
                self._floor.down(why)
            pause = self._pause(why)
            await self._nap(pause)
        if self._filling is not None:
            self._filling.cancel()

    async def _one_connection(self) -> str:
        """Why it ended."""
        tap = Tap(self._hear)
        self._enter(Phase.DIALLING)
        self._acknowledged.clear()
        self._trouble = None
        self.counts["connections"] += 1
        talk = asyncio.ensure_future(self._link.converse(tap))
        why = ""
        try:
            while not talk.done() and not why and not self._stop.is_set():
                await asyncio.wait({talk}, timeout=LOOK_S)
                self._flush()
                why = self._wrong(tap)
            self._flush()  # what was said before the end
            if talk.done() and not why:
                why = self._ended(talk)
        finally:
            talk.cancel()
            await tap.close()
            await asyncio.gather(talk, return_exceptions=True)
        if self._trouble is not None:
            why = self._trouble.words
        return masked(why)

    def _wrong(self, tap: Tap) -> str:
        """What is wrong with a connection that stands; nothing: an empty string."""
        waited = time.monotonic() - self._since
        if tap.failure is not None:
            return self._status(tap.failure)
        if self._trouble is not None:
            return self._trouble.words
        if self._phase is Phase.LIVE:
            silence = self._watchdog.mute()
            if self._once and self._watchdog.over:
                return OVER
            if silence is None:
                return ""
            self.counts["mute"] += 1
            return f"mute: no data for {silence:.1f} s"
        if self._phase is Phase.AUTHENTICATED and waited > ACKNOWLEDGED_S:
            missing = sorted(self._link.desired - self._acknowledged)
            return f"{len(missing)} of {len(self._link.desired)} topics not acknowledged, such as {missing[0]}"
        return f"nothing heard while {self._phase.name.lower()}" if waited > PHASE_S else ""

    def _ended(self, talk: asyncio.Future[None]) -> str:
        error = talk.exception()
        if isinstance(error, GpiError):
            raise error
        if isinstance(error, OSError) and error.errno == ECONNREFUSED:
            return GONE
        return CLOSED if error is None or isinstance(error, ConnectionClosedOK) else self._status(error)

    def _status(self, error: BaseException) -> str:
        """The words of an error; a handshake refused with a status that means something is that trouble."""
        words = _words(error)
        step = HTTP.get(words.removeprefix("HTTP "))
        if step is not None and self._trouble is None:
            self._trouble = Said(step, words=words)
            self.counts[_counted(step)] += 1
        return words

    def _control(self, said: Said) -> None:
        if said.step is Step.CONNECTED:
            self._enter(Phase.CONNECTED)
        elif said.step is Step.AUTHENTICATED:
            self._enter(Phase.AUTHENTICATED)
            self._keys_tried, self._busy_since = 0, None
        elif said.step is Step.SUBSCRIBED:
            self._acknowledged |= said.topics
            if self._phase is Phase.AUTHENTICATED and self._link.desired <= self._acknowledged:
                self._live()
        elif said.step is Step.OTHER:
            if said.words:
                self._say(masked(f"{self._link.name} says {said.words}"))
        else:
            self._trouble = said
            self.counts[_counted(said.step)] += 1

    def _live(self) -> None:
        self._enter(Phase.LIVE)
        self._watchdog.connected()
        self._lost_since = None
        self._failures = min(self._failures, LIVE_FAILURES)
        again = " again" if self._was_live else ""
        self._say(f"{self._link.name}: subscribed{again} to {len(self._link.desired)} topics")
        if self._was_live:
            self._fill(None)
        self._was_live = True

    def _fill(self, hole: Hole | None) -> None:
        if self._filling is not None and not self._filling.done():
            self._filling.cancel()
        self._filling = asyncio.ensure_future(self._floor.refill(hole))
        self._filling.add_done_callback(self._filled)

    def _filled(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self._say(masked(f"refill failed: {_words(task.exception())}"))
            self._stop.set()

    def _enter(self, phase: Phase) -> None:
        self._phase, self._since = phase, time.monotonic()

    def _pause(self, why: str) -> float:
        """How long to wait before the next connection, s; raises VenueError when there should be none."""
        now = time.monotonic()
        self._lost_since = self._lost_since or now
        step = self._trouble.step if self._trouble else None
        if step is Step.REFUSED:
            raise VenueError(f"{self._link.name} refuses: {why}")
        if step is Step.BAD_KEY:
            self._keys_tried += 1
            if self._keys_tried >= KEY_TRIES:
                raise VenueError(f"{self._link.name} does not accept the key ({why}), tried {KEY_TRIES} times")
            return KEY_PAUSE_S
        if step is Step.BUSY:
            self._busy_since = self._busy_since or now
            if now - self._busy_since > SLOT_S:
                raise VenueError(f"{self._link.name}: {why}, for {SLOT_S:.0f} s: end the other connection of this key")
            self._say(f"{self._link.name}: {why}; waiting up to {SLOT_S:.0f} s for the slot")
            return SLOT_PAUSE_S * self._dice.uniform(0.5, 1.5)
        if now - self._lost_since > self._patience:
            raise VenueError(f"{self._link.name} cannot be reached for {self._patience:.0f} s: {why}")
        self._failures += 1
        pause = min(LAST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(self._failures - 1, 10)) * self._dice.uniform(0.5, 1.0)
        self._say(f"{self._link.name}: {why}; connecting again in {pause:.1f} s")
        return pause

    async def _nap(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stop.wait(), seconds)
        except TimeoutError:
            return


def _counted(step: Step) -> str:
    return step.name.lower().replace("_", " ")


def _words(error: BaseException | None) -> str:
    """An error as a person would say it."""
    status = getattr(error, "status_code", None) or getattr(getattr(error, "response", None), "status_code", None)
    if status is not None:
        return f"HTTP {status}"
    return str(error) or type(error).__name__
