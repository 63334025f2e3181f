#!/usr/bin/env bash
# The same flash crash for two bots, each on a venue of its own, through Alpaca's own client. Needs no account.
#
#   examples/flash_crash_bot/both.sh
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

gpi simulate --scenario flash-crash --symbols SPY --seed "${SEED:-7}" --events "${EVENTS:-10000}" --out "$out/day.arrow"
for how in "" --careful; do
    ready=$out/ready$how.json
    gpi venue "$out/day.arrow" --speed "${SPEED:-60}" --wait-for 1 --linger 5 --ready "$ready" 2>"$out/venue$how.log" &
    venue=$!
    until [ -e "$ready" ]; do
        kill -0 "$venue" 2>/dev/null || { cat "$out/venue$how.log" >&2; exit 1; }
        sleep 0.1
    done
    ${PYTHON:-python} "$here/bot.py" "$ready" SPY $how
    wait "$venue"
done
