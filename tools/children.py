"""Every process of ours is started here: isolated, in a neutral directory, with a minimal environment.

A child gets what it cannot do without, and nothing that somebody else may have put in its way: Python's own variables
and the working directory name no modules (`-I`), packages come from where this process found them, and of the
environment only the names below pass. `start` is the one place that may start a process.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from gpi.formats import searchpath

Process = subprocess.Popen[bytes]
TimeLimit = subprocess.TimeoutExpired
NOWHERE: Final = subprocess.DEVNULL

NEUTRAL: Final = "/"  # holds nothing that a program takes its settings from, and only root writes there
# Who and where we are; languages and times; folders; how to reach a broker from this network; what the interpreter's
# own libraries need. TLS and proxies: a child that must cancel orders has to get out by the way its parent does.
NAMES: Final = frozenset(
    "HOME USER LOGNAME PATH SHELL TERM LANG LANGUAGE TZ TMPDIR "
    "SSL_CERT_FILE SSL_CERT_DIR REQUESTS_CA_BUNDLE CURL_CA_BUNDLE "
    "HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY http_proxy https_proxy all_proxy no_proxy".split()
)
FAMILIES: Final = ("LC_", "XDG_", "GPI_", "NUMBA_")
SECRETIVE: Final = ("KEY", "SECRET", "TOKEN", "PASSWORD", "CREDENTIAL")
LIBRARIES: Final = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")  # an interpreter with shared libraries may need them

LOUD_ENV: Final = "GPI_CHAOS_LOUD"
LOUD: Final = """
import faulthandler, logging, sys
faulthandler.enable()
logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
for name in ("websockets", "urllib3", "requests", "alpaca", "massive", "asyncio", "aiohttp"):
    logging.getLogger(name).setLevel(logging.DEBUG)
logging.getLogger("numba").setLevel(logging.WARNING)
"""
"""What a child runs first when LOUD_ENV is set: it logs all it can, for the search for secrets."""

BOOT: Final = "import sys; sys.path[:] = sys.argv.pop(1).split({separator!r})\n{first}\nimport runpy; "
BOOT_END: Final = "runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)"


def start(module: str, *words: str, **given: Any) -> Process:
    """`python -m MODULE WORDS`, isolated; `given` are Popen's own. Directory and environment are ours unless given."""
    how = {"cwd": NEUTRAL, "env": environment(), **given}
    return subprocess.Popen(command(module, words, LOUD_ENV in how["env"]), **how)


class Said(NamedTuple):
    """How a program ended, and what it wrote."""

    code: int
    out: str
    err: str


def program(*words: str, seconds: float = 10.0) -> Said:
    """A program of the system, such as git, to its end. Raises OSError where it is not there or does not end."""
    try:
        done = subprocess.run(words, cwd=NEUTRAL, env=environment(), capture_output=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        raise TimeoutError(f"no end after {seconds:g} s") from None
    return Said(done.returncode, done.stdout.decode(errors="replace").strip(), done.stderr.decode(errors="replace"))


def start_script(script: Path, *words: str, **given: Any) -> Process:
    """A program of the chaos suite as a person starts it: not isolated, so that it must look after itself."""
    return subprocess.Popen([sys.executable, str(script), *words], **{"cwd": NEUTRAL, "env": environment(), **given})


def command(module: str, words: Sequence[str] = (), loud: bool = False) -> list[str]:
    """What `start` runs. Keys are no words: those stand in `ps`."""
    first = LOUD if loud else ""
    program = BOOT.format(separator=os.pathsep, first=first) + BOOT_END
    flags = ["-I", "-B"] if sys.dont_write_bytecode else ["-I"]
    return [sys.executable, *flags, "-c", program, os.pathsep.join(_path()), module, *words]


def environment(inherited: Mapping[str, str] | None = None) -> dict[str, str]:
    """Of the environment (ours) what a child may see: the names above, none of a key."""
    found = os.environ if inherited is None else inherited
    kept = {name: value for name, value in found.items() if name in NAMES or _of_a_family(name)}
    for name in LIBRARIES:
        folders = [each for each in found.get(name, "").split(os.pathsep) if os.path.isabs(each)]
        if folders:
            kept[name] = os.pathsep.join(folders)
    return kept


def _of_a_family(name: str) -> bool:
    return name.startswith(FAMILIES) and not any(word in name.upper() for word in SECRETIVE)


def _path() -> list[str]:
    """Where this process found its modules, without its working directory; gpi's own home is always among them."""
    here = searchpath.working_directory() or NEUTRAL
    found = searchpath.trusted(sys.path, here)
    return found if searchpath.HOME in found else [searchpath.HOME, *found]
