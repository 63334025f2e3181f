"""The kill switch: a file that stops whatever is new, and a lock beside it that tells when it has.

A trader holds the lock (shared: several may have one switch) for as long as an order of its may leave. It lets go when
it has seen the file and nothing new is under way any more, and the system lets go for it when it dies. Who pulls the
switch makes the file first and then waits for the lock: once nobody has it, no order follows.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from typing import Final

from gpi.formats.errors import UsageError

LOOK_S: Final = 0.02


class Switch:
    """A trader's end of it. Raises UsageError where nobody could make the file: then nothing would stop it."""

    def __init__(self, file: Path) -> None:
        self.file = file
        try:
            self._fd = _opened(file)
            fcntl.flock(self._fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:  # somebody pulls it right now: `pulled` is true
            os.close(self._fd)
            self._fd = -1
        except OSError as wrong:
            raise UsageError(f"the kill file {file} could not be made: {wrong}; choose another --kill-file") from None

    @property
    def pulled(self) -> bool:
        """Is the file there, or somebody about to prove that it works?"""
        return self._fd < 0 or self.file.exists()

    def effective(self) -> None:
        """Nothing new leaves any more, nor is on its way; idempotent."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def settled(file: Path, within_s: float) -> bool:
    """Wait until nobody who has seen the switch's file can send anything new; False if somebody still may."""
    end = time.monotonic() + within_s
    fd = _opened(file)
    try:
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            except BlockingIOError:
                if time.monotonic() > end:
                    return False
                time.sleep(LOOK_S)
    finally:
        os.close(fd)


def _opened(file: Path) -> int:
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return os.open(file.with_name(f"{file.name}.lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
