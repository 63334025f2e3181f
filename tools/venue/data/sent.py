"""Sent: the record of what went out, row for row as ticks/1, one file per socket address.

One row per message in sending order, to the oldest subscriber of the address, with the values as they stood on the
wire: what was lost on purpose is missing, what was doubled stands twice, a NaN that was sent is a NaN (malformed items
are no rows). Polygon's times are those of its wire, whole milliseconds. What the wire does not say
(the aggressor of a share's trade, a snapshot) is not in the row. Bars and books are left out.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from gpi.formats.appearing import begun, replaceable
from gpi.formats.frame import Frame, Layout
from gpi.formats.instruments import Instruments
from gpi.formats.ipc import Writer
from gpi.formats.ticks import TICKS
from gpi.formats.trust import private_folder
from gpi.formats.words import BUY, HALTED, HIDDEN, OFF_EXCHANGE, PAUSED, QUOTE, SELL, STATUS, TRADE, UNKNOWN_SIDE
from gpi.tools.kernels.data import writing as w

Array = npt.NDArray[Any]
KINDS: Final = {w.STATUS: STATUS, w.TRADE: TRADE, w.QUOTE: QUOTE}
STATES: Final = HALTED | PAUSED
MS: Final = 1_000_000


class Sent:
    """Writes PATH/<address>.arrow, such as v2-iex.arrow; `close` says that the files are whole."""

    def __init__(self, folder: Path, instruments: Instruments) -> None:
        private_folder(folder)
        self._folder, self._instruments = folder, instruments
        self._open: dict[str, tuple[int, Writer, int]] = {}
        self._rows: dict[str, int] = {}

    def add(self, endpoint: str, ints: Array, nums: Array) -> None:
        """Items as they went out on an address."""
        told = np.isin(ints[:, w.I_CHANNEL], tuple(KINDS))
        if not told.any():
            return
        ints, nums = ints[told], nums[told]
        writer = self._writer(endpoint)
        coins = np.array([each.asset_class == "crypto" for each in self._instruments], bool)[ints[:, w.I_INSTRUMENT]]
        frame = rows(ints, nums, self._rows[endpoint], coins, polygon=endpoint.count("/") == 1)
        self._rows[endpoint] += frame.rows
        writer.write(frame)

    def close(self) -> None:
        """End every file."""
        for fd, writer, _ in self._open.values():
            writer.close()
            os.close(fd)
        self._open.clear()

    def _writer(self, endpoint: str) -> Writer:
        if endpoint not in self._open:
            path = self._folder / f"{endpoint.strip('/').replace('/', '-')}.arrow"
            fd = begun(replaceable(path), 0o600)
            self._open[endpoint] = fd, Writer(fd, self._instruments.on(TICKS)), len(self._instruments)
            self._rows[endpoint] = 0
        fd, writer, known = self._open[endpoint]
        if known != len(self._instruments):
            note = Frame(writer.layout, 0, {}, (), self._instruments.news(known))
            writer.write(note)
            self._open[endpoint] = fd, writer, len(self._instruments)
        return writer


def rows(ints: Array, nums: Array, first: int, coins: Array, polygon: bool) -> Frame:
    """Items as rows of ticks/1, numbered from `first`; `coins` (n,) says which have an aggressor on the wire."""
    made = Layout.of(TICKS).empty(len(ints))
    channel, c = ints[:, w.I_CHANNEL], made.columns
    quote, trade = channel == w.QUOTE, channel == w.TRADE
    ts = ints[:, w.I_TS] // MS * MS if polygon else ints[:, w.I_TS]
    c["ts_event"][:], c["ts_recv"][:] = ts, ts
    c["instrument_id"][:] = ints[:, w.I_INSTRUMENT]
    c["kind"][:] = np.where(quote, QUOTE, np.where(trade, TRADE, STATUS))
    c["side"][:] = np.where(trade & coins, np.where(ints[:, w.I_SIDE] < 0, SELL, BUY), UNKNOWN_SIDE)
    c["flags"][:] = ints[:, w.I_FLAGS] & np.where(
        trade & ~coins, OFF_EXCHANGE | HIDDEN, np.where(quote | trade, 0, STATES)
    )
    c["seq"][:] = np.arange(first, first + len(ints))
    for px, sz, a, b in (("bid_px", "bid_sz", w.N_BID_PX, w.N_BID_SZ), ("ask_px", "ask_sz", w.N_ASK_PX, w.N_ASK_SZ)):
        missing = ~quote | ((nums[:, a] == 0.0) & (nums[:, b] == 0.0))  # a side that is 0 on the wire is no side
        c[px][:] = np.where(missing, np.nan, nums[:, a])
        c[sz][:] = np.where(missing, 0.0, nums[:, b])
    c["trade_px"][:] = np.where(trade, nums[:, w.N_PX], np.nan)
    c["trade_sz"][:] = np.where(trade, nums[:, w.N_SZ], 0.0)
    return made
