"""The venue against whoever means it no good: nonsense, half requests, floods, strangers' pages. No traceback, ever."""

import contextlib
import gc
import gzip
import json
import shlex
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpi.formats.instruments import equity, option
from gpi.tools.venue.patience import Patience
from tests.brokerage import Venue
from tests.shell import GPI, ROOT
from tests.venues import Ready, running_venue, until, venue_here

CALL = option("AAPL260116C00190000")
ORDER = b'{"symbol":"AAPL","qty":1,"side":"buy","type":"market","time_in_force":"day"}'


@pytest.fixture(scope="module")
def venue() -> Iterator[Ready]:
    """A share and an option, quoted; one for all tests, so that what one leaves behind meets the next."""
    with venue_here([equity("AAPL"), CALL]) as ready:
        ready.tick(bid=[99, 1000], ask=[101, 1000], trade=[100, 5])
        ready.tick(CALL.symbol, bid=[3.1, 50], ask=[3.2, 50])
        yield ready


@pytest.fixture(autouse=True)
def sound(venue: Ready) -> Iterator[None]:
    """After each test: the venue answers, and nothing inside it went wrong."""
    yield
    assert venue.call("GET", "/v2/account").status_code == 200
    assert venue.state()["counters"].get("mishaps", 0) == 0


def written(venue: Ready, verb: str, path: str, body: bytes = b"", more: str = "", keys: str | None = None) -> bytes:
    """A request as bytes; with the right keys unless told."""
    own = f"APCA-API-KEY-ID: {venue.key_id}\r\nAPCA-API-SECRET-KEY: {venue.secret}\r\n" if keys is None else keys
    host = "" if "Host:" in more else "Host: 127.0.0.1\r\n"
    head = f"{verb} {path} HTTP/1.1\r\n{host}{own}{more}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode("latin-1") + body


def spoken(venue: Ready, data: bytes, patience: float = 10.0) -> bytes:
    """Write bytes to the port, and read until the venue closes."""
    with socket.create_connection(("127.0.0.1", int(venue.url.rsplit(":", 1)[1]))) as line:
        line.settimeout(patience)
        found = b""
        try:
            line.sendall(data)
            while got := line.recv(1 << 16):
                found += got
        except OSError:
            pass
        return found


def asked(venue: Ready, *words: Any, **more: Any) -> tuple[int, Any]:
    """Status and JSON of one raw request."""
    head, _, body = spoken(venue, written(venue, *words, **more)).partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body) if body else None


BODIES = (
    b"", b"{", b"[]", b"1", b'"x"', b"null", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 50_000,
    b'{"symbol":"AAPL","qty":' + b"1" * 5000 + b"}",
    b'{"type":["market"],"time_in_force":{},"order_class":[1]}',
    b'{"type":"market","time_in_force":"day","qty":1,"client_order_id":{"a":2}}',
    b'{"type":"market","time_in_force":"day","qty":1,"symbol":"AAPL","position_intent":["x"]}',
    b'{"type":"market","time_in_force":"day","qty":1,"symbol":["AAPL"],"side":"buy"}',
    b'{"type":"market","time_in_force":"day","qty":1,"symbol":"\\ud800","side":"buy"}',
    b'{"type":"limit","limit_price":1,"time_in_force":"day","qty":1,"symbol":"AAPL","side":"buy","extended_hours":"no"}',
    b'{"order_class":"mleg","qty":1,"type":"limit","limit_price":1,"time_in_force":"day","legs":[1,2]}',
    b'{"order_class":"bracket","take_profit":[1],"type":"market","time_in_force":"day","qty":1}',
)  # fmt: skip


@pytest.mark.parametrize("body", BODIES, ids=lambda body: repr(body[:24]))
def test_what_is_no_order_is_refused_in_words(venue: Ready, body: bytes) -> None:
    """POST, PATCH and every other writer: 4xx, a code, a message; nothing was ordered."""
    before = len(venue.account()["orders"])
    for verb, path in (
        ("POST", "/v2/orders"), ("PATCH", "/v2/account/configurations"), ("POST", "/v2/watchlists"),
    ):  # fmt: skip
        status, told = asked(venue, verb, path, body)
        assert 400 <= status < 500 or path != "/v2/orders"
        assert status < 500
        assert status < 400 or (told["code"] and told["message"])
    assert len(venue.account()["orders"]) == before


NUMBERS = ("1e308", "-1e308", "-1", "0", "NaN", "Infinity", '"1e999999999"', '"1_000"', '"\\u0661"', '"0x10"', "true")
FIELDS = ("qty", "notional", "limit_price", "stop_price", "trail_price", "trail_percent")


@pytest.mark.parametrize("number", [*NUMBERS, '" 5 "', '"--5"', "[]", "{}", '"1e-400"', '"' + "9" * 300 + '"'])
@pytest.mark.parametrize("field", FIELDS)
def test_numbers_no_market_has_seen(venue: Ready, field: str, number: str) -> None:
    """Each is refused, wherever it stands."""
    body = f'{{"symbol":"AAPL","side":"buy","type":"market","time_in_force":"day","{field}":{number}}}'
    assert asked(venue, "POST", "/v2/orders", body.encode())[0] == 422


ODD = ("", "x", "-1", "²", "9" * 400, "1e3", "%00", "../../gpi/state", "💥", "\ud7ff", "0001-01-01", "9999-12-31",
       "99999999999999999999", "2026-01-05T00:00:00.²Z", "nan")  # fmt: skip
LISTS = {
    "/v2/orders": ("status", "limit", "after", "until", "direction", "side", "symbols", "after_order_id"),
    "/v2/account/activities": ("activity_types", "page_size", "page_token", "after", "date", "direction", "category"),
    "/v2/account/portfolio/history": ("period", "timeframe", "start", "end", "date_end", "pnl_reset", "cashflow_types"),
    "/v2/calendar": ("start", "end"),
    "/v2/assets": ("status", "asset_class", "exchange", "attributes"),
    "/v2/options/contracts": ("limit", "page_token", "expiration_date", "strike_price_gte", "type", "status"),
    "/v2/stocks/bars?symbols=AAPL": ("limit", "start", "end", "timeframe", "page_token", "sort"),
    "/v2/stocks/quotes?symbols=AAPL": ("limit", "start", "page_token"),
    "/v1beta1/options/snapshots/AAPL": ("limit", "type", "strike_price_lte", "expiration_date", "page_token"),
    "/v1beta1/screener/stocks/most-actives": ("top", "by"),
    "/v3/trades/AAPL": ("limit", "timestamp", "timestamp.gte", "cursor", "order"),
    "/v3/snapshot/options/AAPL": ("limit", "cursor", "strike_price.gt", "expiration_date", "contract_type"),
    "/v2/aggs/ticker/AAPL/range/1/minute/2026-01-05/2026-01-06": ("limit", "cursor", "sort"),
}  # fmt: skip


@pytest.mark.parametrize("path", LISTS)
def test_odd_words_in_a_query(venue: Ready, path: str) -> None:
    """No word of any list breaks it."""
    for name in LISTS[path]:
        for value in ODD:
            answered = venue.call("GET", path, **{name: value})
            assert answered.status_code < 500, (name, value, answered.text)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.text(max_size=40), st.sampled_from(("GET", "POST", "PUT", "PATCH", "DELETE")))
def test_any_name_in_a_path(venue: Ready, name: str, verb: str) -> None:
    """Whatever stands where an id or a symbol should: an answer below 500."""
    quoted = quote(name.encode("utf-8", "surrogatepass"), safe="")
    for path in (
        "/v2/orders/{}", "/v2/positions/{}", "/v2/positions/{}/exercise", "/v2/assets/{}", "/v2/watchlists/{}/x",
        "/v2/options/contracts/{}", "/v2/stocks/{}/quotes", "/v3/quotes/{}", "/v2/aggs/ticker/{}/prev",
        "/v2/aggs/ticker/AAPL/range/{0}/minute/{0}/{0}", "/v1/open-close/AAPL/{}", "/v2/account/activities/{}",
    ):  # fmt: skip
        answered = requests.request(verb, venue.url + path.format(quoted), headers=venue.headers, timeout=30)
        assert answered.status_code < 500, (path, answered.text)


def test_bodies_too_large_or_wrongly_packed(venue: Ready) -> None:
    """More than a megabyte, also when packed, is 413; what does not unpack is refused; a packed order is an order."""
    assert asked(venue, "POST", "/v2/orders", b"x" * (3 << 20))[0] == 413
    packed = {"more": "Content-Encoding: gzip\r\n"}
    assert asked(venue, "POST", "/v2/orders", gzip.compress(b" " * (30 << 20)), **packed)[0] == 413
    assert asked(venue, "POST", "/v2/orders", b"no gzip", **packed)[0] == 422
    assert asked(venue, "POST", "/v2/orders", gzip.compress(ORDER), **packed)[0] == 200


def test_only_this_machine_by_its_own_name(venue: Ready) -> None:
    """A page that points a name of its own at 127.0.0.1, or asks from elsewhere, gets 403, with the right keys too."""
    for path in ("/v2/account", "/gpi/state", "/stream", "/v2/iex"):
        for more in ("Host: evil.example\r\n", "Host: 127.0.0.1.evil.example\r\n", "Origin: https://evil.example\r\n",
                     "Origin: null\r\n"):  # fmt: skip
            assert asked(venue, "GET", path, more=more)[0] == 403, (path, more)
    for more in (
        "Host: localhost:1\r\n",
        "Host: [::1]\r\n",
        "Host: 127.1.2.3\r\n",
        "Origin: http://localhost:3000\r\n",
    ):
        assert asked(venue, "GET", "/v2/account", more=more)[0] == 200, more
    old = f"GET /v2/account HTTP/1.0\r\nAPCA-API-KEY-ID: {venue.key_id}\r\nAPCA-API-SECRET-KEY: {venue.secret}\r\n\r\n"
    assert b" 200 " in spoken(venue, old.encode())[:20], "HTTP/1.0 knows no Host"


def test_no_header_opens_a_way_past_the_keys(venue: Ready) -> None:
    """`Upgrade`, odd bytes, paths that climb: 401 or 404, never data; and an h2c offer does no harm."""
    for keys in ("", "Upgrade: h2c\r\n", "Upgrade: websocket\r\nConnection: Upgrade\r\n", "APCA-API-KEY-ID: \xff\r\n",
                 f"APCA-API-KEY-ID: {venue.key_id}\r\nAPCA-API-SECRET-KEY: \xff\xfe\r\n", "Authorization: Basic !\r\n",
                 "Authorization: Bearer \xff\r\n", f"Authorization: Basic {'A' * 4000}\r\n"):  # fmt: skip
        for path in ("/v2/account", "/v2/stocks/quotes?symbols=AAPL", "/v3/quotes/AAPL", "/gpi/state", "/v2/nothing"):
            assert asked(venue, "GET", path, keys=keys)[0] == 401, (path, keys)
    assert asked(venue, "GET", "/v2/orders/..%2f..%2fgpi%2fstate")[0] == 404
    assert asked(venue, "GET", "/gpi/..%2fv2/account", keys="")[0] == 404
    assert asked(venue, "GET", "/v2/account", more="Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n")[0] == 200


def test_wrong_verbs_and_paths_are_told_in_the_vendors_words(venue: Ready) -> None:
    """Alpaca: code and message. Polygon: status, request_id and error; both for keys, limits and what is not there."""
    assert asked(venue, "PUT", "/v2/orders") == (405, {"code": 40510000, "message": "method not allowed"})
    assert asked(venue, "GET", "/v2/nothing")[1]["code"] == 40410000
    assert spoken(venue, written(venue, "HEAD", "/v2/account")).startswith(b"HTTP/1.1 200")
    status, told = asked(venue, "GET", "/v3/quotes/AAPL", keys="")
    assert (status, told["status"], told["error"]) == (401, "ERROR", "Unknown API Key") and told["request_id"]
    assert asked(venue, "GET", "/v3/nothing")[1]["status"] == "NOT_FOUND"
    assert asked(venue, "GET", "/v3/quotes/AAPL?limit=-1")[1]["status"] == "ERROR"
    with venue_here(rate_limit=1) as slow:
        found = [requests.get(f"{slow.url}/v2/last/nbbo/AAPL?apiKey={slow.secret}", timeout=9) for _ in range(2)]
        assert found[1].status_code == 429 and "X-RateLimit-Limit" not in found[1].headers
        assert found[1].json()["status"] == "ERROR" and "maximum requests per minute" in found[1].json()["error"]
        assert slow.call("GET", "/v2/account").status_code == 200, "another bucket"
        assert slow.call("GET", "/v2/account").json() == {"code": 42910000, "message": "rate limit exceeded"}


def test_a_hundred_requests_in_one_breath_are_answered_in_order(venue: Ready) -> None:
    """Pipelined: as many answers as questions, and the order that was among them exists."""
    before = len(venue.account()["orders"])
    kept = written(venue, "GET", "/v2/clock").replace(b"Connection: close\r\n", b"")
    order = written(venue, "POST", "/v2/orders", ORDER).replace(b"Connection: close\r\n", b"")
    found = spoken(venue, kept * 100 + order + written(venue, "GET", "/v2/clock"))
    assert found.count(b"HTTP/1.1 200 OK") == 102
    assert len(venue.account()["orders"]) == before + 1


CONTROLS: tuple[Any, ...] = (
    [], 1, {"nothing": 1}, {"fault": {"name": ["x"]}}, {"fault": {"name": "slow", "seconds": "soon"}},
    {"fault": {"name": "status", "status": 9}}, {"fault": {"name": "close", "code": "x"}}, {"advance": 1e300},
    {"advance": "NaN"}, {"advance": -1}, {"tick": {"symbol": "A", "ts": 1e30}}, {"tick": {"symbol": "\ud800"}},
    {"tick": {"symbol": "A" * 99}}, {"tick": {"symbol": "AAPL", "bid": "x"}}, {"account": 3},
    {"account": {"key_id": "PKTEST", "secret": "other"}}, {"asset": 5}, {"asset": {"symbol": "AAPL", "x": 1}},
    {"halt": {"symbol": [1]}}, {"skew": "x"}, {"mwcb": {"level": "x"}},
    {"external": {"symbol": "AAPL", "qty": "1e999"}},
)  # fmt: skip


@pytest.mark.parametrize("words", CONTROLS, ids=str)
def test_control_refuses_what_it_does_not_understand(venue: Ready, words: Any) -> None:
    """400 and a message; the token is asked first."""
    token = {"Authorization": f"Bearer {venue.token}"}
    refused = requests.post(f"{venue.url}/gpi/control", json=words, headers=token, timeout=30)
    assert refused.status_code == 400 and refused.json()["message"], refused.text
    assert requests.post(f"{venue.url}/gpi/control", json=words, timeout=30).status_code == 401


def framed(kind: int, payload: bytes) -> bytes:
    """A masked frame of a websocket."""
    size = len(payload)
    head = bytes([0x80 | size]) if size < 126 else bytes([0xFF]) + struct.pack(">Q", size)
    if 126 <= size < 1 << 16:
        head = bytes([0xFE]) + struct.pack(">H", size)
    return bytes([0x80 | kind]) + head + b"\0\0\0\0" + payload


NASTY = (
    b"{", b"[" * 50_000, b"[]", b"5", b"null", b"\xff\xfe", b'{"action":5}', b'{"action":["auth"]}',
    b'{"action":"auth"}',
    b'{"action":"auth","key":5,"secret":[1],"params":{"a":1}}', b'{"action":"listen","data":{"streams":[[1]]}}',
    b'{"action":"auth","key":"\\ud800","secret":"\\ud800","params":"\\ud800"}', b'{"action":"listen","data":5}',
    b'{"action":"authenticate","data":{"key_id":[1],"secret_key":{}}}', b'{"action":"authenticate","data":[1]}',
)  # fmt: skip
SUBSCRIPTIONS = (
    b'{"action":"subscribe","trades":["\\ud800"],"params":"T.\\ud800"}',
    b'{"action":"subscribe","quotes":5,"params":5}',
    b'{"action":"subscribe","quotes":[1,null,{}],"params":"Q"}', b'{"action":"subscribe","x":["A"],"params":"X.A,.,,"}',
    b'{"action":"unsubscribe","quotes":["*"],"params":"Q.*,XT.*"}',
    json.dumps({"action": "subscribe", "quotes": [f"S{i}" for i in range(100_000)],
                "params": ",".join(f"Q.S{i}" for i in range(100_000))}).encode(),
)  # fmt: skip


@pytest.mark.parametrize(
    "path", ["/stream", "/v2/iex", "/v1beta1/opra", "/v1beta3/crypto/us", "/v1beta1/news", "/stocks"]
)
def test_nonsense_on_a_socket(venue: Ready, path: str) -> None:
    """Text or binary, before and after the keys, too long, torn: the socket may end, the venue does not."""
    hello = (
        f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()
    auth = framed(1, json.dumps({"action": "auth", "key": venue.key_id, "secret": venue.secret,
                                 "params": venue.secret}).encode())  # fmt: skip
    bye = framed(8, b"\x03\xe8")
    for nasty in NASTY:
        spoken(venue, hello + framed(1, nasty) + framed(2, nasty) + bye, 5)
    for asking in SUBSCRIPTIONS:
        spoken(venue, hello + auth + framed(1, asking) + bye, 5)
    for torn in (
        framed(1, b"x" * (5 << 20)),
        framed(9, b"a" * 200),
        framed(3, b"a"),
        framed(1, b"{}")[:-1],
        b"\xff" * 9,
    ):
        spoken(venue, hello + torn, 0.2)
    until(lambda: not venue.state()["listening"])


def test_a_killed_client_leaves_no_traceback() -> None:
    """The real command: torn in a request, half closed, garbage, 1,100 slow connections; stderr stays clean."""
    with running_venue("--rate-limit", "0") as venue:
        port = int(venue.url.rsplit(":", 1)[1])
        whole = written(venue, "POST", "/v2/orders", ORDER * 40)
        for cut in range(0, len(whole) + 1, 61):
            line = socket.create_connection(("127.0.0.1", port))
            line.sendall(whole[:cut])
            if cut % 2:
                line.shutdown(socket.SHUT_WR)
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            line.close()
        for garbage in (b"\x16\x03\x01\x02\x00", b"GET / HTTP/9.9\r\n\r\n", b"FOO\r\n\r\n", whole[:-1] + b"\x00" * 9):
            spoken(venue, garbage, 0.3)
            spoken(venue, written(venue, "GET", "/v2/clock").replace(b"Connection: close\r\n", b"") + garbage, 0.3)
        slow = [socket.create_connection(("127.0.0.1", port)) for _ in range(1100)]
        for line in slow:
            line.sendall(b"GET /v2/acc")
        begun = time.monotonic()
        assert venue.call("GET", "/v2/clock").status_code == 200
        assert time.monotonic() - begun < 30
        for line in slow:
            line.close()
        assert venue.state()["counters"].get("mishaps", 0) == 0
    lines = [line for line in venue.said[0].splitlines() if "compiling kernels" not in line]
    assert len(lines) == 1 and '"gpi.venue"' in lines[0], lines


SHORT = Patience(header_s=0.5, body_s=0.5, idle_s=0.5, auth_s=0.5)
HELLO = (
    "GET {} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def connected(venue: Ready, data: bytes = b"") -> socket.socket:
    """A connection on which this has been said."""
    line = socket.create_connection(("127.0.0.1", int(venue.url.rsplit(":", 1)[1])), timeout=60)
    line.sendall(data)
    return line


def closed(line: socket.socket, drip: bytes = b"") -> bytes:
    """What comes until the venue closes the connection, while a byte drips at a time; fails when it never does."""
    found, end = b"", time.monotonic() + 60
    with line:
        line.settimeout(0.05)
        while time.monotonic() < end:
            try:
                if drip:
                    line.sendall(drip)
                got = line.recv(1 << 16)
            except TimeoutError:
                continue
            except OSError:
                return found
            if not got:
                return found
            found += got
    raise AssertionError("it stays open")


def test_half_of_anything_ends_by_itself() -> None:
    """Nothing said, half a header, headers and bodies that drip, connections that ask no more, sockets without keys."""
    with venue_here([equity("AAPL")], patience=SHORT) as venue:
        post = written(venue, "POST", "/v2/orders").replace(b"Content-Length: 0", b"Content-Length: 400")
        kept = written(venue, "GET", "/v2/clock").replace(b"Connection: close\r\n", b"")
        for said, drip in (
            (b"", b""), (b"GET /v2/acc", b""), (b"GET /v2/clock HTTP/1.1\r\nX: ", b"x"), (b"\r\n", b""),
            (HELLO.format("/stream").encode(), b""), (HELLO.format("/v2/iex").encode(), b""),
            (HELLO.format("/stocks").encode(), b""),
        ):  # fmt: skip
            closed(connected(venue, said), drip)
        assert b" 408 " in closed(connected(venue, post), b" ")[:20]
        assert b" 408 " in closed(connected(venue, post))[:20]
        assert closed(connected(venue, kept)).startswith(b"HTTP/1.1 200")
        assert closed(connected(venue, kept + b"GET /v2/cl")).startswith(b"HTTP/1.1 200")
        alive = connected(venue, HELLO.format("/stream").encode())
        auth = json.dumps({"action": "auth", "key": venue.key_id, "secret": venue.secret}).encode()
        alive.sendall(framed(1, auth) + framed(1, b'{"action":"listen","data":{"streams":["trade_updates"]}}'))
        until(lambda: venue.state()["listening"])
        time.sleep(1.2)
        venue.tick(bid=[99, 10], ask=[101, 10])
        assert venue.state()["listening"], "whoever has shown a key may be silent"
        alive.close()
        assert venue.state()["counters"].get("mishaps", 0) == 0


def test_nine_hundred_half_requests_keep_nobody_out() -> None:
    """While they are open orders fill and the data socket hears every tick, and then they are gone."""
    with venue_here([equity("AAPL")], patience=Patience(header_s=3.0)) as venue:
        lines = [connected(venue, b"GET /v2/account HTTP/1.1\r\nHost: local") for _ in range(900)]
        data = connected(venue, HELLO.format("/v2/iex").encode())
        auth = json.dumps({"action": "auth", "key": venue.key_id, "secret": venue.secret}).encode()
        data.sendall(framed(1, auth) + framed(1, b'{"action":"subscribe","quotes":["AAPL"]}'))
        until(lambda: venue.world is not None and venue.world.tape.subscribed())
        for n in range(20):
            venue.tick(bid=[99 + n, 10], ask=[101 + n, 10])
            assert venue.order(client_order_id=f"c{n}").status_code == 200
        assert len(venue.account()["fills"]) == 20
        heard = b""
        while heard.count(b'"T":"q"') < 20:
            heard += data.recv(1 << 16)
        data.close()
        for line in lines:
            closed(line)
        assert venue.state()["counters"].get("mishaps", 0) == 0


@contextlib.contextmanager
def cramped(descriptors: int) -> Iterator[Ready]:
    """The real command with so many descriptors; it has said one line on stderr when it ends."""
    with tempfile.TemporaryDirectory() as folder:
        ready, errors = Path(folder) / "ready.json", Path(folder) / "stderr"
        command = shlex.join([*map(str, GPI), "venue", "--ready", str(ready), "--stay", "--rate-limit", "0"])
        with errors.open("wb") as said:
            child = subprocess.Popen(
                ["/bin/sh", "-c", f"ulimit -n {descriptors}; exec {command}"],
                stdin=subprocess.DEVNULL, stderr=said, cwd=ROOT,
            )  # fmt: skip
        try:
            until(lambda: ready.exists() or child.poll() is not None, 300)
            told = json.loads(ready.read_text())["gpi.venue"]
            yield Ready(told["url"], told["key_id"], told["secret"], told["token"])
        finally:
            child.terminate()
            child.wait(60)
        assert told["token"] not in errors.read_text() and told["secret"] not in errors.read_text()
        heard = [line for line in errors.read_text().splitlines() if "compiling kernels" not in line]
        assert len(heard) == 1 and '"gpi.venue"' in heard[0], heard


def test_a_full_house_turns_out_who_asks_nothing() -> None:
    """The real command with 200 descriptors: 400 half requests, and every whole one is answered; stderr stays clean."""
    with cramped(200) as venue:
        lines = []
        for n in range(400):
            lines.append(connected(venue, b"GET /v2/acc"))
            if n % 20 == 0:
                assert venue.call("GET", "/v2/clock").status_code == 200
        assert venue.state()["counters"].get("mishaps", 0) == 0
        for line in lines:
            line.close()


@pytest.mark.parametrize("path", ["/v2/iex", "/stocks", "/stream"])
def test_nameless_sockets_keep_nobody_out(path: str) -> None:
    """Four hundred at once with 200 descriptors: a socket that said who it is stays, and every request is answered."""
    with cramped(200) as venue:
        named = connected(venue, HELLO.format("/v2/iex").encode())
        named.sendall(framed(1, json.dumps({"action": "auth", "key": venue.key_id, "secret": venue.secret}).encode()))
        heard = b""
        while b"authenticated" not in heard:
            heard += named.recv(1 << 16)
        lines = [connected(venue, HELLO.format(path).encode()) for _ in range(400)]
        for line in lines:  # each is a socket by now, or has been turned out: nothing is left that is merely half said
            with contextlib.suppress(OSError):
                line.recv(1)
        for _ in range(5):
            assert venue.call("GET", "/v2/clock").status_code == 200
        named.sendall(framed(1, b'{"action":"subscribe","quotes":["AAPL"]}'))
        assert b"subscription" in named.recv(1 << 16)
        assert venue.state()["counters"].get("mishaps", 0) == 0
        for line in (named, *lines):
            line.close()


def test_a_venue_that_ends_while_clients_come_loses_no_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever was accepted while it closed is let go like the rest: nothing is left for the garbage to find."""
    found: list[str] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda told: found.append(str(told.exc_value)))

    def storm(port: int, over: threading.Event) -> None:
        with contextlib.ExitStack() as clients:
            while not over.is_set():
                try:
                    line = clients.enter_context(socket.create_connection(("127.0.0.1", port), 5))
                    line.sendall(b"GET /v2/clock HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
                except OSError:
                    return

    for _ in range(2):
        venue, over = Venue(), threading.Event()
        port = int(venue.url.rsplit(":", 1)[1])
        storms = [threading.Thread(target=storm, args=(port, over)) for _ in range(3)]
        for each in storms:
            each.start()
        time.sleep(0.1)  # they come all the time; it ends in the middle
        venue.close()
        over.set()
        for each in storms:
            each.join(20)
        gc.collect()
    assert found == []
