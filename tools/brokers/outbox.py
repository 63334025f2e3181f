"""Outbox: what waits to be sent. Cancels first; an order never waits long, and never beside one of its symbol."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Any, Final, NamedTuple

from gpi.tools.brokers.bucket import CANCEL, ORDER, Bucket

STALE_S: Final = 2.0
BACKLOG: Final = 500
HANDS: Final = (2, 3)  # requests in flight at most: cancels, and the rest


class Job(NamedTuple):
    """One request. `what` names the answer's reader; `symbol` is a key, for orders."""

    lane: int
    what: str
    method: str
    path: str
    data: Any = None
    client_id: str = ""
    symbol: str = ""
    since: float = 0.0  # steady clock, when it was asked for


class Outbox:
    """Requests by lane. `hands`: how many may be in flight at once, cancels and the rest apart."""

    def __init__(self, bucket: Bucket, hands: tuple[int, int] = HANDS) -> None:
        self.bucket, self.hands = bucket, hands
        self._lanes: list[deque[Job]] = [deque(), deque(), deque(), deque()]
        self._orders: OrderedDict[str, Job] = OrderedDict()
        self._flying: dict[int, Job] = {}
        self._symbols: set[str] = set()
        self._pending: set[tuple[str, str]] = set()

    def add(self, job: Job, first: bool = False) -> None:
        """Queue a request; one that waits or is under way already (same kind, same order) is not queued twice."""
        if job.lane == ORDER:
            self._orders[job.client_id] = job
            if first:
                self._orders.move_to_end(job.client_id, last=False)
            return
        mark = (job.what, job.client_id or job.path)
        if mark not in self._pending:
            self._pending.add(mark)
            (self._lanes[job.lane].appendleft if first else self._lanes[job.lane].append)(job)

    def withdraw(self, client_id: str) -> bool:
        """Take back an order that was not sent; False if it is under way."""
        return self._orders.pop(client_id, None) is not None

    def stale(self, now: float) -> list[Job]:
        """Orders that waited too long, or stand before a full backlog: taken back, to be told as expired."""
        found = []
        while self._orders:
            oldest = next(iter(self._orders.values()))
            if now - oldest.since < STALE_S and len(self._orders) <= BACKLOG:
                break
            found.append(self._orders.popitem(last=False)[1])
        return found

    @property
    def orders(self) -> list[Job]:
        """The orders that wait, oldest first."""
        return list(self._orders.values())

    def drop_orders(self) -> list[Job]:
        """Take back every order that was not sent."""
        found = list(self._orders.values())
        self._orders.clear()
        return found

    def due(self, now: float) -> list[Job]:
        """What may be sent now; each counts as in flight until `done`."""
        out = []
        for lane in range(4):
            while job := self._next(lane, now):
                out.append(job)
        return out

    def _full(self, lane: int) -> bool:
        flying = sum((each.lane == CANCEL) == (lane == CANCEL) for each in self._flying.values())
        return flying >= self.hands[0 if lane == CANCEL else 1]

    def _head(self, lane: int) -> Job | None:
        if self._full(lane):
            return None
        if lane == ORDER:
            return next((each for each in self._orders.values() if each.symbol not in self._symbols), None)
        return self._lanes[lane][0] if self._lanes[lane] else None

    def _next(self, lane: int, now: float) -> Job | None:
        job = self._head(lane)
        if job is None or not self.bucket.take(lane, now):
            return None
        if lane == ORDER:
            del self._orders[job.client_id]
            self._symbols.add(job.symbol)
        else:
            self._lanes[lane].popleft()
        self._flying[id(job)] = job
        return job

    def done(self, job: Job) -> None:
        """Its reply was read."""
        self._flying.pop(id(job), None)
        if job.lane == ORDER:
            self._symbols.discard(job.symbol)
        else:
            self._pending.discard((job.what, job.client_id or job.path))

    @property
    def sending(self) -> bool:
        """Whether an order or a replacement is under way, or waits to be."""
        return bool(self._orders) or any(job.lane == ORDER for job in self._flying.values())

    @property
    def idle(self) -> bool:
        """Whether nothing waits or is in flight, but routine looks."""
        waiting = any(self._lanes[:3]) or self._orders
        return not waiting and all(job.lane == 3 for job in self._flying.values())

    def wait(self, now: float) -> float:
        """Seconds until something that waits may be sent; a minute where nothing can be until a reply comes."""
        waits = [self.bucket.wait(lane, now) for lane in range(4) if self._head(lane) is not None]
        return max(min(waits, default=60.0), 0.001)
