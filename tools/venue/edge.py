"""The edge of every request: who asks, rate limits, headers, error bodies. No request ends in a traceback.

A handler behind it may raise Refusal, which is told in the words of the vendor whose path was asked. Places of faults:
`rest.<resource>.<verb>.before` (nothing has been done yet) and `.after` (it has), such as rest.orders.post.after.
"""

from __future__ import annotations

from email.utils import formatdate
from typing import Final

from aiohttp import hdrs, web
from aiohttp.client_exceptions import ClientError
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler, Middleware

from gpi.tools.venue.alpaca.stream import ADDRESSES as ALPACA_SOCKETS
from gpi.tools.venue.alpaca.updates import PATH
from gpi.tools.venue.clock import epoch
from gpi.tools.venue.door import at_home, keys_of, nameless
from gpi.tools.venue.mishaps import mishap
from gpi.tools.venue.polygon.stream import ADDRESSES as POLYGON_SOCKETS
from gpi.tools.venue.refusals import Refusal, is_polygons, malformed, missing, spoken, too_many, unauthorized
from gpi.tools.venue.rest_faults import faulty
from gpi.tools.venue.world import World

TRADING: Final = {  # paths of the trading API, longest first; all else is market data
    "/v2/account/configurations": "configurations",
    "/v2/account/activities": "activities",
    "/v2/account/portfolio": "portfolio",
    "/v2/account": "account",
    "/v2/orders": "orders",
    "/v2/positions": "positions",
    "/v2/clock": "clock",
    "/v2/calendar": "calendar",
    "/v2/assets": "assets",
    "/v2/options/contracts": "contracts",
    "/v2/watchlists": "watchlists",
    "/v2/corporate_actions": "announcements",
    "/v2/wallets": "wallets",
    "/v3/clock": "clock",
    "/v3/calendar": "calendar",
}
FREE: Final = "/v1beta3/crypto/us/"  # market data that Alpaca gives to anybody
SOCKETS: Final = frozenset({PATH, *ALPACA_SOCKETS, *POLYGON_SOCKETS})
CONTROL: Final = "/gpi/"
ENDS: Final = (Refusal, web.HTTPException, HttpProcessingError, web.RequestPayloadError)
VERBS: Final = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}
GONE: Final = 499  # the client has left: nobody reads this
CODES: Final = {404: 40410000, 405: 40510000, 413: 41310000}


def resource(path: str) -> str:
    """The name of what a path asks for, as in places and buckets."""
    return next((name for prefix, name in TRADING.items() if path.startswith(prefix)), "data")


def upgrading(request: web.Request) -> bool:
    """Whether a websocket is wanted; /v1beta1/news is a page, too."""
    return request.headers.get(hdrs.UPGRADE, "").lower() == "websocket"


def edge(world: World) -> Middleware:
    """The middleware. Sockets and /gpi/ have rules of their own; the door is the same for all."""

    @web.middleware
    async def at_the_edge(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            at_home(request, world.hosts)
            own = request.path.startswith(CONTROL) or (request.path.rstrip("/") in SOCKETS and upgrading(request))
            return await (handler(request) if own else _rest(world, request, handler))
        except ENDS as wrong:
            return spoken(request.path, _refusal(wrong))
        except (ConnectionError, ClientError):
            world.counters["clients.left"] += 1
            return web.Response(status=GONE)
        except Exception as wrong:
            world.counters["mishaps"] += 1
            mishap(f"{request.method} {request.path}", wrong)
            return spoken(request.path, Refusal(500, 50010000, "internal server error"))

    return at_the_edge


async def _rest(world: World, request: web.Request, handler: Handler) -> web.StreamResponse:
    """One request of REST, counted and limited, through the faults of its place."""
    verb = request.method.lower() if request.method in VERBS else "other"
    place = f"rest.{resource(request.path)}.{verb}"
    world.counters[place] += 1
    headers: dict[str, str] = {hdrs.DATE: formatdate(epoch() + world.clock.skew_s, usegmt=True)}
    try:
        key_id = keys_of(world, request)
        allowed = world.rates.take(_bucket(request, key_id, place))
        if not is_polygons(request.path):
            headers |= allowed.headers(world.clock.skew_s)
        if key_id is None and not (request.path.startswith(FREE) and nameless(request)):
            raise unauthorized()
        if not allowed.granted:
            raise too_many()
        response = await faulty(world, request, f"{place}.before", None, headers)
        if response is None:
            response = await handler(request)
    except ENDS as wrong:
        world.counters[f"{place}.refused"] += 1
        response = spoken(request.path, _refusal(wrong))
    if not response.prepared:
        changed = await faulty(world, request, f"{place}.after", response, headers)
        response = changed if changed is not None else response
    if not response.prepared:
        response.headers.update(headers)
    return response


def _bucket(request: web.Request, key_id: str | None, place: str) -> str:
    """Whose requests are counted together: an account's trading, its market data; strangers by where they are."""
    return f"{key_id or request.remote}{'/data' if place.startswith('rest.data.') else ''}"


def _refusal(wrong: Exception) -> Refusal:
    """Whatever ends a request early, as a refusal."""
    if isinstance(wrong, Refusal):
        return wrong
    if isinstance(wrong, (HttpProcessingError, web.RequestPayloadError)):
        return malformed("request body format is invalid")
    assert isinstance(wrong, web.HTTPException)
    if wrong.status == 404:
        return missing("endpoint not found")
    return Refusal(wrong.status, CODES.get(wrong.status, wrong.status * 100_000), (wrong.reason or "refused").lower())
