"""Who may write what gpi believes: only we, and root.

What is executed, unpickled, or decides orders is read back from disk: compiled kernels, generated loops, strategies,
models, pattern banks, limits, configs, order journals. Whoever can write there, or swap a folder above it, is us. What
is merely data (ticks, a lake, tables of runs) is anybody's: it is checked for what it says. docs/security.md has the
table.
"""

from __future__ import annotations

import errno
import grp
import os
import pwd
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import IO, Any, Final

from gpi.formats.errors import UsageError

OWN: Final = os.path.realpath(os.path.join(os.path.dirname(__file__), os.pardir))  # gpi's code: it runs in any case
OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH
FOREIGN_SETTINGS: Final = ".numba_config.yaml"
CACHE: Final = "the kernel cache"
MEND: Final = "rm -r it (it is made again); or GPI_CACHE_DIR=a folder of your own"


def trusted(path: Path | str, what: str, mend: str = "") -> None:
    """Raise UsageError if anybody but us and root can write `path` (a file or a folder), or swap what is above it.

    `what` it is, and how to `mend` it other than by chmod and chown, are said in the error. Nothing there is nobody's.
    A sticky folder above (such as /tmp) is well: only owners rename in it. So is one that is writable for a group of
    ours alone.
    """
    whole = os.path.realpath(path)
    if whole == OWN or whole.startswith(OWN + os.sep):
        return
    _looked_at(whole, what, mend, above=False)
    for each in {*_above(whole), *_above(os.path.abspath(path))}:
        _looked_at(each, what, mend, above=True)


def trusted_whole(folder: Path | str, what: str, mend: str = "") -> None:
    """`trusted`, and every file in the folder and in the folders in it (two levels), none of which may be a link."""
    trusted(folder, what, mend)
    waiting = [(os.path.realpath(folder), 0)]
    for each, depth in waiting:
        for entry in _entries(each):
            about = entry.stat(follow_symlinks=False)
            if stat.S_ISLNK(about.st_mode):
                raise UsageError(f"{what} {entry.path} is a link: remove it{_or(mend)}")
            _judge(entry.path, about, what, mend, above=False)
            if depth < 1 and stat.S_ISDIR(about.st_mode):
                waiting.append((entry.path, depth + 1))


def private_folder(folder: Path, say: Callable[[str], object] = lambda line: None, tighten: bool = False) -> None:
    """Make the folder, and what is missing above it, for us alone; `tighten` an existing one of ours, and say so."""
    for each in (*reversed(folder.parents), folder):
        try:
            each.mkdir(0o700)
        except FileExistsError:
            continue
        except OSError as wrong:
            if not each.is_dir():
                raise OSError(wrong.errno, wrong.strerror, str(each)) from None
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
    if tighten:
        tightened(folder, say)


def tightened(path: Path, say: Callable[[str], object] = lambda line: None) -> None:
    """Take every right of group and others off a file or folder of ours that exists; said where there was one."""
    try:
        about = os.stat(path)
        if about.st_uid == os.geteuid() and about.st_mode & 0o077:
            os.chmod(path, about.st_mode & 0o700)
            say(f"{path} was open to others (mode {about.st_mode & 0o777:o}): it is ours alone now")
    except FileNotFoundError:
        return


def secluded() -> None:
    """From now on what this process makes is ours alone, unless it says otherwise."""
    os.umask(0o077)


def guard_cache(numbas: ModuleType, folder: str) -> None:
    """Numba's cache, `folder` and what its module of caching opens there, must be ours. Raises UsageError, then or now.

    Compiled kernels are pickles, which run what they please. The folder is looked at now; a file when it is opened, by
    its descriptor, so nobody can swap it in between and a start pays only for the kernels it loads. Numba also takes
    settings from the working directory, from a file that need not be ours.
    """
    if os.path.exists(FOREIGN_SETTINGS):
        raise UsageError(
            f"numba would take settings from {os.path.abspath(FOREIGN_SETTINGS)}: remove it, start elsewhere, or set "
            "NUMBA_* variables instead"
        )
    if folder:
        with suppress(OSError):  # a disk that cannot be written: numba looks for another place, or compiles each time
            private_folder(Path(folder))
        trusted(folder, CACHE, MEND)
    vars(numbas)["open"] = partial(_cached, set[str]())


def _cached(seen: set[str], path: str, mode: str = "r") -> IO[Any]:
    folder = os.path.dirname(path)
    if "r" not in mode:
        tightened(Path(folder))  # numba has just made it, as the umask would have it
        return open(path, mode, opener=partial(os.open, mode=0o600))
    if folder not in seen:
        _looked_at(folder, CACHE, MEND, above=False)
        seen.add(folder)
    file = open(path, mode)
    try:
        _judge(path, os.fstat(file.fileno()), CACHE, MEND, above=False)
    except UsageError:
        file.close()
        raise
    return file


def _above(whole: str) -> Iterator[str]:
    while (parent := os.path.dirname(whole)) != whole:
        yield parent
        whole = parent


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except FileNotFoundError:
        return []


def _looked_at(path: str, what: str, mend: str, above: bool) -> None:
    try:
        about = os.stat(path)
    except OSError:
        return  # not there, or not for us to see: whoever reads it says so
    _judge(path, about, what, mend, above)


def _judge(path: str, about: os.stat_result, what: str, mend: str, above: bool) -> None:
    named = f"{path}, above {what}," if above else f"{what} {path}"
    if about.st_uid not in (0, os.geteuid()):
        fix = f"chown it ({about.st_uid} owns it), or use a copy of your own"
        raise UsageError(f"{named} belongs to another user, who could change it: {fix}{_or(mend)}")
    if not about.st_mode & OTHERS:
        return
    if above and about.st_mode & stat.S_ISVTX:
        return
    if above and not about.st_mode & stat.S_IWOTH and _ours_alone(about.st_gid):
        return
    raise UsageError(
        f"{named} can be written by others (mode {about.st_mode & 0o777:o}): look at what it holds, then chmod go-w "
        f"{path}{_or(mend)}"
    )


def _or(mend: str) -> str:
    return f"; or {mend}" if mend else ""


def _ours_alone(gid: int) -> bool:
    """Whether a group is the one that many systems make for each user, with nobody else in it."""
    try:
        group, user = grp.getgrgid(gid), pwd.getpwuid(os.geteuid())
    except KeyError:
        return False
    return group.gr_gid == user.pw_gid and group.gr_name == user.pw_name and not set(group.gr_mem) - {user.pw_name}
