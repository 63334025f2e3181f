"""Simulated markets: seeded order flow of many symbols as one stream of ticks.

    stream = simulate(scenario("calm"), ["AAPL", "MSFT"], seed=7, events=1_000_000, levels=5)

The same scenario, symbols and seed give the same rows, bit for bit, whatever the batch size; a symbol's rows do not
depend on the other symbols either (only `seq` and `instrument_id` do).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from gpi.formats.errors import UsageError
from gpi.formats.frame import Frame, Layout
from gpi.formats.instruments import Instrument, Instruments
from gpi.formats.ticks import MAX_LEVELS, ticks
from gpi.tools.kernels.arrivals import MARKET, SYMBOL
from gpi.tools.kernels.orderflow import REOPENS, run
from gpi.tools.kernels.participants import DEPTH_KEPT, PARENTS, TABLE
from gpi.tools.market.scenarios import Scenario
from gpi.tools.stage import Stream

Array = npt.NDArray[Any]

START: Final = 1_767_623_400_000_000_000  # Monday 2026-01-05 14:30 UTC
FOREVER: Final = 2**62
CODES: Final = ("ts_event", "ts_recv", "instrument_id", "kind", "side", "flags", "seq")
PRICES: Final = ("bid_px", "bid_sz", "ask_px", "ask_sz", "trade_px", "trade_sz")
LADDERS: Final = ("bids_px", "bids_sz", "asks_px", "asks_sz")


def simulate(
    scenario: Scenario,
    symbols: Sequence[str],
    seed: int = 0,
    *,
    events: int | None = None,
    duration_s: float | None = None,
    levels: int = 0,
    batch: int = 4096,
    start: int = START,
) -> Stream:
    """A stream of ticks/1 with `levels` book levels: `events` rows or `duration_s` seconds, or without end.

    start: ns since 1970. Every symbol opens at `start` with a snapshot quote. Rows are QUOTE (the touch changed, and
    a DEPTH row too when levels > 0), QUOTE | TRADE, DEPTH alone (something changed behind the touch) or STATUS.
    Raises UsageError for no symbols, one twice, or numbers out of range.
    """
    _check(symbols, events, duration_s, levels, batch)
    schema = Instruments(Instrument(name, tick_size=scenario.tick_size, venue="SIM") for name in symbols).on(ticks(levels))
    end = FOREVER if duration_s is None else start + round(duration_s * 1e9)
    memory = opened(scenario, symbols, seed, start, end)
    return Stream(schema, _frames(memory, schema, FOREVER if events is None else events, batch))


def _frames(memory: dict[str, Any], schema: pa.Schema, rows: int, batch: int) -> Iterator[Frame]:
    layout = Layout.of(schema)
    while rows > 0:
        wanted = min(rows, batch)
        frame = layout.empty(wanted)
        done = advance(memory, frame)
        if done < wanted:
            if done:
                yield frame.slice(0, done).copy()
            return
        rows -= done
        yield frame


def advance(memory: dict[str, Any], frame: Frame) -> int:
    """Fill a frame with the next rows of a market; gives how many there were before its end."""
    none = np.empty((frame.rows, 0))
    return int(
        run(
            memory["symbols"],
            memory["market"],
            memory["params"],
            (memory["keys"], memory["sizes"], memory["held"]),
            memory["due"],
            memory["tree"],
            memory["parents"],
            memory["tables"],
            frame.rows,
            tuple(frame[name] for name in CODES),
            tuple(frame[name] for name in PRICES),
            tuple(frame[name] if name in frame else none for name in LADDERS),
        )
    )


def opened(scenario: Scenario, symbols: Sequence[str], seed: int, start: int, end: int) -> dict[str, Any]:
    """The memory of a market that is about to open: symbols, books, clocks and tables, all numpy."""
    count = len(symbols)
    leaves = 1 << max(1, (count - 1).bit_length())
    due = np.full(leaves, FOREVER * 2 - 1, np.int64)
    due[:count] = start
    tree = np.zeros(2 * leaves, np.int64)
    tree[leaves:] = np.arange(leaves)
    for node in range(leaves - 1, 0, -1):
        tree[node] = tree[2 * node] if due[tree[2 * node]] <= due[tree[2 * node + 1]] else tree[2 * node + 1]
    market = np.zeros(1, MARKET)
    market["rng"], market["pace"] = _seed(seed, "the factor"), 1.0
    return {
        "symbols": np.concatenate([listed(scenario, name, seed, start) for name in symbols]),
        "market": market,
        "params": parameters(scenario, count, start, end),
        "keys": np.zeros((count, 2, DEPTH_KEPT), np.int64),
        "sizes": np.zeros((count, 2, DEPTH_KEPT), np.int64),
        "held": np.zeros((count, 2), np.int64),
        "due": due,
        "tree": tree,
        "parents": np.zeros((count, PARENTS), np.int64),
        "tables": tables(scenario),
    }
