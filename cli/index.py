"""gpi index: the pattern bank."""

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gpi.cli.io import Tool, opened, piped
from gpi.cli.terminal import console, say

if TYPE_CHECKING:
    from gpi.formats.frame import Frame
    from gpi.tools.memory.remember import Remembering
    from gpi.tools.stage import Stream

app = typer.Typer(rich_markup_mode=None, add_completion=False, no_args_is_help=True)

BankDir = Annotated[Path, typer.Option("--bank", help="The bank's folder.")]
K = Annotated[int, typer.Option(min=1, help="Neighbours asked, at most.")]
Radius = Annotated[float, typer.Option(help="Cosine distance within which a pattern is a neighbour.")]
Files = Annotated[
    list[str] | None, typer.Argument(metavar="[SOURCE]...", help="Streams with `embedding`; - or nothing: stdin.")
]


@app.callback()
def index() -> None:
    """The pattern bank: moments remembered with what came of them, asked by likeness of their embeddings."""


@app.command(
    epilog="Example: gpi replay day.parquet | gpi featurize | gpi embed | gpi index build --bank banks/day --horizon 5"
)
def build(
    sources: Files = None,
    bank: BankDir = Path("bank"),
    horizon: Annotated[float, typer.Option(help="Seconds after which a moment's outcome is known.")] = 5.0,
    spacing: Annotated[float, typer.Option(help="Seconds between two moments of an instrument.")] = 1.0,
    capacity: Annotated[int, typer.Option(min=1, help="Patterns kept; those of least worth go.")] = 8192,
    k: K = 16,
    radius: Radius = 0.3,
) -> None:
    """Remember a recorded stream. A moment becomes a pattern only after its horizon has passed."""
    from gpi.formats.provenance import chain
    from gpi.tools.memory.bank import stats, write_bank
    from gpi.tools.memory.remember import build as built

    stream = opened(sources or [], "index build")
    made = built(stream, _wide(_how(horizon, spacing, capacity, k, radius), stream))
    write_bank(bank, made, chain(stream.schema))
    _told(stats(made))


@app.command(epilog="Example: gpi embed features.arrow | gpi index match --bank banks/day | gpi trade --paper")
@partial(piped, name="index match")
def match(bank: BankDir = Path("bank"), k: K = 16, radius: Radius = 0.3) -> Tool:
    """Append match_return, match_win_rate, match_confidence and match_count: what came of moments like this one.

    Only patterns whose outcome was known at the row's time are asked.
    """
    from gpi.tools.memory.match import matched

    return Tool(matched(bank, k, radius), facts={"bank": _digest(bank)})


@app.command(
    epilog="Example: gpi embed features.arrow | gpi index learn --bank banks/live | gpi trade --paper --out runs/a"
)
@partial(piped, name="index learn")
def learn(
    bank: BankDir = Path("bank"),
    horizon: Annotated[float, typer.Option(help="Seconds after which a moment's outcome is known.")] = 5.0,
    spacing: Annotated[float, typer.Option(help="Seconds between two moments of an instrument.")] = 1.0,
    capacity: Annotated[int, typer.Option(min=1, help="Patterns kept; those of least worth go.")] = 8192,
    k: K = 16,
    radius: Radius = 0.3,
) -> Tool:
    """Match and remember at once: as `match`, from an empty bank that grows with the stream and is written at its end.

    A moment is asked only about moments whose horizon had passed.
    """
    how = _how(horizon, spacing, capacity, k, radius)
    return Tool(lambda stream: _learning(stream, bank, how))


@app.command(epilog="Example: gpi embed features.arrow | gpi index search --bank banks/day --row 1000")
def search(
    sources: Files = None,
    bank: BankDir = Path("bank"),
    row: Annotated[int, typer.Option(min=0, help="The row of the stream to find likenesses of.")] = 0,
    k: K = 16,
) -> None:
    """The patterns nearest to one row, nearest first, with their outcomes."""
    from rich.table import Table

    found = _nearest(opened(sources or [], "index search"), bank, row, k)
    table = Table(box=None, pad_edge=False)
    for name in ("id", "distance", "time", "outcome bps", "hits", "profit per hit bps"):
        table.add_column(name, justify="right")
    for cells in found:
        table.add_row(*cells)
    console(sys.stdout, None).print(table)


@app.command(epilog="Example: gpi index stats --bank banks/day")
def stats(bank: BankDir = Path("bank")) -> None:
    """Size, span, outcomes, and how the bank's patterns have done."""
    from gpi.tools.memory.bank import read_bank
    from gpi.tools.memory.bank import stats as told

    _told(told(read_bank(bank)))


@app.command(epilog="Example: gpi index prune --bank banks/day --capacity 4096")
def prune(
    capacity: Annotated[int, typer.Option(min=1, help="Patterns to keep.")], bank: BankDir = Path("bank")
) -> None:
    """Keep the patterns of most worth (profitability times confidence)."""
    from gpi.formats.folders import read_manifest
    from gpi.tools.memory.bank import BANK, pruned, read_bank, write_bank
    from gpi.tools.memory.bank import stats as told

    kept = pruned(read_bank(bank), capacity)
    write_bank(bank, kept, read_manifest(bank, BANK, {})["provenance"])
    _told(told(kept))


def _how(horizon: float, spacing: float, capacity: int, k: int, radius: float) -> "Remembering":
    from gpi.tools.memory.remember import Remembering

    return Remembering(
        horizon_ns=round(horizon * 1e9), spacing_ns=round(spacing * 1e9), capacity=capacity, k=k, radius=radius
    )


def _wide(how: "Remembering", stream: "Stream") -> "Remembering":
    """The same for embeddings as wide as the stream's."""
    from dataclasses import replace

    if "embedding" not in stream.schema.names:
        return how  # the stage says what is missing
    return replace(how, width=stream.schema.field("embedding").type.list_size)


def _learning(stream: "Stream", bank: Path, how: "Remembering") -> "Stream":
    from gpi.formats.provenance import chain
    from gpi.tools.memory.bank import write_bank
    from gpi.tools.memory.remember import remembered, remembering
    from gpi.tools.stage import Stream

    fitted = _wide(how, stream)
    stage = remembering(fitted)
    stage.check(stream.schema)
    state = stage.start()

    def frames() -> "Iterator[Frame]":
        for frame in stream.frames:
            yield stage.step(state, frame)
        write_bank(bank, remembered(state, fitted), chain(stream.schema))

    return Stream(stage.gives(stream.schema), frames())


def _nearest(stream: Any, bank: Path, row: int, k: int) -> list[list[str]]:
    import numpy as np

    from gpi.formats.errors import UsageError
    from gpi.tools.memory.bank import profitability, read_bank

    known, seen = read_bank(bank), 0
    for frame in stream.frames:
        if row < seen + frame.rows:
            query = frame["embedding"][row - seen]
            break
        seen += frame.rows
    else:
        raise UsageError(f"--row {row}: the stream has {seen:,} rows")
    size = float(np.linalg.norm(query))
    if not size > 0:
        raise UsageError(f"row {row} has no embedding yet: choose a later one")
    distance = 1.0 - known.vectors @ (query / np.float32(size))
    profit = profitability(known.patterns)
    return [
        [
            str(known.patterns["id"][at]),
            f"{distance[at]:.4f}",
            str(np.datetime64(int(known.patterns["ts"][at]), "ns"))[:23],
            f"{known.patterns['outcome'][at]:+.3f}",
            str(known.patterns["hits"][at]),
            f"{profit[at]:+.3f}",
        ]
        for at in np.argsort(distance, kind="stable")[:k]
    ]


def _digest(bank: Path) -> str:
    import hashlib

    from gpi.formats.errors import BadInput

    try:
        return hashlib.sha256((bank / "manifest.json").read_bytes()).hexdigest()[:16]
    except OSError as error:
        raise BadInput(
            f"there is no pattern bank in {bank}: gpi index build --bank {bank} ({error.strerror})"
        ) from None


def _told(found: dict[str, Any]) -> None:
    for name, value in found.items():
        say(f"{name:<20} {value:.6g}" if isinstance(value, float) else f"{name:<20} {value}")
