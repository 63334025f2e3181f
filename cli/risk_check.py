"""gpi risk-check: judge orders, or report on a run."""

import functools
import inspect
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from gpi.cli.io import Tool, piped
from gpi.cli.terminal import console, say

app = typer.Typer(rich_markup_mode=None, add_completion=False)


def risk_check(
    limits: Annotated[Path | None, typer.Option(help="Limits (TOML); else the shipped, conservative ones.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The report as JSON on stdout.")] = False,
) -> Tool:
    """Judge every order of a stream against limits (adds verdict and verdict_reason), or report on a run directory.

    The gate is the one that trades. Exit 4 when a limit is or would have been breached.
    """
    from gpi.formats.errors import RiskBreach
    from gpi.formats.words import REASONS
    from gpi.tools.risk.judge import judged
    from gpi.tools.risk.limits import read
    from gpi.tools.stage import Stage, Stream

    stage = judged(read(limits))
    refused: dict[str, int] = {}

    def work(stream: Stream) -> Stream:
        judging: Stage = stage
        out = judging(stream)

        def frames() -> Any:
            for frame in out.frames:
                for reason in frame["verdict_reason"][frame["verdict"] == 0]:
                    refused[REASONS[reason]] = refused.get(REASONS[reason], 0) + 1
                yield frame

        return Stream(out.schema, frames())

    def conclude() -> None:
        if refused:
            told = ", ".join(f"{reason} {count:,}" for reason, count in sorted(refused.items()))
            raise RiskBreach(f"orders these limits would have refused: {told}")

    return Tool(work, conclude=conclude)


_piped = piped(risk_check)


@functools.wraps(_piped)
def _command(**given: Any) -> Any:
    sources = given["sources"] or []
    if len(sources) == 1 and (Path(sources[0]) / "manifest.json").exists():
        _report(Path(sources[0]), given["limits"], given["as_json"])
    else:
        _piped(**given)


_command.__signature__ = inspect.signature(_piped)  # type: ignore[attr-defined]
app.command(
    name="risk-check",
    epilog="Example: gpi trade --paper < t.arrow | gpi risk-check --limits strict.toml; or gpi risk-check runs/a",
)(_command)


def _report(run: Path, limits: Path | None, as_json: bool) -> None:
    import json

    from gpi.formats.errors import RiskBreach
    from gpi.tools.risk.limits import read
    from gpi.tools.risk.report import report

    found = report(run, read(limits))
    if as_json:
        say(json.dumps(found, indent=2))
    else:
        _drawn(run, found)
    if found["breaches"]:
        raise RiskBreach(f"{run} breached {', '.join(found['breaches'])}")


def _drawn(run: Path, found: dict[str, Any]) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, title=f"{run}: limits and the worst seen", title_justify="left")
    for name in ("limit", "allowed", "worst", ""):
        table.add_column(name, justify="left" if name in ("limit", "") else "right")
    for name, each in found["limits"].items():
        mark = "BREACH" if name in found["breaches"] else ""
        table.add_row(name, _number(each["limit"]), _number(each["worst"]), mark)
    screen = console(sys.stdout, None)
    screen.print(table)
    risk = "   ".join(
        f"{kind.upper()} {level} %: {_number(found[f'{kind}_{level}'])}"
        for level in (95, 99)
        for kind in ("var", "cvar")
    )
    screen.print(f"max drawdown {_number(found['max_drawdown'])}   {risk}  (historical, of equity, per sample)")
    if found["refusals"]:
        screen.print("refused: " + ", ".join(f"{reason} {count:,}" for reason, count in found["refusals"].items()))


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.6g}"
