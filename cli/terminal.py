"""The one door to the terminal: what others wrote is shown as what it is, never obeyed.

A symbol, a vendor's message or a file's name may hold escape sequences that clear the screen, retitle the window or
turn a line around. `say` and `console` show such characters as `\\x1b`; the process's stderr is put behind the same
screen, so tracebacks, log records, warnings and usage errors come through it as well. Data (--to csv, jsonl, arrow,
parquet) is not changed: it goes to programs.
"""

import re
import sys
from typing import TYPE_CHECKING, Any, Final, TextIO, cast

if TYPE_CHECKING:
    from rich.console import Console

WIDTH: Final = 160  # columns of a table that no terminal shows
COLOURS: Final = {"red": 31, "green": 32}

# C0 but tab and newline, DEL and C1; marks that turn, join or hide text; line separators; lone surrogates; tags
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
_UNSAFE_IN_A_LINE = re.compile(_UNSAFE.pattern.replace("\x08\x0b-", "\x08\t\n\x0b-"))


def harmless(text: str, lines: bool = True) -> str:
    """The text with every control character spelled out. `lines`: tabs and line ends may stay.

    >>> harmless("AAPL\\x1b[2J")
    'AAPL\\\\x1b[2J'
    """
    return (_UNSAFE if lines else _UNSAFE_IN_A_LINE).sub(_spelled, text)


def _spelled(found: re.Match[str]) -> str:
    code = ord(found.group())
    if code in (9, 10):
        return "\\t" if code == 9 else "\\n"
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


class Screen:
    """A text stream through which control characters do not pass; `beneath` is the stream itself."""

    def __init__(self, beneath: TextIO) -> None:
        self.beneath = beneath

    def write(self, text: str) -> int:
        """Write what is harmless of it."""
        return self.beneath.write(harmless(text))

    def writelines(self, lines: Any) -> None:
        """Write each of them."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.beneath, name)


def screened() -> None:
    """Put this process's stderr behind a screen, once; a stream that somebody else put there is left alone."""
    if sys.stderr is sys.__stderr__ and sys.stderr is not None:
        sys.stderr = cast(TextIO, Screen(sys.stderr))


def beneath(stream: TextIO) -> TextIO:
    """The stream behind the screen, for the codes that we write ourselves."""
    return cast(TextIO, getattr(stream, "beneath", stream))


def say(text: object = "", err: bool = False, fg: str | None = None, nl: bool = True) -> None:
    """A line for a person, on stdout or (`err`) stderr; `fg`: a colour, if it is a terminal."""
    stream = beneath(sys.stderr if err else sys.stdout)
    said = harmless(str(text))
    if fg is not None and stream.isatty():
        said = f"\x1b[{COLOURS[fg]}m{said}\x1b[0m"
    stream.write(said.encode("utf8", "backslashreplace").decode("utf8") + ("\n" if nl else ""))
    stream.flush()


def rewrite(text: str, nl: bool = False) -> None:
    """A line of progress on stderr, over the one before it."""
    stream = beneath(sys.stderr)
    stream.write(f"\r\x1b[2K{harmless(text, lines=False)}" + ("\n" if nl else ""))
    stream.flush()


def console(stream: TextIO | None = None, width: int | None = WIDTH) -> "Console":
    """A console for tables on `stream` (None: stderr): no markup in what it is given, no control characters.

    `width`: columns where there is no terminal; None: as rich finds.
    """
    from rich.console import Console
    from rich.text import Text

    class Plain(Console):
        """Whatever string is printed, in a table or by itself, passes here."""

        def render_str(self, text: str, **options: Any) -> Text:
            """The string as text for the screen."""
            return super().render_str(harmless(text), **{**options, "markup": False, "emoji": False})

    target = beneath(stream if stream is not None else sys.stderr)
    return Plain(file=target, width=None if target.isatty() else width, markup=False, highlight=False, emoji=False)
