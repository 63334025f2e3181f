"""A warm interpreter that forks: the very same command line in a fresh process, for the price of a fork.

Importing the SDKs and loading the kernels costs seconds; a thousand kills would cost an hour of imports. The
zygote does both once and forks a child per command. A child is a process like any other: its own pid, memory,
descriptors and environment; only its interpreter was started before. What this cannot show (imports, the start
itself) is shown by the sample of cases that exec the installed command instead.
"""

from __future__ import annotations

import contextlib
import contextvars
import json
import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from gpi.tools.children import LOUD, LOUD_ENV
from gpi.tools.leaving import carried_out, leave

REQUEST_BYTES: Final = 1 << 18
Main = Callable[[list[str]], Any]


class Zygote:
    """The near end: asks for children. One request at a time; thread-safe."""

    def __init__(self, pid: int, wire: socket.socket) -> None:
        self.pid, self._wire = pid, wire
        self._lock = threading.Lock()

    @classmethod
    def start(cls, main: Main, warm: Callable[[], None]) -> Zygote:
        """Fork the zygote off this process, which must have one thread only; returns when it is warm.

        `main` carries out a command line and exits; `warm` imports and compiles what it will need.
        """
        near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            near.close()
            _live(far, main, warm)
        far.close()
        made = cls(pid, near)
        made._ask({"do": "ready"}, ())
        return made

    def fork(self, words: Sequence[str], environment: Mapping[str, str], cwd: str, fds: tuple[int, int, int]) -> int:
        """A child that carries out `gpi WORDS` with these stdin, stdout and stderr; its pid."""
        asked = {"do": "fork", "words": list(words), "environment": dict(environment), "cwd": cwd}
        return int(self._ask(asked, fds)["pid"])

    def reap(self, pid: int) -> int:
        """The exit status of a child that has ended: its code, or minus the signal that ended it."""
        return int(self._ask({"do": "reap", "pid": pid}, ())["code"])

    def close(self) -> None:
        """End the zygote, and with it every child it still has."""
        self._wire.close()
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)

    def _ask(self, asked: dict[str, Any], fds: tuple[int, ...]) -> dict[str, Any]:
        with self._lock:
            socket.send_fds(self._wire, [json.dumps(asked).encode()], list(fds))
            answer: dict[str, Any] = json.loads(self._wire.recv(REQUEST_BYTES) or b"{}")
        if not answer or "wrong" in answer:
            raise ChildProcessError(answer.get("wrong", "the zygote has died"))
        return answer


def _live(wire: socket.socket, main: Main, warm: Callable[[], None]) -> None:
    """The zygote itself: answers until the near end closes, then takes its children with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the harness's
    children: set[int] = set()
    try:
        warm()
        while True:
            request, fds, _, _ = socket.recv_fds(wire, REQUEST_BYTES, 3)
            if not request:
                break
            asked = json.loads(request)
            wire.send(json.dumps(_answer(asked, fds, children, wire, main)).encode())
    except BaseException:
        traceback.print_exc()
    finally:
        for pid in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        os._exit(0)


def _answer(
    asked: dict[str, Any], fds: Sequence[int], children: set[int], wire: socket.socket, main: Main
) -> dict[str, Any]:
    if asked["do"] == "ready":
        return {"ready": True}
    if asked["do"] == "reap":
        pid, status = os.waitpid(asked["pid"], 0)
        children.discard(pid)
        return {"code": os.waitstatus_to_exitcode(status)}
    try:
        pid = os.fork()
    except OSError as wrong:
        return {"wrong": str(wrong)}
    if pid == 0:
        wire.close()
        _become(asked, fds, main)
    for fd in fds:
        os.close(fd)
    children.add(pid)
    return {"pid": pid}


def _become(asked: dict[str, Any], fds: Sequence[int], main: Main) -> None:
    """In the child: be the command, then exit as an interpreter would."""
    code = 1
    try:
        for at, fd in enumerate(fds):
            os.dup2(fd, at)
            os.close(fd)
        os.chdir(asked["cwd"])
        os.environ.clear()
        os.environ.update(asked["environment"])
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL if number == signal.SIGTERM else signal.default_int_handler)
        if LOUD_ENV in os.environ:
            exec(LOUD, {})
        sys.argv = asked["words"] if asked["words"][0].endswith(".py") else ["gpi", *asked["words"]]
        code = carried_out(lambda: contextvars.Context().run(main, asked["words"]))
    except BaseException:
        traceback.print_exc()
    finally:
        leave(code)
