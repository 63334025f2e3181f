"""World: everything the venue's wires share. Modules that add routes take it and add nothing to it.

Every such module has `def routes(world: World) -> list[web.AbstractRouteDef]`; server.py collects them. Per frame of
the feed: the exchange ticks, the tape publishes, the accounts settle what happened.
"""

from __future__ import annotations

import asyncio
import hmac
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from gpi.formats.frame import Frame
from gpi.formats.instruments import Instruments
from gpi.formats.secrets import Secret
from gpi.tools.venue.clock import Clock
from gpi.tools.venue.data.rows import status
from gpi.tools.venue.faults import Faults
from gpi.tools.venue.patience import Patience
from gpi.tools.venue.rates import RateLimits

if TYPE_CHECKING:
    from gpi.tools.venue.accounts.ledgers import Ledgers
    from gpi.tools.venue.data.past import Past


def same(secret: Secret, given: object) -> bool:
    """Whether a client's word is the secret, in constant time; anything may be given."""
    if not isinstance(given, str):
        return False
    return hmac.compare_digest(secret.reveal().encode(), given.encode("utf-8", "surrogatepass"))


class Tape(Protocol):
    """The market-data side: the store of recent ticks, and the sockets that hear of each."""

    async def publish(self, frame: Frame) -> None:
        """Store the rows and send them to whoever subscribed; returns when the next frame may come."""

    def past(self) -> Past:
        """What lies before the feed."""

    def subscribed(self) -> int:
        """How many data sockets have subscribed to something by now (--wait-for)."""

    def state(self) -> dict[str, Any]:
        """What was sent, for /gpi/state."""

    async def close(self) -> None:
        """Say goodbye to every data socket."""


@dataclass
class World:
    """One venue. `keys` are key id -> secret; Polygon's single key is any of the secrets."""

    instruments: Instruments
    exchange: Any
    clock: Clock
    faults: Faults
    keys: dict[str, Secret]
    token: Secret
    rates: RateLimits
    counters: Counter[str] = field(default_factory=Counter)  # what was received and sent, by name
    patience: Patience = Patience()  # with clients that say half of something
    slow: str = "wait"  # a slow reader holds the feed back (wait) or is cut with 407 (drop)
    accounts: Ledgers = field(init=False)  # set by server.assembled
    tape: Tape = field(init=False)  # set by server.assembled
    levels: int = 0  # book levels of the feed's frames
    hosts: frozenset[str] = frozenset()  # names that clients may call the venue by, beside localhost (--tls-name)
    afterwards: list[Callable[[], Iterable[Frame]]] = field(default_factory=list)  # after each frame; more to play
    go: Callable[[], None] = lambda: None  # let the feed come
    playing: asyncio.Lock = field(default_factory=asyncio.Lock)  # one frame at a time, from the feed or from control
    rows: int = 0  # of the feed, played
    feed: str = "none"  # waiting, playing or over, where there is one

    def key_of(self, key_id: object, secret: object) -> str | None:
        """The key id, if the pair is right; None otherwise, and for whatever else a client may send."""
        known = self.keys.get(key_id) if isinstance(key_id, str) else None
        return key_id if isinstance(key_id, str) and known is not None and same(known, secret) else None

    def key_named(self, secret: object) -> str | None:
        """The key id that goes with a bare API key (Polygon's wire, Bearer); None for a wrong one."""
        found = [key_id for key_id, known in self.keys.items() if same(known, secret)]
        return found[0] if found else None

    async def play(self, frame: Frame) -> None:
        """One frame of the feed through exchange, tape and accounts."""
        async with self.playing:
            if self.instruments.heard(frame.notes) is not None:
                self.exchange.announce(self.instruments)
            if frame.rows:
                await self._fold(frame)
                for each in self.afterwards:
                    for more in each():
                        await self._fold(more)

    async def _fold(self, frame: Frame) -> None:
        self.rows += frame.rows
        self.exchange.tick(frame)
        self.clock.set(int(frame["ts_event"][-1]))
        done = 0
        for pause in self.exchange.pauses():  # told where they began and ended
            if pause.row > done:
                await self.tape.publish(frame.slice(done, pause.row))
            await self.tape.publish(status(self.levels, pause.instrument_ids, pause.ts, pause.flags))
            self.counters["pauses" if pause.flags else "resumptions"] += len(pause.instrument_ids)
            done = pause.row
        if done < frame.rows:
            await self.tape.publish(frame.slice(done, frame.rows) if done else frame)
        self.accounts.settle(self.exchange.events())

    def announce(self, found: Instruments) -> None:
        """New listings: each new symbol becomes the next row."""
        for each in found:
            self.instruments.add(each)
        self.exchange.announce(self.instruments)
