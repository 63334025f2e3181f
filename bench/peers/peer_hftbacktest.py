"""A worker for bench/hftbacktest_race.py, run by the peers' python: hftbacktest on the records it is given.

hftbacktest keeps a level-2 book and does not take best quotes as such (nkaz001/hftbacktest issue 153: convert
them to depth updates). A quote becomes the updates of the sides that changed, new level before old and the
retreating side first, so that its book is never crossed and never has to search for its best. Its partial-
fill exchange stops early (status 14, issue 301), so the other one is raced; a run that does not reach the end
of its data ends the race.
"""

import json
import sys
import time

import numpy as np
from hftbacktest import (
    BUY_EVENT,
    DEPTH_EVENT,
    EXCH_EVENT,
    GTC,
    LIMIT,
    LOCAL_EVENT,
    SELL_EVENT,
    TRADE_EVENT,
    BacktestAsset,
    HashMapMarketDepthBacktest,
    event_dtype,
)
from numba import njit

END_OF_DATA = 1
BOTH = EXCH_EVENT | LOCAL_EVENT
EVERY, UNIT, MOST = 100_000_000, 0.01, 1e6
TICK, LOTS, LATENCY = 0.01, (1e-5, 1e-4), 1_000_000


def converted(ts, kind, side, bid_px, bid_sz, ask_px, ask_sz, trade_px, trade_sz):
    """One instrument's records as hftbacktest's events."""
    made = []
    bid, ask = (0.0, 0.0), (0.0, 0.0)
    for k in range(len(ts)):
        if kind[k] & 2:
            flag = BUY_EVENT if side[k] > 0 else SELL_EVENT
            made.append((TRADE_EVENT | flag, ts[k], trade_px[k], trade_sz[k]))
            continue
        now_bid, now_ask = (bid_px[k], bid_sz[k]), (ask_px[k], ask_sz[k])
        sides = [(BUY_EVENT, bid, now_bid), (SELL_EVENT, ask, now_ask)]
        if now_bid[0] > bid[0]:
            sides.reverse()
        for flag, old, new in sides:
            if old != new:
                made.append((DEPTH_EVENT | flag, ts[k], *new))
            if old[0] not in (0.0, new[0]):
                made.append((DEPTH_EVENT | flag, ts[k], old[0], 0.0))
        bid, ask = now_bid, now_ask
    out = np.zeros(len(made), event_dtype)
    out["ev"] = np.array([m[0] for m in made], np.uint64) | np.uint64(BOTH)
    out["exch_ts"] = [m[1] for m in made]
    out["local_ts"] = out["exch_ts"] + LATENCY
    out["px"], out["qty"] = [m[2] for m in made], [m[3] for m in made]
    return out


def native(ts, kind, side, px, sz):
    """One instrument's level updates (kind 8) and trades (kind 2) as hftbacktest's events: its own shape."""
    out = np.zeros(len(ts), event_dtype)
    what = np.where(kind == 2, TRADE_EVENT, DEPTH_EVENT) | np.where(side > 0, BUY_EVENT, SELL_EVENT)
    out["ev"] = what.astype(np.uint64) | np.uint64(BOTH)
    out["exch_ts"], out["local_ts"] = ts, ts + LATENCY
    out["px"], out["qty"] = px, sz
    return out


@njit
def quote(hbt, asset, order_id):
    """Cancel everything of an instrument and join both sides of the touch; gives the next order number."""
    hbt.clear_inactive_orders(asset)
    values = hbt.orders(asset).values()
    while values.has_next():
        order = values.get()
        if order.cancellable:
            hbt.cancel(asset, order.order_id, False)
    depth, position = hbt.depth(asset), hbt.position(asset)
    if position < MOST:
        hbt.submit_buy_order(asset, order_id, depth.best_bid, UNIT, GTC, LIMIT, False)
        order_id += 1
    if position > -MOST:
        hbt.submit_sell_order(asset, order_id, depth.best_ask, UNIT, GTC, LIMIT, False)
        order_id += 1
    return order_id


@njit
def ready(hbt, asset):
    """Whether both sides of an instrument are quoted."""
    depth = hbt.depth(asset)
    return depth.best_bid > 0.0 and depth.best_ask > depth.best_bid


@njit
def woke(hbt, asset, now):
    """Whether the event of this moment is one of this instrument."""
    latency = hbt.feed_latency(asset)
    if latency is None:
        return False
    _, received = latency
    return received == now


@njit
def by_event(hbt):
    """Wake the strategy at every event, as gpi does; gives status, wakes and orders."""
    order_id, wakes = 1, 0
    due = np.zeros(2, np.int64)
    while True:
        status = hbt.wait_next_feed(False, 10**18)
        if status != 2:
            break
        wakes += 1
        now = hbt.current_timestamp
        for asset in range(2):
            if now >= due[asset] and woke(hbt, asset, now) and ready(hbt, asset):
                due[asset] = now + EVERY
                order_id = quote(hbt, asset, order_id)
    return status, wakes, order_id - 1


@njit
def by_clock(hbt):
    """Wake the strategy every tenth of a second only: hftbacktest's own habit, events pass inside it."""
    order_id, wakes = 1, 0
    while True:
        status = hbt.elapse(EVERY)
        if status != 0:
            break
        wakes += 1
        for asset in range(2):
            if ready(hbt, asset):
                order_id = quote(hbt, asset, order_id)
    return status, wakes, order_id - 1


@njit
def watching(hbt):
    """Wake at every event and do nothing."""
    wakes = 0
    while True:
        status = hbt.wait_next_feed(False, 10**18)
        if status != 2:
            break
        wakes += 1
    return status, wakes, 0


def backtest(feeds):
    """A fresh backtest of two instruments: 1 ms each way, no fees, risk-averse queue."""
    assets = [
        BacktestAsset()
        .data([feed])
        .linear_asset(1.0)
        .constant_order_latency(LATENCY, LATENCY)
        .risk_adverse_queue_model()
        .no_partial_fill_exchange()
        .trading_value_fee_model(0.0, 0.0)
        .tick_size(TICK)
        .lot_size(lot)
        .last_trades_capacity(0)
        for feed, lot in zip(feeds, LOTS, strict=True)
    ]
    return HashMapMarketDepthBacktest(assets)


def main() -> None:
    """Answer every variant on stdin with a line of figures."""
    columns = np.load(sys.argv[1])
    convert, names = native, ("ts_event", "kind", "side", "px", "sz")
    if "bid_px" in columns.files:
        names = ("ts_event", "kind", "side", "bid_px", "bid_sz", "ask_px", "ask_sz", "trade_px", "trade_sz")
        convert = converted
    feeds = []
    for asset in (0, 1):
        own = columns["instrument_id"] == asset
        feeds.append(convert(*(columns[name][own] for name in names)))
    variants = {"by_event": by_event, "by_clock": by_clock, "watching": watching}
    for line in sys.stdin:
        run = variants[line.strip()]
        hbt = backtest(feeds)
        begun = time.perf_counter()
        status, wakes, orders = run(hbt)
        seconds = time.perf_counter() - begun
        if status != END_OF_DATA:
            raise SystemExit(f"hftbacktest stopped with status {status}, not at the end of its data")
        fills = sum(int(hbt.state_values(asset).num_trades) for asset in (0, 1))
        hbt.close()
        told = {"seconds": seconds, "wakes": int(wakes), "orders": int(orders), "fills": fills}
        print(json.dumps({**told, "events": sum(len(feed) for feed in feeds)}), flush=True)


main()
