#!/usr/bin/env bash
# Plants faults in a copy of the broker, one after another, and runs the scenarios that must find each. Exits with 0
# when all were found. A minute of chaos tells whether it would have found it, too. Not part of test.sh: it builds the
# broker once for each fault.
#
#   ./run.sh                 every fault: see the *.patch files
#   ./run.sh no-flush ...    these
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

copy=$PWD/target/planted/source
faults=("$@")
[[ $# -gt 0 ]] || for patch in cluster-tests/planted/*.patch; do faults+=("$(basename "$patch" .patch)"); done

rm -rf "$copy"
mkdir -p "$copy"
git ls-files -z | tar --create --null --files-from=- | tar --extract --directory="$copy"
# A copy of an earlier run may have had a fault in a file that is older than what was built from it.
find "$copy/broker/src" -name '*.rs' -exec touch {} +

suite=target/planted/suite.tar.zst
cargo nextest archive --cargo-quiet --locked --package carillon-cluster-tests --test cluster --archive-file "$suite"
cargo build --quiet --release --locked --package carillon-cluster-tests --bin chaos

missed=()
for fault in "${faults[@]}"; do
  patch=$PWD/cluster-tests/planted/$fault.patch
  scenarios=$(sed -n 's/^scenarios: //p' "$patch")
  log=target/planted/$fault.log
  patch --quiet --strip=1 --directory="$copy" < "$patch"
  cargo build --quiet --release --locked --manifest-path "$copy/Cargo.toml" --target-dir target/planted \
    --bin carillon 2> /dev/null
  start=$SECONDS
  if CARILLON_BIN=$PWD/target/planted/release/carillon cargo nextest run --archive-file "$suite" \
    --workspace-remap . --no-fail-fast --color never --filterset "$scenarios" &> "$log"; then
    missed+=("$fault")
    echo "$fault: NOT FOUND by $scenarios; see $log"
  elif grep --quiet --extended-regexp '^ +(FAIL|SIGABRT|TIMEOUT) ' "$log"; then
    echo "$fault: found within $((SECONDS - start)) s"
    # Each test that failed, and the first that was wrong in it.
    grep --extended-regexp '^ +(PASS|FAIL|SIGABRT|TIMEOUT) ' "$log" | sort --unique
    grep --extended-regexp --after-context=3 'panicked at|seed: ' "$log" | head -30
  else
    tail "$log"
    exit 1
  fi
  if CARILLON_BIN=$PWD/target/planted/release/carillon target/release/chaos --seconds 60 &> "$log.chaos"; then
    echo "a minute of chaos did not find it: $(grep '^chaos ' "$log.chaos")"
  else
    echo "chaos found it: $(grep '^chaos ' "$log.chaos")"
    grep --max-count=1 --after-context=3 ' violations$' "$log.chaos" || tail "$log.chaos"
  fi
  patch --quiet --strip=1 --reverse --directory="$copy" < "$patch"
done

if [[ ${#missed[@]} -gt 0 ]]; then
  echo "not found: ${missed[*]}"
  exit 1
fi
echo "all ${#faults[@]} found"
