"""One command line being carried out: what its tools share, and how it hears signals."""

import os
import signal
import sys
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from gpi.tools.monitor.latency import Latencies

DRAIN_S: Final = 5.0  # what is in the pipes when a source has ended is read by then


@dataclass
class Run:
    """One command line being carried out: what its tools share."""

    latencies: "Latencies"
    interrupted: bool = False
    terminated: bool = False
    left: bool = False  # whoever read our output is gone
    sink: int | None = None  # the pipe or socket that our output goes to, if it does
    watchers: list[Callable[[], object]] = field(default_factory=list)  # called now and then while waiting

    def stopped(self) -> bool:
        """Whether a source should end its stream."""
        return self.interrupted or self.terminated or self.left

    def waiting(self) -> bool:
        """Asked by a source while it has nothing to tell: whether it should end its stream."""
        self._look()
        return self.stopped()

    def idle(self) -> bool:
        """Let the watchers look while there is nothing to read; whether a reader of stdin should end, too."""
        for watcher in self.watchers:
            watcher()
        self._look()
        return self.terminated or self.left

    def _look(self) -> None:
        """On a quiet feed nothing is written, so nothing would tell that nobody reads."""
        if self.sink is not None and not self.left:
            from gpi.formats.pipes import deserted

            self.left = deserted(self.sink)

    def listen(self) -> None:
        """Ctrl-C goes to a whole pipeline: the source ends its stream, the rest drain; a second one interrupts.

        One that came to this process alone ends no stream before it: DRAIN_S later it counts as SIGTERM.

        SIGTERM goes to one process: that one ends its stream, wherever it stands in the pipeline; a second one
        interrupts, for a stream cannot be ended into a pipe that nobody reads.
        """

        def interrupt(signum: int, frame: object) -> None:
            if self.interrupted:
                raise KeyboardInterrupt
            self.interrupted = True
            signal.setitimer(signal.ITIMER_REAL, DRAIN_S)

        def drained(signum: int, frame: object) -> None:
            self.terminated = True

        def terminate(signum: int, frame: object) -> None:
            if self.terminated:
                raise KeyboardInterrupt
            self.terminated = True

        signal.signal(signal.SIGINT, interrupt)
        signal.signal(signal.SIGTERM, terminate)
        signal.signal(signal.SIGALRM, drained)

    def interruptible(self) -> None:
        """Ctrl-C interrupts, and is remembered: raised within an import or a callback, it would be swallowed there."""

        def interrupt(signum: int, frame: object) -> None:
            self.interrupted = True
            raise KeyboardInterrupt

        signal.signal(signal.SIGINT, interrupt)

    def deaf(self) -> None:
        """Everything is told: a signal more does not turn the exit code into a killed process's."""
        for each in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM):
            signal.signal(each, signal.SIG_IGN)


_running: ContextVar[Run] = ContextVar("running")


def running() -> Run:
    """The command line being carried out; for bodies that want its latencies or its stop flag."""
    found = _running.get(None)
    if found is None:
        from gpi.tools.monitor.latency import Latencies

        found = Run(Latencies())
        _running.set(found)
    return found


class private_stdout:
    """Our own copy of fd 1, with fd 1 pointed at stderr: a stray print cannot corrupt the stream."""

    def __enter__(self) -> int:
        sys.stdout.flush()
        self.fd = os.dup(1)
        os.dup2(2, 1)
        return self.fd

    def __exit__(self, *failure: object) -> None:
        os.dup2(self.fd, 1)
        os.close(self.fd)
