"""Where Python looks for modules: never in the working directory, unless gpi itself lives there.

`python -m`, an empty entry of PYTHONPATH and a bare `.` put the working directory before everything that is installed:
a `numpy.py`, or a `strategies.dist-info`, that somebody left there would run with our keys. Imported first of all, and
imports nothing that is not loaded already.
"""

import os
import site
import sys

HOME = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # holds the package `gpi`


def trusted(entries: list[str], here: str, home: str = HOME) -> list[str]:
    """The entries without the folder `here`, in their order; where `here` is gpi's own home it is written out."""
    kept = {os.path.realpath(each) for each in (home, os.path.dirname(os.__file__), *installed())}
    found = []
    for entry in entries:
        whole = os.path.realpath(os.path.join(here, entry))
        if whole != os.path.realpath(here) or whole in kept:
            found.append(entry if os.path.isabs(entry) else os.path.join(here, entry))
    return found


def installed() -> list[str]:
    """The folders that packages are installed into."""
    return [*site.getsitepackages(), *([site.getusersitepackages()] if site.ENABLE_USER_SITE else [])]


def working_directory() -> str | None:
    """Where we are; None where that folder is gone."""
    try:
        return os.getcwd()
    except OSError:
        return None


def trim() -> None:
    """Take the working directory off this process's path."""
    here = working_directory()
    sys.path[:] = trusted(sys.path, here) if here else [each for each in sys.path if os.path.isabs(each)]


trim()
