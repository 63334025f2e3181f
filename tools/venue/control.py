"""Control: /gpi/control to be cruel while the venue runs, /gpi/state to know the truth. Both want the token."""

from __future__ import annotations

import math
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

from aiohttp import hdrs, web

from gpi.formats.errors import BadInput, GpiError, UsageError
from gpi.formats.instruments import Instrument, equity, option
from gpi.formats.secrets import Secret
from gpi.formats.words import SECOND
from gpi.tools.venue.data.rows import told
from gpi.tools.venue.happenings import HAPPENINGS, happen
from gpi.tools.venue.money import given
from gpi.tools.venue.refusals import Refusal, answer, unauthorized
from gpi.tools.venue.truth import truth
from gpi.tools.venue.world import World, same

Doing = Callable[[World, Any], Awaitable[Any]]
SYMBOL: Final = re.compile(r"[A-Za-z0-9 ./:_-]{1,32}")
PLAIN: Final = {"skew": "seconds", "mwcb": "level"}  # what a plain value is, where it is no symbol
GAP_NS: Final = 1_000_000  # between a told tick and the time before it
LATEST: Final = 4_000_000_000 * SECOND  # ns: in 2096, beyond all calendars here


def routes(world: World) -> Iterable[web.AbstractRouteDef]:
    """Both endpoints."""

    def guarded(doing: Callable[[web.Request], Awaitable[web.Response]]) -> Any:
        async def guard(request: web.Request) -> web.Response:
            kind, _, given_token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
            if kind != "Bearer" or not same(world.token, given_token):
                return answer(unauthorized().body, 401)
            return await doing(request)

        return guard

    async def control(request: web.Request) -> web.Response:
        try:
            asked = await request.json()
            if not isinstance(asked, Mapping):
                raise UsageError('send an object, such as {"halt": "AAPL"}')
            return answer({"ok": True, **{word: await _do(world, word, value) for word, value in asked.items()}})
        except Refusal as refused:
            return answer({"ok": False, **refused.body}, 400)
        except (GpiError, ValueError, TypeError, LookupError, ArithmeticError, RecursionError) as wrong:
            return answer({"ok": False, "message": str(wrong) or type(wrong).__name__}, 400)

    async def state(request: web.Request) -> web.Response:
        return answer(truth(world, brief="brief" in request.query))

    return [web.post("/gpi/control", guarded(control)), web.get("/gpi/state", guarded(state))]


async def _do(world: World, word: str, value: Any) -> Any:
    """One word of a control request; what it has to say."""
    if word in HAPPENINGS:
        return await _happen(world, word, value if isinstance(value, Mapping) else {PLAIN.get(word, "symbol"): value})
    if word not in DOINGS:
        raise UsageError(f"no control {word!r}: there are {', '.join([*DOINGS, *HAPPENINGS])}")
    return await DOINGS[word](world, value)


async def _happen(world: World, name: str, words: Mapping[str, Any]) -> Any:
    for frame in happen(world, name, words):
        await world.play(frame)
    return True


async def _fault(world: World, value: Any) -> Any:
    """Turn a switch on; a world event without a time happens now."""
    if not isinstance(value, Mapping) or "name" not in value:
        raise UsageError('say {"fault": {"name": "status", "status": 504, "count": 1}}')
    words = {key: each for key, each in value.items() if key != "name"}
    if value["name"] in HAPPENINGS and "at" not in words and "after" not in words:
        return await _happen(world, value["name"], words)
    fault = world.faults.set(value["name"], **words)
    return {"name": fault.name, "place": fault.place}


async def _clear(world: World, value: Any) -> Any:
    return world.faults.clear("*" if value in (None, True, "all") else str(value))


def _listed(symbol: str) -> Instrument:
    try:
        return option(symbol)
    except BadInput:
        return equity(symbol)


async def _tick(world: World, value: Any) -> Any:
    """Ticks of one's own; an OCC symbol that the venue does not list becomes an option, any other a share."""
    ticks = value if isinstance(value, list) else [value]
    for tick in ticks:
        if not isinstance(tick, Mapping) or "symbol" not in tick:
            raise UsageError("a tick names its symbol")
        if SYMBOL.fullmatch(str(tick["symbol"])) is None:
            raise UsageError("a symbol has 1 to 32 letters, digits and any of . / : _ - and space")
        found = world.accounts.assets.find(str(tick["symbol"]))
        if found is None:
            world.instruments.add(_listed(str(tick["symbol"])))
            world.exchange.announce(world.instruments)
            found = world.accounts.assets.named(str(tick["symbol"]))
        ts = _moment(int(tick.get("ts", world.clock.now() + GAP_NS)))
        await world.play(told(world.levels, found.id, tick, ts))
    return len(ticks)


async def _advance(world: World, value: Any) -> Any:
    """Time passes without ticks: so many seconds."""
    seconds = float(value)
    if not math.isfinite(seconds) or seconds < 0:
        raise UsageError(f"advance by a number of seconds, not {value}")
    now = _moment(world.clock.now() + int(seconds * SECOND))
    world.exchange.advance(now)
    world.clock.set(now)
    world.accounts.settle(world.exchange.events())
    for each in world.afterwards:
        for frame in each():
            await world.play(frame)
    return now


def _moment(ts: int) -> int:
    """A time that an instant of the feed can be, ns. Raises UsageError."""
    if not 0 <= ts < LATEST:
        raise UsageError(f"{ts} ns is no time of this venue: 0 to {LATEST}")
    return ts


async def _asset(world: World, value: Any) -> Any:
    if not isinstance(value, Mapping):
        raise UsageError('say {"asset": {"symbol": "SPY", "shortable": false}}')
    words = dict(value)
    instrument = world.accounts.assets.named(str(words.pop("symbol", "")))
    world.accounts.assets.change(instrument, **words)
    return True


async def _account(world: World, value: Any) -> Any:
    """Another account: {key_id, secret, cash}."""
    if not isinstance(value, Mapping) or not {"key_id", "secret"} <= value.keys() or value["key_id"] in world.keys:
        raise UsageError('say {"account": {"key_id": "K2", "secret": "...", "cash": "5000"}}, each key once')
    cash = given(value.get("cash", 100_000), "cash") or Decimal(0)
    return world.accounts.key_added(str(value["key_id"]), Secret(str(value["secret"])), cash).id


async def _disconnect(world: World, value: Any) -> Any:
    """Tear every trade_updates socket, now; how many there were."""
    return world.accounts.updates.tear()


async def _go(world: World, value: Any) -> Any:
    """Let the feed come, whoever is still missing."""
    world.go()
    return True


DOINGS: Final[Mapping[str, Doing]] = {
    "fault": _fault,
    "clear": _clear,
    "tick": _tick,
    "advance": _advance,
    "asset": _asset,
    "account": _account,
    "disconnect": _disconnect,
    "go": _go,
}
