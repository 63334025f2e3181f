"""Where the orders of a session go: filled here, answered as a recording says, or sent to a broker outside."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from gpi.formats.errors import GpiError
from gpi.formats.execution import ExecutionReport, OrderRequest
from gpi.formats.frame import Frame
from gpi.formats.instruments import Instruments
from gpi.tools.backtest.answered import Repeated, Script
from gpi.tools.backtest.session import Session
from gpi.tools.backtest.traded import Traded


class Broker(Protocol):
    """What a session needs of a broker that is ready. Only `finish` and `close` may wait."""

    @property
    def kill_file(self) -> Path | None:
        """The file whose appearance kills."""

    @property
    def failure(self) -> GpiError | None:
        """Why trading has to end, if it has to."""

    def whose(self) -> Mapping[str, str]:
        """{"account", "url"} of a broker outside, whose run goes on where a former one ended; else empty."""

    def step(self, session: Session) -> Callable[[Frame], Traded]:
        """What trades one frame of ticks."""

    def announce(self, instruments: Instruments) -> None:
        """The instruments of the stream, when there are new ones."""

    def day_is(self, number: int, equity: float, lost: bool) -> None:
        """The session's UTC day (days since 1970), its equity when it began, whether its loss limit was reached."""

    def send(self, requests: list[OrderRequest]) -> None:
        """Take what a session wants."""

    def reports(self) -> list[ExecutionReport]:
        """What there is to tell, in order."""

    def finish(self, timeout_s: float) -> list[ExecutionReport]:
        """Cancel what is open and wait (s) until every order has ended; then what is left to tell."""

    def close(self) -> None:
        """Let go of everything."""

    def ended(self) -> Mapping[str, Any]:
        """What a manifest says of the end: orders that are unknown, the failure; empty where there is nothing."""

    def first_words(self) -> list[str]:
        """Lines for a person when trading begins."""

    def last_words(self, cash: float) -> list[str]:
        """Lines for a person at the end, the session's `cash` held against the broker's."""


class Paper:
    """The session fills its orders itself: nothing is sent, nothing is told."""

    failure: GpiError | None = None

    def __init__(self, kill_file: Path | None = None) -> None:
        self.kill_file = kill_file

    def whose(self) -> Mapping[str, str]:
        """Nobody's."""
        return {}

    def step(self, session: Session) -> Callable[[Frame], Traded]:
        """The session's own step."""
        return session.step

    def announce(self, instruments: Instruments) -> None:
        """Nobody outside has to know."""

    def day_is(self, number: int, equity: float, lost: bool) -> None:
        """Nothing outlives the session."""

    def send(self, requests: list[OrderRequest]) -> None:
        """Nothing leaves."""

    def reports(self) -> list[ExecutionReport]:
        """Never any."""
        return []

    def finish(self, timeout_s: float) -> list[ExecutionReport]:
        """The session cancels by itself."""
        return []

    def close(self) -> None:
        """Nothing is held."""

    def ended(self) -> Mapping[str, Any]:
        """Nothing beside the run."""
        return {}

    def first_words(self) -> list[str]:
        """None."""
        return []

    def last_words(self, cash: float) -> list[str]:
        """None."""
        return []


class Recorded(Paper):
    """The answers of a live run, at the rows at which they came; what the session asks for goes nowhere."""

    def __init__(self, answers: Path, kill_file: Path | None = None) -> None:
        super().__init__(kill_file)
        self._path = answers
        self._last: Callable[[], None] = lambda: None

    def step(self, session: Session) -> Callable[[Frame], Traded]:
        """The session's step, cut where answers came. Raises BadInput where the answers cannot be read."""
        script = Script.read(self._path)
        self._last = lambda: session.hear(script.due(int(session.clock.row)))
        return Repeated(session, script).step

    def finish(self, timeout_s: float) -> list[ExecutionReport]:
        """The session hears its last answers; they are recorded already, so none is left to keep."""
        self._last()
        return []
