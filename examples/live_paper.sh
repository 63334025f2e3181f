#!/usr/bin/env bash
# A day of live data into paper trading, one tool per process.
#   bash examples/live_paper.sh runs/today                              # Alpaca's IEX feed; keys: docs/live.md
#   bash examples/live_paper.sh runs/trial SPY,NVDA day.parquet 60      # a venue on this machine plays a file, 60 times faster
# It ends with the session (or the file); Ctrl-C ends it earlier; touch OUT/kill cancels every order first.
set -euo pipefail
out=${1:?where to keep the run, such as runs/today} symbols=${2:-@tier1} day=${3:-} speed=${4:-realtime}
mkdir -p "$out"
if [ -n "$day" ]; then
    ready=$out/venue.json # holds a key: only we can read it
    rm -f "$ready"
    gpi venue "$day" --speed "$speed" --wait-for 1 --stay --ready "$ready" < /dev/null 2> "$out/venue.log" &
    venue=$!
    trap 'kill "$venue" 2> /dev/null && wait "$venue" || true; rm -f "$ready"' EXIT
    until [ -s "$ready" ]; do
        kill -0 "$venue" 2> /dev/null || { cat "$out/venue.log" >&2; exit 1; }
        sleep 0.2
    done
    live=(--source venue --venue-ready "$ready" --once --journal "$out/journal")
else
    live=(--source alpaca --until 16:00 --lake "$out/lake")
fi
gpi capture "${live[@]}" --symbols "$symbols" --on-full conflate | gpi featurize | gpi embed |
    gpi trade --paper --strategy market_making --kill-file "$out/kill" --out "$out/run"
