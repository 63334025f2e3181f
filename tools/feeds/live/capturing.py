"""A capture: one thread that listens, journals, decodes and queues; the caller's thread, which takes rows out.

The order of things for every message: received (and stamped), appended to the journal, decoded, queued, published.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from gpi.formats.errors import GpiError
from gpi.formats.frame import Frame
from gpi.formats.secrets import masked
from gpi.tools.feeds.live.intake import OVERLAP_NS, Hole, Intake, Taken
from gpi.tools.feeds.live.journal import Journal, Kind, Record
from gpi.tools.feeds.live.link import Link
from gpi.tools.feeds.live.outlet import Outlet
from gpi.tools.feeds.live.refill import Refilled, Refiller
from gpi.tools.feeds.live.supervisor import Supervisor
from gpi.tools.feeds.live.watchdog import Watchdog
from gpi.tools.feeds.live.wire_names import Vendor, wire

TAKE_S: Final = 0.2  # how often a capture that hears nothing looks whether it should stop
REFILL_S: Final = 30.0  # after that a gap is given up: rows wait behind it
EMPTY_HOLES: Final = 8  # holes in a row of which REST knew nothing: this feed's numbers leave some out


@dataclass
class Capture:
    """What is captured and how. `frames` runs it; `report` tells the books afterwards."""

    link: Link
    intake: Intake
    outlet: Outlet
    journal: Journal
    watchdog: Watchdog
    refiller: Refiller | None
    say: Callable[[str], None]
    vendor: Vendor
    about: dict[str, Any]  # for the journal's BEGIN: what is captured
    patience_s: float = 600.0
    once: bool = False  # end when the other side closes cleanly
    for_s: float | None = None  # seconds to run
    until_ns: int | None = None  # wall clock at which to end
    stats_s: float | None = None  # how often to tell the books
    counts: Counter[str] = field(default_factory=Counter)
    _supervisor: Supervisor | None = None
    _thread: threading.Thread | None = None
    _loop: asyncio.AbstractEventLoop | None = None
    _batch: list[Record] = field(default_factory=list)
    _scheduled: bool = False
    _failure: BaseException | None = None
    _last_recv: int = 0
    _empty_holes: int = 0
    _closed: bool = False

    def frames(self, stopped: Callable[[], bool], waiting: Callable[[], bool] | None = None) -> Iterator[Frame]:
        """Rows as they come, until `stopped`, the time is over, or the feed fails (VenueError, GpiError).

        `waiting` is asked in its place while nothing comes: it may look farther.
        """
        self._thread = threading.Thread(target=self._listen, name="feed", daemon=True)
        self._thread.start()
        try:
            while True:
                frame = self.outlet.take(TAKE_S)
                if frame is not None:
                    yield frame
                elif self.outlet.over:
                    return
                if stopped() if frame is not None or waiting is None else waiting():
                    self.stop()
        finally:
            self.close()

    def stop(self) -> None:
        """End the conversation; rows that are queued still come."""
        loop, supervisor = self._loop, self._supervisor
        if loop is not None and supervisor is not None and not loop.is_closed():
            loop.call_soon_threadsafe(supervisor.stop)

    def close(self) -> None:
        """End everything, flush the journal; idempotent."""
        if self._closed:
            return
        self._closed = True
        self.stop()
        self.outlet.close()
        if self._thread is not None:
            with suppress(KeyboardInterrupt):  # a second Ctrl-C does not wait for the other side's goodbye
                self._thread.join(10.0)
        self.journal.close()

    def report(self) -> dict[str, int]:
        """The books. What came, items in + gap rows, is what became of it:

        out + quarantined + bars + controls + repeated + dropped + conflated + left in the journal.
        """
        counts, outlet = self.intake.counts, self.outlet
        books = {name: counts[name] for name in ("items in", "gap rows", "bars", "controls")} | {"out": outlet.out}
        books |= {name: count for name, count in sorted(counts.items()) if name.startswith("quarantined")}
        books |= {"repeated": counts["repeated"], "dropped": outlet.dropped, "conflated": outlet.conflated}
        books |= {
            "left in the journal": outlet.waiting,
            "refilled": counts["refilled"],
            "messages": self.counts["messages"],
        }
        if self._supervisor is not None:
            books |= dict(sorted(self._supervisor.counts.items()))
        return books

    def books(self) -> str:
        """The report in a line, without what is nought."""
        found = {name: count for name, count in self.report().items() if count or name in ("items in", "out")}
        return ", ".join(f"{name} {count:,}" for name, count in found.items())

    def _listen(self) -> None:
        error: BaseException | None = None
        try:
            asyncio.run(self._run())
        except BaseException as wrong:
            error = wrong
        self.outlet.close(self._failure or error)

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._supervisor = Supervisor(
            self.link, self, self.watchdog, self._hear, self.flush, self.say, self.patience_s, self.once
        )
        self._take([self._record(Kind.BEGIN, self.about)])
        timer = asyncio.ensure_future(self._timed())
        try:
            await self._supervisor.run()
        finally:
            timer.cancel()
            self.flush()
            self._queue(self.intake.finish())

    async def _timed(self) -> None:
        """Stop when the time is over."""
        begun = told = time.monotonic()
        assert self._supervisor is not None
        while True:
            over = self.for_s is not None and time.monotonic() - begun >= self.for_s
            if over or (self.until_ns is not None and time.time_ns() >= self.until_ns) or self._closed:
                self._supervisor.stop()
                return
            if self.stats_s is not None and time.monotonic() - told >= self.stats_s:
                told = time.monotonic()
                self.say(self.books())
            await asyncio.sleep(0.05)

    def _hear(self, message: bytes) -> None:
        """A message, in the loop's thread: kept until the loop's next turn, when all that came are taken at once."""
        self._batch.append(Record(Kind.MESSAGE, self._now(), message))
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self.flush)

    def flush(self) -> None:
        """Journal, decode and queue what was heard."""
        self._scheduled = False
        if not self._batch or self._failure is not None:
            return
        batch, self._batch = self._batch, []
        self.counts["messages"] += len(batch)
        self._take(batch)

    def _take(self, records: list[Record]) -> None:
        try:
            self.journal.append(records)
            self._queue(self.intake.take(records))
        except BaseException as error:  # in a callback of the loop: nobody else would hear of it
            self._failure = error
            if self._supervisor is not None:
                self._supervisor.stop()

    def _queue(self, found: Taken) -> None:
        for frame in found.frames:
            self.outlet.put(frame)
        if self._supervisor is not None:
            self._supervisor.on(found.controls, found.holes, found.data)

    def _now(self) -> int:
        self._last_recv = max(self._last_recv, time.time_ns())  # a clock set back does not turn time around
        return self._last_recv

    def _record(self, kind: Kind, said: dict[str, Any]) -> Record:
        return Record(kind, self._now(), masked(json.dumps(said)).encode())

    def down(self, why: str) -> None:
        """From here on messages are missing, until `refill`."""
        self.flush()
        self._take([self._record(Kind.DOWN, {"why": why}), self._record(Kind.GAP, {})])

    async def refill(self, hole: Hole | None) -> None:
        """Ask REST for what is missing, and close the gap with that, or with GAP rows."""
        self.flush()
        if hole is not None:
            self._take([self._record(Kind.GAP, {"hole": hole._asdict()})])
        made = await self._asked(hole)
        self.flush()  # what came meanwhile waits behind the gap
        said: dict[str, Any] = {"lost": self._names(made.lost) if made is not None else None}
        if hole is not None and made is not None:
            self._empty_holes = 0 if made.messages else self._empty_holes + 1
            if self._empty_holes >= EMPTY_HOLES:
                said["contiguous"] = False
                self.say(f"{self.link.name}: its sequence numbers leave some out; only reconnections are refilled now")
        records = [Record(Kind.REFILL, self._now(), message) for message in (made.messages if made else [])]
        self._take([*records, self._record(Kind.FILLED, said)])
        if hole is None or (made is not None and made.lost):
            lost = "everything is" if made is None else f"{len(made.lost)} symbols are" if made.lost else "nothing is"
            why = f" ({made.why})" if made is not None and made.why else ""
            self.say(f"{self.link.name}: {self.intake.counts['refilled']:,} rows refilled so far, {lost} lost{why}")

    async def _asked(self, hole: Hole | None) -> Refilled | None:
        """What REST has; None when there is no REST, or not in time."""
        latest = self.intake.catch_up()
        if not latest:
            return Refilled([], [], "")
        if self.refiller is None:
            return None
        start = max(0, max(latest.values()) - OVERLAP_NS)
        answer: asyncio.Future[Refilled] = asyncio.get_running_loop().create_future()
        threading.Thread(
            target=self._ask, args=(self.refiller, hole, start, answer), name="refill", daemon=True
        ).start()
        try:
            return await asyncio.wait_for(answer, REFILL_S)
        except TimeoutError:
            return None

    def _ask(self, rest: Refiller, hole: Hole | None, start: int, answer: asyncio.Future[Refilled]) -> None:
        """In a thread of its own, which nobody waits for when the capture ends."""
        if hole is None:
            made = rest.since(start)
        else:
            symbol = wire(self.vendor, self.intake.instruments[hole.instrument_id])
            made = rest.between(symbol, hole.kind, hole.first, hole.last, start)

        def tell() -> None:
            if not answer.done():
                answer.set_result(made)

        with suppress(RuntimeError):  # the loop has ended meanwhile
            answer.get_loop().call_soon_threadsafe(tell)

    def _names(self, lost: list[str]) -> list[str]:
        """The stream's own symbols of these names on the wire."""
        known = {wire(self.vendor, each): each.symbol for each in self.intake.instruments}
        return [known[name] for name in lost if name in known]


def failed(error: BaseException) -> GpiError:
    """An error of the feed's thread as one for the user."""
    return error if isinstance(error, GpiError) else GpiError(masked(f"{type(error).__name__}: {error}"))
