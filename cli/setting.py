"""The setting of a venue: the options of what lies before its feed and of TLS, and what they make."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gpi.cli.terminal import say

if TYPE_CHECKING:
    from gpi.formats.instruments import Instrument
    from gpi.tools.venue.data.past import Past
    from gpi.tools.venue.tls import Certificate

History = Annotated[
    list[str] | None, typer.Option(help="What lies before the feed: bars or ticks, files or a lake; repeatable.")
]
Tls = Annotated[bool, typer.Option("--tls", help="https and wss too, on a port and certificate of their own.")]
TlsPort = Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")]
TlsName = Annotated[list[str] | None, typer.Option(help="A host to stand in for, behind TLS; repeatable.")]
TlsCert = Annotated[Path | None, typer.Option(help="Your own certificate (PEM), instead of one made up.")]
TlsKey = Annotated[Path | None, typer.Option(help="Its key (PEM).")]


def hosts(tls: bool, names: list[str], cert: Path | None, key: Path | None) -> frozenset[str]:
    """The hosts that the venue stands in for behind TLS. Raises UsageError where options do not go together."""
    from gpi.formats.errors import UsageError
    from gpi.tools.venue.tls import host

    if (cert is None) != (key is None) or (cert or names) and not tls:
        raise UsageError("--tls-name, --tls-cert and --tls-key are of --tls, and the last two go together")
    return frozenset(map(host, names))


def past(sources: Sequence[str]) -> "tuple[Past, list[Instrument]]":
    """What lies before the feed, and whose it is: a venue without a feed lists these."""
    from gpi.formats.instruments import Instruments
    from gpi.tools.venue.data.past import Past

    if not sources:
        return Past(), []
    from gpi.tools.feeds.past import past_files

    files = past_files(sources)
    past, found = Past(files.bars, files.ticks_of), list(files.instruments.values())
    stream = files.ticks()
    if stream is not None:
        instruments = Instruments.of(stream.schema)
        past.learn(instruments, stream.frames)
        found += [each for each in instruments if each.symbol not in files.instruments]
    if files.dropped:
        say(f"gpi venue: --history: {files.dropped:,} rows are no bars of a day or less, and left out", err=True)
    return past, found


@contextmanager
def guarded(
    wanted: bool, port: int, names: frozenset[str], cert: Path | None, key: Path | None
) -> "Iterator[tuple[int, Certificate] | None]":
    """The port of TLS and what is spoken there, if it is wanted; a made certificate's folder is ours, and goes."""
    from tempfile import TemporaryDirectory

    from gpi.tools.venue.tls import certified, given

    if not wanted:
        yield None
    elif cert is not None and key is not None:
        yield port, given(cert, key)
    else:
        with TemporaryDirectory(prefix="gpi-venue-") as folder:
            yield port, certified(sorted(names), Path(folder))
