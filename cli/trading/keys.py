"""Keys: where they are found, and that nobody else finds them.

In order: the file named on the command line; systemd's credentials; the environment; ~/.config/gpi/keys.toml (or the
file GPI_KEYS names); the keyring, if installed. Never an argument: those stand in `ps`. Variables are taken out of
the environment as soon as anything is looked for, so no child of this process inherits them.
"""

import json
import os
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from gpi.cli.trading.guard import guard
from gpi.formats.errors import UsageError
from gpi.formats.secrets import Secret

ALPACA: Final = (("ALPACA_API_KEY", "ALPACA_SECRET_KEY"), ("APCA_API_KEY_ID", "APCA_API_SECRET_KEY"))
POLYGON: Final = ("POLYGON_API_KEY", "MASSIVE_API_KEY")
FILE: Final = "~/.config/gpi/keys.toml"
LOCAL: Final = ("127.0.0.1", "localhost", "::1")
PAPER: Final = "paper-api.alpaca.markets"

_taken: dict[str, str] = {}  # variables found once: a second command of `gpi run` asks again


class Keys(NamedTuple):
    """An Alpaca key: its id, which is no secret by itself but never shown either, and its secret."""

    key_id: Secret
    secret: Secret


def alpaca_keys(url: str | None = None, key_file: Path | None = None) -> Keys:
    """The keys for the Alpaca (or venue) host of `url`; None: Alpaca itself.

    In keys.toml the table is named by host ("127.0.0.1:8700"), [alpaca-paper] for the paper host, or [alpaca], each
    with key_id and secret. Raises UsageError when there are none, when a file may be read by others, or when the key
    would cross a network unencrypted.
    """
    guard()
    _take()
    _checked(url)
    tables = _tables(url, "alpaca-paper" if url and urlsplit(url).hostname == PAPER else None, "alpaca")
    found = _from_file(key_file, tables, ("key_id", "secret")) if key_file else None
    found = found or _from_systemd(("alpaca_key_id", "alpaca_secret_key"))
    found = found or _from_environment(ALPACA)
    found = found or _from_file(None, tables, ("key_id", "secret"))
    found = found or _from_keyring(("alpaca_key_id", "alpaca_secret_key"))
    if found is None:
        raise UsageError(
            f"no Alpaca key: set ALPACA_API_KEY and ALPACA_SECRET_KEY, write {FILE} (mode 600), or --key-file FILE"
        )
    return Keys(*found)


def polygon_key(url: str | None = None, key_file: Path | None = None) -> Secret:
    """The key for Polygon (now Massive), or the venue at `url`. Raises UsageError as `alpaca_keys`.

    In keys.toml: the table named by host, [polygon] or [massive], with key. A venue's file has its secret.
    """
    guard()
    _take()
    _checked(url)
    tables = _tables(url, "polygon", "massive")
    found = None
    if key_file:
        found = _from_file(key_file, tables, ("key",)) or _from_file(key_file, tables, ("secret",))
    found = found or _from_systemd(("polygon_key",)) or _from_environment(tuple((name,) for name in POLYGON))
    found = found or _from_file(None, tables, ("key",)) or _from_keyring(("polygon_key",))
    if found is None:
        raise UsageError(f"no Polygon key: set POLYGON_API_KEY, or write {FILE} (mode 600) with [polygon] key = ...")
    return found[0]


def venue_url(ready: Path) -> str:
    """Where the venue listens that wrote this ready file. Raises UsageError."""
    found = _content(ready, _private(ready)).get("url")
    if not isinstance(found, str):
        raise UsageError(f"{ready} is not what `gpi venue --ready` writes: it has no url")
    return found


def _take() -> None:
    """Move the keys from the environment into this process."""
    for name in (*sum(ALPACA, ()), *POLYGON):
        value = os.environ.pop(name, "").strip()
        if value:
            _taken[name] = value


def _checked(url: str | None) -> None:
    parts = urlsplit(url or "")
    if parts.scheme in ("http", "ws") and parts.hostname not in LOCAL:
        safe = {"http": "https", "ws": "wss"}[parts.scheme]
        raise UsageError(f"{parts.scheme}://{parts.hostname} would carry the key in clear: use {safe}://")


def _tables(url: str | None, *names: str | None) -> tuple[str, ...]:
    host = urlsplit(url).netloc if url else ""
    return tuple(name for name in (host, *names) if name)


def _from_environment(choices: tuple[tuple[str, ...], ...]) -> tuple[Secret, ...] | None:
    for names in choices:
        found = [_taken.get(name, "") for name in names]
        if all(found):
            return tuple(_secret(value, name) for value, name in zip(found, names, strict=True))
        if any(found):
            missing = ", ".join(name for name, value in zip(names, found, strict=True) if not value)
            raise UsageError(f"{missing} is not set, but the other half of the key is: set both or neither")
    return None


def _from_systemd(names: tuple[str, ...]) -> tuple[Secret, ...] | None:
    """LoadCredential= puts each in a file of a folder that only this service can open: no mode to check."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if not folder:
        return None
    paths = [Path(folder) / name for name in names]
    if not all(path.is_file() for path in paths):
        return None
    return tuple(_secret(path.read_text(encoding="utf-8").strip(), path.name) for path in paths)


def _from_file(path: Path | None, tables: tuple[str, ...], names: tuple[str, ...]) -> tuple[Secret, ...] | None:
    """The named words of the first of these tables that the file has; a file named by the user must exist."""
    where = path or Path(os.environ.get("GPI_KEYS") or FILE).expanduser()
    if path is None and not where.exists() and not os.environ.get("GPI_KEYS"):
        return None
    content = _content(where, _private(where))
    for table in [content.get(name) for name in tables] + [content]:
        if isinstance(table, Mapping) and all(isinstance(table.get(name), str) for name in names):
            return tuple(_secret(table[name].strip(), f"{name} in {where}") for name in names)
    if path is not None and names != ("key",):
        raise UsageError(f"{path} has no {' and '.join(names)}: TOML or JSON, at the top or under [{tables[-1]}]")
    return None


def _private(path: Path) -> str:
    """The text of a file that only its owner, who is us, can read; looked at and read through one descriptor."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    with open(fd, encoding="utf-8") as file:
        about = os.fstat(fd)
        if not stat.S_ISREG(about.st_mode):
            raise UsageError(f"{path} is not a file")
        if about.st_uid != os.geteuid():
            raise UsageError(f"{path} belongs to somebody else: keys are read only from a file of your own")
        if about.st_mode & 0o077:
            raise UsageError(f"{path} can be read by others (mode {about.st_mode & 0o777:o}): chmod 600 {path}")
        try:
            return file.read()
        except UnicodeDecodeError:
            raise UsageError(f"{path} is not text") from None


def _content(path: Path, text: str) -> dict[str, Any]:
    """TOML, or JSON as the venue writes it; no error shows a word of the file."""
    try:
        read = json.loads(text) if text.lstrip().startswith("{") else tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        place = f", line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise UsageError(f"{path} is neither TOML nor JSON{place}") from None
    inner = read.get("gpi.venue", read)
    return dict(inner) if isinstance(inner, Mapping) else {}


def _from_keyring(names: tuple[str, ...]) -> tuple[Secret, ...] | None:
    """From the desktop's keyring, service "gpi", if the package is installed and a keyring is open."""
    try:
        import keyring
    except ImportError:
        return None
    try:
        found = [keyring.get_password("gpi", name) or "" for name in names]
    except Exception:  # each backend has errors of its own; a locked or absent keyring holds no key
        return None
    return tuple(map(_secret, found, names)) if all(found) else None


def _secret(value: str, where: str) -> Secret:
    if not value or not value.isascii() or not value.isprintable() or " " in value:
        raise UsageError(f"{where}: that is no key (empty, or with spaces or odd characters)")
    return Secret(value)
