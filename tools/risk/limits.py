"""Limits from a risk.toml: all of them present, finite and not negative, or nothing starts.

A missing limit is not a default: a typing error in a risk file must never switch a check off.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from gpi.formats.errors import UsageError
from gpi.formats.trust import trusted
from gpi.formats.written import toml_of
from gpi.tools.kernels.orders import LIMIT_NAMES, LIMITS, Array

SHIPPED: Final = Path(__file__).with_name("risk.toml")
SWITCHES: Final = ("allow_short", "allow_naked_options")
COUNTS: Final = ("order_rate_per_s", "max_open_orders")
MOST_ORDERS_PER_S: Final = 100_000


def read(path: Path | None = None) -> Array:
    """The limits of a risk.toml (the shipped one without a path) as the record the gate reads.

    Raises UsageError naming the key for one that is missing, unknown, NaN, negative or of the wrong type.
    """
    path = SHIPPED if path is None else path
    trusted(path, "the limits")
    try:
        given = toml_of(path)
    except OSError as wrong:
        raise UsageError(f"cannot read the limits: {wrong}") from wrong
    except ValueError as wrong:  # not TOML, or not even text
        raise UsageError(f"{path} is not TOML: {wrong}") from wrong
    return checked(given, str(path))


def checked(given: Mapping[str, Any], source: str = "limits") -> Array:
    """Limits by name as the record the gate reads. Raises UsageError naming the key."""
    for name in given:
        if name not in LIMIT_NAMES:
            near = difflib.get_close_matches(name, LIMIT_NAMES, n=1, cutoff=0.0)
            raise UsageError(f"{source}: unknown limit {name!r} (did you mean {near[0]!r}?)")
    limits = np.zeros(1, LIMITS)
    for name in LIMIT_NAMES:
        if name not in given:
            raise UsageError(f"{source}: the limit {name!r} is missing; every limit must be set")
        limits[0][name] = _number(name, given[name], source)
    return limits


def as_dict(limits: Array) -> dict[str, float]:
    """The limits by name, as a manifest records them."""
    return {name: float(limits[0][name]) for name in LIMIT_NAMES}


def _number(name: str, value: Any, source: str) -> float:
    if name in SWITCHES:
        if value is True or value is False or value in (0.0, 1.0):
            return float(value)
        raise UsageError(f"{source}: {name} must be true or false, not {value!r}")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise UsageError(f"{source}: {name} must be a number, not {value!r}")
    if not _finite(value) or value < 0:
        raise UsageError(f"{source}: {name} must be finite and not negative, not {value!r}")
    if name in COUNTS and value != int(value):
        raise UsageError(f"{source}: {name} must be a whole number, not {value!r}")
    if name == "order_rate_per_s" and value > MOST_ORDERS_PER_S:
        raise UsageError(f"{source}: {name} must be at most {MOST_ORDERS_PER_S}, not {value!r}")
    return float(value)


def _finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond every float
        return False
