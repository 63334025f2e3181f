"""gpi run: a whole pipeline in one process."""

import shlex
from typing import Annotated

import typer

from gpi.cli.io import Out, To, carry_out, composed

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(epilog='Example: gpi run "replay day.parquet | featurize | embed | trade --paper --out runs/day"')
def run(
    ctx: typer.Context,
    pipeline: Annotated[str, typer.Argument(help="Commands joined by |, each without its gpi.")],
    to: To = None,
    out: Out = None,
) -> None:
    """Compose commands in one process: the same bodies as the shell pipe, the same rows, without the hops."""
    parts = composed(split(pipeline), ctx.find_root().default_map)
    trades = parts[-1].command in ("trade", "backtest")
    carry_out(parts, to, out, quiet=trades)


def split(pipeline: str) -> list[list[str]]:
    """The commands of a pipeline, shell-quoted words each. Raises UsageError for an empty one."""
    from gpi.formats.errors import UsageError

    lexer = shlex.shlex(pipeline, posix=True, punctuation_chars="|")
    lexer.whitespace_split = True
    commands: list[list[str]] = [[]]
    for word in lexer:
        if word == "|":
            commands.append([])
        else:
            commands[-1].append(word)
    commands = [words[1:] if words[:1] == ["gpi"] else words for words in commands]
    if not all(commands):
        raise UsageError(f"an empty command in the pipeline {pipeline!r}")
    return commands
