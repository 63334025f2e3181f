"""gpi train: encoders from recorded features."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gpi.cli.terminal import console, rewrite, say

if TYPE_CHECKING:
    from gpi.tools.stage import Stream

EXTRA = "training needs the extra: pip install 'generalized-pattern-intelligence[cpu,train]'"

app = typer.Typer(rich_markup_mode=None, add_completion=False, no_args_is_help=True)


@app.callback()
def train() -> None:
    """Train encoders from recorded features; the only command that loads torch (the extra `train`)."""


@app.command(
    epilog="Example: gpi replay day.parquet | gpi featurize --out f.arrow && gpi train tick f.arrow --out models/mine"
)
def tick(
    sources: Annotated[
        list[str] | None, typer.Argument(metavar="[SOURCE]...", help="Streams with `features`; - or nothing: stdin.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="The model directory to write.")] = Path("models/tick"),
    seeds: Annotated[int, typer.Option(min=1, help="Networks to train; all are reported.")] = 5,
    horizon: Annotated[float | None, typer.Option(help="Seconds ahead that the outlook speaks of.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Passes over the training windows, at most.")] = None,
) -> None:
    """Train the tick encoder: purged, embargoed splits; every seed reported, against baselines, out of sample.

    Writes a model directory (ONNX, weights, manifest with digests and metrics) that `gpi embed --model` serves.
    """
    from gpi.formats.errors import MissingExtra
    from gpi.formats.provenance import chain

    try:
        from gpi.tools.learn.lessons import Plan
        from gpi.tools.learn.tick import train_tick
    except ImportError as error:
        raise MissingExtra(f"{EXTRA} ({error})") from None
    changed: dict[str, Any] = {"seeds": tuple(range(seeds))}
    if horizon is not None:
        changed["shape.horizon_ns"] = round(horizon * 1e9)
    if epochs is not None:
        changed["epochs"] = epochs
    stream = _read(sources or [])
    report = train_tick(stream, out, _changed(Plan(), changed), chain(stream.schema), _told)
    _drawn(report)
    say(f"model: {out}   serve it: gpi embed --model {out}", err=True)


@app.command(epilog="Example: gpi featurize another_day.parquet | gpi train evaluate --model models/mine")
def evaluate(
    sources: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SOURCE]...", help="Streams with `features`; - or nothing: stdin."),
    ] = None,
    model: Annotated[Path | None, typer.Option(help="A model directory; else the shipped one.")] = None,
) -> None:
    """Score a finished model on a recording it has not seen, beside the baselines."""
    from gpi.formats.errors import MissingExtra
    from gpi.tools.embed.tick import SHIPPED

    try:
        from gpi.tools.learn.evaluation import evaluate_tick
    except ImportError as error:
        raise MissingExtra(f"{EXTRA} ({error})") from None
    _scored(evaluate_tick(_read(sources or []), model or SHIPPED))


def _scored(report: dict[str, Any]) -> None:
    from rich.table import Table

    for kind in ("direction", "volatility"):
        rows = {"model": report[kind], **report["baselines"][kind]}
        columns = list(report[kind])
        table = Table(box=None, pad_edge=False, title=f"{kind}, out of sample", title_justify="left")
        for name in ("", *columns):
            table.add_column(name, justify="right" if name else "left")
        for name, found in rows.items():
            table.add_row(name, *(f"{found[c]:.4f}" for c in columns))
        console(sys.stdout, None).print(table)
    say(f"{report['samples']:,} windows", err=True)


def _read(sources: list[str]) -> "Stream":
    from gpi.cli.io import opened

    return opened(sources, "train tick")


def _changed(plan: Any, changed: dict[str, Any]) -> Any:
    from dataclasses import replace

    inner = {key.split(".")[1]: value for key, value in changed.items() if "." in key}
    outer = {key: value for key, value in changed.items() if "." not in key}
    return replace(plan, shape=replace(plan.shape, **inner), **outer)


def _told(what: str, done: float) -> None:
    import sys

    if sys.stderr.isatty():
        rewrite(f"{what}: {100 * done:.0f} %", nl=done >= 1.0)


def _drawn(report: dict[str, Any]) -> None:
    """The out-of-sample table: the encoder's mean and standard error over seeds, beside the baselines."""
    from rich.table import Table

    columns = ("macro_f1", "weighted_f1", "mcc")
    table = Table(box=None, pad_edge=False, title="direction, out of sample", title_justify="left")
    for name in ("", *columns):
        table.add_column(name, justify="right" if name else "left")
    ours = report["direction"]
    table.add_row("encoder", *(f"{ours[c]['mean']:.4f} +- {ours[c]['standard_error']:.4f}" for c in columns))
    for name, found in report["baselines"]["direction"].items():
        table.add_row(name, *(f"{found[c]:.4f}" for c in columns))
    screen = console(width=None)
    screen.print(table)
    table = Table(box=None, pad_edge=False, title="volatility, out of sample", title_justify="left")
    kinds = list(report["volatility"])
    for name in ("", *kinds):
        table.add_column(name, justify="right" if name else "left")
    ours = report["volatility"]
    table.add_row("encoder", *(f"{ours[c]['mean']:.4f} +- {ours[c]['standard_error']:.4f}" for c in kinds))
    for name, found in report["baselines"]["volatility"].items():
        table.add_row(name, *(f"{found[c]:.4f}" for c in kinds))
    screen.print(table)
    screen.print(", ".join(f"{count:,} {split}" for split, count in report["samples"].items()) + " windows")
