"""One of a kind: a file that at most one process holds, and that names the one that does."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from gpi.formats.errors import UsageError
from gpi.formats.trust import private_folder


def state_folder() -> Path:
    """Where captures keep what must outlive them: $XDG_STATE_HOME/gpi/capture, by default ~/.local/state."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "gpi" / "capture"


class Lock:
    """Held until the process ends or `free`; the kernel frees it after kill -9, too. Raises UsageError with the pid."""

    def __init__(self, path: Path, what: str) -> None:
        private_folder(path.parent)
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.read(self._fd, 32).decode(errors="replace").strip() or "?"
            os.close(self._fd)
            raise UsageError(f"{what} is being captured already, by process {pid}: end that one first") from None
        os.ftruncate(self._fd, 0)
        os.write(self._fd, f"{os.getpid()}\n".encode())

    def free(self) -> None:
        """Let another have it; idempotent."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
