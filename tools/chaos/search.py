"""The search for secrets: every byte that a case wrote, and what /proc shows of its processes, loud or not.

A venue makes up a key of its own for every case and writes it to one file, whose purpose that is. It must stand
nowhere else.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from gpi.tools.chaos.rows import Seen

KEY_FILES: Final = (".ready", ".json")
SHORTEST: Final = 16  # characters; what is shorter is a made-up key that is meant to be wrong


def secrets(folder: Path) -> dict[Path, str]:
    """The secrets of a case, by the file that may hold them."""
    found = {}
    for path in folder.rglob("*"):
        if path.suffix in KEY_FILES and path.is_file():
            try:
                told = json.loads(path.read_text())
                secret = str(told.get("gpi.venue", told)["secret"])
            except (ValueError, KeyError, AttributeError, TypeError):
                continue
            if len(secret) >= SHORTEST:
                found[path] = secret
    return found


def search(folder: Path, seen: Seen, told: bool) -> None:
    """Every byte of every file, and what a hexadecimal dump of it would look like. `told`: count what was searched."""
    held = secrets(folder)
    needles = {form for secret in held.values() for form in _forms(secret)}
    for path in folder.rglob("*"):
        if path in held or not path.is_file():
            continue
        data = path.read_bytes()
        if told:
            seen.count("files searched")
            seen.count("KiB searched", -(-len(data) // 1024))
        if any(needle in data for needle in needles):
            seen.violate(f"a secret stands in {path.relative_to(folder)}")


def _forms(secret: str) -> tuple[bytes, ...]:
    raw = secret.encode()
    return raw, raw.hex().encode(), raw.hex(" ").encode()


def descendants(roots: Iterable[int]) -> list[int]:
    """These processes and their children, and theirs."""
    parents: dict[int, list[int]] = {}
    for each in Path("/proc").iterdir():
        if each.name.isdigit():
            try:
                parent = int((each / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, ValueError, IndexError):
                continue
            parents.setdefault(parent, []).append(int(each.name))
    found = list(roots)
    for pid in found:
        found += parents.get(pid, [])
    return found


def shown(pids: Iterable[int], given: frozenset[int] = frozenset()) -> bytes:
    """Arguments and environments of processes; not the environment of those that were `given` their key in it."""
    text = b""
    for pid in pids:
        for name in ("cmdline",) if pid in given else ("cmdline", "environ"):
            try:
                text += b"%d %s: " % (pid, name.encode()) + Path(f"/proc/{pid}/{name}").read_bytes() + b"\n"
            except OSError:
                continue
    return text
