# shellcheck shell=bash
# For other scripts to read.

# Installs a Debian package that provides a command, as root or through sudo.
need() {
  local command=$1 package=$2 root=()
  command -v "$command" > /dev/null && return
  [ "$(id -u)" = 0 ] || root=(sudo)
  "${root[@]}" apt-get update -q
  # RUNLEVEL=1: installing a server must not start one, on Redis's own port for instance.
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -qy --no-install-recommends "$package"
}
