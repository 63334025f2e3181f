"""Orders of several legs: all or none at the net of all, judged whole, the same in every cut, and in the venue."""

import math
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpi.formats.instruments import Instrument, Instruments, equity, option
from gpi.formats.ipc import writing
from gpi.formats.market.settlement import ending
from gpi.formats.ticks import TICKS
from gpi.formats.words import (
    ACCEPTED,
    ACTIONS,
    CANCELED,
    DAY,
    EXPIRED,
    FILLED,
    FOK,
    GTC,
    IOC,
    LIMIT,
    MLEG,
    REASONS,
    REFUSE,
    SECOND,
)
from gpi.tools.backtest import outside
from gpi.tools.backtest.session import Session
from gpi.tools.backtest.setup import Latency, Rules, Setup, unlimited
from gpi.tools.backtest.tables import columns
from gpi.tools.backtest.traded import Traded, joined
from gpi.tools.kernels.exchange.options import TRAVEL
from gpi.tools.stage import load, save
from gpi.tools.strategies.loading import load as strategy_of
from gpi.tools.venue.exchange import Exchange, Leg
from tests.laws import same
from tests.naive import legs as naive
from tests.shell import gpi
from tests.test_option_days import quoted
from tests.trading import INSTANT, frame, scripted
from tests.venues import venue_here

CLOSE = ending("AAPL", date(2024, 6, 21)).settled
OPEN = CLOSE - 5 * 3600 * SECOND
LOW, HIGH, PUT, LATER = (
    option(f"AAPL240{tail}") for tail in ("621C00190000", "621C00200000", "621P00190000", "719C00190000")
)
TABLE = (LOW, HIGH, PUT, LATER, equity("AAPL"))
QUOTES = {0: (500, 540, 50), 1: (200, 220, 30), 2: (300, 340, 40), 3: (800, 860, 20), 4: (19_350, 19_352, 500)}
SLOW = Latency(0, 1_500_000_000, 700_000_000)
NAMES = {"day": DAY, "gtc": GTC, "ioc": IOC, "fok": FOK}


def market(rounds: int = 4, **changes: Any) -> list[dict[str, Any]]:
    """Quotes (cents) of all five in turn, a second a round; `q3_1=(bid, ask, size)` changes what 1 shows in round 3."""
    ticks = []
    for n in range(rounds):
        for i, quote in QUOTES.items():
            bid, ask, size = changes.get(f"q{n}_{i}", quote)
            sides = {"bid": (bid, size) if bid else None, "ask": (ask, size) if ask else None}
            ticks.append({"ts": OPEN + n * SECOND + i * 1000, "i": i, **sides})
    return ticks


def order(*legs: tuple[int, int, int], units: float = 1.0, net: float | None = None, tif: str = "day") -> Any:
    """A wish for an order of several legs."""
    return lambda view: view.multi_leg(legs, units, net, tif)


VERTICAL = ((0, 1, 1), (1, -1, 1))  # the mid is a debit of 3.10; 66 % of both spreads: 5.27 less 2.06 (2.0668)


def session(script: Any, table: tuple[Instrument, ...] = TABLE, **changes: Any) -> Session:
    """A session without limits but those on options, latency or fees unless told."""
    limits = unlimited()
    limits[0].allow_naked_options = limits[0].cash_reserve = 0.0
    terms = {"latency": INSTANT, "limits": limits, **changes}
    return Session(Instruments(table).on(TICKS), Setup(scripted(script)[0], **terms))


def ran(ticks: list[dict[str, Any]], script: Any, **changes: Any) -> Traded:
    """All that is traded, to the end."""
    trader = session(script, **changes)
    return joined([trader.step(frame(ticks)), trader.finish()])


def fills(traded: Traded) -> list[tuple[int, int, float, float]]:
    """(instrument, side, qty, px) of every fill."""
    columns = [traded.fills[name].tolist() for name in ("instrument_id", "side", "qty", "px")]
    return [(i, s, q, round(px, 4)) for i, s, q, px in zip(*columns, strict=True)]


def events(traded: Traded) -> list[tuple[str, int, int]]:
    """(action, order id, parent) of every row."""
    o = traded.orders
    return [
        (ACTIONS[a], i, p) for a, i, p in zip(*(o[n].tolist() for n in ("action", "order_id", "parent")), strict=True)
    ]


def refusals(traded: Traded) -> list[str]:
    """Reasons of everything that was refused, a row a leg."""
    o = traded.orders
    return [REASONS[r] for r, a in zip(o["reason"].tolist(), o["action"].tolist(), strict=True) if a == REFUSE]


def test_all_legs_fill_at_the_net_or_none() -> None:
    """5.27 less 2.06 is 3.21: that fills both legs, 3.20 none; sizes bound the units; rows name the first leg."""
    got = ran(market(2), {9: [order(*VERTICAL, units=2, net=3.21)]})
    assert fills(got) == [(0, 1, 2.0, 5.27), (1, -1, 2.0, 2.06)]
    assert events(got) == [(a, i, 1) for a in ("submit", "accepted", "filled") for i in (1, 2)]
    assert got.fills["parent"].tolist() == [1, 1] and set(got.orders["order_type"]) == {MLEG}
    assert got.orders["px"][:2].tolist() == [3.21, 3.21]
    none = ran(market(2), {9: [order(*VERTICAL, net=3.20)]})
    assert fills(none) == [] and [a for a, _, _ in events(none)][-2:] == ["canceled", "canceled"]
    many = ran(market(3), {9: [order((0, 1, 1), (1, -1, 2), units=40, tif="ioc")]}, limits=unlimited())
    assert fills(many) == [(0, 1, 15.0, 5.27), (1, -1, 30.0, 2.06)]
    assert [a for a, _, _ in events(many)][-2:] == ["expired", "expired"]


def test_no_quote_no_fill_and_a_rest_fills_when_it_comes() -> None:
    """A limit of 3.10 waits until the quotes allow it, also where a side had gone; what was shown is taken once."""
    ticks = market(6, q3_1=(0, 220, 30), q4_1=(215, 220, 30), q5_1=(220, 230, 3))
    got = ran(ticks, {9: [order(*VERTICAL, units=5, net=3.10)]})
    assert fills(got) == [(0, 1, 3.0, 5.27), (1, -1, 3.0, 2.23)]
    twice = ran(market(4), {9: [order(*VERTICAL, units=20), order(*VERTICAL, units=20)]})
    assert [qty for _, _, qty, _ in fills(twice)] == [20.0, 20.0, 10.0, 10.0]


def test_fill_or_kill_and_the_market() -> None:
    """31 units are not shown: killed; 30 fill whole; without a limit the net is what it is."""
    for units, expected in ((31.0, []), (30.0, [30.0, 30.0])):
        got = ran(market(2), {9: [order(*VERTICAL, units=units, tif="fok")]})
        assert [qty for _, _, qty, _ in fills(got)] == expected
    paper = ran(market(2), {9: [order(*VERTICAL, units=60.0)]}, rules=Rules("alpaca-paper"))
    assert fills(paper) == [(0, 1, 60.0, 5.4), (1, -1, 60.0, 2.0)]


def test_any_leg_cancels_the_whole_and_nothing_replaces_it() -> None:
    """One cancel, a row a leg; a replacement is refused."""
    got = ran(market(4), {9: [order(*VERTICAL, net=1.0)], 11: [lambda view: view.replace(2, px=2.0), 2]})
    told = [(a, i) for a, i, _ in events(got)]
    assert told == [("submit", 1), ("submit", 2), ("accepted", 1), ("accepted", 2), ("refuse", 2), ("cancel", 2),
                    ("cancel", 1), ("canceled", 1), ("canceled", 2)]  # fmt: skip


def test_the_end_of_one_leg_is_the_end_of_all() -> None:
    """A calendar spread that waits ends with its first series."""
    ticks = [*market(3), {"ts": CLOSE + SECOND, "i": 3, "bid": (800, 5), "ask": (860, 5)}]
    got = ran(ticks, {9: [order((3, 1, 1), (0, -1, 1), net=0.5, tif="gtc")]})
    assert [(a, i) for a, i, _ in events(got)][-2:] == [("expired", 2), ("expired", 1)]


@pytest.mark.parametrize(
    ("wish", "reason"),
    [
        (order(*VERTICAL, net=3.21), ""),
        (order((0, -1, 1), (1, 1, 1), net=-3.0), ""),  # a credit, bought above
        (order((0, -1, 1), (3, 1, 1)), ""),  # a calendar: the bought one ends later
        (order((0, 1, 1), (3, -1, 1)), "OPTION_RULES"),  # the other way round nothing covers the later one
        (order((0, 1, 1), (1, -1, 2)), "OPTION_RULES"),  # one sold too many
        (order((0, 1, 1), (2, -1, 1)), ""),  # a risk reversal: the put is covered by a million in cash
        (order((0, -1, 1), (1, 1, 1), net=3.0), "OPTION_RULES"),  # pays for what pays
        (order(*VERTICAL, net=-0.5), "OPTION_RULES"),  # wants to be paid for what costs
        (order((0, 1, 1)), "MALFORMED"),
        (order((0, 1, 1), (0, -1, 1)), "MALFORMED"),  # one series twice
        (order((0, 1, 2), (1, -1, 2)), "MALFORMED"),  # a common factor
        (order((0, 1, 1), (4, -1, 100)), "MALFORMED"),  # a share is no leg
        (order(*VERTICAL, units=0.5), "MALFORMED"),
        (order(*VERTICAL, net=3.215), "MALFORMED"),
        (order((0, 1, 1), (77, -1, 1)), "MALFORMED"),
        (order(*VERTICAL, tif="opg"), "MALFORMED"),
    ],
)  # fmt: skip
def test_the_gate_judges_the_whole(wish: Any, reason: str) -> None:
    """Every leg of what is refused says why; what passes fills or waits."""
    assert set(refusals(ran(market(3), {9: [wish]}))) == ({reason} if reason else set())


def test_what_is_tied_up_is_the_most_that_can_be_lost() -> None:
    """A vertical that may lose 10 - 3.00 wants 700 a unit, its mirror 321; what waits counts for the next."""
    for legs, net, cash, passes in (
        (((0, -1, 1), (1, 1, 1)), -3.0, 7000.0, True),
        (((0, -1, 1), (1, 1, 1)), -3.0, 6999.0, False),
        (VERTICAL, 3.21, 3210.0, True),
        (VERTICAL, 3.21, 3209.0, False),
    ):
        got = ran(market(3), {9: [order(*legs, units=10, net=net)]}, cash=cash)
        assert refusals(got) == ([] if passes else ["CASH_RESERVE"] * 2)
    two = ran(market(3), {9: [order(*VERTICAL, net=3.0), order(*VERTICAL, net=3.0)]}, cash=500.0)
    assert refusals(two) == ["CASH_RESERVE"] * 2


def test_a_spread_that_waits_takes_no_cover_and_gives_none() -> None:
    """A second one passes beside it; a call alone is as naked as without it."""
    sale = lambda view: view.multi_leg([(0, -1, 1), (1, 1, 1)], 1.0, -3.5)  # noqa: E731
    assert refusals(ran(market(3), {9: [sale, sale]})) == []
    assert refusals(ran(market(3), {9: [sale], 10: [(-1, 1.0, None, IOC)]})) == ["OPTION_RULES"]


def test_the_same_rows_in_every_cut_and_after_a_save() -> None:
    """Orders of legs under way, waiting, half filled and cancelled."""
    ticks = market(7, q3_1=(0, 220, 30), q4_1=(215, 220, 30), q5_1=(220, 230, 3))
    script = {9: [order(*VERTICAL, units=5, net=3.10), order((0, -1, 1), (1, 1, 1), units=2)], 27: [1]}
    whole = ran(ticks, script, latency=SLOW)
    assert {"filled", "canceled"} <= {a for a, _, _ in events(whole)}
    for cut in range(1, len(ticks)):
        trader, rows = session(script, latency=SLOW), frame(ticks)
        first = trader.step(rows.slice(0, cut))
        trader.state = load(save(trader.state))
        trader._bind()
        again = joined([first, trader.step(rows.slice(cut, rows.rows)), trader.finish()])
        for a, b in zip(again, whole, strict=True):
            same(a, b, f"cut at {cut}")


CENTS = st.integers(1, 60)
SIDE = st.one_of(st.none(), st.tuples(CENTS, st.integers(1, 6)))
TICKS_OF = st.tuples(st.integers(0, 2), SIDE, SIDE)
COMBOS = st.builds(
    lambda sides, ratios, units, net, tif, n: (
        [(i, side, ratio) for i, (side, ratio) in enumerate(zip(sides, ratios, strict=True))][: n + 1], units, net, tif,
    ),
    st.lists(st.sampled_from([1, -1]), min_size=3, max_size=3), st.lists(st.integers(1, 2), min_size=3, max_size=3),
    st.integers(1, 6), st.one_of(st.none(), st.integers(-60, 60)), st.sampled_from(["gtc", "ioc", "fok"]),
    st.integers(1, 2),
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(TICKS_OF, COMBOS), min_size=4, max_size=40))
def test_the_exchange_fills_as_decimals_would(story: list[Any]) -> None:
    """Quotes and orders in any order: every unit, leg and price as by the definition."""
    made = Exchange(Instruments(TABLE[:3]), fill="conservative")
    venue = naive.Venue([Decimal(str(t)) for t in TRAVEL.tolist()])
    first: dict[int, int] = {}  # order id of any leg -> the order's number
    for n, (*what, last) in enumerate(story):
        if len(what) == 2:
            i, bid = what
            made.tick(frame([{"ts": OPEN + n, "i": i, "bid": bid, "ask": last}]))
            sides = [(Decimal(px) / 100, size) if px else (None, 0) for px, size in (bid or (0, 0), last or (0, 0))]
            venue.quote(i, (*sides[0], *sides[1]))
        else:
            legs, units, net = what
            limit = math.nan if net is None else net / 100
            ids = made.submit_legs([Leg(*leg) for leg in legs], float(units), limit, NAMES[last])
            first.update(dict.fromkeys(ids, n))
            venue.submit(n, naive.Combo(legs, units, None if net is None else Decimal(net) / 100, last))
    found = [(first[e.order_id], e.qty, e.px) for e in made.events() if e.action == FILLED]
    expected = []
    for number, units, prices in venue.fills:
        legs = story[number][0]
        expected += [(number, units * leg[2], float(px)) for leg, px in zip(legs, prices, strict=True)]
    assert [row[:2] for row in found] == [row[:2] for row in expected]
    assert [row[2] for row in found] == pytest.approx([row[2] for row in expected], abs=1e-9)


@pytest.mark.parametrize("fill", ["conservative", "alpaca-paper"])
def test_engine_and_venue_fill_legs_alike_on_real_quotes(fill: Any) -> None:
    """120 orders of two and three legs on SPXW's minutes: the backtest's rows are the venue's."""
    symbols = [f"SPXW210108{tail}" for tail in ("C03700000", "C03800000", "P03800000")]
    ticks = quoted("opt_1m_quote_lean_index.parquet", symbols)
    dice, script = np.random.default_rng(11), dict[int, Any]()
    quotes: dict[int, Any] = {}
    for row, tick in enumerate(ticks[:-1]):
        quotes[tick["i"]] = tick
        if len(quotes) == 3 and all(q["bid"] and q["ask"] for q in quotes.values()) and dice.random() < 0.12:
            legs = [(i, int(dice.choice([1, -1])), int(dice.integers(1, 3))) for i in range(int(dice.integers(2, 4)))]
            mid = sum(s * r * (quotes[i]["bid"][0] + quotes[i]["ask"][0]) / 2 for i, s, r in legs)
            net = None if dice.random() < 0.2 else round(mid + dice.uniform(-60, 120)) / 100
            tif = str(dice.choice(["gtc", "day", "ioc", "fok"]))
            script[row] = (legs, float(dice.integers(1, 12)), net, tif)
    wishes = {row: [order(*legs, units=units, net=net, tif=tif)] for row, (legs, units, net, tif) in script.items()}
    limits, table = unlimited(), tuple(map(option, symbols))
    got = ran(ticks, wishes, table=table, limits=limits, rules=Rules(fill), cash=1e12)
    names = ("ts_event", "action", "qty", "px", "leaves")
    rows = list(zip(*(got.orders[each].tolist() for each in names), strict=True))
    lived = [row for row in rows if ACCEPTED <= row[1] <= FILLED]
    refused = {ts for ts, action, *_ in rows if action == REFUSE}
    made, ticked = Exchange(Instruments(table), fill=fill), frame(ticks)
    for row, tick in enumerate(ticks):
        made.tick(ticked.slice(row, row + 1))
        if row in script and tick["ts"] not in refused:
            legs, units, net, tif = script[row]
            made.submit_legs([Leg(*leg) for leg in legs], units, math.nan if net is None else net, NAMES[tif])
    other = [(e.ts, e.action, e.qty, e.px, e.leaves) for e in made.events()]
    ends = {EXPIRED, CANCELED}  # the net of an end is told by the trader's row, the leg's own price by the venue's
    plain = [[(*row[:3], row[1] not in ends and str(row[3]), row[4]) for row in told] for told in (lived, other)]
    assert plain[0][: len(other)] == plain[1]
    assert sum(row[1] == FILLED for row in other) > 60


LIMITS = """position_limit = 10.0
gross_exposure = 10.0
cash_reserve = 0.0
daily_loss = 1.0
price_collar = 0.5
stale_data_s = 3600.0
order_rate_per_s = 200
max_open_orders = 200
allow_short = true
allow_naked_options = false
option_expiry_s = 3600
max_contracts = 1000
"""
EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "vertical"


def test_a_vertical_on_real_quotes_compiled_plain_and_verified(tmp_path: Path) -> None:
    """The example sells the 3700/3800 spread of SPXW and closes it: one story, both ways, and `gpi verify` says so."""
    chosen = [option("SPXW210108C03700000"), option("SPXW210108C03800000")]
    ticks = quoted("opt_1m_quote_lean_index.parquet", [one.symbol for one in chosen])
    source = tmp_path / "spxw.arrow"
    with open(source, "wb") as file, writing(file.fileno(), Instruments(chosen).on(TICKS)) as writer:
        writer.write(frame(ticks))
    (tmp_path / "risk.toml").write_text(LIMITS)
    told = []
    for named in ("vertical.py", "vertical_plain.py:Vertical"):
        run = tmp_path / named[:12]
        desk = f"backtest --strategy {EXAMPLE}/{named} --param keep=1.0 --limits {tmp_path}/risk.toml --out {run}"
        gpi("run", f"replay {source} | {desk}", check=0)
        assert b"identical" in gpi("verify", run, check=0).stderr
        told.append([columns(run / f"{name}.parquet") for name in ("orders", "fills")])
    for one, other in zip(*told, strict=True):
        assert {name: str(one[name].tolist()) for name in one} == {name: str(other[name].tolist()) for name in other}
    filled = told[0][1]
    assert filled["instrument_id"].tolist() == [0, 1, 0, 1] and filled["side"].tolist() == [-1, 1, 1, -1]
    first, _, last, _ = filled["parent"].tolist()
    assert filled["parent"].tolist() == [first, first, last, last] and 0 < first < last
    assert filled["position"].tolist() == [-1.0, 1.0, 0.0, 0.0]


def test_the_compiled_example_needs_no_python() -> None:
    """Its loop is generated, and its parameters are those of its plain twin."""
    fast, slow = (strategy_of(str(EXAMPLE / each)) for each in ("vertical.py", "vertical_plain.py:Vertical"))
    assert fast.run is not None and slow.run is None and dict(fast.values) == dict(slow.values)


def test_the_venue_fills_a_multi_leg_order_as_the_engine_would() -> None:
    """Over REST, 66 % of both spreads: 5.27 less 2.06; what waits is cancelled whole; a leg alone cannot be."""
    legs = [{"symbol": "AAPL300621C00190000", "side": "buy", "ratio_qty": "1"},
            {"symbol": "AAPL300621C00200000", "side": "sell", "ratio_qty": "1"}]  # fmt: skip
    body = {"symbol": None, "side": None, "order_class": "mleg", "legs": legs, "qty": 2, "type": "limit"}
    listed = (option("AAPL300621C00190000"), option("AAPL300621C00200000"))
    with venue_here(listed) as venue:
        venue.tick(listed[0].symbol, bid=[5.00, 50], ask=[5.40, 50])
        venue.tick(listed[1].symbol, bid=[2.00, 30], ask=[2.20, 30])
        assert venue.order(**body, limit_price=3.21).status_code == 200
        made = venue.order(**body, limit_price=3.20).json()
        orders = venue.call("GET", "/v2/orders", status="all", nested=True).json()
        filled = next(each for each in orders if each["limit_price"] == "3.21")
        assert filled["status"] == "filled" and filled["filled_avg_price"] == "3.21"
        assert [leg["filled_avg_price"] for leg in filled["legs"]] == ["5.27", "2.06"]
        waiting = venue.call("GET", f"/v2/orders/{made['id']}", nested=True).json()
        assert waiting["status"] == "new"
        assert venue.call("DELETE", f"/v2/orders/{waiting['legs'][0]['id']}").status_code == 422
        assert venue.call("DELETE", f"/v2/orders/{made['id']}").status_code == 204
        ended = venue.call("GET", f"/v2/orders/{made['id']}", nested=True).json()
        assert {ended["status"], *(leg["status"] for leg in ended["legs"])} == {"canceled"}
        venue.order(**body, limit_price=3.00)
        venue.tick(listed[1].symbol, bid=[2.30, 30], ask=[2.40, 30])
        held = {p["symbol"]: p["qty"] for p in venue.call("GET", "/v2/positions").json()}
        assert held == {legs[0]["symbol"]: "4", legs[1]["symbol"]: "-4"}


def test_an_ask_of_several_legs_is_one() -> None:
    """What a broker would be handed: the first leg's ids, units, the net, every leg with its own id."""
    trader = session({9: [order((0, -1, 1), (1, 1, 2), units=3, net=-1.25)]}, limits=unlimited(), latency=SLOW)
    trader.step(frame(market(2)))
    [request] = outside.requests(trader.state, trader.instruments)
    assert request[:10] == (1, OPEN + SECOND + 4000, 1, 0, LOW.symbol, 0, LIMIT, DAY, 3.0, -1.25)
    assert request.legs == ((1, 0, LOW.symbol, -1, 1), (2, 1, HIGH.symbol, 1, 2)) and request.parent == 0
