"""Whether anybody still reads what we write: asked of the operating system, without writing anything.

A write into a pipe whose readers are all gone fails at once, but a tool on a quiet feed has nothing to write for
minutes. `poll` knows it earlier: the write end of such a pipe shows POLLERR, a socket whose other end is closed
POLLHUP.
"""

import os
import select
import stat
from typing import Final

GONE: Final = select.POLLERR | select.POLLHUP


def watchable(fd: int) -> bool:
    """Whether `fd` can lose its reader: a pipe, a FIFO or a socket. Files and devices have none; a terminal signals."""
    mode = os.fstat(fd).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def deserted(fd: int) -> bool:
    """Whether nobody will read what is written to `fd` any more; False while any process holds its other end open."""
    poll = select.poll()
    poll.register(fd, 0)  # errors and hang-ups are told unasked
    return any(told & GONE for _, told in poll.poll(0))


class Nap:
    """Sleeps until there is something to read from `fd`; woken once, too, when the reader of `sink` leaves."""

    def __init__(self, fd: int, sink: int | None = None) -> None:
        self._fd, self._sink = fd, sink
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN)
        if sink is not None:
            self._poll.register(sink, 0)

    def sleep(self, ms: int) -> bool:
        """Whether there is something to read (the end, too), after `ms` at most."""
        woken = self._poll.poll(ms)
        if any(fd == self._fd for fd, _ in woken):
            return True
        if woken and self._sink is not None:  # it would wake us for ever
            self._poll.unregister(self._sink)
            self._sink = None
        return False
