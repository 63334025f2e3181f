"""gpi verify: are two runs the same, or is one what its manifest says?"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gpi.cli.io import Part, Tool, carry_out, composed
from gpi.cli.terminal import say

if TYPE_CHECKING:
    from gpi.tools.stage import Stream

app = typer.Typer(rich_markup_mode=None, add_completion=False)

SOURCES = ("replay", "simulate", "capture")


@app.command(
    epilog="Example: gpi verify runs/paper runs/backtest; gpi verify runs/paper (re-run it from its manifest); "
    "a live run: gpi verify runs/today --recording ~/.local/state/gpi/JOURNAL (its summary prints the line)"
)
def verify(
    run: Annotated[Path, typer.Argument(help="A run directory.")],
    other: Annotated[Path | None, typer.Argument(help="Another one; nothing: re-run the first.")] = None,
    recording: Annotated[
        Path | None, typer.Option(help="What a live run captured: a journal folder, or the stream as a file.")
    ] = None,
) -> None:
    """Compare orders, fills and equity row by row. The first row that differs is named, and the exit code is 1.

    With one run, its whole pipeline is composed again from the manifest, in this process, from the same files
    (their digests are checked), and must give the same rows. A live run is repeated from its --recording: the same
    ticks, and what the broker answered at the same rows, must give the same decisions.
    """
    from gpi.tools.backtest.recovery import parts

    with tempfile.TemporaryDirectory(prefix="gpi-verify-") as folder:
        if other is not None:
            pair = (_readable(run, Path(folder) / "left"), _readable(other, Path(folder) / "right"))
            _compare(*pair, names=(str(run), str(other)))
            return
        for at, part in enumerate(parts(run)):
            again = Path(folder) / f"again-{at}"
            told = _readable(part, Path(folder) / f"told-{at}")
            _rerun(part, told, again, recording)
            _compare(told, again, names=(str(part), "its re-run"))


def _readable(run: Path, into: Path) -> Path:
    """The run, or what one that has not ended has told so far, read into a folder of its own."""
    from gpi.tools.backtest.recovery import alive, restored, unfinished

    if not unfinished(run):
        return run
    found = restored(run, into)
    state = "is still being written" if alive(run) else f"did not end (`gpi runs recover {run}` makes it readable)"
    torn = f", {found.torn} bytes of a torn end left out" if found.torn else ""
    say(f"note: {run} {state}: what it told up to row {found.ticks:,} is compared{torn}", err=True)
    return into


def _compare(left: Path, right: Path, names: tuple[str, str]) -> None:
    from gpi.formats.errors import GpiError
    from gpi.tools.backtest.manifest import manifest_of
    from gpi.tools.backtest.verify import altered, compare, complete

    prefix = [bool(manifest_of(each).get("recovered")) for each in (left, right)]
    rows = manifest_of(right if prefix[1] and not prefix[0] else left)["rows"]
    difference = compare(left, right, (prefix[0], prefix[1]))
    if difference is not None:
        raise GpiError(f"{names[0]} and {names[1]} differ: {difference}")
    if any(prefix) and not sum(rows.values()):
        raise GpiError(f"nothing was compared: {names[0]} had told nothing before it died")
    for each, name, part in zip((left, right), names, prefix, strict=True):
        changed = altered(each)
        if changed is not None:
            raise GpiError(f"{name}: {changed} is not what the run wrote: its digest is not the manifest's")
        if part:
            say(f"note: {name} did not end: what it had told is compared, which is a beginning", err=True)
        elif not complete(each):
            say(f"note: {name} is incomplete: its stream ended before it said so", err=True)
    say(
        f"identical{' as far as it goes' if any(prefix) else ''}: {names[0]} and {names[1]}, {rows['orders']:,} order "
        f"events, {rows['fills']:,} fills and {rows['equity']:,} marks of equity",
        err=True,
    )


def _rerun(run: Path, told: Path, again: Path, recording: Path | None) -> None:
    from gpi.formats.errors import RiskBreach, UsageError
    from gpi.formats.trust import trusted
    from gpi.tools.backtest.manifest import manifest_of

    trusted(told / "manifest.json", "the run's manifest, which names the strategy to run,")
    manifest = manifest_of(told)
    steps = manifest["provenance"]
    starts = [at for at, step in enumerate(steps) if step["command"] in SOURCES]
    if not starts and recording is None:
        raise UsageError(
            f"{run} traded a stream of unknown origin: gpi verify {run} --recording FILE repeats it from where "
            f"you kept the stream, `gpi verify {run} OTHER` compares"
        )
    steps = steps[starts[-1] :] if starts else [{"command": "unknown"}, *steps]
    steps = [_from_recording(run, steps[0], recording), *steps[1:]]
    parts = composed([_command(told, step, again, manifest) for step in steps])
    for step, part in zip(steps, parts, strict=True):
        if recording is None or step is not steps[0]:
            _same_facts(run, step, part)
    source = parts[0]
    work = source.tool.work
    known = recording is not None and bool(manifest.get("heard"))
    if known:
        work = _heard(work, manifest["heard"], recording)
    limited = Tool(_first_rows(work, manifest["ticks"], known), source.tool.facts)
    parts = [Part(source.command, source.options, limited), *parts[1:-1], _silent(parts[-1])]
    try:
        carry_out(parts, "nowhere", None)
    except RiskBreach:
        pass  # a killed run is repeated to its kill; what matters is that the rows are the same


def _silent(part: Part) -> Part:
    return Part(part.command, part.options, Tool(part.tool.work, part.tool.facts))


def _heard(work: Any, told: dict[str, Any], recording: Path | None) -> "Stream":
    """The rows of a recording that the session heard: it may hold other sessions before and after."""
    from gpi.tools.backtest.heard import part
    from gpi.tools.stage import Stream

    return Stream(work.schema, part(iter(work.frames), told, str(recording)))


def _first_rows(work: Any, rows: int, known: bool) -> "Stream":
    """A run that was interrupted saw fewer rows than its files hold.

    `known`: it is read on until it shows whether these are the rows that the run heard, for a wrong recording is to be
    blamed before the run is.
    """
    from gpi.tools.stage import Stream

    def frames() -> Iterator[Any]:
        left, all_frames = rows, iter(work.frames)
        for frame in all_frames:
            if frame.rows >= left:
                if left:
                    yield frame.slice(0, left).copy()
                break
            left -= frame.rows
            yield frame
        for _ in all_frames if known else ():
            pass

    return Stream(work.schema, frames())


def _from_recording(run: Path, step: dict[str, Any], recording: Path | None) -> dict[str, Any]:
    """The step that makes the ticks again: for a live source, the recording of what it said."""
    from gpi.formats.errors import UsageError

    if recording is None:
        if step["command"] == "capture":
            raise UsageError(f"{run} traded live: gpi verify {run} --recording JOURNAL_OR_FILE")
        return step
    if recording.is_dir() and not list(recording.glob("**/*.parquet")):
        return {"command": "capture", "options": {"from_journal": str(recording)}, "facts": {}}
    return {"command": "recording", "options": {"sources": [str(recording)], "as_written": True}, "facts": {}}


def _command(run: Path, step: dict[str, Any], again: Path, manifest: dict[str, Any]) -> list[str]:
    """The step as the command line that makes it."""
    options = dict(step["options"])
    if step["command"] == "recording":
        return _words(["replay"], options)
    words: list[str] = step["command"].split()
    if step["command"] == "trade" and manifest["setup"].get("external"):
        return _words(["backtest"], _repeated(run, options, again, manifest))
    if step["command"] == "replay":
        options["sources"] = [path for path, _ in step["facts"]["digests"]]
        options.update(speed="max", quarantine=None)
    if step["command"] in ("trade", "backtest"):
        options.update(out=str(again), kill_file=None, kill_row=manifest["kill_row"])
    if step["command"] == "backtest":
        del options["kill_file"]
    return _words(words, options)


def _repeated(run: Path, options: dict[str, Any], again: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    """The options of a live trader that decide anything, and where its broker's answers are."""
    from gpi.cli.main import load

    known = {each.name for each in load("backtest").params}
    kept = {name: value for name, value in options.items() if name in known}
    own = {"out": str(again), "kill_row": manifest["kill_row"], "answers": str(run / "answers.parquet")}
    rules = {"account_rules": manifest["setup"]["rules"].get("account", "any")}  # the broker's, whatever was asked for
    return {**kept, "sources": None, "to": None, **rules, **own}


def _words(words: list[str], options: dict[str, Any]) -> list[str]:
    """Options as the words of a command line."""
    for name, value in options.items():
        flag = "--" + name.replace("_", "-")
        if name == "sources":
            words += value or []
        elif value is True:
            words.append(flag)
        elif isinstance(value, list):
            words += [word for item in value for word in (flag, str(item))]
        elif value is not None and value is not False:
            words += [flag, str(value)]
    return words


def _same_facts(run: Path, step: dict[str, Any], part: Part) -> None:
    from gpi.formats.errors import BadInput
    from gpi.formats.provenance import plain

    now, then = plain(part.tool.facts), step["facts"]
    if now != then:
        changed = sorted(key for key in {*now, *then} if now.get(key) != then.get(key))
        raise BadInput(
            f"{run} cannot be repeated: what `gpi {step['command']}` used has changed since ({', '.join(changed)}: "
            f"{then.get(changed[0])} then, {now.get(changed[0])} now); gpi {step.get('version', '?')} made it"
        )
