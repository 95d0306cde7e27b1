#!/usr/bin/env bash
# Measures the client beside redis-rs and fred: builds all, starts one server with a single shard, and prints a table.
#
#   cluster-tests/clients-app/measure.sh [--rounds 5] [--messages 100000] [--payload 64] [--window 64]
#   CARILLON_BIN=PATH        that binary, instead of target/release/carillon
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

cargo build --release --locked --quiet --manifest-path cluster-tests/clients-app/Cargo.toml --target-dir target
broker=${CARILLON_BIN:-target/release/carillon}
data=$(mktemp --directory)
port=$((20000 + RANDOM % 10000))
"$broker" serve --shards 1 --client-addr "127.0.0.1:$port" --admin-addr 127.0.0.1:0 --data-dir "$data" 2> "$data/log" &
pid=$!
trap 'kill "$pid"; wait "$pid" || true; rm -rf "$data"' EXIT
until grep --quiet --no-messages 'ready for clients' "$data/log"; do
  kill -0 "$pid" || { cat "$data/log" >&2; exit 1; }
  sleep 0.05
done

echo "$(nproc) processors, load $(cut --delimiter=' ' --fields=1-3 /proc/loadavg) at the beginning"
target/release/carillon-clients-app --broker "127.0.0.1:$port" --pid "$pid" "$@"
echo "load $(cut --delimiter=' ' --fields=1-3 /proc/loadavg) at the end"
