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
