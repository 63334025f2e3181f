"""What lies before the feed of a venue: recorded bars and ticks, as its past and the instruments they are of."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gpi.formats.instruments import Instrument, Instruments
from gpi.tools.feeds.past import past_files
from gpi.tools.venue.data.past import Past


def history(sources: Sequence[str], say: Callable[[str], None]) -> tuple[Past, list[Instrument]]:
    """The past in files or a lake, and whose it is; `say` hears of rows that were left out.

    Raises UsageError or BadInput for files that cannot be read so.
    """
    files = past_files(sources)
    past, found = Past(files.bars, files.ticks_of), list(files.instruments.values())
    stream = files.ticks()
    if stream is not None:
        instruments = Instruments.of(stream.schema)
        past.learn(instruments, stream.frames)
        found += [each for each in instruments if each.symbol not in files.instruments]
    if files.dropped:
        say(f"{files.dropped:,} rows are no bars of a day or less, and left out")
    return past, found
