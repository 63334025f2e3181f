"""A command ends as an interpreter would, but is not taken down under the threads of its libraries."""

import os
import subprocess
import sys

import pytest

ENDS = "import sys\nfrom gpi.tools.leaving import carried_out, leave\n"


def ended(main: str, **given: object) -> subprocess.CompletedProcess[str]:
    """A process that does `main` and leaves."""
    code = ENDS + main + "\nleave(carried_out(main))"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, **given)  # type: ignore[call-overload,no-any-return]


@pytest.mark.parametrize(
    ("body", "code", "err"),
    [
        ("return 7", 0, ""),
        ("sys.exit()", 0, ""),
        ("sys.exit(5)", 5, ""),
        ("sys.exit('no such bank')", 1, "no such bank"),
        ("raise KeyboardInterrupt", 130, ""),
        ("1 / 0", 1, "ZeroDivisionError"),
    ],
)
def test_the_exit_code_is_the_one_an_interpreter_would_give(body: str, code: int, err: str) -> None:
    """Nothing, None, a number, a word, Ctrl-C before anybody listened, a fault of ours."""
    done = ended(f"def main():\n    {body}")
    assert done.returncode == code
    assert err in done.stderr
    assert bool(done.stderr) == bool(err)


def test_threads_are_waited_for_then_the_end_is_told_and_what_is_buffered_is_written() -> None:
    """In an interpreter's order: threads, what was registered, streams."""
    done = ended(
        "import atexit, threading, time\n"
        "def late():\n    time.sleep(.2)\n    print('thread', end=' ')\n"
        "def main():\n    atexit.register(lambda: print('registered', end=' '))\n"
        "    threading.Thread(target=late).start()\n    print('main', end=' ')"
    )
    assert (done.returncode, done.stdout) == (0, "main thread registered ")


def test_what_was_registered_is_done_even_when_another_step_fails() -> None:
    """A lake and a journal are closed by it; the fault is told."""
    done = ended(
        "import atexit\n"
        "def main():\n    atexit.register(print, 'closed')\n    atexit.register(lambda: 1 / 0)\n    sys.exit(4)"
    )
    assert (done.returncode, done.stdout) == (4, "closed\n")
    assert "ZeroDivisionError" in done.stderr


def test_words_that_cannot_be_written_are_no_success() -> None:
    """A full disk under stdout shows only when the buffer is flushed."""
    buffered = {name: word for name, word in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with open("/dev/full", "w") as full:
        code = ENDS + "def main():\n    print('words')\nleave(carried_out(main))"
        assert subprocess.run([sys.executable, "-c", code], stdout=full, env=buffered, timeout=60).returncode == 120


def test_the_interpreter_is_not_taken_down_under_the_threads_of_libraries() -> None:
    """What an interpreter does when it goes can be heard: after `leave` it is not."""
    body = "class Heard:\n    def __del__(self): print('taken down')\nheard = Heard()\ndef main(): pass\n"
    assert ended(body).stdout == ""
    bare = subprocess.run([sys.executable, "-c", ENDS + body], capture_output=True, text=True, timeout=60)
    assert bare.stdout == "taken down\n"  # an interpreter by itself
