"""gpi.toml: defaults for options, one table per command, every key checked.

[featurize]
microstructure = true

[trade]
cash = 100000
"""

import difflib
from pathlib import Path
from typing import Any

from gpi.cli.main import COMMANDS, load
from gpi.formats.errors import UsageError
from gpi.formats.trust import trusted
from gpi.formats.written import toml_of


def defaults(path: Path) -> dict[str, dict[str, Any]]:
    """The file as click's default map. Raises UsageError naming an unknown key and the nearest known one."""
    trusted(path, "the config")  # it may name a strategy, which is run, and a key file
    try:
        tables = toml_of(path)
    except OSError as error:
        raise UsageError(f"cannot read the config {path}: {error.strerror}") from None
    except ValueError as error:
        raise UsageError(f"{path} is not TOML: {error}") from None
    for command, options in tables.items():
        _known(command, list(COMMANDS), f"{path}: no command {command!r}")
        if not isinstance(options, dict):
            raise UsageError(f"{path}: {command} must be a table: [{command}]")
        names = [param.name for param in load(command).params if param.name and param.name != "help"]
        for key in options:
            _known(key.replace("-", "_"), names, f"{path}: [{command}] has no option {key!r}")
    return {
        command: {key.replace("-", "_"): value for key, value in options.items()} for command, options in tables.items()
    }


def _known(name: str, names: list[str], complaint: str) -> None:
    if name not in names:
        near = difflib.get_close_matches(name, names, 1, 0.0)
        raise UsageError(f"{complaint}; did you mean {near[0]!r}?" if near else complaint)
