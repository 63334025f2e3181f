"""How a process of ours ends: as an interpreter would, but for what libraries' threads do while it is taken down.

A thread of Arrow, DuckDB or ONNX Runtime that is still letting go of something of Python's when the interpreter goes
is ended by it in the middle of C++, and then the whole process aborts (exit 134) with its work done and said.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Final, NoReturn

BROKEN: Final = 120  # what an interpreter exits with when its last words cannot be written
INTERRUPTED: Final = 130


def carried_out(main: Callable[[], object]) -> int:
    """Run `main`; the code an interpreter would exit with after it, its last message or traceback written."""
    try:
        main()
    except SystemExit as ended:
        if ended.code is None or isinstance(ended.code, int):
            return ended.code or 0
        sys.stderr.write(f"{ended.code}\n")
        return 1
    except KeyboardInterrupt:  # before the command could listen for it
        return INTERRUPTED
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def leave(code: int) -> NoReturn:
    """Wait for threads, do what was registered for the end, write what is buffered, and be gone."""
    try:
        for step in (_joined, atexit._run_exitfuncs, _written):  # each is tried, whatever became of those before it
            failed = carried_out(step)
            code = code or failed
    finally:
        os._exit(code & 0xFF)


def _joined() -> None:
    threading._shutdown()  # type: ignore[attr-defined]  # waits for what the interpreter would wait for


def _written() -> None:
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None and not stream.closed:
                stream.flush()
    except OSError:
        raise SystemExit(BROKEN) from None
