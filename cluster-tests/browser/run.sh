#!/usr/bin/env bash
# The demo chat in a real Chromium, on several instances, over a real broker.
#
#   ./run.sh                       target/release/carillon of this repository
#   CARILLON_BIN=PATH ./run.sh     that binary
#   BROKER=redis ./run.sh          redis-server from the PATH: what passes with it must pass with Carillon
#
# Arguments go to node's test runner, for instance: ./run.sh --test-name-pattern=presence
# Screenshots are left in artifacts/.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
demo=../../deploy/examples/socketio-chat

fail() {
  printf '%s\n' "$1" >&2
  exit 69 # EX_UNAVAILABLE
}

if [[ -z ${CHROMIUM:-} ]]; then
  CHROMIUM=$(command -v chromium || true)
  [[ -n $CHROMIUM || ! -x /usr/bin/chromium ]] || CHROMIUM=/usr/bin/chromium
fi
[[ -n $CHROMIUM ]] || fail "No chromium found. Install it (Debian: apt-get install chromium), or set CHROMIUM to its path."
export CHROMIUM

if [[ ${BROKER:-carillon} == redis ]]; then
  command -v redis-server >/dev/null || fail "BROKER=redis needs redis-server (Debian: apt-get install redis-server)."
else
  binary=${CARILLON_BIN:-../../target/release/carillon}
  [[ -x $binary ]] || fail "No broker at $binary. Run cargo build --release in the repository, or set CARILLON_BIN, or BROKER=redis."
  CARILLON_BIN=$(realpath "$binary")
  export CARILLON_BIN
fi

# Two runs at once must not install into one folder at the same time.
exec 9<"$PWD"
flock 9
[[ -d node_modules/playwright-core ]] || npm ci --no-audit --no-fund
[[ -d $demo/node_modules/socket.io ]] || npm ci --no-audit --no-fund --prefix "$demo"
flock -u 9

# One file after the other: each brings a broker, instances and a browser, which is enough for two cores.
exec node --test --test-concurrency=1 --test-timeout=120000 "$@" ./*.test.mjs
