"""Tape: each frame of the feed is kept, and told to every data socket that asked.

Of one tick row, first its STATUS is told, then its TRADE, its QUOTE, its DEPTH; a bar before what happens at its end.
What is told in one call is one array (of at most MOST messages) for each subscriber; equal subscribers share the
bytes. The record of what was sent follows the oldest subscriber of each address.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
from aiohttp import WSCloseCode

from gpi.formats.frame import Frame
from gpi.tools.kernels.data import writing as w
from gpi.tools.venue.data.messages import Dialect
from gpi.tools.venue.data.names import Directory
from gpi.tools.venue.data.past import Past
from gpi.tools.venue.data.spoiling import Raws, Spoiler
from gpi.tools.venue.data.store import Items, Store
from gpi.tools.venue.data.subscriber import Subscriber
from gpi.tools.venue.world import World

Array = npt.NDArray[Any]
MOST: Final = 1000  # messages in one array: below 1 MiB, the clients' limit, even in JSON
ROOM: Final = 1 << 19  # bytes of the buffer the kernel writes into


class Body(NamedTuple):
    """One array of messages as bytes, and the items it came from: first .. last - 1, those that were asked for."""

    data: bytes
    first: int
    last: int


class Record(Protocol):
    """Keeps what was sent (tools.venue.sent)."""

    def add(self, endpoint: str, ints: Array, nums: Array) -> None:
        """Items as they went out on an endpoint, in sending order."""


class Endpoint:
    """One socket address: its subscribers, and whether the levels of a book are told whole or as changes."""

    def __init__(self, path: str, vendor: str, kinds: tuple[str, ...], channels: dict[str, tuple[int, ...]]) -> None:
        self.path, self.vendor, self.kinds, self.channels = path, vendor, kinds, channels
        self.subscribers: list[Subscriber] = []
        self.slots: dict[str, float] = {}  # key -> wall time until which a half-dead socket holds its place


class Tape:
    """The market-data side of the venue: `publish` is called with every frame."""

    def __init__(self, world: World, store: Store | None = None, record: Record | None = None) -> None:
        self.world = world
        self.store = store or Store(world.instruments)
        self.record = record
        self.directory = Directory(world.instruments)
        self.endpoints: dict[str, Endpoint] = {}
        self.sent: Counter[str] = Counter()
        self.dialects: list[Dialect] = []
        self._known = -1  # instruments that dialects and subscribers have heard of
        self._out = np.empty(ROOM, np.uint8)
        self._told = np.zeros(4, np.int64)
        self._spoiler = Spoiler(world)

    def endpoint(
        self, path: str, vendor: str, kinds: tuple[str, ...], channels: dict[str, tuple[int, ...]]
    ) -> Endpoint:
        """Open a socket address for instruments of these classes."""
        return self.endpoints.setdefault(path, Endpoint(path, vendor, kinds, channels))

    def speaking(self, dialect: Dialect) -> Dialect:
        """A dialect that learns new instruments from now on."""
        dialect.know(self.world.instruments)
        self.dialects.append(dialect)
        return dialect

    async def publish(self, frame: Frame) -> None:
        """Keep the rows and tell them; with `slow` = wait this returns when every subscriber has room again."""
        self._learn()
        items = self.store.fold(frame)
        for endpoint in self.endpoints.values():
            if endpoint.subscribers:
                await self._tell(endpoint, items)

    async def close(self) -> None:
        """Say goodbye to everybody who is connected; whoever does not answer in FAREWELL_S is left."""
        everybody = [each for endpoint in self.endpoints.values() for each in endpoint.subscribers]
        await asyncio.gather(*(each.ws.close(code=WSCloseCode.GOING_AWAY) for each in everybody))

    def past(self) -> Past:
        """What lies before the feed."""
        return self.store.past

    def subscribed(self) -> int:
        """How many sockets have subscribed to something."""
        return sum(bool(any(s.topics.values())) for e in self.endpoints.values() for s in e.subscribers)

    def state(self) -> dict[str, Any]:
        """What was sent, by endpoint; what was spoiled, by reason; what is kept."""
        return {"sent": dict(self.sent), "injected": dict(self._spoiler.injected), "store": self.store.state()}

    def _learn(self) -> None:
        if self._known == len(self.world.instruments):
            return
        self._known = len(self.world.instruments)
        for dialect in self.dialects:
            if len(dialect.classes) != len(self.world.instruments):
                dialect.know(self.world.instruments)
        for endpoint in self.endpoints.values():
            for each in endpoint.subscribers:
                if each.wanted.shape[1] != len(self.world.instruments):
                    each.look_up(endpoint.kinds, endpoint.channels, self.directory)

    async def _tell(self, endpoint: Endpoint, items: Items) -> None:
        union = np.bitwise_or.reduce([each.wanted for each in endpoint.subscribers])
        items, raws = self._spoiler.spoiled(endpoint, items, union)
        levels = items.changes if endpoint.vendor == "alpaca" else items.books
        bodies: dict[tuple[int, bytes], list[Body]] = {}
        jobs = []
        for n, each in enumerate(tuple(endpoint.subscribers)):
            key = id(each.dialect), each.likeness
            if key not in bodies:
                bodies[key] = self._bodies(endpoint, each, items, levels, raws)
            if bodies[key]:
                kept = self.record is not None and n == 0
                jobs.append(_all(each, bodies[key], self._kept(endpoint, each, items, raws) if kept else None))
        if len(jobs) == 1:
            await jobs[0]
        elif jobs:
            await asyncio.gather(*jobs)

    def _kept(
        self, endpoint: Endpoint, to: Subscriber, items: Items, raws: Raws
    ) -> Callable[[Body], Callable[[], None]]:
        """What writes the items of a body into the record, once it has been sent."""
        channels, ids = items.ints[:, w.I_CHANNEL], items.ints[:, w.I_INSTRUMENT]
        spans = to.dialect.programs[to.dialect.classes[ids], channels]
        told = (to.wanted[channels, ids] > 0) & (spans[:, 0] != spans[:, 1])
        told[list(raws)] = False

        def of(body: Body) -> Callable[[], None]:
            rows = np.flatnonzero(told[body.first : body.last]) + body.first

            def sent() -> None:
                if self.record is not None:
                    self.record.add(endpoint.path, items.ints[rows], items.nums[rows])

            return sent

        return of

    def _bodies(self, endpoint: Endpoint, to: Subscriber, items: Items, levels: Array, raws: Raws) -> list[Body]:
        """The arrays for one kind of subscriber."""
        found: list[Body] = []
        parts: list[bytes] = []
        count, start, first = 0, 0, 0

        def finish() -> None:
            nonlocal parts, count, first
            if count:
                found.append(Body(to.dialect.framed(parts, count), first, start))
                self.sent[endpoint.path] += count
            parts, count, first = [], 0, start

        for stop in [*sorted(raws), len(items.ints)]:
            while start < stop:
                part, n, start = self._part(to, items, levels, start, stop, MOST - count)
                if n:
                    parts.append(part)
                    count += n
                if count >= MOST:
                    finish()
            if stop in raws:
                start = stop + 1
                if to.wanted[items.ints[stop, w.I_CHANNEL], items.ints[stop, w.I_INSTRUMENT]]:
                    parts.append(to.dialect.raw(raws[stop]))
                    count += 1
        finish()
        return found

    def _part(
        self, to: Subscriber, items: Items, levels: Array, start: int, stop: int, most: int
    ) -> tuple[bytes, int, int]:
        """Some of the messages start..stop: their bytes, how many, and where to go on."""
        d, told = to.dialect, self._told
        told[0], told[2] = start, most
        w.encoded(
            items.ints[:stop], items.nums, levels, to.wanted, d.classes, d.programs, d.ops, d.pool,
            d.names, d.packed, self._out, told,
        )  # fmt: skip
        part, count, at = self._out[: told[1]].tobytes(), int(told[2]), int(told[0])
        if count == 0 and told[3]:
            ints = items.ints[at]
            book = levels[ints[w.I_BOOK]] if ints[w.I_CHANNEL] in (w.BOOK, w.RESET) else levels[0]
            instrument = self.world.instruments[int(ints[w.I_INSTRUMENT])]
            return d.message(instrument, ints, items.nums[at], book), 1, at + 1
        return part, count, at


async def _all(to: Subscriber, bodies: list[Body], kept: Callable[[Body], Callable[[], None]] | None) -> None:
    for body in bodies:
        await to.send(body.data, None if kept is None else kept(body))
