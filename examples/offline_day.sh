#!/usr/bin/env bash
# A day of research: record features once, then as many backtests over them as you like.
#   bash examples/offline_day.sh day.parquet out/
set -euo pipefail
mkdir -p "$2"
gpi replay "$1" | gpi featurize | gpi embed --out "$2/embedded.arrow"
for gamma in 0.05 0.1 0.2; do
    gpi backtest "$2/embedded.arrow" --strategy market_making --param "gamma=$gamma" --out "$2/runs/gamma_$gamma" > /dev/null
done
gpi query "SELECT run, total_pnl, fees, sharpe, sharpe_standard_error, max_drawdown FROM metrics ORDER BY total_pnl DESC" --runs "$2/runs" --to table
