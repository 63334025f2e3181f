"""Fees: the schedules by date, and every fill charged to the cent as decimals would."""

from dataclasses import asdict, replace
from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpi.formats.errors import UsageError
from gpi.formats.market import fees as formats
from gpi.formats.market.fees import SCHEDULES, Fees
from gpi.formats.words import BUY, MAKER, SELL, TAKER
from gpi.tools.kernels.trader import fees as kernels
from tests.naive import fees as naive

DAYS = st.dates(date(2010, 1, 1), date(2027, 12, 31))
NAMES = st.sampled_from(sorted(SCHEDULES))
ROUNDINGS = st.sampled_from([formats.EXACT, formats.UP_EACH_FILL, formats.UP_EACH_DAY])
QTY = st.decimals("0.001", "250000", places=3)
PX = st.decimals("0.01", "5000", places=2)
FILLS = st.lists(st.tuples(st.booleans(), QTY, PX), min_size=1, max_size=12)


def charged(fees: Fees, side: int, liquidity: int, qty: float, notional: float) -> float:
    return kernels.charge(kernels.fees_record(asdict(fees))[0], side, liquidity, qty, notional)


@settings(deadline=None)
@given(NAMES, DAYS, ROUNDINGS, st.booleans(), st.booleans(), QTY, PX)
def test_a_fill_is_charged_as_decimals_would(
    name: str, day: date, rounding: int, sell: bool, maker: bool, qty: Decimal, px: Decimal
) -> None:
    """To the cent when rounded, to float precision when exact."""
    fees = replace(SCHEDULES[name].at(day), rounding=rounding)
    ours = charged(fees, SELL if sell else BUY, MAKER if maker else TAKER, float(qty), float(qty * px))
    twin = naive.charge(fees, sell, maker, qty, qty * px)
    assert ours == pytest.approx(float(twin), rel=1e-12, abs=1e-9)


@settings(deadline=None)
@given(st.sampled_from(["alpaca_equity", "alpaca_option", "alpaca_index_option"]), DAYS, FILLS)
def test_a_day_of_fills_costs_its_sums_rounded_up(
    name: str, day: date, fills: list[tuple[bool, Decimal, Decimal]]
) -> None:
    """After every fill, not only at the day's end; the next day starts afresh."""
    fees = SCHEDULES[name].at(day)
    record, tally = kernels.fees_record(asdict(fees))[0], np.zeros(1, kernels.TALLY)[0]
    for number in (7, 8):
        paid, seen = 0.0, []
        for sell, qty, px in fills:
            seen.append((sell, qty, qty * px))
            side = SELL if sell else BUY
            paid += kernels.accrue(record, tally, number, side, TAKER, float(qty), float(qty * px))
            assert paid == pytest.approx(float(naive.day(fees, seen)), abs=1e-7)


def test_the_words_of_the_kernel_are_those_of_the_format() -> None:
    """Kernels know only numbers: the names and codes are repeated, and compared here."""
    assert {*kernels.NAMES, "rounding"} == set(Fees.__slots__)
    assert (kernels.EXACT, kernels.UP_EACH_FILL, kernels.UP_EACH_DAY) == (
        formats.EXACT,
        formats.UP_EACH_FILL,
        formats.UP_EACH_DAY,
    )


def test_alpacas_own_example_of_rounding() -> None:
    """ "If the total is 0.00083, it will be rounded up to 0.01": five shares at 0.000166."""
    fees = replace(SCHEDULES["alpaca_equity"].at(date(2024, 7, 1)), sell_bps=0.0, rounding=formats.UP_EACH_FILL)
    assert charged(fees, SELL, TAKER, 5.0, 100.0) == 0.01
    assert charged(fees, BUY, TAKER, 5.0, 100.0) == 0.0


@pytest.mark.parametrize(
    ("day", "per_million", "taf", "cap"),
    [
        (date(2012, 6, 21), 22.40, 0.000095, 4.75),
        (date(2013, 10, 7), 17.40, 0.000119, 5.95),
        (date(2018, 5, 21), 23.10, 0.000119, 5.95),
        (date(2018, 5, 22), 13.00, 0.000119, 5.95),
        (date(2021, 2, 24), 22.10, 0.000119, 5.95),
        (date(2021, 2, 25), 5.10, 0.000119, 5.95),
        (date(2022, 12, 31), 22.90, 0.000130, 6.49),
        (date(2024, 7, 1), 27.80, 0.000166, 8.30),
        (date(2025, 7, 7), 0.00, 0.000166, 8.30),
        (date(2026, 4, 3), 0.00, 0.000195, 9.79),
        (date(2026, 4, 4), 20.60, 0.000195, 9.79),
    ],
)
def test_the_rates_of_a_day(day: date, per_million: float, taf: float, cap: float) -> None:
    """On the day a rate changes, and the day before."""
    fees = SCHEDULES["alpaca_equity"].at(day)
    assert (round(fees.sell_bps * 100, 9), fees.sell_per_share, fees.sell_cap) == (per_million, taf, cap)


def test_the_activity_fee_is_capped_per_fill() -> None:
    """50,000 shares reach 8.30 in 2024; a million cost no more."""
    fees = replace(SCHEDULES["alpaca_equity"].at(date(2024, 7, 1)), sell_bps=0.0, rounding=formats.EXACT)
    assert charged(fees, SELL, TAKER, 50_000.0, 1e6) == pytest.approx(8.30)
    assert charged(fees, SELL, TAKER, 1e6, 2e7) == pytest.approx(8.30)


SHARES, CONTRACTS = "alpaca_equity", "alpaca_option"
ROWS = [  # day, schedule, kind, quantity or proceeds, what was charged
    (date(2024, 12, 10), SHARES, "section_31", 15.37, 0.01),
    (date(2024, 12, 10), SHARES, "activity", 1.371115174, 0.01),
    (date(2026, 9, 8), SHARES, "section_31", 185271.37, 3.82),
    (date(2026, 9, 8), SHARES, "activity", 1572.0, 0.31),  # of 89 trades
    (date(2024, 6, 18), CONTRACTS, "levy", 6.0, 0.17),
    (date(2024, 6, 18), CONTRACTS, "clearing", 1.0, 0.02),
    (date(2026, 6, 25), CONTRACTS, "levy", 4.0, 0.11),
    (date(2026, 6, 25), CONTRACTS, "activity", 2.0, 0.01),
    (date(2026, 8, 10), CONTRACTS, "levy", 30.0, 0.45),
    (date(2026, 8, 10), CONTRACTS, "activity", 15.0, 0.05),
    (date(2026, 8, 10), CONTRACTS, "section_31", 1488.0, 0.04),
    (date(2026, 8, 10), CONTRACTS, "clearing", 3.0, 0.08),
    (date(2026, 8, 10), CONTRACTS, "clearing", 10.0, 0.25),
    (date(2026, 9, 23), CONTRACTS, "levy", 25.0, 0.38),
    (date(2026, 9, 23), CONTRACTS, "activity", 11.0, 0.04),
]


@pytest.mark.parametrize(("day", "schedule", "kind", "amount", "charged"), ROWS)
def test_alpacas_books_show_these_rows(day: date, schedule: str, kind: str, amount: float, charged: float) -> None:
    """FEE activities of live and paper accounts ("TAF fee for proceed of 1572 shares"), as published."""
    record = kernels.fees_record(asdict(SCHEDULES[schedule].at(day)))[0]
    order = ("levy", "section_31", "activity", "audit", "clearing")
    found = kernels.levies(record, SELL, amount, amount)[order.index(kind)]
    assert kernels.cents_up(found) == charged


def test_an_option_sale_in_numbers() -> None:
    """Ten contracts sold at 2.50 in July 2024: ORF, section 31 of 2,500 dollars, TAF and OCC per contract."""
    fees = SCHEDULES["alpaca_option"].at(date(2024, 7, 1))
    exact = 10 * 0.02685 + 2500 * 27.8e-6 + 10 * 0.00279 + 10 * 0.02
    assert charged(replace(fees, rounding=formats.EXACT), SELL, TAKER, 10.0, 2500.0) == pytest.approx(exact)
    per_fill = replace(fees, rounding=formats.UP_EACH_FILL)
    assert charged(per_fill, SELL, TAKER, 10.0, 2500.0) == pytest.approx(0.27 + 0.07 + 0.03 + 0.20)
    index = replace(SCHEDULES["alpaca_index_option"].at(date(2024, 7, 1)), rounding=formats.EXACT)
    assert charged(index, SELL, TAKER, 10.0, 2500.0) == pytest.approx(exact - 2500 * 27.8e-6)
    assert charged(replace(fees, rounding=formats.EXACT), BUY, TAKER, 5000.0, 0.0) == pytest.approx(5000 * 0.02685 + 55)


@pytest.mark.parametrize(
    ("volume", "maker", "taker"),
    [(0.0, 15, 25), (99_999.99, 15, 25), (100_000.0, 12, 22), (1e6, 8, 18), (2e7, 5, 15), (1e9, 0, 10)],
)
def test_crypto_tiers_follow_the_volume_of_thirty_days(volume: float, maker: float, taker: float) -> None:
    """Alpaca's table of March 2023."""
    fees = SCHEDULES["alpaca_crypto"].at(date(2024, 8, 8), volume)
    assert (fees.maker_bps, fees.taker_bps) == (maker, taker)
    assert charged(fees, BUY, TAKER, 0.5, 30_000.0) == pytest.approx(30_000 * taker * 1e-4)
    assert SCHEDULES["alpaca_crypto"].at(date(2023, 3, 12)).maker_bps == 25.0


def test_every_table_is_in_order_and_every_rate_a_rate() -> None:
    """Dates strictly increase; rates are not negative; tiers fall with volume."""
    for table in (formats.SEC_PER_MILLION, formats.TAF, formats.CAT, formats.ALPACA_CRYPTO_TIERS):
        days = [row[0] for row in table]
        assert days == sorted(set(days))
    assert min(rate for _, rate in formats.SEC_PER_MILLION) == 0.0
    for _, tiers in formats.ALPACA_CRYPTO_TIERS:
        assert [row[0] for row in tiers] == sorted({row[0] for row in tiers})
        assert [row[2] for row in tiers] == sorted((row[2] for row in tiers), reverse=True)


@given(NAMES, DAYS)
def test_a_schedule_holds_until_the_day_it_changes(name: str, day: date) -> None:
    """Fees are values: equal from one change to the next; zero is free on every day."""
    today, tomorrow = SCHEDULES[name].at(day), SCHEDULES[name].at(day + timedelta(1))
    changes = {row[0] for table in (formats.SEC_PER_MILLION, formats.TAF, formats.CAT) for row in table}
    changes |= {row[0] for row in formats.ALPACA_CRYPTO_TIERS}
    assert today == tomorrow or day + timedelta(1) in changes
    assert SCHEDULES["zero"].at(day) == Fees()


@pytest.mark.parametrize("wrong", [{"sell_cap": -1.0}, {"maker_bps": float("nan")}, {"rounding": 3}])
def test_fees_that_cannot_be_are_refused(wrong: dict[str, float]) -> None:
    """A negative cap, a rate that is no number, a rounding nobody does."""
    with pytest.raises(UsageError):
        Fees(**wrong)  # type: ignore[arg-type]
