"""gpi runs: the run directories that are there, and those that did not end."""

import tempfile
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from gpi.cli.terminal import say

app = typer.Typer(rich_markup_mode=None, add_completion=False, no_args_is_help=True)


@app.callback(epilog="Example: gpi runs list; gpi runs show runs/today; gpi runs recover runs/today")
def runs() -> None:
    """Run directories: list them, show one, recover one that did not end."""


@app.command("list", epilog="Example: gpi runs list runs/2026")
def listed(
    folder: Annotated[Path, typer.Argument(help="Where run directories are, at any depth.")] = Path("runs"),
) -> None:
    """Every run below a folder: its state, strategy, ticks, fills and P&L, one a line."""
    from gpi.formats.errors import UsageError

    found = sorted({each.parent for name in ("manifest.json", ".told.log") for each in folder.glob(f"**/{name}")})
    if not found:
        raise UsageError(f"no runs under {folder}: gpi runs list FOLDER")
    for each in found:
        say(_told(each).line)


@app.command(epilog="Example: gpi runs show runs/today")
def show(run: Annotated[Path, typer.Argument(help="A run directory.")]) -> None:
    """A run, part by part: what it was, how it ended, what it made; and all parts together."""
    from gpi.cli.summary import proof
    from gpi.tools.backtest.manifest import manifest_of
    from gpi.tools.backtest.recovery import parts

    manifest_of(run)
    found = parts(run)
    told = [_told(each) for each in found]
    for part in told:
        say(part.line)
    if len(found) > 1:
        silent = sum(part.pnl is None for part in told)
        without = f", without {silent} that told none" if silent else ""
        say(f"{len(found)} parts together: P&L {sum(part.pnl or 0.0 for part in told):+,.2f}{without}")
    say(f"prove it: {proof(run)}")


@app.command(epilog="Example: gpi runs recover runs/today; then gpi verify runs/today, gpi query ...")
def recover(run: Annotated[Path, typer.Argument(help="A run directory whose trader died.")]) -> None:
    """Make what a dead run had told readable: orders, fills, equity, answers, metrics, a manifest that says so.

    Nothing is invented and nothing is ended: the manifest stays incomplete. Twice does no more than once.
    """
    from gpi.formats.trust import secluded
    from gpi.tools.backtest.recovery import parts
    from gpi.tools.backtest.recovery import recover as recovered

    secluded()  # a broker's session left what is its owner's alone
    for each in parts(run):
        found = recovered(each)
        if found is None:
            say(f"{each}: nothing to recover", err=True)
            continue
        rows = ", ".join(f"{count:,} {name}" for name, count in found.rows.items())
        torn = f"; {found.torn} bytes of a torn end left out" if found.torn else ""
        say(f"{each}: {rows}, up to row {found.ticks:,} of its stream{torn}", err=True)


class Told(NamedTuple):
    """A run in a line, and what it made, if it says."""

    line: str
    pnl: float | None


def _told(run: Path) -> Told:
    """What a run directory tells; of one that has not ended, what its log does."""
    from gpi.formats.errors import GpiError
    from gpi.tools.backtest.recovery import restored, unfinished

    if not unfinished(run):
        return _read(run, run)
    with tempfile.TemporaryDirectory(prefix="gpi-runs-") as folder:
        try:
            restored(run, Path(folder, "run"))
        except (GpiError, OSError) as wrong:
            return Told(f"{run}: {_state(run, {})}; what it told cannot be read ({wrong})", None)
        return _read(run, Path(folder, "run"))


def _read(run: Path, where: Path) -> Told:
    manifest = _manifest(where)
    if isinstance(manifest, str):
        return Told(f"{run}: no manifest that can be read ({manifest})", None)
    pnl = _pnl(where)
    made = "" if pnl is None else f", P&L {pnl:+,.2f}"
    rows = manifest["rows"]
    return Told(
        f"{run}: {_state(run, manifest)}; {manifest['setup']['strategy']['name']}, {manifest['ticks']:,} ticks, "
        f"{rows['orders']:,} order events, {rows['fills']:,} fills{made}",
        pnl,
    )


def _state(run: Path, manifest: dict[str, Any]) -> str:
    from gpi.tools.backtest.recovery import alive, unfinished

    if alive(run):
        return "being written"
    if unfinished(run):
        return f"did not end (gpi runs recover {run})"
    if manifest.get("recovered"):
        return "did not end, recovered"
    return "complete" if manifest["complete"] else "ended early"


def _manifest(run: Path) -> dict[str, Any] | str:
    """The manifest, or what is wrong with it."""
    from gpi.formats.errors import GpiError
    from gpi.tools.backtest.manifest import manifest_of

    try:
        return manifest_of(run)
    except GpiError as wrong:
        return str(wrong.__cause__ or wrong)


def _pnl(run: Path) -> float | None:
    from gpi.formats.written import json_of, text_of

    try:
        found = json_of(text_of(run / "performance_metrics.json"))
        return None if found.get("total_pnl") is None else float(found["total_pnl"])
    except (OSError, ValueError, TypeError, AttributeError, OverflowError):
        return None
