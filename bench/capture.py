"""A feed from its socket to the reader: `gpi capture` with its journal on, beside the vendors' own clients.

One sender, which plays the same messages (real quotes and trades of BAC and IBM, 500 a message, uncompressed) to each
client in turn as fast as it reads. Measured from the first message sent until the last row is in the reader's hands:
for gpi in another process behind a pipe, journaled; for alpaca-py and massive in a handler that only counts. Then the
memory of a capture whose reader is slow, after so many rows and ten times as many.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack
from websockets.sync.server import ServerConnection, serve

from bench.harness import ROOT, data, interleaved, machine, report, report_rates
from gpi.formats.ipc import Reader
from gpi.formats.quarantine import Quarantine
from gpi.tools.feeds.files import open_ticks

ITEMS, EACH = 100_000, 500
SLOW_S = 0.02  # a slow reader's pause after each frame
KEY = {"key_id": "K", "secret": "S"}
ALPACA_LOOP = """
import sys, time
from alpaca.data.live import StockDataStream
left = int(sys.argv[2])
async def counted(_):
    global left
    left -= 1
    if left == 0:
        print(time.monotonic(), flush=True)
        stream.stop_stream_queue.put_nowait({"should_stop": True})
stream = StockDataStream("K", "S", raw_data=sys.argv[3] == "raw", url_override=sys.argv[1] + "/v2/iex",
                         websocket_params={"max_size": 1 << 26})
stream.subscribe_quotes(counted, "BAC", "IBM")
stream.subscribe_trades(counted, "BAC", "IBM")
stream.run()
"""
POLYGON_LOOP = """
import json, os, sys, time
from massive import WebSocketClient
left, raw = int(sys.argv[2]), sys.argv[3] == "raw"
def counted(told):
    global left
    left -= sum(item["ev"] != "status" for item in json.loads(told)) if raw else len(told)
    if left <= 0:
        print(time.monotonic(), flush=True)
        os._exit(0)
feed, topics = sys.argv[1].removeprefix("ws://"), ["Q.BAC", "Q.IBM", "T.BAC", "T.IBM"]
client = WebSocketClient(api_key="S", feed=feed, secure=False, raw=raw, subscriptions=topics)
client.run(counted)
"""


def messages(vendor: str, count: int) -> list[bytes]:
    """The first `count` quotes and trades of the day, in the vendor's words."""
    names = ("eq_quotes_lean_BAC_IBM_20131007_09.parquet", "eq_trades_lean_BAC_IBM_SPY_20131007_09.parquet")
    day = open_ticks([data(name) for name in names], batch=4096, symbols=("BAC", "IBM"), quarantine=Quarantine())
    items: list[dict[str, Any]] = []
    for frame in day.frames:
        names_of = [("BAC", "IBM")[i] for i in frame["instrument_id"].tolist()]
        columns = [frame[name].tolist() for name in ("ts_event", "kind", "bid_px", "bid_sz", "ask_px", "ask_sz")]
        columns += [frame[name].tolist() for name in ("trade_px", "trade_sz")]
        for symbol, row in zip(names_of, zip(*columns, strict=True), strict=True):
            items.append((alpaca if vendor == "alpaca" else polygon)(symbol, len(items), *row))
        if len(items) >= count:
            break
    write: Callable[[Any], Any] = msgpack.packb if vendor == "alpaca" else json.dumps
    made = [write(items[at : at + EACH]) for at in range(0, count, EACH)]
    return [text.encode() if isinstance(text, str) else text for text in made]


def alpaca(symbol: str, n: int, ts: int, kind: int, *numbers: float) -> dict[str, Any]:
    """A row as Alpaca tells it."""
    bid_px, bid_sz, ask_px, ask_sz, px, size = numbers
    t = msgpack.Timestamp.from_unix_nano(ts)
    if kind == 2:
        return {"T": "t", "i": n, "S": symbol, "x": "V", "p": px, "s": size, "c": ["@"], "z": "A", "t": t}
    sides = {"bx": "V", "bp": bid_px, "bs": bid_sz, "ax": "V", "ap": ask_px, "as": ask_sz}
    return {"T": "q", "S": symbol, **sides, "c": ["R"], "z": "A", "t": t}


def polygon(symbol: str, n: int, ts: int, kind: int, *numbers: float) -> dict[str, Any]:
    """A row as Polygon tells it; not numbered, so that nobody looks for holes."""
    bid_px, bid_sz, ask_px, ask_sz, px, size = numbers
    t = ts // 1_000_000
    if kind == 2:
        return {"ev": "T", "sym": symbol, "x": 4, "i": str(n), "z": 1, "p": px, "s": size, "c": [0], "t": t}
    sides = {"bx": 4, "bp": bid_px, "bs": bid_sz, "ax": 7, "ap": ask_px, "as": ask_sz}
    return {"ev": "Q", "sym": symbol, **sides, "c": 0, "t": t, "z": 1}


class Sender:
    """Plays messages to whoever comes, `times` over; `began` is when it sent the first one."""

    def __init__(self, vendor: str, played: list[bytes]) -> None:
        self.vendor, self.played, self.times, self.began = vendor, played, 1, 0.0
        self._server = serve(self._talk, "127.0.0.1", 0, compression=None, max_size=None)
        self.url = f"ws://127.0.0.1:{self._server.socket.getsockname()[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """No more clients."""
        self._server.shutdown()

    def _talk(self, ws: ServerConnection) -> None:
        if self.vendor == "alpaca":
            ws.send(msgpack.packb([{"T": "success", "msg": "connected"}]))
            ws.recv()
            ws.send(msgpack.packb([{"T": "success", "msg": "authenticated"}]))
            wanted = msgpack.unpackb(ws.recv())
            ws.send(msgpack.packb([{**wanted, "T": "subscription"}]))
        else:
            for status in ("connected", "auth_success"):
                ws.send(json.dumps([{"ev": "status", "status": status, "message": ""}]))
                asked = json.loads(ws.recv())
            for topic in asked["params"].split(","):
                said = {"ev": "status", "status": "success", "message": f"subscribed to: {topic}"}
                ws.send(json.dumps([said]))
        text = self.vendor == "polygon"
        self.began = time.monotonic()
        for _ in range(self.times):
            for message in self.played:
                ws.send(message, text=text)
        ws.close()


def captured(sender: Sender, folder: Path, rows: int, pause_s: float = 0.0, **options: object) -> tuple[float, int]:
    """Seconds until `rows` rows had come out of a capture in a process of its own, and its peak memory, bytes."""
    key = folder / "key.json"
    key.write_text(json.dumps({**KEY, "key": "S"}))
    key.chmod(0o600)
    words = [
        "--source",
        sender.vendor,
        "--url",
        sender.url,
        "--key-file",
        str(key),
        "--symbols",
        "BAC,IBM",
        "--no-refill",
    ]
    words += ["--channels", "trades,quotes", "--journal", str(folder / f"journal{time.monotonic_ns()}"), "--once"]
    words += [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    child = subprocess.Popen(
        [sys.executable, "-m", "gpi.cli.main", "capture", "--mute", "0", *words],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT,
        env={**os.environ, "XDG_STATE_HOME": str(folder)},
    )  # fmt: skip
    assert child.stdout is not None and child.stderr is not None
    reader, seconds, peak, got = Reader(child.stdout.fileno()), 0.0, 0, 0
    for frame in reader:
        got += frame.rows
        if got >= rows and not seconds:
            seconds = time.monotonic() - sender.began
            peak = _peak(child.pid)
        if pause_s and frame.rows:
            time.sleep(pause_s)
            peak = max(peak, _peak(child.pid))
    told = child.stderr.read().decode()
    if child.wait() or got < rows:
        raise SystemExit(f"{got:,} of {rows:,} rows came: {told}")
    return seconds, peak


def _peak(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    return 0


def looped(sender: Sender, script: str, kind: str) -> float:
    """Seconds until a vendor's client had handed every item to a handler."""
    command = [sys.executable, "-c", script, sender.url, str(ITEMS), kind]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT) as child:
        assert child.stdout is not None
        ended = float(child.stdout.readline())
        child.terminate()
    return ended - sender.began


def main() -> None:
    """Both wires, then memory."""
    print(machine())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for vendor, script in (("alpaca", ALPACA_LOOP), ("polygon", POLYGON_LOOP)):
            played = messages(vendor, ITEMS)
            sender = Sender(vendor, played)
            client = "alpaca-py" if vendor == "alpaca" else "massive"
            runs = {
                f"gpi capture, {vendor}": lambda sender=sender: captured(sender, folder, ITEMS)[0],
                f"{client}, its models": lambda sender=sender, script=script: looped(sender, script, "models"),
                f"{client}, raw": lambda sender=sender, script=script: looped(sender, script, "raw"),
            }
            timings = interleaved(runs, rounds=3)
            report_rates(timings, ITEMS, "rows/s", against=f"{client}, its models")
            size = sum(map(len, played))
            report(f"gpi capture, {vendor}, bytes", size / timings[f"gpi capture, {vendor}"].p50 / 1e6, "MB/s")
            if vendor == "alpaca":
                peaks = []
                for sender.times in (1, 10):
                    rows = sender.times * ITEMS
                    peaks.append(captured(sender, folder, rows, SLOW_S, buffer=16_384)[1] / 1e6)
                report(
                    "peak memory, a slow reader", peaks[0], f"MB after {ITEMS:,} rows, {peaks[1]:.0f} MB after 10 times"
                )
            sender.close()


if __name__ == "__main__":
    main()
