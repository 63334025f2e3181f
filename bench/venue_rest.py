"""The venue's REST: an order's round trip, raw and by alpaca-py, alone and in a crowd; and what a long life costs.

The venue is the real command in a process of its own, without a feed; a tick from control quotes the share. Raw is
one kept connection and a request as bytes: what is left is the venue's own time and the loopback's.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import requests
from alpaca.trading.client import TradingClient

from bench.harness import ROOT, timing

GPI = [sys.executable, "-c", "from gpi.cli.main import main; main()"]
ORDERS = 1000
CROWD = 4
AGED = (0, 1000, 10_000)  # orders there have been
RESTING = 400  # of them still open


class Line:
    """One kept connection that writes requests and reads answers whole."""

    def __init__(self, said: dict[str, Any]) -> None:
        self._socket = socket.create_connection(("127.0.0.1", said["port"]))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        keys = f"APCA-API-KEY-ID: {said['key_id']}\r\nAPCA-API-SECRET-KEY: {said['secret']}\r\n"
        self._head = f"HTTP/1.1\r\nHost: 127.0.0.1\r\n{keys}"
        self._left = b""

    def call(self, verb: str, path: str, body: Any = None) -> tuple[int, bytes]:
        """Status and body of one request."""
        data = b"" if body is None else json.dumps(body).encode()
        self._socket.sendall(f"{verb} {path} {self._head}Content-Length: {len(data)}\r\n\r\n".encode() + data)
        while (end := self._left.find(b"\r\n\r\n")) < 0:
            self._left += self._socket.recv(1 << 16)
        head, rest = self._left[:end].lower(), self._left[end + 4 :]
        at = head.find(b"content-length: ")
        size = int(head[at + 16 :].split(b"\r", 1)[0]) if at >= 0 else 0
        while len(rest) < size:
            rest += self._socket.recv(1 << 16)
        self._left = rest[size:]
        return int(head[9:12]), rest[:size]


def order(**words: Any) -> dict[str, Any]:
    """A buy limit far below the market, unless told."""
    usual = {"symbol": "AAPL", "qty": 1, "side": "buy", "type": "limit", "limit_price": 50, "time_in_force": "day"}
    return {name: value for name, value in {**usual, **words}.items() if value is not None}


def raw(line: Line, count: int, body: dict[str, Any], cancel: bool = True) -> list[float]:
    """Seconds of each POST; the orders are cancelled in between, uncounted."""
    taken = []
    for _ in range(count):
        begun = time.perf_counter()
        status, answer = line.call("POST", "/v2/orders", body)
        taken.append(time.perf_counter() - begun)
        assert status == 200, answer
        if cancel:
            assert line.call("DELETE", f"/v2/orders/{json.loads(answer)['id']}")[0] == 204
    return taken


def by_client(said: dict[str, Any], count: int) -> list[float]:
    """The same POST by alpaca-py, the models' time included."""
    from alpaca.trading.requests import LimitOrderRequest

    client = TradingClient(said["key_id"], said["secret"], url_override=said["url"])
    taken = []
    for _ in range(count):
        wish = LimitOrderRequest(symbol="AAPL", qty=1, side="buy", time_in_force="day", limit_price=50)
        begun = time.perf_counter()
        made = client.submit_order(wish)
        taken.append(time.perf_counter() - begun)
        client.cancel_order_by_id(made.id)  # type: ignore[union-attr]
    client._session.close()
    return taken


def crowd(said: dict[str, Any]) -> tuple[float, list[float]]:
    """Several connections at once, each order left to be: orders a second, and the seconds of each."""
    found: list[list[float]] = []
    lines = [Line(said) for _ in range(CROWD)]
    body = order(type="market", limit_price=None)
    work = [threading.Thread(target=lambda line=each: found.append(raw(line, ORDERS, body, False))) for each in lines]
    begun = time.perf_counter()
    for each in work:
        each.start()
    for each in work:
        each.join()
    return CROWD * ORDERS / (time.perf_counter() - begun), [seconds for one in found for seconds in one]


def shown(what: str, seconds: list[float]) -> None:
    """One line."""
    found = timing(seconds)
    rate = len(seconds) / sum(seconds)
    times = f"{1e3 * found.p50:.2f} ms p50, {1e3 * found.p99:.2f} p99"
    print(f"{what}: {times}, {rate:.0f} a second ({len(seconds)} orders)")


def aged(said: dict[str, Any]) -> None:
    """What orders cost an account with a past, and lists of it."""
    line, made = Line(said), 0
    for count in AGED:
        raw(line, max(0, count - made - RESTING), order(type="market", limit_price=None), cancel=False)
        raw(line, min(RESTING, count), order(), cancel=False)
        made = count
        shown(f"raw limit order, {count} orders there have been, {min(RESTING, count)} open", raw(line, 200, order()))
        begun = time.perf_counter()
        for _ in range(20):
            line.call("GET", "/v2/orders?status=all&limit=500")
        print(f"  a list of 500 orders: {1e3 * (time.perf_counter() - begun) / 20:.1f} ms")
        line.call("DELETE", "/v2/orders")


def main() -> None:
    """A venue, a quote, and orders."""
    with tempfile.TemporaryDirectory() as folder:
        ready = Path(folder, "ready.json")
        words = ["--ready", str(ready), "--rate-limit", "0", "--hours", "always", "--cash", "100000000"]
        venue = subprocess.Popen(
            [*GPI, "venue", *words, "--fill", "conservative"],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        try:
            begun = time.perf_counter()
            while not ready.exists() and venue.poll() is None:
                time.sleep(0.01)
            print(f"from the command to the ready line: {time.perf_counter() - begun:.1f} s")
            said = json.loads(ready.read_text())["gpi.venue"]
            token = {"Authorization": f"Bearer {said['token']}"}
            tick = {"symbol": "AAPL", "bid": [99, 10**9], "ask": [101, 10**9]}
            requests.post(f"{said['url']}/gpi/control", json={"tick": tick}, headers=token, timeout=60)
            line = Line(said)
            raw(line, 200, order())
            shown("raw limit order, rests", raw(line, ORDERS, order()))
            shown("raw market order, fills", raw(line, ORDERS, order(type="market", limit_price=None), cancel=False))
            shown("alpaca-py, limit order, rests", by_client(said, ORDERS))
            rate, seconds = crowd(said)
            shown(f"raw market orders, {CROWD} connections at once ({rate:.0f} a second together)", seconds)
            aged(said)
        finally:
            venue.terminate()
            venue.communicate()


if __name__ == "__main__":
    main()
