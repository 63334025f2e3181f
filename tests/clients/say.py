"""What every driver in Python shares: where the venue is, and one JSON line for each call of the client."""

import json
import os
import sys
import time

VENUE = json.loads(os.environ["GPI_VENUE"])  # url, ws, key, secret, option, put, start, end, day
MOST = 6
OUT = os.fdopen(os.dup(1), "w")  # a client may print; its words go to stderr
os.dup2(2, 1)


def short(value, depth=0):
    """What a client gave, as JSON that can be compared and read."""
    value = getattr(value, "_raw", value) if type(value).__module__.startswith("alpaca_trade_api") else value
    if hasattr(value, "model_dump"):
        value = value.model_dump(mode="json")
    if isinstance(value, dict):
        return {str(name): short(each, depth + 1) for name, each in list(value.items())[:80]} if depth < 7 else "..."
    if isinstance(value, (list, tuple)):
        return [short(each, depth + 1) for each in list(value)[:MOST]]
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return str(value)[:300]


def say(call, outcome, detail=None):
    """One line."""
    OUT.write(json.dumps({"call": call, "outcome": outcome, "detail": short(detail)}) + "\n")
    OUT.flush()


def call(name, what):
    """Do one call and say how it went; gives what the client gave, or None."""
    try:
        value = what()
    except Exception as wrong:
        say(name, "failed", f"{type(wrong).__name__}: {wrong}"[:300])
        return None
    say(name, "worked", value)
    return value


def until(what, patience=15.0):
    """Wait until something is true and give it; an error otherwise."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        found = what()
        if found:
            return found
        time.sleep(0.02)
    raise TimeoutError("nothing came")


class Watched:
    """A client that remembers which of its methods were called."""

    def __init__(self, client):
        self._client, self.called = client, set()

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        self.called.add(name)
        return getattr(self._client, name)

    def uncalled(self, *helpers):
        """Say which public methods nobody called."""
        for name in dir(type(self._client)):
            if (
                not name.startswith("_")
                and callable(getattr(type(self._client), name))
                and name not in self.called
                and name not in helpers
            ):
                say(name, "uncalled")


def leave():
    """End at once, whatever threads a client has left."""
    OUT.flush()
    sys.stderr.flush()
    os._exit(0)
