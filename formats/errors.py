"""Every error a user can meet, each with its exit code.

    GpiError (1)
    |-- UsageError (2)          the command line or a config file is wrong
    |-- BadInput (3)            what came in cannot be trusted
    |   |-- SchemaMismatch      a stage lacks a column it needs
    |   `-- TruncatedStream     the writer died before saying it had finished
    |-- RiskBreach (4)          a limit was breached or the kill switch is on
    |-- VenueError (5)          the network, a vendor or a venue failed
    `-- MissingExtra (1)        an optional dependency is not installed

Anything else that escapes is a bug and shows a traceback.
"""


class GpiError(Exception):
    """A failure whose message is for the user; the command line prints one line and exits."""

    exit_code = 1


class UsageError(GpiError):
    """The command line or a config file is wrong; the message names the fix."""

    exit_code = 2


class BadInput(GpiError):
    """The input is unreadable, foreign or inconsistent."""

    exit_code = 3


class SchemaMismatch(BadInput):
    """A stream lacks a column that a stage needs, or carries it with another type."""


class TruncatedStream(BadInput):
    """A stream ended without its end mark: its writer died. `rows` were read before that."""

    def __init__(self, message: str, rows: int = 0) -> None:
        super().__init__(message)
        self.rows = rows


class RiskBreach(GpiError):
    """A risk limit was breached, or the kill switch is on."""

    exit_code = 4


class VenueError(GpiError):
    """The network, a vendor or a venue failed."""

    exit_code = 5


class MissingExtra(GpiError):
    """An optional dependency is absent; the message names the extra that brings it."""
