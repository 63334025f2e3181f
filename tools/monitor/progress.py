"""Progress of long work, told on stderr four times a second at most and only to a person."""

import sys
from collections.abc import Iterator
from time import monotonic

from gpi.formats.frame import Frame
from gpi.tools.stage import Stream

EVERY_S = 0.25


def told(stream: Stream, name: str) -> Stream:
    """The same stream; rows and rate are shown while it runs, if stderr is a terminal."""
    if not sys.stderr.isatty():
        return stream
    terminal = getattr(sys.stderr, "beneath", sys.stderr)  # behind the command line's screen: the codes are ours

    def frames() -> Iterator[Frame]:
        began = shown = monotonic()
        rows = 0
        try:
            for frame in stream.frames:
                rows += frame.rows
                yield frame
                now = monotonic()
                if now - shown >= EVERY_S:
                    shown = now
                    terminal.write(f"\r\x1b[2K{name}: {rows:,} rows, {rows / (now - began):,.0f} rows/s")
                    terminal.flush()
        finally:
            terminal.write("\r\x1b[2K")
            terminal.flush()

    return Stream(stream.schema, frames())
