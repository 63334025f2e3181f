"""Files that appear whole: written beside under a name of our own, and renamed over their target at the honest end.

A rename replaces whatever stands there, a device node as readily as a file; and a folder that others may write to can
hold a link under the very name that is about to be written. So a target must be a regular file or nothing, and what is
written beside is always a new file.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from gpi.formats.errors import UsageError

NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
KINDS: Final = (
    (stat.S_ISLNK, "a link"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
)


def replaceable(path: Path) -> Path:
    """The path, where a file may appear: nothing stands there, or a regular file. Raises UsageError for all else."""
    try:
        mode = os.lstat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return path
    if not stat.S_ISREG(mode):
        kind = next((name for holds, name in KINDS if holds(mode)), "a device")
        raise UsageError(
            f"{path} is {kind}, and a file would take its place: name a regular file, or write to stdout instead: "
            f"> {path}"
        )
    return path


def begun(hidden: Path, mode: int = 0o644) -> int:
    """A descriptor to write a new file with. What a former life left under that name goes first, links too.

    Raises OSError, FileExistsError among them when somebody puts something there at this very moment.
    """
    hidden.unlink(missing_ok=True)
    return os.open(hidden, NEW, mode)


def appeared(hidden: Path, path: Path) -> None:
    """Show the finished file under its name. Raises UsageError where something else stands there by now."""
    os.replace(hidden, replaceable(path))


def beside(path: Path) -> Path:
    """Where a file is written until it is whole: two processes never share it."""
    return path.with_name(f"{path.name}.{os.getpid()}.partial")


def write_whole(path: Path, content: str, mode: int = 0o644) -> None:
    """A text file that is seen only when whole. Raises UsageError as `replaceable` does, and OSError."""
    hidden = beside(replaceable(path))
    with os.fdopen(begun(hidden, mode), "w", encoding="utf-8") as file:
        file.write(content)
    appeared(hidden, path)
