"""gpi's matching against hftbacktest's, fill by fill: the same level updates and trades, the same scripted orders.

Both get Binance spot BTCUSDT and ETHUSDT of 8 August 2024 (from the REST snapshot on, updates older than it dropped, as
Binance prescribes), 1 ms from the trader to the venue, and orders drawn once with a fixed seed: limit orders around the
touch, some across it, small, each cancelled after a while unless it filled. hftbacktest runs its NoPartialFillExchange
with the RiskAdverseQueueModel; gpi its backtest engine, once with its own policy `conservative` and once with `whole`,
which fills as hftbacktest does. gpi's exchange gets the same orders and must fill them as the engine does.

Every order whose outcome differs is put into a class by changing one thing at a time:

    hftbacktest --(1)-- its rule over gpi's rows --(2)-- gpi with this order alone --(3)-- gpi with all orders

(1) deep: a row carries ten levels a side. The queue of an order at a level beyond them is unknown (infinite on arrival,
    unchanged later) until the level comes into sight; hftbacktest keeps the whole book.
(2) partial: a fill is never larger than the trade or the level that made it; hftbacktest fills the whole order at the
    first lot. So the rest fills later, at the same price, or never. dust: a piece below half a lot, which is float
    noise that hftbacktest rounds away.
(3) shared: here one trade's size, and what a level shows, is given once among our own orders, the earlier first; there
    every order has the market to itself.

What no class explains is `unexplained`, and a defect of one of the two. There is no class for the states inside
a message (bids before asks): with all messages of this recording they never decided anything.

Events are level updates and trades. Timed: the whole script from prepared memory, and the same without orders. gpi has
folded the updates of one message into one row of ten levels when it read the file; that is not counted, except in
"from the Parquet files", which reads and folds as well. hftbacktest applies every update, and twice: it also keeps
the trader's view of the book. gpi also judges every order at its gate and marks equity.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from bench.harness import Peer, data, interleaved, machine, report, report_rates
from bench.matching_script import FILES, LOTS, TICK, Array, Fill, Order, actions, save_script, scripted, updates
from bench.records import LATENCY_NS
from gpi.formats.frame import Frame, concatenated
from gpi.formats.instruments import Instruments
from gpi.formats.quarantine import Quarantine
from gpi.formats.ticks import TICKS
from gpi.formats.words import BUY, DEPTH, FILLED, GTC, LIMIT, MAKER, TRADE
from gpi.tools.backtest.session import Session
from gpi.tools.backtest.setup import Latency, Rules, Setup
from gpi.tools.feeds.files import open_ticks
from gpi.tools.stage import Stream
from gpi.tools.strategies.loading import load
from gpi.tools.venue.exchange import Event, Exchange, Request
from gpi.tools.venue.exchange import Fill as Policy

LEVELS = 10
SCRIPTED = str(Path(__file__).parent / "strategies" / "scripted.py")


class Ours:
    """gpi's engine over the folded rows; and its exchange, for one order at a time."""

    def __init__(self, rows: Frame, instruments: Instruments, script: Array) -> None:
        self.rows, self.instruments, self.ts = rows, instruments, rows["ts_event"]
        self.policy: Policy = "conservative"
        wide = pa.list_(pa.field("item", pa.float32(), nullable=False), 4)
        schema = rows.layout.schema.append(pa.field("features", wide, nullable=False))
        whole = Frame.of(schema, {**rows.columns, "features": script})
        self.schema = instruments.on(schema.with_metadata(TICKS.metadata))
        self.frames = [whole.slice(a, a + 8192).copy() for a in range(0, rows.rows, 8192)]
        idle = Frame.of(schema, {**rows.columns, "features": 0.0 * script})
        self.idle = [idle.slice(a, a + 8192).copy() for a in range(0, rows.rows, 8192)]
        self.fills: dict[int, list[Fill]] = {}

    def run(self, frames: list[Frame]) -> float:
        """Seconds of a backtest of these frames; its fills by order are in `fills`."""
        latency = Latency(LATENCY_NS, LATENCY_NS, LATENCY_NS)
        session = Session(self.schema, Setup(load(SCRIPTED), latency=latency, cash=1e9, rules=Rules(self.policy)))
        begun = time.perf_counter()
        told = [session.step(frame) for frame in frames]
        told.append(session.finish())
        seconds = time.perf_counter() - begun
        self.fills = {}
        for part in told:
            names = ("order_id", "ts_event", "px", "qty", "liquidity")
            for order_id, ts, px, qty, liquidity in zip(*(part.fills[n].tolist() for n in names), strict=True):
                made = Fill(ts, round(px / TICK), qty, liquidity == MAKER)
                self.fills.setdefault(order_id, []).append(made)
        return seconds

    def exchanged(self, orders: list[Order]) -> dict[int, list[Fill]]:
        """The fills of all orders at gpi's exchange, which gets them one by one."""
        exchange, numbers, at = Exchange(self.instruments, LEVELS, self.policy), dict[int, int](), 0
        for ts, new, order in actions(orders):
            until = int(np.searchsorted(self.ts, ts, side="right"))
            exchange.tick(self.rows.slice(at, until))
            exchange.advance(ts)
            at = until
            if new:
                numbers[order.order_id] = exchange.submit(_request(order))
            else:
                exchange.cancel(numbers[order.order_id])
        exchange.tick(self.rows.slice(at, self.rows.rows))
        names, found = {number: order_id for order_id, number in numbers.items()}, dict[int, list[Fill]]()
        for event in exchange.events():
            if event.action == FILLED:
                found.setdefault(names[event.order_id], []).append(_fill(event))
        return found

    def alone(self, order: Order) -> list[Fill]:
        """The fills of an order that has the venue to itself, up to its cancel."""
        first, exchange = self._book_before(order), Exchange(self.instruments, LEVELS, self.policy)
        there, gone = (int(np.searchsorted(self.ts, t, side="right")) for t in (order.arrives, order.leaves))
        exchange.tick(self.rows.slice(first, there))
        exchange.advance(order.arrives)
        exchange.submit(_request(order))
        if gone > there:
            exchange.tick(self.rows.slice(there, gone))
        return [_fill(event) for event in exchange.events() if event.action == FILLED]

    def _book_before(self, order: Order) -> int:
        """The last row with this instrument's book before the order: nothing earlier matters to it."""
        before = int(np.searchsorted(self.ts, order.arrives, side="right"))
        mine = (self.rows["instrument_id"][:before] == order.instrument_id) & (self.rows["kind"][:before] & DEPTH != 0)
        return int(np.flatnonzero(mine)[-1])

    def lived(self, order: Order) -> Iterator[int]:
        """The rows of this instrument from its last book before the order to its cancel."""
        first = self._book_before(order)
        last = int(np.searchsorted(self.ts, order.leaves, side="right"))
        yield from first + np.flatnonzero(self.rows["instrument_id"][first:last] == order.instrument_id)


def _request(order: Order) -> Request:
    return Request(order.instrument_id, order.side, LIMIT, GTC, order.qty, order.tick / 100.0)


def _fill(event: Event) -> Fill:
    return Fill(event.ts, round(event.px / TICK), event.qty, event.liquidity == MAKER)


def their_rule(ours: Ours, order: Order) -> tuple[list[Fill], bool]:
    """hftbacktest's rule for one order over gpi's rows; and whether its queue was ever too deep to see."""
    rows, lot = ours.rows, LOTS[order.instrument_id]
    own, other = ("bids", "asks") if order.side == BUY else ("asks", "bids")
    queue, deep = np.nan, False  # NaN until it is there

    def ticks(name: str, k: int) -> Array:
        return np.round(rows[name][k] / TICK)

    def shown(k: int) -> float:
        px = ticks(f"{own}_px", k)
        if order.side * (px[-1] - order.tick) > 0:
            return np.inf
        at = np.flatnonzero(px == order.tick)
        return float(rows[f"{own}_sz"][k][at[0]]) if len(at) else 0.0

    for k in ours.lived(order):
        ts = int(rows["ts_event"][k])
        if rows["kind"][k] & DEPTH:
            best = ticks(f"{other}_px", k)[0]
            crossed = order.side * (order.tick - best) >= 0
            if queue != queue:
                if crossed:
                    return [Fill(order.arrives, int(best), order.qty, False)], deep
                queue = shown(k)
                deep = deep or queue == np.inf
            elif crossed:
                return [Fill(ts, order.tick, order.qty, True)], deep
            else:
                deep = deep or shown(k) == np.inf
                queue = min(queue, shown(k))
        elif rows["kind"][k] & TRADE and rows["side"][k] == -order.side and ts > order.arrives:
            through = order.side * (order.tick - round(rows["trade_px"][k] / TICK))
            queue -= rows["trade_sz"][k] if through == 0 else 0.0
            if through > 0 or (through == 0 and np.round(queue / lot) < 0):
                return [Fill(ts, order.tick, order.qty, True)], deep
    return [], deep


def same(one: list[Fill], other: list[Fill]) -> bool:
    """The same executions, up to float noise in the size."""
    return len(one) == len(other) and all(
        a[:2] == b[:2] and a.maker == b.maker and abs(a.qty - b.qty) < 1e-9 for a, b in zip(one, other, strict=True)
    )


def classify(
    ours: Ours, orders: list[Order], theirs: dict[int, list[Fill]], told: dict[int, list[Fill]]
) -> Counter[str]:
    """How many orders fell into each class; an order that differs in several ways counts once for each link."""
    found: Counter[str] = Counter()
    for order in orders:
        their, our = theirs.get(order.order_id, []), told.get(order.order_id, [])
        found["both filled" if their and our else "only theirs" if their else "only ours" if our else "neither"] += 1
        if same(their, our):
            found["same, filled" if our else "same, not filled"] += 1
            continue
        (ruled, deep), alone = their_rule(ours, order), ours.alone(order)
        links = []
        if not same(their, ruled):
            links.append("deep" if deep else "rows, unexplained")
        if not same(ruled, alone):
            dust = any(f.qty < 0.5 * LOTS[order.instrument_id] for f in alone)
            partial = sum(f.qty for f in alone) < order.qty * (1 - 1e-9) or len(alone) > 1
            links.append("dust" if dust else "partial" if partial else "rule, unexplained")
        if not same(alone, our):
            links.append("shared")
        found["differs: " + (" + ".join(links) or "unexplained")] += 1
    return found


def compared(ours: Ours, policy: Policy, orders: list[Order], theirs: dict[int, list[Fill]]) -> int:
    """Report the classes under a policy; gives how many orders have no explanation."""
    ours.policy = policy
    ours.run(ours.frames)
    found, exchanged = classify(ours, orders, theirs, ours.fills), ours.exchanged(orders)
    apart = sum(not same(ours.fills.get(o.order_id, []), exchanged.get(o.order_id, [])) for o in orders)
    report(f"{policy}: filled otherwise by gpi's exchange than by its engine", apart, "orders")
    for name in sorted(found):
        report(f"{policy}: {name}", found[name], "orders", f"{100 * found[name] / len(orders):.1f} %")
    return apart + sum(count for name, count in found.items() if "unexplained" in name)


def opened() -> Stream:
    """The files as gpi reads them."""
    return open_ticks([data(name) for name in FILES], batch=8192, quarantine=Quarantine())


def reading() -> float:
    """Seconds to read the files and fold their level updates into rows."""
    begun = time.perf_counter()
    for _ in opened().frames:
        pass
    return time.perf_counter() - begun


def main(rounds: int) -> None:
    """Race, compare, report."""
    stream = opened()
    frames = [frame.copy() for frame in stream.frames]
    rows = concatenated(frames, stream.schema)
    orders, script = scripted(rows)
    ours = Ours(rows, Instruments.of(stream.schema), script)
    with tempfile.TemporaryDirectory() as folder:
        names = [str(Path(folder) / f"{name}.npz") for name in ("events", "script", "fills")]
        count = updates(names[0])
        save_script(orders, names[1])
        peer = Peer("peer_script.py", *names)
        runs = {
            "gpi": lambda: ours.run(ours.frames),
            "hftbacktest": lambda: peer.run("play"),
            "gpi, from the Parquet files": lambda: reading() + ours.run(ours.frames),
            "gpi, no orders": lambda: ours.run(ours.idle),
            "hftbacktest, no orders": lambda: peer.run("idle"),
        }
        timings = interleaved(runs, rounds)
        peer.run("play")
        table = np.load(names[2])["fills"]
        peer.close()
    theirs = {int(r[0]): [Fill(int(r[1]), int(r[2]), r[3] / 1e8, bool(r[4]))] for r in table}
    print(f"# {machine()}")
    print(f"# {count:,} level updates and trades, {rows.rows:,} rows once folded, {len(orders):,} orders, in turns")
    report_rates(timings, count, "events/s")
    for one in runs:
        other = "hftbacktest, no orders" if "no orders" in one else "hftbacktest"
        if one != other:
            report(f"{one} to {other}", timings[other].p50 / timings[one].p50, "times as fast")
    report("actions hftbacktest could not send", peer.told["play"]["missed"], "actions")
    wrong = sum([compared(ours, policy, orders, theirs) for policy in ("conservative", "whole")])
    if wrong:
        raise SystemExit(f"{wrong} orders fill as nothing explains: one of the engines is wrong")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
