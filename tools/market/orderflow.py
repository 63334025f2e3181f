"""Simulated markets: seeded order flow of many symbols as one stream of ticks.

    stream = simulate(scenario("calm"), ["AAPL", "MSFT"], seed=7, events=1_000_000, levels=5)

The same scenario, symbols and seed give the same rows, bit for bit, whatever the batch size; a symbol's rows
do not depend on the other symbols either (only `seq` and `instrument_id` do).
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
from gpi.tools.kernels.market.arrivals import MARKET, SYMBOL
from gpi.tools.kernels.market.orderflow import REOPENS, run
from gpi.tools.kernels.market.participants import DEPTH_KEPT, PARENTS, TABLE
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

    start: ns since 1970. Every symbol opens at `start` with a snapshot quote. Rows are QUOTE (the touch
    changed, and a DEPTH row too when levels > 0), QUOTE | TRADE, DEPTH alone (something changed behind the
    touch) or STATUS. Raises UsageError for no symbols, one twice, or numbers out of range.
    """
    _check(symbols, events, duration_s, levels, batch)
    schema = Instruments(Instrument(name, tick_size=scenario.tick_size, venue="SIM") for name in symbols).on(
        ticks(levels)
    )
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
    companies = np.concatenate([listed(scenario, name, seed, start) for name in symbols])
    companies["hit"][: scenario.hit or count] = scenario.news != 0.0 or scenario.programme != 0.0
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
        "symbols": companies,
        "market": market,
        "params": parameters(scenario, count, start, end),
        "keys": np.zeros((2 * count, DEPTH_KEPT), np.int64),
        "sizes": np.zeros((2 * count, DEPTH_KEPT), np.int64),
        "held": np.zeros(2 * count, np.int64),
        "due": due,
        "tree": tree,
        "parents": np.zeros((count, PARENTS), np.int64),
        "tables": tables(scenario),
    }


def listed(scenario: Scenario, symbol: str, seed: int, start: int) -> Array:
    """One symbol before its first event, SYMBOL (1,): drawn from its name and the seed."""
    draw = np.random.Generator(np.random.Philox(_seed(seed, symbol) & (2**63 - 1))).uniform
    m = np.zeros(1, SYMBOL)
    price = math.exp(draw(math.log(scenario.price_low), math.log(scenario.price_high)))
    m["rng"] = _seed(seed, f"{symbol}: events")
    m["per_unit"] = _per_unit(scenario.tick_size)
    m["value"] = price * m["per_unit"]
    m["gap"] = max(1.0, price * m["per_unit"][0] * scenario.gap_bps * 1e-4)
    m["rate"] = scenario.rate * math.exp(scenario.rate_spread * draw(-1.0, 1.0))
    m["sigma"] = scenario.volatility * math.sqrt(scenario.cell_s / scenario.session_s)
    m["beta"] = scenario.beta
    m["lot"] = round(scenario.lot)
    m["heat"] = scenario.market
    m["pace"] = m["alarm"] = 1.0
    m["fast"] = m["rate"] * scenario.fast_share
    m["slow"] = m["rate"] * scenario.slow_share
    m["ts"] = start
    m["cell_end"] = start + round(scenario.cell_s * 1e9)
    m["phase"] = REOPENS
    return m


def parameters(scenario: Scenario, count: int, start: int, end: int) -> Array:
    """The scenario's numbers as a record (1,), with the market's first and last moment (ns)."""
    numbers = {name: value for name, value in asdict(scenario).items() if name != "name"}
    fields = [(name, "f8") for name in numbers] + [("start", "i8"), ("end", "i8"), ("cell_ns", "i8")]
    made = np.zeros(1, np.dtype((np.record, fields)))
    for name, value in {
        **numbers,
        "start": start,
        "end": end,
        "cell_ns": round(scenario.cell_s * 1e9),
    }.items():
        made[name] = value
    return made


def tables(scenario: Scenario) -> Array:
    """Quantiles at (i + 1/2) / TABLE of what is drawn often, (4, TABLE): see gpi.tools.kernels.market.participants.

    Distances behind the best (gaps): exponential. Order sizes (lots): odd lots, one lot, a Pareto tail.
    Trades of a parent: Pareto. Levels from the touch: geometric.
    """
    u = (np.arange(TABLE) + 0.5) / TABLE
    left = 1.0 - u
    behind = -scenario.reach * np.log(left)
    lots = np.where(u < 0.3, 0.05 + 2.5 * u, np.where(u < 0.88, 1.0, (0.12 / left) ** 0.7))
    lengths = np.floor(np.minimum(left ** (-1.0 / scenario.parent_tail), 1e5))
    ranks = np.floor(behind)
    return np.array([behind, lots, lengths, ranks])


def _seed(seed: int, name: str) -> int:
    """A generator's first state, int64 and not zero."""
    digest = hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True) or 1


def _per_unit(tick_size: float) -> int:
    per_unit = round(1.0 / tick_size)
    if abs(per_unit * tick_size - 1.0) > 1e-9:
        raise UsageError(f"tick_size must be 1/n of a dollar, such as 0.01 or 0.05, not {tick_size}")
    return per_unit


def _check(symbols: Sequence[str], events: int | None, duration_s: float | None, levels: int, batch: int) -> None:
    if not symbols or len(set(symbols)) != len(symbols):
        raise UsageError("simulate needs symbols, each once, such as AAPL MSFT")
    if (events is not None and events < 0) or (duration_s is not None and not 0 < duration_s < 1e9):
        raise UsageError("events must not be negative, and a duration must be of 0 to 1e9 seconds")
    if not 0 <= levels <= MAX_LEVELS or batch < 1:
        raise UsageError(f"levels must be 0..{MAX_LEVELS} and batch at least 1")
