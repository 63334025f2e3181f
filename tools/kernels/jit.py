"""How every kernel is compiled: cached on disk, without the GIL, with numpy's division rules, never fastmath.

Kernels that only borrow arrays (`borrowing`, `inlined`) count no references: numba counts every array that a function
is handed, atomically, at each call that LLVM does not inline, which was half of a tick's time through the engine.

Numba's cache looks only at the file of the outermost function, so a kernel that calls another would run stale after
the callee changed. The cache therefore lives in a folder named by a digest of every kernel's source.
"""

import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

from gpi.formats.imports.later import metadata_later
from gpi.formats.trust import guard_cache

with metadata_later():
    import numba
    from numba.core import caching, config

from gpi.tools.kernels.cached import lean

P = ParamSpec("P")
R = TypeVar("R")

TOOLS = Path(__file__).parent.parent
WORDS = TOOLS.parent / "formats" / "words.py"  # integers that stand compiled in the kernels
SOURCES = (WORDS, *sorted((TOOLS / "kernels").rglob("*.py")), *sorted((TOOLS / "strategies").glob("*.py")))


def fingerprint() -> str:
    """A digest of the kernels' sources and the versions that compile them."""
    digest = hashlib.blake2b(digest_size=8)
    digest.update(f"{numba.__version__} {sys.version}".encode())
    for path in SOURCES:
        digest.update(path.relative_to(TOOLS.parent).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def cache_folder() -> Path:
    """Where compiled kernels are kept: GPI_CACHE_DIR, else the user's cache folder."""
    chosen = os.environ.get("GPI_CACHE_DIR") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "gpi")
    return Path(chosen) / "kernels" / fingerprint()


if "NUMBA_CACHE_DIR" not in os.environ:
    config.CACHE_DIR = str(cache_folder())
guard_cache(caching, config.CACHE_DIR)  # what lies there is unpickled


def jit(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a kernel that may make arrays, called from whatever kernel."""
    compiled: Callable[P, R] = numba.njit(nogil=True, error_model="numpy", _nrt=True)(function)
    return lean(compiled)


def borrowing(function: Callable[P, R]) -> Callable[P, R]:
    """Like `jit`, for a kernel that makes no arrays and returns none: its arrays belong to its caller.

    Numba refuses at once to compile an allocation in it.
    """
    compiled: Callable[P, R] = numba.njit(nogil=True, error_model="numpy", _nrt=False)(function)
    return lean(compiled)


def inlined(function: Callable[P, R]) -> Callable[P, R]:
    """Like `borrowing`, but copied into its caller: for the one big function of a hot loop.

    Handing twenty arrays to a function costs time at every call, and LLVM does not inline a big one by itself.
    """
    make = numba.njit(nogil=True, error_model="numpy", inline="always", _nrt=False)
    compiled: Callable[P, R] = make(function)
    return lean(compiled)
