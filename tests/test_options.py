"""Options: fills inside real quotes, all legs or none, and expiries to the cent."""

from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpi.formats.market.calendar import day_of
from gpi.formats.market.settlement import ending, open_until, settlement
from gpi.tools.kernels.exchange import options
from gpi.tools.kernels.exchange.options import CALL, CONTRACT, PUT, TRAVEL
from tests.data import shared
from tests.naive import options as naive

SETTINGS = settings(deadline=None)
CENTS = st.integers(1, 60_000).map(lambda n: Decimal(n) / 100)
SIDES = st.one_of(st.none(), CENTS)
LEGS = st.lists(
    st.builds(naive.Leg, st.sampled_from([1, -1]), st.integers(1, 3), SIDES, SIDES, st.integers(0, 40)),
    min_size=1,
    max_size=5,
)
NAN = float("nan")
MINUTE = 60 * 10**9
Quotes = dict[tuple[date, float, str], tuple[float, float, float, float]]


def number(px: Decimal | None) -> float:
    return NAN if px is None else float(px)


def filled(
    legs: list[naive.Leg], qty: int, limit: Decimal | None, tick: float = 0.01
) -> tuple[float, float, list[float]]:
    """The kernel's answer: units, net, prices."""
    prices = np.full(len(legs), np.nan)
    units, net = options.fill_order(
        np.array([leg.side for leg in legs]),
        np.array([leg.ratio for leg in legs]),
        np.array([number(leg.bid) for leg in legs]),
        np.array([number(leg.ask) for leg in legs]),
        np.array([float(leg.size) for leg in legs]),
        float(qty),
        number(limit),
        TRAVEL,
        np.full(len(legs), tick),
        prices,
    )
    return units, net, prices.tolist()


def contract(right: int, strike: float, *, american: bool = True, physical: bool = True) -> np.record:
    """One CONTRACT record of 100 shares."""
    made = np.zeros(1, CONTRACT)
    c = made[0]
    c.right, c.strike, c.multiplier, c.american, c.physical = right, strike, 100.0, int(american), int(physical)
    return c


@SETTINGS
@given(LEGS, st.integers(1, 50), st.one_of(st.none(), st.integers(-60_000, 60_000).map(lambda n: Decimal(n) / 100)))
def test_an_order_fills_as_decimals_would(legs: list[naive.Leg], qty: int, limit: Decimal | None) -> None:
    """Units and every leg's price, on any quotes: absent, crossed, one-sided."""
    units, net, prices = filled(legs, qty, limit)
    expected, told = naive.fill_order(legs, qty, limit, [Decimal(repr(t)) for t in TRAVEL.tolist()], Decimal("0.01"))
    assert units == expected
    if expected:
        assert prices == pytest.approx([float(px) for px in told], abs=1e-9)
        assert net == pytest.approx(sum(leg.side * leg.ratio * float(px) for leg, px in zip(legs, told, strict=True)))
    else:
        assert np.isnan(net)


@SETTINGS
@given(LEGS, st.integers(1, 50))
def test_no_leg_trades_outside_its_quote_and_none_without_one(legs: list[naive.Leg], qty: int) -> None:
    """What is taken stands there; better than the touch only where both sides are quoted."""
    units, _, prices = filled(legs, qty, None)
    for leg, px in zip(legs, prices, strict=True):
        taken = leg.ask if leg.side > 0 else leg.bid
        if taken is None:
            assert units == 0
        elif units and leg.bid is not None and leg.ask is not None:
            assert float(leg.bid) <= px <= float(leg.ask)
            assert leg.side * (px - float(taken)) <= 1e-12


def test_more_legs_pay_less_of_the_spread() -> None:
    """The four figures of the assumption, on a spread of one dollar: 75, 66, 56 and 53 cents."""
    leg = naive.Leg(1, 1, Decimal("2.00"), Decimal("3.00"), 10)
    for n, cents in ((1, 75), (2, 66), (3, 56), (4, 53), (5, 53)):
        assert filled([leg] * n, 1, None)[2] == pytest.approx([2.0 + cents / 100] * n)
    assert filled([leg._replace(side=-1)], 1, None)[2] == pytest.approx([2.25])


def test_a_limit_is_the_net_of_all_legs() -> None:
    """A vertical of 1.32 debit fills at 1.32 and not at 1.31; its mirror for a credit of 0.68."""
    legs = [
        naive.Leg(1, 1, Decimal("5.00"), Decimal("5.50"), 10),
        naive.Leg(-1, 1, Decimal("4.00"), Decimal("4.50"), 10),
    ]
    assert filled(legs, 3, Decimal("1.16"))[:2] == (3.0, pytest.approx(1.16))
    assert filled(legs, 3, Decimal("1.15"))[0] == 0.0
    mirror = [leg._replace(side=-leg.side) for leg in legs]
    assert filled(mirror, 3, Decimal("-0.84"))[:2] == (3.0, pytest.approx(-0.84))
    assert filled(mirror, 3, Decimal("-0.85"))[0] == 0.0


@SETTINGS
@given(st.booleans(), st.booleans(), CENTS, st.integers(-20, 20), CENTS)
def test_an_expiry_settles_as_decimals_would(
    call: bool, physical: bool, strike: Decimal, position: int, px: Decimal
) -> None:
    """Cash and shares to the cent; what a holder gains the writer pays."""
    made = contract(CALL if call else PUT, float(strike), physical=physical)
    cash, shares = options.expire(made, float(position), float(abs(position)), float(px))
    expected = naive.expire(call, physical, strike, 100, position, px)
    assert (round(cash, 6), shares) == (pytest.approx(float(expected[0]), abs=1e-6), expected[1])
    against = options.expire(made, float(-position), float(abs(position)), float(px))
    assert (cash + against[0], shares + against[1]) == (0.0, 0.0)
    worth = cash + shares * float(px)
    intrinsic = float(max(Decimal(0), px - strike if call else strike - px))
    assert worth == pytest.approx(position * 100 * intrinsic, abs=1e-6)


def test_a_writer_delivers_what_was_assigned_and_no_more() -> None:
    """Ten calls short at 50, three assigned: 300 shares leave at 50 each; puts bring shares; cash settles all ten."""
    call, put = contract(CALL, 50.0), contract(PUT, 50.0)
    assert options.expire(call, -10.0, 3.0, 60.0) == (15_000.0, -300.0)
    assert options.expire(put, -10.0, 3.0, 40.0) == (-15_000.0, 300.0)
    assert options.expire(call, -10.0, 12.0, 60.0)[1] == -1000.0
    assert options.expire(call, 10.0, 0.0, 60.0) == (-50_000.0, 1000.0)
    assert options.expire(contract(CALL, 50.0, physical=False), -10.0, 3.0, 60.0) == (-10_000.0, 0.0)


def test_a_size_that_is_not_known_is_no_size() -> None:
    """NaN displays nothing; infinity means that the size is not looked at."""
    for size, expected in ((NAN, 0.0), (0.0, 0.0), (1.0, 0.0), (5.0, 2.0), (np.inf, 9.0)):
        prices = np.zeros(1)
        units, _ = options.fill_order(
            np.array([1]),
            np.array([2]),
            np.array([1.0]),
            np.array([2.0]),
            np.array([size]),
            9.0,
            NAN,
            TRAVEL,
            np.array([0.01]),
            prices,
        )
        assert units == expected


@pytest.mark.parametrize(
    ("right", "px", "shares"),
    [(CALL, 100.0, 0), (CALL, 100.009, 0), (CALL, 100.01, 100), (PUT, 99.99, -100), (PUT, 99.995, 0)],
)
def test_a_cent_in_the_money_is_exercised(right: int, px: float, shares: int) -> None:
    """OCC's threshold, from both sides."""
    assert options.expire(contract(right, 100.0), 1.0, 0.0, px)[1] == shares


def test_assignment_is_a_fair_draw_without_replacement() -> None:
    """All where all exercise, none where none do, in proportion between, and the same again for the same number."""
    assert options.assigned_of(7, 100, 100, 3, 1) == 7
    assert options.assigned_of(7, 100, 0, 3, 1) == 0
    assert options.assigned_of(100, 100, 37, 3, 1) == 37
    drawn = np.array([options.assigned_of(20, 200, 50, 3, n) for n in range(4000)])
    assert drawn.mean() == pytest.approx(5.0, abs=0.12)
    assert drawn.var() == pytest.approx(20 * 0.25 * 0.75 * 180 / 199, rel=0.08)
    assert [options.assigned_of(20, 200, 50, 3, n) for n in range(50)] == drawn[:50].tolist()


def test_calls_are_called_away_before_a_dividend_worth_more_than_their_time_value() -> None:
    """Deep in the money before 0.80: assigned; too much time value, European, a put, or switched off: not."""
    deep = contract(CALL, 80.0)
    assert options.early_assigned(deep, 10, 100.0, 20.30, 0.80, 1.0, 5, 1) == 10
    assert options.early_assigned(deep, 10, 100.0, 21.00, 0.80, 1.0, 5, 1) == 0
    assert options.early_assigned(deep, 10, 100.0, 20.30, 0.80, 0.0, 5, 1) == 0
    assert options.early_assigned(contract(CALL, 80.0, american=False), 10, 100.0, 20.3, 0.8, 1.0, 5, 1) == 0
    assert options.early_assigned(contract(PUT, 120.0), 10, 100.0, 20.3, 0.8, 1.0, 5, 1) == 0
    some = [options.early_assigned(deep, 10, 100.0, 20.30, 0.80, 0.3, 5, n) for n in range(500)]
    assert np.mean(some) == pytest.approx(3.0, abs=0.25)


def quotes(name: str, root: str, minute: datetime) -> Quotes:
    """(bid, ask, bid size, ask size) at the end of a minute, by (expiry, strike, right)."""
    table = pq.read_table(shared(name))
    rows = table.filter(pc.and_(pc.equal(table["root"], root), pc.equal(table["ts"], minute))).to_pylist()
    return {
        (r["expiry"], r["strike"], r["right"]): (
            r["bid_close"] or NAN, r["ask_close"] or NAN, float(r["bid_size"]), float(r["ask_size"])
        )
        for r in rows
    }  # fmt: skip


def minute(text: str) -> datetime:
    """A minute of New York's wall clock, in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("America/New_York")).astimezone(ZoneInfo("UTC"))


def trade(found: Quotes, legs: list[tuple[int, date, float, str]]) -> list[float]:
    """Prices of a market order over real quotes."""
    rows = [found[key] for _, *rest in legs for key in [tuple(rest)]]
    prices = np.full(len(legs), np.nan)
    sides = np.array([leg[0] for leg in legs])
    units, net = options.fill_order(
        sides, np.ones(len(legs), np.int64), np.array([r[0] for r in rows]), np.array([r[1] for r in rows]),
        np.full(len(legs), np.inf), 1.0, NAN, TRAVEL, np.full(len(legs), 0.01), prices,
    )  # fmt: skip
    assert units == 1.0 and net == pytest.approx((sides * prices).sum())
    for side, px, (bid, ask, *_) in zip(sides, prices, rows, strict=True):
        assert bid <= px <= ask and side * (px - (bid + ask) / 2) >= -1e-9
    return prices.tolist()


def test_spxw_of_one_day_from_the_morning_quote_to_cash() -> None:
    """4 January 2021: the 3700 straddle bought in the morning and settled on the index's close, to the cent.

    The synthetic forward bought and the opposite sold straddle the index: what two spreads cost, nothing else.
    """
    day = date(2021, 1, 4)
    found = quotes("opt_1m_quote_lean_index.parquet", "SPXW", minute("2021-01-04T10:00"))
    index = pq.read_table(shared("idx_1m_SPX_lean.parquet")).to_pylist()
    spot = next(r["close"] for r in index if r["ts"] == minute("2021-01-04T10:00"))
    last = max((r for r in index if r["ts"] <= minute("2021-01-04T15:59")), key=lambda r: r["ts"])["close"]
    call, put = (day, 3700.0, "C"), (day, 3700.0, "P")
    long = trade(found, [(1, *call), (-1, *put)])
    short = trade(found, [(-1, *call), (1, *put)])
    buying, selling = 3700 + long[0] - long[1], 3700 + short[0] - short[1]
    width = (found[call][1] - found[call][0]) + (found[put][1] - found[put][0])
    assert selling < spot + 2.0 and buying > spot - 2.0 and 0.0 < buying - selling < width

    paid = trade(found, [(1, *call), (1, *put)])
    start, cash = Decimal("100000"), 100_000.0
    cash -= 100.0 * sum(paid)
    for right, key in ((CALL, call), (PUT, put)):
        got, shares = options.expire(contract(right, key[1], american=False, physical=False), 1.0, 0.0, last)
        assert shares == 0.0
        cash += got
    worth = abs(Decimal(f"{last:.2f}") - 3700) * 100
    assert Decimal(f"{cash:.2f}") == start - sum(Decimal(f"{px:.2f}") for px in paid) * 100 + worth


def test_twx_iron_condor_delivered_to_the_cent() -> None:
    """5 June 2014, expiry 21 June: four legs fill inside their quotes; any close leaves cash and shares that add up."""
    expiry = date(2014, 6, 21)
    found = quotes("opt_1m_quote_lean.parquet", "TWX", minute("2014-06-05T11:00"))
    strikes = sorted({strike for e, strike, _ in found if e == expiry})
    near = [k for k in strikes if all(found.get((expiry, k, r), (NAN,))[0] > 0 for r in "CP")]
    low, high = near[len(near) // 2 - 1], near[len(near) // 2]
    legs = [(-1, expiry, low, "P"), (-1, expiry, high, "C"), (1, expiry, near[0], "P"), (1, expiry, near[-1], "C")]
    prices = trade(found, legs)
    for close in (near[0] - 5.0, low - 0.01, (low + high) / 2, high + 3.21, near[-1] + 4.0):
        cash, shares, worth = Decimal(0), 0, Decimal(0)
        for (side, _, strike, right), px in zip(legs, prices, strict=True):
            cash -= side * Decimal(f"{px:.2f}") * 100
            got, moved = options.expire(contract(CALL if right == "C" else PUT, strike), float(side), 1.0, close)
            cash += Decimal(f"{got:.2f}")
            shares += int(moved)
            gap = Decimal(f"{close - strike:.4f}") * (1 if right == "C" else -1)
            worth += side * (gap if gap >= Decimal("0.01") else 0) * 100 - side * Decimal(f"{px:.2f}") * 100
        assert cash + shares * Decimal(f"{close:.4f}") == worth


def test_an_option_ends_when_its_root_says() -> None:
    """The third Friday of January 2021: SPX at the open, SPXW at the close; LEAN's quotes stop at those minutes."""
    third = date(2021, 1, 15)
    am, pm = ending("SPX", third), ending("SPXW", third)
    assert am.last_trade == int(minute("2021-01-14T16:15").timestamp()) * 10**9
    assert am.settled == int(minute("2021-01-15T09:30").timestamp()) * 10**9
    assert pm.last_trade == pm.settled == int(minute("2021-01-15T16:00").timestamp()) * 10**9
    assert settlement("TWX") == settlement("AAPL") and settlement("TWX").physical and settlement("TWX").american
    assert not settlement("SPXW").american and not settlement("OEX").physical and settlement("OEX").american
    table = pq.read_table(shared("opt_1m_quote_lean_index.parquet"), columns=["root", "expiry", "ts"])
    for expiry in (date(2021, 1, 4), date(2021, 1, 6), date(2021, 1, 8)):
        rows = table.filter(pc.and_(pc.equal(table["root"], "SPXW"), pc.equal(table["expiry"], expiry)))
        stop = pc.max(rows["ts"]).as_py()
        assert int(stop.timestamp()) * 10**9 + 60 * 10**9 == ending("SPXW", expiry).last_trade


def test_a_saturday_expiry_ends_on_friday() -> None:
    """Until 2015 monthly options expired on a Saturday; Good Friday 2019 moves to Thursday."""
    assert ending("TWX", date(2014, 6, 21)).settled == int(minute("2014-06-20T16:00").timestamp()) * 10**9
    assert ending("AAPL", date(2019, 4, 19)).settled == int(minute("2019-04-18T16:00").timestamp()) * 10**9


def test_quotes_stop_when_trading_ends() -> None:
    """Every SPX and SPXW contract on every day of LEAN's: the last minute quoted is the last one open, 16:15 or 16:00.

    A contract that nobody bids for may fall silent earlier, none later; TWX's stops with the shares.
    """
    for name, at_least in (("opt_1m_quote_lean_index.parquet", 50), ("opt_1m_quote_lean.parquet", 200)):
        table = pq.read_table(shared(name), columns=["root", "expiry", "strike", "right", "ts"])
        minutes = table["ts"].cast(pa.timestamp("ns", "UTC")).cast(pa.int64()).to_pylist()
        contracts = zip(*(table[n].to_pylist() for n in ("root", "expiry", "strike", "right")), strict=True)
        last: dict[tuple[date, tuple[str, date, float, str]], int] = {}
        for each, ts in zip(contracts, minutes, strict=True):
            key = (day_of(ts), each)
            last[key] = max(last.get(key, 0), ts)
        exact = 0
        for (day, (root, expiry, *_)), ts in last.items():
            end = open_until(root, expiry, day)
            assert end is not None and ts <= end
            exact += ts in (end - MINUTE, end)
        assert exact >= at_least


def test_an_option_does_not_trade_before_a_holiday_is_over_or_after_its_end() -> None:
    """Nor an AM-settled one on the day it is settled; on early closes the index trades until 13:15."""
    assert open_until("AAPL", date(2024, 7, 19), date(2024, 7, 4)) is None
    assert open_until("AAPL", date(2024, 7, 19), date(2024, 7, 22)) is None
    assert open_until("SPX", date(2024, 7, 19), date(2024, 7, 19)) is None
    half = int(minute("2024-07-03T13:00").timestamp()) * 10**9
    assert open_until("AAPL", date(2024, 7, 19), date(2024, 7, 3)) == half
    assert open_until("SPX", date(2024, 7, 19), date(2024, 7, 3)) == half + 15 * MINUTE
