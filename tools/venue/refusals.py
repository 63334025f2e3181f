"""Refusals: what the venue will not do, with Alpaca's status, code and words."""

import json
from typing import Any

from aiohttp import web


class Refusal(Exception):
    """A request that is answered with an error body; `more` stands beside code and message."""

    def __init__(self, status: int, code: int, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"code": code, "message": message, **more}


def malformed(message: str, **more: Any) -> Refusal:
    """The request itself is wrong: 422 40010001."""
    return Refusal(422, 40010001, message, **more)


def unprocessable(message: str, **more: Any) -> Refusal:
    """A rule of the market forbids it: 422 42210000."""
    return Refusal(422, 42210000, message, **more)


def forbidden(message: str, **more: Any) -> Refusal:
    """The account may not: 403 40310000."""
    return Refusal(403, 40310000, message, **more)


def missing(message: str) -> Refusal:
    """There is no such thing: 404 40410000."""
    return Refusal(404, 40410000, message)


def unauthorized() -> Refusal:
    """The keys are wrong: 401 40110000."""
    return Refusal(401, 40110000, "request is not authorized")


def too_many() -> Refusal:
    """The rate limit: 429 42910000."""
    return Refusal(429, 42910000, "rate limit exceeded")


def answer(body: Any, status: int = 200) -> web.Response:
    """A body as compact JSON."""
    text = json.dumps(body, separators=(",", ":"))
    return web.Response(body=text.encode(), status=status, content_type="application/json", charset="utf-8")
