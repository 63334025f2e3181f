"""Symbols and messages that would speak to the terminal: shown as what they are, wherever they come out."""

import ast
import os
import pty
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpi.cli.terminal import harmless, rewrite
from gpi.formats.frame import Frame, Layout
from gpi.formats.instruments import Instruments, equity
from gpi.formats.ipc import writing
from gpi.formats.ticks import TICKS
from tests.shell import GPI, ROOT, environment, gpi

EVIL = "[red]\x1b[2J\x1b]0;owned\x07\u202eAB\u2066\x9b31m\x7f\u2028"
RAW = [c.encode() for c in ("\x1b[2J", "\x1b]0;", "\x07", "\u202e", "\u2066", "\x9b", "\x7f", "\u2028")]


@given(st.text() | st.text(st.characters(categories=["Cc", "Cf", "Zl", "Zp", "Cs"])))
def test_no_control_character_is_left_and_nothing_else_is_changed(text: str) -> None:
    """C0, C1, DEL, escape, marks of direction, separators, lone surrogates; letters stay, and twice is once."""
    shown = harmless(text, lines=False)
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 or 0x2028 <= ord(c) <= 0x202E for c in shown)
    assert harmless(shown, lines=False) == shown
    if text.isprintable() and text.isascii():
        assert shown == text


def stream(path: Path) -> Path:
    """A whole stream of one tick of an evil symbol."""
    schema = Instruments([equity(EVIL)]).on(TICKS)
    frame = Layout.of(schema).empty(1)
    for name in frame.columns:
        frame[name][...] = 1
    frame["instrument_id"][:] = 0
    fd = os.open(path, os.O_WRONLY | os.O_CREAT)
    with writing(fd, schema) as writer:
        writer.write(Frame.over(frame.layout, 1, frame.body[0]))
    os.close(fd)
    return path


def on_a_terminal(*words: object) -> bytes:
    """What a person would see: stdout and stderr are a terminal."""
    ours, theirs = pty.openpty()
    env = environment(COLUMNS="200", TERM="xterm")
    child = subprocess.Popen([*GPI, *map(str, words)], stdin=theirs, stdout=theirs, stderr=theirs, cwd=ROOT, env=env)
    os.close(theirs)
    seen = b""
    while True:
        try:
            piece = os.read(ours, 1 << 16)
        except OSError:
            break
        if not piece:
            break
        seen += piece
    os.close(ours)
    child.wait(timeout=60)
    return seen


def test_a_symbol_in_a_table_does_not_speak_to_the_terminal(tmp_path: Path) -> None:
    """Neither its escapes nor its markup; the terminal gets our own codes only."""
    seen = on_a_terminal("featurize", stream(tmp_path / "s.arrow"))
    assert b"[red]\\x1b[2J" in seen
    assert not [raw for raw in RAW if raw in seen]


@pytest.mark.parametrize(
    "words",
    [
        ("featurize", f"/nowhere/{EVIL}".replace("\0", "")),
        ("query", f"selekt '{EVIL}'"),
        (EVIL,),
        ("featurize", f"--{EVIL}"),
        ("--config", EVIL, "doctor"),
        ("query", f"SELECT '{EVIL}' AS \"{EVIL}\"", "--to", "table"),
    ],
)
def test_errors_and_answers_show_what_was_said_without_obeying_it(words: tuple[str, ...]) -> None:
    """Messages of ours, of DuckDB and of the command line's parser."""
    for seen in (on_a_terminal(*words), gpi(*words).stderr, gpi(*words).stdout):
        assert not [raw for raw in RAW if raw in seen], seen


def test_nothing_prints_but_through_the_one_door() -> None:
    """No print, echo, Console or write to stderr in the command line's files but cli/terminal.py."""
    for path in sorted((ROOT / "cli").glob("*.py")):
        if path.name == "terminal.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                said = ast.unparse(node.func)
                doors = ("print", "typer.echo", "typer.secho", "Console", "sys.stderr.write", "sys.stdout.write")
                assert said not in doors, f"{path.name}: {said} at line {node.lineno}"


def test_a_line_of_progress_shows_no_escapes_of_others(capsys: pytest.CaptureFixture[str]) -> None:
    """Its own, that clear the line, and none from what it tells."""
    rewrite("rows of \x1b[2JEVIL\nand on", nl=True)
    said = capsys.readouterr().err
    assert said.startswith("\r\x1b[2K") and said.count("\x1b") == 1 and said.count("\n") == 1 and "EVIL" in said
