#!/bin/sh
# Builds the image with buildah from a binary that is there already, without a daemon and without a base image: the last
# stage of the Dockerfile, from its own lines.
#
#   build-without-docker.sh BINARY TAG
#
# STORAGE_DRIVER is where it is kept: vfs works everywhere.
set -eu
binary=$1
tag=$2
here=$(cd "$(dirname "$0")" && pwd)
context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
"$here/rootfs.sh" "$binary" "$context/image"
# The first stage is what has just been done by hand.
sed -n '/^FROM scratch$/,$p' "$here/../Dockerfile" | sed 's|--from=build ||; s|^\(COPY.*\) /image/|\1 image/|' > "$context/Dockerfile"
buildah --storage-driver "${STORAGE_DRIVER:-vfs}" bud --format docker --isolation chroot --file "$context/Dockerfile" --tag "$tag" "$context"
