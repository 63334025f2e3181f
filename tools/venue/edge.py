"""The edge of every REST request: keys, rate limits, headers, error bodies, and the faults of the wire.

A handler behind it may raise Refusal; `key_id_of` tells it whose request it is. Places asked:
`rest.<resource>.<verb>.before` (nothing has been done yet) and `.after` (it has), such as rest.orders.post.after.
"""

import asyncio
import base64
import binascii
from email.utils import formatdate
from typing import Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from gpi.tools.venue.clock import SECOND_NS, epoch, wall
from gpi.tools.venue.faults import Fault
from gpi.tools.venue.rates import Allowance
from gpi.tools.venue.refusals import Refusal, answer, missing, too_many, unauthorized
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
}
HANG_LOOK_S: Final = 0.05  # how often a hanging request looks whether its client has left
HTML: Final = (
    "<html>\r\n<head><title>{0}</title></head>\r\n<body>\r\n<center><h1>{0}</h1></center>\r\n</body></html>\r\n"
)
REASONS: Final = {500: "internal server error", 502: "bad gateway", 503: "service unavailable", 504: "gateway timeout"}


def resource(path: str) -> str:
    """The name of what a path asks for, as in places and buckets."""
    return next((name for prefix, name in TRADING.items() if path.startswith(prefix)), "data")


def edge(world: World) -> Middleware:
    """The middleware. Sockets and /gpi/ pass untouched: they have their own rules."""

    @web.middleware
    async def at_the_edge(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith("/gpi/") or request.headers.get(hdrs.UPGRADE):
            return await handler(request)
        place = f"rest.{resource(request.path)}.{request.method.lower()}"
        world.counters[place] += 1
        headers: dict[str, str] = {hdrs.DATE: formatdate(world.clock.told() / SECOND_NS, usegmt=True)}
        try:
            key_id = keys_of(world, request)
            bucket = key_id if not place.startswith("rest.data.") else f"{key_id}/data"
            allowed = world.rates.take(bucket or request.remote or "")
            headers |= allowed.headers()
            if key_id is None:
                raise unauthorized()
            if not allowed.granted:
                raise too_many()
            response = await _faulty(world, request, f"{place}.before", None, headers)
            if response is None:
                response = await handler(request)
        except Refusal as refused:
            world.counters[f"{place}.refused"] += 1
            response = answer(refused.body, refused.status)
        except web.HTTPNotFound:
            response = answer(missing("endpoint not found").body, 404)
        except web.HTTPMethodNotAllowed as wrong:
            response = answer({"code": 40510000, "message": "method not allowed"}, wrong.status)
        if not response.prepared:
            changed = await _faulty(world, request, f"{place}.after", response, headers)
            response = changed if changed is not None else response
        if not response.prepared:
            response.headers.update(headers)
        return response

    return at_the_edge


def keys_of(world: World, request: web.Request) -> str | None:
    """The key id a request comes with: Alpaca's two headers, Basic, Bearer, or ?apiKey= (Polygon)."""
    headers = request.headers
    if "APCA-API-KEY-ID" in headers:
        return world.key_of(headers["APCA-API-KEY-ID"], headers.get("APCA-API-SECRET-KEY"))
    kind, _, given = headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    if kind == "Bearer":
        return world.key_named(given)
    if kind == "Basic":
        try:
            key_id, _, secret = base64.b64decode(given).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        return world.key_of(key_id, secret)
    return world.key_named(request.query.get("apiKey"))


def key_id_of(world: World, request: web.Request) -> str:
    """The key id of a request that has passed the edge."""
    key_id = keys_of(world, request)
    if key_id is None:
        raise unauthorized()
    return key_id


async def _faulty(
    world: World, request: web.Request, place: str, response: web.StreamResponse | None, headers: dict[str, str]
) -> web.StreamResponse | None:
    """What the faults of this place make of the answer; None: nothing."""
    for fault in world.faults.hits(place):
        made = await _struck(world, request, fault, response, headers)
        if made is not None:
            world.counters[f"fault.{fault.name}"] += 1
            return made
    return None


async def _struck(
    world: World, request: web.Request, fault: Fault, response: web.StreamResponse | None, headers: dict[str, str]
) -> web.StreamResponse | None:
    if fault.name == "slow":
        await asyncio.sleep(float(fault.get("seconds", 1)))
        return None
    if fault.name == "storm":
        return _storm(world, fault, headers)
    if fault.name == "status":
        status = int(fault.get("status", 504))
        return answer({"code": status * 100_000, "message": REASONS.get(status, "failed")}, status)
    if fault.name == "html":
        status = int(fault.get("status", 502))
        page = HTML.format(f"{status} {REASONS.get(status, 'error').title()}")
        return web.Response(text=page, status=status, content_type="text/html")
    if fault.name == "hang":
        await _hang(request, float(fault.get("seconds", float("inf"))))
        return response
    if fault.name == "cut" and isinstance(response, web.Response) and isinstance(response.body, bytes):
        return await _cut(request, response, headers)
    if fault.name in ("reset", "cut"):
        _abort(request)
        return web.Response(status=444)
    return None


def _storm(world: World, fault: Fault, headers: dict[str, str]) -> web.Response | None:
    """429 until its seconds of the wall are over (or its duration of venue time, which the fault itself watches)."""
    seconds = float(fault.get("seconds", float("inf")))
    since = fault.detail.setdefault("since", wall())
    left = seconds - (wall() - since)
    if left <= 0:
        return None
    reset = epoch() + (int(left) + 1 if left < 1e9 else 60)
    headers |= Allowance(max(1, world.rates.limit), 0, reset, False).headers()
    refused = too_many()
    return answer(refused.body, refused.status)


async def _hang(request: web.Request, seconds: float) -> None:
    """Until the client has left, or for so long."""
    end = wall() + seconds
    while wall() < end and request.transport is not None and not request.transport.is_closing():
        await asyncio.sleep(HANG_LOOK_S)


async def _cut(request: web.Request, response: web.Response, headers: dict[str, str]) -> web.StreamResponse:
    """Headers that promise a body, half of it, and the end of the connection."""
    body = bytes(response.body)  # type: ignore[arg-type]
    torn = web.StreamResponse(status=response.status, headers={**headers, hdrs.CONTENT_TYPE: "application/json"})
    torn.content_length = len(body) + 1  # at least one byte is always missing
    await torn.prepare(request)
    await torn.write(body[: len(body) // 2])
    _abort(request)
    return torn


def _abort(request: web.Request) -> None:
    transport = request.transport
    if transport is not None:
        transport.abort()  # type: ignore[attr-defined]
