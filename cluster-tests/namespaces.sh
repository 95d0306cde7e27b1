# shellcheck shell=bash
# For scripts that run a second time in namespaces of their own, as `SCRIPT inside`.

# Ends the script where such namespaces cannot be made, and says what is not checked then.
need_namespaces() {
  if [[ $(id -u) != 0 ]] || ! unshare --net --mount --pid --fork true 2> /dev/null; then
    echo "NOT CHECKED: $1 needs root here."
    exit 0
  fi
}

# Runs a command in namespaces of its own; nothing of it is left when it ends. More namespaces come first, as --net.
in_namespaces() {
  unshare --mount --pid --fork --kill-child --mount-proc --propagation private "$@"
}

# Inside: what programs that start others expect of a machine of today.
mount_own() {
  # Not the kernel's old control groups; those of this namespace are nobody else's.
  umount --recursive /sys/fs/cgroup
  mount -t cgroup2 none /sys/fs/cgroup
  mount -t tmpfs none /run
}
