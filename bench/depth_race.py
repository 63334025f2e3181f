"""gpi against hftbacktest on hftbacktest's own ground: level updates and trades, no best quotes.

Counted: level updates and trades per second of one thread, through book, matching, latency and the rule of
bench/strategies/quoting.py. hftbacktest takes every level update as an event, from memory. gpi folds the updates of one
message into one row of ten levels when it reads a file, and its engine sees those rows; so it is timed twice:
from the Parquet files (reading, folding and merging counted) and from rows folded before. The first does more
than hftbacktest, the second less.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterable

import duckdb
import numpy as np

from bench.harness import Peer, data, interleaved, machine, report, report_rates
from bench.hftbacktest_race import QUOTING
from bench.records import DAY, LATENCY_NS, SYMBOLS
from gpi.formats.frame import Frame
from gpi.formats.quarantine import Quarantine
from gpi.formats.words import BUY, DEPTH, SELL, SUBMIT, TRADE
from gpi.tools.backtest.session import Session
from gpi.tools.backtest.setup import Latency, Setup
from gpi.tools.feeds.files import open_ticks
from gpi.tools.stage import Stream
from gpi.tools.strategies.loading import load

FILES = tuple(f"cr_{kind}_binance_spot_{DAY}" for kind in ("depth", "trades"))


def updates(path: str) -> int:
    """Write every level update and trade to an npz, for the peer; gives how many there are."""
    depth, trades = (data(name) for name in FILES)
    rows = duckdb.sql(
        f"""select epoch_ns(ts_recv) ts_event, symbol, {DEPTH} kind, if(side = 'B', {BUY}, {SELL}) side,
            price px, size sz, last_id id from '{depth}' union all select epoch_ns(ts_recv), symbol, {TRADE},
            if(aggressor = 'B', {BUY}, {SELL}), price, size, trade_id
            from '{trades}' order by ts_event, kind, id"""
    ).fetchnumpy()
    ids = np.array([SYMBOLS.index(name) for name in rows["symbol"]])
    np.savez(path, instrument_id=ids, **{name: np.asarray(rows[name]) for name in rows if name != "symbol"})
    return len(ids)


class Counted:
    """gpi's engine over a stream."""

    orders = 0

    def traded(self, stream: Stream, frames: Iterable[Frame]) -> float:
        """Seconds from the first frame asked for to the last word."""
        setup = Setup(load(QUOTING), latency=Latency(LATENCY_NS, LATENCY_NS, LATENCY_NS))
        session, told = Session(stream.schema, setup), []
        begun = time.perf_counter()
        for frame in frames:
            told.append(session.step(frame))
        told.append(session.finish())
        seconds = time.perf_counter() - begun
        self.orders = sum(int((part.orders["action"] == SUBMIT).sum()) for part in told)
        return seconds


def opened() -> Stream:
    """The files as gpi reads them."""
    return open_ticks([data(name) for name in FILES], batch=8192, quarantine=Quarantine())


def main(rounds: int) -> None:
    """Race and report."""
    ours, folded = Counted(), [frame.copy() for frame in opened().frames]

    def from_files() -> float:
        begun = time.perf_counter()
        stream = opened()
        opening = time.perf_counter() - begun
        return opening + ours.traded(stream, stream.frames)

    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/updates.npz"
        count = updates(path)
        peer = Peer("peer_hftbacktest.py", path)
        runs = {
            "gpi, from Parquet files": from_files,
            "gpi, from folded rows": lambda: ours.traded(opened(), folded),
            "hftbacktest, from memory": lambda: peer.run("by_event"),
        }
        timings = interleaved(runs, rounds)
        peer.close()
    rows = sum(frame.rows for frame in folded)
    print(f"# {machine()}")
    print(f"# {count:,} level updates and trades, {rows:,} rows once folded, in turns")
    report_rates(timings, count, "updates/s", "hftbacktest, from memory")
    report("orders sent by gpi", ours.orders, "orders")
    report("orders sent by hftbacktest", peer.told["by_event"]["orders"], "orders")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
