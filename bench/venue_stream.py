"""The venue's sockets: messages encoded a second, beside msgpack and json; and what one reader gets from `gpi venue`.

The rivals pack the same dicts, made beforehand. The reader is another process on the same machine and only counts.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgpack
import numpy as np
import websockets

from bench.harness import ROOT, interleaved, timed
from gpi.formats.instruments import Instruments, equity
from gpi.tools.kernels.data import writing as w
from gpi.tools.venue.data.messages import ALPACA, POLYGON, Dialect, told
from gpi.tools.venue.data.names import alpaca, polygon

QUOTES = 20_000
EVENTS = 600_000
GPI = [sys.executable, "-c", "from gpi.cli.main import main; main()"]


def encoding() -> None:
    """Quotes of two shares to bytes, in arrays of a thousand."""
    table = Instruments([equity("AAPL"), equity("MSFT")])
    rng = np.random.default_rng(0)
    ints, nums = np.zeros((QUOTES, w.INTS), np.int64), np.zeros((QUOTES, w.NUMS))
    ints[:, w.I_TS] = 1_717_421_400_000_000_000 + np.arange(QUOTES) * 1_234_567
    ints[:, w.I_INSTRUMENT], ints[:, w.I_CHANNEL] = np.arange(QUOTES) % 2, w.QUOTE
    nums[:, :4] = np.round(rng.uniform(100, 200, (QUOTES, 4)), 2)
    nums[:, [w.N_BID_SZ, w.N_ASK_SZ]] = rng.integers(1, 900, (QUOTES, 2))
    out, report, levels = np.empty(1 << 19, np.uint8), np.zeros(4, np.int64), np.zeros((1, 4, 1))
    wanted = np.ones((w.CHANNELS, 2), np.uint8)
    runs = {}
    for name, dialect in (
        ("msgpack", Dialect(ALPACA, alpaca, True, w.STAMP)),
        ("json", Dialect(POLYGON, polygon, False, w.MILLIS)),
    ):
        dialect.know(table)
        shape = dialect.shapes["equity", w.QUOTE]
        dicts = [told(shape, table[int(a[w.I_INSTRUMENT])].symbol, a, b) for a, b in zip(ints, nums, strict=True)]
        if dialect.packed:
            for row, item in zip(ints, dicts, strict=True):
                item["t"] = msgpack.Timestamp(*divmod(int(row[w.I_TS]), 10**9))

        def ours(d: Dialect = dialect) -> None:
            at = 0
            while at < QUOTES:
                report[0], report[2] = at, 1000
                w.encoded(
                    ints, nums, levels, wanted, d.classes, d.programs, d.ops, d.pool, d.names, d.packed,
                    out, report,
                )  # fmt: skip
                d.framed([out[: report[1]].tobytes()], int(report[2]))
                at = int(report[0])

        def rival(rows: list[dict[str, object]] = dicts, packed: bool = dialect.packed) -> None:
            for k in range(0, QUOTES, 1000):
                msgpack.packb(rows[k : k + 1000]) if packed else json.dumps(rows[k : k + 1000]).encode()

        runs[name] = timed(ours)
        runs[f"{name} rival"] = timed(rival)
    taken = interleaved(runs)
    for name in ("msgpack", "json"):
        mine, other = taken[name].p50, taken[f"{name} rival"].p50
        print(f"{name}: {QUOTES / mine / 1e6:.1f} M quotes/s (ratio {other / mine:.1f} to {name} of ready dicts)")


async def reading(path: str, said: dict[str, str], url: str) -> tuple[int, float]:
    """Messages and seconds, from the first array to the end."""
    count, begun, last = 0, 0.0, 0.0
    headers = {"Content-Type": "application/msgpack"}
    async with websockets.connect(url + path, additional_headers=headers, max_size=None, compression=None) as ws:
        if path == "/stocks":
            await ws.send(json.dumps({"action": "auth", "params": said["secret"]}))
            await ws.send(json.dumps({"action": "subscribe", "params": "Q.*,T.*"}))
        else:
            await ws.send(msgpack.packb({"action": "auth", "key": said["key_id"], "secret": said["secret"]}))
            await ws.send(msgpack.packb({"action": "subscribe", "quotes": ["*"], "trades": ["*"]}))
        try:
            while True:
                body = await ws.recv()
                last = time.perf_counter()
                data = isinstance(body, bytes) or '"status"' not in body
                if data and begun == 0.0 and len(body) > 400:
                    begun = last
                if data and isinstance(body, bytes):
                    count += int.from_bytes(body[1:3], "big") if body[0] == 0xDC else 0  # an array of up to 65,535
                elif data:
                    count += str(body).count('"ev":')
        except websockets.ConnectionClosed:
            return count, last - begun


def served() -> None:
    """A simulated market through `gpi venue` to one reader that asked for everything."""
    with tempfile.TemporaryDirectory() as folder:
        feed, ready = Path(folder, "feed.arrow"), Path(folder, "ready.json")
        simulate = [*GPI, "simulate", "--events", str(EVENTS), "--levels", "0", "--out", str(feed)]
        subprocess.run(simulate, check=True, cwd=ROOT)
        for path in ("/v2/sip", "/stocks"):
            ready.unlink(missing_ok=True)
            words = ["--ready", str(ready), "--wait-for", "1", "--linger", "0.5", "--hours", "always"]
            venue = subprocess.Popen([*GPI, "venue", str(feed), *words], cwd=ROOT, stderr=subprocess.DEVNULL)
            while not ready.exists() and venue.poll() is None:
                time.sleep(0.05)
            said = json.loads(ready.read_text())["gpi.venue"]
            count, seconds = asyncio.run(reading(path, said, said["url"].replace("http", "ws")))
            venue.wait()
            print(f"venue to one reader at {path}: {count / seconds / 1e3:.0f} k messages/s ({count} messages)")


if __name__ == "__main__":
    encoding()
    served()
