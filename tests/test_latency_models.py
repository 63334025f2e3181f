"""Delays: drawn by number and not by call order, interpolated as recorded, arriving in order."""

from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpi.tools.kernels.exchange import latency
from gpi.tools.kernels.exchange.latency import ENTRY, RESPONSE, Model, delay

MS = 1_000_000
START = 1_723_161_240_000_000_000
SETTINGS = settings(deadline=None)
NUMBERS = st.lists(st.integers(1, 10_000), min_size=1, max_size=40)
SEEDS = st.integers(0, 2**62)


def models(seed: int = 7) -> dict[str, Model]:
    """One of each kind."""
    sample = np.sort(np.random.default_rng(5).integers(MS, 9 * MS, 200))
    asked = START + np.arange(50) * 20 * MS
    there = asked + np.random.default_rng(6).integers(MS, 3 * MS, 50)
    return {
        "constant": latency.constant(MS, 2 * MS),
        "lognormal": latency.lognormal((MS // 2, MS // 4), (MS, MS / 2), (0.6, 0.4), seed),
        "quantiles": latency.quantiles(sample, sample // 2, seed),
        "recorded": latency.recorded(asked, there, there + MS),
    }


def splitmix(state: int, outputs: int) -> list[int]:
    """The published generator in Python's integers."""
    mask, made = 2**64 - 1, []
    for _ in range(outputs):
        state = (state + 0x9E3779B97F4A7C15) & mask
        z = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        made.append(z ^ (z >> 31))
    return made


@SETTINGS
@given(st.integers(0, 2**64 - 1))
def test_the_mixer_is_splitmix64(state: int) -> None:
    """Bit for bit; 1234567 gives the reference output that Vigna's code prints."""
    assert int(latency.mixed(np.uint64(state))) == splitmix(state, 1)[0]
    assert splitmix(1234567, 2) == [6457827717110365317, 3203168211198807973]


@SETTINGS
@given(st.sampled_from(sorted(models())), SEEDS, NUMBERS, st.randoms(use_true_random=False))
def test_a_delay_does_not_depend_on_what_was_asked_before(kind: str, seed: int, numbers: list[int], random) -> None:  # type: ignore[no-untyped-def]
    """Law 1: the same numbers in any order, with anything in between, give the same delays."""
    model, table = models(seed)[kind]
    first = {
        n: (delay(model, table, ENTRY, START + n, n), delay(model, table, RESPONSE, START + n, n)) for n in numbers
    }
    random.shuffle(numbers)
    again = {
        n: (delay(model, table, ENTRY, START + n, n), delay(model, table, RESPONSE, START + n, n)) for n in numbers
    }
    assert first == again
    assert min(min(pair) for pair in first.values()) >= 0


def test_the_normal_quantile_is_the_normal_quantile() -> None:
    """Against the standard library, far into both tails."""
    p = np.concatenate([np.linspace(1e-6, 1 - 1e-6, 4001), 10.0 ** -np.arange(7, 17)])
    ours = np.array([latency.normal_quantile(each) for each in p])
    theirs = np.array([NormalDist().inv_cdf(each) for each in p])
    np.testing.assert_allclose(ours, theirs, rtol=2e-7, atol=2e-7)


def test_draws_have_the_distribution_they_promise() -> None:
    """Medians and deciles of 20,000 draws; the legs and neighbouring numbers are not correlated."""
    model, table = models()["lognormal"]
    drawn = np.array([[delay(model, table, leg, START, n) for leg in (ENTRY, RESPONSE)] for n in range(1, 20_001)])
    z = NormalDist().inv_cdf(0.9)
    assert np.median(drawn, axis=0) == pytest.approx([1.5 * MS, 0.75 * MS], rel=0.02)
    expected = [MS / 2 + MS * np.exp(0.6 * z), MS / 4 + MS / 2 * np.exp(0.4 * z)]
    assert np.quantile(drawn, 0.9, axis=0) == pytest.approx(expected, rel=0.03)
    logs = np.log(drawn - [MS // 2, MS // 4] + 1.0)
    assert abs(np.corrcoef(logs.T)[0, 1]) < 0.03
    assert abs(np.corrcoef(logs[:-1, 0], logs[1:, 0])[0, 1]) < 0.03

    sample = np.sort(np.random.default_rng(5).integers(MS, 9 * MS, 200))
    model, table = models()["quantiles"]
    drawn = np.array([delay(model, table, ENTRY, START, n) for n in range(1, 20_001)])
    assert np.quantile(drawn, [0.1, 0.5, 0.9]) == pytest.approx(np.quantile(sample, [0.1, 0.5, 0.9]), rel=0.03)
    assert sample[0] <= drawn.min() and drawn.max() <= sample[-1]


@SETTINGS
@given(st.integers(-100 * MS, 1100 * MS), st.sampled_from([ENTRY, RESPONSE]))
def test_recorded_delays_are_interpolated_in_their_own_time(offset: int, leg: int) -> None:
    """Against numpy's interpolation; a round trip asked exactly again takes exactly as long."""
    model, table = models()["recorded"]
    ours = delay(model, table, leg, START + offset, 3)
    took = table[:, leg + 1] - table[:, leg]
    assert abs(ours - np.interp(float(offset), (table[:, leg] - START).astype(float), took)) <= 1.0
    for row in range(0, len(table), 7):
        assert delay(model, table, leg, int(table[row, leg]), 1) == took[row]


@SETTINGS
@given(st.sampled_from(sorted(models())), SEEDS, st.lists(st.integers(0, 5 * MS), min_size=1, max_size=60))
def test_messages_arrive_in_the_order_they_were_sent(kind: str, seed: int, gaps: list[int]) -> None:
    """A faster one waits for the one before it, and is never early."""
    model, table = models(seed)[kind]
    last, ts = 0, START
    for number, gap in enumerate(gaps, 1):
        ts += gap
        alone = ts + delay(model, table, ENTRY, ts, number)
        now = latency.arrival(model, table, ENTRY, ts, number, last)
        assert now == max(alone, last)
        last = now


def test_requests_arrive_where_hftbacktest_has_them() -> None:
    """Thirteen requests through hftbacktest 2.4.4 (intp_order_latency, one connection), to the nanosecond."""
    asked = np.array([0, 100, 130, 500, 900]) * MS
    there = asked + [2_000_003, 7_100_001, 1_000_000, 4_444_444, 3_000_000]
    model, table = latency.recorded(START + asked, START + there, START + there + MS)
    sent_and_there = [
        (-50_000_000, -47_999_997),
        (0, 2_000_003),
        (33_333_333, 37_033_335),
        (99_999_999, 107_099_999),
        (100_000_000, 107_100_001),
        (104_000_000, 110_286_668),
        (107_000_000, 112_676_668),
        (129_000_000, 130_203_334),
        (130_000_000, 131_000_000),
        (317_000_001, 319_740_841),
        (899_000_000, 902_003_612),
        (900_000_000, 903_000_000),
        (1_500_000_000, 1_503_000_000),
    ]
    last = 0
    for number, (sent, expected) in enumerate(sent_and_there, 1):
        last = latency.arrival(model, table, ENTRY, START + sent, number, last)
        assert last - START == expected


def test_a_table_of_one_row_is_a_constant() -> None:
    """Nothing to interpolate between."""
    one = np.array([START])
    model, table = latency.recorded(one, one + MS, one + 3 * MS)
    assert [delay(model, table, leg, START + 5, 9) for leg in (ENTRY, RESPONSE)] == [MS, 2 * MS]
    model, table = latency.quantiles(np.array([MS]), np.array([2 * MS]), 1)
    assert [delay(model, table, leg, START, 9) for leg in (ENTRY, RESPONSE)] == [MS, 2 * MS]


def test_delays_that_cannot_be_are_refused() -> None:
    """Negative, unsorted, backwards in time, empty."""
    up, down = np.array([1, 2]), np.array([2, 1])
    empty = np.zeros(0, np.int64)
    for wrong in (
        lambda: latency.constant(-1, 0),
        lambda: latency.quantiles(up, up, -1),
        lambda: latency.lognormal((0, 0), (0.0, 1.0), (1.0, 1.0), 0),
        lambda: latency.quantiles(down, up, 0),
        lambda: latency.recorded(up, up - 1, up),
        lambda: latency.recorded(down, down, down),
        lambda: latency.recorded(empty, empty, empty),
    ):
        with pytest.raises(ValueError):
            wrong()
