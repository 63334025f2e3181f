"""Books between decoded rows and ticks: what makes one tick of several rows, chunk by chunk.

Every book gives the same ticks however its input is cut: what might belong to the next chunk is held back.
"""

from __future__ import annotations

from typing import Protocol

from gpi.formats.frame import Frame
from gpi.formats.quarantine import Quarantine
from gpi.formats.vendors.layout import Building


class Book(Protocol):
    """Turns decoded rows into ticks."""

    def built(self, frame: Frame) -> Frame:
        """The ticks that these rows complete."""

    def rest(self) -> Frame:
        """The ticks of the rows held back, at the end."""


class Nothing:
    """Every row is a tick already."""

    def __init__(self, levels: int) -> None:
        self.levels = levels

    def built(self, frame: Frame) -> Frame:
        """The rows themselves."""
        return frame

    def rest(self) -> Frame:
        """Nothing is held back."""
        from gpi.formats.vendors.layout import empty
        return empty(0, self.levels)


def book(building: Building, levels: int, quarantine: Quarantine) -> Book:
    """The book for a way of building."""
    return Nothing(levels)
