"""The dead-man: a process of its own that cancels a trader's orders when the trader dies, hangs or is to be killed.

It is started with one inherited pipe: first a line of JSON (keys, host, tag, kill file), then a byte for every beat,
and a line for every leg of a bracket, whose id at the broker does not tell whose it is. A `q` is a clean goodbye. An
end without one, or no beat for `patience_s`, cancels the orders with the trader's tag, and their legs. The kill file
cancels every order of the account and suspends trading at the broker, even if the trader is stopped.
"""

from __future__ import annotations

import json
import os
import re
import select
import signal
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from gpi.formats.errors import VenueError
from gpi.formats.secrets import Secret
from gpi.tools import children
from gpi.tools.brokers.alpaca.rest import Keys, Reply, Rest, loopback

PATIENCE_S: Final = 5.0
LOOK_S: Final = 0.1  # how often the kill file is looked for
ENOUGH_S: Final = 86_400.0  # how long it keeps trying to get the orders cancelled, through an outage of the network
ENOUGH_HERE_S: Final = 120.0  # at a venue on this machine: one that is gone so long has no orders
LATE_S: Final = 5.0  # how long a request that was on its way when the trader died may still arrive
BEAT: Final = b"."
GOODBYE: Final = b"q"
LEG: Final = re.compile(rb"\+([0-9A-Za-z-]+)\n")
Made = TypeVar("Made")
MOST: Final = 500  # orders in one answer
LONGEST: Final = 18  # digits of an epoch
FELL: Final = 6  # exit code of a dead-man that fell itself: orders may be left, as with 5


@dataclass(frozen=True)
class Orders:
    """What the dead-man needs to know."""

    key_id: str
    secret: str
    url: str
    tag: str
    kill_file: str
    patience_s: float = PATIENCE_S

    def __repr__(self) -> str:
        return f"Orders({self.url}, {self.tag})"


class Deadman:
    """The trader's end of it: `beat` often, `goodbye` at a clean end."""

    def __init__(self, keys: Keys, url: str, tag: str, kill_file: Path, patience_s: float = PATIENCE_S) -> None:
        kill = os.path.abspath(kill_file)  # it does not live where we do
        orders = Orders(keys.key_id.reveal(), keys.secret.reveal(), url, tag, kill, patience_s)
        theirs, self._pipe = os.pipe()
        heard, ready = os.pipe()
        self._process = children.start(
            "gpi.tools.brokers.deadman", str(theirs), str(ready),
            pass_fds=(theirs, ready), stdin=children.NOWHERE, stdout=children.NOWHERE, start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        os.close(ready)
        self._ready = heard
        try:
            os.write(self._pipe, json.dumps(vars(orders)).encode() + b"\n")
        except BrokenPipeError:
            pass  # it died at once: `wait_ready` says so
        os.set_blocking(self._pipe, False)
        self._untold: list[str] = []

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def wait_ready(self, seconds: float) -> None:
        """Raise VenueError unless it watches within that time: without it nothing is traded."""
        found, _, _ = select.select([self._ready], [], [], seconds)
        said = os.read(self._ready, 1) if found else b""
        os.close(self._ready)
        if said != b"r":
            raise VenueError("the dead-man process did not start: no orders are sent without it")

    def beat(self) -> bool:
        """Still alive; False if the dead-man is not."""
        self.mind([])
        try:
            os.write(self._pipe, BEAT)
        except BlockingIOError:
            pass
        except OSError:
            return False
        return self._process.poll() is None

    def mind(self, legs: list[str]) -> None:
        """These orders are ours, too, though their ids do not say so; told again with the beats until they are."""
        self._untold += legs
        try:
            while self._untold:
                os.write(self._pipe, f"+{self._untold[0]}\n".encode())
                self._untold.pop(0)
        except OSError:
            pass

    def leave(self) -> None:
        """An end with orders left: it cancels them, and goes on after this process."""
        os.close(self._pipe)
        if self._process.poll() is None:
            self._process.returncode = 0  # it is meant to outlive us: no warning when this object goes

    def goodbye(self) -> None:
        """A clean end: nothing is to be done."""
        try:
            os.set_blocking(self._pipe, True)
            os.write(self._pipe, GOODBYE)
        except OSError:
            pass
        os.close(self._pipe)
        try:
            self._process.wait(5.0)
        except children.TimeLimit:
            self._process.terminate()


def watch(pipe: int, orders: Orders, legs: set[str]) -> str:
    """Wait for the end: "goodbye", "died", "silent" or "kill"; `legs` grows by the ids that are told."""
    last, heard = time.monotonic(), b""
    while True:
        readable, _, _ = select.select([pipe], [], [], LOOK_S)
        now = time.monotonic()
        if readable:
            said = os.read(pipe, 4096)
            heard += said
            legs |= {each.decode() for each in LEG.findall(heard)}
            rest = LEG.sub(b"", heard)
            heard = rest[rest.find(b"+") :] if b"+" in rest else b""
            if GOODBYE in rest:
                return "goodbye"
            if not said:
                return "died"
            last = now
        if os.path.exists(orders.kill_file):
            return "kill"
        if now - last > orders.patience_s:
            return "silent"


def cancel(
    rest: Rest, tag: str | None, deadline_s: float = ENOUGH_HERE_S, late_s: float = 0.0, legs: Iterable[str] = ()
) -> bool:
    """Cancel open orders until two looks find none: those of `tag` and of the runs before it, or all (None).

    `late_s`: go on looking for so long after the first look that finds none, for what arrives late. `legs`: ids of
    orders that are ours, too; legs that nobody has told of are found by the orders that they came with.
    """
    ours = set(legs)
    end, wait = time.monotonic() + deadline_s, 0.05
    quiet, since = 0, 0.0
    while (now := time.monotonic()) < end:
        if quiet >= 2 and now - since >= late_s:
            return True
        found = _tried(_swept, rest, tag, ours)
        if found:
            quiet = 0
        elif found is not None:
            quiet, since = quiet + 1, since if quiet else now
        time.sleep(wait)
        wait = min(wait * 1.5, 1.0)
    return False


def _swept(rest: Rest, tag: str | None, ours: set[str]) -> int | None:
    """One look, and a cancel for every order that it finds: how many, None where the broker does not tell."""
    reply = _asked(rest, "GET", "/orders", {"status": "open", "limit": MOST})
    if reply is None or reply.status != 200 or not isinstance(reply.body, list):
        return None
    if tag is not None and reply.body:
        ours |= _legs(rest, tag)
    rows = [row for row in reply.body if isinstance(row, dict) and (str(row.get("id")) in ours or _ours(row, tag))]
    if rows:
        for path in ["/orders"] if tag is None else [f"/orders/{row.get('id')}" for row in rows]:
            _asked(rest, "DELETE", path)
    return len(rows)


def _legs(rest: Rest, tag: str) -> set[str]:
    """The legs of our last orders, those that have filled among them."""
    reply = _asked(rest, "GET", "/orders", {"status": "all", "nested": True, "limit": MOST, "direction": "desc"})
    body = reply.body if reply is not None and isinstance(reply.body, list) else []
    legs = [row["legs"] for row in body if isinstance(row, dict) and row.get("legs") and _ours(row, tag)]
    each = [leg for some in legs if isinstance(some, list) for leg in some]
    return {str(leg["id"]) for leg in each if isinstance(leg, dict) and leg.get("id")}


def suspend(rest: Rest, on: bool = True) -> bool:
    """Switch trading off (or on again) at the broker itself."""
    reply = _asked(rest, "PATCH", "/account/configurations", {"suspend_trade": on})
    return reply is not None and reply.status == 200


def _ours(row: dict[str, Any], tag: str | None) -> bool:
    """Whether an order is this run's or a former one's of the same journal; a later trader's is not."""
    if tag is None:
        return True
    owner, _, last = tag.rstrip("-").rpartition("-")
    found, _, rest = str(row.get("client_order_id") or "").partition(f"{owner}-")
    epoch = rest.partition("-")[0]
    return not found and epoch.isdecimal() and len(epoch) <= LONGEST and int(epoch) <= int(last)


def _asked(rest: Rest, method: str, path: str, data: Any = None) -> Reply | None:
    return _tried(rest.call, method, path, data)


def _tried(step: Callable[..., Made], *given: Any) -> Made | None:
    """What a step comes to, None where it fails: whatever a broker answers, the next try must come."""
    try:
        return step(*given)
    except Exception:
        return None


def kill(rest: Rest) -> bool:
    """Cancel everything and suspend trading; True when no order is open any more."""
    _asked(rest, "DELETE", "/orders")
    suspended = suspend(rest)
    done = cancel(rest, None)
    return done and (suspended or suspend(rest))


def main(pipe: int, ready: int) -> int:
    """The process: 0 after a goodbye, 4 after a kill, 1 after the trader's death; 5 if orders may be left.

    6 (FELL) where it fell itself; no answer of a broker brings that about.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # what ends a terminal's jobs must not end the one who looks after them
    line = bytearray()
    while not line.endswith(b"\n"):
        more = os.read(pipe, 1)
        if not more:
            return 1
        line += more
    orders = Orders(**json.loads(line))
    rest = Rest(Keys(Secret(orders.key_id), Secret(orders.secret)), orders.url)
    with suppress(BrokenPipeError):  # a trader that was interrupted while it started is gone: `watch` sees it
        os.write(ready, b"r")
    os.close(ready)
    legs = set[str]()
    ended = _tried(watch, pipe, orders, legs)  # None: it cannot watch any more, and takes the trader for dead
    if ended == "goodbye":
        return 0
    if ended == "kill":
        return 4 if kill(rest) else 5
    os.close(pipe)  # a trader that wakes up after all learns at its next beat that its orders are being cancelled
    enough = ENOUGH_HERE_S if loopback(orders.url) else ENOUGH_S
    return 1 if cancel(rest, orders.tag, enough, LATE_S, legs) else 5


if __name__ == "__main__":
    try:
        code = main(int(sys.argv[1]), int(sys.argv[2]))
    except Exception as wrong:
        sys.stderr.write(f"gpi trade: the dead-man fell ({type(wrong).__name__}): look at the broker for open orders\n")
        code = FELL
    sys.exit(code)
