"""Live = paper = backtest on real days: the same stream traded six ways, compared row by row, the cash recomputed.

For every data set: four processes on pipes, the same in batches of 1 and of 65,536, fused in one process, as a
backtest, and repeated from its manifest. `gpi verify` compares all with the first.
"""

import json
import subprocess
import sys
import tempfile
import time
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet as pq

from bench.harness import ROOT, SHARED, report

GPI = str(Path(sys.executable).with_name("gpi"))
DAYS = {
    "AAPL, LOBSTER level 1": ["eq_lob_lobster_AAPL_20120621_L1.parquet"],
    "AMZN, LOBSTER 5 levels": ["eq_lob_lobster_AMZN_20120621_L5.parquet"],
    "BTCUSDT and ETHUSDT, Binance BBO + trades": [
        "cr_bbo_binance_spot_20240808.parquet",
        "cr_trades_binance_spot_20240808.parquet",
    ],
    "BAC and IBM, NBBO + trades (SIP), 3 days": [
        "eq_quotes_lean_BAC_IBM_20131007_09.parquet",
        "eq_trades_lean_BAC_IBM_SPY_20131007_09.parquet",
    ],
}


def piped(files: str, batch: str, run: Path) -> None:
    """Four processes on pipes, as a person would type them."""
    line = (
        f"set -o pipefail; {GPI} replay {files} {batch} | {GPI} featurize | {GPI} embed | "
        f"{GPI} trade --paper --strategy market_making --out {run} > /dev/null"
    )
    subprocess.run(["bash", "-c", line], check=True, cwd=ROOT, stderr=subprocess.DEVNULL)


def fused(files: str, trader: str, run: Path) -> None:
    """One process."""
    line = f"replay {files} | featurize | embed | {trader} --strategy market_making --out {run}"
    command = [GPI, "run", line, "--to", "arrow"]
    subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def cents(run: Path) -> tuple[Decimal, Decimal]:
    """Cash at the end, and start + fills and fees in decimal arithmetic, to the cent."""
    fills = pq.read_table(run / "fills.parquet", columns=["side", "qty", "px", "fee"]).to_pylist()
    expected = Decimal(repr(json.loads((run / "manifest.json").read_text())["setup"]["cash"]))
    for fill in fills:
        expected -= fill["side"] * Decimal(repr(fill["qty"])) * Decimal(repr(fill["px"])) + Decimal(repr(fill["fee"]))
    cash = Decimal(repr(pq.read_table(run / "equity.parquet", columns=["cash"])["cash"][-1].as_py()))
    return cash.quantize(Decimal("0.01")), expected.quantize(Decimal("0.01"))


def verified(*runs: Path) -> bool:
    """What `gpi verify` says."""
    return subprocess.run([GPI, "verify", *map(str, runs)], cwd=ROOT, stderr=subprocess.DEVNULL).returncode == 0


def day(name: str, files: list[str], folder: Path) -> bool:
    """One data set, all ways; whether everything was the same."""
    paths = " ".join(str(SHARED / file) for file in files)
    runs = {way: folder / way for way in ("pipes", "batch_1", "batch_65536", "fused", "backtest")}
    began = time.perf_counter()
    piped(paths, "", runs["pipes"])
    seconds = time.perf_counter() - began
    piped(paths, "--batch 1", runs["batch_1"])
    piped(paths, "--batch 65536", runs["batch_65536"])
    fused(paths, "trade --paper", runs["fused"])
    fused(paths, "backtest", runs["backtest"])
    same = {way: verified(runs["pipes"], run) for way, run in runs.items() if way != "pipes"}
    same["from its manifest"] = verified(runs["pipes"])
    cash, expected = cents(runs["pipes"])
    manifest = json.loads((runs["pipes"] / "manifest.json").read_text())
    rows = manifest["rows"]
    report(name, manifest["ticks"], "ticks", f"{seconds:.1f} s, {rows['orders']:,} order rows, {rows['fills']:,} fills")
    print("  identical:", ", ".join(way for way, well in same.items() if well) or "none")
    print("  DIFFERENT:", ", ".join(way for way, well in same.items() if not well)) if not all(same.values()) else None
    print(f"  cash {cash}, start + fills + fees {expected}: {'equal' if cash == expected else 'DIFFERENT'}")
    return all(same.values()) and cash == expected


def main() -> int:
    """All data sets; exit 1 if anything differs."""
    if not SHARED.is_dir():
        print(f"real data absent: {SHARED}")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        results = [day(name, files, Path(folder) / str(n)) for n, (name, files) in enumerate(DAYS.items())]
    return 0 if all(results) else 1


if __name__ == "__main__":
    raise SystemExit(main())
