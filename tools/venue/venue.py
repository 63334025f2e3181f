"""Venue: options become a world, an application and a life. The command line and the tests start it here."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import socket
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from gpi.formats.appearing import write_whole
from gpi.formats.errors import UsageError, VenueError
from gpi.formats.frame import Frame
from gpi.formats.instruments import Instruments
from gpi.formats.secrets import Secret
from gpi.tools.kernels.exchange.options import TRAVEL
from gpi.tools.venue import control
from gpi.tools.venue.accounts import exercises
from gpi.tools.venue.accounts.charges import Charges
from gpi.tools.venue.accounts.ledgers import Ledgers
from gpi.tools.venue.alpaca import activities, portfolio, reference, screener, trading, updates, watchlists
from gpi.tools.venue.alpaca import history as alpaca_history
from gpi.tools.venue.alpaca import pages as alpaca_reference
from gpi.tools.venue.alpaca import portfolio_history as history
from gpi.tools.venue.alpaca import stream as alpaca_stream
from gpi.tools.venue.clock import Clock
from gpi.tools.venue.data.past import Past
from gpi.tools.venue.data.sent import Sent
from gpi.tools.venue.data.store import Store
from gpi.tools.venue.data.tape import Tape
from gpi.tools.venue.exchange import Exchange, Fill
from gpi.tools.venue.faults import Faults
from gpi.tools.venue.passing import Passing
from gpi.tools.venue.patience import Patience
from gpi.tools.venue.polygon import indicators
from gpi.tools.venue.polygon import reference as polygon_reference
from gpi.tools.venue.polygon import rest as polygon_rest
from gpi.tools.venue.polygon import snapshots as polygon_snapshots
from gpi.tools.venue.polygon import status as polygon_status
from gpi.tools.venue.polygon import stream as polygon_stream
from gpi.tools.venue.rates import RateLimits
from gpi.tools.venue.server import Feed, Listening, Routes, application, listening, more_files, reserved
from gpi.tools.venue.tls import Certificate
from gpi.tools.venue.world import World

ROUTED: Final[tuple[Routes, ...]] = (
    trading.routes,
    exercises.routes,
    portfolio.routes,
    activities.routes,
    history.routes,
    watchlists.routes,
    reference.routes,
    screener.routes,
    updates.routes,
    control.routes,
    alpaca_stream.routes,
    alpaca_history.routes,
    polygon_stream.routes,
    polygon_rest.routes,
    polygon_snapshots.routes,
    polygon_status.routes,
    polygon_reference.routes,
    indicators.routes,
    alpaca_reference.routes,
)
PATIENCE_S: Final = 20.0  # for a feed's first row, before the venue says that it is ready
LOOK_S: Final = 0.02  # how often a venue that waits for its readers looks


@dataclass(frozen=True, slots=True)
class Options:
    """How a venue is set up. `accounts` are key id -> (secret, cash); empty: one, with a made-up secret."""

    accounts: dict[str, tuple[Secret, Decimal]] = field(default_factory=dict)
    cash: Decimal = Decimal(100_000)
    token: Secret | None = None
    port: int = 0
    rate_limit: int = 200
    fill: Fill = "alpaca-paper"
    fees: str = "alpaca"
    seed: int = 0
    slow: str = "wait"
    by_calendar: bool = True  # equities trade in US sessions only; False: always
    faults: tuple[tuple[str, dict[str, Any]], ...] = ()
    levels: int = 0
    option_slippage: tuple[float, ...] = tuple(TRAVEL.tolist())
    luld: int = 0
    breaker: tuple[str, float] | None = None
    hosts: frozenset[str] = frozenset()  # names that clients may call the venue by, beside localhost
    patience: Patience = Patience()


def made(options: Options, instruments: Instruments, sent: Sent | None = None, past: Past | None = None) -> World:
    """The world of a venue, nobody listening yet. Must be called in a running loop."""
    clock = Clock()
    faults = Faults(clock.now, options.seed)
    key_id = "PK" + secrets.token_hex(9).upper()
    accounts = options.accounts or {key_id: (Secret(secrets.token_urlsafe(30)), options.cash)}
    world = World(
        instruments=instruments,
        exchange=_exchange(options, instruments),
        clock=clock,
        faults=faults,
        keys={each: secret for each, (secret, _) in accounts.items()},
        token=options.token or Secret(secrets.token_urlsafe(24)),
        rates=RateLimits(options.rate_limit),
        slow=options.slow,
        patience=options.patience,
        levels=options.levels,
        hosts=options.hosts,
    )
    cash = {each: start for each, (_, start) in accounts.items()}
    world.accounts = Ledgers(world, cash, Charges(options.fees), options.seed, options.by_calendar)
    world.tape = Tape(world, Store(instruments, past=past), record=sent)
    world.afterwards.append(Passing(world.accounts))
    for name, how in options.faults:
        faults.set(name, **how)
    return world


def _exchange(options: Options, instruments: Instruments) -> Exchange:
    if options.breaker is not None and len(instruments) and options.breaker[0] not in instruments:
        raise UsageError(f"--breaker {options.breaker[0]}: the feed has {', '.join(instruments.symbols[:8])} ...")
    return Exchange(
        instruments, max(1, options.levels), options.fill, options.seed, bands=options.luld, breaker=options.breaker,
        option_slippage=options.option_slippage,
    )  # fmt: skip


def ready_line(world: World, at: Listening) -> dict[str, Any]:
    """What a client needs: the line for stderr. Neither the secret nor the token is in it."""
    key_id = next(iter(world.keys))
    shown = {"port": at.port, "url": at.url, "key_id": key_id}
    tls = {} if at.tls_url is None else {"tls_url": at.tls_url, "tls_ca": str(at.ca)}
    return {"gpi.venue": {**shown, **tls, "keys": list(world.keys)}}


def write_ready(path: Path, world: World, at: Listening) -> None:
    """The ready file, with secrets, for its owner only; it appears whole. It serves as a --key-file, too.

    Raises UsageError where it cannot be written.
    """
    line = ready_line(world, at)
    said = line["gpi.venue"]
    said["token"] = world.token.reveal()
    said["secret"] = world.keys[said["key_id"]].reveal()
    said["secrets"] = {key_id: secret.reveal() for key_id, secret in world.keys.items()}
    try:
        write_whole(path, json.dumps(line) + "\n", 0o600)
    except OSError as wrong:
        raise UsageError(f"--ready {path} cannot be written: {wrong.strerror}") from None


def held(port: int = 0) -> socket.socket:
    """The port, ours before anybody is answered: clients are refused until `opened`. Raises VenueError if taken."""
    try:
        return reserved(port)
    except OSError as wrong:
        raise VenueError(f"port {port}: {wrong.strerror}; --port 0 takes a free one") from None


async def opened(
    world: World,
    line: socket.socket | None = None,
    routed: Iterable[Routes] = ROUTED,
    guarded: tuple[socket.socket, Certificate] | None = None,
) -> Listening:
    """Listen on a port held before, or on a free one, and behind TLS on that of `guarded`.

    Raises VenueError when another listens there.
    """
    more_files()
    line = held() if line is None else line
    ports = " or ".join(str(each.getsockname()[1]) for each in (line, *(guarded or ())[:1]))
    try:
        return await listening(application(world, routed), line, guarded)
    except OSError as wrong:
        raise VenueError(f"port {ports}: {wrong.strerror}; --port 0 takes a free one") from None


async def fed(world: World, frames: Iterator[Frame], pace: Callable[[Iterator[Frame]], Iterable[Frame]] = iter) -> Feed:
    """A feed whose first row has been read (or not, after PATIENCE_S): it sets the clock. It has not begun to play."""
    feed = Feed(frames, pace)
    world.go = feed.go
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(asyncio.shield(feed.first), PATIENCE_S)
        _begun(world, feed)
    return feed


async def live(
    world: World, feed: Feed | None, stop: asyncio.Event, wait_for: int = 0, stay: bool = False, linger: float = 2.0
) -> None:
    """Play the feed, then linger; without a feed, or with `stay`, until `stop`. Raises what reading raises."""
    if feed is None:
        await stop.wait()
        return
    playing = asyncio.create_task(_played(world, feed, wait_for))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({playing, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if playing.done():
            playing.result()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), None if stay else linger)
    finally:
        feed.stop()
        for task in (playing, stopping):
            task.cancel()
        await asyncio.gather(playing, stopping, return_exceptions=True)


async def _played(world: World, feed: Feed, wait_for: int) -> None:
    world.feed = "waiting"
    while world.tape.subscribed() < wait_for and not feed.going:
        await asyncio.sleep(LOOK_S)
    feed.go()
    world.feed = "playing"
    await feed.play(world)
    world.feed = "over"


def _begun(world: World, feed: Feed) -> None:
    """The day has begun, even while readers are waited for."""
    first = feed.first.result()
    if first is not None:
        world.clock.set(first)
        world.tape.past().begins(first)
        world.exchange.advance(first)
        for account in world.accounts.accounts.values():
            account.created_at = first
