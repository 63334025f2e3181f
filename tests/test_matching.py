"""What is true of the venue: queues, fills, sweeps, halts, races; the kernel against its definition."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpi.formats import orders, words
from gpi.formats.frame import Frame
from gpi.formats.words import ACCEPTED, CANCELED, EXPIRED, FILLED, GTC, IOC, MAKER, REJECTED, TAKER
from gpi.tools.backtest.session import Session
from gpi.tools.backtest.setup import Latency
from gpi.tools.backtest.traded import joined
from gpi.tools.kernels import orders as kernel_words
from tests.naive.matching import played
from tests.trading import START, TICK, frame, setup, told, trade

OPEN: dict[str, Any] = {"ts": START, "bid": (100, 50), "ask": (102, 50)}


def at(step: int, **tick: Any) -> dict[str, Any]:
    """A tick some milliseconds after the start."""
    return {"ts": START + step * 1_000_000, **tick}


def fills(traded: Any) -> list[tuple[int, float, int, int]]:
    """(order id, qty, px in ticks, liquidity) of every fill."""
    f = traded.fills
    return [
        (int(i), float(q), round(p / TICK), int(x))
        for i, q, p, x in zip(f["order_id"], f["qty"], f["px"], f["liquidity"], strict=True)
    ]


def test_words_and_their_numbers_agree() -> None:
    """A reason's or an action's word stands at its number, and the kernels' rows have the columns of their formats."""
    for number, name in enumerate(words.REASONS[1:], start=1):
        assert getattr(words, name) == number
    for number, name in enumerate(words.ACTIONS[1:], start=1):
        assert getattr(words, name.upper()) == number
    for rows, schema in (
        (kernel_words.ORDER_ROW, orders.ORDERS),
        (kernel_words.FILL_ROW, orders.FILLS),
        (kernel_words.EQUITY_ROW, orders.EQUITY),
    ):
        assert list(rows.names or ()) == schema.names


def test_a_trade_at_our_price_eats_the_queue_before_us() -> None:
    """50 are ahead: a trade of 60 leaves us 10, the next of 25 the remaining 20."""
    market = [
        OPEN,
        at(1, bid=(100, 50), ask=(102, 50)),
        at(2, trade=(-1, 100, 60, False)),
        at(3, trade=(-1, 100, 25, False)),
    ]
    assert fills(trade(market, {0: [(1, 30.0, 100, GTC)]})) == [(1, 10.0, 100, MAKER), (1, 20.0, 100, MAKER)]


def test_a_queue_that_trades_ate_exactly_leaves_nothing_for_us() -> None:
    """0.3 ahead, traded as 0.1 and 0.2: floats leave 3e-17 of that for us, which is no fill; the next trade is ours."""
    market = [
        {"ts": START, "bid": (100, 0.3), "ask": (102, 50)},
        at(1, bid=(100, 0.3), ask=(102, 50)),
        at(2, trade=(-1, 100, 0.1, False)),
        at(3, trade=(-1, 100, 0.2, False)),
        at(4, trade=(-1, 100, 5, False)),
    ]
    assert 0.0 < 0.2 - (0.3 - 0.1) < 1e-9
    assert fills(trade(market, {0: [(1, 3.0, 100, GTC)]})) == [(1, 3.0, 100, MAKER)]


def test_an_order_that_improves_the_market_is_first() -> None:
    """Nobody stands at 101: the first seller fills us."""
    market = [OPEN, at(1, trade=(-1, 101, 5, False))]
    assert fills(trade(market, {0: [(1, 30.0, 101, GTC)]})) == [(1, 5.0, 101, MAKER)]


def test_a_trade_through_our_price_fills_us_at_our_price() -> None:
    """A seller who reached 99 has passed our bid of 100, whatever the queue."""
    market = [OPEN, at(1, trade=(-1, 99, 7, False))]
    assert fills(trade(market, {0: [(1, 30.0, 100, GTC)]})) == [(1, 7.0, 100, MAKER)]


def test_quotes_shorten_the_queue_and_never_lengthen_it() -> None:
    """Shown 50, then 8, then 90: a trade of 10 leaves 2 for us."""
    market = [
        OPEN,
        at(1, bid=(100, 8), ask=(102, 5)),
        at(2, bid=(100, 90), ask=(102, 5)),
        at(3, trade=(-1, 100, 10, False)),
    ]
    assert fills(trade(market, {0: [(1, 30.0, 100, GTC)]})) == [(1, 2.0, 100, MAKER)]


def test_one_trade_is_never_given_twice() -> None:
    """A trade of 10 below two orders of 8 fills 8 of the better and 2 of the other."""
    market = [OPEN, at(1, trade=(-1, 98, 10, False))]
    script = {0: [(1, 8.0, 100, GTC), (1, 8.0, 101, GTC)]}
    assert fills(trade(market, script)) == [(2, 8.0, 101, MAKER), (1, 2.0, 100, MAKER)]


def test_what_an_aggressive_order_took_stays_taken() -> None:
    """Two buys of 40 against 50 offered: the second gets the 10 that are left."""
    market = [OPEN, at(1, trade=(1, 102, 1, False)), at(2, bid=(100, 50), ask=(102, 50))]
    script = {0: [(1, 40.0, 102, IOC), (1, 40.0, 102, IOC)]}
    traded = trade(market, script)
    assert fills(traded) == [(1, 40.0, 102, TAKER), (2, 10.0, 102, TAKER)]
    assert ("expired", 2, 40.0) in told(traded)


SHOWN = [  # what is offered at 102, and what buys of 40 find of it
    ([50, 50, 50, 50], [40.0, 10.0]),
    ([50, 70, 70, 70], [40.0, 30.0]),
    ([50, 20, 20, 45], [40.0, 25.0]),
    ([50, 40, 60, 60], [40.0, 20.0]),
]


@pytest.mark.parametrize("levels", [0, 2])
@pytest.mark.parametrize(("sizes", "got"), SHOWN)
def test_liquidity_shown_again_is_not_given_again(levels: int, sizes: list[int], got: list[float]) -> None:
    """The same size or less gives nothing back, more gives only what was added, in quotes and in whole books."""
    deep = [{"bids": [(100, 5)], "asks": [(102, size), (103, 1)]} for size in sizes]
    best = [{"bid": (100, 5), "ask": (102, size)} for size in sizes]
    market = [at(n, **tick) for n, tick in enumerate(deep if levels else best)]
    script = {row: [(1, 40.0, 102, IOC)] for row in range(len(market))}
    assert fills(trade(market, script, levels=levels)) == [
        (n, q, 102, TAKER) for n, q in zip([1, 2 if sizes[1] > 40 else 4 if sizes[1] == 20 else 3], got, strict=True)
    ]


def test_a_level_that_left_the_display_has_forgotten_us() -> None:
    """The offer goes from 102 to 103 and comes back: there are 50 new ones."""
    market = [
        OPEN,
        at(1, bid=(100, 5), ask=(103, 50)),
        at(2, bid=(100, 5), ask=(102, 50)),
        at(3, trade=(1, 102, 1, False)),
    ]
    assert fills(trade(market, {row: [(1, 50.0, 102, IOC)] for row in (0, 2)})) == [
        (1, 50.0, 102, TAKER),
        (2, 50.0, 102, TAKER),
    ]


def test_a_crossing_offer_that_repeats_fills_a_resting_order_once() -> None:
    """12 offered at our bid, shown three times, then 20: we get 12, then 8."""
    market = [OPEN, *(at(n, bid=(99, 5), ask=(100, size)) for n, size in enumerate((12, 12, 12, 20), start=1))]
    assert fills(trade(market, {0: [(1, 30.0, 100, GTC)]})) == [(1, 12.0, 100, MAKER), (1, 8.0, 100, MAKER)]


@pytest.mark.parametrize("levels", [0, 2])
@pytest.mark.parametrize("size", [float("nan"), 0.0, -5.0])
def test_an_offer_without_a_size_fills_nobody(levels: int, size: float) -> None:
    """NaN, zero and negative sizes are no liquidity, for takers and for resting orders."""
    tick = {"bids": [(99, 5)], "asks": [(100, size)]} if levels else {"bid": (99, 5), "ask": (100, size)}
    first = {"bids": [(100, 50)], "asks": [(102, 50)]} if levels else {"bid": (100, 50), "ask": (102, 50)}
    market = [at(0, **first), at(1, **tick), at(2, **tick)]
    script = {0: [(1, 30.0, 100, GTC)], 1: [(1, 30.0, 101, IOC), (1, 30.0, None, IOC)]}
    assert fills(trade(market, script, levels=levels)) == []


def test_a_market_order_walks_the_levels_and_never_rests() -> None:
    """It takes 5 at 102 and 5 at 103 and the rest expires."""
    market = [at(0, bids=[(100, 5)], asks=[(102, 5), (103, 5)]), at(1, bids=[(100, 5)], asks=[(104, 5)])]
    traded = trade(market, {0: [(1, 20.0, None, IOC)]}, levels=2)
    assert fills(traded) == [(1, 5.0, 102, TAKER), (1, 5.0, 103, TAKER)]
    assert traded.orders["action"][-1] == EXPIRED
    assert traded.orders["leaves"][-1] == 10.0


def test_a_sweep_beyond_the_visible_book_goes_on_at_the_next_quotes() -> None:
    """The rest of a marketable limit takes what the next quote shows, at its price, and then rests."""
    market = [
        OPEN,
        at(1, bid=(100, 5), ask=(103, 30)),
        at(2, bid=(100, 5), ask=(105, 30)),
        at(3, trade=(-1, 104, 9, False)),
    ]
    assert fills(trade(market, {0: [(1, 90.0, 104, GTC)]})) == [
        (1, 50.0, 102, TAKER),
        (1, 30.0, 103, TAKER),
        (1, 9.0, 104, MAKER),
    ]


def test_an_offer_at_our_bid_fills_us_up_to_its_size() -> None:
    """The ask falls to our resting bid: we are the maker."""
    market = [OPEN, at(1, bid=(99, 5), ask=(100, 12))]
    assert fills(trade(market, {0: [(1, 30.0, 100, GTC)]})) == [(1, 12.0, 100, MAKER)]


def test_hidden_trades_do_not_eat_the_displayed_queue() -> None:
    """A hidden trade at our price changes nothing; one through it fills us."""
    market = [OPEN, at(1, trade=(-1, 100, 500, True)), at(2, trade=(-1, 99, 4, True))]
    assert fills(trade(market, {0: [(1, 30.0, 100, GTC)]})) == [(1, 4.0, 100, MAKER)]


def test_an_arrival_during_a_halt_is_rejected_and_a_resume_needs_a_quote() -> None:
    """Halted, resumed without a quote: rejected both times; after a quote: accepted."""
    market = [
        OPEN,
        at(1, halt=True),
        at(4, halt=False),
        at(7, bid=(100, 5), ask=(102, 5)),
        at(9, bid=(100, 5), ask=(102, 5)),
    ]
    latency = Latency(0, 1_500_000, 0)
    traded = trade(market, {0: [(1, 1.0, 100, GTC)], 3: [(1, 1.0, 100, GTC)]}, latency=latency)
    actions = list(zip(traded.orders["action"].tolist(), traded.orders["order_id"].tolist(), strict=True))
    assert (REJECTED, 1) in actions
    assert (ACCEPTED, 2) in actions
    refused = trade(market, {1: [(1, 1.0, 100, GTC)], 2: [(1, 1.0, 100, GTC)]}, latency=latency)
    assert [words.REASONS[r] for r in refused.orders["reason"]] == ["MARKET_STATE", "MARKET_STATE"]


def test_a_fill_may_win_the_race_against_a_cancel() -> None:
    """The cancel is under way while a trade fills us: there is no canceled row, only the fill."""
    market = [
        OPEN,
        at(3, bid=(100, 50), ask=(102, 50)),
        at(4, trade=(-1, 99, 30, False)),
        at(9, bid=(99, 1), ask=(102, 1)),
    ]
    traded = trade(market, {0: [(1, 30.0, 100, GTC)], 1: [1]}, latency=Latency(0, 2_000_000, 0))
    assert fills(traded) == [(1, 30.0, 100, MAKER)]
    assert CANCELED not in traded.orders["action"]


def test_orders_and_answers_take_their_time() -> None:
    """2 ms out, 3 ms back: accepted after 5 ms; the fill keeps the venue's time."""
    market = [
        OPEN,
        at(1, bid=(100, 50), ask=(102, 50)),
        at(6, bid=(100, 50), ask=(102, 50)),
        at(8, bid=(100, 1), ask=(102, 1)),
    ]
    traded = trade(market, {0: [(1, 5.0, 102, GTC)]}, latency=Latency(0, 2_000_000, 3_000_000))
    rows = {int(a): int(t) - START for a, t in zip(traded.orders["action"], traded.orders["ts_event"], strict=True)}
    assert rows[ACCEPTED] == rows[FILLED] == 5_000_000
    assert traded.fills["ts_event"][0] - START == 2_000_000


def test_a_crossed_book_is_no_book() -> None:
    """A bid above the offer fills nobody and takes no order."""
    market = [OPEN, at(1, bid=(103, 5), ask=(90, 500)), at(2, trade=(0, 150, 1, False))]
    assert fills(trade(market, {0: [(1, 30.0, 100, GTC)]})) == []


def test_day_orders_end_with_the_session() -> None:
    """A closing status expires DAY orders and leaves the others."""
    from gpi.formats.words import CLOSED

    ticks = frame([OPEN, at(1, halt=True), at(2, bid=(100, 1), ask=(102, 1))])
    ticks["flags"][1] = CLOSED
    session = Session(ticks.layout.schema, setup({0: [(1, 5.0, 100, 3), (1, 5.0, 99, GTC)]}))
    rows = session.step(ticks).orders
    assert [int(i) for i, a in zip(rows["order_id"], rows["action"], strict=True) if a == EXPIRED] == [1]


@st.composite
def markets(draw: st.DrawFn, levels: int) -> list[dict[str, Any]]:
    """Random ticks about a price of 100 ticks: books, best quotes, trades, halts, equal times."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    market: list[dict[str, Any]] = []
    ts = START
    for _ in range(draw(st.integers(2, 30))):
        ts += int(rng.choice([0, 1_000_000, 3_000_000]))
        again = market and rng.random() < 0.25  # the same once more: nothing may be given twice
        market.append({**(market[-1] if again else _tick(rng, levels)), "ts": ts})
    return market


def _tick(rng: np.random.Generator, levels: int) -> dict[str, Any]:
    tick: dict[str, Any] = {}
    kind = rng.choice(["quote", "trade", "both", "halt"], p=[0.5, 0.3, 0.15, 0.05])
    if kind == "halt":
        return {"halt": bool(rng.integers(0, 2))}
    if kind != "quote":
        hidden = bool(rng.random() < 0.2)
        tick["trade"] = (
            int(rng.integers(-1, 2)),
            int(rng.integers(95, 106)),
            float(rng.integers(0, 30)),
            hidden,
        )
    if kind != "trade":
        mid, gap = int(rng.integers(97, 104)), int(rng.choice([-1, 0, 1, 2, 3]))
        sides = [(px, float(rng.integers(1, 20))) for px in (mid, mid + gap)]
        if levels and rng.random() < 0.7:
            tick["bids"] = _ladder(rng, sides[0], -1, levels)
            tick["asks"] = _ladder(rng, sides[1], 1, levels)
        else:
            tick["bid"], tick["ask"] = (None if rng.random() < 0.05 else s for s in sides)
    return tick


def _ladder(rng: np.random.Generator, best: tuple[int, float], step: int, levels: int) -> list[tuple[int, float]]:
    found = [best]
    for _ in range(int(rng.integers(0, levels))):
        found.append((found[-1][0] + step * int(rng.integers(1, 3)), float(rng.integers(1, 20))))
    return found


@st.composite
def scripts(draw: st.DrawFn) -> dict[int, list[Any]]:
    """Random wishes of a trader: limits around the market, market orders, cancels."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    script: dict[int, list[Any]] = {}
    for _ in range(draw(st.integers(1, 12))):
        row = int(rng.integers(0, 25))
        if rng.random() < 0.3:
            wish: Any = int(rng.integers(1, 8))
        else:
            px = None if rng.random() < 0.15 else int(rng.integers(96, 105))
            tif = IOC if px is None or rng.random() < 0.2 else GTC
            wish = (int(rng.choice([-1, 1])), float(rng.integers(1, 25)), px, tif)
        script.setdefault(row, []).append(wish)
    return script


def asked_for(rows: Frame, order_ns: int) -> Iterator[tuple[int, str, Any]]:
    """(arrival, "new" | "cancel", order | id) of every request among the rows of orders/1."""
    for k in range(rows.rows):
        order, arrival = int(rows["order_id"][k]), int(rows["ts_event"][k]) + order_ns
        if rows["action"][k] == words.CANCEL:
            yield arrival, "cancel", order
        if rows["action"][k] == words.SUBMIT:
            market_order = bool(rows["order_type"][k] == words.MARKET)
            px = 0 if market_order else round(rows["px"][k] / TICK)
            wish = {"id": order, "side": int(rows["side"][k]), "px": px, "leaves": float(rows["qty"][k])}
            yield arrival, "new", {**wish, "market": market_order, "ioc": bool(rows["tif"][k] == IOC)}


@pytest.mark.parametrize("levels", [0, 3])
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_the_venue_does_what_its_definition_says(levels: int, data: st.DataObject) -> None:
    """Fills, prices, liquidity, times and ends equal the naive venue's on random markets and scripts."""
    market, script = data.draw(markets(levels)), data.draw(scripts())
    order_ns = data.draw(st.sampled_from([0, 1_000_000, 2_500_000]))
    whole = frame(market, levels)
    session = Session(whole.layout.schema, setup(script, latency=Latency(0, order_ns, 0)))
    parts = [session.step(whole.slice(row, row + 1)) for row in range(whole.rows)] + [session.finish()]
    requests = [(row, *asked) for row, part in enumerate(parts) for asked in asked_for(part.orders, order_ns)]
    end = market[-1]["ts"] + 10 * order_ns + 1
    venue = played([*market, {"ts": end}, {"ts": end}], requests, max(levels, 1))
    traded = joined(parts)
    rows = traded.orders
    f = traded.fills
    columns = [f[name].tolist() for name in ("ts_event", "order_id", "qty", "px", "liquidity")]
    found = [(t, i, q, round(p / TICK), x == MAKER) for t, i, q, p, x in zip(*columns, strict=True)]
    assert found == venue.fills
    words_of = {REJECTED: "rejected", EXPIRED: "expired", CANCELED: "canceled"}
    ends = [
        (int(t), int(i), words_of[a], float(x))
        for t, i, a, x in zip(rows["ts_event"], rows["order_id"], rows["action"].tolist(), rows["leaves"], strict=True)
        if a in words_of
    ]
    assert ends == venue.ends
