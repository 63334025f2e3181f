"""A vendor's quote, from the bytes of its socket to a row of a Frame: ours beside the vendors' own clients.

Messages of 50 quotes, as a busy feed sends them. Alpaca: msgpack, against alpaca-py's unpack and cast to its models,
and its raw_data mode (unpack only). Polygon: JSON, against massive's parse, and json alone.
"""

import json
import time
from collections.abc import Callable
from typing import Any

import msgpack
from alpaca.data.models import Quote
from massive.websocket.models import Market, parse

from bench.harness import report
from gpi.formats.instruments import Instruments
from gpi.tools.feeds.live.decoding import Decoder

T = 1_700_000_000_123_456_789
MESSAGES, EACH, ROUNDS = 400, 50, 5
SYMBOLS = ["AAPL", "MSFT", "SPY", "BRK.B", "QQQ"]


def alpaca(n: int) -> dict[str, Any]:
    """One quote as Alpaca sends it."""
    return {
        "T": "q", "S": SYMBOLS[n % 5], "bx": "V", "bp": 100 + n % 7 * 0.01, "bs": 3, "ax": "Q", "ap": 100.1, "as": 5,
        "c": ["R"], "z": "C", "t": msgpack.Timestamp.from_unix_nano(T + n),
    }  # fmt: skip


def polygon(n: int) -> dict[str, Any]:
    """One quote as Polygon sends it."""
    return {
        "ev": "Q", "sym": SYMBOLS[n % 5], "bx": 4, "bp": 114.125, "bs": 100, "ax": 7, "ap": 114.128, "as": 160, "c": 0,
        "i": [604], "t": T // 10**6 + n, "q": n + 1, "z": 3,
    }  # fmt: skip


def sdk_alpaca(message: bytes) -> list[Any]:
    """alpaca-py: unpack, cast times, make models, as its DataStream does."""
    return [Quote(each["S"], {**each, "t": each["t"].to_datetime()}) for each in msgpack.unpackb(message, timestamp=0)]


def sdk_polygon(message: bytes) -> list[Any]:
    """massive: json and its models."""
    return parse(json.loads(message), _Quiet(), Market.Stocks)  # type: ignore[arg-type,no-any-return]


class _Quiet:
    def warning(self, *words: object) -> None:
        """Say nothing."""


def timed(work: Callable[[], object]) -> float:
    """The best of a few rounds, in ns of this process a quote."""
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.process_time()
        work()
        best = min(best, time.process_time() - began)
    return best / (MESSAGES * EACH) * 1e9


def race(name: str, decoder: Decoder, messages: list[bytes], peers: dict[str, Callable[[bytes], object]]) -> None:
    """One vendor: batches, one message at a time, and the peers."""
    stamps = [T] * len(messages)
    decoder.decode_many(messages, stamps)
    ours = timed(lambda: decoder.decode_many(messages, stamps))
    report(f"{name}: ours, 400 messages at once", ours, "ns a quote", "target 1,000")
    single = timed(lambda: [decoder.decode(message, T) for message in messages])
    report(f"{name}: ours, message by message", single, "ns a quote", f"{ours / single:.2f}x")
    for peer, parsed in peers.items():
        theirs = timed(lambda parsed=parsed: [parsed(message) for message in messages])  # type: ignore[misc]
        report(f"{name}: {peer}", theirs, "ns a quote", f"ours is {theirs / ours:.1f}x as fast")


def main() -> int:
    """Both vendors."""
    packed = [bytes(msgpack.packb([alpaca(m * EACH + k) for k in range(EACH)])) for m in range(MESSAGES)]
    peers = {"alpaca-py, models": sdk_alpaca, "alpaca-py, raw_data": lambda m: msgpack.unpackb(m, timestamp=0)}
    race("Alpaca msgpack", Decoder("alpaca", "stocks", Instruments()), packed, peers)
    spelt = [
        json.dumps([polygon(m * EACH + k) for k in range(EACH)], separators=(",", ":")).encode()
        for m in range(MESSAGES)
    ]
    others: dict[str, Callable[[bytes], object]] = {"massive, models": sdk_polygon, "json alone": json.loads}
    race("Polygon JSON", Decoder("polygon", "stocks", Instruments()), spelt, others)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
