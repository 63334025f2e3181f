"""A kernel that lies compiled on the disk is loaded without the compiler.

Numba, asked for a cached kernel, first refreshes its target: it imports every module that could help to compile
anything (its own library of numpy functions, scipy's linear algebra) and fills its registries, a fifth of a second in
each process. Machine code needs none of that. So on a hit the code is linked, and nothing else is done that only a
compiler needs; a miss goes the ordinary road, and the compiler refreshes before it compiles:

- the runtime that counts references starts only for code that counts them, its own functions compiled once and kept;
- the bitcode, which another kernel may be compiled from, is read when one is;
- a module of numba's, which only code in object mode would look into, is named and not imported;
- extensions of numba's are looked for when something is compiled;
- a kernel of ours that is only ever called by others, as most are, looks for no cache of its own.

This rests on numba's inside: only versions it was tried with, only what is plain machine code, and whatever goes wrong
goes the ordinary road.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pickle import UnpicklingError
from typing import Any, Final, TypeVar

import llvmlite.binding as llvm
import numba
import numpy as np
from numba.core import config, environment
from numba.core.caching import FunctionCache, IndexDataCacheFile
from numba.core.dispatcher import Dispatcher
from numba.core.runtime import nrtdynmod
from numba.core.runtime.nrt import rtsys
from numba.core.types import Array
from numba.core.typing.typeof import typeof_impl
from numba.np.numpy_support import from_dtype, map_layout

TRIED: Final = ("0.68.",)
DAMAGED: Final = (EOFError, UnpicklingError, ValueError, IndexError, KeyError, AttributeError)
LATE: Final = b"_numba_hashsecret"  # the one symbol that only a refreshed target can resolve
COUNTING: Final = (b"NRT_", b"nrt_")  # in the names of the runtime's functions
RUNTIME: Final = "runtime"  # the name its own compiled functions have in the cache

OURS: Final = ("gpi.tools.kernels.", "gpi.tools.strategies.")

F = TypeVar("F")


class _Lean(FunctionCache):  # type: ignore[misc]
    """Numba's cache of one function, whose hits need no refreshed target."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The compiled function of a signature, None if it is not there."""
        try:
            with _modules_named():
                found = self._cache_file.load(self._index_key(sig, target_context.codegen()))
            if found is None:
                return None
            if _plain(found):
                return _linked(self._impl, target_context, found)
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


def _linked(impl: Any, context: Any, found: tuple[Any, ...]) -> Any:
    """What numba makes of a cached result, its bitcode left alone until a kernel is compiled that calls it."""
    (name, kind, (code, bitcode)), about, *rest = found
    if any(word in code for word in COUNTING):
        _started(context)
    engine = context.codegen()._engine
    names = (about.llvm_func_name, about.llvm_cpython_wrapper_name, about.llvm_cfunc_wrapper_name)
    engine._defined_symbols |= {each for each in names if each.encode() in code}
    made = impl.rebuild(context, ((name, kind, (code, _nothing())), about, *rest))
    library = made.library

    def read() -> Any:
        library._shared_module = llvm.parse_bitcode(bitcode)
        engine._load_defined_symbols(library._shared_module)
        del library._get_module_for_linking
        return library._shared_module

    library._shared_module, library._get_module_for_linking = None, read
    return made


@cache
def _nothing() -> bytes:
    """The bitcode of a module that says nothing."""
    return bytes(llvm.parse_assembly("").as_bitcode())


@contextmanager
def _modules_named() -> Iterator[None]:
    """What is unpickled in here names modules of numba's that are not loaded, where it would import them."""
    ordinary: Callable[..., Any] = environment._rebuild_env

    def named(module: str, constants: list[Any], name: str) -> Any:
        known = environment.lookup_environment(name)
        if known is not None or module in sys.modules or not module.startswith("numba."):
            return ordinary(module, constants, name)
        made = environment.Environment({"__name__": module})
        made.consts[:] = constants
        made.env_name = name
        environment.Environment._memo[name] = made
        return made

    environment._rebuild_env = named
    try:
        yield
    finally:
        environment._rebuild_env = ordinary


def _started(context: Any) -> None:
    """The runtime, its functions compiled by whoever came first; where there is no folder to keep them, by us."""
    if not config.CACHE_DIR:  # the working directory is nobody's cache
        rtsys.initialize(context)
        return
    ordinary = nrtdynmod.compile_nrt_functions
    nrtdynmod.compile_nrt_functions = _runtime
    try:
        rtsys.initialize(context)
    finally:
        nrtdynmod.compile_nrt_functions = ordinary


def _runtime(context: Any) -> Any:
    """The library of the runtime's functions, from the cache or for it."""
    kept = IndexDataCacheFile(config.CACHE_DIR, RUNTIME, numba.__version__)
    codegen = context.codegen()
    with suppress(Exception):  # not there, or damaged: made anew
        return codegen.unserialize_library(kept.load(codegen.magic_tuple()))
    functions, library = nrtdynmod.create_nrt_module(context)
    library.enable_object_caching()
    library.add_ir_module(functions)
    library.finalize()
    with suppress(OSError):
        kept.save(codegen.magic_tuple(), library.serialize_using_object_code())
    return library


def _type_of_arrays() -> None:
    """Numba asks of each new kind of array whether it is masked, and imports numpy.ma for that: without it none is."""
    ordinary = typeof_impl.dispatch(np.ndarray)

    def kind(value: Any, context: Any) -> Any:
        if type(value) is np.ndarray:
            with suppress(Exception):  # numba says what is wrong
                return Array(from_dtype(value.dtype), value.ndim, map_layout(value), readonly=not value.flags.writeable)
        return ordinary(value, context)

    typeof_impl.register(np.ndarray, kind)


if numba.__version__.startswith(TRIED):
    _type_of_arrays()


class _Awaited:
    """The cache of a kernel that was not called yet."""

    def __init__(self, compiled: Any) -> None:
        self._compiled = compiled

    def __getattr__(self, name: str) -> Any:
        return getattr(_found(self._compiled), name)


def _found(compiled: Any) -> Any:
    """The cache of a kernel, from now on."""
    compiled.enable_caching()
    if type(compiled._cache) is FunctionCache:
        compiled._cache.__class__ = _Lean
    return compiled._cache


def lean(compiled: F) -> F:
    """The same kernel, cached; its code is loaded the short way, where this numba is known to allow it.

    A kernel's source is looked at when its cache is: of ours, whose folder is named by their sources, when they are
    called; of others now, before they can change.
    """
    if not isinstance(compiled, Dispatcher):  # the JIT is off
        return compiled
    kernel: Any = compiled
    if not numba.__version__.startswith(TRIED):
        kernel.enable_caching()
        return compiled
    kernel._compilation_chain_init_hook = _nothing  # a refreshed target looks for extensions
    if kernel.__module__.startswith(OURS):
        kernel._cache = _Awaited(kernel)
    else:
        _found(kernel)
    return compiled
