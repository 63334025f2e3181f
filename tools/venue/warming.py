"""Warming: load or compile every kernel before anybody waits for one, in a small venue of its own that nobody reaches.

Every later call must find its kernel ready: a bot's first order must not wait a minute for a compiler
(tests/test_venue_start.py says so, by the kernels themselves).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Final

from numba.core import event

from gpi.formats.frame import Frame
from gpi.formats.instruments import Instruments, crypto, equity, index, option
from gpi.formats.words import SECOND
from gpi.tools.venue.accounts.amend import cancel
from gpi.tools.venue.accounts.entry import submit
from gpi.tools.venue.accounts.replacing import replace
from gpi.tools.venue.accounts.tickets import read
from gpi.tools.venue.data import valuation
from gpi.tools.venue.data.messages import ALPACA
from gpi.tools.venue.data.rows import status, told
from gpi.tools.venue.data.subscriber import ALL, Subscriber
from gpi.tools.venue.data.tape import Tape
from gpi.tools.venue.server import application
from gpi.tools.venue.venue import ROUTED, Options, made
from gpi.tools.venue.world import World

MONDAY: Final = 1_767_627_000 * SECOND  # 2026-01-05 10:30 in New York
NIGHT: Final = 10 * 3600 * SECOND  # later the session is over
TABLE: Final = (
    equity("WARM"), option("WARM260116C00010000"), crypto("BTC/USD"), index("SPX"), option("WARM260116C00011000"),
)  # fmt: skip
LEGS: Final = [
    {"symbol": "WARM260116C00010000", "ratio_qty": 1, "side": "buy"},
    {"symbol": "WARM260116C00011000", "ratio_qty": 1, "side": "sell"},
]


class _Told(event.Listener):  # type: ignore[misc]
    """Says once that something is being compiled."""

    def __init__(self, say: Callable[[], None]) -> None:
        self._say: Callable[[], None] | None = say

    def on_start(self, event: Any) -> None:
        """A kernel was not in the cache."""
        if self._say is not None:
            self._say()
            self._say = None

    def on_end(self, event: Any) -> None:
        """It is there now."""


def warm(say: Callable[[], None] = lambda: None) -> None:
    """Load every kernel, or compile it, which takes a minute or two with an empty cache: `say` is called first."""
    with event.install_listener("numba:compile", _Told(say)):
        asyncio.run(_lived())


async def _lived() -> None:
    """A short life with and without levels: quotes, books, orders of every kind, a halt, a night, Greeks, sockets."""
    for levels in (0, 2):
        world = made(Options(levels=levels), Instruments(TABLE))
        application(world, ROUTED)
        _subscribed(world)
        for at in range(4):
            for row in range(len(TABLE)):
                await world.play(_tick(levels, row, MONDAY + (at * 61 + row) * SECOND))
        _traded(world)
        for flags in (1, 0):
            await world.play(status(levels, [0], world.clock.now(), flags))
        world.exchange.halt(0)
        world.exchange.resume()
        assert isinstance(world.tape, Tape)
        valuation.valued(world.tape.store, world.instruments[1], world.clock.now())
        await world.play(_tick(levels, 0, MONDAY + NIGHT))
        world.exchange.advance(MONDAY + 2 * NIGHT)


def _tick(levels: int, row: int, ts: int) -> Frame:
    px = (10.0, 1.0, 100.0, 10.0, 0.5)[row]
    return told(levels, row, {"bid": [px, 100], "ask": [px + 0.01, 100], "trade": [px, 5, "buy"]}, ts)


def _traded(world: World) -> None:
    """Orders through the same doors as a client's."""
    account = next(iter(world.accounts.accounts.values()))
    usual = {"symbol": "WARM", "qty": 1, "side": "buy", "type": "limit", "limit_price": 9, "time_in_force": "day"}
    exits = {"take_profit": {"limit_price": 12}, "stop_loss": {"stop_price": 8}}
    made = [
        submit(world.accounts, account, read({**usual, **words}, world.accounts.assets))
        for words in (
            {},
            {"limit_price": None, "type": "market"},
            {"limit_price": None, "type": "stop", "stop_price": 11},
            {"limit_price": None, "type": "trailing_stop", "trail_percent": 5},
            {"order_class": "bracket", **exits},
            {"order_class": "mleg", "legs": LEGS, "symbol": None, "side": None},
            {"order_class": "mleg", "legs": LEGS, "symbol": None, "side": None, "limit_price": -5},
        )
    ]
    first = account.orders[made[0]["id"]]
    second = account.orders[replace(world.accounts, account, first, {"limit_price": 8, "qty": 2})["id"]]
    cancel(world.accounts, account, second)


def _subscribed(world: World) -> None:
    """A reader of everything at every address, who is deaf."""
    assert isinstance(world.tape, Tape)
    ws: Any = SimpleNamespace(closed=True)
    line: Any = SimpleNamespace(transport=None)
    for endpoint in world.tape.endpoints.values():
        for dialect in world.tape.dialects:
            if endpoint.vendor != ("alpaca" if dialect.shapes is ALPACA else "polygon"):
                continue
            reader = Subscriber(world, ws, line, dialect, endpoint.vendor)
            reader.topics.update({channel: [ALL] for channel in endpoint.channels})
            reader.look_up(endpoint.kinds, endpoint.channels, world.tape.directory)
            endpoint.subscribers.append(reader)
