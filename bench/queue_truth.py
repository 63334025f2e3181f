"""How wrong is a guessed queue? The same passive orders with the queue known order by order, and with every guess.

Real days of LOBSTER, which tells every order of the book: AMZN with five levels, AAPL with the best one. Orders of 100
join the best price of a side drawn by lot, at rows drawn with a fixed seed (of all, and of those where 500 or more
stand there already), each with the market to itself, and are cancelled after a minute. The truth is the policy
`fifo`. The guesses see the same rows without the columns of single orders, and, where the file has five levels, also
the best one alone.

The witnesses: real orders that joined others at the touch. An order of ours that got its place right before such a
one must have its first fill in the row in which that one first trades, and none before that one is cancelled: what
the venue itself did says how true `fifo` is, and how wrong each guess.

A file of N levels tells only of orders within them. While the price of an order of ours is beyond, nobody knows its
queue, and `fifo`, too, is a guess; "in sight" are the orders whose price never left the file until they were filled
or cancelled. For these the truth is the truth, but for what our order would have changed in the others' conduct.

Standard errors are over 26 blocks of 15 minutes: orders close in time share their fate. Then the cost: nanoseconds per
row of the engine, with and without the orders' columns, for a strategy that does nothing and for one that quotes.
"""

from __future__ import annotations

import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from bench.harness import data, interleaved, machine, report
from gpi.formats.frame import Frame, concatenated
from gpi.formats.instruments import Instruments
from gpi.formats.quarantine import Quarantine
from gpi.formats.ticks import ticks
from gpi.formats.words import ADD, BUY, EXECUTE, FILLED, GTC, LIMIT, SELL
from gpi.tools.backtest.session import Session
from gpi.tools.backtest.setup import Rules, Setup
from gpi.tools.feeds.files import open_ticks
from gpi.tools.stage import Stream
from gpi.tools.strategies.loading import load
from gpi.tools.venue.exchange import Exchange, Request
from gpi.tools.venue.exchange import Fill as Policy

Array = npt.NDArray[Any]
DAYS: Final = {
    "AMZN": ("eq_lob_lobster_AMZN_20120621_L5.parquet", 5),
    "AAPL": ("eq_lob_lobster_AAPL_20120621_L1.parquet", 1),
}
SEED, LIFE_NS, QTY, BLOCK_NS = 20120621, 60 * 10**9, 100.0, 900 * 10**9
GUESSES: Final[dict[str, tuple[Policy, float]]] = {
    "conservative": ("conservative", 0.0),
    "queue, logarithms": ("queue", 0.0),
    "queue, power 1": ("queue", 1.0),
    "queue, power 3": ("queue", 3.0),
    "alpaca-paper": ("alpaca-paper", 0.0),
}
WITHIN: Final = (1, 10, 60)  # seconds
IDLE: Final = """from gpi.tools.kernels.jit import borrowing
@borrowing
def decide(memory, params, view, inputs, market, orders, n_orders, intents):
    return 0
"""


class Order(NamedTuple):
    """One order: sent after row `first`, withdrawn after the row before `last`."""

    side: int
    px: float
    first: int
    last: int


def opened(name: str, by_order: bool) -> Stream:
    """A day as gpi reads it."""
    return open_ticks([data(name)], batch=8192, quarantine=Quarantine(), by_order=by_order)


def narrowed(rows: Frame, levels: int) -> Frame:
    """The same rows with so many levels (0: the best quotes alone) and without single orders."""
    schema = ticks(levels)
    return Frame.of(schema, {name: rows[name] for name in schema.names})


def drawn(rows: Frame, count: int, behind: float) -> list[Order]:
    """Orders at a touch that shows at least `behind`, at random rows of the day."""
    dice, ts = np.random.default_rng(SEED), rows["ts_event"]
    sides = dice.choice([BUY, SELL], rows.rows)
    touch = np.where(sides == BUY, rows["bid_px"], rows["ask_px"])
    queue = np.where(sides == BUY, rows["bid_sz"], rows["ask_sz"])
    there = np.flatnonzero(
        (rows["bid_sz"] > 0) & (rows["ask_sz"] > 0) & (queue >= behind) & (ts < ts[-1] - 2 * LIFE_NS)
    )
    picked = np.sort(dice.choice(there, min(count, len(there)), replace=False))
    ends = np.searchsorted(ts, ts[picked] + LIFE_NS, side="right")
    columns = (sides[picked], touch[picked], picked, ends)
    return [Order(*each) for each in zip(*(column.tolist() for column in columns), strict=True)]


def played(rows: Frame, instruments: Instruments, order: Order, fill: Policy, power: float) -> tuple[float, float]:
    """(share filled, seconds until it was filled whole: NaN if never) of an order that has the market to itself."""
    levels = rows["bids_px"].shape[1] if "bids_px" in rows else 1
    exchange = Exchange(instruments, levels, fill, seed=order.first)
    exchange._engine.venue.likely_power = power
    exchange.tick(rows.slice(order.first, order.first + 1))
    exchange.submit(Request(0, order.side, LIMIT, GTC, QTY, order.px))
    exchange.tick(rows.slice(order.first + 1, order.last))
    fills = [event for event in exchange.events() if event.action == FILLED]
    whole = bool(fills) and fills[-1].leaves == 0.0
    seconds = (fills[-1].ts - int(rows["ts_event"][order.first])) / 1e9 if whole else np.nan
    return sum(event.qty for event in fills) / QTY, seconds


def in_sight(rows: Frame, order: Order, seconds: float) -> bool:
    """Was its price within the file's levels while it lived?"""
    ts = rows["ts_event"]
    last = order.last if seconds != seconds else int(np.searchsorted(ts, ts[order.first] + int(seconds * 1e9), "right"))
    side = "bid" if order.side == BUY else "ask"
    if f"{side}s_px" not in rows:
        worst = rows[f"{side}_px"][order.first : last]
    else:
        worst = rows[f"{side}s_px"][order.first : last, -1]
    return not (order.side * (worst - order.px) > 1e-6).any()


def clustered(values: Array, blocks: Array) -> tuple[float, float]:
    """Mean and its standard error, values of one block being dependent."""
    mean = float(values.mean())
    sums = np.bincount(blocks, values - mean)
    return mean, float(np.sqrt((sums**2).sum()) / len(values))


def told(values: Array, blocks: Array, scale: float = 100.0) -> str:
    """Mean and standard error, in percent unless told otherwise."""
    if not len(values):
        return "-"
    mean, error = clustered(values.astype(float), blocks)
    return f"{scale * mean:.2f} +- {scale * error:.2f}"


def compared(rows: Frame, instruments: Instruments, orders: list[Order], deepest: int) -> None:
    """Print the truth, and each guess against it, for the orders that were in sight throughout; for all the truth."""
    truth = np.array([played(rows, instruments, order, "fifo", 0.0) for order in orders])
    starts = np.array([rows["ts_event"][order.first] for order in orders])
    blocks = (starts - rows["ts_event"][0]) // BLOCK_NS
    sight = np.array([in_sight(rows, order, found[1]) for order, found in zip(orders, truth, strict=True)])
    print(f"  {len(orders):,} orders, in sight {told(sight, blocks)} %; fifo of all:", end=" ")
    print(", ".join(f"filled within {s} s {told(truth[:, 1] <= s, blocks)} %" for s in WITHIN))
    print(f"  the {int(sight.sum()):,} in sight   | " + " | ".join(f"filled in {s} s, wrongly, missed" for s in WITHIN))
    truth, blocks, kept = truth[sight], blocks[sight], [o for o, seen in zip(orders, sight, strict=True) if seen]
    print("  fifo | " + " | ".join(told(truth[:, 1] <= s, blocks) for s in WITHIN), end="")
    print(f" | time to fill {told(truth[truth[:, 1] == truth[:, 1], 1], blocks[truth[:, 1] == truth[:, 1]], 1)} s")
    for levels in (deepest, 1) if deepest > 1 else (1,):
        seen = narrowed(rows, levels if levels > 1 else 0)
        for name, (fill, power) in GUESSES.items():
            guess = np.array([played(seen, instruments, order, fill, power) for order in kept])
            cells = []
            for s in WITHIN:
                ours, real = guess[:, 1] <= s, truth[:, 1] <= s
                cells.append(f"{told(ours, blocks)}, {told(ours & ~real, blocks)}, {told(~ours & real, blocks)}")
            both = (guess[:, 1] == guess[:, 1]) & (truth[:, 1] == truth[:, 1])
            late = guess[both, 1] - truth[both, 1]
            print(f"  {name}, {levels} levels | " + " | ".join(cells), end="")
            print(f" | later by {told(late, blocks[both], 1)} s, off by {told(abs(late), blocks[both], 1)} s")


class Witness(NamedTuple):
    """An order of the file that joined the touch in row `joined`; row `ended` is the first that tells of it again."""

    side: int
    px: float
    joined: int
    ended: int
    executed: bool


def witnesses(rows: Frame, count: int) -> list[Witness]:
    """Orders that joined others at the best price, whose next event the file tells; half of them executed."""
    act, ref, px, side = (rows[f"order_{name}"] for name in ("act", "ref", "px", "side"))
    after = np.full(rows.rows, -1)
    by_ref = np.lexsort((np.arange(rows.rows), ref))
    again = ref[by_ref[1:]] == ref[by_ref[:-1]]
    after[by_ref[:-1][again]] = by_ref[1:][again]
    best = np.where(side == BUY, np.roll(rows["bid_px"], 1), np.roll(rows["ask_px"], 1))
    there = (act == ADD) & (px == best) & (after > 0) & (np.arange(rows.rows) > 100)
    dice, found = np.random.default_rng(SEED), []
    for executed in (True, False):
        mine = np.flatnonzero(there & ((act[after] == EXECUTE) == executed))
        for row in np.sort(dice.choice(mine, min(count // 2, len(mine)), replace=False)).tolist():
            found.append(Witness(int(side[row]), float(px[row]), row, int(after[row]), executed))
    return found


def twin(rows: Frame, instruments: Instruments, one: Witness, fill: Policy, power: float) -> float:
    """Seconds from a witness's first event to the first fill of an order of ours that stands right before it; NaN: none
    in the minute after."""
    exchange, ts = (
        Exchange(instruments, rows["bids_px"].shape[1] if "bids_px" in rows else 1, fill, one.joined),
        rows["ts_event"],
    )
    exchange._engine.venue.likely_power = power
    exchange.tick(rows.slice(one.joined - 1, one.joined))
    exchange.submit(Request(0, one.side, LIMIT, GTC, QTY, one.px))
    until = one.ended + 1 if not one.executed else int(np.searchsorted(ts, ts[one.ended] + LIFE_NS, side="right"))
    exchange.tick(rows.slice(one.joined, until))
    fills = [event.ts for event in exchange.events() if event.action == FILLED]
    return (fills[0] - int(ts[one.ended])) / 1e9 if fills else np.nan


def testified(rows: Frame, instruments: Instruments, found: list[Witness], deepest: int) -> None:
    """Print how often each policy fills the twin when its witness traded, and how often though it did not."""
    executed = np.array([one.executed for one in found])
    blocks = (rows["ts_event"][[one.joined for one in found]] - rows["ts_event"][0]) // BLOCK_NS
    print(f"  {int(executed.sum()):,} executed: on time, before, later, not within a minute | later by")
    print(f"  {int((~executed).sum()):,} cancelled: filled before", flush=True)
    policies: list[tuple[str, Frame, Policy, float]] = [("fifo", rows, "fifo", 0.0)]
    for levels in (deepest, 1) if deepest > 1 else (1,):
        plain = narrowed(rows, levels if levels > 1 else 0)
        policies += [(f"{name}, {levels} levels", plain, fill, power) for name, (fill, power) in GUESSES.items()]
    for label, seen, fill, power in policies:
        late = np.array([twin(seen, instruments, one, fill, power) for one in found])
        kinds = (late == 0, late < 0, late > 0, late != late)
        cells = [told(kind[executed], blocks[executed]) for kind in kinds]
        after = executed & (late > 0)
        in_vain = ~executed & (late <= 0)
        print(f"  {label} | {', '.join(cells)} | {told(late[after], blocks[after], 1)} s", end="")
        print(f" | {told(in_vain[~executed], blocks[~executed])}", flush=True)


def seconds_of(stream: Stream, frames: list[Frame], strategy: str, fill: str) -> float:
    """Seconds of a backtest of these frames."""
    session = Session(stream.schema, Setup(load(strategy), rules=Rules(fill)))
    begun = time.perf_counter()
    for frame in frames:
        session.step(frame)
    return time.perf_counter() - begun


def cost(name: str, rounds: int) -> None:
    """Report nanoseconds per row with and without single orders."""
    runs, rows = {}, 1
    with tempfile.TemporaryDirectory() as folder:
        idle = Path(folder) / "idle.py"
        idle.write_text(IDLE)
        for label, by_order in (("plain rows", False), ("rows by order", True)):
            stream = opened(name, by_order)
            frames = [frame.copy() for frame in stream.frames]
            rows = sum(frame.rows for frame in frames)
            for who, strategy in (("idle", str(idle)), ("market making", "market_making")):
                for fill in ("conservative", *(["fifo"] if by_order else [])):
                    runs[f"{who}, {label}, {fill}"] = partial(seconds_of, stream, frames, strategy, fill)
        for label, found in interleaved(runs, rounds).items():
            report(
                label, 1e9 * found.p50 / rows, "ns per row", f"best of {found.rounds}: {1e9 * found.best / rows:.1f}"
            )


def main(count: int, rounds: int) -> None:
    """Compare, then time."""
    print(f"# {machine()}")
    print("# percent of the orders, or seconds, +- a standard error")
    for day, (name, levels) in DAYS.items():
        stream = opened(name, True)
        rows = concatenated([frame.copy() for frame in stream.frames], stream.schema)
        for behind in (0.0, 500.0):
            print(f"{day}, joining at least {behind:.0f} shares", flush=True)
            compared(rows, Instruments.of(stream.schema), drawn(rows, count, behind), levels)
        print(f"{day}, twins of real orders", flush=True)
        testified(rows, Instruments.of(stream.schema), witnesses(rows, count), levels)
    cost(DAYS["AMZN"][0], rounds)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 4000, int(sys.argv[2]) if len(sys.argv) > 2 else 15)
