"""What live commands do before they touch a key: no log record, traceback or exception may carry one."""

import logging
import sys
import threading
from types import TracebackType
from typing import Any, Final

from gpi.cli.terminal import say

# Their DEBUG records hold the frames and headers they send: websockets prints the very message that carries the key.
TALKATIVE: Final = ("websockets", "urllib3", "requests", "http", "httpx", "alpaca", "massive", "polygon", "aiohttp")
HEADERS: Final = ("apca-api-key-id", "apca-api-secret-key", "authorization")


def guard() -> None:
    """Mask every known secret in whatever this process logs or prints of an error; idempotent.

    The vendors' loggers are held at INFO, and a DEBUG record of theirs that comes all the same loses its words:
    a binary frame is logged as hexadecimal, in which no mask would find the key.
    """
    for name in TALKATIVE:
        logger = logging.getLogger(name)
        logger.setLevel(max(logger.level, logging.INFO))
    if not isinstance(logging.getLogRecordFactory(), _Records):
        logging.setLogRecordFactory(_Records(logging.getLogRecordFactory()))
    if not isinstance(sys.excepthook, _Uncaught):
        sys.excepthook = _Uncaught()
        threading.excepthook = _in_thread


class _Records:
    """Makes log records as the factory before it did, without secrets: in the words, the arguments, the traceback."""

    def __init__(self, before: Any) -> None:
        self._before = before

    def __call__(self, name: str, level: int, *rest: Any, **more: Any) -> logging.LogRecord:
        from gpi.formats.secrets import masked

        record: logging.LogRecord = self._before(name, level, *rest, **more)
        if level < logging.INFO and name.split(".")[0] in TALKATIVE:
            record.msg, record.args = "(a message on the wire, not shown: it may carry a key)", None
            record.exc_info = None
            return record
        try:
            said = record.getMessage()
        except Exception:  # a caller's mistake in its arguments must not become ours
            said = str(record.msg)
        if record.args or masked(said) != said:
            record.msg, record.args = masked(said), None
        if record.exc_info and record.exc_info[1] is not None:
            record.exc_text = masked(_traceback(record.exc_info[1]))
            record.exc_info = None
        return record


class _Uncaught:
    """An excepthook whose traceback shows no secret."""

    def __call__(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        from gpi.formats.secrets import masked

        say(masked(_traceback(error)), err=True, nl=False)


def _in_thread(args: Any) -> None:
    from gpi.formats.secrets import masked

    if args.exc_value is not None and args.exc_type is not SystemExit:
        name = args.thread.name if args.thread else "a thread"
        say(f"in {name}:\n" + masked(_traceback(args.exc_value)), err=True, nl=False)


def _traceback(error: BaseException) -> str:
    import traceback

    return "".join(traceback.format_exception(error))


def scrubbed(error: BaseException) -> BaseException:
    """The same exception with the keys taken out of the requests it remembers, through its whole chain.

    requests keeps the request, its headers included, on each exception, and alpaca-py's APIError keeps that one.
    """
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        inner = getattr(each, "_http_error", None)
        for holder in (each, inner, getattr(each, "response", None), getattr(inner, "response", None)):
            _forget(getattr(holder, "request", None))
        waiting += [each.__cause__, each.__context__, inner]
    return error


def _forget(request: Any) -> None:
    headers = getattr(request, "headers", None)
    if headers is not None:
        for name in [name for name in headers if name.lower() in HEADERS]:
            headers[name] = "****"
