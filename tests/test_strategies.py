"""What is true of strategies: loading, parameters, the view, quotes, honest online learning."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from gpi.formats.errors import SchemaMismatch, UsageError
from gpi.formats.features import FEATURES
from gpi.formats.frame import Frame
from gpi.formats.words import BUY, CANCEL, QUOTE, SELL, SUBMIT
from gpi.tools.backtest.session import Session
from gpi.tools.backtest.setup import Latency, Setup, Terms
from gpi.tools.backtest.traded import Traded, joined
from gpi.tools.kernels.orders import INTENT, MARKET_VIEW, OPEN, VIEW, WORKING, record
from gpi.tools.strategies import market_making, momentum
from gpi.tools.strategies.loading import load, strategy
from gpi.tools.strategies.parameters import merged, parameters
from tests.laws import same, tick_frames
from tests.trading import START, frame, trade

EXAMPLES = Path(__file__).resolve().parents[1] / "examples" / "my_strategy"
MILLISECONDS = Latency(0, 1_000_000, 1_000_000)


def traded(ticks: Frame, named: str, **values: float) -> Traded:
    """What a strategy from the examples does with some ticks."""
    setup = Setup(load(str(EXAMPLES / named), values), latency=MILLISECONDS, terms=Terms(default=(0.0, 1.0, 1.0)))
    session = Session(ticks.layout.schema, setup)
    return joined([session.step(ticks), session.finish()])


@settings(max_examples=8, deadline=None)
@given(ticks=tick_frames(max_rows=60))
def test_the_plain_and_the_compiled_strategy_trade_alike(ticks: Frame) -> None:
    """The two examples give the same orders, fills and equity, bit for bit."""
    slow = traded(ticks, "follow.py:Follow", threshold=0.2, hold_s=1.0)
    fast = traded(ticks, "follow_fast.py", threshold=0.2, hold_s=1.0)
    for left, right in zip(slow, fast, strict=True):
        same(left, right, "plain equals compiled")


def test_an_unknown_strategy_or_parameter_is_told_the_nearest() -> None:
    """Errors name what was probably meant."""
    with pytest.raises(UsageError, match="no strategy file"):
        load("nowhere.py:Name")
    with pytest.raises(UsageError, match="did you mean 'Follow'"):
        load(str(EXAMPLES / "follow.py:Folow"))
    with pytest.raises(UsageError, match="did you mean 'threshold'"):
        load(str(EXAMPLES / "follow.py:Follow"), {"treshold": 1.0})
    with pytest.raises(UsageError, match="did you mean 'gamma'"):
        strategy(market_making, {"gama": 1.0}, "market_making")
    with pytest.raises(UsageError, match="not a number"):
        strategy(market_making, {"gamma": math.nan}, "market_making")
    with pytest.raises(UsageError, match="no strategy 'marketmaking'"):
        load("marketmaking")


def test_a_module_that_is_no_strategy_is_refused(tmp_path: Path) -> None:
    """A file without `decide`, a class without `on_tick`."""
    (tmp_path / "empty.py").write_text("class Nothing:\n    pass\n")
    for name in ("empty.py", "empty.py:Nothing"):
        with pytest.raises(UsageError):
            load(str(tmp_path / name))


def test_a_kernel_of_another_time_is_told_what_decide_takes(tmp_path: Path) -> None:
    """Not in the compiler's words."""
    file = tmp_path / "old.py"
    file.write_text("def decide(memory, params, view, features, outlook, orders, n_orders, intents):\n    return 0\n")
    with pytest.raises(UsageError, match="inputs, market"):
        load(str(file))


def test_parameters_are_written_name_equals_value() -> None:
    """Anything else is a usage error."""
    assert parameters(["gamma=0.1", "k = 2"]) == {"gamma": "0.1", "k": "2"}
    for wrong in ("gamma", "gamma=", "=3"):
        with pytest.raises(UsageError):
            parameters([wrong])


DEFAULTS = {"rate": 0.5, "count": 3, "on": False, "symbol": "SPY", "strikes": (1.0, 2.0), "legs": ("SPY", "QQQ")}


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"rate": "2"}, 2.0),
        ({"count": "7"}, 7),
        ({"count": 7.0}, 7),
        ({"on": "yes"}, True),
        ({"symbol": "MSFT"}, "MSFT"),
        ({"strikes": "3, 4.5,5"}, (3.0, 4.5, 5.0)),
        ({"strikes": [3, 4]}, (3.0, 4.0)),
        ({"legs": "IWM"}, ("IWM",)),
    ],
)
def test_a_parameter_is_what_its_default_is(given: dict[str, Any], found: Any) -> None:
    """From the command line as from Python and from a manifest; the others keep their defaults."""
    made = merged(DEFAULTS, given, "it")
    name = next(iter(given))
    assert made == {**DEFAULTS, name: found} and type(made[name]) is type(found)


@pytest.mark.parametrize(
    "given", [{"rate": "high"}, {"count": "2.5"}, {"on": "perhaps"}, {"strikes": "1,x"}, {"rat": 1}]
)
def test_a_parameter_that_cannot_be_is_refused(given: dict[str, Any]) -> None:
    """By name; an unknown one is told the nearest."""
    with pytest.raises(UsageError, match=next(iter(given))):
        merged(DEFAULTS, given, "it")


def test_a_missing_column_is_named_before_the_first_tick() -> None:
    """momentum needs the features."""
    ticks = frame([])
    with pytest.raises(SchemaMismatch, match="features"):
        Session(ticks.layout.schema, Setup(strategy(momentum, {}, "momentum")))


def quotes(**view: float) -> dict[int, float]:
    """The prices in ticks that market making asks for, by side, without orders standing."""
    v = np.zeros(1, VIEW)
    usual = {"kind": QUOTE, "phase": OPEN, "ts": START, "tick_size": 1.0, "multiplier": 1.0, "equity": 1e6}
    for name, value in {**usual, **view}.items():
        v[0][name] = value
    v[0].mid = 0.5 * (v[0].bid_px + v[0].ask_px)
    given = {"size_fraction": 0.001, "skew": 0.0, "gamma": 0.1, "k": 1.5, "tau_s": 1.0, "horizon_s": 1.0}
    made = strategy(market_making, given, "market_making")
    inputs = np.zeros(1, record("", "volatility", "direction", 3))
    inputs[0].volatility = 2.0 / v[0].mid * 1e4  # sigma = 2 ticks per second
    inputs["direction"] = np.nan
    intents, memory = np.zeros(8, INTENT), np.zeros(1, made.memory)
    arguments = (inputs, np.zeros(1, MARKET_VIEW), np.zeros(1, WORKING), 0, intents)
    n = made.begin()(memory, made.params, v, *arguments)
    return {int(intents[k].side): float(intents[k].px) for k in range(n)}


@pytest.mark.parametrize("held", [-3, 0, 2])
def test_quotes_stand_where_avellaneda_and_stoikov_put_them(held: int) -> None:
    """r = s - q gamma sigma^2 tau, half = gamma sigma^2 tau / 2 + ln(1 + gamma / k) / gamma, outward."""
    gamma, k, variance, mid = 0.1, 1.5, 4.0, 1000.0
    found = quotes(bid_px=995.0, ask_px=1005.0, position=held * 1.0)
    centre = mid - held * gamma * variance
    half = gamma * variance / 2 + math.log(1 + gamma / k) / gamma
    assert found == {BUY: math.floor(centre - half + 1e-9), SELL: math.ceil(centre + half - 1e-9)}


def test_quotes_never_cross_and_stop_at_the_inventory_limit() -> None:
    """In a one-tick market both stay outside; with too many orders held one side is silent."""
    assert quotes(bid_px=999.0, ask_px=1000.0, position=-7.0)[BUY] <= 999.0
    assert set(quotes(bid_px=995.0, ask_px=1005.0, position=8.0)) == {SELL}


def test_a_quote_keeps_its_place_while_it_is_near() -> None:
    """A tick of movement replaces nothing; many ticks replace both sides."""
    values = {"requote_ticks": 3.0, "size_fraction": 0.001, "gamma": 1e-6, "k": 0.1}
    made = strategy(market_making, values, "market_making")
    mids = [1000, 1001, 1002, 1050]
    market = [{"ts": START + k * 10_000_000, "bid": (m - 5, 50), "ask": (m + 5, 50)} for k, m in enumerate(mids)]
    ticks = frame([*market, {**market[-1], "ts": START + 50_000_000}])
    session = Session(ticks.layout.schema, Setup(made, latency=MILLISECONDS, terms=Terms(default=(0.01, 1.0, 1.0))))
    orders = session.step(ticks).orders
    assert [int((orders["action"] == a).sum()) for a in (SUBMIT, CANCEL)] == [4, 2]


def learner() -> tuple[Any, Any]:
    """The memory and parameters of a fresh momentum model with a horizon of one second."""
    made = strategy(momentum, {"horizon_s": 1.0}, "momentum")
    return np.zeros(1, made.memory)[0], made.params[0]


def test_momentum_learns_only_from_matured_labels() -> None:
    """A sample moves the weights when its horizon is over, and not a nanosecond earlier."""
    m, p = learner()
    m.x[:] = 1.0
    momentum.hold_back(m, p, START, 100.0)
    momentum.learn(m, p, START + 999_999_999, 101.0)
    assert (m.labels, m.count, m.bias) == (0, 1, 0.0)
    momentum.learn(m, p, START + 1_000_000_000, 101.0)
    assert (m.labels, m.count) == (1, 0)
    assert m.bias > 0 and (m.weight > 0).all()


def test_momentum_finds_a_linear_law() -> None:
    """When the return is 3 bps times the first feature, the first weight comes near 3."""
    m, p = learner()
    rng = np.random.default_rng(1)
    p.rate = 0.2
    for step in range(1500):
        m.x[:] = rng.standard_normal(len(m.x))
        now = START + step * 2_000_000_000
        momentum.hold_back(m, p, now, 100.0)
        momentum.learn(m, p, now + 1_000_000_000, 100.0 * (1 + 3e-4 * m.x[0]))
    assert m.weight[0] == pytest.approx(3.0, abs=0.1)
    assert np.abs(m.weight[1:]).max() < 0.1


@settings(max_examples=5, deadline=None)
@given(ticks=tick_frames(max_rows=40), seed=st.integers(0, 100))
def test_momentum_trades_whatever_the_features_hold(ticks: Frame, seed: int) -> None:
    """NaN, infinities and constants in the features stop nothing and cause no order that is not finite."""
    rng = np.random.default_rng(seed)
    wide = ticks.widened((FEATURES,))
    wide["features"][...] = rng.choice(
        [0.0, 1.0, -1.0, 1e5, np.nan, np.inf], wide["features"].shape, p=[0.4, 0.2, 0.2, 0.1, 0.05, 0.05]
    )
    made = strategy(momentum, {"warm_up": 1.0, "margin": 0.0, "horizon_s": 0.5}, "momentum")
    session = Session(wide.layout.schema, Setup(made, terms=Terms(default=(0.0, 1.0, 1.0))))
    orders = joined([session.step(wide), session.finish()]).orders
    assert np.isfinite(orders["px"]).all()
    assert np.isfinite(session.state["memory"]["weight"]).all()


def test_a_python_strategy_sees_the_words_of_the_view() -> None:
    """Prices, position, open orders, NaN outlook; `buy` without a price is a market order."""
    seen = []

    class Curious:
        def on_tick(self, view: Any) -> None:
            seen.append(view)
            if len(seen) == 1:
                view.buy(5.0)
                view.sell(3.0, 1.05, tif="day")

    market = [{"ts": START + k * 10_000_000, "bid": (100, 30), "ask": (102, 10)} for k in range(3)]
    ticks = frame(market)
    made = strategy(Curious, {}, "curious")
    Session(ticks.layout.schema, Setup(made, latency=MILLISECONDS)).step(ticks)
    last = seen[-1]
    assert (last.position, last.avg_px, last.imbalance) == (5.0, pytest.approx(1.02), 0.5)
    assert [(o.side, o.leaves, o.px) for o in last.orders] == [(SELL, 3.0, 1.05)]
    assert math.isnan(last.outlook.p_up) and len(last.features) == 0
    assert trade(market, {}).orders.rows == 0


def test_a_view_that_is_kept_keeps_its_features() -> None:
    """The frame's memory is used again for the next one; what a strategy remembers does not change."""
    kept: list[Any] = []

    class Keeping:
        def on_tick(self, view: Any) -> None:
            kept.append(view.features)

    wide = frame([{"ts": START + k, "bid": (100, 5.0), "ask": (101, 5.0)} for k in range(3)]).widened((FEATURES,))
    wide["features"][...] = 1.0
    session = Session(wide.layout.schema, Setup(strategy(Keeping, {}, "keeping"), terms=Terms()))
    session.step(wide)
    wide["features"][...] = 2.0
    assert all((row == 1.0).all() and len(row) for row in kept) and len(kept) == 3


def test_two_sessions_of_one_setup_share_nothing(tmp_path: Path) -> None:
    """A Python strategy keeps attributes; a second session begins with a fresh instance."""
    source = tmp_path / "counting.py"
    source.write_text(
        "class Counting:\n"
        "    def __init__(self) -> None:\n        self.seen = 0\n"
        "    def on_tick(self, view) -> None:\n"
        "        self.seen += 1\n"
        "        if self.seen == 5:\n            view.buy(1.0, view.bid_px)\n"
    )
    quotes = [{"ts": START + n * 10**9, "bid": (100, 5.0), "ask": (101, 5.0)} for n in range(8)]
    ticks = frame(quotes)
    setup = Setup(load(f"{source}:Counting"), terms=Terms(default=(0.0, 1.0, 1.0)))
    counts = []
    for _ in range(2):
        session = Session(ticks.layout.schema, setup)
        counts.append(session.step(ticks).orders.rows)
    assert counts[0] == counts[1] > 0


@pytest.mark.parametrize("word", ["from numba import njit", "from gpi.tools.kernels.jit import jit as njit"])
def test_a_strategy_may_make_arrays_though_the_loop_around_it_may_not(tmp_path: Path, word: str) -> None:
    file = tmp_path / "roomy.py"
    file.write_text(f"import numpy as np\n{word}\n\n\n@njit\ndef decide(n):\n    return np.ones(n).sum()\n")
    decide = load(str(file)).begin()

    @njit(_nrt=False)  # type: ignore[untyped-decorator]
    def loop(n: int) -> float:
        return decide(n)  # type: ignore[no-any-return]

    assert loop(3) == 3.0
