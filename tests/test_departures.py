"""Whoever reads us leaves while the feed is quiet: the whole pipe ends, although nobody has anything to write."""

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpi.formats.frame import Frame
from gpi.formats.instruments import Instruments, equity
from gpi.formats.ipc import Reader, Writer
from gpi.formats.pipes import deserted, watchable
from gpi.formats.ticks import TICKS
from gpi.formats.words import QUOTE
from tests.market_server import MarketServer, Visit
from tests.shell import GPI, ROOT, gpi
from tests.test_capture import endless, quote
from tests.test_capture_ends import capturing, met

SOON = 20  # seconds: without a write they would wait for ever
SCHEMA = Instruments([equity("BAC"), equity("IBM")]).on(TICKS)
SECOND = 10**9
FEATURIZE, EMBED, TRADE = ["featurize"], ["embed"], ["trade", "--paper"]


def ticks(count: int, every_ns: int = SECOND) -> Frame:
    """Quotes, that far apart."""
    blank: dict[str, Any] = {name: 0.0 for name in TICKS.names} | {"trade_px": np.nan}
    told = {"bid_px": 99.99, "ask_px": 100.01, "bid_sz": 100.0, "ask_sz": 100.0, "kind": QUOTE}
    times = 1_767_627_000 * SECOND + np.arange(count) * every_ns
    rows = {"ts_event": times, "ts_recv": times, "seq": np.arange(count), "instrument_id": np.arange(count) % 2}
    return Frame.of(SCHEMA, {**blank, **told, **rows})


class Line:
    """Commands joined by pipes behind a feed of ours, which says a little and then nothing."""

    def __init__(self, *commands: list[object], stdout: int | None = None) -> None:
        out_of, self.feed = os.pipe()
        self.children: list[subprocess.Popen[bytes]] = []
        for at, words in enumerate(commands):
            last = at == len(commands) - 1
            following, into = (None, stdout if stdout is not None else subprocess.DEVNULL) if last else os.pipe()
            self.children.append(started(words, out_of, into))
            os.close(out_of)
            if following is not None:
                os.close(into)
                out_of = following

    def say(self, frame: Frame) -> None:
        """A beginning without an end."""
        Writer(self.feed, SCHEMA).write(frame)

    def ends(self) -> list[int]:
        """The exit codes, all of them soon."""
        return [child.wait(SOON) for child in self.children]

    def over(self) -> None:
        """Nothing more comes from us."""
        if self.feed >= 0:
            os.close(self.feed)
            self.feed = -1

    def close(self) -> str:
        """Nothing of it is left; what was said on stderr."""
        self.over()
        said = ""
        for child in self.children:
            child.kill()
            said += child.communicate(timeout=SOON)[1].decode()
        return said


def started(words: list[object], stdin: int, stdout: int) -> subprocess.Popen[bytes]:
    """A command of its own."""
    command = [*GPI, *map(str, words)]
    return subprocess.Popen(command, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, cwd=ROOT)


def reads(child: subprocess.Popen[bytes]) -> None:
    """Wait until it has slept for a while: it has started, and has nothing to do."""
    quiet, before = 0, -1
    for _ in range(1200):
        assert child.poll() is None, "it ended by itself"
        state = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
        used = int(state[11]) + int(state[12])  # hundredths of a second of processor
        quiet = quiet + 1 if state[0] == "S" and 0 <= used - before <= 1 else 0
        before = used
        if quiet >= 6:
            return
        time.sleep(0.05)


def test_a_pipe_is_deserted_when_its_last_reader_is_gone() -> None:
    """Not while another holds the reading end."""
    reading, writing = os.pipe()
    second = os.dup(reading)
    assert watchable(writing) and not deserted(writing)
    os.close(reading)
    assert not deserted(writing)
    os.close(second)
    assert deserted(writing)
    os.close(writing)


def test_a_full_pipe_is_not_deserted() -> None:
    """A reader that is slow is a reader."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with pytest.raises(BlockingIOError):
        while True:
            os.write(writing, bytes(65536))
    assert not deserted(writing)
    os.close(reading)
    assert deserted(writing)
    os.close(writing)


def test_a_socket_is_deserted_when_its_other_end_is_closed() -> None:
    """Some shells and all of inetd's kind join commands by sockets."""
    near, far = socket.socketpair()
    with near:
        assert watchable(near.fileno()) and not deserted(near.fileno())
        far.close()
        assert deserted(near.fileno())


def test_files_and_devices_lose_no_reader(tmp_path: Path) -> None:
    """A file, /dev/null and a terminal are not watched; a FIFO that is held open for both is its own reader."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    main, side = os.openpty()
    both, null = os.open(fifo, os.O_RDWR), os.open(os.devnull, os.O_WRONLY)
    plain = os.open(tmp_path / "file", os.O_WRONLY | os.O_CREAT)
    assert not watchable(plain) and not watchable(null) and not watchable(side)
    assert watchable(both) and not deserted(both)
    assert not any(map(deserted, (plain, null, side)))
    for fd in (main, side, both, null, plain):
        os.close(fd)


def test_a_reader_wakes_up_when_its_sink_is_deserted() -> None:
    """At once, and only for that; an answer of "go on" does not make it spin."""
    feed, feeding = os.pipe()
    reading, writing = os.pipe()
    Writer(feeding, SCHEMA).write(ticks(3))
    asked: list[bool] = []

    def idle() -> bool:
        asked.append(deserted(writing))
        return asked.count(True) >= 3

    reader = Reader(feed, idle=idle, sink=writing)
    frames: Iterator[Frame] = iter(reader)
    assert next(frames).rows == 3
    threading.Timer(0.05, os.close, [reading]).start()
    assert next(frames, None) is None and reader.stopped
    assert asked.count(True) == 3
    for fd in (feed, feeding, writing):
        os.close(fd)


@pytest.mark.jit
@pytest.mark.parametrize("victim", [1, 2, 3])
def test_the_death_of_one_ends_all_before_it(tmp_path: Path, victim: int) -> None:
    """A capture of a quiet feed, featurize, embed, trade: whichever is killed, those before it end with 141."""

    async def quiet(visit: Visit) -> None:
        await visit.open()
        await visit.say(quote(1))
        await endless(visit)

    with MarketServer(quiet) as server:
        out_of, into = os.pipe()
        capture = capturing(server, tmp_path, stdout=into)
        os.close(into)
        children = [capture]
        for words in (FEATURIZE, EMBED, TRADE):
            following, into = os.pipe() if words is not TRADE else (-1, subprocess.DEVNULL)
            children.append(started(list(words), out_of, into))
            os.close(out_of)
            if following >= 0:
                os.close(into)
                out_of = following
        met(server)
        for each in children[1:]:
            reads(each)
        children[victim].send_signal(signal.SIGKILL)
        codes = [child.wait(SOON) for child in children]
        told = [child.communicate()[1].decode() for child in children]
    assert codes[:victim] == [141] * victim, told
    assert codes[victim] == -signal.SIGKILL and codes[victim + 1 :] == [3] * (3 - victim), told
    assert "items in" in told[0] and not any("Traceback" in each for each in told), told


@pytest.mark.jit
def test_a_trader_whose_orders_nobody_reads_cancels_and_says_so(tmp_path: Path) -> None:
    """Exit 141, its run whole and told."""
    reading, writing = os.pipe()
    line = Line([*TRADE, "--out", tmp_path / "run"], stdout=writing)
    os.close(writing)
    line.say(ticks(50))
    reads(line.children[0])
    assert line.children[0].poll() is None
    os.close(reading)
    codes, said = line.ends(), line.close()
    assert codes == [141] and "whoever read the orders has left" in said and "Traceback" not in said, said
    assert (tmp_path / "run" / "manifest.json").exists()


@pytest.mark.jit
def test_one_reader_of_two_may_leave() -> None:
    """The pipe has a reader still: the command goes on and tells what comes."""
    reading, writing = os.pipe()
    second = os.dup(reading)
    line = Line(FEATURIZE, stdout=writing)
    os.close(writing)
    writer = Writer(line.feed, SCHEMA)
    writer.write(ticks(3))
    reads(line.children[0])
    os.close(reading)
    time.sleep(0.6)
    writer.write(ticks(4))
    writer.close()
    line.over()
    assert sum(frame.rows for frame in Reader(second)) == 7
    assert line.ends() == [0]
    line.close()
    os.close(second)


@pytest.mark.jit
@pytest.mark.parametrize("sink", ["file", "null", "out"])
def test_a_sink_that_is_no_pipe_is_never_left(tmp_path: Path, sink: str) -> None:
    """Into a file, into /dev/null, and with --out beside a pipe whose reader is gone: quiet feeds are waited for."""
    reading, writing = os.pipe()
    os.close(reading)
    words: list[object] = [*FEATURIZE, *(["--out", tmp_path / "out.arrow"] if sink == "out" else [])]
    with open(os.devnull if sink == "null" else tmp_path / "file", "wb") as file:
        line = Line(words, stdout=writing if sink == "out" else file.fileno())
    os.close(writing)
    writer = Writer(line.feed, SCHEMA)
    writer.write(ticks(3))
    reads(line.children[0])
    time.sleep(0.6)
    assert line.children[0].poll() is None
    writer.close()
    line.over()
    assert line.ends() == [0]
    line.close()


@pytest.mark.jit
@pytest.mark.parametrize("said", [b"", b"\xff\xff\xff\xff\x10"], ids=["nothing", "half a message"])
def test_a_command_that_waits_for_its_schema_ends_too(said: bytes) -> None:
    """The feed before it has not even begun."""
    reading, writing = os.pipe()
    line = Line(FEATURIZE, stdout=writing)
    os.close(writing)
    os.write(line.feed, said)
    reads(line.children[0])
    os.close(reading)
    assert line.ends() == [141]
    line.close()


@pytest.mark.jit
@pytest.mark.parametrize("form", ["arrow", "csv"])
@pytest.mark.parametrize("fused", [False, True], ids=["replay", "run"])
def test_a_source_that_sleeps_between_two_ticks_ends(tmp_path: Path, fused: bool, form: str) -> None:
    """Replayed at a human pace, alone and inside `gpi run`; the next tick is an hour away."""
    path = tmp_path / "ticks.arrow"
    with open(path, "wb") as file:
        writer = Writer(file.fileno(), SCHEMA)
        writer.write(ticks(3, 3600 * SECOND))
        writer.close()
    words = ["replay", str(path), "--speed", "realtime"]
    reading, writing = os.pipe()
    child = started([*(["run", f"{' '.join(words)} | featurize"] if fused else words), "--to", form], 0, writing)
    os.close(writing)
    reads(child)
    os.close(reading)
    assert child.wait(SOON) == 141, child.communicate()[1]
    assert child.stderr is not None
    child.stderr.close()


@pytest.mark.jit
def test_an_end_that_is_told_is_an_honest_end(tmp_path: Path) -> None:
    """Nothing of this touches a stream that is read to its end."""
    path = tmp_path / "ticks.arrow"
    gpi("simulate", "--events", 100, "--levels", 0, "--out", path, check=0)
    done = gpi("run", f"replay {path} | featurize", "--to", "csv", check=0)
    assert len(done.stdout.splitlines()) == 101
