#!/usr/bin/env bash
# The whole compatibility suite: installs what is missing, runs everything, writes results/compat.json, fails if anything failed.
#
#   ./run.sh                               against target/release/carillon
#   CARILLON_BIN=path/to/carillon ./run.sh
#   BROKER=redis ./run.sh                  against redis-server, the reference
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

[[ -d node_modules ]] || npm ci --no-audit --no-fund
if [[ ! -x .venv/bin/pytest ]]; then
  python3 -m venv .venv
  .venv/bin/pip install --quiet --requirement requirements.txt
fi

cargo build --locked --quiet --manifest-path ../socketioxide-app/Cargo.toml --target-dir ../../target/socketioxide-app

mkdir -p results
rm -f results/rows.jsonl results/compat.json

# Every suite runs, also after another has failed: the table must show all that works.
failed=0
node --test --test-concurrency=1 --test-reporter=spec ./*.test.mjs || failed=1
.venv/bin/pytest -q python || failed=1

node collect.mjs || failed=1
node report.mjs
exit "$failed"
