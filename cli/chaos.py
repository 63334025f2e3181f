"""gpi chaos: the fault suite against the real commands."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from gpi.formats.answers import Ask
    from gpi.tools.brokers.blotter import Blotter
    from gpi.tools.chaos.rows import Outcome, Row

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(
    epilog="Example: gpi chaos --seed 1 --short; one row: gpi chaos --seed 1 --only F05 --out f05.md; "
    "one case again: gpi chaos --seed 1 --only F05 --case 317 --keep"
)
def chaos(
    seed: Annotated[int, typer.Option(help="Everything that happens by chance follows from it.")] = 1,
    short: Annotated[bool, typer.Option("--short", help="The short form, minutes; else every count in full.")] = False,
    only: Annotated[str | None, typer.Option(help="Only these rows: F05 or F01,F05,F06.")] = None,
    case: Annotated[int | None, typer.Option(help="Only this case of the one row named by --only.")] = None,
    cases: Annotated[int | None, typer.Option(min=1, help="So many units of each row instead of its own.")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Cases side by side.")] = 2,
    fresh: Annotated[bool, typer.Option("--fresh", help="Exec every command anew instead of forking it.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the folders of cases that broke.")] = False,
    folder: Annotated[Path | None, typer.Option(help="Scratch space; else a temporary folder.")] = None,
    out: Annotated[list[Path] | None, typer.Option(help="Write the table to FILE.json or FILE.md; repeat.")] = None,
) -> None:
    """Kill, cut, flood, mute and starve the real commands, and check after every case that nothing was lost.

    The table goes to stderr and to --out. Exit 0 only when every row passed; a row that could not be run fails.
    """
    from gpi.formats.errors import UsageError
    from gpi.tools.chaos.suite import ROWS

    chosen = _chosen(ROWS, only)
    if case is not None and len(chosen) != 1:
        raise UsageError("--case repeats a case of one row: name it with --only F05")
    for path in out or []:
        if path.suffix not in (".json", ".md"):
            raise UsageError(f"--out {path}: end it in .json or .md")
    outcomes = _carried_out(chosen, seed, short, case, cases, jobs, fresh, keep, folder)
    facts = {"seed": seed, "form": "short" if short else "long", **_facts()}
    _write(outcomes, facts, out or [])
    _show(outcomes, seed)
    broken = [each.row.id for each in outcomes if each.verdict != "pass"]
    if broken:
        typer.secho(f"gpi: chaos: {len(broken)} of {len(outcomes)} rows did not pass: {' '.join(broken)}", err=True)
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


def _carried_out(
    rows: "list[Row]",
    seed: int,
    short: bool,
    case: int | None,
    units: int | None,
    jobs: int,
    fresh: bool,
    keep: bool,
    folder: Path | None,
) -> "list[Outcome]":
    import tempfile

    from gpi.tools.chaos.lab import Lab
    from gpi.tools.chaos.practice import practice
    from gpi.tools.chaos.rows import run
    from gpi.tools.chaos.zygote import Zygote

    scratch = Path(tempfile.mkdtemp(prefix="gpi-chaos-", dir=folder))
    zygote = None if fresh else Zygote.start(_gpi, _warm)
    outcomes = []
    try:
        lab = Lab(seed, scratch, zygote, _rooms(), keep, not short)
        practice(lab)
        for row in rows:
            wanted = units or (row.short if short else row.long)
            outcomes.append(run(row, lab, wanted, case, jobs))
            _tell(outcomes[-1], seed)
    finally:
        if zygote is not None:
            zygote.close()
        _clean(scratch, keep)
    return outcomes


def _clean(scratch: Path, keep: bool) -> None:
    import shutil

    if keep and any(each.is_dir() and any(each.iterdir()) for each in scratch.iterdir()):
        typer.echo(f"kept: {scratch}", err=True)
    else:
        shutil.rmtree(scratch, ignore_errors=True)


def _gpi(words: list[str]) -> Any:
    """The very command line, in a forked child."""
    if words[0].endswith(".py"):  # a program that is not ours, to compare with
        import runpy

        return runpy.run_path(words[0], run_name="__main__")
    from gpi.cli.main import main

    return main(words)


def _warm() -> None:
    """Import what the commands import and load the kernels they run, once."""
    import contextlib
    import os
    import tempfile
    from importlib import import_module

    from gpi.cli.main import COMMANDS, load

    for name in COMMANDS:
        if name != "train":
            load(name)
    for room in (
        "venue.venue",
        "feeds.pace",
        "backtest.run",
        "backtest.answered",
        "brokers.alpaca",
        "feeds.capturing",
        "feeds.alpaca",
        "feeds.polygon",
    ):
        import_module(f"gpi.tools.{room}")
    with tempfile.TemporaryDirectory() as folder, open(os.devnull, "w") as null:
        line = f"simulate --events 500 --levels 0 | featurize | trade --paper --out {folder}/run"
        with contextlib.redirect_stderr(null), contextlib.suppress(SystemExit):
            _gpi(["run", line, "--out", f"{folder}/out.arrow"])
    _warm_exchange()
    _warm_session()


def _warm_exchange() -> None:
    """Load the kernels behind the venue."""
    from gpi.formats.instruments import Instruments, equity
    from gpi.formats.orders import DAY, LIMIT, MARKET
    from gpi.tools.venue.exchange import Exchange, Request
    from gpi.tools.venue.rows import told

    exchange = Exchange(Instruments([equity("WARM")]), 1, "alpaca-paper", 0)
    for ts in range(1, 4):
        exchange.tick(told(0, 0, {"bid": [99, 100], "ask": [101, 100], "trade": [101, 50, 1]}, ts * 10**9))
    for kind, px in ((LIMIT, 90.0), (MARKET, float("nan")), (LIMIT, 105.0)):
        number = exchange.submit(Request(0, 1, kind, DAY, 10.0, px))
        exchange.replace(number, qty=5.0)
        exchange.cancel(number)
    exchange.advance(10 * 10**9)
    exchange.events()


def _warm_session() -> None:
    """Load the kernels of a session that trades elsewhere."""
    from gpi.cli.desk import Terms, fitted_fees, prepared
    from gpi.formats import answers, orders
    from gpi.formats.instruments import KEY, Instruments, equity
    from gpi.formats.ticks import TICKS
    from gpi.tools.backtest.session import Session
    from gpi.tools.chaos.strategies import named
    from gpi.tools.stage import Stream
    from gpi.tools.venue.rows import told

    table = Instruments([equity("WARM")]).to_json().encode()
    schema = TICKS.with_metadata({**TICKS.metadata, KEY.encode(): table})
    terms = Terms(named("Churn"), ["every=1"], None, "zero", 1e6, (0.0, 0.0, 0.0), None)
    session = Session(schema, fitted_fees(prepared(terms, external=True), "zero", Stream(schema, iter(()))))
    quote = {"bid": [99, 100], "ask": [101, 100], "trade": [101, 50, 1]}
    for ts in range(1, 9):
        session.step(told(0, 0, quote, ts * 10**9))
        for ask in session.asks():
            actions = (orders.ACCEPTED, orders.FILLED, orders.CANCELED)
            session.answer(
                [answers.Answer(ask.ts_event, each, ask.order_id, 0, 1, 1.0, 100.0, 9.0) for each in actions]
            )
    session.answer([answers.Answer(0, orders.FILLED, 999, 0, 1, 1.0, 100.0)])
    session.answer([answers.Answer(0, each, 0, 0, 0, 0.0, 1.0) for each in range(answers.STATE, answers.CASH + 1)])
    session.wind_down()
    session.finish()


def _rooms() -> dict[str, Callable[..., Any]]:
    """What other rooms know, for rows that look inside one."""
    from gpi.tools.brokers import wire
    from gpi.tools.brokers.journal import Journal
    from gpi.tools.embed.tick import SHIPPED as MODEL
    from gpi.tools.risk.limits import SHIPPED as LIMITS

    return {
        "limits": lambda: LIMITS,
        "model": lambda: MODEL,
        "journal": Journal,
        "blotter": _blotter,
        "told": wire.order,
    }


def _blotter(asks: "list[tuple[str, Ask]]") -> "Blotter":
    """A blotter that has sent these orders and heard nothing yet."""
    from decimal import Decimal

    from gpi.tools.brokers.blotter import Blotter
    from gpi.tools.brokers.life import SENT, Life

    made = Blotter()
    for client_id, ask in asks:
        made.place(Life(ask, client_id, {}, Decimal(str(ask.qty)), state=SENT))
    made.answers()
    made.work()
    return made


def _facts() -> dict[str, str]:
    import os
    import platform
    from importlib.metadata import version

    from gpi.formats.version import __version__

    return {
        "gpi": __version__,
        "python": platform.python_version(),
        "alpaca-py": version("alpaca-py"),
        "cores": str(os.cpu_count()),
    }


def _tell(outcome: "Outcome", seed: int) -> None:
    from gpi.tools.chaos.report import cells, repeat

    row, _, done, _, seen, verdict = cells(outcome)
    typer.secho(f"{row} {verdict}: {done}: {seen}", err=True, fg="green" if verdict == "pass" else "red")
    if verdict == "FAIL":
        for violation in outcome.seen.violations[:5]:
            typer.echo(f"    {violation}", err=True)
        typer.echo(f"    repeat: {repeat(seed, outcome)}", err=True)


def _write(outcomes: "list[Outcome]", facts: dict[str, Any], paths: list[Path]) -> None:
    import json

    from gpi.tools.chaos.report import as_json, markdown

    for path in paths:
        if path.suffix == ".json":
            path.write_text(json.dumps(as_json(outcomes, facts), indent=2) + "\n")
        else:
            path.write_text(markdown(outcomes, facts))


def _show(outcomes: "list[Outcome]", seed: int) -> None:
    import sys

    from rich.console import Console
    from rich.table import Table

    from gpi.tools.chaos.report import COLUMNS, cells

    table = Table(title=f"gpi chaos --seed {seed}", title_justify="left")
    for name in COLUMNS:
        table.add_column(name, overflow="fold")
    for each in outcomes:
        table.add_row(*cells(each), style=None if each.verdict == "pass" else "red")
    Console(stderr=True, width=None if sys.stderr.isatty() else 200).print(table)
