"""The last moment: a request that may not go out late is looked at again right before its bytes leave.

Between the decision to send and the socket lie a millisecond or two of two libraries. A machine that falls asleep in
there would send on waking what it had decided hours ago; what remains open here is the time of one system call.
The kill file is looked for here, too: what is new does not leave once it is there, whoever has noticed it by then.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection

from gpi.tools import replies
from gpi.tools.brokers.alpaca.patience import note


class Late(Exception):
    """Its time was over before it had left; the connection is closed, so that no part of it counts."""


class Pulled(Exception):
    """The kill switch was pulled before it had left."""


def pools(looks: Callable[[], object], bounds: replies.Bounds) -> dict[str, Any]:
    """urllib3's pools by scheme, whose connections send nothing that `looks` (it raises) does not let pass.

    Replies keep within bounds: TooMuch is raised past them.
    """

    class Looks:
        """A connection that looks before it sends, and whose socket is known to `within`."""

        sock: Any
        connect: Callable[[], None]

        def send(self, data: Any) -> None:
            """As the library's, unless it may not leave any more."""
            if self.sock is None:
                self.connect()  # which takes its time: the look comes after it
            looks()
            note(self.sock)
            super().send(data)  # type: ignore[misc]

    class Plain(Looks, HTTPConnection):
        """Without TLS: loopback."""

    class Secure(Looks, HTTPSConnection):
        """With TLS."""

    return replies.pools(bounds, Plain, Secure)


def look(until: float, switch: str = "") -> int:
    """The time (ns) at which it might still leave. Raises Late after `until` (seconds of a steady clock), Pulled where
    the file `switch` is there ("": no switch stops it)."""
    now = time.time_ns()  # before the looks: what left then did not leave after a file that they did not find
    if time.monotonic() > until:
        raise Late
    if switch and os.path.exists(switch):
        raise Pulled
    return now
