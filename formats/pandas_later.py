"""A client that imports pandas for its tables, imported without it: pandas comes when somebody asks it for something.

alpaca-py imports pandas with its models, a fifth of a second and 60 MB in every capture and every trader, for methods
that gpi never calls. While it is imported a stand-in is in pandas' place. It is taken away again: whoever imports
pandas afterwards gets it as ever, and the client's own references to the stand-in load the real one on first use.
"""

import importlib
import importlib.abc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from types import ModuleType
from typing import Any, Final

import pyarrow as pa

NAMES: Final = ("DataFrame",)  # what annotations are made of, asked for while a module is being imported


class _StandIn(ModuleType):
    """Pandas for those who only name it."""

    naming = True

    def __getattr__(self, name: str) -> Any:
        if self.naming and name in NAMES:
            return type(name, (), {"__module__": "pandas"})
        if self.naming and name.startswith("__"):  # the import's own questions: whether this is a package
            raise AttributeError(name)
        if sys.modules.get("pandas") is self:
            del sys.modules["pandas"]
        return getattr(importlib.import_module("pandas"), name)


@contextmanager
def pandas_later() -> Iterator[None]:
    """Import a client inside this; pandas is not loaded with it, unless it is used at once or already there."""
    spec = None if "pandas" in sys.modules else find_spec("pandas")
    if spec is None:
        yield
        return
    stand_in = _StandIn("pandas")
    stand_in.__spec__ = spec
    sys.modules["pandas"] = stand_in
    try:
        yield
    finally:
        stand_in.naming = False
        if sys.modules.get("pandas") is stand_in:
            del sys.modules["pandas"]


class _NoPandas(importlib.abc.MetaPathFinder):
    """Lets pyarrow find, the one time it looks, that there is no pandas.

    `pa.array([...])` and `array.to_numpy()` import pandas wherever it is installed (alpaca-py brings it): half a
    second and 60 MB for every command, for nothing. Whoever imports pandas afterwards gets it as ever.
    """

    def find_spec(self, name: str, path: object, target: object = None) -> None:
        """Not here."""
        if name == "pandas":
            raise ModuleNotFoundError(name)


def forgo_pandas() -> None:
    """Have pyarrow look for pandas now, and not find it."""
    if "pandas" not in sys.modules:
        sys.meta_path.insert(0, _NoPandas())
        pa.array([0])
        del sys.meta_path[0]
