"""The loop of `gpi.tools.kernels.trader.loop` for a strategy in plain Python: the same engine, one row at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from gpi.formats.frame import Frame
from gpi.formats.instruments import Instruments
from gpi.tools.kernels.orders import Array, Engine
from gpi.tools.kernels.trader import engine


class Seat(Protocol):
    """What the engine needs of a Python strategy at work (`gpi.tools.strategies.view.Deciding`)."""

    around: Any

    def decide(self, row: int) -> int:
        """Look at the engine's view; how many intents there are."""

    def begun(self) -> None:
        """A run of rows begins."""

    def listen(self) -> None:
        """Keep what has been told so far."""

    def end(self) -> None:
        """The session is over."""


def looped(seat: Seat | None) -> Callable[..., int]:
    """A batch loop around a Python strategy, called with the arguments of `gpi.tools.kernels.trader.loop.run`."""
    assert seat is not None

    def run(address: int, columns: int, body: Array, start: int, *_: Any) -> int:
        sight, decide = engine.sight, seat.decide
        rows = seat.around.frame.rows
        seat.begun()
        for row in range(start, rows):
            if sight(address, columns, body, row) < 0:
                seat.listen()
                return row
            n = decide(row)
            if n:
                engine.act(address, n, int(seat.around.frame["instrument_id"][row]))
        seat.listen()
        return int(rows)

    return run


def bound(seat: Seat | None, e: Engine) -> None:
    """Tell a Python strategy of the engine's memory."""
    if seat is not None:
        seat.around.bind(e)


def over(seat: Seat | None, frame: Frame, instruments: Instruments) -> None:
    """Tell a Python strategy of the frame whose rows come next."""
    if seat is not None:
        seat.around.over(frame, instruments)
