"""How a command meets the world: its input, its output, its exit. The only place that knows pipes and signals.

A command body makes a `Tool` (or just a Stage or a Stream) and returns it. `source` and `piped` give the body its
[SOURCE]..., --to and --out, and carry it out; `gpi run` asks the very same bodies for their tools and carries out
the chain in one process.
"""

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gpi.cli.flags import bundled, signed, unfolded
from gpi.cli.running import Run, private_stdout, running

if TYPE_CHECKING:
    from gpi.tools.stage import Stage, Stream

Body = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Tool:
    """What a body makes: a source, a stage, or any change of a stream; and what follows at the end.

    `facts` (digests of files and models) stand in the stream's provenance beside the options. `conclude` runs after
    the last frame was delivered: the place of summaries and of breaches that are exit codes. `in_any_case`: also when
    whoever read our output has left.
    """

    work: "Stream | Stage | Callable[[Stream], Stream]"
    facts: Mapping[str, Any] = field(default_factory=dict)
    conclude: Callable[[], None] = lambda: None
    in_any_case: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """A tool, the command it came from, and the options that made it."""

    command: str
    options: Mapping[str, Any]
    tool: Tool


SPIN = 500  # looks at an empty pipe, about a microsecond each, before a tool sleeps; the environment's GPI_SPIN wins

_composing: ContextVar[list[Part] | None] = ContextVar("composing", default=None)


To = Annotated[
    str | None,
    typer.Option("--to", help="arrow, parquet, csv, jsonl or table; else by --out, a terminal or a pipe."),
]
Out = Annotated[
    str | None,
    typer.Option("--out", help="A file by its suffix (.arrow .parquet .csv .jsonl), or a lake: a folder/."),
]
Sources = Annotated[
    list[str] | None, typer.Argument(metavar="[SOURCE]...", help="Files or globs; - or nothing: stdin.")
]


def source(body: Body) -> Body:
    """A command that makes ticks and reads none: its body returns a Stream or a Tool of one."""
    return _wrapped(body, reads=False, writes=True)


def piped(body: Body, name: str | None = None) -> Body:
    """A command that changes a stream: its body returns a Stage or a Tool. `name` for a command in two words."""
    return _wrapped(body, reads=True, writes=True, name=name)


def trading(body: Body) -> Body:
    """A command that keeps its own --out (a run directory); its orders go down the pipe, if there is one."""
    return _wrapped(body, reads=True, writes=False)


def _parameter(name: str, kind: Any, where: Any = inspect.Parameter.KEYWORD_ONLY) -> inspect.Parameter:
    return inspect.Parameter(name, where, default=None, annotation=kind)


def _wrapped(body: Body, reads: bool, writes: bool, name: str | None = None) -> Body:
    called = name or body.__name__.replace("_", "-")
    own, bundles = unfolded(body)
    added = [_parameter("to", To)] + ([_parameter("out", Out)] if writes else [])
    first = [_parameter("sources", Sources, inspect.Parameter.POSITIONAL_OR_KEYWORD)] if reads else []

    @functools.wraps(body)
    def command(**given: Any) -> None:
        to = given.pop("to")
        out = given.pop("out") if writes else None
        sources = given.pop("sources") if reads else []
        part = Part(called, given, _tool(body(**bundled(given, bundles))))
        parts = [*_opened(sources or []), part]
        composing = _composing.get()
        if composing is None:
            carry_out(parts, to, out, quiet=not writes)
        else:
            composing.extend(_only_last(parts, to, out))

    return signed(command, [*first, *own, *added])


def _tool(made: Any) -> Tool:
    return made if isinstance(made, Tool) else Tool(made)


def _only_last(parts: list[Part], to: str | None, out: str | None) -> list[Part]:
    from gpi.formats.errors import UsageError

    if to or out:
        raise UsageError('inside a pipeline give --to and --out to `gpi run`: gpi run "a | b" --out PATH')
    return parts


def _opened(sources: list[str]) -> list[Part]:
    """The part that reads the named files; none when stdin is to be read."""
    if not sources or sources == ["-"]:
        return []
    from gpi.cli.recorded import recorded

    return [Part("replay", {"sources": sources, "as_written": True}, Tool(*recorded(sources, as_written=True)))]


def composed(commands: list[list[str]], defaults: Mapping[str, Any] | None = None) -> list[Part]:
    """The parts of a pipeline given as command lines, made by the commands' own bodies.

    `defaults`: of options, a table per command, as a config file sets them.
    """
    from gpi.cli.main import COMMANDS, load
    from gpi.formats.errors import UsageError

    parts: list[Part] = []
    token = _composing.set(parts)
    try:
        for name, *args in commands:
            if name not in COMMANDS:
                raise UsageError(f"gpi has no command {name!r}")
            before = len(parts)
            wanted = (defaults or {}).get(name)
            load(name).main(args, prog_name=f"gpi {name}", standalone_mode=False, default_map=wanted)
            if len(parts) == before:
                raise UsageError(f"`gpi {name}` does not work on a stream, so it cannot stand in a pipeline")
    finally:
        _composing.reset(token)
    return parts


def carry_out(parts: list[Part], to: str | None, out: str | None, quiet: bool = False) -> None:
    """Run a chain: from its source (or stdin) to where its output goes, then its conclusions.

    `quiet`: nothing on a terminal. `to` may also be "nowhere".
    """
    from gpi.cli.outputs import deliver
    from gpi.formats.errors import TruncatedStream
    from gpi.formats.pipes import watchable
    from gpi.tools.stage import Stream

    run = running()
    run.listen()
    made_here = isinstance(parts[0].tool.work, Stream)
    try:
        with private_stdout() as stdout:
            run.sink = stdout if out is None and to != "nowhere" and watchable(stdout) else None
            try:
                stream = _chained(parts, run)
                _delivered(stream, lambda: deliver(stream, to, out, stdout, quiet))
            except BrokenPipeError:
                run.left = True
            except TruncatedStream:  # asked to end in the middle of a message
                if not run.left:
                    raise
            except OSError:
                if made_here:
                    parts[0].tool.conclude()  # the source tells its books before the error that ended it
                raise
            finally:
                run.sink = None
            for part in parts:
                if part.tool.in_any_case or not run.left:
                    part.tool.conclude()
    except KeyboardInterrupt:
        run.deaf()
        raise typer.Exit(130) from None
    if run.left:
        run.deaf()
        raise typer.Exit(141)
    if run.terminated or (run.interrupted and made_here):
        run.deaf()
        raise typer.Exit(130)


def _delivered(stream: "Stream", deliver: Callable[[], None]) -> None:
    """Deliver a stream; where its reader leaves, its makers end now (a trader cancels), not when they are forgotten."""
    try:
        deliver()
    except BrokenPipeError:
        close = getattr(stream.frames, "close", None)
        if close is not None:
            close()
        raise


def _chained(parts: list[Part], run: Run) -> "Stream":
    from gpi.formats.provenance import stamped
    from gpi.tools.monitor.progress import told
    from gpi.tools.stage import Stage, Stream

    first, *rest = parts
    if isinstance(first.tool.work, Stream):
        made = first.tool.work
        schema = stamped(made.schema, first.command, first.options, first.tool.facts)
        stream = told(_stoppable(Stream(schema, made.frames), run.stopped), f"gpi {first.command}")
    else:
        stream, rest = _stoppable(_stdin(first.command), lambda: run.terminated or run.left), parts
    stream = run.latencies.waited(stream, "read")
    for part in rest:
        work = part.tool.work
        if isinstance(work, Stream):
            from gpi.formats.errors import UsageError

            raise UsageError(f"`gpi {part.command}` makes a stream of its own: it can only come first")
        schema = stamped(stream.schema, part.command, part.options, part.tool.facts)
        stream = Stream(schema, stream.frames)
        stream = (run.latencies.timed(work) if isinstance(work, Stage) else work)(stream)
    return stream


def _stoppable(stream: "Stream", stopped: Callable[[], bool]) -> "Stream":
    from gpi.tools.stage import Stream

    def frames() -> "Iterator[Any]":
        for frame in stream.frames:
            yield frame
            if stopped():
                return

    return Stream(stream.schema, frames())


def opened(sources: list[str], command: str) -> "Stream":
    """The stream a command that only reads is given: files, or stdin."""
    from gpi.tools.monitor.progress import told
    from gpi.tools.stage import Stream

    parts = _opened(sources)
    if not parts:
        return _stdin(command)
    made = parts[0].tool.work
    assert isinstance(made, Stream)
    return told(_stoppable(made, running().stopped), f"gpi {command}")


def _stdin(command: str) -> "Stream":
    import os
    import sys

    from gpi.formats.errors import UsageError
    from gpi.formats.ipc import Reader
    from gpi.tools.stage import Stream

    if sys.stdin.isatty():
        raise UsageError(f"nothing to read: gpi replay FILE | gpi {command} ..., or gpi {command} FILE")
    run = running()
    reader = Reader(os.dup(0), spin=_spin(), idle=run.idle, sink=run.sink)
    return Stream(reader.schema, iter(reader))


def _spin() -> int:
    import os

    from gpi.formats.errors import UsageError

    told = os.environ.get("GPI_SPIN", str(SPIN))
    if not told.isdigit():
        raise UsageError(f"GPI_SPIN={told}: how many times to look at an empty pipe before sleeping, such as {SPIN}")
    return int(told)
