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
  source=$PWD/target/upgrade/source-$revision
  if [[ ! -d $source ]]; then
    mkdir -p "$source.partial"
    git archive "$revision" | tar --extract --directory="$source.partial"
    mv "$source.partial" "$source"
  fi
  cargo build --release --locked --manifest-path "$source/Cargo.toml" --target-dir target/upgrade --package carillon-broker
  echo "from $revision: $(git log -1 --format=%s "$revision")"
  CARILLON_PREVIOUS_BIN=$PWD/target/upgrade/carillon-$revision
  # Another revision is built to the same place.
  cp target/upgrade/release/carillon "$CARILLON_PREVIOUS_BIN"
fi
export CARILLON_PREVIOUS_BIN

cargo build --release --locked --package carillon-broker
cargo nextest run --locked --package carillon-cluster-tests --test cluster --run-ignored only --no-capture \
  --filterset 'test(rolling_upgrade)'
