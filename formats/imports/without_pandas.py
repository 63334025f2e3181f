"""pyarrow is told that there is no pandas."""

import importlib.abc
import sys

import pyarrow as pa


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
