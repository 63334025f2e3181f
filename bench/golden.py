"""The golden figures: what every built-in strategy orders, fills and is worth on every shared recording.

`python -m bench.golden` does them all again and names whatever has moved; `--write` keeps what it finds. A change that
is meant to leave every decision alone leaves bench/golden.json alone. Kept are counts and digests of whole tables, over
the columns that the file names: a column that comes later moves nothing.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet as pq
import xxhash

from bench.harness import ROOT, SHARED

GPI = str(Path(sys.executable).with_name("gpi"))
KEPT: Final = Path(__file__).with_suffix(".json")
TABLES: Final = ("orders", "fills", "equity")
STRATEGIES: Final = ("market_making", "momentum")
FILLS: Final = ("queue", "whole", "fifo", "alpaca-paper")  # beside conservative, on the two recordings by order
BY_ORDER: Final = ("eq_lob_lobster_AAPL_20120621_L1", "eq_lob_lobster_AMZN_20120621_L5")
ALONE: Final = (
    *BY_ORDER,
    "cr_bars_1m_coinbase_lean",
    "cr_bbo_binance_spot_20240808",
    "cr_depth_binance_spot_20240808",
    "cr_klines_1m_binance_tri_2021",
    "cr_trades_binance_spot_20240808",
    "eq_bars_15m_eqker_2019",
    "eq_bars_1d_eqker_2019",
    "eq_bars_1m_SPY_202507",
    "eq_bars_1m_eqker_2019",
    "eq_bars_1m_lean_misc",
    "eq_bars_1s_lean_20131007_09",
    "eq_daily_lean_long",
    "eq_daily_sp500_2018_2021",
    "eq_grouped_daily_polygon_20200416",
    "eq_hour_lean_long",
    "eq_quotes_lean_BAC_IBM_20131007_09",
    "eq_trades_lean_BAC_IBM_SPY_20131007_09",
    "idx_1m_SPX_lean",
    "opt_1m_quote_lean",
    "opt_1m_quote_lean_index",
    "opt_1m_trade_lean",
    "opt_1m_trade_lean_index",
)
TOGETHER: Final = (
    "cr_bbo_binance_spot_20240808 cr_trades_binance_spot_20240808",
    "eq_quotes_lean_BAC_IBM_20131007_09 eq_trades_lean_BAC_IBM_SPY_20131007_09",
)
SIMULATED: Final = "simulate --symbols SPY,NVDA --seed 7 --events 40000 --levels 3"  # needs no recording


def cases() -> dict[str, str]:
    """Name -> the line that makes its run, but for --out."""
    sources = {name: "replay " + " ".join(f"{SHARED}/{each}.parquet" for each in name.split()) for name in ALONE}
    sources |= {name: "replay " + " ".join(f"{SHARED}/{each}.parquet" for each in name.split()) for name in TOGETHER}
    sources["simulated"] = SIMULATED
    every = {
        f"{name} / {strategy}": f"{source} | featurize | backtest --strategy {strategy}"
        for name, source in sources.items()
        for strategy in STRATEGIES
    }
    for name in BY_ORDER:
        for fill in FILLS:
            told = " --by-order" if fill == "fifo" else ""
            every[f"{name} / market_making, {fill}"] = f"{sources[name]}{told} | backtest --fill {fill}"
    return every


def digested(path: Path, columns: list[str]) -> str:
    """Of a table's columns, however they are cut or compressed."""
    table, whole = pq.read_table(path, columns=columns), xxhash.xxh3_64()
    for name in columns:
        values = table[name].to_numpy()
        whole.update(repr(values.tolist()).encode() if values.dtype.hasobject else values.tobytes())
    return str(whole.hexdigest())


def found(line: str, run: Path, columns: dict[str, list[str]]) -> dict[str, Any]:
    """What one case gives: rows and a digest a table. Raises RuntimeError with what the command said."""
    done = subprocess.run(
        [GPI, "run", f"{line} --out {run}"], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    if done.returncode:
        raise RuntimeError(f"{line}: exit {done.returncode}: {done.stderr[-300:].decode(errors='replace')}")
    rows = json.loads((run / "manifest.json").read_text())["rows"]
    return {name: [rows[name], digested(run / f"{name}.parquet", columns[name])] for name in TABLES}


def columns_of(folder: Path) -> dict[str, list[str]]:
    """The columns that are there today."""
    run = folder / "columns"
    subprocess.run(
        [GPI, "run", f"simulate --events 200 | backtest --out {run}"], cwd=ROOT, check=True, capture_output=True
    )
    return {name: pq.read_schema(run / f"{name}.parquet").names for name in TABLES}


def main() -> None:
    """Do every case, or those whose names hold `--only`; exit 1 where one has moved."""
    parser = argparse.ArgumentParser(prog="python -m bench.golden", description=__doc__)
    parser.add_argument("--write", action="store_true", help="keep what is found")
    parser.add_argument("--only", default="", help="cases whose names hold this")
    given = parser.parse_args()
    kept: dict[str, Any] = json.loads(KEPT.read_text()) if KEPT.exists() else {"columns": {}, "cases": {}}
    moved = 0
    with tempfile.TemporaryDirectory() as scratch:
        columns = kept["columns"] or columns_of(Path(scratch))
        for number, (name, line) in enumerate(cases().items()):
            if given.only not in name:
                continue
            told = found(line, Path(scratch, str(number)), columns)
            before = kept["cases"].get(name)
            moved += told != before
            word = "as it was" if told == before else f"MOVED from {before}" if before else "new"
            print(f"{name}: " + ", ".join(f"{told[each][0]:,} {each}" for each in TABLES) + f": {word}", flush=True)
            if given.write:
                kept["cases"][name] = told
        if given.write:
            KEPT.write_text(json.dumps({**kept, "columns": columns}, indent=1) + "\n")
            return
    raise SystemExit(1 if moved else 0)


if __name__ == "__main__":
    main()
