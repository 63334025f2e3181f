"""F25: settings that are missing, NaN, negative or misspelt; live keys where paper was asked for."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any, Final

from gpi.tools.chaos.cases.streams import quotes, schema, written
from gpi.tools.chaos.lab import Lab
from gpi.tools.chaos.rows import Case, Row

WAYS: Final = ("missing", "nan", "negative", "infinite", "text", "misspelt", "a list", "huge", "a table", "a date")
READERS: Final = (("trade", "--paper"), ("backtest",), ("risk-check",))  # every command that takes --limits
OPEN: Final = 0o644
NOWHERE: Final = "http://127.0.0.1:1"


def wrong_settings(lab: Lab, case: Case) -> None:
    """Each limit wrong in each way, at each command; then keys and hosts. Every one refuses to start and says why."""
    limits = tomllib.loads(lab.room("limits")().read_text())
    for reader in READERS:
        for name in sorted(limits):
            for way in WAYS:
                _wrong_limit(lab, case, limits, name, way, reader)
    _wrong_keys(lab, case)
    _wrong_hosts(lab, case)


def _wrong_limit(lab: Lab, case: Case, limits: dict[str, Any], name: str, way: str, reader: tuple[str, ...]) -> None:
    given: dict[str, Any] = {key: value for key, value in limits.items() if key != name}
    called = name[:-1] + "x" if way == "misspelt" else name
    worth = {"nan": "nan", "negative": "-1", "infinite": "inf", "text": '"much"', "a list": "[1]", "misspelt": "1"}
    worth |= {"huge": "1" + "0" * 400, "a table": "{ value = 1 }", "a date": "2026-01-05"}
    text = "".join(f"{key} = {_toml(value)}\n" for key, value in given.items())
    if way != "missing":
        text += f"{called} = {worth[way]}\n"
    path = case.folder / "risk.toml"
    path.write_text(text)
    _refused(lab, case, f"{reader[0]}: {name} {way}", called, *reader, "--limits", path)


def _wrong_keys(lab: Lab, case: Case) -> None:
    """A key file others can read; half a key; a key with a space."""
    path = case.folder / "keys.json"
    path.write_text('{"key_id": "K", "secret": "S"}')
    path.chmod(OPEN)
    broker = ("trade", "--broker", "alpaca", "--paper", "--url", NOWHERE, "--journal", case.folder / "orders.sqlite")
    _refused(lab, case, "a key file others can read", "chmod 600", *broker, "--key-file", path)
    _refused(lab, case, "half a key", "ALPACA_SECRET_KEY", *broker, ALPACA_API_KEY="K")
    _refused(lab, case, "no key", "key", *broker)


def _wrong_hosts(lab: Lab, case: Case) -> None:
    """Live without being asked for, live with a local venue, a venue that is not on this machine."""
    keys = {"ALPACA_API_KEY": "K", "ALPACA_SECRET_KEY": "S"}
    broker = ("trade", "--broker", "alpaca", "--journal", case.folder / "orders.sqlite")
    paper, real = (*broker, "--paper"), (*broker, "--live")
    _refused(lab, case, "a key over the network in clear", "--url", *paper, "--url", "http://example.org", **keys)
    _refused(lab, case, "--live with a venue of one's own", "--", *real, "--url", NOWHERE, **keys)
    _refused(lab, case, "--live without its account number", "--account", *real, **keys)
    _refused(lab, case, "--live and --paper", "--paper", *broker, "--live", "--paper", **keys)
    _refused(lab, case, "a broker, and neither --live nor --paper", "--live", *broker, **keys)
    live_keys = {"ALPACA_API_KEY": "AKLIVE", "ALPACA_SECRET_KEY": "S"}
    _refused(lab, case, "live keys with --paper", "live keys", *paper, **live_keys)


def _refused(lab: Lab, case: Case, what: str, names: str, *words: object, **environment: str) -> None:
    """Exit 2 at once, the last line naming the word; nothing on stdout."""
    out = case.folder / "stdout"
    out.write_bytes(b"")
    stream = _stream(case)
    home = str(case.folder / "home")
    with lab.processes(case, **{**environment, "HOME": home}) as commands, open(out, "wb") as file:
        child = commands.start(*words, stdin=stream, stdout=file.fileno())
        code = child.wait(30)
    os.close(stream)
    case.seen.count("settings")
    line = child.last_line()
    case.seen.expect(code == 2, f"I7: {what}: exit {code}, wanted 2: {line}")
    case.seen.expect(names in line, f"I7: {what}: the last line does not name {names!r}: {line}")
    case.seen.expect("Traceback" not in child.said(), f"I7: {what}: a traceback")
    case.seen.expect(not out.stat().st_size, f"{what}: something went down the pipe")
    Path(child.errors).unlink()


def _stream(case: Case) -> int:
    """A sound stream of ticks, to show that it is not its absence that is refused."""
    path = case.folder / "ticks.arrow"
    if not path.exists():
        written([quotes(case.dice, 5)], schema(), path)
    return os.open(path, os.O_RDONLY)


def _toml(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value)


ROWS: Final = (
    Row(
        "F25",
        "every limit missing, NaN, negative, infinite, text, misspelt; keys others can read; live mixed with paper",
        "refuses to start with exit 2 and names the key",
        wrong_settings,
        short=1,
        long=1,
    ),
)
