"""The venue against clients that others wrote: each driver of tests/clients calls all of its client's methods.

Every call works, or stands in tests/clients_table.py with its reason; what the client parsed is what the venue knows.
`make clients` installs the clients under build/clients and runs this file; without them it is skipped.
docs/clients.md is what was found; `python -m tests.test_clients` writes it again.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.clients_market import CALL, PUT, lively
from tests.clients_table import CLIENTS, DIFFERENCES, Client, Difference
from tests.shell import ROOT
from tests.test_conformance import DATA, fixtures
from tests.venues import Ready

DRIVERS = ROOT / "tests" / "clients"
BUILT = ROOT / "build" / "clients"
PAGE = ROOT / "docs" / "clients.md"
PATIENCE_S = 400.0
SAME = ("symbol", "qty", "notional", "limit_price", "stop_price", "trail_price", "trail_percent", "side", "type",
        "time_in_force", "order_class")  # fmt: skip


@dataclass(frozen=True)
class Call:
    """What one call of a client came to."""

    call: str
    outcome: str  # worked, failed, uncalled, unequal
    detail: Any


@cache
def _recorded() -> Any:
    """A bracket as Alpaca itself answered it; None without ../shared/data."""
    if not DATA.exists():
        return None
    bodies = (row["body"] for row in fixtures("fix_alpaca_recorded_http_2019_2022"))
    return next(
        each for each in bodies if isinstance(each, dict) and each.get("order_class") == "bracket" and each.get("legs")
    )


def _program(client: Client) -> list[str] | None:
    """What runs its driver; None where it is not installed."""
    if client.driver.endswith(".py"):
        python = BUILT / client.package / "bin" / "python"
        return [str(python), str(DRIVERS / client.driver)] if (BUILT / client.package / ".done").exists() else None
    node = shutil.which("node")
    return [node, str(BUILT / client.driver)] if node and (BUILT / "node_modules" / client.package).exists() else None


def _environment(venue: Ready, folder: Path) -> dict[str, str]:
    """What a driver is told; nothing else of this machine's settings."""
    told = {"url": venue.url, "ws": venue.ws, "tls": venue.tls_url, "key": venue.key_id, "secret": venue.secret,
            "option": CALL, "put": PUT, "start": "2026-01-05T14:30:00Z", "end": "2026-01-05T20:00:00Z",
            "day": "2026-01-05", "recorded": _recorded()}  # fmt: skip
    plain = {name: os.environ[name] for name in ("PATH", "LANG", "TZ") if name in os.environ}
    return {**plain, "HOME": str(folder), "NODE_EXTRA_CA_CERTS": venue.tls_ca, "GPI_VENUE": json.dumps(told),
            "PYTHONDONTWRITEBYTECODE": "1"}  # fmt: skip


@cache
def found(name: str) -> tuple[Call, ...]:
    """Run the driver of a client against a venue of its own; every call with what it came to."""
    client = CLIENTS[name]
    program = _program(client)
    assert program is not None
    for each in DRIVERS.glob("*.[cmj]*s*"):
        shutil.copy(each, BUILT)  # beside the packages that they import
    with tempfile.TemporaryDirectory() as folder, lively(Path(folder)) as venue:
        ran = subprocess.run(
            program,
            env=_environment(venue, Path(folder)),
            cwd=BUILT,
            capture_output=True,
            timeout=PATIENCE_S,
            check=False,
        )
        truth = venue.account()
    calls = [Call(**json.loads(line)) for line in ran.stdout.decode().splitlines() if line.startswith('{"call"')]
    said = ran.stderr.decode()
    (BUILT / f"{name}.log").write_text(said)
    assert ran.returncode == 0 and calls, said[-3000:]
    return tuple(_checked(each, truth) for each in calls)


def _checked(call: Call, truth: Mapping[str, Any]) -> Call:
    """A call that worked, if the orders in what the client parsed are the venue's own."""
    if call.outcome != "worked":
        return call
    orders = {each["id"]: each for each in truth["orders"]}
    wrong = [line for each in _orders(call.detail) for line in _unequal(each, orders.get(str(each["id"])))]
    return Call(call.call, "unequal", "; ".join(wrong)) if wrong else call


def _orders(value: Any) -> Iterator[dict[str, Any]]:
    """Every order anywhere in what a client parsed, with the venue's names of fields."""
    if isinstance(value, dict):
        plain = {_snake(name): each for name, each in value.items()}
        if "client_order_id" in plain and "id" in plain:
            yield plain
        for each in value.values():
            yield from _orders(each)
    elif isinstance(value, list):
        for each in value:
            yield from _orders(each)


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", lambda at: "_" + at[1].lower(), name)


def _unequal(parsed: Mapping[str, Any], known: Mapping[str, Any] | None) -> list[str]:
    """Where an order as a client parsed it is not the order of the venue."""
    if known is None:
        return [f"no order {parsed['id']}"]
    both = [name for name in SAME if parsed.get(name) not in (None, "") and known.get(name) not in (None, "")]
    return [
        f"{name}: {parsed[name]}, venue {known[name]}" for name in both if _value(parsed[name]) != _value(known[name])
    ]


def _value(given: Any) -> Any:
    """Numbers as numbers, whether a client gives them as text or not."""
    try:
        return Decimal(str(given))
    except InvalidOperation:
        return str(given).rpartition(".")[2].lower() if re.fullmatch(r"[A-Z]\w+\.\w+", str(given)) else str(given)


def reason(name: str, call: Call) -> Difference | None:
    """How the table explains a call that did not work."""
    return next((each for each in DIFFERENCES if _explains(each, name, call)), None)


def _explains(row: Difference, name: str, call: Call) -> bool:
    matched = re.fullmatch(row.client, name) and re.fullmatch(row.calls, call.call)
    return bool(matched and row.outcome == call.outcome and re.search(row.words, str(call.detail)))


def test_an_order_that_a_client_parsed_otherwise_is_found_out() -> None:
    """Whatever the names and kinds of its values are in the client's language, and however deep it lies."""
    known = {"id": "a", "symbol": "AAPL", "qty": "10", "limit_price": "190.5", "side": "buy", "time_in_force": "day"}
    parsed = {
        "id": "a",
        "clientOrderId": "b",
        "symbol": "AAPL",
        "qty": 10.0,
        "limitPrice": 190.5,
        "side": "OrderSide.BUY",
    }
    assert _checked(Call("c", "worked", {"x": [parsed]}), {"orders": [known]}).outcome == "worked"
    wrong = _checked(Call("c", "worked", {"x": [{**parsed, "limitPrice": 19.05}]}), {"orders": [known]})
    assert (wrong.outcome, wrong.detail) == ("unequal", "limit_price: 19.05, venue 190.5")
    assert _checked(Call("c", "worked", parsed), {"orders": []}).detail == "no order a"


@pytest.mark.parametrize("name", CLIENTS)
def test_every_call_of_a_client_works_or_has_its_reason(name: str) -> None:
    """No call without an explanation; no explanation that is not needed."""
    if _program(CLIENTS[name]) is None:
        pytest.skip("needs what `make clients` installs in build/clients")
    calls = found(name)
    unexplained = [each for each in calls if each.outcome != "worked" and reason(name, each) is None]
    assert not unexplained, "\n".join(f"{each.call}: {each.outcome}: {each.detail}" for each in unexplained)


def test_every_reason_is_needed() -> None:
    """A reason without a call is taken out, so that a call that works again must work."""
    if any(_program(each) is None for each in CLIENTS.values()):
        pytest.skip("needs every client that `make clients` installs in build/clients")
    stale = [
        each for each in DIFFERENCES if not any(reason(name, call) == each for name in CLIENTS for call in found(name))
    ]
    assert not stale, "\n".join(f"{each.client} {each.calls} {each.why}" for each in stale)


def test_the_page_says_what_was_found() -> None:
    """docs/clients.md is up to date."""
    if any(_program(each) is None for each in CLIENTS.values()):
        pytest.skip("needs every client that `make clients` installs in build/clients")
    assert PAGE.read_text() == page(), "python -m tests.test_clients"


def _rows(name: str) -> list[str]:
    """The part of the page about one client."""
    calls = found(name)
    told = [(each, reason(name, each)) for each in calls]
    counts = Counter("worked" if each.outcome == "worked" else why.kind if why else "unexplained" for each, why in told)
    lines = ["", f"## {CLIENTS[name].title}", "", CLIENTS[name].how, ""]
    kinds = ["worked", "difference", "not offered", *(["unexplained"] if counts["unexplained"] else [])]
    lines += [f"| calls | {' | '.join(kinds)} |", "|---" * (1 + len(kinds)) + "|"]
    lines += [f"| {len(calls)} | {' | '.join(str(counts[kind]) for kind in kinds)} |"]
    by_reason: dict[tuple[str, str], list[str]] = {}
    for each, why in told:
        if each.outcome != "worked":
            key = (why.kind, why.why) if why else ("unexplained", str(each.detail))
            by_reason.setdefault(key, []).append(f"`{each.call}`")
    if by_reason:
        lines += ["", "| | reason | calls |", "|---|---|---|"]
        lines += [f"| {kind} | {why} | {', '.join(names)} |" for (kind, why), names in by_reason.items()]
    return lines


HEAD = """# Clients

Clients that others wrote, each calling all of its methods against `gpi venue`. `make clients` installs them under
build/clients and runs `tests/test_clients.py`, which compares every order that they parsed with `/gpi/state`; a call
that does not work has its reason in `tests/clients_table.py`. The page is written by `python -m tests.test_clients`.

The venue's time is the feed's. Clients that ask it for the time (`/v2/clock`: alpaca-trade-api, the servers of tools)
follow it; lumibot times its iterations and asks for history by its machine's clock, so its bars are there only where
the feed's day is today. Its orders, its fills and its positions do not care.
""".splitlines()


def page() -> str:
    """docs/clients.md."""
    lines = [*HEAD]
    for name in CLIENTS:
        lines += _rows(name)
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    if len(sys.argv) > 1:
        for one in found(sys.argv[1]):
            explained = reason(sys.argv[1], one)
            print(one.outcome, one.call, "|", json.dumps(one.detail)[:200], "|", explained or "")
    else:
        PAGE.write_text(page())
