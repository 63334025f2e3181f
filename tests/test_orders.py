"""What is true of orders beyond plain limits and markets: stops, families, replacements, auctions, hours, bands."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpi.formats import words
from gpi.formats.errors import BadInput
from gpi.formats.frame import Frame
from gpi.formats.instruments import Instruments, equity
from gpi.formats.market.calendar import session as trading_day
from gpi.formats.words import (
    ACCEPTED,
    CANCELED,
    CLOSED,
    CLS,
    DAY,
    EXPIRED,
    FILLED,
    GTC,
    LIMIT,
    MARKET,
    OPG,
    REDUCED,
    REJECTED,
    STOP,
    STOP_LIMIT,
    TRAILING,
    TRIGGERED,
)
from gpi.tools.backtest.delays import Delays, Model, parsed
from gpi.tools.backtest.session import Session
from gpi.tools.backtest.setup import Latency, Rules, Terms
from gpi.tools.venue.exchange import Exchange, Request
from tests.naive.stops import triggered
from tests.test_matching import OPEN, at, fills
from tests.trading import START, TICK, frame, setup, told, trade

NAN = float("nan")
DEEP: dict[str, Any] = {"bid": (100, 1000), "ask": (102, 1000)}


def exchange(fill: Any = "conservative", **more: Any) -> Exchange:
    """An exchange with a deep quote at 1.00 to 1.02."""
    made = Exchange(Instruments([equity("AAA")]), fill=fill, **more)
    made.tick(frame([{"ts": START, **DEEP}]))
    return made


def order(
    side: int, qty: float, px: int | None = None, tif: int = GTC, stop: int | None = None, **more: Any
) -> Request:
    """A request; prices in ticks."""
    kind = (MARKET if px is None else LIMIT) if stop is None else (STOP if px is None else STOP_LIMIT)
    return Request(
        0, side, kind, tif, qty, NAN if px is None else px * TICK, NAN if stop is None else stop * TICK, **more
    )


def happened(made: Exchange) -> list[tuple[int, int]]:
    """(order id, action) of the events."""
    return [(e.order_id, e.action) for e in made.events()]


def traded(ts: int, px: int, size: float = 1.0, **more: Any) -> dict[str, Any]:
    """A trade some milliseconds after the start, the aggressor unknown to nobody."""
    return {"ts": START + ts * 1_000_000, "trade": (1, px, size, False), **more}


def test_a_stop_sleeps_until_a_trade_reaches_it_and_then_takes_the_market() -> None:
    """A quote below the stop does nothing; the trade at it sells at the bid that the tick left."""
    made = exchange()
    stop = made.submit(order(-1, 10.0, stop=99))
    made.tick(frame([{"ts": START + 1, "bid": (97, 5), "ask": (98, 5)}, {"ts": START + 2, **DEEP}]))
    assert happened(made) == [(stop, ACCEPTED)]
    made.tick(frame([{"ts": START + 3, "trade": (-1, 99, 1, False), "bid": (98, 1000), "ask": (99, 5)}]))
    events = made.events()
    assert [(e.order_id, e.action) for e in events] == [(stop, TRIGGERED), (stop, FILLED)]
    assert round(events[-1].px / TICK) == 98


def test_a_stop_limit_rests_at_its_limit_once_it_is_reached() -> None:
    """The market has gone through: a sell limit at 101 rests behind nobody and fills when the bid comes back."""
    made = exchange()
    stop = made.submit(order(-1, 10.0, 101, stop=99))
    made.tick(frame([{"ts": START + 1, "trade": (-1, 99, 1, False), "bid": (98, 9), "ask": (99, 9)}]))
    assert happened(made) == [(stop, ACCEPTED), (stop, TRIGGERED)]
    made.tick(frame([{"ts": START + 2, "bid": (101, 50), "ask": (103, 9)}]))
    assert happened(made) == [(stop, FILLED)]


def test_a_trailing_stop_follows_the_best_trade_and_only_towards_the_market() -> None:
    """3 ticks behind: 104 lifts it to 101, 102 leaves it there, 101 reaches it."""
    made = exchange()
    stop = made.submit(Request(0, -1, TRAILING, GTC, 10.0, trail=3 * TICK))
    made.tick(frame([traded(1, 104), traded(2, 102)]))
    assert happened(made) == [(stop, ACCEPTED)]
    made.tick(frame([traded(3, 101)]))
    assert happened(made) == [(stop, TRIGGERED), (stop, FILLED)]
    share = made.submit(Request(0, 1, TRAILING, GTC, 10.0, trail=0.05, trail_fraction=True))
    made.tick(frame([traded(4, 100), traded(5, 104)]))
    assert happened(made) == [(share, ACCEPTED)]
    made.tick(frame([traded(6, 105)]))
    assert happened(made) == [(share, TRIGGERED), (share, FILLED)]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_stops_are_triggered_as_their_definition_says(data: st.DataObject) -> None:
    """Random stops and trailing stops over random trades: the same orders at the same trades."""
    px = st.integers(95, 109)
    last, trades = data.draw(px), data.draw(st.lists(px, max_size=12))
    made = exchange()
    made.tick(frame([traded(1, last)]))
    made.events()
    naive = []
    for _ in range(data.draw(st.integers(1, 6))):
        side, trails = data.draw(st.sampled_from([-1, 1])), data.draw(st.booleans())
        distance, stop = data.draw(st.integers(1, 6)), data.draw(px)
        request = Request(0, side, TRAILING, GTC, 1.0, trail=distance * TICK) if trails else order(side, 1.0, stop=stop)
        naive.append({"id": made.submit(request), "side": side, "sibling": None,
                      "stop": None if trails else stop, "trail": distance if trails else None})  # fmt: skip
    found = [(-1, e.order_id) for e in made.events() if e.action == TRIGGERED]
    for number, each in enumerate(trades):
        made.tick(frame([traded(2 + number, each)]))
        found += [(number, e.order_id) for e in made.events() if e.action == TRIGGERED]
    assert sorted(found) == triggered(naive, trades, last)


def test_fill_or_kill_is_all_at_once_or_nothing() -> None:
    """50 at 102 and 50 at 103: 80 fill, 120 do not, and 80 again find too little left."""
    market = [at(n, bids=[(100, 5)], asks=[(102, 50), (103, 50)]) for n in range(2)]
    script = {0: [lambda v, q=q: v.buy(q, 1.03, tif="fok") for q in (120.0, 80.0, 80.0)]}
    got = trade(market, script, levels=2)
    assert fills(got) == [(2, 50.0, 102, 2), (2, 30.0, 103, 2)]
    assert [i for a, i, _ in told(got) if a == "expired"] == [1, 3]


def test_a_bracket_holds_its_exits_until_the_entry_has_filled_whole() -> None:
    """The entry rests, fills in two parts, the exits wake; the profit fills, the stop goes."""
    market = [
        OPEN,
        at(1, trade=(-1, 99, 4, False)),
        at(2, trade=(-1, 99, 6, False)),
        at(3, bid=(106, 50), ask=(107, 50)),
        at(4, trade=(1, 109, 50, False)),
    ]
    got = trade(market, {0: [lambda v: v.bracket(1, 10.0, 1.0, 1.08, 0.95)]})
    events = [(a, i) for a, i, _ in told(got) if a not in ("submit",)]
    assert events[:3] == [("accepted", 1), ("held", 2), ("held", 3)]
    assert events[3:5] == [("filled", 1), ("filled", 1)]
    assert events[5:] == [("accepted", 2), ("accepted", 3), ("filled", 2), ("canceled", 3)]
    assert got.fills["position"][-1] == 0.0


def test_an_entry_that_ends_unfilled_takes_its_exits_along() -> None:
    """Cancelled by the trader, or immediate and not filled: the legs are cancelled."""
    got = trade([OPEN, at(1, **DEEP), at(2, **DEEP)], {0: [lambda v: v.bracket(1, 10.0, 1.0, 1.08, 0.95)], 1: [1]})
    assert [(a, i) for a, i, _ in told(got) if a == "canceled"] == [("canceled", n) for n in (1, 2, 3)]


def test_a_partial_fill_of_one_rival_shrinks_the_other() -> None:
    """4 of 10 are sold at the profit: the stop guards the 6 that are left, and ends the rest when it goes."""
    made = exchange()
    profit = made.submit(order(-1, 10.0, 105))
    stop = made.submit(order(-1, 10.0, stop=95, sibling=profit))
    made.tick(frame([traded(1, 106, 4.0)]))
    events = made.events()
    assert [(e.order_id, e.action, e.leaves) for e in events[2:]] == [(profit, FILLED, 6.0), (stop, REDUCED, 6.0)]
    made.tick(frame([traded(2, 95)]))
    assert happened(made) == [(stop, TRIGGERED), (stop, FILLED), (profit, CANCELED)]


def test_cancelling_one_rival_cancels_both() -> None:
    """As Alpaca does."""
    made = exchange()
    profit = made.submit(order(-1, 10.0, 105))
    stop = made.submit(order(-1, 10.0, stop=95, sibling=profit))
    assert made.cancel(stop)
    assert happened(made)[2:] == [(stop, CANCELED), (profit, CANCELED)]


def test_a_replacement_keeps_the_place_in_the_queue_only_when_it_shrinks() -> None:
    """50 stand ahead of 30: after 20 trade, shrinking to 10 leaves 30 ahead, growing puts 50 there again."""

    def market(size: float) -> list[dict[str, Any]]:
        return [OPEN, at(1, trade=(-1, 100, 20, False)), at(2, **DEEP), at(3, trade=(-1, 100, size, False))]

    def wanting(qty: float) -> dict[int, list[Any]]:
        return {0: [(1, 30.0, 100, GTC)], 1: [lambda v: v.replace(1, qty=qty)]}

    assert fills(trade(market(35.0), wanting(10.0))) == [(1, 5.0, 100, 1)]
    assert fills(trade(market(35.0), wanting(40.0))) == []
    assert fills(trade(market(55.0), wanting(40.0))) == [(1, 5.0, 100, 1)]


def test_a_fill_may_win_the_race_against_a_replacement() -> None:
    """The order is gone when the request arrives: the fill counts, nothing else is told."""
    market = [OPEN, at(3, **DEEP), at(4, trade=(-1, 99, 30, False)), at(9, **DEEP)]
    script = {0: [(1, 30.0, 100, GTC)], 1: [lambda v: v.replace(1, qty=50.0)]}
    got = trade(market, script, latency=Latency(0, 2_000_000, 0))
    assert fills(got) == [(1, 30.0, 100, 1)]
    assert [a for a, _, _ in told(got)] == ["submit", "accepted", "replace", "filled"]


def test_while_a_replacement_is_under_way_the_larger_order_counts() -> None:
    """40 of 100 cash: replacing 30 by 60 is judged at once, and a further 50 does not fit beside it."""
    from tests.test_risk import limits

    script = {0: [(1, 30.0, 100, GTC)], 1: [lambda v: v.replace(1, qty=60.0), (1, 50.0, 100, GTC)]}
    market = [{"ts": START + n * 10**8, **DEEP} for n in range(3)]
    got = trade(market, script, cash=100.0, limits=limits(), latency=Latency(0, 10**9, 10**9))
    assert [a for a, _, _ in told(got)][:3] == ["submit", "replace", "refuse"]
    assert words.REASONS[got.orders["reason"][2]] == "POSITION_LIMIT" or got.orders["reason"][2] > 0


def test_a_partial_fill_that_rests_is_in_position_and_cash_at_once() -> None:
    """4 of 10 fill while the order rests: position 4, cash less 4 x 1.00 (the state hftbacktest #316 lost)."""
    views: list[Any] = []
    script = {0: [(1, 10.0, 100, GTC)], 1: [views.append], 2: [views.append]}
    trade([OPEN, at(1, trade=(-1, 99, 4, False)), at(2, **DEEP)], script, cash=100.0)
    assert [(v.position, round(v.cash, 9), v.buying) for v in views] == [(4.0, 96.0, 6.0)] * 2


OPENING = trading_day(date(2025, 3, 5))
assert OPENING is not None


def during(ts: int, px: int | None = None, size: float = 100.0, **more: Any) -> Frame:
    """One row at an instant: a trade, or a quote of the deep market."""
    return frame([{"ts": ts, "trade": (0, px, size, False)} if px is not None else {"ts": ts, **DEEP, **more}])


def test_auction_orders_fill_at_the_official_prints() -> None:
    """On-open at the first trade of the session, on-close at the first after the closing bell; no limit beyond it."""
    made = Exchange(Instruments([equity("AAA")]), fill="conservative")
    made.tick(during(OPENING.open - 10))
    opens, dear = made.submit(order(1, 10.0, tif=OPG)), made.submit(order(1, 10.0, 100, OPG))
    closes = made.submit(order(-1, 10.0, tif=CLS))
    made.tick(during(OPENING.open - 5, 99))
    assert happened(made) == [(n, ACCEPTED) for n in (opens, dear, closes)]
    made.tick(during(OPENING.open + 5, 101))
    events = made.events()
    assert [(e.order_id, e.action, round(e.px / TICK)) for e in events[:1]] == [(opens, FILLED, 101)]
    assert (events[1].order_id, events[1].action) == (dear, EXPIRED)
    late = made.submit(order(1, 1.0, tif=OPG))
    assert happened(made) == [(late, REJECTED)]
    made.tick(during(OPENING.close - 1, 103))
    assert happened(made) == []
    made.tick(during(OPENING.close + 2, 104))
    assert [(e.order_id, e.action, round(e.px / TICK)) for e in made.events()] == [(closes, FILLED, 104)]


def test_a_closed_status_ends_the_day_at_the_last_trade() -> None:
    """Where no closing print comes, the last trade is the official price."""
    made = Exchange(Instruments([equity("AAA")]), fill="conservative")
    made.tick(during(OPENING.open + 1))
    made.tick(during(OPENING.open + 2, 103))
    closes = made.submit(order(1, 10.0, tif=CLS))
    over = frame([{"ts": OPENING.open + 3, "halt": True}])
    over["flags"][0] = CLOSED
    made.tick(over)
    assert [(e.order_id, e.action) for e in made.events()] == [(closes, ACCEPTED), (closes, FILLED)]


def test_orders_end_with_their_session_by_the_calendar() -> None:
    """DAY at the close, extended DAY with the late session, good-till-cancelled after 90 days."""
    made = Exchange(Instruments([equity("AAA")]), fill="conservative")
    made.tick(during(OPENING.open + 1))
    ids = [made.submit(each) for each in (order(1, 1.0, 90, DAY), order(1, 1.0, 90, DAY, extended=True),
                                          order(1, 1.0, 90), order(-1, 1.0, stop=80, tif=DAY))]  # fmt: skip
    made.events()
    made.advance(OPENING.close)
    assert happened(made) == [(ids[0], EXPIRED), (ids[3], EXPIRED)]
    made.advance(OPENING.late_close)
    assert happened(made) == [(ids[1], EXPIRED)]
    made.advance(OPENING.late_close + 89 * 86_400 * 10**9)
    assert happened(made) == []
    made.advance(OPENING.late_close + 93 * 86_400 * 10**9)
    assert happened(made) == [(ids[2], EXPIRED)]


def test_with_hours_only_extended_orders_trade_outside_the_regular_session() -> None:
    """Before the bell the plain order sleeps, the extended one fills; the plain one meets the first regular quote."""
    made = Exchange(Instruments([equity("AAA")]), fill="conservative", hours=True)
    made.tick(during(OPENING.open - 10**9))
    plain, early = made.submit(order(1, 5.0, 103)), made.submit(order(1, 5.0, 103, extended=True))
    assert happened(made) == [(plain, ACCEPTED), (early, ACCEPTED), (early, FILLED)]
    stop = made.submit(order(-1, 5.0, stop=100))
    made.tick(during(OPENING.open - 10**8, 99))
    assert happened(made) == [(stop, ACCEPTED)]
    made.tick(during(OPENING.open + 1))
    assert happened(made) == [(plain, FILLED)]
    made.tick(during(OPENING.open + 2, 99))
    assert happened(made) == [(stop, TRIGGERED), (stop, FILLED)]


def test_bands_stop_what_is_beyond_them_and_a_limit_state_pauses() -> None:
    """5% about 1,000: an offer at 940 fills nobody; 15 seconds of it pause for five minutes."""
    made = Exchange(Instruments([equity("AAA")]), fill="conservative", bands=1)
    second, ts = 10**9, OPENING.open + 10**9

    def quoted(after: int, bid: int, ask: int) -> None:
        made.tick(frame([{"ts": ts + after * second, "bid": (bid, 100), "ask": (ask, 100)}]))

    quoted(0, 999, 1001)
    made.tick(during(ts + 1, 1000))
    quoted(1, 930, 940)
    buy = made.submit(order(1, 10.0, 960))
    assert happened(made) == [(buy, ACCEPTED)]
    quoted(10, 930, 940)
    assert made.quote(0).phase == 1
    quoted(17, 930, 940)
    assert made.quote(0).phase == 2
    assert made.submit(order(1, 1.0, 960)) and happened(made)[-1][1] == REJECTED
    quoted(100, 999, 1001)
    assert made.quote(0).phase == 2
    quoted(17 + 301, 999, 1001)
    assert made.quote(0).phase == 1


def test_orders_of_two_accounts_meet_at_the_resting_price_the_older_first() -> None:
    """Inside the spread: 5 and 5 at 101 against 8; nobody meets himself."""
    made = exchange()
    first = made.submit(order(-1, 5.0, 101, account=1))
    second = made.submit(order(-1, 5.0, 101, account=2))
    made.submit(order(1, 3.0, 101, account=1))
    got = made.submit(order(1, 8.0, 101, account=3))
    filled = [(e.order_id, e.qty, round(e.px / TICK), e.liquidity) for e in made.events() if e.action == FILLED]
    assert filled[:2] == [(second, 3.0, 101, 1), (3, 3.0, 101, 2)]
    assert filled[2:] == [(first, 5.0, 101, 1), (got, 5.0, 101, 2), (second, 2.0, 101, 1), (got, 2.0, 101, 2)]


def test_an_order_that_could_meet_our_own_is_refused_or_makes_room() -> None:
    """The setting says which; alone neither rule changes anything."""
    script = {0: [(1, 5.0, 100, GTC)], 1: [(-1, 5.0, 100, GTC)]}
    market = [OPEN, at(1, **DEEP), at(2, **DEEP)]
    refused = trade(market, script, rules=Rules(self_trade="refuse"))
    assert [words.REASONS[r] for r in refused.orders["reason"] if r] == ["SELF_TRADE"]
    makes_room = trade(market, script, rules=Rules(self_trade="cancel-oldest"))
    assert ("cancel", 1, 5.0) in told(makes_room)
    assert ("submit", 2, 5.0) in told(makes_room)


def test_the_queue_policy_lets_cancels_ahead_of_us_move_us() -> None:
    """100 ahead and 100 behind: of 100 that leave without a trade, half stood ahead (conservative: none did)."""
    market = [
        at(0, bid=(100, 100), ask=(102, 50)),
        at(1, bid=(100, 200), ask=(102, 50)),
        at(2, bid=(100, 100), ask=(102, 50)),
        at(3, trade=(-1, 100, 60, False)),
    ]
    script = {0: [(1, 30.0, 100, GTC)]}
    assert fills(trade(market, script)) == []
    assert fills(trade(market, script, rules=Rules(fill="queue"))) == [(1, 10.0, 100, 1)]


def test_the_whole_policy_fills_whatever_the_size() -> None:
    """One share trades through us: all 30 fill, taking as well as resting."""
    market = [OPEN, at(1, trade=(-1, 99, 1, False)), at(2, **DEEP)]
    script = {0: [(1, 30.0, 100, GTC)], 1: [(1, 900.0, 102, GTC)]}
    assert fills(trade(market, script, rules=Rules(fill="whole"))) == [(1, 30.0, 100, 1), (2, 900.0, 102, 2)]


POLICIES = ("conservative", "queue", "whole", "alpaca-paper")


def wishes(seed: int) -> dict[int, list[Callable[[Any], None]]]:
    """A trader of every kind of order, at random."""
    rng = np.random.default_rng(seed)
    script: dict[int, list[Callable[[Any], None]]] = {}
    for _ in range(14):
        side, qty, px = int(rng.choice([-1, 1])), float(rng.integers(1, 20)), int(rng.integers(96, 105)) * TICK
        stop, n, tif = (
            int(rng.integers(95, 106)) * TICK,
            int(rng.integers(1, 10)),
            str(rng.choice(["gtc", "day", "fok"])),
        )
        kinds: list[Callable[[Any], None]] = [
            lambda v, s=side, q=qty, p=px, t=tif: (v.buy if s > 0 else v.sell)(q, p, tif=t),
            lambda v, s=side, q=qty, x=stop: (v.buy if s > 0 else v.sell)(q, stop=x),
            lambda v, s=side, q=qty, p=px, x=stop: (v.buy if s > 0 else v.sell)(q, p, stop=x),
            lambda v, s=side, q=qty: v.trail(s, q, 0.03),
            lambda v, s=side, q=qty, p=px: v.bracket(s, q, p, p + s * 0.02, p - s * 0.02),
            lambda v, s=side, q=qty, p=px: v.one_cancels_other(s, q, p + 0.03, p - 0.03),
            lambda v, i=n, q=qty, p=px: v.replace(i, q, p),
            lambda v, i=n: v.cancel(i),
        ]  # fmt: skip
        script.setdefault(int(rng.integers(0, 20)), []).append(kinds[int(rng.integers(0, len(kinds)))])
    return script


@pytest.mark.parametrize("fill", POLICIES)
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_every_kind_of_order_ends_once_and_the_books_balance(fill: str, data: st.DataObject) -> None:
    """Per order: fills and the rest make its size, one end, nothing after it; cash and position are the fills' sum."""
    from tests.test_matching import markets

    market = data.draw(markets(3))
    ticks = frame(market, 3)
    session = Session(
        ticks.layout.schema,
        setup(wishes(data.draw(st.integers(0, 999))), rules=Rules(fill=fill), latency=Latency(0, 1_000_000, 1_000_000)),
    )
    from gpi.tools.backtest.traded import joined

    got = joined([session.step(ticks), session.finish()])
    rows, ended = got.orders, dict[int, int]()
    left: dict[int, float] = {}
    for k in range(rows.rows):
        action, i = int(rows["action"][k]), int(rows["order_id"][k])
        if action == words.REFUSE or i == 0:
            continue
        assert i not in ended, "an order speaks after its end"
        if action in (words.REPLACED, words.REDUCED, words.SUBMIT):
            left[i] = float(rows["leaves"][k])
        if action == FILLED:
            left[i] -= float(rows["qty"][k])
            assert abs(left[i] - rows["leaves"][k]) < 1e-9
        if action in (CANCELED, REJECTED, EXPIRED) or (action == FILLED and rows["leaves"][k] == 0.0):
            ended[i] = action
    assert set(ended) == set(left)
    f = got.fills
    assert abs(session.account.cash - 1_000_000.0 + float((f["side"] * f["qty"] * f["px"]).sum())) < 1e-6
    assert abs(session.state["instruments"][0].position - float((f["side"] * f["qty"]).sum())) < 1e-9
    assert session.account.open_orders == 0 and session.account.buy_cost == 0.0


@pytest.mark.parametrize("fill", POLICIES)
def test_the_laws_hold_with_every_kind_of_order(fill: str) -> None:
    """Cut anywhere, save and resume: the same rows."""
    rng = np.random.default_rng(5)
    mids = 100 + rng.integers(-1, 2, 60).cumsum()
    market = []
    for n, mid in enumerate(mids.tolist()):
        print_ = (int(rng.choice([-1, 1])), mid, 7.0, False)
        market.append({"ts": START + n * 10**6, "trade": print_, "bid": (mid - 1, 9), "ask": (mid + 1, 9)})
    ticks, rules = frame(market), Rules(fill=fill)

    def begun() -> Session:
        terms = Terms(default=(TICK, 1.0, 1.0), listed=(1.0,))
        return Session(ticks.layout.schema, setup(wishes(3), rules=rules, terms=terms))

    whole, cut, resumed = begun(), begun(), begun()
    told = whole.step(ticks).orders
    parts, saved = list[Frame](), list[Frame]()
    for n in range(ticks.rows):
        parts.append(cut.step(ticks.slice(n, n + 1)).orders)
        saved.append(resumed.step(ticks.slice(n, n + 1)).orders)
        resumed.load(resumed.save())
    assert FILLED in told["action"]
    for name in told.columns:
        for rows in (parts, saved):
            np.testing.assert_array_equal(told[name], np.concatenate([p[name] for p in rows]), err_msg=name)


def test_fees_follow_the_trading_day() -> None:
    """1,000,000 dollars sold before and after section 31 fell from 27.80 a million to nothing: 27.80, then no more."""
    first, second = trading_day(date(2025, 5, 13)), trading_day(date(2025, 5, 14))
    assert first is not None and second is not None
    quote = {"bid": (100_00, 10**5), "ask": (100_02, 10**5)}
    market = [{"ts": day.open + n, **quote} for day in (first, second) for n in (0, 1, 2)]
    script = {0: [lambda v: v.sell(10_000.0)], 3: [lambda v: v.sell(10_000.0)]}
    terms = Terms(default=(TICK, 1.0, 1.0), listed=(1.0,))
    got = trade(market, script, schedule="alpaca_equity", terms=terms)
    taf, audit = 1.66, 0.46  # 0.000166 and 0.000046 a share, each up to the cent
    np.testing.assert_allclose(got.fills["fee"], [27.80 + taf + audit, taf + audit], atol=1e-9)


def test_recorded_delays_are_those_of_the_recording(tmp_path: Path) -> None:
    """A recording of one round trip gives the rows of that constant; between two it runs linearly."""
    table = pa.table({"ts": [START], "order_ns": [2_000_000], "response_ns": [3_000_000]})
    pq.write_table(table, tmp_path / "delays.parquet")
    market = [at(n, **DEEP) for n in range(30)]
    script = {0: [(1, 5.0, 102, GTC)], 3: [(1, 5.0, 100, GTC)], 8: [2], 20: [(1, 5.0, 102, GTC)]}
    constant = trade(market, script, latency=Latency(0, 2_000_000, 3_000_000)).orders
    recorded = trade(market, script, delays=Delays(parsed([f"{tmp_path}/delays.parquet"]))).orders
    for name in constant.columns:
        np.testing.assert_array_equal(recorded[name], constant[name], err_msg=name)
    trips = np.array([[0, 2, 5], [10, 16, 25]]) * 1_000_000 + START  # 2 and 3 ms, ten later 6 and 9
    models = {"order": Model("recorded", table=trips[:, :2]), "response": Model("recorded", table=trips[:, 1:])}
    slower = trade(market, {5: [(1, 5.0, 102, GTC)]}, delays=Delays(models))
    assert slower.fills["ts_event"][0] - START == 5_000_000 + 4_000_000  # half way between 2 and 6
    accepted = slower.orders["ts_event"][slower.orders["action"] == ACCEPTED]
    assert accepted[0] - START == 9_000_000 + 6_000_000  # the venue answers half way between 2 and 16
    with pytest.raises(BadInput, match="delays"):
        parsed([f"{tmp_path}/none.parquet"])
