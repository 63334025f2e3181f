"""Runs from Python, without the command line: the same engine, the same rows, tables that pandas and polars take."""

import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import gpi
from gpi.formats.errors import BadInput, UsageError
from gpi.tools.desk.options import Options
from gpi.tools.features.tick import tick_features
from gpi.tools.strategies import market_making
from tests.shell import ROOT
from tests.shell import gpi as shell


def quotes(rows: int = 600, symbols: tuple[str, ...] = ("SPY",)) -> pd.DataFrame:
    """Quotes of whole cents, ten a second."""
    dice = np.random.default_rng(2)
    mid = 100.0 + np.cumsum(dice.integers(-1, 2, rows)) / 100
    return pd.DataFrame({
        "ts_event": pd.date_range("2026-03-02 15:00", periods=rows, freq="100ms", tz="UTC"),
        "symbol": [symbols[k % len(symbols)] for k in range(rows)],
        "bid_px": (mid - 0.01).round(2), "bid_sz": 100.0, "ask_px": (mid + 0.01).round(2), "ask_sz": 200.0,
    })  # fmt: skip


def same(left: Any, right: Any) -> bool:
    """Two results, table by table, by their values."""
    return all(getattr(left, name).equals(getattr(right, name)) for name in ("orders", "fills", "equity"))


def test_pandas_polars_and_arrow_are_the_same_source() -> None:
    """Whatever tells its columns as Arrow does; results are tables that go back."""
    frame = quotes(symbols=("SPY", "QQQ"))
    run = gpi.backtest(frame, "market_making", fees="zero")
    assert len(run.fills) > 10 and set(run.fills["symbol"].to_pylist()) == {"SPY", "QQQ"}
    assert same(run, gpi.backtest(pa.Table.from_pandas(frame), "market_making", fees="zero"))
    fills = run.fills.to_pandas()
    cash = 1_000_000.0 - (fills["side"] * fills["qty"] * fills["px"]).sum() - fills["fee"].sum()
    assert fills["cash"].iloc[-1] == pytest.approx(cash)
    assert run.metrics["fills"] == len(fills) and run.path is None
    assert run.profit == pytest.approx(run.equity["equity"][-1].as_py() - 1_000_000.0)
    polars = pytest.importorskip("polars", reason="polars is not installed")
    assert same(run, gpi.backtest(polars.from_pandas(frame), "market_making", fees="zero"))
    assert polars.from_arrow(run.fills).height == len(fills)


def test_a_run_from_python_is_the_command_lines(tmp_path: Path) -> None:
    """The same file, stages, strategy and options: the same tables, and a directory that reads as any other."""
    shell(
        "simulate", "--symbols", "SPY", "--seed", "3", "--duration", "120", "--out", tmp_path / "day.parquet", check=0
    )
    line = f"replay {tmp_path}/day.parquet | featurize | embed | backtest --strategy market_making --param gamma=0.1 "
    shell("run", f"{line} --fees zero --fill queue --cash 50000 --out {tmp_path}/a", check=0)
    made = gpi.backtest(
        tmp_path / "day.parquet", "market_making", params={"gamma": 0.1}, stages=("featurize", "embed"),
        fees="zero", fill="queue", cash=50_000, out=tmp_path / "b",
    )  # fmt: skip
    shell("verify", tmp_path / "a", tmp_path / "b", check=0)
    told = gpi.read_run(tmp_path / "a")
    assert same(made, told) and told.path == tmp_path / "a" and made.metrics == told.metrics
    assert b"unknown origin" in shell("verify", tmp_path / "b", check=2).stderr


def test_a_strategy_is_a_name_a_class_or_a_module() -> None:
    """And a stage a name or a Stage."""
    frame = quotes()

    class Once:
        def __init__(self, qty: int = 1) -> None:
            self.left = qty

        def on_tick(self, view: Any) -> None:
            if self.left and view.feature("spread") > 0:
                view.buy(1.0)
                self.left -= 1

    run = gpi.backtest(frame, Once, params={"qty": 3}, stages=[tick_features()])
    assert len(run.fills) == 3 and run.manifest["setup"]["strategy"]["name"] == "Once"
    assert same(gpi.backtest(frame, market_making), gpi.backtest(frame, "market_making"))


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        (lambda f: f.drop(columns="symbol"), "symbol"),
        (lambda f: f.drop(columns="ts_event"), "ts_event"),
        (lambda f: f[["ts_event", "symbol"]], "nothing to trade on"),
        (lambda f: f.iloc[::-1], "sort it first"),
        (lambda f: f.assign(symbol=[None, *f["symbol"][1:]]), "without a symbol"),
        (lambda f: f.assign(bid_px="high"), "no number"),
        (lambda f: f.assign(ts_event="yesterday"), "must be a time"),
    ],
)
def test_a_table_that_is_no_stream_of_ticks_is_refused(change: Any, wrong: str) -> None:
    """In words that name the column."""
    with pytest.raises(BadInput, match=wrong):
        gpi.backtest(change(quotes(50)), "market_making")


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({"fils": "queue"}, "did you mean 'fill'"),
        ({"stages": ["featurise"]}, "did you mean 'featurize'"),
        ({"params": {"gama": 1.0}}, "did you mean 'gamma'"),
        ({"param": ["gamma=1"]}, "params="),
        ({"cash": float("nan")}, "finite"),
        ({"fill": "hopeful"}, "choose"),
    ],
)
def test_an_option_that_cannot_be_is_named(given: dict[str, Any], wrong: str) -> None:
    """With the nearest there is."""
    with pytest.raises(UsageError, match=wrong):
        gpi.backtest(quotes(20), "market_making", **given)
    with pytest.raises(UsageError, match="a source is"):
        gpi.backtest(7, "market_making")


def test_a_directory_that_holds_no_run_is_told(tmp_path: Path) -> None:
    """As by the command line."""
    with pytest.raises(UsageError, match="holds no run"):
        gpi.read_run(tmp_path)


def test_the_command_line_offers_every_option_of_a_session() -> None:
    """One dataclass: a field is a flag of both commands, with its help."""
    for command in ("backtest", "trade"):
        told = " ".join(shell(command, "--help", check=0).stdout.decode().split())
        for each in fields(Options):
            assert each.metadata.get("flag", "--" + each.name.replace("_", "-")) in told


def test_the_example_without_the_command_line_runs() -> None:
    """examples/in_python.py: two parameters compared, the fills as a DataFrame."""
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / "in_python.py"], capture_output=True, text=True, cwd=ROOT, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert "profit" in done.stdout and "0.5" in done.stdout and "0.7" in done.stdout


def test_importing_gpi_alone_costs_nothing() -> None:
    """What a command does not need is not imported: no numpy, no numba."""
    code = "import sys, gpi; print(sorted({'numpy', 'numba', 'pyarrow'} & set(sys.modules)), 'backtest' in dir(gpi))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.stdout.strip() == "[] True", done.stderr
    with pytest.raises(AttributeError):
        gpi.nothing  # noqa: B018
