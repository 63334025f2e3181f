#!/usr/bin/env bash
# The main job on a synthetic market: research, paper trading and the proof that they are one thing.
#   bash examples/demo.sh [FOLDER]
set -euo pipefail
here=${1:-build/demo}
rm -rf "$here" && mkdir -p "$here"

say() { printf '\n\033[1m%s\033[0m\n' "$*" >&2; }

say "1. A market: two symbols, an hour of quotes, trades and depth, seeded"
gpi simulate --scenario calm --symbols SPY,NVDA --seed 7 --duration 3600 --out "$here/ticks.parquet"

say "2. Paper trading: four processes on pipes"
gpi replay "$here/ticks.parquet" | gpi featurize | gpi embed |
    gpi trade --paper --strategy market_making --out "$here/runs/paper" > /dev/null

say "3. The same as a backtest, in one process, in batches of another size"
gpi run "replay $here/ticks.parquet --batch 1000 | featurize | embed | backtest --strategy market_making --out $here/runs/backtest" > /dev/null

say "4. Live = paper = backtest, proven: orders and fills compared row by row, then one re-run from its manifest"
gpi verify "$here/runs/paper" "$here/runs/backtest"
gpi verify "$here/runs/paper"

say "5. What the risk report and SQL say"
gpi risk-check "$here/runs/paper"
gpi query "SELECT run, count(*) AS fills, round(sum(fee), 2) AS fees FROM fills GROUP BY run ORDER BY run" --runs "$here/runs" --to table

say "6. A flash crash, same strategy"
gpi run "simulate --scenario flash-crash --symbols SPY --seed 11 --duration 1800 | featurize | embed | trade --paper --strategy market_making --out $here/runs/crash" > /dev/null || test $? -eq 4
say "Done. Everything it made is under $here"
