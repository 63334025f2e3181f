"""Patience: how long a request may take in all. A peer that drips a byte now and then never lets a read time out."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

WHOLE_S: Final = 10.0

_mine = threading.local()


def note(sock: Any) -> None:
    """The request under way in this thread goes over this socket."""
    held = getattr(_mine, "sockets", None)
    if held is not None and sock is not None and sock not in held:
        held.append(sock)


@contextmanager
def within(seconds: float) -> Iterator[threading.Event]:
    """What this thread asks for inside is cut off after so long; whether it was, the event tells."""
    held: list[Any] = []
    _mine.sockets = held
    late = threading.Event()
    timer = threading.Timer(seconds, _cut, (held, late))
    timer.daemon = True
    timer.start()
    try:
        yield late
    finally:
        timer.cancel()
        _mine.sockets = None


def _cut(held: list[Any], late: threading.Event) -> None:
    late.set()
    for sock in held:
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # closed already
