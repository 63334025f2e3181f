"""A kernel that lies compiled on the disk is loaded without the compiler.

Numba, asked for a cached kernel, first refreshes its target: it imports every module that could help to compile
anything (its own library of numpy functions, scipy's linear algebra) and fills its registries, a fifth of a second in
each process. Machine code needs none of that, only the runtime that counts its references. So on a hit the runtime is
started and the code linked; a miss goes the ordinary road, and the compiler refreshes before it compiles.

This rests on numba's inside: only versions it was tried with, only what is plain machine code, and whatever goes wrong
goes the ordinary road.
"""

from pickle import UnpicklingError
from typing import Any, Final, TypeVar

import numba
from numba.core.caching import FunctionCache
from numba.core.runtime.nrt import rtsys

TRIED: Final = ("0.68.",)
DAMAGED: Final = (EOFError, UnpicklingError, ValueError, IndexError, KeyError, AttributeError)
LATE: Final = b"_numba_hashsecret"  # the one symbol that only a refreshed target can resolve

F = TypeVar("F")


class _Lean(FunctionCache):  # type: ignore[misc]
    """Numba's cache of one function, whose hits need no refreshed target."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The compiled function of a signature, None if it is not there."""
        try:
            found = self._cache_file.load(self._index_key(sig, target_context.codegen()))
            if found is None:
                return None
            if _plain(found):
                rtsys.initialize(target_context)
                return self._impl.rebuild(target_context, found)
        except Exception:  # another inside than we know: numba knows what to do
            pass
        try:
            return super().load_overload(sig, target_context)
        except DAMAGED:  # cut by a full disk or a loss of power, which numba would not survive
            self._cache_file.flush()
            return None


def _plain(found: tuple[Any, ...]) -> bool:
    """Whether a cached result is machine code that links against the runtime alone."""
    (_, kind, (code, _)), _, _, _, objectmode, lifted, _, reload_init, _ = found
    return kind == "object" and not objectmode and not lifted and not reload_init and LATE not in code


def lean(compiled: F) -> F:
    """The same kernel; its cached code is loaded the short way, where this numba is known to allow it."""
    if numba.__version__.startswith(TRIED) and type(getattr(compiled, "_cache", None)) is FunctionCache:
        compiled._cache.__class__ = _Lean  # type: ignore[attr-defined]
    return compiled
