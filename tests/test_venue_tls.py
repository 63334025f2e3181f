"""The venue behind TLS: clients that speak https and wss only trust its CA, and nobody else's name is answered."""

from __future__ import annotations

import gc
import os
import ssl
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from gpi.formats.errors import GpiError, UsageError, VenueError
from gpi.tools.venue import tls
from tests.shell import gpi
from tests.venues import Ready, running_venue, until

VENDOR = "stream.data.alpaca.markets"


@pytest.fixture(scope="module")
def venue() -> Iterator[Ready]:
    """The real binary, that stands in for a vendor's host as well."""
    with running_venue("--tls", "--tls-name", VENDOR) as ready:
        yield ready


# asyncio's transport of TLS, torn or left at the end of its loop, says that it was not closed: not the venue's
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*unclosed transport:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def test_https_is_answered_to_who_trusts_the_ca_and_to_nobody_else(venue: Ready) -> None:
    """The CA of the ready file is enough, by every name of this machine; without it the handshake fails."""
    assert venue.tls_url.startswith("https://127.0.0.1:") and venue.tls_url != venue.url
    port = urlsplit(venue.tls_url).port
    for name in ("127.0.0.1", "localhost"):
        told = requests.get(f"https://{name}:{port}/v2/clock", headers=venue.headers, verify=venue.tls_ca, timeout=20)
        assert told.status_code == 200
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(f"{venue.tls_url}/v2/clock", headers=venue.headers, timeout=20)
    with pytest.raises(requests.exceptions.ConnectionError):
        requests.get(venue.tls_url.replace("https", "http") + "/v2/clock", headers=venue.headers, timeout=20)
    assert requests.get(f"{venue.url}/v2/clock", headers=venue.headers, timeout=20).status_code == 200


def test_the_door_holds_behind_tls(venue: Ready) -> None:
    """The host that was named is answered, its pages are not; another host is not, and keys are wanted."""

    def status(**headers: str) -> int:
        asked = {**venue.headers, **headers}
        return requests.get(f"{venue.tls_url}/v2/clock", headers=asked, verify=venue.tls_ca, timeout=20).status_code

    assert status(Host=VENDOR) == 200
    assert status(Host="evil.example") == 403
    assert status(Host=VENDOR, Origin=f"https://{VENDOR}") == 403
    assert status(Origin="https://evil.example") == 403
    assert status(**{"APCA-API-SECRET-KEY": "wrong"}) == 401


def test_only_the_ca_lies_on_disk_and_goes_with_the_venue() -> None:
    """No key is left, in a folder that others cannot read; at the end the folder is gone."""
    with running_venue("--tls") as ready:
        ca = Path(ready.tls_ca)
        assert [each.name for each in ca.parent.iterdir()] == ["ca.pem"]
        assert stat.S_IMODE(os.stat(ca.parent).st_mode) == 0o700
        assert "PRIVATE" not in ca.read_text()
    assert not ca.parent.exists()


def test_alpacas_own_streams_speak_wss(venue: Ready, monkeypatch: pytest.MonkeyPatch) -> None:
    """alpaca-py's two streams, unmodified but for the address, with SSL_CERT_FILE; they hear what happens."""
    from alpaca.data.live import StockDataStream
    from alpaca.trading.stream import TradingStream

    monkeypatch.setenv("SSL_CERT_FILE", venue.tls_ca)
    ws = venue.tls_url.replace("https", "wss")
    streams: list[Any] = [
        StockDataStream(venue.key_id, venue.secret, url_override=f"{ws}/v2/iex"),
        TradingStream(venue.key_id, venue.secret, url_override=f"{ws}/stream"),
    ]

    async def hear(_: Any) -> None:
        return None

    streams[0].subscribe_quotes(hear, "AAPL")
    streams[1].subscribe_trade_updates(hear)
    threads = [threading.Thread(target=each.run, daemon=True) for each in streams]
    for each in threads:
        each.start()
    try:
        until(lambda: venue.state()["listening"].get(venue.key_id))
        until(lambda: streams[0]._running)
    finally:
        for stream in streams:
            stream.stop()
        venue.control(disconnect=True)
        for each in threads:
            each.join(20)


def test_polygons_own_socket_is_secure(venue: Ready, monkeypatch: pytest.MonkeyPatch) -> None:
    """massive's WebSocketClient with secure=True, as it is by default, gets in."""
    import asyncio

    from massive import WebSocketClient
    from massive.websocket.models import Market

    monkeypatch.setenv("SSL_CERT_FILE", venue.tls_ca)
    client = WebSocketClient(venue.secret, feed=venue.tls_url.removeprefix("https://"), market=Market.Stocks,
                             subscriptions=["T.AAPL"], secure=True, max_reconnects=0)  # fmt: skip

    async def nothing(_: Any) -> None:
        return None

    async def through() -> None:
        task = asyncio.create_task(client.connect(nothing))
        for _ in range(400):
            await asyncio.sleep(0.05)
            if client.subs == {"T.AAPL"} or task.done():
                break
        assert not task.done(), task
        assert client.subs == {"T.AAPL"}
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(asyncio.wait_for(through(), 60))


def test_a_torn_answer_is_torn_behind_tls_too() -> None:
    """Faults of REST are of the wire: a reset reaches a client of TLS as a broken connection."""
    with running_venue("--tls", "--fault", "reset:place=rest.account.get.before,count=1") as ready:
        ask = f"{ready.tls_url}/v2/account"
        with pytest.raises(requests.exceptions.ConnectionError):
            requests.get(ask, headers=ready.headers, verify=ready.tls_ca, timeout=20)
        assert requests.get(ask, headers=ready.headers, verify=ready.tls_ca, timeout=20).status_code == 200
    gc.collect()  # asyncio's transport of TLS, torn, says that it was not closed: here, not in another test


def test_ones_own_certificate_serves(tmp_path: Path) -> None:
    """--tls-cert and --tls-key instead of a certificate made up; what is none is refused in words."""
    (tmp_path / "made").mkdir(mode=0o700)
    kept: dict[str, bytes] = {}
    load = tls._context

    def keeping(cert: Path, key: Path) -> ssl.SSLContext:
        kept.update(cert=cert.read_bytes(), key=key.read_bytes())
        return load(cert, key)

    tls._context = keeping
    try:
        ca = tls.certified((), tmp_path / "made").ca
    finally:
        tls._context = load
    for name, text in kept.items():
        (tmp_path / f"{name}.pem").write_bytes(text)
    own = ("--tls", "--tls-cert", tmp_path / "cert.pem", "--tls-key", tmp_path / "key.pem")
    with running_venue(*own) as ready:
        told = requests.get(f"{ready.tls_url}/v2/clock", headers=ready.headers, verify=str(ca), timeout=20)
        assert told.status_code == 200
    with pytest.raises(UsageError, match="--tls-key"):
        tls.given(tmp_path / "key.pem", tmp_path / "cert.pem")
    with pytest.raises(UsageError, match="No such file"):
        tls.given(tmp_path / "none.pem", tmp_path / "key.pem")


def test_without_openssl_the_error_names_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No command, or one that fails: an error in words, and nothing is left in the folder."""
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    with pytest.raises(VenueError, match="--tls-cert"):
        tls.certified((), tmp_path)
    bad = tmp_path / "bin"
    bad.mkdir()
    (bad / "openssl").write_text("#!/bin/sh\necho no such curve >&2; exit 1\n")
    (bad / "openssl").chmod(0o755)
    monkeypatch.setenv("PATH", str(bad))
    (tmp_path / "made").mkdir()
    with pytest.raises(VenueError, match="no such curve"):
        tls.certified((), tmp_path / "made")
    assert not list((tmp_path / "made").iterdir())


@pytest.mark.parametrize("name", ["evil example", "a,DNS:b", "x\ny", "-a.example", "", "a..b", "ü.example"])
def test_what_is_no_hosts_name_reaches_no_certificate(name: str) -> None:
    """Names go into OpenSSL's configuration: only letters, digits, dots and hyphens do."""
    with pytest.raises(GpiError):
        tls.host(name)


def test_options_of_tls_need_it() -> None:
    """--tls-name without --tls, or a certificate without its key, is a mistake that is told."""
    for words in (("--tls-name", VENDOR), ("--tls", "--tls-cert", "x.pem")):
        done = gpi("venue", *words)
        assert done.returncode == 2 and b"--tls" in done.stderr
