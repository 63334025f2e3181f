"""Delays by the words of `--latency`: constant, drawn, recorded; in order, repeatable, the same in every cut."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gpi.formats.errors import BadInput, UsageError
from gpi.formats.instruments import Instruments, equity
from gpi.formats.ipc import writing
from gpi.formats.ticks import TICKS
from gpi.formats.words import ACCEPTED, CANCEL, CANCELED, GTC, IOC, REASONS, SUBMIT
from gpi.tools.backtest.delays import Delays, Model, fitted, parsed
from gpi.tools.backtest.manifest import manifest_of
from gpi.tools.backtest.session import Session
from gpi.tools.backtest.setup import Rules
from gpi.tools.backtest.traded import Traded, joined
from tests.laws import same
from tests.shell import gpi
from tests.test_matching import at
from tests.trading import START, frame, setup, trade

DEEP: dict[str, Any] = {"bid": (100, 1000), "ask": (102, 1000)}
MS = 1_000_000


def test_constant_delays_are_told_in_words() -> None:
    """2ms is for orders, cancels and answers; what is left constant costs nothing; cancels can have their own."""
    assert fitted(parsed(["2ms"]), 0, 1, 1) == ((0, 2 * MS, 2 * MS), Delays())
    assert fitted(parsed(["order=500us", "feed=0.25ms", "response=1s"]), 0, 1, 1)[0] == (250_000, 500_000, 10**9)
    assert dict(fitted(parsed(["2ms", "cancel=5ms"]), 0, 1, 1)[1].models) == {"cancel": Model(floor_ns=5 * MS)}
    market = [at(n, **DEEP) for n in range(30)]
    slow = trade(market, {0: [(1, 5.0, 90, GTC)], 3: [1]}, delays=Delays(parsed(["cancel=5ms"])))
    assert [(a, ts - START) for a, ts in zip(*(slow.orders[n].tolist() for n in ("action", "ts_event")), strict=True)][
        -1
    ] == (CANCELED, 8 * MS)
    for wrong in (
        "2",
        "lognormal:median=1ms",
        "lognormal:floor=2ms,median=1ms,sigma=1",
        "lognormal:median=1ms,sigma=x",
    ):
        with pytest.raises((UsageError, BadInput), match="lognormal:floor=1ms"):
            parsed([wrong])


def drawn(count: int, words: list[str], **changes: Any) -> Traded:
    """So many orders, each cancelled, on ticks a tenth of a second apart, with delays by their words."""
    market = [{**at(0, **DEEP), "ts": START + n * 100 * MS} for n in range(3 * count + 3)]
    script: dict[int, list[Any]] = {}
    for n in range(count):
        script[3 * n], script[3 * n + 1] = [(1, 5.0, 90, GTC)], [n + 1]
    return trade(market, script, delays=fitted(parsed(words), 0, 0, 0)[1], **changes)


def test_lognormal_delays_have_their_median_and_quantiles_are_those_of_the_sample(tmp_path: Path) -> None:
    """600 orders: acknowledged after twice the median in the middle, never below the floors, the same for one seed."""
    got = drawn(600, ["lognormal:floor=1ms,median=2ms,sigma=0.5"])
    for sent, told in ((SUBMIT, ACCEPTED), (CANCEL, CANCELED)):
        took = [np.sort(got.orders["ts_event"][got.orders["action"] == each]) for each in (sent, told)]
        trip = (took[1] - took[0][: len(took[1])]) / MS
        assert trip.min() > 2.0 and np.median(trip) == pytest.approx(4.2, abs=0.2)  # the sum of two is a bit more
    assert len(np.unique(trip)) > 500
    np.testing.assert_array_equal(
        got.orders["ts_event"], drawn(600, ["lognormal:floor=1ms,median=2ms,sigma=0.5"]).orders["ts_event"]
    )
    other = drawn(600, ["lognormal:floor=1ms,median=2ms,sigma=0.5"], seed=1)
    assert (other.orders["ts_event"] != got.orders["ts_event"]).any()
    sample = np.array([1, 2, 3, 4, 100]) * MS
    pq.write_table(
        pa.table({"ts": np.arange(5), "order_ns": sample[::-1], "response_ns": sample}), tmp_path / "trips.parquet"
    )
    tail = drawn(600, [f"order=quantiles:{tmp_path}/trips.parquet", "cancel=1ms"])
    took = [tail.orders["ts_event"][tail.orders["action"] == each] for each in (SUBMIT, ACCEPTED)]
    trip = (took[1] - took[0]) / MS
    assert np.median(trip) == pytest.approx(3.0, abs=0.3) and 1.0 <= trip.min() and 60 < trip.max() <= 100.0


@pytest.mark.parametrize(
    "words", [["lognormal:floor=1ms,median=20ms,sigma=1", "feed=lognormal:floor=0ms,median=150ms,sigma=1"]]
)
def test_drawn_delays_are_the_same_in_every_cut_and_after_a_save(words: list[str]) -> None:
    """Also those of the feed, which then arrives in order, later than it was made; rows never go back in time."""
    words = ["lognormal:floor=1ms,median=20ms,sigma=1", "feed=lognormal:floor=0ms,median=150ms,sigma=1"]
    models = fitted(parsed(words), 0, 0, 0)[1]
    market = [{**at(0, **DEEP), "ts": START + n * 100 * MS} for n in range(40)]
    script = {n: [(1, 5.0, 102 - n % 3, GTC)] for n in range(0, 30, 4)} | {n: [n // 4] for n in range(5, 30, 4)}
    whole = trade(market, script, delays=models, seed=5)
    assert (np.diff(whole.orders["ts_event"]) >= 0).all() and whole.fills.rows > 1
    sent = whole.orders["ts_event"][whole.orders["action"] == SUBMIT]
    assert ((sent - START) % (100 * MS) > 0).all()
    for cut in (1, 7, 8, 21, 39):
        ticks = frame(market)
        session = Session(ticks.layout.schema, setup(script, delays=models, seed=5))
        first = session.step(ticks.slice(0, cut))
        session.load(session.save())
        again = joined([first, session.step(ticks.slice(cut, ticks.rows)), session.finish()])
        for one, other in zip(again, whole, strict=True):
            same(one, other, f"cut at {cut}")


def test_what_nobody_lends_is_not_sold_short() -> None:
    """By symbol: the short is refused, the long and its sale are not; a symbol that is not there is an error."""
    market, table = [at(n, **DEEP) for n in range(9)], Instruments([equity("AAPL")])
    script = {1: [(-1, 5.0, None, IOC), (1, 5.0, None, IOC)], 5: [(-1, 5.0, None, IOC)]}
    chosen = setup(script, rules=Rules(unlent=("AAPL",)))
    session = Session(table.on(TICKS), replace(chosen, terms=None))
    got = joined([session.step(frame(market)), session.finish()])
    assert [REASONS[r] for r in got.orders["reason"] if r] == ["SHORT_LOCATE"] and got.fills.rows == 2
    with pytest.raises(UsageError, match="--unshortable MSFT"):
        Session(table.on(TICKS), setup(script, rules=Rules(unlent=("MSFT",))))


def test_the_manifest_keeps_the_delays_and_verify_repeats_them(tmp_path: Path) -> None:
    """A run with drawn orders, recorded cancels and a drawn feed: identical; with another recording, refused."""
    source, trips, run = tmp_path / "day.arrow", tmp_path / "trips.parquet", tmp_path / "run"
    with open(source, "wb") as file, writing(file.fileno(), Instruments([equity("AAPL")]).on(TICKS)) as writer:
        writer.write(frame([at(n * 50, **{**DEEP, "bid": (100 - n % 3, 1000)}) for n in range(400)]))
    pq.write_table(pa.table({"ts": [START], "order_ns": [MS], "cancel_ns": [7 * MS], "response_ns": [MS]}), trips)
    delays = f"--latency lognormal:floor=1ms,median=30ms,sigma=1 --latency cancel={trips}"
    delays += " --latency feed=lognormal:median=9ms,sigma=1"
    desk = f"backtest --strategy market_making {delays} --unshortable AAPL --out {run}"
    gpi("run", f"replay {source} | {desk}", check=0)
    told = manifest_of(run)["setup"]
    assert {which: model["kind"] for which, model in told["delays"].items()} == {
        "order": "lognormal", "response": "lognormal", "cancel": "recorded", "feed": "lognormal",
    }  # fmt: skip
    assert told["rules"]["unlent"] == ["AAPL"] and told["rules"]["unshortable"] == [0]
    assert b"identical" in gpi("verify", run, check=0).stderr
