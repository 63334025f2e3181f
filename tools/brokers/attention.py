"""Attention: when an order of unknown fate is looked at next. Times are seconds of a steady clock."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Attention:
    """An order that must be looked at: when next, how often it was, when it was first found missing."""

    due: float
    since: float
    grace: float
    tries: int = 0
    missing: float = 0.0
