#!/usr/bin/env bash
# deploy/compose.yaml, run by podman-compose in a network, mounts and processes of its own, as root: three nodes form a
# cluster, people talk in the chat, a node is killed, they go on, and it comes back.
#
#   CARILLON_BIN=PATH ./run.sh
#
# Base images cannot be had everywhere: the broker's image is the last stage of its Dockerfile on this binary, the chat's
# is the lines of its Dockerfile on this machine's Node.js.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
repository=$(realpath ../..)
# shellcheck source=cluster-tests/namespaces.sh
. ../namespaces.sh

if [[ ${1:-} != inside ]]; then
  # shellcheck source=cluster-tests/need.sh
  . ../need.sh
  need_namespaces compose.yaml
  need podman podman
  need buildah buildah
  need crun crun
  [[ -x /usr/lib/podman/netavark ]] || need /usr/lib/podman/netavark netavark
  [[ -x /usr/lib/podman/aardvark-dns ]] || need /usr/lib/podman/aardvark-dns aardvark-dns
  tools=$repository/target/compose-tools/1.6.0
  [[ -x $tools/bin/podman-compose ]] || { python3 -m venv "$tools" && "$tools/bin/pip" install --quiet podman-compose==1.6.0; }
  work=$(mktemp --directory)
  # Volumes and layers are mounted in the namespace that is gone by then.
  trap 'rm -rf "$work"' EXIT
  # What the chat's Dockerfile installs comes from a registry, which is out of reach in there.
  mkdir "$work/app"
  tar --directory ../../deploy/examples/socketio-chat --exclude node_modules --create . | tar --directory "$work/app" --extract
  install=$(sed -n 's/^RUN \(npm ci.*\) && npm cache.*/\1/p' "$work/app/Dockerfile")
  (cd "$work/app" && $install --no-audit --no-fund > "$work/npm.log" 2>&1) || { cat "$work/npm.log"; exit 1; }
  [[ -d ../compat/node_modules/socket.io-client ]] || npm ci --no-audit --no-fund --prefix ../compat
  in_namespaces --net env PATH="$tools/bin:$PATH" WORK="$work" bash "$PWD/run.sh" inside
  exit
fi

fail() {
  printf '%s\n' "$1" >&2
  podman ps --all >&2 || true
  for name in node-a node-b node-c chat-a chat-b; do podman logs --tail 20 "carillon_${name}_1" >&2 || true; done
  exit 1
}

# Waits until a command succeeds.
until_so() {
  local what=$1 tries
  shift
  for ((tries = 0; tries < 300; tries++)); do
    "$@" && return
    sleep 0.1
  done
  fail "after 30 seconds: $what"
}

: "${WORK:?set above}"
# --- engine: everything in this namespace and under $WORK ---
ip link set lo up
mount_own
export CONTAINERS_CONF=$WORK/containers.conf CONTAINERS_STORAGE_CONF=$WORK/storage.conf
cat > "$CONTAINERS_CONF" << CONF
[containers]
cgroups = "disabled"
log_driver = "k8s-file"
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
runtime = "crun"
[network]
network_backend = "netavark"
network_config_dir = "$WORK/networks"
CONF
cat > "$CONTAINERS_STORAGE_CONF" << CONF
[storage]
driver = "overlay"
graphroot = "$WORK/images"
runroot = "/run/containers-of-this-test"
CONF

# --- images ---

deploy=$repository/deploy
STORAGE_DRIVER=overlay "$deploy/image/build-without-docker.sh" "$CARILLON_BIN" localhost/carillon > "$WORK/build.log" 2>&1 || { cat "$WORK/build.log"; exit 1; }
chat=$deploy/examples/socketio-chat
mkdir -p "$WORK/chat/tree/usr/local/bin" "$WORK/chat/tree/app"
node=$(readlink -f "$(command -v node)")
cp "$node" "$WORK/chat/tree/usr/local/bin/node"
ldd "$node" | grep -o '/[^ ]*' | while read -r library; do
  mkdir -p "$WORK/chat/tree$(dirname "$library")"
  cp -L "$library" "$WORK/chat/tree$library"
done
cp -r "$WORK/app/." "$WORK/chat/tree/app"
{ printf 'FROM scratch\nCOPY tree/ /\n'; grep -E '^(WORKDIR|ENV|USER|EXPOSE|CMD) ' "$chat/Dockerfile"; } > "$WORK/chat/Dockerfile"
buildah bud --format docker --isolation chroot --tag localhost/carillon-chat "$WORK/chat" > "$WORK/build.log" 2>&1 ||
  { cat "$WORK/build.log"; exit 1; }

# --- the project, as it is, beside a secret of its own ---
mkdir "$WORK/deploy"
cp "$deploy/compose.yaml" "$WORK/deploy"
openssl rand -hex 32 > "$WORK/deploy/cluster-secret"
compose() { podman-compose --file "$WORK/deploy/compose.yaml" "$@"; }
carillon() { podman exec "carillon_$1_1" /usr/local/bin/carillon "${@:2}"; }
in_view() { [[ $(carillon "$1" nodes --json | grep -o '"in_view":true,"lag"' | wc -l) == "$2" ]]; } 2> /dev/null

# Its own path for subnets of its networks; nothing is built or fetched.
compose up --detach --no-build > "$WORK/up.log" 2>&1 || { cat "$WORK/up.log"; fail 'compose up'; }
until_so 'three nodes are in the view' in_view node-a 3
for name in node-a node-b node-c; do podman healthcheck run "carillon_${name}_1" > /dev/null || fail "$name is not healthy"; done
coproc people { node ../tests/kube/talk.mjs "$repository/cluster-tests/compat/node_modules" http://127.0.0.1:3000 http://127.0.0.1:3001; }
talk() {
  local told
  echo >&"${people[1]}"
  read -r -t 30 told <&"${people[0]}" || fail "people do not hear each other $1"
  printf '%s: %s\n' "$1" "$told"
  # shellcheck disable=SC2016
  [[ $told == *'"twice":false,"connects":1'* ]] || fail "a message twice, or a lost page, $1"
}
talk 'all is well'
podman kill --signal KILL carillon_node-b_1 > /dev/null
talk 'a node is killed'
until_so 'the others have noticed' in_view node-a 2
podman start carillon_node-b_1 > /dev/null
until_so 'it is back' in_view node-a 3
talk 'it is back'
compose down --timeout 20 > "$WORK/down.log" 2>&1 || { cat "$WORK/down.log"; fail 'compose down'; }
echo 'compose.yaml: all is well'
