"""A market of our own making: every tick told to the venue, then to the trader, stamped with the time it is."""

from __future__ import annotations

import contextlib
import fcntl
import math
import os
import random
import threading
import time
from typing import Any, Final

import pyarrow as pa

from gpi.formats.errors import VenueError
from gpi.formats.frame import Frame, Layout
from gpi.formats.instruments import KEY, Instruments, equity
from gpi.formats.ipc import Writer
from gpi.formats.ticks import TICKS
from gpi.formats.words import QUOTE, STATUS, TRADE
from gpi.tools.chaos.venue import Venue

F_SETPIPE_SZ: Final = 1031
PIPE_BYTES: Final = 1 << 20
SYMBOLS: Final = ("SPY", "NVDA")


class Ticking:
    """`with Ticking(market):` ticks come by themselves, from a thread, every so many seconds."""

    def __init__(self, market: Market, every_s: float = 0.005) -> None:
        self._market, self._every_s, self._stop = market, every_s, threading.Event()
        self._thread = threading.Thread(target=self._run, name="market", daemon=True)

    def __enter__(self) -> Ticking:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        self._thread.join(30)

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            with contextlib.suppress(VenueError, OSError):
                self._market.tick()


class Market:
    """Quotes and trades of a few symbols in a random walk around 100. `attach` a pipe to be told."""

    def __init__(self, venue: Venue, dice: random.Random, symbols: tuple[str, ...] = SYMBOLS, levels: int = 0) -> None:
        self.venue, self.dice, self.symbols = venue, dice, symbols
        table = Instruments([equity(symbol) for symbol in symbols])
        self.schema: pa.Schema = TICKS.with_metadata({**TICKS.metadata, KEY.encode(): table.to_json().encode()})
        self.mids = dict.fromkeys(symbols, 100.0)
        self.halted: set[str] = set()
        self.told = 0
        self.trades = 0.3  # share of quotes with a trade in them
        self._readers: dict[int, Writer] = {}
        self._turn = 0

    def pipe(self) -> int:
        """A new reader: the end it reads from. Close it once it was handed over."""
        out_of, into = os.pipe()
        with contextlib.suppress(OSError):
            fcntl.fcntl(into, F_SETPIPE_SZ, PIPE_BYTES)
        os.set_blocking(into, False)
        self._readers[into] = Writer(into, self.schema)
        return out_of

    def end(self, honestly: bool = True) -> None:
        """No more ticks: the readers' streams end."""
        for fd in list(self._readers):
            if honestly:
                with contextlib.suppress(OSError):
                    self._readers[fd].close()
            self._drop(fd)

    def tick(self, times: int = 1, every_s: float = 0.0, only: str | None = None) -> bool:
        """So many ticks, the symbols in turn. Never true, so that `until(lambda: tick() or done())` ticks on."""
        for _ in range(times):
            symbol = only or self.symbols[self._turn % len(self.symbols)]
            self._turn += 1
            self.quote(symbol)
            if every_s:
                time.sleep(every_s)
        return False

    def quote(self, symbol: str, mid: float | None = None, size: float | None = None, tell: bool = True) -> None:
        """A quote a cent or two around a mid that walks, now and then with a trade in it."""
        dice = self.dice
        self.mids[symbol] = mid = round(mid or self.mids[symbol] + 0.01 * dice.choice((-2, -1, 0, 1, 2)), 2)
        bid, ask = round(mid - 0.01, 2), round(mid + 0.01, 2)
        bid_sz, ask_sz = (size or float(100 * dice.randint(1, 9)) for _ in range(2))
        asked: dict[str, Any] = {"symbol": symbol, "bid": [bid, bid_sz], "ask": [ask, ask_sz], "ts": time.time_ns()}
        row = {"kind": QUOTE, "bid_px": bid, "bid_sz": bid_sz, "ask_px": ask, "ask_sz": ask_sz}
        if dice.random() < self.trades:
            side = dice.choice((1, -1))
            px, sz = ask if side > 0 else bid, float(100 * dice.randint(1, 5))
            asked["trade"] = [px, sz, side]
            row |= {"kind": QUOTE | TRADE, "trade_px": px, "trade_sz": sz, "side": side}
        self.venue.control(tick=asked)
        if tell:
            self.tell(symbol, asked["ts"], **row)

    def status(self, symbol: str, flags: int) -> None:
        """A trading status, to the readers only: the venue is told by control."""
        self.tell(symbol, time.time_ns(), kind=STATUS, flags=flags)

    def tell(self, symbol: str, ts: int, **row: float) -> None:
        """One row to every reader."""
        frame = Layout.of(TICKS).empty(1)
        for name in TICKS.names:
            frame[name][:] = math.nan if name in ("bid_px", "ask_px", "trade_px") else 0
        frame["ts_event"][:] = frame["ts_recv"][:] = ts
        frame["instrument_id"][:] = self.symbols.index(symbol)
        self.told += 1
        frame["seq"][:] = self.told
        for name, value in row.items():
            frame[name][:] = value
        self.write(frame)

    def write(self, frame: Frame) -> None:
        """A frame to every reader that still reads."""
        for fd, writer in list(self._readers.items()):
            try:
                writer.write(frame)
            except OSError:  # it was killed, or is stopped and its pipe is full
                self._drop(fd)

    def _drop(self, fd: int) -> None:
        del self._readers[fd]
        os.close(fd)
