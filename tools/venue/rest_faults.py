"""Faults of REST: what the wire makes of an answer, or does instead of one."""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import hdrs, web

from gpi.tools.venue.clock import epoch, wall
from gpi.tools.venue.faults import Fault
from gpi.tools.venue.rates import Allowance
from gpi.tools.venue.refusals import Refusal, spoken, too_many
from gpi.tools.venue.world import World

HANG_LOOK_S: Final = 0.05  # how often a hanging request looks whether its client has left
HTML: Final = (
    "<html>\r\n<head><title>{0}</title></head>\r\n<body>\r\n<center><h1>{0}</h1></center>\r\n</body></html>\r\n"
)
REASONS: Final = {500: "internal server error", 502: "bad gateway", 503: "service unavailable", 504: "gateway timeout"}


async def faulty(
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
        return _storm(world, request, fault, headers)
    if fault.name == "status":
        status = int(fault.get("status", 504))
        return spoken(request.path, Refusal(status, status * 100_000, REASONS.get(status, "failed")))
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


def _storm(world: World, request: web.Request, fault: Fault, headers: dict[str, str]) -> web.Response | None:
    """429 until its seconds of the wall are over (or its duration of venue time, which the fault itself watches)."""
    seconds = float(fault.get("seconds", float("inf")))
    since = fault.detail.setdefault("since", wall())
    left = seconds - (wall() - since)
    if left <= 0:
        return None
    reset = epoch() + (int(left) + 1 if left < 1e9 else 60)
    headers |= Allowance(max(1, world.rates.limit), 0, reset, False).headers(world.clock.skew_s)
    return spoken(request.path, too_many())


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
