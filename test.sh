#!/usr/bin/env bash
# Runs every check and every test, and installs what they need first.
set -euo pipefail
cd "$(dirname "$0")"

step() {
  printf '\n== %s (%s s) ==\n' "$1" "$SECONDS"
}

. cluster-tests/need.sh

step 'tools'
need redis-server redis-server
need chromium chromium
need c++ g++
need valgrind valgrind
need faketime faketime
need nft nftables
cargo nextest --version > /dev/null 2>&1 || cargo install --locked cargo-nextest
# Without optimisation: it works for a second, and takes minutes less to build.
cargo deny --version > /dev/null 2>&1 || cargo install --locked --debug cargo-deny

step 'format'
cargo fmt --all --check
cargo fmt --manifest-path fuzz/Cargo.toml --check
cargo fmt --manifest-path cluster-tests/clients-app/Cargo.toml --check

step 'clippy'
cargo clippy --workspace --all-targets --locked -- -D warnings
cargo clippy --manifest-path fuzz/Cargo.toml --target-dir target --locked -- -D warnings
# It measures, and is not run here: it has to go with the client all the same.
cargo clippy --manifest-path cluster-tests/clients-app/Cargo.toml --target-dir target --locked -- -D warnings

step 'licences, sources and versions of dependencies'
cargo deny --log-level error check --hide-inclusion-graph bans licenses sources
# The list of vulnerabilities is on GitHub, which not every machine reaches.
if timeout 60 cargo deny --log-level error fetch db > /dev/null 2>&1; then
  cargo deny --log-level error check --hide-inclusion-graph advisories
else
  echo 'NOT CHECKED: the list of known vulnerabilities cannot be fetched from here.'
fi

step 'the library without the command line'
cargo check -p carillon-broker --no-default-features --locked
for crate in clap ureq hdrhistogram tracing-subscriber sd-notify; do
  if cargo tree -p carillon-broker --edges normal --prefix none --locked | grep -q "^$crate "; then
    echo "carillon-broker depends on $crate, which only the binary needs"
    exit 1
  fi
done

step 'documentation'
RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --locked

step 'release build'
cargo build --release --package carillon --locked

step 'instructions of the core paths'
cargo run --release --locked -p carillon-broker --example instructions

step 'what is in deploy'
deploy/check.sh

step 'the unit under a systemd, and compose.yaml'
CARILLON_BIN="$PWD/target/release/carillon" cluster-tests/systemd/run.sh
CARILLON_BIN="$PWD/target/release/carillon" cluster-tests/compose/run.sh

step 'unit and integration tests'
cargo nextest run --workspace --locked

step 'a minute of chaos'
# Built with the tests: cargo run would build it, and what it needs, once more without their features. Its first line says how
# to run it again.
target/debug/chaos --seconds 60

step 'fuzzing, the short form'
fuzz/run.sh

step 'real clients'
CARILLON_BIN="$PWD/target/release/carillon" cluster-tests/compat/run.sh
node cluster-tests/compat/report.mjs --check README.md

step 'chat demo and console in a browser'
CARILLON_BIN="$PWD/target/release/carillon" cluster-tests/browser/run.sh

step 'done'
