#!/usr/bin/env bash
# A rolling upgrade of a cluster under load, from an earlier commit to this build and back. Not part of test.sh: it
# builds the earlier one, which takes minutes the first time.
#
#   ./upgrade.sh            from the last commit before this one
#   ./upgrade.sh REVISION   from that commit or tag
#   CARILLON_PREVIOUS_BIN=path/to/carillon ./upgrade.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [[ -z ${CARILLON_PREVIOUS_BIN-} ]]; then
  revision=$(git rev-parse --short "${1-HEAD~1}^{commit}")
  echo "from $revision: $(git log -1 --format=%s "$revision")"
  CARILLON_PREVIOUS_BIN=$PWD/target/upgrade/carillon-$revision
  if [[ ! -x $CARILLON_PREVIOUS_BIN ]]; then
    source=$PWD/target/upgrade/source
    rm -rf "$source"
    mkdir -p "$source"
    # Files as old as now: cargo takes those of another revision, built to the same place, for older.
    git archive "$revision" | tar --extract --touch --directory="$source"
    cargo build --release --locked --manifest-path "$source/Cargo.toml" --target-dir target/upgrade \
      --bin carillon
    cp target/upgrade/release/carillon "$CARILLON_PREVIOUS_BIN"
  fi
fi
export CARILLON_PREVIOUS_BIN

cargo build --release --locked --bin carillon
cargo nextest run --locked --package carillon-cluster-tests --test cluster --run-ignored only --no-capture \
  --filterset 'test(rolling_upgrade)'
