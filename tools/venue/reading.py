"""Reading: what a REST request carries, as any client writes it."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

from gpi.tools.venue.patience import read_whole
from gpi.tools.venue.refusals import malformed


async def body_of(request: web.Request) -> Any:
    """The JSON of a request. Raises Refusal 422."""
    try:
        return json.loads(await read_whole(request))
    except (ValueError, RecursionError):
        raise malformed("request body format is invalid") from None


def flag(request: web.Request, name: str) -> bool:
    """A boolean of the query."""
    return request.query.get(name, "").lower() in ("true", "1", "t")


def listed(request: web.Request, name: str) -> set[str]:
    """The words of a list, repeated in the query or divided by commas; in capitals."""
    return {each.strip().upper() for given in request.query.getall(name, []) for each in given.split(",") if each}
