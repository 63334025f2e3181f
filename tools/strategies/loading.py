"""Find a strategy, check its parameters, compile its loop.

A *kernel strategy* is a module with three names:

    @dataclass(frozen=True)
    class Parameters: ...              # with defaults: numbers, symbols, tuples of either
    MEMORY = np.dtype((np.record, [...]))   # its memory, one zeroed record per instrument
    @jit
    def decide(memory, params, view, inputs, market, orders, n_orders, intents) -> int: ...

and optionally NEEDS and WANTS, the columns (or single elements of them) it cannot do without and those it looks
at where they are: fields of `inputs[0]`. Where a parameter is a symbol, the kernel finds the instrument's id. A
*Python strategy* is a class with `on_tick(view)` (`gpi.tools.strategies.view`). Built-in and installed ones are
entry points of the group `gpi.strategies`; a file is `path/to/file.py` (a kernel module) or
`path/to/file.py:ClassName`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import inspect
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import numpy as np

from gpi.formats.errors import UsageError
from gpi.formats.imports.later import metadata_later
from gpi.formats.trust import private_folder, trusted
from gpi.tools.kernels.jit import cache_folder
from gpi.tools.kernels.orders import Array, record
from gpi.tools.kernels.trader import loop
from gpi.tools.strategies.deciding import Deciding
from gpi.tools.strategies.parameters import Value, merged, nearest, packed

with metadata_later():
    from importlib import metadata

GROUP: Final = "gpi.strategies"
PLACEHOLDER: Final = "from gpi.tools.kernels.trader.idle import decide\n"
NO_MEMORY: Final = record("unused", "")


@dataclasses.dataclass(frozen=True, slots=True)
class Strategy:
    """A strategy ready to trade. `run` is its compiled batch loop, None for one in plain Python."""

    name: str
    values: Mapping[str, Value]
    digest: str
    needs: tuple[str, ...]
    wants: tuple[str, ...]
    params: Array
    symbols: Mapping[str, tuple[str, ...]]
    """Parameters of a kernel that name instruments: the session writes their ids into `params`."""
    memory: np.dtype[Any]
    begin: Callable[[], Any]
    """Gives a session its own strategy at work: a Python one keeps attributes, which no two sessions may share."""
    run: Callable[..., int] | None


def load(name: str, values: Mapping[str, Value] | None = None) -> Strategy:
    """The strategy called `name`: an installed one, `file.py` or `file.py:Class`.

    Raises UsageError, naming the nearest, for an unknown strategy or parameter.
    """
    given = dict(values or {})
    path, _, inside = name.partition(":")
    if path.endswith(".py"):
        module = _module_at(Path(path))
        found = getattr(module, inside, None) if inside else module
        if found is None:
            raise UsageError(f"{path} has no {inside!r}{nearest(inside, dir(module))}")
        return strategy(found, given, inside or Path(path).stem)
    known = {point.name: point for point in metadata.entry_points(group=GROUP)}
    if name not in known:
        raise UsageError(f"no strategy {name!r}{nearest(name, known)}; your own is path/to/file.py:Class")
    return strategy(known[name].load(), given, name)


def strategy(found: Any, values: Mapping[str, Value], name: str) -> Strategy:
    """A kernel module or a Python class as a Strategy, `values` over its defaults."""
    if isinstance(found, ModuleType):
        return _kernel(found, values, name)
    if isinstance(found, type) and hasattr(found, "on_tick"):
        return _python(found, values, name)
    raise UsageError(
        f"{name} is no strategy: it needs a function `decide` (kernel module) or a method `on_tick` (class)"
    )


def _kernel(module: ModuleType, values: Mapping[str, Value], name: str) -> Strategy:
    if not hasattr(module, "decide"):
        raise UsageError(f"{module.__file__} has no function `decide`")
    _of_today(module)
    fields = dataclasses.fields(module.Parameters) if hasattr(module, "Parameters") else ()
    full = merged({f.name: f.default for f in fields}, values, name)
    memory = getattr(module, "MEMORY", NO_MEMORY)
    for word in (*full, *(memory.names or ())):
        if hasattr(np.record, word):  # found by the compiler, hidden by numpy when the JIT is off
            raise UsageError(f"{name}: numpy's records own the word {word!r}: give the field another name")
    params, symbols = packed(full)
    digest = _digest(inspect.getfile(module))
    if hasattr(module.decide, "targetoptions"):  # compiled by numba itself: it may make arrays, though the loop may not
        module.decide.targetoptions.setdefault("_nrt", True)
    return Strategy(
        name=name,
        values=full,
        digest=digest,
        needs=tuple(getattr(module, "NEEDS", ())),
        wants=tuple(getattr(module, "WANTS", ())),
        params=params,
        symbols=symbols,
        memory=memory,
        begin=partial(getattr, module, "decide"),
        run=looped(module.__name__, digest),
    )


def _of_today(module: ModuleType) -> None:
    """Raise UsageError for a kernel written for another `decide`: the compiler's words would not say so."""
    names = list(inspect.signature(getattr(module.decide, "py_func", module.decide)).parameters)
    if {"features", "outlook"} & set(names):
        raise UsageError(
            f"{module.__file__}: decide takes (memory, params, view, inputs, market, orders, n_orders, intents) now; "
            "what was `features` and `outlook` is asked for by NEEDS and WANTS and read from `inputs[0]` "
            "(docs/strategies.md)"
        )


def _python(kind: type, values: Mapping[str, Value], name: str) -> Strategy:
    signature = inspect.signature(kind)
    defaults = {p.name: p.default for p in signature.parameters.values() if p.default is not p.empty}
    full = merged(defaults, values, name)
    return Strategy(
        name=name,
        values=full,
        digest=_digest(inspect.getfile(kind)),
        needs=tuple(getattr(kind, "NEEDS", ())),
        wants=(),
        params=np.zeros(1, NO_MEMORY),
        symbols={},
        memory=NO_MEMORY,
        begin=lambda: Deciding(kind(**full)),
        run=None,
    )


def _digest(file: str) -> str:
    return hashlib.blake2b(Path(file).read_bytes(), digest_size=8).hexdigest()


def _module_at(path: Path) -> ModuleType:
    if not path.is_file():
        raise UsageError(f"no strategy file {path}")
    trusted(path, "the strategy")
    return _imported(f"gpi_strategy_{_digest(str(path))}", path)


def _imported(name: str, path: Path) -> ModuleType:
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def looped(module: str, digest: str) -> Callable[..., int]:
    """The batch loop around `module.decide`, generated once per source digest beside the compiled kernels."""
    text = Path(inspect.getfile(loop)).read_text().replace(PLACEHOLDER, f"from {module} import decide\n")
    key = hashlib.blake2b(f"{digest} {text}".encode(), digest_size=8).hexdigest()
    folder = cache_folder() / "loops"
    path = folder / f"loop_{key}.py"
    private_folder(folder)
    trusted(path, "the generated loop", f"rm -r {folder}: it is made again")
    if not path.exists():
        handle, temporary = tempfile.mkstemp(dir=folder, suffix=".tmp")
        with os.fdopen(handle, "w") as out:
            out.write(text)
        os.replace(temporary, path)
    run: Callable[..., int] = _imported(f"gpi_loop_{key}", path).run
    return run
