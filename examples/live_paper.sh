#!/usr/bin/env bash
# A day of live data into paper trading, one tool per process.
#   bash examples/live_paper.sh runs/today                              # Alpaca's IEX feed; keys: docs/live.md
#   bash examples/live_paper.sh runs/trial SPY,NVDA day.parquet 60      # a venue on this machine plays a file, 60 times faster
set -euo pipefail
out=$1 symbols=${2:-@tier1} day=${3:-} speed=${4:-realtime}
mkdir -p "$out"
if [ -n "$day" ]; then
    ready=$(mktemp -u)
    gpi venue "$day" --speed "$speed" --wait-for 1 --ready "$ready" 2> "$out/venue.log" &
    trap 'kill $! 2> /dev/null || true; rm -f "$ready"' EXIT
    until [ -s "$ready" ]; do kill -0 $! && sleep 0.2; done
    live=(--source venue --venue-ready "$ready" --once --journal "$out/journal")
else
    live=(--source alpaca --until 16:00 --lake "$out/lake")
fi
gpi capture "${live[@]}" --symbols "$symbols" --on-full conflate | gpi featurize | gpi embed |
    gpi trade --paper --strategy market_making --kill-file /tmp/gpi.kill --out "$out/run"
# To stop it all and cancel every order: touch /tmp/gpi.kill
