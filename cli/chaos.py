"""gpi chaos: the fault suite against the real commands."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gpi.cli.flags import spread
from gpi.cli.terminal import console, say
from gpi.tools.desk.options import told

if TYPE_CHECKING:
    from gpi.formats.execution import OrderRequest
    from gpi.tools.brokers.blotter import Blotter
    from gpi.tools.chaos.rows import Outcome, Row

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class How:
    """How much of the suite is run, and what is kept of it."""

    short: bool = told(False, "The short form, minutes; else every count in full.", flag="--short")
    case: int | None = told(None, "Only this case of the one row named by --only.")
    cases: int | None = told(None, "So many units of each row instead of its own.", least=1)
    jobs: int = told(2, "Cases side by side.", least=1)
    fresh: bool = told(False, "Exec every command anew instead of forking it.", flag="--fresh")
    debug: bool = told(False, "Every process logs all it can.", flag="--debug")
    keep: bool = told(False, "Leave the folders of cases that broke.", flag="--keep")
    folder: Path | None = told(None, "Scratch space; else a temporary folder.")


@app.command(
    epilog="Example: gpi chaos --seed 1 --short; one row: gpi chaos --seed 1 --only F05 --out f05.md; "
    "one case again: gpi chaos --seed 1 --only F05 --case 317 --keep"
)
@spread
def chaos(
    how: How,
    seed: Annotated[int, typer.Option(help="Everything that happens by chance follows from it.")] = 1,
    draw: Annotated[bool, typer.Option("--draw", help="Instead of --seed: a new seed for every row, told.")] = False,
    only: Annotated[str | None, typer.Option(help="Only these rows: F05 or F01,F05,F06.")] = None,
    out: Annotated[list[Path] | None, typer.Option(help="Write the table to FILE.json or FILE.md; repeat.")] = None,
    plain: Annotated[int, typer.Option(min=0, help="Instead: so many runs a fault of a plain alpaca-py loop.")] = 0,
) -> None:
    """Kill, cut, flood, mute and starve the real commands, and check after every case that nothing was lost.

    The table goes to stderr and to --out. Exit 0 only when every row passed; a row that could not be run fails.
    """
    from gpi.formats.appearing import replaceable
    from gpi.formats.errors import UsageError
    from gpi.tools.chaos.suite import ROWS

    chosen = _chosen(ROWS, only)
    if how.case is not None and len(chosen) != 1:
        raise UsageError("--case repeats a case of one row: name it with --only F05")
    for path in out or []:
        if path.suffix not in (".json", ".md"):
            raise UsageError(f"--out {path}: end it in .json or .md")
        replaceable(path)
    if plain:
        _plain(seed, plain, how.folder)
        return
    seeds = [_drawn() if draw else seed for _ in chosen]
    outcomes = _carried_out(chosen, seeds, how)
    facts = {"form": "short" if how.short else "long", **_facts()}
    _write(outcomes, facts, out or [])
    _show(outcomes)
    broken = [each.row.id for each in outcomes if each.verdict != "pass"]
    if broken:
        say(f"gpi: chaos: {len(broken)} of {len(outcomes)} rows did not pass: {' '.join(broken)}", err=True)
        raise typer.Exit(1)


def _chosen(rows: "tuple[Row, ...]", only: str | None) -> "list[Row]":
    from gpi.formats.errors import UsageError

    if only is None:
        return list(rows)
    wanted = [word.strip().upper() for word in only.split(",")]
    known = {row.id: row for row in rows}
    unknown = [word for word in wanted if word not in known]
    if unknown:
        raise UsageError(f"--only {' '.join(unknown)}: there are {' '.join(known)}")
    return [known[word] for word in wanted]


def _carried_out(rows: "list[Row]", seeds: list[int], how: How) -> "list[Outcome]":
    import os
    from dataclasses import replace

    from gpi.cli.warming import before_a_session, carried_out, warm
    from gpi.tools.chaos.lab import Lab
    from gpi.tools.chaos.practice import practice
    from gpi.tools.chaos.rows import run
    from gpi.tools.chaos.zygote import Zygote

    scratch = _scratch(how.folder)
    zygote, outcomes = None, []
    umask = os.umask(0o077)  # of the zygote, too: what a case writes is ours alone
    try:
        before_a_session(lambda words: say(f"gpi chaos: {words}", err=True))  # nor does a case compile
        zygote = None if how.fresh else Zygote.start(carried_out, warm)
        lab = Lab(seeds[0], scratch, zygote, _rooms(), how.keep, not how.short, how.debug)
        practice(lab)
        for row, seed in zip(rows, seeds, strict=True):
            wanted = how.cases or (row.short if how.short else row.long)
            outcomes.append(run(row, replace(lab, seed=seed), wanted, how.case, how.jobs))
            _tell(outcomes[-1])
    finally:
        if zygote is not None:
            zygote.close()
        os.umask(umask)
        _clean(scratch, how.keep)
    return outcomes


def _plain(seed: int, runs: int, folder: Path | None) -> None:
    """What examples/plain_bot loses to the same faults, as a table on stderr."""
    from gpi.cli.warming import before_a_session, carried_out, warm
    from gpi.formats.errors import UsageError
    from gpi.tools.chaos.lab import Lab
    from gpi.tools.chaos.plain import compared
    from gpi.tools.chaos.zygote import Zygote

    bot = Path(__file__).resolve().parents[1] / "examples" / "plain_bot" / "plain_bot.py"
    if not bot.exists():
        raise UsageError(f"{bot} is not here: the comparison runs from a checkout")
    scratch = _scratch(folder)
    before_a_session(lambda words: say(f"gpi chaos: {words}", err=True))
    zygote = Zygote.start(carried_out, warm)
    try:
        for loss in compared(Lab(seed, scratch, zygote), bot, runs):
            told = ", ".join(f"{n} {name}" for name, n in loss.counts.items() if n) or "nothing"
            say(f"{loss.against.row or '-':<4} {loss.against.what}, {loss.runs} runs: {told}", err=True)
    finally:
        zygote.close()
        _clean(scratch, keep=False)


def _scratch(folder: Path | None) -> Path:
    import tempfile

    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix="gpi-chaos-", dir=folder))


def _clean(scratch: Path, keep: bool) -> None:
    import shutil

    if keep and any(each.is_dir() and any(each.iterdir()) for each in scratch.iterdir()):
        say(f"kept: {scratch}", err=True)
    else:
        shutil.rmtree(scratch, ignore_errors=True)


def _rooms() -> dict[str, Callable[..., Any]]:
    """What other rooms know, for rows that look inside one."""
    from gpi.tools.brokers.alpaca import wire
    from gpi.tools.brokers.journal import Journal
    from gpi.tools.embed.tick import SHIPPED as MODEL
    from gpi.tools.feeds.live.journal import read
    from gpi.tools.risk.limits import SHIPPED as LIMITS

    return {
        "limits": lambda: LIMITS,
        "model": lambda: MODEL,
        "journal": Journal,
        "blotter": _blotter,
        "told": wire.order,
        "feed records": read,
    }


def _blotter(requests: "list[tuple[str, OrderRequest]]") -> "Blotter":
    """A blotter that has sent these orders and heard nothing yet."""
    from decimal import Decimal

    from gpi.tools.brokers.blotter import Blotter
    from gpi.tools.brokers.life import SENT, Life

    made = Blotter()
    for client_id, request in requests:
        made.place(Life(request, client_id, {}, Decimal(str(request.qty)), state=SENT))
    made.reports()
    made.work()
    return made


def _facts() -> dict[str, str]:
    import os
    import platform
    from importlib.metadata import version

    from gpi.formats.version import __version__

    return {
        "gpi": __version__,
        "commit": _commit(),
        "python": platform.python_version(),
        "alpaca-py": version("alpaca-py"),
        "cores": str(os.cpu_count()),
    }


def _commit() -> str:
    """Of the checkout this runs from, "-dirty" behind it where files were changed since; "none" when installed."""
    from gpi.tools.children import program

    home = str(Path(__file__).resolve().parents[1])
    try:
        told = program("git", "-C", home, "describe", "--always", "--dirty", "--exclude=*")
    except OSError:
        return "none"
    return told.out if told.code == 0 else "none"


def _drawn() -> int:
    import secrets

    return secrets.randbelow(1_000_000)


def _tell(outcome: "Outcome") -> None:
    from gpi.tools.chaos.report import cells, repeat

    row, _, seed, done, _, seen, verdict = cells(outcome)
    say(f"{row} {verdict}: seed {seed}, {done}: {seen}", err=True, fg="green" if verdict == "pass" else "red")
    if verdict == "FAIL":
        for violation in outcome.seen.violations[:5]:
            say(f"    {violation}", err=True)
        say(f"    repeat: {repeat(outcome)}", err=True)


def _write(outcomes: "list[Outcome]", facts: dict[str, Any], paths: list[Path]) -> None:
    import json

    from gpi.formats.appearing import write_whole
    from gpi.tools.chaos.report import as_json, markdown

    for path in paths:
        if path.suffix == ".json":
            write_whole(path, json.dumps(as_json(outcomes, facts), indent=2) + "\n")
        else:
            write_whole(path, markdown(outcomes, facts))


def _show(outcomes: "list[Outcome]") -> None:

    from rich.table import Table

    from gpi.tools.chaos.report import COLUMNS, cells

    table = Table(title="gpi chaos", title_justify="left")
    for name in COLUMNS:
        table.add_column(name, overflow="fold")
    for each in outcomes:
        table.add_row(*cells(each), style=None if each.verdict == "pass" else "red")
    console(width=200).print(table)
