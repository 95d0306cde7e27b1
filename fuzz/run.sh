#!/usr/bin/env bash
# Fuzzes every target for some seconds each, 15 if nothing is said: fuzz/run.sh [seconds] [target...]
#
# It needs stable Rust and a C++ compiler. There is no unsafe code for AddressSanitizer to watch, so none is
# used, and with it goes the need for nightly Rust. Inputs that found something new are kept in corpus/, those
# that fail in artifacts/, both outside the repository; seeds/ is what every run begins with.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

seconds=${1:-15}
targets=("${@:2}")
[[ ${#targets[@]} -gt 0 ]] || targets=(requests values glob hub acl configuration)

command -v c++ > /dev/null || {
  echo 'libFuzzer needs a C++ compiler (Debian: apt-get install g++).' >&2
  exit 69 # EX_UNAVAILABLE
}
cargo fuzz --version > /dev/null 2>&1 || cargo install --locked --debug cargo-fuzz

cargo fuzz build --sanitizer none

fuzz() {
  local target=$1 log
  mkdir -p "corpus/$target" "seeds/$target"
  log=$(mktemp)
  # -timeout turns an input that takes more than 10 s into a failure, -rss_limit_mb one that takes more than 1 GiB.
  if cargo fuzz run --sanitizer none "$target" "corpus/$target" "seeds/$target" -- \
    -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -max_len=4096 > "$log" 2>&1; then
    printf '%s: %s\n' "$target" "$(tail -n 1 "$log")"
    rm "$log"
  else
    # The failing input, as text and in base64, and the command that runs it again are among the last lines.
    grep -m 1 'INFO: Seed' "$log" || true
    tail -n 60 "$log" >&2
    printf '%s failed; the whole log is %s\n' "$target" "$log" >&2
    return 1
  fi
}
export -f fuzz
export seconds

# Each takes one core.
printf '%s\n' "${targets[@]}" | xargs --max-procs="$(nproc)" --replace=TARGET bash -c 'fuzz TARGET'
