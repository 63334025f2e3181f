"""F15 and F16: streams cut and flipped, tools killed in a pipe, readers that leave or dawdle."""

from __future__ import annotations

import contextlib
import os
import random
import re
import time
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gpi.formats.errors import BadInput, TruncatedStream
from gpi.formats.frame import Frame, Layout
from gpi.formats.instruments import KEY, Instrument, Instruments
from gpi.formats.ipc import Reader, writing
from gpi.formats.ticks import TICKS
from gpi.formats.words import QUOTE, SECOND
from gpi.tools.chaos.lab import Lab
from gpi.tools.chaos.processes import until
from gpi.tools.chaos.rows import Case, Row, Seen

START_NS: Final = 1_794_000_000 * SECOND
SHORT_STRIDE: Final = 8  # the short form takes every eighth byte
COMMANDS: Final = 4  # of the cuts and flips of a case, how many also go through a real command
FLAT_BYTES: Final = 60 << 20  # what a tool may grow while its reader sleeps


def quotes(dice: random.Random, rows: int, symbols: int = 2, start_ns: int = START_NS) -> Frame:
    """A frame of sane quotes around 100, 1 ms apart."""
    frame = Layout.of(TICKS).empty(rows)
    at = np.arange(rows)
    mid = 100 + 0.01 * np.cumsum([dice.choice((-1, 0, 1)) for _ in range(rows)])
    for name in TICKS.names:
        frame[name][:] = 0
    frame["ts_event"][:] = frame["ts_recv"][:] = start_ns + at * 1_000_000
    frame["instrument_id"][:] = at % symbols
    frame["kind"][:] = QUOTE
    frame["seq"][:] = at
    frame["bid_px"][:], frame["ask_px"][:] = np.round(mid - 0.01, 2), np.round(mid + 0.01, 2)
    frame["bid_sz"][:] = frame["ask_sz"][:] = 100
    frame["trade_px"][:] = np.nan
    return frame


def schema(symbols: int = 2) -> pa.Schema:
    """Ticks with a table of AAA, BBB, ..."""
    table = Instruments([Instrument(3 * chr(65 + at), "equity") for at in range(symbols)])
    return TICKS.with_metadata({**TICKS.metadata, KEY.encode(): table.to_json().encode()})


def written(frames: list[Frame], of: pa.Schema, path: Path) -> bytes:
    """The bytes of a whole stream."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with writing(fd, of) as writer:
            for frame in frames:
                writer.write(frame)
    finally:
        os.close(fd)
    return path.read_bytes()


def damaged_streams(lab: Lab, case: Case) -> None:
    """F15: one stream, cut at every byte and every byte flipped, through the reader; some through a real command."""
    dice, seen = case.dice, case.seen
    frames = [quotes(dice, dice.randint(1, 9), start_ns=START_NS + at * SECOND) for at in range(3)]
    data = written(frames, schema(), case.folder / "whole.arrow")
    ends = np.cumsum([0, *[frame.rows for frame in frames]])
    fd = os.memfd_create("stream")
    try:
        stride = 1 if lab.long else SHORT_STRIDE
        for size in range(dice.randrange(stride), len(data), stride):
            _judge_cut(fd, data[:size], set(ends.tolist()), seen)
        for at in range(dice.randrange(stride), len(data), stride):
            flipped = bytearray(data)
            flipped[at] ^= dice.randint(1, 255)
            _judge_flip(fd, bytes(flipped), at, seen)
        seen.expect(_rows(fd, data) == int(ends[-1]), "the whole stream is not read whole")
    finally:
        os.close(fd)
    for _ in range(COMMANDS):
        _through_a_command(lab, case, data, dice.randrange(1, len(data)), cut=bool(dice.getrandbits(1)))


def _load(fd: int, data: bytes) -> None:
    os.ftruncate(fd, 0)
    os.lseek(fd, 0, os.SEEK_SET)
    os.write(fd, data)
    os.lseek(fd, 0, os.SEEK_SET)


def _rows(fd: int, data: bytes) -> int:
    _load(fd, data)
    return sum(frame.rows for frame in Reader(fd, "the stream"))


def _judge_cut(fd: int, data: bytes, ends: set[int], seen: Seen) -> None:
    seen.count("cuts")
    try:
        _rows(fd, data)
    except TruncatedStream as told:
        seen.expect(told.rows in ends, f"cut at byte {len(data)}: {told.rows} rows counted, no frame ends there")
    except BadInput:
        seen.violate(f"cut at byte {len(data)} is called damaged, not truncated")
    else:
        seen.violate(f"cut at byte {len(data)} passed for whole")


def _judge_flip(fd: int, data: bytes, at: int, seen: Seen) -> None:
    seen.count("flips")
    with contextlib.suppress(BadInput):
        _rows(fd, data)
        seen.violate(f"byte {at} flipped and nobody noticed")


def _through_a_command(lab: Lab, case: Case, data: bytes, at: int, cut: bool) -> None:
    """The same damage given to `gpi featurize`: exit 3, the last line says what, the rows before it came out."""
    damaged = data[:at] if cut else data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :]
    path, out = case.folder / "damaged.arrow", case.folder / "out.jsonl"
    path.write_bytes(damaged)
    stdin, stdout = os.open(path, os.O_RDONLY), os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with lab.processes(case) as commands:
        child = commands.start("featurize", "--to", "jsonl", stdin=stdin, stdout=stdout)
        code = child.wait(60)
    os.close(stdin)
    os.close(stdout)
    case.seen.count("through a command")
    line = child.last_line()
    what = f"{'cut' if cut else 'flip'} at byte {at}"
    case.seen.expect(code == 3, f"I7: {what}: exit {code}, wanted 3; {line}")
    told = re.search(r"after (\d+) rows", line)
    if cut and case.seen.expect("truncated" in line or "no data" in line, f"I7: {what}: says {line!r}") and told:
        rows = len(out.read_bytes().splitlines())
        case.seen.expect(rows == int(told.group(1)), f"{what}: {told.group(1)} rows told, {rows} usable")


def broken_pipes(lab: Lab, case: Case) -> None:
    """F16: one of: upstream killed before a file; the reader leaves; the reader dawdles."""
    (_upstream_killed, _reader_leaves, _upstream_killed, _reader_dawdles)[case.number % 4](lab, case)


def _upstream_killed(lab: Lab, case: Case) -> None:
    """kill -9 of the source: downstream says truncated and how many rows; no half Parquet under the final name."""
    out = case.folder / "out.parquet"
    with lab.processes(case) as commands:
        source = ["simulate", "--duration", "1e6", "--levels", "0", "--seed", case.number, "--batch", 64]
        first, second = commands.pipeline(source, ["featurize", "--out", out])
        time.sleep(case.dice.uniform(0.02, 1.0))
        first.kill()
        code = second.wait(60)
    line = second.last_line()
    case.seen.count("sources killed")
    case.seen.expect(code == 3, f"I7: the source was killed and the reader ended with {code}: {line}")
    case.seen.expect("truncated" in line or "no data" in line, f"I7: last line {line!r}")
    case.seen.expect(not out.exists(), "half a Parquet file is visible under its final name")
    for left in case.folder.glob("*.parquet*"):
        with contextlib.suppress(pa.ArrowInvalid, OSError):
            pq.read_table(left)
            case.seen.count("partial files readable")


def _reader_leaves(lab: Lab, case: Case) -> None:
    """The reader closes its end: every writer before it dies quietly (141), with nothing on stderr."""
    out_of, into = os.pipe()
    with lab.processes(case) as commands:
        source = ["simulate", "--duration", "1e6", "--levels", "0", "--batch", 64]
        children = commands.pipeline(source, ["featurize"], stdout=into)
        os.close(into)
        os.read(out_of, case.dice.randint(1, 60_000))
        os.close(out_of)
        codes = [child.wait(60) for child in children]
    case.seen.count("readers that left")
    case.seen.expect(codes == [141, 141], f"the reader left: exits {codes}, wanted 141 of each")
    said = "".join(child.said() for child in children)
    case.seen.expect(not said, f"a filter whose reader left is not quiet: {said[-200:]!r}")


def _reader_dawdles(lab: Lab, case: Case) -> None:
    """A reader that sleeps holds its writers back in bounded memory; nothing is lost when it reads on."""
    out_of, into = os.pipe()
    with lab.processes(case) as commands:
        source = ["simulate", "--events", 400_000, "--levels", "0", "--batch", 64]
        first, second = commands.pipeline(source, ["featurize"], stdout=into)
        os.close(into)
        os.read(out_of, 1)  # it runs
        until(lambda: first.resident_bytes() > 0, 5)
        time.sleep(0.5)
        began = [child.resident_bytes() for child in (first, second)]
        time.sleep(1.0)
        grown = max(child.resident_bytes() - size for child, size in zip((first, second), began, strict=True))
        total = 1
        while chunk := os.read(out_of, 1 << 20):
            total += len(chunk)
        codes = [first.wait(60), second.wait(60)]
    os.close(out_of)
    case.seen.count("slow readers")
    case.seen.measure("grown while the reader slept MiB", grown / (1 << 20))
    case.seen.expect(grown < FLAT_BYTES, f"memory grew by {grown >> 20} MiB while the reader slept")
    case.seen.expect(codes == [0, 0], f"a slow reader: exits {codes}, wanted 0")
    case.seen.expect(total > 400_000 * 100, f"only {total} bytes came through")


ROWS: Final = (
    Row(
        "F15",
        "an Arrow stream cut at every byte, every byte flipped",
        "100 % detected, exit 3, the rows before the fault usable and counted",
        damaged_streams,
        short=1,
        long=10,
    ),
    Row(
        "F16",
        "upstream killed in the pipe, the reader leaves, the reader dawdles",
        "says truncated and after how many rows; no half Parquet; 141; bounded memory",
        broken_pipes,
        short=4,
        long=100,
    ),
)
