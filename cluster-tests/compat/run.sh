#!/usr/bin/env bash
# The whole compatibility suite: installs what is missing, runs everything, writes results/compat.json, fails if anything failed.
#
#   ./run.sh                               against target/release/carillon
#   CARILLON_BIN=path/to/carillon ./run.sh
#   BROKER=redis ./run.sh                  against redis-server, the reference
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

# Installed once, and again when what is pinned has changed: the hash of the pins lies beside what they led to.
is_current() {
  [[ -f $1 && $(cat "$1") == "$(cat "${@:2}" | sha256sum)" ]]
}
if ! is_current node_modules/.pins package.json package-lock.json; then
  npm ci --no-audit --no-fund
  cat package.json package-lock.json | sha256sum > node_modules/.pins
fi
if ! is_current .venv/.pins requirements.txt; then
  python3 -m venv --clear .venv
  .venv/bin/pip install --quiet --requirement requirements.txt
  cat requirements.txt | sha256sum > .venv/.pins
fi

cargo build --locked --quiet --manifest-path ../socketioxide-app/Cargo.toml --target-dir ../../target/socketioxide-app
# Of the whole workspace, so that what the tests have built is not built once more with other features.
cargo build --locked --quiet --workspace --example instance

mkdir -p results
rm -f results/rows.jsonl results/compat.json

# Every suite runs, also after another has failed: the table must show all that works.
failed=0
node --test --test-concurrency=2 --test-reporter=spec ./*.test.mjs || failed=1
.venv/bin/pytest -q python || failed=1

# The judge of the cluster's scenarios, with ioredis at work: there is no such cluster of redis-server to compare with.
if [[ ${BROKER-} != redis ]]; then
  cargo nextest run --locked --workspace --run-ignored only \
    --filterset 'binary(cluster) & test(ioredis_clients)' || failed=1
fi

node collect.mjs || failed=1
node report.mjs
exit "$failed"
