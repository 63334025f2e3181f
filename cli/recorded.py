"""Recorded files as a stream: what `gpi replay` makes, and every command that is given files instead of a pipe."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from gpi.cli.running import running
from gpi.cli.terminal import say

if TYPE_CHECKING:
    from pathlib import Path

    from gpi.formats.quarantine import Quarantine
    from gpi.tools.stage import Stream

ROWS = 8192  # of a frame, unless told


class Recorded(NamedTuple):
    """The stream, digests of its files for the provenance, and what tells at the end which rows were set aside."""

    stream: "Stream"
    facts: dict[str, Any]
    conclude: Callable[[], None]


def recorded(
    sources: list[str],
    speed: str = "max",
    batch: int | None = None,
    symbols: str | None = None,
    quarantine: str | None = None,
    as_written: bool = False,
    by_order: bool = False,
    since: str | None = None,
    until: str | None = None,
) -> Recorded:
    """The files as a source; raises UsageError or BadInput before the first row when they cannot be.

    Screened and merged as ticks; `as_written`: one file of gpi's own is passed on as it is, if it is one.
    """
    from pathlib import Path

    from gpi.formats.errors import UsageError
    from gpi.formats.market.universe import expand
    from gpi.formats.provenance import continued
    from gpi.formats.quarantine import Quarantine
    from gpi.tools.feeds.excerpt import excerpt
    from gpi.tools.feeds.pace import napping, paced
    from gpi.tools.feeds.paths import digest, expanded, own_schema
    from gpi.tools.feeds.spans import wall_clock
    from gpi.tools.stage import Stream

    held = Quarantine()
    paths = [Path(p) for p in expanded([Path(each) for each in sources])]
    stream = _as_written(paths, batch) if as_written else None
    trusted = stream is not None
    if stream is not None:
        given = {"--symbols": symbols, "--quarantine": quarantine, "--by-order": by_order}
        if wrong := ", ".join(name for name, value in given.items() if value):
            raise UsageError(f"--as-written passes {paths[0]} on unscreened, every row: leave out {wrong}, or that")
    else:
        from gpi.tools.feeds.files import open_ticks  # loads the vendors' readers and their kernels

        wanted = expand(symbols) if symbols else None
        stream = open_ticks(paths, batch=batch or ROWS, symbols=wanted, quarantine=held, by_order=by_order)
        if len(paths) == 1:
            stream = Stream(continued(stream.schema, own_schema(paths[0])), stream.frames)
    if since or until:
        low, high = (None if each is None else wall_clock(each) for each in (since, until))
        stream = Stream(stream.schema, excerpt(stream.frames, low, high, None if trusted else held))
    if speed != "max":
        stream = Stream(stream.schema, paced(stream.frames, pace_of(speed), sleep=napping(running().waiting)))
    facts = {"digests": [[str(path.resolve()), digest(path)] for path in paths]}
    return Recorded(stream, facts, lambda: _report(held, quarantine))


def pace_of(speed: str) -> float:
    """How many times realtime a --speed other than max is. Raises UsageError."""
    from gpi.formats.errors import UsageError

    try:
        factor = 1.0 if speed == "realtime" else float(speed)
    except ValueError:
        factor = 0.0
    if not 0 < factor < float("inf"):
        raise UsageError(f"--speed {speed}: max, realtime, or how many times realtime (such as 10)")
    return factor


def _as_written(paths: list["Path"], batch: int | None) -> "Stream | None":
    """A file that gpi wrote, with every column it has; None for anything else."""
    import os

    from gpi.formats.ipc import Reader
    from gpi.formats.messages import CONTINUATION
    from gpi.formats.parquet import read_parquet
    from gpi.tools.feeds.merge import recut
    from gpi.tools.feeds.paths import is_ours, parquet_schema
    from gpi.tools.stage import Stream

    path = paths[0]
    if len(paths) > 1 or path.is_dir():
        return None
    with path.open("rb") as file:
        magic = file.read(4)
    if magic == CONTINUATION:
        reader = Reader(os.open(path, os.O_RDONLY), str(path))
        if batch is None:
            return Stream(reader.schema, iter(reader))
        return Stream(reader.schema, recut((frame.copy() for frame in reader), reader.schema, batch))
    if magic != b"PAR1" or not is_ours(parquet_schema(str(path))):
        return None
    stored = read_parquet(path, batch or ROWS)
    return Stream(stored.schema, stored.frames)


def _report(held: "Quarantine", path: str | None) -> None:
    """Say on stderr what was set aside, and keep the rows if asked to."""
    if held.quarantined or held.folded or held.outside:
        told = ", ".join(f"{what} {count:,}" for what, count in held.report().items())
        say(f"gpi replay: {told}", err=True)
    if path is not None:
        from pathlib import Path

        held.write(Path(path))
