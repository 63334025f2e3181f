"""Answers over HTTP: none is too long, too slow or too odd for those who ask; the dead-man asks again."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gpi.formats.secrets import Secret
from gpi.tools.brokers import deadman
from gpi.tools.brokers.alpaca import rest as broker
from gpi.tools.brokers.alpaca.rest import Keys, Rest, Unanswered
from gpi.tools.feeds.live import refill
from gpi.tools.feeds.live.venue_time import clock_of
from gpi.tools.replies import Bounds
from tests.shell import ROOT

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
ODD = {
    "nested without end": b"[" * 200_000,
    "objects without end": b'{"a":' * 100_000,
    "a number of 6,000 digits": b'[{"a":' + b"1" * 6_000 + b"}]",
    "no text": b"\xff\xfe\x00",
    "not JSON": b"<html>",
}
MINE = "gpi-PA1-ab-1-"

Serve = Callable[[socket.socket, bytes], object]


@contextlib.contextmanager
def peer(serve: Serve) -> Iterator[str]:
    """A server that gives every connection's first request to `serve`."""

    def take(server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                one, _ = server.accept()
                threading.Thread(target=give, args=(one,), daemon=True).start()

    def give(one: socket.socket) -> None:
        with one, contextlib.suppress(OSError):
            serve(one, one.recv(65_536))

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=take, args=(server,), daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def whole(body: bytes, more: bytes = b"") -> bytes:
    """An answer with a length."""
    return OK + more + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def packed(megabytes: int) -> bytes:
    """An answer of a few kilobytes that unpacks to so many megabytes."""
    made = zlib.compressobj(9, zlib.DEFLATED, 31)
    body = b"".join(made.compress(b" " * (1 << 20)) for _ in range(megabytes)) + made.compress(b"{}") + made.flush()
    return whole(body, b"Content-Encoding: gzip\r\n")


def bomb(one: socket.socket, _: bytes) -> None:
    one.sendall(packed(100))


def endless(one: socket.socket, _: bytes) -> None:
    """Chunk after chunk."""
    one.sendall(OK + b"Transfer-Encoding: chunked\r\n\r\n")
    while True:
        one.sendall(b"10000\r\n" + b" " * 65_536 + b"\r\n")


def headless(one: socket.socket, _: bytes) -> None:
    """Interim answers, and never the answer."""
    while True:
        one.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 1_000)


def asked(url: str) -> Rest:
    return Rest(Keys(Secret("PK"), Secret("s")), url)


@pytest.mark.parametrize("body", ODD.values(), ids=ODD)
def test_what_cannot_be_read_is_a_reply_without_a_body(body: bytes) -> None:
    """Not a fault of the one who asked."""
    with peer(lambda one, _: one.sendall(whole(body))) as url:
        reply = asked(url).call("GET", "/orders")
    assert reply.status == 200 and reply.body is None


@pytest.mark.parametrize("serve", [bomb, endless, headless])
def test_a_reply_of_the_broker_that_is_too_long_is_none(serve: Serve) -> None:
    """On the wire, unpacked, and before its body."""
    with peer(serve) as url, pytest.raises(Unanswered, match=r"8,388,608 bytes"):
        asked(url).call("GET", "/orders")


@pytest.mark.parametrize("unpacked", [0, 7])
def test_a_reply_within_the_bounds_is_read_whole(unpacked: int) -> None:
    """Packed or not, and the connection serves again."""
    with peer(lambda one, _: one.sendall(packed(unpacked) if unpacked else whole(b"{}"))) as url:
        rest = asked(url)
        for _ in range(2):
            reply = rest.call("GET", "/orders")
            assert reply.body == {} and len(reply.text) == (unpacked << 20) + 2


def _refillers(url: str) -> list[refill.Refiller]:
    pair = (Secret("k" * 20), Secret("s" * 40))
    return [
        refill.AlpacaRest("stocks", "iex", url, pair, {"trades": ["SPY"]}),
        refill.PolygonRest(url, Secret("k" * 20), {"T": ["SPY"]}),
    ]


@pytest.mark.parametrize("serve", [bomb, endless, headless])
@pytest.mark.parametrize("vendor", [0, 1])
def test_a_gap_is_not_refilled_without_end(monkeypatch: pytest.MonkeyPatch, serve: Serve, vendor: int) -> None:
    """The symbols are lost, and why is said."""
    monkeypatch.setattr(refill, "PAGE", Bounds(1 << 20, 60.0, time.monotonic))
    with peer(serve) as url:
        found = _refillers(url)[vendor].since(0)
    assert found.lost == ["SPY"] and "1,048,576 bytes" in found.why


@pytest.mark.parametrize("vendor", [0, 1])
def test_a_page_that_comes_too_slowly_is_given_up(monkeypatch: pytest.MonkeyPatch, vendor: int) -> None:
    """A byte now and then lets no read time out; the page has a time of its own."""

    def drip(one: socket.socket, _: bytes) -> None:
        one.sendall(OK + b"Content-Length: 1000000\r\n\r\n")
        while not over.wait(0.02):
            one.sendall(b" ")

    over = threading.Event()
    monkeypatch.setattr(refill, "PAGE", Bounds(1 << 20, 0.3, time.monotonic))
    with peer(drip) as url:
        found = _refillers(url)[vendor].since(0)
    over.set()
    assert found.lost == ["SPY"] and "more than 0.3 s" in found.why


@pytest.mark.parametrize("serve", [bomb, endless, headless, *(whole(body) for body in ODD.values())])
def test_a_clock_that_cannot_be_read_tells_no_time(serve: Any) -> None:
    """And ends no thread."""
    with peer(serve if callable(serve) else lambda one, _: one.sendall(serve)) as url:
        assert clock_of(url, [Secret("k")])() is None


@pytest.mark.parametrize("odd", [
    *ODD.values(),
    b'[{"id":{"a":1},"client_order_id":"gpi-PA1-ab-9"},{"id":[],"legs":7,"client_order_id":"%s9"}]' % MINE.encode(),
    b'[{"id":"\\ud800","client_order_id":"gpi-PA1-ab-1-3"},{"client_order_id":"gpi-PA1-ab-%s-1"}]' % (b"9" * 6_000),
])  # fmt: skip
def test_the_dead_man_goes_on_after_an_odd_reply(tmp_path: Path, odd: bytes) -> None:
    """The trader dies; the first look is answered with nonsense, the order is cancelled all the same."""
    looks, open_orders = [0], {"o1"}

    def serve(one: socket.socket, said: bytes) -> None:
        if said.startswith(b"DELETE /v2/orders/o1 "):
            open_orders.discard("o1")
        rows = json.dumps([{"id": each, "client_order_id": f"{MINE}1"} for each in open_orders]).encode()
        looks[0] += said.startswith(b"GET")
        one.sendall(whole(odd if looks[0] <= 2 else rows))

    with peer(serve) as url:
        theirs, ours = os.pipe()
        heard, ready = os.pipe()
        words = [sys.executable, "-m", "gpi.tools.brokers.deadman", str(theirs), str(ready)]
        with subprocess.Popen(words, cwd=ROOT, pass_fds=(theirs, ready), stderr=subprocess.PIPE) as process:
            os.close(theirs)
            os.close(ready)
            orders = deadman.Orders("PK", "s", url, MINE, str(tmp_path / "kill"))
            os.write(ours, json.dumps(vars(orders)).encode() + b"\n")
            assert os.read(heard, 1) == b"r"
            os.close(ours)
            os.close(heard)
            _, said = process.communicate(timeout=60)
    assert (process.returncode, said, open_orders) == (1, b"", set())


def test_a_dead_man_that_falls_itself_does_not_say_that_all_is_cancelled() -> None:
    """Its exit code is its own, and the line says where to look."""
    theirs, ours = os.pipe()
    os.write(ours, b"{}\n")
    words = [sys.executable, "-m", "gpi.tools.brokers.deadman", str(theirs), str(theirs)]
    done = subprocess.run(words, cwd=ROOT, pass_fds=(theirs,), capture_output=True, timeout=60, check=False)
    os.close(theirs)
    os.close(ours)
    assert done.returncode == deadman.FELL and done.stderr.count(b"\n") == 1 and b"open orders" in done.stderr


@pytest.mark.parametrize("body", ODD.values(), ids=ODD)
def test_a_kill_at_a_broker_of_odd_replies_ends_with_its_word(body: bytes) -> None:
    """No order is said to be cancelled, and nothing falls."""
    with peer(lambda one, _: one.sendall(whole(body))) as url:
        rest = asked(url)
        deadman.suspend(rest)
        assert not deadman.cancel(rest, None, 0.5)


def test_the_most_that_is_read_holds_what_is_asked_for() -> None:
    """500 orders, each with two legs, of 2 kB each."""
    assert broker.MOST > 500 * 3 * 2_000
