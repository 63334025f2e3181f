"""Mishaps: what should not have happened inside, in one line of a log; never a traceback on a trader's terminal.

GPI_TRACEBACK=1 shows the traceback as well, to whoever mends it.
"""

from __future__ import annotations

import asyncio
import logging
import os
from typing import Any, Final

from aiohttp.client_exceptions import ClientError
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web import RequestPayloadError

LOG: Final = logging.getLogger("gpi.venue")
EXPECTED: Final = (
    ConnectionError,
    TimeoutError,
    ClientError,
    HttpProcessingError,
    RequestPayloadError,
)  # clients leave, and stammer


class _OneLine(logging.Filter):
    """Puts an exception's name and words behind the message, and its traceback away."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is shown."""
        wrong = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
        if isinstance(wrong, EXPECTED):
            return False
        if wrong is not None and not os.environ.get("GPI_TRACEBACK"):
            words = " ".join(str(wrong).split())[:200]
            record.msg, record.args = f"{record.getMessage()}: {type(wrong).__name__}: {words}", ()
            record.exc_info = record.exc_text = None
        return True


def one_line() -> None:
    """From now on the venue's log, and the loop that runs it, say what went wrong in one line. Needs a running loop."""
    if not any(isinstance(each, _OneLine) for each in LOG.filters):
        LOG.addFilter(_OneLine())

    def told(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        wrong = context.get("exception")
        if wrong is not None:
            mishap(str(context.get("message", "the loop")), wrong)
        else:
            LOG.debug("%s", context.get("message"))

    asyncio.get_running_loop().set_exception_handler(told)


def mishap(where: str, wrong: BaseException) -> None:
    """Tell of one."""
    LOG.error("gpi venue: %s", where, exc_info=wrong)
