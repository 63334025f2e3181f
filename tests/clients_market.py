"""The market that the clients of tests/clients trade in: minutes of a Monday, then ticks of everything."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gpi.formats.instruments import Instruments, crypto, equity, index, option
from gpi.formats.ipc import writing
from gpi.formats.ticks import ticks
from gpi.formats.words import BUY, QUOTE, SELL, TRADE
from tests.test_conformance import frame
from tests.venues import MONDAY, Ready, running_venue

CALL, PUT = "AAPL260116C00190000", "AAPL260116P00185000"
PRICES = {"AAPL": 190.0, "MSFT": 400.0, "SPY": 590.0, "TSLA": 450.0, CALL: 3.5, PUT: 2.5, "BTC/USD": 64_000.0,
          "ETH/USD": 3_200.0, "SPX": 5_900.0}  # by symbol, in the order of the table  # fmt: skip
SHARES, COINS = ("AAPL", "MSFT", "SPY", "TSLA"), ("BTC/USD", "ETH/USD")
TABLE = Instruments([*map(equity, SHARES), option(CALL), option(PUT), *map(crypto, COINS), index("SPX")])
MINUTES = 12
LATE_NS = 90 * 10**9


def morning(path: Path, minutes: int = MINUTES, every_s: int = 5) -> Path:
    """Quotes and trades of everything until the moment at which the clients begin, as a file of ticks."""
    rows: list[dict[str, Any]] = []
    steps = minutes * 60 // every_s
    for k in range(steps):
        at = MONDAY - (steps - k) * every_s * 10**9
        for i, px in enumerate(PRICES.values()):
            row = {"ts_event": at, "instrument_id": i}
            bid = round(px * (1 - 0.0001), 2)
            rows.append({**row, "kind": QUOTE, "bid_px": bid, "bid_sz": 500.0, "ask_px": bid + 0.04, "ask_sz": 500.0})
            rows.append(
                {**row, "kind": TRADE, "trade_px": bid + 0.02, "trade_sz": 10.0, "side": SELL if k % 2 else BUY}
            )
    with open(path, "wb") as file, writing(os.dup(file.fileno()), TABLE.on(ticks(2))) as writer:
        writer.write(frame(*rows))
    return path


def told(symbol: str, px: float) -> dict[str, Any]:
    """One tick in the words of /gpi/control."""
    bid = round(px * (1 - 0.0001), 2)
    ask = round(bid + 0.04, 2)
    return {"symbol": symbol, "bid": [bid, 500], "ask": [ask, 500], "trade": [round(bid + 0.02, 2), 10, "buy"]}


def late(symbol: str) -> dict[str, Any]:
    """A trade, without its quote."""
    return {"symbol": symbol, "trade": told(symbol, PRICES[symbol])["trade"]}


@contextlib.contextmanager
def lively(folder: Path, *options: object) -> Iterator[Ready]:
    """The real `gpi venue` after those minutes, with a tick of everything three times a second while a client runs."""
    over = threading.Event()
    with running_venue(
        "--rate-limit", 0, "--fill", "conservative", "--tls", *options, feed=morning(folder / "morning.arrow")
    ) as venue:

        def tick() -> None:
            now = MONDAY
            while not over.wait(0.3):
                with contextlib.suppress(OSError):
                    every = [told(symbol, px) for symbol, px in PRICES.items()]
                    now = int(venue.control(tick=every, advance=10)["advance"])
                    # a trade of a minute that is over, and a share that nobody trades is halted and goes on
                    venue.control(tick=[{**late(symbol), "ts": now - LATE_NS} for symbol in ("AAPL", "BTC/USD")])
                    venue.control(halt="TSLA")
                    venue.control(resume="TSLA", luld={"symbol": "TSLA", "seconds": 5})

        ticking = threading.Thread(target=tick)
        ticking.start()
        try:
            yield venue
        finally:
            over.set()
            ticking.join()
