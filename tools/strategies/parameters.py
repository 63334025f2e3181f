"""Parameters of strategies: words of the command line become what the strategy's defaults are.

A default says the type: a number, a whole number, yes or no, a text, or a tuple of one of these. In a kernel a text is
the symbol of an instrument, which the kernel is told by its id.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from gpi.formats.errors import UsageError

Value = Any
"""float, int, bool, str, or a tuple of one of these."""
YES, NO = ("1", "true", "yes", "on"), ("0", "false", "no", "off")
NOBODY: Final = -1  # the id of no instrument


def parameters(texts: Sequence[str]) -> dict[str, str]:
    """`["gamma=0.1"]` as {"gamma": "0.1"}. Raises UsageError."""
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip() or not value.strip():
            raise UsageError(f"--param {text!r}: write name=value")
        found[name.strip()] = value.strip()
    return found


def merged(defaults: Mapping[str, Value], values: Mapping[str, Value], who: str) -> dict[str, Value]:
    """The defaults with the values given in their place, as what the defaults are. Raises UsageError."""
    for key in values:
        if key not in defaults:
            raise UsageError(f"{who} has no parameter {key!r}{nearest(key, defaults)}")
    return {key: _as(default, values.get(key, default), f"{who}: parameter {key}") for key, default in defaults.items()}


def _as(default: Value, given: Value, what: str) -> Value:
    if isinstance(default, (tuple, list)):
        items = [each.strip() for each in given.split(",") if each.strip()] if isinstance(given, str) else given
        if not isinstance(items, (tuple, list)):
            items = [items]
        return tuple(_as(default[0] if default else "", each, what) for each in items)
    if isinstance(default, bool):
        return _yes(given, what)
    if isinstance(default, (int, float)):
        return _number(default, given, what)
    return given if default is None else str(given)


def _yes(given: Value, what: str) -> bool:
    word = str(given).lower()
    if word not in (*YES, *NO):
        raise UsageError(f"{what} is yes or no, not {given!r}")
    return word in YES


def _number(default: float, given: Value, what: str) -> float | int:
    try:
        number = float(given)
    except (TypeError, ValueError):
        raise UsageError(f"{what} is a number, not {given!r}") from None
    if number != number:
        raise UsageError(f"{what} is not a number")
    if isinstance(default, float):
        return number
    if not number.is_integer():
        raise UsageError(f"{what} is a whole number, not {given!r}")
    return int(number)


def nearest(name: str, known: Any) -> str:
    """What to say of a name that is not known: the nearest, or all there are."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.4)
    return f" (did you mean {near[0]!r}?)" if near else f" (there are: {', '.join(sorted(known))})"


def packed(values: Mapping[str, Value]) -> tuple[npt.NDArray[Any], dict[str, tuple[str, ...]]]:
    """The record (1,) a kernel reads, and those of its parameters that are symbols; their ids are NOBODY yet."""
    fields: list[Any] = []
    symbols: dict[str, tuple[str, ...]] = {}
    for name, value in values.items():
        items = value if isinstance(value, tuple) else (value,)
        if any(isinstance(each, str) for each in items):
            symbols[name] = tuple(str(each) for each in items)
        kind = np.float64 if items and all(isinstance(each, float) for each in items) else np.int64
        fields.append((name, kind, (max(len(items), 1),)) if isinstance(value, tuple) else (name, kind))
    made = np.zeros(1, np.dtype((np.record, fields or [("unused", np.float64)])))
    for name, value in values.items():
        made[name] = NOBODY if name in symbols or value == () else value
    return made, symbols
