"""Refusals: what the venue will not do, with the status, code and words of the vendor who was asked."""

import json
import uuid
from typing import Any, Final

from aiohttp import web

ALPACAS: Final = ("/v3/clock", "/v3/calendar/")  # though all else of /v3 is Polygon's
POLYGONS: Final = tuple(
    "/v3/ /vX/ /stocks/v1/ /v2/aggs/ /v2/last/ /v2/snapshot/ /v2/reference/ /v1/last/crypto /v1/marketstatus "
    "/v1/open-close /v1/reference /v1/indicators /v1/summaries /v1/related-companies /v1/conversion".split()
)
FAST: Final = "You've exceeded the maximum requests per minute, please wait or upgrade your subscription to continue."
POLYGON: Final = {401: "Unknown API Key", 429: f"{FAST} https://polygon.io/pricing"}


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


def failed(status: int, message: str) -> web.Response:
    """An error in Polygon's words."""
    word = "NOT_FOUND" if status == 404 else "ERROR"
    key = "message" if status == 404 else "error"
    return answer({"status": word, "request_id": uuid.uuid4().hex, key: message}, status)


def is_polygons(path: str) -> bool:
    """Whether a path is of Polygon's REST; all others are Alpaca's, sockets and control aside."""
    return path.startswith(POLYGONS) and not path.startswith(ALPACAS)


def spoken(path: str, refused: Refusal) -> web.Response:
    """A refusal in the words of the vendor whose path was asked."""
    if not is_polygons(path):
        return answer(refused.body, refused.status)
    return failed(refused.status, POLYGON.get(refused.status, refused.body["message"]))
