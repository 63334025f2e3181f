"""What is true of a queue that is known order by order."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpi.formats.errors import BadInput, SchemaMismatch
from gpi.formats.frame import Frame, concatenated
from gpi.formats.instruments import Instruments, equity
from gpi.formats.quarantine import Quarantine, Reason
from gpi.formats.quarantine import flaws as quarantine_flaws
from gpi.formats.words import (
    ADD,
    BUY,
    DELETE,
    EXECUTE,
    FILLED,
    GTC,
    HIDDEN,
    IOC,
    LIMIT,
    MAKER,
    MARKET,
    REDUCE,
    SELL,
    STATUS,
    TRADE,
    UNKNOWN_SIDE,
)
from gpi.tools.backtest.session import Session
from gpi.tools.backtest.setup import Latency, Rules, Setup
from gpi.tools.backtest.traded import joined
from gpi.tools.backtest.trading import trading
from gpi.tools.feeds.files import open_ticks
from gpi.tools.kernels.exchange import queues
from gpi.tools.strategies.loading import load
from gpi.tools.venue.exchange import Event, Exchange, Request
from tests.by_order import Market, markets, scripts
from tests.data import shared
from tests.laws import obeys_the_laws
from tests.naive.matching import played
from tests.naive.queues import Lines
from tests.shell import gpi
from tests.test_matching import asked_for, at, fills
from tests.trading import START, TICK, frame, setup, trade

FIFO = Rules("fifo")
compiled = pytest.mark.skipif("NUMBA_DISABLE_JIT" in os.environ, reason="real days need the compiler")
OPEN: dict[str, Any] = {"ts": START, "bid": (100, 50), "ask": (102, 50)}
BUYS_30: dict[int, list[Any]] = {0: [(1, 30.0, 100, GTC)]}


@settings(max_examples=60, deadline=None)
@given(market=markets(), script=scripts(), order_ns=st.sampled_from([0, 1_000_000, 2_500_000]))
def test_our_orders_fill_as_if_they_had_stood_in_line(market: Market, script: Any, order_ns: int) -> None:
    """Every fill equals that of a venue that keeps all orders in lines, though a stream shows few levels."""
    whole = frame(market.rows, market.depth, by_order=True)
    session = Session(whole.layout.schema, setup(script, latency=Latency(0, order_ns, 0), rules=FIFO))
    parts = [session.step(whole.slice(row, row + 1)) for row in range(whole.rows)] + [session.finish()]
    requests = [(row, *asked) for row, part in enumerate(parts) for asked in asked_for(part.orders, order_ns)]
    end = market.rows[-1]["ts"] + 10 * order_ns + 1
    venue = played(
        [*market.rows, {"ts": end}, {"ts": end}], requests, market.depth, Lines(market.depth, market.standing)
    )
    f = joined(parts).fills
    columns = [f[name].tolist() for name in ("ts_event", "order_id", "qty", "px", "liquidity")]
    found = [(t, i, q, round(p / TICK), x == MAKER) for t, i, q, p, x in zip(*columns, strict=True)]
    assert found == venue.fills


def happening(step: int, act: int, ref: int, size: float, px: int = 100, shown: float = 90) -> dict[str, Any]:
    """Something happens to a buy order of the book."""
    traded = {"trade": (-1, px, size, False)} if act == EXECUTE else {}
    return at(step, bid=(100, shown), ask=(102, 50), event=(act, ref, 1, px, size), **traded)


def made_of(*rows: dict[str, Any], script: Any = None) -> list[tuple[int, float, int, int]]:
    """The fills of a buy of 30 at 100 behind 50, unless told otherwise."""
    return fills(trade([OPEN, happening(1, DELETE, 99, 0.0), *rows], script or BUYS_30, rules=FIFO))


def test_what_leaves_before_us_brings_us_forward_and_what_leaves_behind_us_does_not() -> None:
    """Order 7 joins behind us: its end is nothing to us. Of the 50 from before, 40 go and 10 trade."""
    joins, ends = happening(2, ADD, 7, 40.0), happening(3, DELETE, 7, 40.0)
    assert made_of(joins, ends, happening(4, EXECUTE, 1, 45.0)) == []
    assert made_of(joins, happening(3, REDUCE, 1, 40.0), happening(4, EXECUTE, 2, 15.0)) == [(1, 5.0, 100, MAKER)]


def test_an_execution_behind_us_was_ours() -> None:
    """Order 7 came after us and trades 20: it cannot have been served before us."""
    assert made_of(happening(2, ADD, 7, 40.0), happening(3, EXECUTE, 7, 20.0)) == [(1, 20.0, 100, MAKER)]


def test_an_execution_at_a_worse_price_has_gone_through_ours() -> None:
    """Somebody bought from us at 99: we were there at 100."""
    assert made_of(happening(2, EXECUTE, 3, 20.0, px=99)) == [(1, 20.0, 100, MAKER)]


def test_a_trade_that_names_no_order_eats_the_queue_and_a_hidden_one_does_not() -> None:
    """Of 60 shares 10 are beyond the 50 before us; hidden ones pass us by."""
    assert made_of(at(2, trade=(-1, 100, 60, False))) == [(1, 10.0, 100, MAKER)]
    assert made_of(at(2, trade=(-1, 100, 60, True))) == []


def test_a_queue_is_no_longer_than_the_display() -> None:
    """Orders left unseen: 8 are shown, so no more stand before us."""
    left = at(2, bid=(100, 8), ask=(102, 50))
    assert made_of(left, happening(3, EXECUTE, 1, 10.0)) == [(1, 2.0, 100, MAKER)]


def test_a_trade_is_shared_among_our_own_orders_in_time_order() -> None:
    """7 joins between our two orders and trades 35: the first gets its 30; the second waits for 8 to trade."""
    script = {0: [(1, 30.0, 100, GTC)], 2: [(1, 30.0, 100, GTC)]}
    rows = [happening(2, ADD, 7, 40.0), happening(3, ADD, 8, 40.0), happening(5, EXECUTE, 7, 35.0)]
    assert made_of(*rows, script=script) == [(1, 30.0, 100, MAKER)]
    assert made_of(*rows, happening(6, EXECUTE, 8, 12.0), script=script) == [
        (1, 30.0, 100, MAKER),
        (2, 12.0, 100, MAKER),
    ]


def test_a_price_change_loses_the_place_and_a_smaller_size_keeps_it() -> None:
    """After a replacement at the same size, 7 is before us only if we gave up our place."""
    rows = [
        happening(2, ADD, 7, 40.0),
        *(happening(n, ADD, n, 1.0, px=99) for n in (3, 4)),
        happening(5, EXECUTE, 7, 10.0),
    ]
    for qty, expected in ((20.0, [(1, 10.0, 100, MAKER)]), (40.0, [])):
        script = {0: [(1, 30.0, 100, GTC)], 3: [lambda view, qty=qty: view.replace(1, qty=qty)]}
        assert made_of(*rows, script=script) == expected


def test_a_crowd_behind_us_is_remembered_and_forgotten() -> None:
    """3,000 join behind, the last trades: ours. Once our order is gone, they make room."""
    crowd = [happening(2 + n, ADD, 1000 + n, 1.0, shown=90 + n) for n in range(3000)]
    whole = frame([OPEN, happening(1, DELETE, 99, 0.0), *crowd, happening(4000, EXECUTE, 3999, 1.0)], by_order=True)
    session = Session(whole.layout.schema, setup(BUYS_30, rules=FIFO))
    assert fills(joined([session.step(whole), session.finish()])) == [(1, 1.0, 100, MAKER)]
    s = session.state
    assert s["rings"][0].kept == 2999 and 2 * 2999 < len(s["behind"]) <= 1 << 14
    made = queues.more_room(s["behind"], s["rings"][0], s["instruments"], s["pool"])
    assert s["rings"][0].kept == 0 and not made["used"].any()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 2), st.sampled_from([0, 1, 2, 3, 7, 1 << 40, -5, 2**63 - 1]))))
def test_the_table_is_a_dictionary(steps: list[tuple[bool, int, int]]) -> None:
    """Entering, changing, dropping: always what a dict would hold."""
    behind, known = queues.table(32), dict[tuple[int, int], int]()
    for turn, (new, i, ref) in enumerate(steps):
        if new:
            assert queues.put(behind, i, 1, ref, turn, 1.0, 1.0) == ((i, ref) not in known)
            known[i, ref] = turn
        elif known.pop((i, ref), None) is not None:
            queues.drop(behind, queues.place(behind, i, ref))
        found = {(int(e.instrument_id), int(e.ref)): int(e.turn) for e in behind if e.used}
        assert found == known
        assert all(behind[queues.place(behind, *key)].turn == turn for key, turn in known.items())


@settings(max_examples=15, deadline=None)
@given(market=markets(), cuts=st.lists(st.integers(0, 60), max_size=5))
def test_the_laws_hold_with_single_orders(market: Market, cuts: list[int]) -> None:
    """Cut anywhere, saved and resumed with the table of orders: the same rows."""
    stage = trading(Setup(load("market_making"), latency=Latency(0, 1_000, 1_000), rules=FIFO))
    obeys_the_laws(stage, frame(market.rows, market.depth, by_order=True), cuts)


@settings(max_examples=15, deadline=None)
@given(one=markets(), other=markets(), script=scripts())
def test_symbols_with_the_same_order_numbers_do_not_mix(
    one: Market, other: Market, script: dict[int, list[Any]]
) -> None:
    """Each of two markets fills what it fills alone."""
    depth = max(one.depth, other.depth)
    rows = sorted(
        [{**row, "i": i} for i, market in enumerate((one, other)) for row in market.rows], key=lambda row: row["ts"]
    )
    both = frame(rows, depth, by_order=True)
    told = played_out(both, script)
    for i in (0, 1):
        mine = both["instrument_id"] == i
        alone = Frame.of(both.layout.schema, {name: view[mine] for name, view in both.columns.items()})
        assert played_out(alone, script)[i] == told[i]


def played_out(ticks: Frame, script: dict[int, list[Any]]) -> list[list[Event]]:
    """What happens to the orders of a script, counted by each symbol's own rows; orders numbered by symbol."""
    exchange = Exchange(Instruments([equity("A", "XNAS"), equity("B", "XNAS")]), ticks["bids_px"].shape[1], "fifo")
    numbers: list[list[int]] = [[], []]
    seen = [0, 0]
    for row in range(ticks.rows):
        exchange.tick(ticks.slice(row, row + 1))
        i = int(ticks["instrument_id"][row])
        for wish in script.get(seen[i], ()):
            if isinstance(wish, int):
                if wish <= len(numbers[i]):
                    exchange.cancel(numbers[i][wish - 1])
            else:
                numbers[i].append(exchange.submit(Request(i, wish[0], LIMIT, GTC, wish[1], (wish[2] or 100) * TICK)))
        seen[i] += 1
    events = exchange.events()
    return [[e._replace(order_id=own.index(e.order_id)) for e in events if e.order_id in own] for own in numbers]


FILES = ["eq_lob_lobster_AAPL_20120621_L1.parquet", "eq_lob_lobster_AMZN_20120621_L5.parquet"]


def by_order(name: str) -> tuple[Frame, Any]:
    """A real day with its single orders, and the file's own columns."""
    path = shared(name)
    stream = open_ticks([path], batch=8192, quarantine=Quarantine(), by_order=True)
    return concatenated([each.copy() for each in stream.frames], stream.schema), pq.read_table(path)


@pytest.mark.parametrize("name", FILES)
def test_a_lobster_message_is_carried_without_loss(name: str) -> None:
    """Event type, order, size, price and direction of every row can be told from its tick."""
    ticks, file = by_order(name)
    act, trade_row = ticks["order_act"], (ticks["kind"] & TRADE) != 0
    hidden = trade_row & (act == 0)
    cross = hidden & (ticks["side"] == UNKNOWN_SIDE)
    halt = (ticks["kind"] & STATUS) != 0
    event = np.where(halt, 7, np.where(cross, 6, np.where(hidden, 5, act)))
    assert (event == file["event_type"].to_numpy()).all() and (ticks["flags"][hidden] & HIDDEN != 0).all()
    assert (ticks["order_ref"] == file["order_id"].to_numpy()).all()
    assert (np.where(hidden, ticks["trade_sz"], ticks["order_sz"]) == file["size"].to_numpy()).all()
    price = np.where(hidden, ticks["trade_px"], ticks["order_px"])
    assert (price == np.round(file["price"].to_numpy(), 4)).all()
    assert (np.where(hidden, -ticks["side"], ticks["order_side"]) == file["direction"].to_numpy()).all()


@pytest.mark.parametrize("name", FILES)
def test_the_orders_of_a_real_day_make_its_book(name: str) -> None:
    """Row for row: the book before, and what the row says of one order, make the book that the file shows.

    But for the first row, and for a level that comes into sight from below the last one shown: the file tells nothing
    of what happens there.
    """
    ticks, _ = by_order(name)
    events = [ticks[column].tolist() for column in queues.COLUMNS]
    for side, (px, sz) in {BUY: ("bid_px", "bid_sz"), SELL: ("ask_px", "ask_sz")}.items():
        deep = "bids_px" in ticks
        prices = ticks[px.replace("_", "s_")] if deep else ticks[px][:, None]
        sizes = ticks[sz.replace("_", "s_")] if deep else ticks[sz][:, None]
        shown = [
            [(p, x) for p, x in zip(*row, strict=True) if x]
            for row in zip(prices.tolist(), sizes.tolist(), strict=True)
        ]
        for row, (_, act, whose, where, size) in enumerate(list(zip(*events, strict=True))[1:], start=1):
            expected = after(shown[row - 1], act if whose == side else 0, side, where, size)[: prices.shape[1]]
            assert shown[row][: len(expected)] == expected, row
            assert len(shown[row]) - len(expected) in (0, 1)


def after(book: list[tuple[float, float]], act: int, side: int, px: float, size: float) -> list[tuple[float, float]]:
    """One side of a book, best first, after something happened to an order at a price."""
    if not act:
        return book
    levels = dict(book)
    levels[px] = levels.get(px, 0.0) + (size if act == ADD else -size)
    return sorted(((p, x) for p, x in levels.items() if x), key=lambda level: -side * level[0])


@compiled
@pytest.mark.parametrize("name", FILES)
def test_our_order_trades_when_the_real_one_behind_it_did(name: str) -> None:
    """Orders of a real day that joined the touch: one of ours right before each has its first fill in the row in which
    that one first traded. The venue itself passes over an order now and then: 4 in 500 of these, and never later."""
    ticks, _ = by_order(name)
    ref, act, side, px, _ = (ticks[column] for column in queues.COLUMNS)
    best = np.where(side == BUY, np.roll(ticks["bid_px"], 1), np.roll(ticks["ask_px"], 1))
    table, late, seen = Instruments([equity("X", "XNAS")]), [], 0
    for joined_at in np.flatnonzero((act == ADD) & (px == best))[500::10].tolist():
        ended = joined_at + 1 + np.flatnonzero(ref[joined_at + 1 : joined_at + 20_000] == ref[joined_at])[:1]
        if not len(ended) or act[ended[0]] != EXECUTE:
            continue
        exchange = Exchange(table, ticks["bids_px"].shape[1] if "bids_px" in ticks else 1, "fifo")
        exchange.tick(ticks.slice(joined_at - 1, joined_at))
        exchange.submit(Request(0, int(side[joined_at]), LIMIT, GTC, 100.0, float(px[joined_at])))
        exchange.tick(ticks.slice(joined_at, int(ended[0]) + 1))
        first = [event.ts for event in exchange.events() if event.action == FILLED][:1]
        late.append(first[0] - int(ticks["ts_event"][ended[0]]) if first else 1)
        seen += 1
    assert seen > 150 and not any(each > 0 for each in late)
    assert sum(each < 0 for each in late) <= 0.02 * seen


@settings(max_examples=25, deadline=None)
@given(market=markets(), script=scripts())
def test_the_venue_fills_as_the_engine_does(market: Market, script: dict[int, list[Any]]) -> None:
    """The same orders at the same moments: the same fills at `gpi venue` and in a backtest."""
    whole = frame(market.rows, market.depth, by_order=True)
    session = Session(whole.layout.schema, setup(script, rules=FIFO))
    exchange, numbers = Exchange(Instruments([equity("X", "XNAS")]), market.depth, "fifo", crossing=False), {0: 0}
    here: list[tuple[int, int, float, int]] = []
    for row in range(whole.rows):
        exchange.tick(whole.slice(row, row + 1))
        traded = session.step(whole.slice(row, row + 1))
        here += zip(
            *(traded.fills[name].tolist() for name in ("ts_event", "order_id", "qty", "liquidity")), strict=True
        )
        for _, what, order in asked_for(traded.orders, 0):
            if what == "cancel":
                exchange.cancel(numbers[order])
            else:
                kind, px = (MARKET, np.nan) if order["market"] else (LIMIT, order["px"] * TICK)
                wish = Request(0, order["side"], kind, IOC if order["ioc"] else GTC, order["leaves"], px)
                numbers[order["id"]] = exchange.submit(wish)
    names = {number: order for order, number in numbers.items()}
    there = [(e.ts, names[e.order_id], e.qty, e.liquidity) for e in exchange.events() if e.action == FILLED]
    last = int(whole["ts_event"][-1])  # what is sent then is still under way in the engine
    assert [each for each in there if each[0] < last] == [each for each in here if each[0] < last]


def test_a_day_told_by_order_is_traded_recorded_and_verified(tmp_path: Path) -> None:
    """`gpi replay --by-order` to a backtest with --fill fifo, from the vendor's file or from our own; verified."""
    table = pq.read_table(shared(FILES[1])).slice(20_000, 4_000)
    pq.write_table(table, tmp_path / "day.parquet")
    gpi("run", f"replay {tmp_path}/day.parquet --by-order", "--out", tmp_path / "own.arrow", check=0)
    for name, sources in (("a", f"{tmp_path}/day.parquet --by-order"), ("b", f"{tmp_path}/own.arrow")):
        gpi("run", f"replay {sources} | backtest --fill fifo --out {tmp_path}/{name}", check=0)
    gpi("verify", tmp_path / "a", tmp_path / "b", check=0)
    gpi("verify", tmp_path / "a", check=0)
    refused = gpi("run", f"replay {tmp_path}/day.parquet | backtest --fill fifo --out {tmp_path}/c", check=3)
    assert b"gpi replay --by-order" in refused.stderr


def test_what_tells_no_orders_cannot_be_asked_for_them() -> None:
    """A file without orders is refused by name, a stream without their columns by the policy that needs them."""
    with pytest.raises(BadInput, match="cr_bbo.*order by order"):
        open_ticks([shared("cr_bbo_binance_spot_20240808.parquet")], batch=1, quarantine=Quarantine(), by_order=True)
    with pytest.raises(SchemaMismatch, match="gpi replay --by-order"):
        Session(frame([OPEN]).layout.schema, setup({}, rules=FIFO))


def test_a_row_that_tells_nonsense_of_an_order_is_set_aside(tmp_path: Any) -> None:
    """An act that is none, an order of no side, a size that is no number."""
    whole = frame([happening(n, ADD, n, 1.0) for n in range(4)], by_order=True)
    whole["order_act"][1], whole["order_side"][2], whole["order_sz"][3] = 9, 0, np.inf
    found = quarantine_flaws(whole.columns)
    assert [Reason(int(code)).name for code in found] == ["KEPT", "UNKNOWN_EVENT", "UNKNOWN_EVENT", "NOT_FINITE"]
