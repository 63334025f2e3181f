"""The script of bench/matching_race.py: the recorded events, and orders drawn with a fixed seed around their touch."""

from __future__ import annotations

from typing import Any, NamedTuple

import duckdb
import numpy as np
import numpy.typing as npt

from bench.harness import data
from bench.records import DAY, LATENCY_NS, SYMBOLS
from gpi.formats.frame import Frame
from gpi.formats.words import BUY, DEPTH, SELL, TRADE
from gpi.tools.kernels.orders import NEVER

Array = npt.NDArray[Any]
FILES = tuple(f"cr_{kind}_binance_spot_{DAY}" for kind in ("depth", "trades"))
ORDERS, SEED, TICK, LOTS = 4000, 20240808, 0.01, (1e-5, 1e-4)


class Fill(NamedTuple):
    """Part of an order, executed at the venue."""

    ts: int
    tick: int
    qty: float
    maker: bool


class Order(NamedTuple):
    """One scripted order: when it is at the venue, and when its cancel is."""

    order_id: int
    instrument_id: int
    side: int
    tick: int
    qty: float
    arrives: int
    leaves: int


def updates(path: str) -> int:
    """Write every level update and trade to an npz, for the peer; gives how many there are."""
    depth, trades = (data(name) for name in FILES)
    rows = duckdb.sql(
        f"""with taken as (select symbol, max(ts_recv) ts, max(last_id) id from '{depth}' where is_snapshot group by 1)
            select epoch_ns(greatest(d.ts_recv, taken.ts)) ts_event, symbol, {DEPTH} kind,
            if(side = 'B', {BUY}, {SELL}) side, price px, size sz, last_id id
            from '{depth}' d join taken using (symbol) where is_snapshot or last_id > taken.id
            union all select epoch_ns(t.ts_recv), symbol, {TRADE}, if(aggressor = 'B', {BUY}, {SELL}), price, size,
            trade_id from '{trades}' t join taken using (symbol) where t.ts_recv > taken.ts
            order by ts_event, kind, id"""
    ).fetchnumpy()
    ids = np.array([SYMBOLS.index(name) for name in rows["symbol"]])
    np.savez(path, instrument_id=ids, **{name: np.asarray(rows[name]) for name in rows if name != "symbol"})
    return len(ids)


def scripted(rows: Frame) -> tuple[list[Order], Array]:
    """The orders, in order of time, and the script as four features of every row (see bench/strategies/scripted.py).

    Each is sent at the moment the trader sees a row, at a price relative to the touch that this row shows.
    """
    dice, drawn, ts = np.random.default_rng(SEED), [], rows["ts_event"]
    script = np.zeros((rows.rows, 4), np.float32)
    for i in (0, 1):
        mine = np.flatnonzero(rows["instrument_id"] == i)
        booked = mine[50:-50][rows["kind"][mine[50:-50]] & DEPTH != 0]
        for row in np.sort(dice.choice(booked, ORDERS // 2, replace=False)).tolist():
            side, lots = int(dice.choice([BUY, SELL])), int(dice.choice([1, 1, 1, 2, 10, 1000]))
            touch = rows["bid_px" if side == BUY else "ask_px"][row]
            tick = round(touch / TICK) - side * int(dice.choice([-3, 0, 0, 0, 1, 2, 5, 20, 100]))
            end = int(np.searchsorted(ts[mine], ts[row] + int(1e9 * dice.lognormal(1.0, 1.0)) + 10_000_000))
            while end < len(mine) and script[mine[end], 3] != 0.0:
                end += 1
            if end < len(mine):
                script[mine[end], 3] = np.inf
            script[row, :3] = side, tick, lots
            drawn.append((row, i, side, tick, lots, int(mine[end]) if end < len(mine) else -1))
    orders = []
    for number, (row, i, side, tick, lots, end) in enumerate(sorted(drawn), 1):
        there = [int(ts[at]) + 2 * LATENCY_NS if at >= 0 else NEVER for at in (row, end)]
        orders.append(Order(number, i, side, tick, lots * LOTS[i], *there))
        if end >= 0:
            script[end, 3] = number
    return orders, script


def actions(orders: list[Order]) -> list[tuple[int, int, Order]]:
    """(time at the venue, 1 order or 0 cancel, order), in order of time."""
    both = [(o.arrives, 1, o) for o in orders] + [(o.leaves, 0, o) for o in orders if o.leaves != NEVER]
    return sorted(both, key=lambda each: (each[0], each[1]))


def save_script(orders: list[Order], path: str) -> None:
    """The script as the trader sends it."""
    told = actions(orders)
    np.savez(
        path,
        when=np.array([ts - LATENCY_NS for ts, _, _ in told]),
        instrument_id=np.array([o.instrument_id for _, _, o in told]),
        order_id=np.array([o.order_id for _, _, o in told]),
        side=np.array([o.side * new for _, new, o in told]),
        px=np.array([o.tick / 100.0 for _, _, o in told]),
        qty=np.array([o.qty for _, _, o in told]),
    )
