"""The setting of a venue: the options of what lies before its feed and of TLS, and what they make."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gpi.cli.terminal import say
from gpi.tools.desk.options import told

if TYPE_CHECKING:
    from gpi.formats.instruments import Instrument
    from gpi.tools.venue.data.past import Past
    from gpi.tools.venue.tls import Certificate

History = Annotated[
    list[str] | None, typer.Option(help="What lies before the feed: bars or ticks, files or a lake; repeatable.")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """https and wss beside the plain port: whether, where, for whom, with which certificate."""

    tls: bool = told(False, "https and wss too, on a port and certificate of their own.", flag="--tls")
    tls_port: int = told(0, "0 takes a free one.", least=0, most=65535)
    tls_name: list[str] | None = told(None, "A host to stand in for, behind TLS; repeatable.")
    tls_cert: Path | None = told(None, "Your own certificate (PEM), instead of one made up.")
    tls_key: Path | None = told(None, "Its key (PEM).")


def hosts(given: Tls) -> frozenset[str]:
    """The hosts that the venue stands in for behind TLS. Raises UsageError where options do not go together."""
    from gpi.formats.errors import UsageError
    from gpi.tools.venue.tls import host

    cert, key, names = given.tls_cert, given.tls_key, given.tls_name or []
    if (cert is None) != (key is None) or (cert or names) and not given.tls:
        raise UsageError("--tls-name, --tls-cert and --tls-key are of --tls, and the last two go together")
    return frozenset(map(host, names))


def past(sources: Sequence[str]) -> "tuple[Past, list[Instrument]]":
    """What lies before the feed, and whose it is: a venue without a feed lists these."""
    from gpi.tools.venue.data.past import Past

    if not sources:
        return Past(), []
    from gpi.tools.desk.history import history

    return history(sources, lambda line: say(f"gpi venue: --history: {line}", err=True))


@contextmanager
def guarded(wanted: Tls, names: frozenset[str]) -> "Iterator[tuple[int, Certificate] | None]":
    """The port of TLS and what is spoken there, if it is wanted; a made certificate's folder is ours, and goes."""
    from tempfile import TemporaryDirectory

    from gpi.tools.venue.tls import certified, given

    cert, key, port = wanted.tls_cert, wanted.tls_key, wanted.tls_port
    if not wanted.tls:
        yield None
    elif cert is not None and key is not None:
        yield port, given(cert, key)
    else:
        with TemporaryDirectory(prefix="gpi-venue-") as folder:
            yield port, certified(sorted(names), Path(folder))
