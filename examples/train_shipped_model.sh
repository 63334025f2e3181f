#!/usr/bin/env bash
# Make the shipped encoder again: one calm session of four simulated symbols, quotes and trades only.
# About three minutes on one core; equal sources and versions give equal weights. Needs the extra `train`.
set -euo pipefail
out="${1:-$(dirname "$0")/../tools/embed/models/tick}"

gpi simulate --scenario calm --symbols AAPL,AMZN,MSFT,SPY --seed 7 --duration 23400 --levels 0 |
    gpi featurize |
    gpi train tick --seeds 5 --out "$out"
