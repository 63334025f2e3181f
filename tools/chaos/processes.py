"""The commands under test as processes: forked from the zygote or freshly exec'ed, always ended, by pid."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from gpi.formats.errors import GpiError
from gpi.tools import children
from gpi.tools.chaos.search import descendants, shown
from gpi.tools.chaos.zygote import Zygote
from gpi.tools.children import LOUD_ENV

TERM_GRACE_S: Final = 10.0


class Hung(GpiError):
    """A process did not end within its bound."""


@dataclass
class Child:
    """One running command. `errors` is the file its stderr goes to."""

    words: tuple[str, ...]
    pid: int
    errors: Path
    zygote: Zygote | None
    popen: children.Process | None
    pidfd: int
    code: int | None = None

    def wait(self, timeout_s: float) -> int:
        """Its exit code, minus the signal that ended it. Raises Hung after `timeout_s`."""
        if self.code is None:
            if not select.select([self.pidfd], [], [], timeout_s)[0]:
                raise Hung(f"`gpi {' '.join(self.words)}` had not ended after {timeout_s:g} s")
            self._reap()
        assert self.code is not None
        return self.code

    def alive(self) -> bool:
        """Whether it runs (a stopped process does)."""
        return self.code is None and not select.select([self.pidfd], [], [], 0)[0]

    def send(self, number: int) -> None:
        """A signal, if it still runs; never to another process that got its pid."""
        if self.code is None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.pidfd, number)

    def kill(self) -> int:
        """kill -9 and wait."""
        self.send(signal.SIGKILL)
        return self.wait(TERM_GRACE_S)

    def end(self, timeout_s: float = TERM_GRACE_S) -> int:
        """SIGTERM, then kill -9 if it does not end in time; its code."""
        self.send(signal.SIGCONT)
        self.send(signal.SIGTERM)
        try:
            return self.wait(timeout_s)
        except Hung:
            return self.kill()

    def said(self) -> str:
        """Everything it wrote to stderr."""
        return self.errors.read_text(errors="replace") if self.errors.exists() else ""

    def last_line(self) -> str:
        """The last line it wrote to stderr."""
        lines = [line for line in self.said().splitlines() if line.strip()]
        return lines[-1].strip() if lines else ""

    def resident_bytes(self) -> int:
        """Its resident memory, 0 when it is gone."""
        with contextlib.suppress(OSError, IndexError, ValueError):
            pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
            return pages * os.sysconf("SC_PAGE_SIZE")
        return 0

    def open_files(self) -> int:
        """How many descriptors it holds, 0 when it is gone."""
        with contextlib.suppress(OSError):
            return len(os.listdir(f"/proc/{self.pid}/fd"))
        return 0

    def _reap(self) -> None:
        if self.popen is not None:
            self.code = self.popen.wait()
        else:
            assert self.zygote is not None
            self.code = self.zygote.reap(self.pid)
        os.close(self.pidfd)
        self.pidfd = -1


@dataclass
class Processes:
    """Starts commands and ends what is left of them. One per case; a context manager."""

    folder: Path
    zygote: Zygote | None = None  # None: every command is exec'ed
    environment: Mapping[str, str] = field(default_factory=dict)
    children: list[Child] = field(default_factory=list)
    cwd: Path | None = None  # where the commands run; else in `folder`
    script: Path | None = None  # what is exec'ed instead of an isolated interpreter: the command as it is installed
    given: set[int] = field(default_factory=set)  # pids of those that found more in their environment

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *exc: object) -> None:
        if LOUD_ENV in self.environment:
            self._show()
        for child in reversed(self.children):
            if child.code is None:
                child.kill()

    def _show(self) -> None:
        """What /proc shows of everything that runs now, for the search."""
        own = [child.pid for child in self.children if child.alive()]
        with open(self.folder / "processes.txt", "ab") as file:
            file.write(shown(descendants(own), frozenset(self.given)))

    def start(
        self,
        *words: object,
        stdin: int | None = None,
        stdout: int | None = None,
        name: str | None = None,
        fresh: bool = False,
        environment: Mapping[str, str] | None = None,
    ) -> Child:
        """Start `gpi WORDS`; stdin and stdout are descriptors (else /dev/null), stderr goes to NAME.err."""
        told = tuple(str(word) for word in words)
        name = name or f"{told[0]}-{len(self.children)}"
        errors = self.folder / f"{name}.err"
        env = {**children.environment(), **self.environment, **(environment or {})}
        where = self.cwd or self.folder
        null = os.open(os.devnull, os.O_RDWR)
        err = os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        fds = (null if stdin is None else stdin, null if stdout is None else stdout, err)
        try:
            if self.zygote is None or fresh:
                how: dict[str, Any] = {"stdin": fds[0], "stdout": fds[1], "stderr": err, "env": env, "cwd": where}
                if self.script is not None:
                    popen = children.start_script(self.script, *told, **how)
                else:
                    popen = children.start("gpi.cli.main", *told, **how)
                child = Child(told, popen.pid, errors, None, popen, os.pidfd_open(popen.pid))
            else:
                pid = self.zygote.fork(told, env, str(where), fds)
                child = Child(told, pid, errors, self.zygote, None, os.pidfd_open(pid))
        finally:
            os.close(null)
            os.close(err)
        self.children.append(child)
        if environment:
            self.given.add(child.pid)
        return child

    def pipeline(self, *commands: Sequence[object], stdin: int | None = None, stdout: int | None = None) -> list[Child]:
        """Commands joined by real pipes, first to last."""
        started: list[Child] = []
        before = stdin
        for at, words in enumerate(commands):
            last = at == len(commands) - 1
            out_of, into = (None, stdout) if last else os.pipe()
            started.append(self.start(*words, stdin=before, stdout=into))
            if before is not None and before is not stdin:
                os.close(before)
            if not last and into is not None:
                os.close(into)
            before = out_of
        return started


def until(true: object, timeout_s: float, every_s: float = 0.01) -> float | None:
    """Ask `true()` until it holds; the seconds that took, None if it never did within `timeout_s`."""
    assert callable(true)
    began = time.monotonic()
    while True:
        if true():
            return time.monotonic() - began
        if time.monotonic() - began > timeout_s:
            return None
        time.sleep(every_s)
