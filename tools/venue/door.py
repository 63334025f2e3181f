"""The door: who may come in at all. Only this machine, and only with a key (or the token, see control).

The venue listens on loopback, but a page in a browser on this machine can ask loopback too, under a name of its own
that it has pointed at 127.0.0.1. So the Host must be this machine's, and an Origin, which only browsers send, as well.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Container
from ipaddress import ip_address
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from gpi.tools.venue.refusals import forbidden, unauthorized
from gpi.tools.venue.world import World


def at_home(request: web.Request, names: Container[str] = ()) -> None:
    """Raise Refusal 403 for a request that was meant for another machine, or comes from another's page.

    `names`: hosts that the venue was told to stand in for. Their pages are no less another's.
    """
    for host in request.headers.getall(hdrs.HOST, ()):
        if not _loopback(f"//{host}") and _name(f"//{host}") not in names:
            raise forbidden("the venue answers to 127.0.0.1 and localhost only", host=host)
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is not None and not _loopback(origin):
        raise forbidden("the venue does not answer pages of other machines", origin=origin)


def _name(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return ""


def _loopback(url: str) -> bool:
    name = _name(url)
    try:
        return name == "localhost" or name.endswith(".localhost") or ip_address(name).is_loopback
    except ValueError:
        return False


def keys_of(world: World, request: web.Request) -> str | None:
    """The key id a request comes with: Alpaca's two headers, Basic, Bearer, or ?apiKey= (Polygon). None: none right."""
    headers = request.headers
    if "APCA-API-KEY-ID" in headers:
        return world.key_of(headers["APCA-API-KEY-ID"], headers.get("APCA-API-SECRET-KEY"))
    kind, _, given = headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    if kind == "Bearer":
        return world.key_named(given)
    if kind == "Basic":
        try:
            key_id, _, secret = base64.b64decode(given).decode().partition(":")
        except (binascii.Error, ValueError):
            return None
        return world.key_of(key_id, secret)
    return world.key_named(request.query.get("apiKey"))


def nameless(request: web.Request) -> bool:
    """Whether a request comes without any key, right or wrong."""
    told = {"APCA-API-KEY-ID", "APCA-API-SECRET-KEY", hdrs.AUTHORIZATION}
    return not any(name in request.headers for name in told) and "apiKey" not in request.query


def key_id_of(world: World, request: web.Request) -> str:
    """The key id of a request. Raises Refusal 401."""
    key_id = keys_of(world, request)
    if key_id is None:
        raise unauthorized()
    return key_id
