"""A module that others import and hardly ever use, imported when somebody asks it for something.

alpaca-py imports pandas with its models, a fifth of a second and 60 MB in every capture and every trader, for methods
that gpi never calls; numba imports importlib.metadata, to look for extensions before it compiles. While they are
imported a stand-in is in its place. It is taken away again: whoever imports the module afterwards gets it as ever, and
what references there are to the stand-in load the real one on first use.
"""

import importlib
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib.util import find_spec
from types import ModuleType
from typing import Any


class _StandIn(ModuleType):
    """A module for those who only name it."""

    naming: tuple[str, ...] | None = ()  # what annotations are made of, asked for while a module is being imported

    def __getattr__(self, name: str) -> Any:
        if self.naming is not None and name in self.naming:
            return type(name, (), {"__module__": self.__name__})
        if self.naming is not None and name.startswith("__"):  # the import's own questions: whether this is a package
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


@contextmanager
def later(name: str, *naming: str) -> Iterator[None]:
    """Import inside this what imports the module of that name, or the module: it is not loaded, unless it is there.

    `naming`: what is asked of it at once, to name types.
    """
    spec = None if name in sys.modules else find_spec(name)
    if spec is None:
        yield
        return
    stand_in = _StandIn(name)
    stand_in.naming = naming
    stand_in.__spec__ = spec
    sys.modules[name] = stand_in
    try:
        yield
    finally:
        stand_in.naming = None
        if sys.modules.get(name) is stand_in:
            del sys.modules[name]


def pandas_later() -> AbstractContextManager[None]:
    """Import a client inside this; pandas is not loaded with it, unless it is used at once or already there."""
    return later("pandas", "DataFrame")


def metadata_later() -> AbstractContextManager[None]:
    """Import inside this whoever may look for installed packages; importlib.metadata, and mail's parser, come then."""
    return later("importlib.metadata")
