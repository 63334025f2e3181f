"""However a capture is ended, it ends soon, with its books, its journal closed and the right exit code."""

import asyncio
import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from gpi.cli.capture import _also_into
from gpi.formats.errors import GpiError
from gpi.formats.instruments import Instruments, equity
from gpi.formats.ticks import TICKS
from gpi.tools.feeds.live.journal import read
from tests.market_server import KEY_ID, SECRET, MarketServer, Visit
from tests.shell import GPI, ROOT
from tests.test_capture import endless, quote
from tests.test_feeds import trades

pytestmark = pytest.mark.jit  # commands of their own, and whole days: compiled kernels or minutes

INT, TERM = signal.SIGINT, signal.SIGTERM


async def _signing_in(visit: Visit) -> None:
    await visit.say({"T": "success", "msg": "connected"})
    await visit.hear()
    await asyncio.sleep(60)


async def _waiting_for_a_slot(visit: Visit) -> None:
    await visit.say({"T": "success", "msg": "connected"})
    await visit.hear()
    await visit.say({"T": "error", "code": 406, "msg": "connection limit exceeded"})
    await visit.ws.close()


async def _streaming_without_listening(visit: Visit) -> None:
    await visit.open()
    for n in range(60_000):
        await visit.say(quote(n))
        await asyncio.sleep(0.001)


async def _quiet(visit: Visit) -> None:
    await visit.open()
    await visit.say(quote(1))
    await endless(visit)


async def _flooding(visit: Visit) -> None:
    await visit.open()
    for n in range(3000):
        await visit.say(*[quote(n * 100 + k) for k in range(100)])
    await endless(visit)


def capturing(server: MarketServer, folder: Path, *words: object, stdout: Any) -> subprocess.Popen[bytes]:
    """A capture of the server in a process of its own."""
    key = folder / "key.json"
    key.write_text(json.dumps({"key_id": KEY_ID, "secret": SECRET}))
    key.chmod(0o600)
    given = ["--url", server.url, "--key-file", key, "--symbols", "BAC", "--channels", "trades,quotes"]
    given += ["--journal", folder / "journal", "--mute", 0, *words]
    env = {**os.environ, "XDG_STATE_HOME": str(folder)}
    return subprocess.Popen(
        [*GPI, "capture", *map(str, given)], stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE,
        cwd=ROOT, env=env,
    )  # fmt: skip


def met(server: MarketServer) -> None:
    """Wait until somebody has come, and got as far as he will."""
    for _ in range(600):
        if server.visits:
            break
        time.sleep(0.05)
    time.sleep(0.5)


STAGES = [_signing_in, _waiting_for_a_slot, _streaming_without_listening, _quiet]


@pytest.mark.parametrize("signals", [(INT,), (TERM,), (INT, INT, TERM)], ids=lambda s: "-".join(x.name for x in s))
@pytest.mark.parametrize("stage", STAGES, ids=lambda f: f.__name__.strip("_"))
def test_a_signal_ends_it_at_every_stage(tmp_path: Path, stage: Any, signals: tuple[signal.Signals, ...]) -> None:
    """Exit 130 and the books, however often it is sent; never a traceback."""
    with MarketServer(stage) as server:
        running = capturing(server, tmp_path, stdout=subprocess.DEVNULL)
        met(server)
        for each in signals:
            running.send_signal(each)
            time.sleep(0.1)
        told = running.communicate(timeout=60)[1].decode()
    assert running.returncode == 130 and "items in" in told and "Traceback" not in told, told
    assert list(read(tmp_path / "journal"))


@pytest.mark.parametrize("which", [INT, TERM])
def test_a_reader_that_never_reads_does_not_hold_it_for_ever(tmp_path: Path, which: signal.Signals) -> None:
    """The first signal waits for the pipe, to end the stream honestly; the second does not."""
    with MarketServer(_flooding) as server:
        reading, writing = os.pipe()
        running = capturing(server, tmp_path, "--buffer", 1000, stdout=writing)
        os.close(writing)
        met(server)
        time.sleep(2.0)
        for _ in range(2):
            running.send_signal(which)
            time.sleep(0.3)
        told = running.communicate(timeout=60)[1].decode()
        os.close(reading)
    assert running.returncode == 130 and "left in the journal" in told and "Traceback" not in told, told


def test_a_reader_that_dies_ends_it(tmp_path: Path) -> None:
    """Exit 141; what came until then is in the lake, all of it in the journal."""
    with MarketServer(_flooding) as server:
        running = capturing(server, tmp_path, "--lake", tmp_path / "lake", stdout=subprocess.PIPE)
        assert running.stdout is not None and running.stdout.read(20_000)
        running.stdout.close()
        running.wait(60)
        assert running.stderr is not None
        told = running.stderr.read().decode()
        running.stderr.close()
    assert running.returncode == 141 and "Traceback" not in told, told
    assert list((tmp_path / "lake").rglob("*.parquet")) and list(read(tmp_path / "journal"))


def test_a_lake_that_takes_no_rows_is_named_with_its_mend(tmp_path: Path) -> None:
    """Which lake, why, and how to fill it from the journal."""
    (tmp_path / "file").write_bytes(b"x")
    schema = Instruments([equity("A")]).on(TICKS)
    frames = _also_into(tmp_path / "file" / "lake", iter([trades([1, 2])]), schema, tmp_path / "journal")
    with pytest.raises(GpiError, match="cannot be written.*--from-journal"):
        list(frames)
