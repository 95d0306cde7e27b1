#!/usr/bin/env bash
# deploy/systemd/carillon.service under a systemd that is booted for it: this machine's own files, seen through a layer that
# is thrown away, in namespaces of their own. It takes root.
#
#   CARILLON_BIN=PATH ./run.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
# shellcheck source=cluster-tests/namespaces.sh
. ../namespaces.sh

if [[ ${1:-} != inside ]]; then
  # shellcheck source=cluster-tests/need.sh
  . ../need.sh
  need_namespaces 'the unit'
  need systemd-nspawn systemd-container
  need dbus-daemon dbus
  in_namespaces bash "$PWD/run.sh" inside < /dev/null
  exit
fi

mount_own
group=/sys/fs/cgroup/carillon-unit-$RANDOM$RANDOM
mkdir -p "$group/leaf"
echo $$ > "$group/leaf/cgroup.procs"
trap 'echo $$ > /sys/fs/cgroup/cgroup.procs; find "$group" -depth -type d -exec rmdir {} +' EXIT
mount -t tmpfs none /mnt
mkdir /mnt/upper /mnt/work /mnt/tree
mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work /mnt/tree
tree=/mnt/tree
# Nothing of what this machine starts by itself, and no identity that would be taken for its own.
rm -rf "$tree"/etc/systemd/system/*.wants
: > "$tree/etc/machine-id"
install -D "$CARILLON_BIN" "$tree/usr/local/bin/carillon"
install -m 644 ../../deploy/systemd/carillon.service "$tree/etc/systemd/system"
install -D -m 644 ../../deploy/carillon.toml "$tree/etc/carillon/carillon.toml"
install -m 755 try.sh "$tree/usr/local/bin/try"
cat > "$tree/etc/systemd/system/try.service" << 'UNIT'
[Unit]
DefaultDependencies=no
After=sysinit.target dbus.socket
Requires=sysinit.target dbus.socket
[Service]
Type=oneshot
TimeoutStartSec=60
StandardOutput=append:/var/log/try.log
StandardError=append:/var/log/try.log
ExecStart=/usr/local/bin/try
ExecStopPost=/bin/systemctl poweroff --force --force
UNIT
timeout --kill-after 5 90 systemd-nspawn --directory="$tree" --boot --private-network --register=no --keep-unit \
  --kill-signal=SIGKILL --console=read-only systemd.unit=try.service > /mnt/boot.log 2>&1 || true
cat "$tree/var/log/try.log"
if ! grep -q '^the unit: all is well$' "$tree/var/log/try.log"; then
  cat /mnt/boot.log
  exit 1
fi
