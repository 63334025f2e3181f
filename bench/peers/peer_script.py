"""A worker for bench/matching_race.py, run by the peers' python: hftbacktest plays a script of orders.

    peer_script.py EVENTS.npz SCRIPT.npz FILLS.npz

Both instruments in one backtest: constant latency, risk-averse queue, no partial fills. The script is a list of actions
in order of time (ns at the trader): an order of one side, size and price in ticks, or its cancel. After a run every
filled order of it stands in FILLS.npz: when the exchange filled it, at what tick, whether as a maker.
"""

import json
import sys
import time

import numpy as np
from hftbacktest import (
    BUY_EVENT,
    DEPTH_EVENT,
    EXCH_EVENT,
    FILLED,
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

BOTH = EXCH_EVENT | LOCAL_EVENT
TICK, LOTS, LATENCY = 0.01, (1e-5, 1e-4), 1_000_000


def events(ts, kind, side, px, sz):
    """One instrument's level updates (kind 8) and trades (kind 2)."""
    out = np.zeros(len(ts), event_dtype)
    what = np.where(kind == 2, TRADE_EVENT, DEPTH_EVENT) | np.where(side > 0, BUY_EVENT, SELL_EVENT)
    out["ev"] = what.astype(np.uint64) | np.uint64(BOTH)
    out["exch_ts"], out["local_ts"] = ts, ts + LATENCY
    out["px"], out["qty"] = px, sz
    return out


@njit
def play(hbt, when, asset, order_id, side, px, qty):
    """Send every action at its time; side 0 is the cancel of an order. Returns what could not be sent."""
    missed = 0
    hbt.elapse(0)  # sets the clock to the first event
    for k in range(len(when)):
        if when[k] > hbt.current_timestamp and hbt.elapse(when[k] - hbt.current_timestamp) != 0:
            return missed + len(when) - k
        if side[k] > 0:
            hbt.submit_buy_order(asset[k], order_id[k], px[k], qty[k], GTC, LIMIT, False)
        elif side[k] < 0:
            hbt.submit_sell_order(asset[k], order_id[k], px[k], qty[k], GTC, LIMIT, False)
        else:
            known = hbt.orders(asset[k]).get(order_id[k])
            if known is not None and known.cancellable:
                hbt.cancel(asset[k], order_id[k], False)
    while hbt.elapse(1_000_000_000) == 0:
        pass
    return missed


@njit
def filled(hbt, asset, out):
    """Write (order_id, ts, tick, qty, maker) of every filled order into out (n, 5); returns how many."""
    n = 0
    values = hbt.orders(asset).values()
    while values.has_next():
        order = values.get()
        if order.status == FILLED:
            out[n, 0], out[n, 1], out[n, 2] = order.order_id, order.exch_timestamp, order.exec_price_tick
            out[n, 3], out[n, 4] = np.int64(np.round(order.exec_qty * 1e8)), order.arr[0].maker
            n += 1
    return n


def backtest(feeds):
    """A fresh backtest of both instruments."""
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
    """Answer every line on stdin with a run: `play` the script, or stay `idle`."""
    columns, saved = np.load(sys.argv[1]), np.load(sys.argv[2])
    feeds = []
    for asset in (0, 1):
        own = columns["instrument_id"] == asset
        feeds.append(events(*(columns[name][own] for name in ("ts_event", "kind", "side", "px", "sz"))))
    actions = [saved[name] for name in ("when", "instrument_id", "order_id", "side", "px", "qty")]
    for line in sys.stdin:
        script = actions if line.strip() == "play" else [column[:0] for column in actions]
        hbt = backtest(feeds)
        begun = time.perf_counter()
        missed = play(hbt, *script)
        seconds = time.perf_counter() - begun
        out, found = np.zeros((len(actions[0]), 5), np.int64), []
        for asset in (0, 1):
            found.append(out[: filled(hbt, asset, out)].copy())
        hbt.close()
        np.savez(sys.argv[3], fills=np.concatenate(found))
        print(json.dumps({"seconds": seconds, "missed": int(missed), "fills": sum(map(len, found))}), flush=True)


main()
