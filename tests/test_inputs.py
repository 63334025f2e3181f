"""Columns reach strategies by name, compiled or not; so do the other instruments, and what happens to orders."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from gpi.formats.columns import PUBLISHED, selected
from gpi.formats.errors import SchemaMismatch, UsageError
from gpi.formats.features import TICK_FEATURES, elements, vector
from gpi.formats.frame import Frame
from gpi.formats.instruments import Instruments, equity
from gpi.formats.ticks import TICKS
from gpi.formats.words import FILLED, GTC, IOC, REFUSE, SECOND, SUBMIT
from gpi.tools.backtest.inputs import Inputs
from gpi.tools.backtest.session import Session
from gpi.tools.backtest.setup import Latency, Setup, Terms
from gpi.tools.backtest.traded import Traded, joined
from gpi.tools.embed.tick import tick_embedding
from gpi.tools.features.microstructure import microstructure
from gpi.tools.features.tick import tick_features
from gpi.tools.memory.bank import empty, write_bank
from gpi.tools.memory.match import matched
from gpi.tools.strategies import momentum
from gpi.tools.strategies.loading import load, strategy
from tests.laws import same
from tests.trading import START, TICK, frame

TERMS = Terms(default=(TICK, 1.0, 1.0))


@cache
def everything() -> pa.Schema:
    """The schema after every stage that appends columns."""
    schema = Instruments([equity("A"), equity("B")]).on(TICKS)
    with TemporaryDirectory() as folder:
        write_bank(Path(folder), empty(16, SECOND))
        for stage in (tick_features(), microstructure(), tick_embedding(), matched(Path(folder))):
            schema = stage.gives(schema)
    return schema


def filled(schema: pa.Schema, rows: int, instruments: int = 2) -> Frame:
    """Quotes with random numbers in every appended column."""
    dice = np.random.default_rng(5)
    told = [(START + k * SECOND, k % instruments, 100 + k) for k in range(rows)]
    quotes = frame([{"ts": ts, "i": i, "bid": (px, 50), "ask": (px + 2, 50)} for ts, i, px in told])
    made = Frame.of(schema, {name: quotes[name] if name in quotes else 0 for name in schema.names})
    for name, column in made.columns.items():
        if name not in quotes:
            column[...] = dice.integers(0, 99, column.shape)
    return made


def test_every_column_that_a_stage_appends_is_published_and_can_be_asked_for() -> None:
    """Whole, and element by element; a column that no strategy could ask for would be here for nobody."""
    schema = everything()
    appended = [field for field in schema if field.name not in TICKS.names]
    assert [field.name for field in appended] == [name for name in PUBLISHED if name in schema.names]
    assert set(PUBLISHED) <= set(schema.names)
    row = filled(schema, 3)
    for field in appended:
        names = elements(field) if pa.types.is_fixed_size_list(field.type) else ()
        whole = Inputs((field.name,), (), schema, "it")
        assert np.array_equal(gathered(whole, row, 2)[field.name], row[field.name][2])
        for at, name in enumerate(names):
            one = Inputs((f"{field.name}.{name}",), (), schema, "it")
            told = "direction_flat" if name == "flat" else name
            assert gathered(one, row, 2)[told] == row[field.name][2, at]


def gathered(inputs: Inputs, row: Frame, at: int) -> Any:
    """The record for a row."""
    from gpi.tools.kernels.trader.gathering import gather

    inputs.over(row)
    gather(inputs.address, inputs.pieces, at)
    return inputs.record[0]


def test_elements_are_told_in_the_order_asked_whatever_stands_beside_them() -> None:
    """A selection of a column whose elements are turned round, with a stranger among them."""
    turned = vector("features", ("stranger", *reversed(TICK_FEATURES)))
    schema = pa.schema([*TICKS, turned])
    row = filled(schema, 4)
    inputs = Inputs(("features[spread, ret_1s, ret_5s]",), (), schema, "it")
    found = gathered(inputs, row, 3)["features"]
    names = elements(turned)
    assert found.tolist() == [row["features"][3, names.index(name)] for name in ("spread", "ret_1s", "ret_5s")]
    assert len(inputs.pieces) == 3 and len(Inputs(("features[ret_5s, ret_1s]",), (), schema, "it").pieces) == 1


def test_what_is_only_wanted_may_be_missing() -> None:
    """It is NaN then, and as wide as it is published."""
    inputs = Inputs((), ("direction", "volatility", "features.spread", "nobody"), TICKS, "it")
    record = inputs.record[0]
    assert np.isnan(record["direction"]).all() and record["direction"].shape == (3,)
    assert np.isnan(record["volatility"]) and np.isnan(record["spread"]) and np.isnan(record["nobody"])
    assert len(inputs.pieces) == 0


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("features", "gpi featurize"),
        ("ret_5s", "gpi featurize"),
        ("microprice", "microstructure"),
        ("embedding", "gpi embed"),
        ("match_count", "gpi index match"),
        ("bid_pxx", "did you mean 'bid_px'"),
        ("bid_px.best", "plain number"),
    ],
)
def test_a_name_that_is_not_there_is_told_the_remedy(name: str, why: str) -> None:
    """The command that makes it, or the nearest name."""
    with pytest.raises(SchemaMismatch, match=why):
        selected([name], TICKS, "the strategy mine")


def test_an_element_that_two_columns_have_must_be_told_apart() -> None:
    """By its column."""
    schema = pa.schema([*TICKS, vector("a", ("x", "y")), vector("b", ("x",))])
    with pytest.raises(SchemaMismatch, match="say which, 'a.x' or 'b.x'"):
        selected(["x"], schema, "it")
    assert selected(["b.x", "y"], schema, "it")[1].column == "a"
    with pytest.raises(UsageError, match="twice"):
        Inputs(("a.x", "b.x"), (), schema, "it")


KERNEL = """
import numpy as np
from dataclasses import dataclass
from gpi.tools.kernels.jit import borrowing
from gpi.tools.kernels.orders import elsewhere, limit, take

NEEDS = ("ret_5s", "microstructure.microprice", "embedding", "match_count")
WANTS = ("volatility", "nobody")
MEMORY = np.dtype((np.record, [("a", "f8"), ("b", "f8"), ("c", "f8", (16,)), ("n", "i8"), ("v", "f8"), ("x", "f8")]))

@dataclass(frozen=True)
class Parameters:
    hedge: str = ""
    pair: tuple = ("A", "B")
    qty: float = 5.0
    times: int = 2

@borrowing
def decide(memory, params, view, inputs, market, orders, n_orders, intents):
    v, p, x, m = view[0], params[0], inputs[0], memory[view[0].instrument_id]
    m.a = x.ret_5s
    m.b = x.microprice
    for k in range(16):
        m.c[k] = x.embedding[k]
    m.n += x.match_count
    m.v = x.volatility
    m.x = x.nobody
    if v.instrument_id != p.pair[0] or p.hedge < 0:
        return 0
    other = market[p.hedge]
    if other.ask_px > 0.0 and other.position == 0.0:
        n = take(intents, 0, 1, p.qty * p.times, other.ask_px)
        return elsewhere(intents, n, p.hedge)
    return 0
"""


def kernel(folder: Path, **values: Any) -> Any:
    """The strategy above."""
    path = folder / "asking.py"
    path.write_text(KERNEL)
    return load(str(path), values)


def traded(schema: pa.Schema, rows: Frame, made: Any, cut: int = 0) -> tuple[Session, Traded]:
    """A session over the rows, whole or in pieces."""
    session = Session(schema, Setup(made, terms=TERMS, latency=Latency(0, 0, 0)))
    pieces = [rows] if not cut else [rows.slice(a, a + cut) for a in range(0, rows.rows, cut)]
    return session, joined([*(session.step(piece) for piece in pieces), session.finish()])


@pytest.mark.parametrize("cut", [0, 1, 3])
def test_a_compiled_strategy_reads_what_it_asked_for(tmp_path: Path, cut: int) -> None:
    """Elements by name, vectors, other types; what it only wants and is not there is NaN."""
    schema = everything()
    rows = filled(schema, 8)
    session, _ = traded(schema, rows, kernel(tmp_path), cut)
    last = session.state["memory"][1]
    assert last["a"] == rows["features"][7, TICK_FEATURES.index("ret_5s")]
    assert last["b"] == rows["microstructure"][7, 0]
    assert last["c"].tolist() == rows["embedding"][7].tolist()
    assert last["n"] == rows["match_count"][1::2].sum()
    assert last["v"] == rows["volatility"][7] and np.isnan(last["x"])


@pytest.mark.parametrize("cut", [0, 1])
def test_a_compiled_strategy_trades_one_instrument_on_the_ticks_of_another(tmp_path: Path, cut: int) -> None:
    """Symbols are parameters; the other's quote and position stand in `market`."""
    schema = everything()
    _, found = traded(schema, filled(schema, 8), kernel(tmp_path, hedge="B"), cut)
    assert found.fills["instrument_id"].tolist() == [1] and found.fills["qty"].tolist() == [10.0]
    with pytest.raises(UsageError, match="the stream has no 'C'"):
        traded(schema, filled(schema, 2), kernel(tmp_path, hedge="C"))


def test_an_eleventh_feature_changes_no_trade_and_no_embedding() -> None:
    """Momentum and the shipped encoder read the ten they know, wherever they stand."""
    usual = pa.schema([*TICKS, vector("features", TICK_FEATURES)])
    wider = pa.schema([*TICKS, vector("features", ("stranger", *TICK_FEATURES))])
    rows = filled(usual, 400, 1)
    rows["features"][:] = np.random.default_rng(7).normal(size=rows["features"].shape)
    more = Frame.of(wider, {name: rows[name] for name in TICKS.names} | {"features": 0})
    more["features"][:, 0], more["features"][:, 1:] = 99.0, rows["features"]
    given = {"warm_up": 5.0, "margin": 0.0, "horizon_s": 5.0}
    one = traded(usual, rows, strategy(momentum, given, "momentum"))[1]
    two = traded(wider, more, strategy(momentum, given, "momentum"))[1]
    assert one.fills.rows > 10
    for left, right in zip(one, two, strict=True):
        same(left, right, "with an eleventh feature")
    found = []
    for schema, frames in ((usual, rows), (wider, more)):
        stage = tick_embedding()
        stage.check(schema)
        stage.gives(schema)
        found.append(stage.step(stage.start(), frames)["embedding"])
    assert np.isfinite(found[0]).any() and np.array_equal(found[0], found[1], equal_nan=True)
    with pytest.raises(SchemaMismatch, match="'ret_1s'"):
        tick_embedding().check(pa.schema([*TICKS, vector("features", TICK_FEATURES[1:])]))


class Asking:
    """Looks at everything a view offers."""

    NEEDS = ("embedding",)

    def __init__(self) -> None:
        self.views: list[Any] = []
        self.seen: list[Any] = []

    def on_tick(self, view: Any) -> None:
        """Ask."""
        self.views.append(view)
        market = {name: view.market[name] for name in view.market}
        self.seen.append((
            view.symbol, view.feature("ret_5s"), view.feature("features.spread"), view.column("embedding"),
            view.column("match_count"), view.column("features[spread, ret_1s]"), market,
            [each.order_id for each in view.orders_in("B")], len(view.features), view.outlook.volatility,
        ))  # fmt: skip
        if len(self.views) == 3:
            view.buy(2.0, 1.01, symbol="B")
            view.buy(3.0, 1.00, symbol="B")
        if len(self.views) == 6:
            view.cancel(2, symbol="B")


def test_a_python_strategy_asks_by_name_and_sees_every_instrument() -> None:
    """What it kept stays as it was; a view that was kept knows its numbers only."""
    schema = everything()
    rows = filled(schema, 8)
    holder: list[Asking] = []

    class Held(Asking):
        def __init__(self) -> None:
            super().__init__()
            holder.append(self)

    _, found = traded(schema, rows, strategy(Held, {}, "held"), 3)
    it = holder[-1]
    for k, (symbol, ret, spread, inside, count, some, market, _, width, vol) in enumerate(it.seen):
        at = TICK_FEATURES.index("spread")
        assert symbol == "AB"[k % 2] and ret == rows["features"][k, 1] and spread == rows["features"][k, at]
        assert inside.tolist() == rows["embedding"][k].tolist() and count == rows["match_count"][k]
        assert some.tolist() == [rows["features"][k, at], rows["features"][k, 0]]
        assert width == len(TICK_FEATURES) and vol == rows["volatility"][k]
        assert market["AB"[k % 2]].bid_px == rows["bid_px"][k] and market["AB"[k % 2]].instrument_id == k % 2
        assert k == 0 or market["AB"[1 - k % 2]].ask_px == rows["ask_px"][k - 1]
    assert [orders for *_, orders, _, _ in it.seen][2:] == [[], [1, 2], [1, 2], [1, 2], [1], [1]]
    assert set(found.orders["instrument_id"].tolist()) == {1}
    with pytest.raises(UsageError, match="during the tick"):
        it.views[0].column("embedding")
    with pytest.raises(UsageError, match="during the tick"):
        it.views[0].market["A"]
    assert it.views[0].bid_px == rows["bid_px"][0]


class Listening:
    """Writes down whatever it is told, and trades a little."""

    TIMER_S = 2.0
    told: list[Any] = []

    def __init__(self) -> None:
        Listening.told = []
        self.ticks = 0

    def on_start(self, view: Any) -> None:
        """Once."""
        self.told.append(("start", view.ts))

    def on_timer(self, view: Any) -> None:
        """Every two seconds of event time."""
        self.told.append(("timer", view.ts))

    def on_fill(self, fill: Any, view: Any) -> None:
        """Every fill."""
        self.told.append(("fill", fill.order_id, fill.qty, fill.px, fill.position, view.position))
        if fill.side > 0:
            view.sell(fill.qty, None)

    def on_order(self, event: Any, view: Any) -> None:
        """Every row of orders/1."""
        self.told.append(("order", event.order_id, event.action, event.leaves))

    def on_tick(self, view: Any) -> None:
        """Buy at the third tick; ask for nonsense at the fifth."""
        self.ticks += 1
        if self.ticks == 3:
            view.buy(5.0, view.ask_px, tif="ioc")
        if self.ticks == 5:
            view.buy(-1.0, view.ask_px)

    def on_end(self) -> None:
        """Once."""
        self.told.append(("end",))


def test_hooks_tell_everything_that_happened_however_the_stream_is_cut() -> None:
    """Fills and events as the tables tell them, each before the tick that brings it; intents of hooks are orders."""
    rows = frame([{"ts": START + k * SECOND, "bid": (100, 50), "ask": (102, 50)} for k in range(10)])
    schema, heard, tables = rows.layout.schema, [], []
    for cut in (0, 1, 3):
        _, found = traded(schema, rows, strategy(Listening, {}, "listening"), cut)
        heard.append(list(Listening.told))
        tables.append(found)
    assert heard[0] == heard[1] == heard[2]
    told, found = heard[0], tables[0]
    orders = [each[1:] for each in told if each[0] == "order"]
    rows_told = list(zip(*(found.orders[name].tolist() for name in ("order_id", "action", "leaves")), strict=True))
    assert orders == rows_told[: len(orders)] and len(rows_told) - len(orders) <= 1
    assert [each[1:4] for each in told if each[0] == "fill"] == list(
        zip(*(found.fills[name].tolist() for name in ("order_id", "qty", "px")), strict=True)
    )
    assert found.fills["side"].tolist() == [1, -1] and {SUBMIT, FILLED, REFUSE} <= set(found.orders["action"].tolist())
    assert told[0] == ("start", START) and told[-1] == ("end",)
    assert [each[1] - START for each in told if each[0] == "timer"] == [k * SECOND for k in (2, 4, 6, 8)]
    assert (GTC, IOC) == (1, 2)
