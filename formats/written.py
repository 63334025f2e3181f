"""JSON, TOML and names of files that others wrote: whatever is wrong with them is a ValueError, in words.

Python's own readers fail in several ways: RecursionError for 100,000 brackets, a silent infinity for 1e999, the last
of two equal keys. And a name that becomes a path may lead anywhere.
"""

import errno
import json
import math
import os
import stat
import tomllib
from pathlib import Path
from typing import IO, Any, Final

LONGEST: Final = 1 << 26  # bytes of a text that is read whole
DEEP: Final = "it is nested too deeply"


def json_of(text: str | bytes, finite: bool = True) -> Any:
    """What a JSON text says. Raises ValueError for keys said twice, deep nesting and, if `finite`, NaN."""
    numbers: dict[str, Any] = {"parse_constant": _no_number, "parse_float": _finite} if finite else {}
    try:
        return json.loads(text, object_pairs_hook=_distinct, **numbers)
    except RecursionError:
        raise ValueError(DEEP) from None


def toml_of(path: Path) -> dict[str, Any]:
    """What a TOML file says. Raises OSError, and ValueError for what is no text, no TOML or nested too deeply."""
    try:
        return tomllib.loads(text_of(path, named=True))
    except RecursionError:
        raise ValueError(DEEP) from None


def regular(path: Path) -> IO[bytes]:
    """A file to read that only a folder named. Raises OSError, and ValueError for a pipe or a device: it may never end.

    Nor is it waited for: opening a named pipe that nobody writes to would take forever.
    """
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    mode = os.fstat(fd).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(fd, "rb")
    os.close(fd)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    raise ValueError("it is no regular file")


def text_of(path: Path, named: bool = False) -> str:
    """A file's text. Raises OSError, and ValueError for one that is not UTF-8, endless, or a pipe or device.

    `named`: the user named the very file, which may be a pipe then.
    """
    with path.open("rb") if named else regular(path) as file:
        content = file.read(LONGEST + 1)
    if len(content) > LONGEST:
        raise ValueError(f"it is longer than {LONGEST >> 20} MiB")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as wrong:
        raise ValueError(f"it is not UTF-8 text (byte {wrong.start})") from None


def inside(folder: Path, name: str) -> Path:
    """The file of that name in a folder, for a name that a file told. Raises ValueError for one that leads out of it.

    Neither `..`, an absolute path nor a symbolic link does.
    """
    path = folder / name
    try:
        within = path.resolve().is_relative_to(folder.resolve()) and path.resolve() != folder.resolve()
    except (OSError, RuntimeError):  # a link to itself
        within = False
    if "\0" in name or not within:
        raise ValueError(f"{name!r} leads out of {folder}")
    return path


def _no_number(told: str) -> float:
    raise ValueError(f"{told} is no number")


def _finite(told: str) -> float:
    value = float(told)
    if not math.isfinite(value):
        raise ValueError(f"{told[:20]} is no number that can be held")
    return value


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} stands there twice")
    return found
