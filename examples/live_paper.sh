#!/usr/bin/env bash
# A recorded day replayed at its own pace into paper trading: the live pipeline, one tool per process.
#   bash examples/live_paper.sh day.parquet runs/today
set -euo pipefail
gpi replay "$1" --speed realtime | gpi featurize | gpi embed |
    gpi trade --paper --strategy market_making --kill-file /tmp/gpi.kill --out "$2"
# To stop it all and cancel every order: touch /tmp/gpi.kill
